//! What one evaluation found, in the form that `vyx.commit_batch` writes.

use super::version::{Key, Lane};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;
use vyx_core::{Interval, Millis, Symbol};

/// One transaction's worth of evaluation. Times are milliseconds since 1970; the fields are described in
/// `sql/evaluate.sql`.
#[derive(Debug, Serialize)]
pub struct Batch {
    pub by: &'static str,
    pub lane: i16,
    pub evaluated_at: i64,
    pub evaluate_ms: f64,
    /// `vyx.writer.settled` as it was when the versions were read.
    pub settled: Option<i64>,
    pub watermarks: Vec<Watermark>,
    pub finished: Vec<Pair>,
    pub pending: Vec<Pending>,
    #[serde(serialize_with = "rounds")]
    pub signals: Vec<Signal>,
    pub failures: Vec<Failure>,
    pub recovered: Vec<Uuid>,
    pub tallies: Vec<Tally>,
    #[serde(serialize_with = "cycles")]
    pub cycles: BTreeMap<(i64, Interval), Cycle>,
}

#[derive(Debug, Serialize)]
pub struct Watermark {
    pub symbol: String,
    pub interval: &'static str,
    pub read: Option<i64>,
    pub through: i64,
    pub skipped: i64,
}

/// A version at one candle of one symbol.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    pub trader_id: Uuid,
    pub trader_version: i64,
    pub symbol: String,
    pub interval: &'static str,
    pub close_time: i64,
}

#[derive(Debug, Serialize)]
pub struct Pending {
    #[serde(flatten)]
    pub pair: Pair,
    pub waiting_for: String,
}

#[derive(Debug, Serialize)]
pub struct Failure {
    #[serde(flatten)]
    pub pair: Pair,
    pub cause: &'static str,
    pub message: String,
}

#[derive(Debug)]
pub struct Signal {
    pub id: Uuid,
    pub pair: Pair,
    pub open_time: i64,
    pub price: f64,
    pub metadata: Map<String, Value>,
    pub kline_revision: u16,
    pub engine: u16,
}

/// Counts of one close, to be added to its row of `vyx.cycles`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cycle {
    pub expected: usize,
    pub series: usize,
    pub late: usize,
    pub absent: usize,
    pub traders: usize,
    pub evaluated: usize,
    pub matched: usize,
    pub unmatched: usize,
    pub not_ready: usize,
    /// Falls when what was pending is finished.
    pub waiting: i64,
    pub resting: usize,
    pub failed: usize,
    pub fired: usize,
    /// The longest of its batches.
    pub wait_ms: f64,
}

/// A row of `vyx.tallies`.
#[derive(Debug, Serialize)]
pub struct Tally {
    pub interval: &'static str,
    pub close_time: i64,
    pub counts: Vec<Count>,
}

/// Traders of whom equally many pairs were evaluated, and could not be.
#[derive(Debug, PartialEq, Serialize)]
pub struct Count {
    pub evaluated: usize,
    pub failed: usize,
    pub traders: Vec<Uuid>,
}

/// What fired at one close, as columns: a thousand objects, each with its keys, would take the database twice as long to
/// read.
#[derive(Serialize)]
struct Fired<'a> {
    interval: &'static str,
    open_time: i64,
    close_time: i64,
    engine: u16,
    ids: Vec<Uuid>,
    traders: Vec<Uuid>,
    versions: Vec<i64>,
    symbols: Vec<&'a str>,
    prices: Vec<f64>,
    revisions: Vec<u16>,
    metadata: Vec<&'a Map<String, Value>>,
}

impl<'a> Fired<'a> {
    fn at_the_candle_of(signal: &Signal) -> Fired<'a> {
        Fired {
            interval: signal.pair.interval,
            open_time: signal.open_time,
            close_time: signal.pair.close_time,
            engine: signal.engine,
            ids: Vec::new(),
            traders: Vec::new(),
            versions: Vec::new(),
            symbols: Vec::new(),
            prices: Vec::new(),
            revisions: Vec::new(),
            metadata: Vec::new(),
        }
    }

    fn push(&mut self, signal: &'a Signal) {
        self.ids.push(signal.id);
        self.traders.push(signal.pair.trader_id);
        self.versions.push(signal.pair.trader_version);
        self.symbols.push(&signal.pair.symbol);
        self.prices.push(signal.price);
        self.revisions.push(signal.kline_revision);
        self.metadata.push(&signal.metadata);
    }
}

/// The n-th round holds each trader's n-th signal of a symbol, by close time. Nearly always there is one round.
fn rounds<S: serde::Serializer>(signals: &[Signal], serializer: S) -> Result<S::Ok, S::Error> {
    let mut sorted: Vec<&Signal> = signals.iter().collect();
    // A trader may have a second version that runs as a shadow.
    let place = |signal: &&Signal| (signal.pair.close_time, signal.pair.trader_id, signal.pair.trader_version);
    sorted.sort_unstable_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.pair.symbol.cmp(&b.pair.symbol)));
    let mut rounds: Vec<BTreeMap<(i64, &str), Fired>> = Vec::new();
    let mut before: HashMap<(Uuid, &str), usize> = HashMap::with_capacity(sorted.len());
    for signal in sorted {
        let nth = before.entry((signal.pair.trader_id, &signal.pair.symbol)).or_default();
        if rounds.len() == *nth {
            rounds.push(BTreeMap::new());
        }
        let close = (signal.pair.close_time, signal.pair.interval);
        rounds[*nth].entry(close).or_insert_with(|| Fired::at_the_candle_of(signal)).push(signal);
        *nth += 1;
    }
    serializer.collect_seq(rounds.iter().map(|round| round.values().collect::<Vec<_>>()))
}

fn cycles<S: serde::Serializer>(cycles: &BTreeMap<(i64, Interval), Cycle>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Row<'a> {
        interval: &'static str,
        close_time: i64,
        #[serde(flatten)]
        counts: &'a Cycle,
    }
    serializer.collect_seq(cycles.iter().map(|((close_time, interval), counts)| Row {
        interval: interval.as_str(),
        close_time: *close_time,
        counts,
    }))
}

impl Batch {
    pub fn new(by: &'static str, lane: Lane, settled: Option<i64>) -> Batch {
        Batch {
            by,
            lane: lane as i16,
            settled,
            evaluated_at: 0,
            evaluate_ms: 0.0,
            watermarks: Vec::new(),
            finished: Vec::new(),
            pending: Vec::new(),
            signals: Vec::new(),
            failures: Vec::new(),
            recovered: Vec::new(),
            tallies: Vec::new(),
            cycles: BTreeMap::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.watermarks.is_empty() && self.finished.is_empty()
    }

    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("all keys are text")
    }

    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("all keys are text")
    }

    /// Where everything about one close is entered.
    pub fn at(&mut self, interval: Interval, close_time: Millis) -> Entries<'_> {
        Entries {
            cycle: self.cycles.entry((close_time.0, interval)).or_default(),
            signals: &mut self.signals,
            failures: &mut self.failures,
            pending: &mut self.pending,
            finished: &mut self.finished,
        }
    }
}

/// A batch as one close sees it: counts and rows are entered together.
pub struct Entries<'a> {
    pub cycle: &'a mut Cycle,
    pub signals: &'a mut Vec<Signal>,
    failures: &'a mut Vec<Failure>,
    pending: &'a mut Vec<Pending>,
    finished: &'a mut Vec<Pair>,
}

impl Entries<'_> {
    pub fn put_off(&mut self, pair: Pair, waiting_for: String) {
        self.cycle.waiting += 1;
        self.pending.push(Pending { pair, waiting_for });
    }

    /// What was put off is done, in whatever way.
    pub fn finish(&mut self, pair: Pair) {
        self.cycle.waiting -= 1;
        self.finished.push(pair);
    }

    /// `cause` is a word to group by.
    pub fn fail(&mut self, pair: Pair, cause: &'static str, message: String) {
        self.cycle.failed += 1;
        self.failures.push(Failure { pair, cause, message });
    }
}

impl Pair {
    pub fn new((trader_id, trader_version): Key, symbol: &Symbol, interval: Interval, close_time: Millis) -> Pair {
        Pair {
            trader_id,
            trader_version,
            symbol: symbol.to_string(),
            interval: interval.as_str(),
            close_time: close_time.0,
        }
    }
}
