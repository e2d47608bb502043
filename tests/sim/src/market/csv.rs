//! Real candles from a file: `open_time,open,high,low,close,volume` with a header line, open times in
//! milliseconds, ascending. Rows may be missing; then the exchange had no kline there.
//!
//! The file has six columns and a kline eleven. The others follow from fixed rules, so results about them are
//! synthetic, though the same in history and streams:
//! - quote volume: volume × (open + high + low + close) / 4;
//! - trades: none without volume, else 1 + (volume in steps) mod 997; ids count on through the file;
//! - taker-buy volumes: the part (close − low) / (high − low) of the whole, half if there is no range.
//!
//! While a candle is open its price goes from open by low and high to close (by high and low if it falls) in
//! three straight lines of a third of the time each, and volume and trades grow evenly.
//!
//! A file serves its own interval and every larger one that is made of whole candles of it; smaller ones are
//! empty. The 24 h ticker counts whole candles that open within the window, and the open one.

use super::node::Node;
use crate::interval::Interval;
use std::path::Path;

/// The candles of a file.
#[derive(Debug)]
pub struct Csv {
    pub interval: Interval,
    /// Smallest steps of price and quantity, in 1e-8: the greatest that all values are multiples of.
    pub tick: i64,
    pub step: i64,
    rows: Vec<(i64, Node)>,
}

impl Csv {
    /// # Errors
    /// If the file cannot be read, or with the line that is not as described.
    pub fn read(path: &Path, interval: Interval) -> Result<Csv, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Csv::parse(&text, interval).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// # Errors
    /// With the line that is not as described.
    pub fn parse(text: &str, interval: Interval) -> Result<Csv, String> {
        let mut raw: Vec<(i64, [i64; 5])> = Vec::new();
        for (index, line) in text.lines().enumerate().skip(1) {
            let bad = |what: &str| format!("line {}: {what}: {line}", index + 1);
            let fields: Vec<&str> = line.trim_end().split(',').collect();
            let [time, numbers @ ..] = fields.as_slice() else { return Err(bad("empty")) };
            let time: i64 = time.parse().map_err(|_| bad("open_time is not an integer"))?;
            if interval.floor(time) != time {
                return Err(bad(&format!("open_time is not on the grid of {}", interval.name())));
            }
            if raw.last().is_some_and(|(last, _)| *last >= time) {
                return Err(bad("open_time does not ascend"));
            }
            let numbers: Option<Vec<i64>> = numbers.iter().map(|number| units(number)).collect();
            let numbers: [i64; 5] = numbers
                .and_then(|numbers| numbers.try_into().ok())
                .ok_or_else(|| bad("expected five numbers with up to eight decimals after open_time"))?;
            let [open, high, low, close, volume] = numbers;
            if low <= 0 || low > open.min(close) || high < open.max(close) || volume < 0 {
                return Err(bad("prices out of order"));
            }
            raw.push((time, numbers));
        }
        let tick = raw.iter().flat_map(|(_, row)| row[..4].iter()).fold(0, |tick, &price| gcd(tick, price)).max(1);
        let step = raw.iter().fold(0, |step, (_, row)| gcd(step, row[4])).max(1);
        let mut first_id = 0;
        let mut before = raw.first().map_or(0, |(_, row)| row[0] / tick);
        let rows = raw
            .into_iter()
            .map(|(time, row)| {
                let node = derive(row, tick, step, first_id, before);
                (first_id, before) = (first_id + node.trades, node.close);
                (time, node)
            })
            .collect();
        Ok(Csv { interval, tick, step, rows })
    }

    /// The first and last open time, of a file with rows.
    pub fn reach(&self) -> Option<(i64, i64)> {
        Some((self.rows.first()?.0, self.rows.last()?.0))
    }

    /// The last price, in ticks.
    pub fn last_price(&self) -> i64 {
        self.rows.last().map_or(1, |(_, row)| row.close)
    }

    /// What was known at `at` (excluded) of the rows that open from `from` to `to` (excluded); `None` without rows.
    pub fn span(&self, from: i64, to: i64, at: i64) -> Option<Node> {
        let first = self.rows.partition_point(|(open, _)| *open < from);
        let mut sum: Option<Node> = None;
        for (open, row) in self.rows[first..].iter().take_while(|(open, _)| *open < to.min(at)) {
            let close = self.interval.next(*open);
            let seen = if close <= at { *row } else { partial(row, at - open, close - open) };
            match &mut sum {
                Some(sum) => sum.append(&seen),
                None => sum = Some(seen),
            }
        }
        sum
    }
}

/// A row with the columns that the file does not have.
fn derive([open, high, low, close, volume]: [i64; 5], tick: i64, step: i64, first_id: u64, before: i64) -> Node {
    let lots = (volume / step) as u64;
    let quote = volume as u128 * (open + high + low + close) as u128 / 4 / crate::symbols::UNIT as u128;
    let (part, whole) = if high > low { ((close - low) as u128, (high - low) as u128) } else { (1, 2) };
    let (buy, buy_quote) = ((u128::from(lots) * part / whole) as u64, quote * part / whole);
    Node {
        trades: if lots == 0 { 0 } else { 1 + lots % 997 },
        first_id,
        before,
        open: open / tick,
        high: high / tick,
        low: low / tick,
        close: close / tick,
        buy,
        sell: lots - buy,
        buy_quote,
        sell_quote: quote - buy_quote,
    }
}

/// The row as it stood after `elapsed` of its `length`.
fn partial(row: &Node, elapsed: i64, length: i64) -> Node {
    let corners = if row.close >= row.open {
        [row.open, row.low, row.high, row.close]
    } else {
        [row.open, row.high, row.low, row.close]
    };
    let thirds = 3 * elapsed;
    let (leg, part) = ((thirds / length).min(2) as usize, thirds - (thirds / length).min(2) * length);
    let price = corners[leg] + (corners[leg + 1] - corners[leg]) * part / length;
    let passed = || corners[..=leg].iter().copied().chain([price]);
    let grown = |total: u128| total * elapsed as u128 / length as u128;
    Node {
        // A candle with trades begins with one: its open.
        trades: (grown(u128::from(row.trades)) as u64).max(row.trades.min(1)),
        high: passed().max().unwrap_or(price),
        low: passed().min().unwrap_or(price),
        close: price,
        buy: grown(u128::from(row.buy)) as u64,
        sell: grown(u128::from(row.sell)) as u64,
        buy_quote: grown(row.buy_quote),
        sell_quote: grown(row.sell_quote),
        ..*row
    }
}

/// A decimal with up to eight places, in 1e-8.
fn units(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 8 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let part: i64 = format!("{part:0<8}").parse().ok()?;
    (whole >= 0).then_some(())?;
    whole.checked_mul(crate::symbols::UNIT)?.checked_add(part)
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "open_time,open,high,low,close,volume\n\
        60000,10.00000000,12.00000000,9.00000000,11.00000000,4.50000000\n\
        180000,11.00000000,11.00000000,11.00000000,11.00000000,0.00000000\n";

    #[test]
    fn a_hole_stays_a_hole_and_a_candle_ends_as_the_file_says() {
        let csv = Csv::parse(TEXT, Interval::M1).unwrap();
        assert_eq!((csv.tick, csv.step), (100_000_000, 450_000_000));
        assert_eq!(csv.span(120_000, 180_000, 999_999), None);
        let row = csv.span(60_000, 120_000, 120_000).unwrap();
        assert_eq!((row.open, row.high, row.low, row.close), (10, 12, 9, 11));
        assert_eq!(row.buy_quote + row.sell_quote, 450_000_000 * 42 / 4);
        assert_eq!(csv.span(180_000, 240_000, 240_000).unwrap().trades, 0);
    }

    #[test]
    fn an_open_candle_grows_towards_its_closed_state() {
        let csv = Csv::parse(TEXT, Interval::M1).unwrap();
        let done = csv.span(60_000, 120_000, 120_000).unwrap();
        let mut last = csv.span(60_000, 120_000, 60_001).unwrap();
        assert_eq!((last.open, last.close), (10, 10));
        for at in (60_002..=120_000).step_by(997) {
            let now = csv.span(60_000, 120_000, at).unwrap();
            assert!(now.high >= last.high && now.low <= last.low && now.trades >= last.trades);
            assert!(now.high <= done.high && now.low >= done.low && now.sell <= done.sell);
            last = now;
        }
    }

    #[test]
    fn a_bad_line_is_named() {
        let check = |line: &str, reason: &str| {
            let error = Csv::parse(&format!("header\n{line}"), Interval::M1).unwrap_err();
            assert!(error.starts_with("line 2: ") && error.contains(reason), "{error}");
        };
        check("60001,1,1,1,1,1", "grid");
        check("60000,1,1,1,1", "five numbers");
        check("60000,1,1,2,1,1", "out of order");
        check("60000,1,1,1,1,1.123456789", "eight decimals");
        check("x,1,1,1,1,1", "integer");
    }
}
