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
    pub signals: Vec<Signal>,
    /// The most signals of one trader and symbol.
    pub rounds: usize,
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

#[derive(Debug, Serialize)]
pub struct Signal {
    pub id: Uuid,
    #[serde(flatten)]
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
            rounds: 0,
            failures: Vec::new(),
            recovered: Vec::new(),
            tallies: Vec::new(),
            cycles: BTreeMap::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.watermarks.is_empty() && self.finished.is_empty()
    }

    /// Counts how often a trader fired on the same symbol; nearly always once.
    pub fn count_rounds(&mut self) {
        let mut counts: HashMap<(Uuid, &str), usize> = HashMap::with_capacity(self.signals.len());
        for signal in &self.signals {
            *counts.entry((signal.pair.trader_id, &signal.pair.symbol)).or_default() += 1;
        }
        self.rounds = counts.into_values().max().unwrap_or(0);
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
