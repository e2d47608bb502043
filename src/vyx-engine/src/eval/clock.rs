//! The runs of one clock: for each slot the states and newest values of its nodes, and how they are brought forward.

use super::bank::Over;
use super::exec::{self, Lane, Lanes};
use super::plan::{ClockPlan, Id, Step};
use super::state::States;
use super::value::WARMING;
use crate::market::{Candles, Market};
use crate::program::Field;
use std::sync::Arc;
use vyx_core::{Interval, Millis, Symbol};

/// Candles that are evaluated at once: columns of this length stay in the cache.
pub(super) const CHUNK: usize = 64;

/// All runs of one clock.
#[derive(Default)]
pub(super) struct Clock {
    /// The newest values of the nodes that the plan keeps, by node, then place.
    newest: Vec<Vec<f64>>,
    pub states: States,
    /// The generation of the plan in which each node was new.
    pub since: Vec<u32>,
    /// For clocks other than the traders' own.
    pub runs: Vec<Run>,
    /// The columns of all nodes for the candles that are evaluated.
    pub scratch: Vec<Vec<f64>>,
    /// The generation of the plan.
    version: u32,
    pub stop: Option<fn() -> bool>,
    /// The newest recorded run of a clock that all symbols share.
    recorded: Option<(Run, Arc<Record>)>,
}

/// How far a slot's run of another clock has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Run {
    /// The newest candle taken.
    at: Option<i64>,
    /// The newest ordinal that was looked for.
    looked: i64,
    version: u32,
    pub link: Link,
}

/// What of another clock's run the traders' own run stands on: if it changes, so does history.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Link {
    /// First ordinal of the history, `None` where there is no candle.
    start: Option<i64>,
    pub generation: u64,
    /// The history is not all there.
    pub missing: bool,
}

/// The values of some nodes over a whole run.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub ordinals: Vec<i64>,
    /// By node; empty for those that were not asked for.
    pub columns: Vec<Vec<f64>>,
}

impl Clock {
    /// Nothing warm yet, of so many symbols and states. `version` is the plan's generation.
    pub fn new(plan: &ClockPlan, places: usize, slots: usize, version: u32, stop: Option<fn() -> bool>) -> Clock {
        let mut newest = vec![Vec::new(); plan.steps.len()];
        for &id in &plan.kept {
            newest[id as usize].resize(places, initial(plan.steps[id as usize]));
        }
        Clock {
            newest,
            states: States::new(plan, slots),
            since: vec![version; plan.steps.len()],
            runs: vec![Run::default(); places],
            scratch: plan.steps.iter().map(|step| vec![initial(*step); CHUNK]).collect(),
            version,
            stop,
            recorded: None,
        }
    }

    pub fn grow(&mut self, plan: &ClockPlan, places: usize, slots: usize) {
        for &id in &plan.kept {
            self.newest[id as usize].resize(places, initial(plan.steps[id as usize]));
        }
        self.states.grow(slots);
        self.runs.resize(places, Run::default());
    }

    /// Takes over from a clock of the plan before what is equal there. `node` and `call` give the old numbers.
    pub fn adopt(&mut self, old: &mut Clock, nodes: &[Option<Id>], calls: &[Option<u32>]) {
        for (id, theirs) in nodes.iter().enumerate().filter_map(|(id, theirs)| Some((id, (*theirs)?))) {
            self.since[id] = old.since[theirs as usize];
            let newest = std::mem::take(&mut old.newest[theirs as usize]);
            match (self.newest[id].is_empty(), newest.is_empty()) {
                (false, false) => self.newest[id] = newest,
                // It was computed, but not kept.
                (false, true) => self.since[id] = self.version,
                (true, _) => {}
            }
            self.states.adopt_ring(id as Id, &mut old.states, theirs);
        }
        for (call, theirs) in calls.iter().enumerate().filter_map(|(call, theirs)| Some((call, (*theirs)?))) {
            self.states.adopt_call(call as u32, &mut old.states, theirs);
        }
        self.runs = std::mem::take(&mut old.runs);
        if self.since.iter().all(|since| *since < self.version) {
            // Nothing is new here, so what was warm stays so.
            self.runs
                .iter_mut()
                .filter(|run| run.version + 1 == self.version)
                .for_each(|run| run.version = self.version);
        }
    }

    /// Streams candles through the nodes of `scope` and the states of one slot; only the last [`CHUNK`] of them through
    /// nodes that remember nothing, unless values are `wanted`, which are appended to the record. Gives the lane of
    /// the last candle, whose values are left in the columns.
    #[expect(clippy::too_many_arguments, reason = "what is run, through which states, and what is kept of it")]
    pub fn stream(
        &mut self,
        plan: &ClockPlan,
        scope: &[Id],
        slot: usize,
        candles: &Candles,
        others: &Others,
        wanted: &[Id],
        record: &mut Record,
    ) -> Option<usize> {
        record.columns.resize(plan.steps.len(), Vec::new());
        record.ordinals.extend(&candles.ordinal);
        let core = (wanted.is_empty() && candles.len() > CHUNK).then(|| plan.core_of(scope));
        let mut last = None;
        let mut from = 0;
        while from < candles.len() {
            // The last chunk is a whole one.
            let left = candles.len() - from;
            let length = if left > CHUNK && left < 2 * CHUNK { left - CHUNK } else { CHUNK.min(left) };
            let scope = core.as_deref().filter(|_| from + length < candles.len()).unwrap_or(scope);
            let lanes = Past { slot, interval: plan.key.interval, candles, from, length, others };
            exec::run(plan, scope, &mut self.scratch, &mut self.states, &lanes, self.stop);
            for &id in wanted {
                record.columns[id as usize].extend(&self.scratch[id as usize][..length]);
            }
            from += length;
            last = Some(length - 1);
        }
        last
    }

    /// Keeps what the columns hold for these places, lane after lane, of the nodes that were computed.
    pub fn keep(&mut self, plan: &ClockPlan, scope: &[Id], from: usize, places: &[usize]) {
        let all = scope.len() == plan.steps.len();
        for &id in plan.kept.iter().filter(|id| all || scope.binary_search(id).is_ok()) {
            let values = &self.scratch[id as usize][from..];
            places.iter().zip(values).for_each(|(place, value)| self.newest[id as usize][*place] = *value);
        }
    }

    /// Brings a slot's run to its newest candle that is closed at `time`. With `record` the run is made from its anchor,
    /// and the values of the nodes that others read are returned.
    pub fn advance(
        &mut self,
        plan: &ClockPlan,
        market: &dyn Market,
        symbol: &Symbol,
        slot: usize,
        time: Millis,
        record: bool,
    ) -> Arc<Record> {
        let interval = plan.key.interval;
        let through = interval.last_closed(time);
        let Some((held, earliest)) = reach(market, symbol, interval, through) else {
            return self.missing(plan, slot, market.held(symbol, interval).map_or(0, |held| held.generation));
        };
        let run = self.runs[slot];
        let warm = run.version == self.version
            && run.link.generation == held.generation
            && !run.link.missing
            && run.looked <= through
            && run.at.is_some_and(|at| at >= earliest);
        let mut candles = Candles::default();
        let mut recorded = Record::default();
        if warm && !record {
            if run.looked == through {
                return Arc::default();
            }
            market.closed(symbol, interval, run.looked + 1, through, &mut candles);
            let newest = candles.ordinal.last().copied();
            if newest.is_none_or(|at| held.start(symbol, interval, at) == run.link.start) {
                self.stream_all(plan, slot, &candles, &[], &mut recorded);
                self.runs[slot] = Run { at: newest.or(run.at), looked: through, ..run };
                return Arc::default();
            }
            candles.clear();
        }
        if let Some((same, record)) = &self.recorded
            && warm
            && *same == run
            && run.looked == through
        {
            return Arc::clone(record);
        }
        market.closed(symbol, interval, earliest, through, &mut candles);
        let newest = candles.ordinal.last().copied();
        let start = newest.map(|at| held.start(symbol, interval, at));
        let start = match start {
            Some(None) => return self.missing(plan, slot, held.generation),
            Some(Some(start)) => Some(start),
            None => None,
        };
        if let Some(start) = start.filter(|start| *start != earliest) {
            candles.clear();
            market.closed(symbol, interval, start, through, &mut candles);
        }
        self.forget(plan, slot);
        let wanted: &[Id] = if record || plan.key.symbol.is_some() { &plan.kept } else { &[] };
        self.stream_all(plan, slot, &candles, wanted, &mut recorded);
        let link = Link { start, generation: held.generation, missing: false };
        self.runs[slot] = Run { at: newest, looked: through, version: self.version, link };
        let recorded = Arc::new(recorded);
        if plan.key.symbol.is_some() {
            self.recorded = Some((self.runs[slot], Arc::clone(&recorded)));
        }
        recorded
    }

    /// Streams candles through what remembers something, and nothing else.
    pub fn stream_core(&mut self, plan: &ClockPlan, slot: usize, candles: &Candles, others: &Others) {
        self.stream(plan, &plan.core, slot, candles, others, &[], &mut Record::default());
    }

    /// Another clock's candles, of which all is kept.
    fn stream_all(&mut self, plan: &ClockPlan, slot: usize, candles: &Candles, wanted: &[Id], record: &mut Record) {
        if let Some(last) = self.stream(plan, &plan.all, slot, candles, &Others::default(), wanted, record) {
            self.keep(plan, &plan.all, last, &[slot]);
        }
    }

    /// The newest value of a node for a slot; warming while the run has no candle.
    pub fn newest(&self, node: Id, slot: usize) -> f64 {
        if self.runs[slot].at.is_some() { self.newest[node as usize][slot] } else { WARMING }
    }

    /// What was kept of a node.
    pub fn kept(&self, node: Id, place: usize) -> f64 {
        self.newest[node as usize][place]
    }

    /// Whether a run that stands on `link` still does, as far as the market has changed other than by new candles.
    pub fn holds(&self, plan: &ClockPlan, market: &dyn Market, symbol: &Symbol, link: Link, time: Millis) -> bool {
        let interval = plan.key.interval;
        match reach(market, symbol, interval, interval.last_closed(time)) {
            Some((held, _)) => !link.missing && link.generation == held.generation,
            None => link.missing,
        }
    }

    fn missing(&mut self, plan: &ClockPlan, slot: usize, generation: u64) -> Arc<Record> {
        self.forget(plan, slot);
        let link = Link { start: None, generation, missing: true };
        self.runs[slot] = Run { at: None, looked: i64::MIN, version: self.version, link };
        Arc::default()
    }

    /// Back to before the first candle.
    fn forget(&mut self, plan: &ClockPlan, slot: usize) {
        self.states.reset(plan, &plan.all, slot);
        for &id in &plan.kept {
            self.newest[id as usize][slot] = initial(plan.steps[id as usize]);
        }
    }
}

/// What is held of a series, and the first ordinal of the history of the calendar's candle `through`; `None` where that
/// history is not all there.
fn reach(market: &dyn Market, symbol: &Symbol, interval: Interval, through: i64) -> Option<(crate::market::Held, i64)> {
    let held = market.held(symbol, interval)?;
    held.start(symbol, interval, through).map(|start| (held, start))
}

/// A node's value before the first candle.
fn initial(step: Step) -> f64 {
    match step {
        Step::Constant(bits) => f64::from_bits(bits),
        _ => WARMING,
    }
}

/// The other clocks' recorded runs, as a run of the traders' clock reads them.
#[derive(Default)]
pub(super) struct Others {
    /// By clock: the run, and for each of the reader's candles how many of the run's candles are closed by then.
    runs: Vec<(Arc<Record>, Vec<usize>)>,
}

impl Others {
    /// Adds the next clock, for a reader whose candles close at `closes`, in order.
    pub fn push(&mut self, record: Arc<Record>, interval: Interval, closes: impl Iterator<Item = Millis>) {
        let mut closed = 0;
        let counts = closes.map(|time| {
            let last = interval.last_closed(time);
            while record.ordinals.get(closed).is_some_and(|ordinal| *ordinal <= last) {
                closed += 1;
            }
            closed
        });
        let counts = counts.collect();
        self.runs.push((record, counts));
    }

    fn value(&self, clock: u16, node: Id, candle: usize) -> f64 {
        // The traders' own clock, number 0, is not among them.
        let (record, counts) = &self.runs[usize::from(clock) - 1];
        match counts[candle] {
            0 => WARMING,
            closed => record.columns[node as usize][closed - 1],
        }
    }
}

/// A piece of one slot's history.
struct Past<'a> {
    slot: usize,
    interval: Interval,
    candles: &'a Candles,
    from: usize,
    length: usize,
    others: &'a Others,
}

impl Lanes for Past<'_> {
    fn width(&self) -> usize {
        self.length
    }

    fn lanes(&self) -> impl Iterator<Item = Lane> {
        (0..self.length).map(|lane| Lane { lane, slot: self.slot, age: lane })
    }

    fn over(&self) -> Over<'_> {
        Over::Candles { slot: self.slot, length: self.length }
    }

    fn field(&self, field: Field, lane: usize) -> f64 {
        self.candles.field(self.interval, field, self.from + lane)
    }

    fn aligned(&self, clock: u16, node: Id, lane: usize) -> f64 {
        self.others.value(clock, node, self.from + lane)
    }

    fn close_time(&self, lane: usize) -> Millis {
        self.interval.close_time(self.candles.ordinal[self.from + lane])
    }
}
