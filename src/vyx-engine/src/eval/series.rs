//! One program over many candles of one symbol, each by its own history: for charts, backtests and questions.

use super::clock::Record;
use super::outcome::{NotReady, Outcome, Value, outcome};
use super::plan::Id;
use super::run::{Engine, State};
use crate::check::Checked;
use crate::market::{Candles, Market, anchor};
use std::sync::Arc;
use vyx_core::Symbol;

/// What a program says of each candle, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub ordinals: Vec<i64>,
    pub outcomes: Vec<Outcome>,
    /// By metadata field in the program's order, then candle.
    pub fields: Vec<Vec<Value>>,
}

impl Series {
    /// What a program says of one symbol's existing closed candles with ordinals `from..=through`.
    pub fn of(program: &Arc<Checked>, market: &dyn Market, symbol: &Symbol, from: i64, through: i64) -> Series {
        Replay::new(program).series(market, symbol, from, through, &mut || ())
    }
}

/// One program, asked about one symbol after another.
///
/// What all symbols read of one, as `symbol("BTCUSDT").close`, is run once for those that end at the same candle.
pub struct Replay {
    program: Arc<Checked>,
    engine: Engine,
    /// Symbols that the engine has states of.
    symbols: usize,
}

/// Symbols after which the engine is made anew: it keeps states for each, of up to 128 KiB.
const MOST_SYMBOLS: usize = 64;

impl Replay {
    pub fn new(program: &Arc<Checked>) -> Replay {
        Replay { program: Arc::clone(program), engine: engine(program), symbols: 0 }
    }

    /// Evaluates the existing closed candles with ordinals `from..=through`. `pause` is called before each run of history,
    /// of which one takes some milliseconds at most; it may unwind, and then this is of no more use.
    ///
    /// Candles with the same anchors on every clock share one run, so 256 candles cost some two runs.
    pub fn series(
        &mut self,
        market: &dyn Market,
        symbol: &Symbol,
        from: i64,
        through: i64,
        pause: &mut dyn FnMut(),
    ) -> Series {
        if self.symbols == MOST_SYMBOLS {
            (self.engine, self.symbols) = (engine(&self.program), 0);
        }
        self.symbols += 1;
        let engine = &mut self.engine;
        let slot = engine.place(symbol);
        let mut candles = Candles::default();
        market.closed(symbol, engine.interval, from, through, &mut candles);
        let mut series = Series { fields: vec![Vec::new(); engine.plan.programs[0].fields.len()], ..Series::default() };
        let anchors = engine.anchors(market, symbol, &candles.ordinal);
        let mut first = 0;
        for end in 1..=candles.len() {
            if end == candles.len() || anchors[end] != anchors[first] {
                pause();
                engine.add(market, slot, &candles.ordinal[first..end], &mut series);
                first = end;
            }
        }
        series
    }
}

fn engine(program: &Arc<Checked>) -> Engine {
    let mut engine = Engine::new(program.interval());
    engine.set_programs(vec![(0, Arc::clone(program))]).expect("the engine has the program's interval");
    engine
}

impl Engine {
    /// For each candle the anchors of all clocks' histories.
    fn anchors(&self, market: &dyn Market, symbol: &Symbol, ordinals: &[i64]) -> Vec<Vec<Option<i64>>> {
        let [Some(first), Some(last)] = [ordinals.first(), ordinals.last()] else { return Vec::new() };
        let (opens, closes) = (self.interval.close_time(*first), self.interval.close_time(*last));
        let mut anchors: Vec<_> =
            ordinals.iter().map(|ordinal| vec![Some(anchor(symbol, self.interval, *ordinal))]).collect();
        for plan in &self.plan.clocks[1..] {
            let (symbol, interval) = (plan.key.symbol.unwrap_or(*symbol), plan.key.interval);
            let mut candles = Candles::default();
            let earliest = anchor(&symbol, interval, interval.last_closed(opens));
            market.closed(&symbol, interval, earliest, interval.last_closed(closes), &mut candles);
            for (anchors, ordinal) in anchors.iter_mut().zip(ordinals) {
                let last = interval.last_closed(self.interval.close_time(*ordinal));
                let closed = candles.ordinal.partition_point(|ordinal| *ordinal <= last);
                let newest = closed.checked_sub(1).map(|index| anchor(&symbol, interval, candles.ordinal[index]));
                anchors.push(newest);
            }
        }
        anchors
    }

    /// Evaluates candles that share all anchors, by one run of history.
    fn add(&mut self, market: &dyn Market, slot: usize, ordinals: &[i64], series: &mut Series) {
        let (program, symbol) = (&self.plan.programs[0], self.lanes[slot].symbol);
        let (fire, fields, clocks) = (self.plan.fires[program.fire], program.fields.clone(), program.clocks.clone());
        let last = ordinals[ordinals.len() - 1];
        let held = market.held(&symbol, self.interval);
        let mut record = Record::default();
        let start = held.and_then(|held| held.start(&symbol, self.interval, last));
        if let Some(start) = start {
            let mut wanted: Vec<Id> = fields.iter().map(|(node, _)| *node).chain([fire]).collect();
            wanted.sort_unstable();
            wanted.dedup();
            let time = self.interval.close_time(last);
            self.run(market, slot, (last, start), time, None, &mut record, &wanted);
        }
        let missing = clocks.iter().any(|clock| self.misses(*clock, slot));
        for ordinal in ordinals {
            let index = record.ordinals.binary_search(ordinal).ok();
            let (state, value) = match index {
                Some(index) => (State::Ready, record.columns[fire as usize][index]),
                None => (State::Missing, super::value::WARMING),
            };
            series.ordinals.push(*ordinal);
            series.outcomes.push(outcome(state, missing, super::said::code(value)));
            for (column, (node, kind)) in series.fields.iter_mut().zip(&fields) {
                column.push(match index {
                    Some(index) if !missing => self.value(*kind, record.columns[*node as usize][index]),
                    _ => Value::NotReady(NotReady::HistoryMissing),
                });
            }
        }
    }
}
