//! The engine: which symbols take a step, which run their history, and in what order.

use super::clock::{Clock, Link, Others, Record};
use super::exec;
use super::live::{Live, slot_of};
use super::outcome::Outcomes;
use super::plan::{Id, Plan, Step};
use super::texts::Texts;
use super::value::WARMING;
use crate::market::{Candles, Market};
use std::collections::HashMap;
use std::sync::Arc;
use vyx_core::{Interval, Millis, Symbol};

/// Evaluates the programs of one interval, candle after candle, and keeps what makes the next candle cheap.
///
/// A symbol that was evaluated once keeps its states until the engine is dropped.
pub struct Engine {
    pub(super) interval: Interval,
    pub(super) plan: Plan,
    /// By position in the plan; the first is the traders' own.
    pub(super) clocks: Vec<Clock>,
    /// By slot.
    pub(super) lanes: Vec<Symbols>,
    /// The `fire` nodes' values at the candle before, by node, then slot; empty for other nodes.
    pub(super) before: Vec<Vec<f64>>,
    slots: HashMap<Symbol, usize>,
    /// The generation of the plan: rises with every change of the programs.
    pub(super) version: u32,
}

/// Where one symbol stands.
#[derive(Clone, Debug)]
pub(super) struct Symbols {
    pub symbol: Symbol,
    /// The newest candle taken, with the first of its history.
    at: Option<(i64, i64)>,
    generation: u64,
    /// The plan's generation whose nodes are warm.
    pub version: u32,
    /// The other clocks' runs that this one stands on, by clock; none for a clock that no warm node reads.
    pub links: Vec<Option<Link>>,
    /// The last evaluation: what came out, of which candle, by which generation of the plan.
    pub state: State,
    pub state_before: State,
    /// By clock: the other clock's history was missing at the candle before.
    pub missing_before: Vec<bool>,
    evaluated: Option<(i64, u32)>,
}

/// What can be said of a symbol at a candle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There are values.
    Ready,
    /// There is no such candle.
    Absent,
    /// The history is not all there.
    Missing,
}

/// A symbol's candle that is to be evaluated, and what is known before.
struct Arrival {
    slot: usize,
    /// First ordinal of its history.
    start: i64,
    /// The candle before, in the same history.
    before: Option<i64>,
}

impl Engine {
    pub fn new(interval: Interval) -> Engine {
        let mut engine = Engine {
            interval,
            plan: Plan::build(interval, &[], &Texts::default()),
            clocks: Vec::new(),
            lanes: Vec::new(),
            before: Vec::new(),
            slots: HashMap::new(),
            version: 0,
        };
        engine.clocks.push(Clock::new(&engine.plan.clocks[0], 0, 0));
        engine
    }

    pub fn interval(&self) -> Interval {
        self.interval
    }

    /// How many different nodes the programs have together.
    pub fn nodes(&self) -> usize {
        self.plan.clocks.iter().map(|clock| clock.steps.len()).sum()
    }

    /// Evaluates all programs for candle `ordinal` of these symbols; one that is given twice is evaluated once.
    ///
    /// The caller has seen to it that all the series that are read are complete up to the candle's close; where they are
    /// not, the outcome is `HistoryMissing`. Evaluating the same candle again gives the same outcomes.
    pub fn evaluate(&mut self, market: &dyn Market, symbols: &[Symbol], ordinal: i64) -> Outcomes<'_> {
        let slots: Vec<usize> = symbols.iter().map(|symbol| self.slot(symbol)).collect();
        let mut candles = Candles::default();
        let mut arrivals = Vec::with_capacity(slots.len());
        for &slot in &slots {
            arrivals.extend(self.arrive(market, slot, ordinal, &mut candles));
        }
        arrivals.sort_unstable_by_key(|arrival: &Arrival| arrival.slot);
        arrivals.dedup_by_key(|arrival| arrival.slot);
        // All symbols first stand at the candle before, then all go on: clocks that they share move once.
        for Arrival { slot, before, .. } in &arrivals {
            self.stand_before(market, *slot, *before);
        }
        let mut stage = Candles::default();
        let mut stepping = Vec::with_capacity(arrivals.len());
        let close = self.interval.close_time(ordinal);
        for Arrival { slot, start, before } in arrivals {
            if let Some(before) = before
                && self.continues(market, slot, before, start, close)
            {
                candles.clear();
                market.closed(&self.lanes[slot].symbol, self.interval, ordinal, ordinal, &mut candles);
                // The market may have lost the candle since it was looked at.
                self.lanes[slot].at = (candles.len() == 1).then_some((ordinal, start));
                if candles.len() == 1 {
                    stage.set(slot, &candles, 0);
                    stepping.push(slot);
                }
            } else {
                self.run(market, slot, (ordinal, start), close, None, &mut Record::default(), &[]);
            }
            let lane = &mut self.lanes[slot];
            lane.evaluated = Some((ordinal, self.version));
            lane.state = if lane.at.is_some() { State::Ready } else { State::Missing };
        }
        self.step(&stepping, &stage, close);
        Outcomes::new(self, slots)
    }

    /// The slot of a symbol; a new symbol gets one.
    pub(super) fn slot(&mut self, symbol: &Symbol) -> usize {
        if let Some(slot) = self.slots.get(symbol) {
            return *slot;
        }
        let slot = self.lanes.len();
        self.slots.insert(*symbol, slot);
        let clocks = self.plan.clocks.len();
        self.lanes.push(Symbols {
            symbol: *symbol,
            at: None,
            generation: 0,
            version: self.version,
            links: vec![None; clocks],
            state: State::Absent,
            state_before: State::Absent,
            missing_before: vec![false; clocks],
            evaluated: None,
        });
        for (clock, plan) in self.clocks.iter_mut().zip(&self.plan.clocks) {
            if plan.key.symbol.is_none() {
                clock.grow(plan, slot + 1);
            }
        }
        for program in &self.plan.programs {
            self.before[program.fire as usize].resize(slot + 1, WARMING);
        }
        slot
    }

    /// Looks at a symbol's candle: nothing to do if it does not exist, was evaluated already, or lacks its history.
    fn arrive(&mut self, market: &dyn Market, slot: usize, ordinal: i64, candles: &mut Candles) -> Option<Arrival> {
        let interval = self.interval;
        let lane = &mut self.lanes[slot];
        let held = market.held(&lane.symbol, interval);
        let Some((held, start)) = held.and_then(|held| Some((held, held.start(&lane.symbol, interval, ordinal)?)))
        else {
            lane.at = None;
            lane.evaluated = None;
            (lane.state, lane.state_before) = (State::Missing, State::Missing);
            return None;
        };
        if lane.generation != held.generation {
            lane.at = None;
            lane.evaluated = None;
            lane.generation = held.generation;
        }
        if lane.evaluated == Some((ordinal, self.version)) {
            return None;
        }
        let known = lane.at.map(|(at, _)| at).filter(|at| *at >= start && *at < ordinal);
        candles.clear();
        market.closed(&lane.symbol, interval, known.map_or(start, |at| at + 1), ordinal, candles);
        let count = candles.len();
        if candles.ordinal.last() != Some(&ordinal) {
            lane.evaluated = None;
            (lane.state, lane.state_before) = (State::Absent, State::Absent);
            return None;
        }
        let before = if count >= 2 { Some(candles.ordinal[count - 2]) } else { known };
        Some(Arrival { slot, start, before })
    }

    /// Brings a symbol to the candle before, by that candle's own history, and keeps what its programs say there.
    fn stand_before(&mut self, market: &dyn Market, slot: usize, before: Option<i64>) {
        let Some(before) = before else {
            self.lanes[slot].at = None;
            self.lanes[slot].state_before = State::Absent;
            return;
        };
        let stands = self.lanes[slot].at.is_some_and(|(at, _)| at == before) && self.links_hold(market, slot, before);
        if !stands {
            self.lanes[slot].at = None;
        }
        if !stands || self.lanes[slot].version != self.version {
            let symbol = self.lanes[slot].symbol;
            let held = market.held(&symbol, self.interval);
            match held.and_then(|held| held.start(&symbol, self.interval, before)) {
                Some(start) => {
                    let plan = &self.plan.clocks[0];
                    let since = &self.clocks[0].since;
                    let new = |id: &Id| since[*id as usize] > self.lanes[slot].version;
                    // Where the symbol stands there already, only what is new to the plan has to be run.
                    let scope = stands.then(|| plan.closure(plan.all.iter().copied().filter(new)));
                    let time = self.interval.close_time(before);
                    self.run(market, slot, (before, start), time, scope, &mut Record::default(), &[]);
                }
                None => self.lanes[slot].at = None,
            }
        }
        let lane = &mut self.lanes[slot];
        lane.state_before = if lane.at.is_some() { State::Ready } else { State::Missing };
        lane.missing_before = lane.links.iter().map(|link| link.is_some_and(|link| link.missing)).collect();
        for (before, now) in self.before.iter_mut().zip(&self.clocks[0].columns) {
            if let Some(before) = before.get_mut(slot) {
                *before = now[slot];
            }
        }
    }

    fn links_hold(&self, market: &dyn Market, slot: usize, ordinal: i64) -> bool {
        let lane = &self.lanes[slot];
        let close = self.interval.close_time(ordinal);
        (1..self.clocks.len()).all(|position| {
            let symbol = self.symbol(position, slot);
            lane.links[position].is_none_or(|link| {
                self.clocks[position].holds(&self.plan.clocks[position], market, &symbol, link, close)
            })
        })
    }

    /// Brings the other clocks to `close`; whether the symbol's next candle, with history from `start`, goes on from the
    /// candle `before`, where it stands. What stands on a clock whose history starts anew is run again up to there.
    fn continues(&mut self, market: &dyn Market, slot: usize, before: i64, start: i64, close: Millis) -> bool {
        let mut anew = vec![false];
        for position in 1..self.clocks.len() {
            self.advance(market, position, slot, close, false);
            anew.push(Some(self.link(position, slot)) != self.lanes[slot].links[position]);
        }
        if self.lanes[slot].at != Some((before, start)) {
            return false;
        }
        if anew.contains(&true) {
            let scope = self.plan.clocks[0].closure(self.plan.clocks[0].readers(&anew));
            self.run(market, slot, (before, start), close, Some(scope), &mut Record::default(), &[]);
        }
        self.lanes[slot].at.is_some()
    }

    /// Runs a symbol's history up to a candle, given with the first ordinal of the history: all nodes, or those of
    /// `scope`. The other clocks' histories are those of their newest candles at `time`. Values of `wanted` nodes are
    /// recorded.
    #[expect(clippy::too_many_arguments, reason = "what is run, how far, on what, and what is kept of it")]
    pub(super) fn run(
        &mut self,
        market: &dyn Market,
        slot: usize,
        (ordinal, start): (i64, i64),
        time: Millis,
        scope: Option<Vec<Id>>,
        record: &mut Record,
        wanted: &[Id],
    ) {
        let plan = &self.plan.clocks[0];
        let mut read = vec![false; self.clocks.len()];
        for id in scope.as_ref().unwrap_or(&plan.all) {
            if let Step::Align(clock, _) = plan.steps[*id as usize] {
                read[usize::from(clock)] = true;
            }
        }
        let mut candles = Candles::default();
        market.closed(&self.lanes[slot].symbol, self.interval, start, ordinal, &mut candles);
        let mut others = Others::default();
        for (position, read) in read.iter().enumerate().skip(1) {
            let run = self.advance(market, position, slot, time, *read);
            let closes = candles.ordinal.iter().map(|ordinal| self.interval.close_time(*ordinal));
            others.push(run, self.plan.clocks[position].key.interval, closes);
            self.lanes[slot].links[position] = Some(self.link(position, slot));
        }
        let plan = &self.plan.clocks[0];
        let scope = scope.as_ref().unwrap_or(&plan.all);
        self.clocks[0].states.reset(plan, scope, slot);
        self.clocks[0].stream(plan, scope, slot, &candles, &others, wanted, record);
        let lane = &mut self.lanes[slot];
        // The market may have lost the candle since it was looked at; then there is no value.
        lane.at = (candles.ordinal.last() == Some(&ordinal)).then_some((ordinal, start));
        lane.version = self.version;
    }

    /// One new candle for each of these slots, all closing at `close`.
    fn step(&mut self, slots: &[usize], stage: &Candles, close: Millis) {
        if slots.is_empty() {
            return;
        }
        let (own, others) = self.clocks.split_at_mut(1);
        let own = &mut own[0];
        let plans = &self.plan.clocks;
        let fresh: Vec<_> = slots.iter().map(|slot| (*slot, *slot)).collect();
        let fresh = &fresh;
        let lanes =
            Live { interval: self.interval, fresh, width: self.lanes.len(), stage, others, plans: &plans[1..], close };
        exec::run(&plans[0], &plans[0].all, &mut own.columns, &mut own.states, &lanes);
    }

    fn advance(
        &mut self,
        market: &dyn Market,
        position: usize,
        slot: usize,
        time: Millis,
        record: bool,
    ) -> Arc<Record> {
        let symbol = self.symbol(position, slot);
        let plan = &self.plan.clocks[position];
        let slot = slot_of(plan, slot);
        self.clocks[position].advance(plan, market, &symbol, slot, time, record)
    }

    /// Whether the history of another clock is not all there for the symbol's candle.
    pub(super) fn misses(&self, position: u16, slot: usize) -> bool {
        self.lanes[slot].links[usize::from(position)].is_some_and(|link| link.missing)
    }

    fn link(&self, position: usize, slot: usize) -> Link {
        self.clocks[position].runs[slot_of(&self.plan.clocks[position], slot)].link
    }

    fn symbol(&self, position: usize, slot: usize) -> Symbol {
        self.plan.clocks[position].key.symbol.unwrap_or(self.lanes[slot].symbol)
    }
}
