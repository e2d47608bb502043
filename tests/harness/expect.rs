//! What traders should say: rules written in plain Rust over the truth, and the signals that follow from them.

use super::session::{Session, millis};
use super::truth::{Candle, Truth};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Candles before the first judged one: after so many, what a Wilder average began with has lost all its weight.
const HISTORY: usize = 600;

/// What a rule may look at when it judges a candle.
pub struct Past<'a> {
    /// Closed candles of the trader's own series, the judged one last.
    pub own: &'a [Candle],
    truth: &'a Truth,
    symbol: &'a str,
}

impl Past<'_> {
    pub fn now(&self) -> &Candle {
        &self.own[self.own.len() - 1]
    }

    /// The newest candle of the symbol's series at another interval that has closed with the judged one, or before it.
    pub fn other(&self, interval: &str) -> Candle {
        let mut newest = self.truth.last_closed(self.symbol, interval, 1, self.now().close_time + 1);
        newest.pop().expect("the symbol has traded for long")
    }

    /// The last `count` closes of another symbol at this interval.
    pub fn closes_of(&self, symbol: &str, interval: &str, count: usize) -> Vec<f64> {
        closes(&self.truth.last_closed(symbol, interval, count, self.now().close_time + 1))
    }
}

/// A trader twice: as a script, and as what that script means.
pub struct Rule {
    pub name: &'static str,
    pub interval: &'static str,
    pub fire_on: &'static str,
    pub script: &'static str,
    pub matches: fn(&Past) -> bool,
}

/// The plain ones, for any market.
pub const OWN: [Rule; 3] = [
    Rule {
        name: "rising",
        interval: "1m",
        fire_on: "match",
        script: "close > open",
        matches: |past| past.now().close() > past.now().numbers[0],
    },
    Rule {
        name: "cross",
        interval: "1m",
        fire_on: "edge",
        script: "crossover(sma(close, 3), sma(close, 8))",
        matches: |past| {
            let (before, _) = past.own.split_at(past.own.len() - 1);
            above(past.own) && !above(before)
        },
    },
    Rule {
        name: "dip",
        interval: "1m",
        fire_on: "edge",
        script: "#{ fire: rsi(close, 14) < 35, side: \"long\", note: \"dip\" }",
        matches: |past| rsi(&closes(past.own), 14) < 35.0,
    },
];

/// Those that look at other series too.
pub const MIXED: [Rule; 3] = [
    Rule {
        name: "five minutes",
        interval: "5m",
        fire_on: "edge",
        script: "close > open",
        matches: |past| past.now().close() > past.now().numbers[0],
    },
    Rule {
        name: "with the five minutes",
        interval: "1m",
        fire_on: "edge",
        script: "close > open && tf(\"5m\").close > tf(\"5m\").open",
        matches: |past| {
            let slow = past.other("5m");
            past.now().close() > past.now().numbers[0] && slow.close() > slow.numbers[0]
        },
    },
    Rule {
        name: "regime",
        interval: "1m",
        fire_on: "edge",
        script: "let leader = symbol(\"BTCUSDT\").close;\nleader > leader[3] && close > close[1]",
        matches: |past| {
            let leader = past.closes_of("BTCUSDT", "1m", 4);
            let own = closes(past.own);
            leader[3] > leader[0] && own[own.len() - 1] > own[own.len() - 2]
        },
    },
];

/// A signal, by what identifies it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signal {
    pub trader: String,
    pub symbol: String,
    pub interval: String,
    pub close_time: i64,
}

/// What a signal says beyond who and when: open time and price.
pub type Said = (i64, f64);

/// Saves the rules as running traders, all at one market time.
pub fn save(session: &Session, rules: &[&Rule]) {
    for rule in rules {
        session.rows(
            "INSERT INTO vyx.traders (user_id, name, \"interval\", fire_on, state, script) VALUES (NULL, $1, $2, $3, 'running', $4)",
            &[&rule.name, &rule.interval, &rule.fire_on, &rule.script],
        );
    }
}

/// The signals that these rules should have given through this close: from the market time on at which each began.
pub fn expected(
    session: &Session,
    truth: &Truth,
    rules: &[&Rule],
    symbols: &[&str],
    through: i64,
) -> BTreeMap<Signal, Said> {
    let mut signals = BTreeMap::new();
    for rule in rules {
        let from = millis(session.one::<SystemTime>(
            "SELECT effective_from FROM vyx.trader_versions v JOIN vyx.traders t ON t.id = v.trader_id WHERE t.name = $1",
            &[&rule.name],
        ));
        for symbol in symbols {
            let before = truth.last_closed(symbol, rule.interval, HISTORY, from + 1);
            let candles = truth.closed(symbol, rule.interval, before[0].open_time, through + 1);
            let matches = |index: usize| (rule.matches)(&Past { own: &candles[..=index], truth, symbol });
            for (index, candle) in candles.iter().enumerate().skip(1) {
                if candle.close_time < from || candle.close_time > through || !matches(index) {
                    continue;
                }
                if rule.fire_on == "match" || !matches(index - 1) {
                    let signal = Signal {
                        trader: rule.name.to_owned(),
                        symbol: (*symbol).to_owned(),
                        interval: rule.interval.to_owned(),
                        close_time: candle.close_time,
                    };
                    signals.insert(signal, (candle.open_time, candle.close()));
                }
            }
        }
    }
    signals
}

/// The signals that were written through this close.
///
/// # Panics
/// If one was written twice.
pub fn written(session: &Session, through: i64) -> BTreeMap<Signal, Said> {
    let rows = session.rows(
        "SELECT t.name, s.symbol, s.\"interval\", s.close_time, s.open_time, s.price
         FROM vyx.signals s JOIN vyx.traders t ON t.id = s.trader_id WHERE s.close_time <= vyx.at($1)",
        &[&through],
    );
    let mut signals = BTreeMap::new();
    for row in rows {
        let signal = Signal {
            trader: row.get(0),
            symbol: row.get(1),
            interval: row.get(2),
            close_time: millis(row.get::<_, SystemTime>(3)),
        };
        let twice = signals.insert(signal.clone(), (millis(row.get::<_, SystemTime>(4)), row.get(5)));
        assert!(twice.is_none(), "written twice: {signal:?}");
    }
    signals
}

/// Compares what was written with what should have been.
#[track_caller]
pub fn check(session: &Session, truth: &Truth, rules: &[&Rule], symbols: &[&str], through: i64) -> usize {
    let (should, is) = (expected(session, truth, rules, symbols, through), written(session, through));
    let missing: Vec<_> = should.iter().filter(|(signal, said)| is.get(signal) != Some(said)).take(5).collect();
    let unwanted: Vec<_> = is.iter().filter(|(signal, said)| should.get(signal) != Some(said)).take(5).collect();
    assert!(
        missing.is_empty() && unwanted.is_empty(),
        "{} signals expected, {} written; missing {missing:#?}; unwanted {unwanted:#?}",
        should.len(),
        is.len()
    );
    should.len()
}

fn closes(candles: &[Candle]) -> Vec<f64> {
    candles.iter().map(Candle::close).collect()
}

/// Whether the average of three closes is above that of eight: in whole units, so that equal is equal.
fn above(candles: &[Candle]) -> bool {
    let sum = |count: usize| -> i128 {
        candles[candles.len() - count..].iter().map(|candle| (candle.close() * 1e8).round() as i128).sum()
    };
    sum(3) * 8 > sum(8) * 3
}

/// Wilder's relative strength index.
fn rsi(closes: &[f64], length: usize) -> f64 {
    let changes: Vec<f64> = closes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let part = |sign: f64| {
        let moves = |change: &f64| (change * sign).max(0.0);
        let first = changes[..length].iter().map(moves).sum::<f64>() / length as f64;
        changes[length..].iter().map(moves).fold(first, |mean, part| mean + (part - mean) / length as f64)
    };
    let (gain, loss) = (part(1.0), part(-1.0));
    if gain + loss == 0.0 { 50.0 } else { 100.0 * gain / (gain + loss) }
}
