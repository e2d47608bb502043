//! The engine: which symbols take a step, which run their history, and in what order.

use super::clock::{Clock, Link, Others, Record};
use super::exec::{self, Lane, Lanes};
use super::outcome::Outcomes;
use super::plan::{CallKey, ClockPlan, Id, Plan, Step, Texts};
use super::value::WARMING;
use crate::check::Checked;
use crate::market::{Candles, Market};
use crate::program::Field;
use std::collections::HashMap;
use std::sync::Arc;
use vyx_core::{Interval, Millis, Symbol};

/// A program of another interval was given to an engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("program {key} is for {found}, not {expected}")]
pub struct WrongInterval {
    pub key: u64,
    pub found: Interval,
    pub expected: Interval,
}

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
    version: u32,
}

/// Where one symbol stands.
#[derive(Clone, Debug)]
pub(super) struct Symbols {
    pub symbol: Symbol,
    /// The newest candle taken, with the first of its history.
    at: Option<(i64, i64)>,
    generation: u64,
    /// The plan's generation whose nodes are warm.
    version: u32,
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

    /// From now on evaluates these programs. Nodes that stay keep their states; the keys are the caller's.
    ///
    /// # Errors
    /// A program of another interval; nothing is changed then.
    pub fn set_programs(&mut self, programs: Vec<(u64, Arc<Checked>)>) -> Result<(), WrongInterval> {
        let expected = self.interval;
        if let Some((key, program)) = programs.iter().find(|(_, program)| program.interval() != expected) {
            return Err(WrongInterval { key: *key, found: program.interval(), expected });
        }
        self.version += 1;
        let plan = Plan::build(self.interval, &programs, &self.plan.texts);
        let old_plan = std::mem::replace(&mut self.plan, plan);
        let mut old_clocks = std::mem::take(&mut self.clocks);
        let mut old_before = std::mem::take(&mut self.before);
        // By clock: its old position, and each node's old number.
        let mut known: Vec<Option<(usize, Vec<Option<Id>>)>> = vec![None; self.plan.clocks.len()];
        let mut clocks: Vec<Clock> = Vec::with_capacity(self.plan.clocks.len());
        clocks.resize_with(self.plan.clocks.len(), Clock::default);
        // The traders' own clock last, since it refers to the others.
        for position in (0..self.plan.clocks.len()).rev() {
            let plan = &self.plan.clocks[position];
            let slots = if plan.key.symbol.is_some() { 1 } else { self.lanes.len() };
            clocks[position] = Clock::new(plan, slots, self.version);
            let Some(old) = old_plan.clocks.iter().position(|clock| clock.key == plan.key) else { continue };
            let (nodes, calls) = correspond(plan, &old_plan.clocks[old], |clock, node| {
                let (old, nodes) = known[usize::from(clock)].as_ref()?;
                Some((u16::try_from(*old).ok()?, nodes[node as usize]?))
            });
            clocks[position].adopt(&mut old_clocks[old], &nodes, &calls);
            known[position] = Some((old, nodes));
        }
        self.clocks = clocks;
        self.before = vec![Vec::new(); self.plan.clocks[0].steps.len()];
        for fire in self.plan.programs.iter().map(|program| program.fire as usize) {
            let old = known[0].as_ref().and_then(|(_, nodes)| nodes[fire]);
            let column = old.map(|old| std::mem::take(&mut old_before[old as usize])).unwrap_or_default();
            if self.before[fire].is_empty() {
                self.before[fire] = column;
                self.before[fire].resize(self.lanes.len(), WARMING);
            }
        }
        let new = self.clocks[0].since.contains(&self.version);
        for lane in &mut self.lanes {
            let old = |known: &Option<(usize, Vec<_>)>| known.as_ref().map(|(position, _)| *position);
            lane.links = known.iter().map(|k| old(k).and_then(|p| lane.links.get(p).copied().flatten())).collect();
            lane.missing_before =
                known.iter().map(|k| old(k).is_some_and(|p| lane.missing_before.get(p) == Some(&true))).collect();
            if !new && lane.version + 1 == self.version {
                lane.version = self.version;
            }
        }
        Ok(())
    }

    /// Evaluates all programs for candle `ordinal` of these symbols, each given once.
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
        // All symbols first stand at the candle before, then all go on: clocks that they share move once.
        for Arrival { slot, before, .. } in &arrivals {
            self.stand_before(market, *slot, *before);
        }
        let mut stage = Candles::default();
        let mut stepping = Vec::with_capacity(arrivals.len());
        let close = self.interval.close_time(ordinal);
        for Arrival { slot, start, before } in arrivals {
            if before.is_some() && self.continues(market, slot, start, close) {
                candles.clear();
                market.closed(&self.lanes[slot].symbol, self.interval, ordinal, ordinal, &mut candles);
                stage.set(slot, &candles, 0);
                stepping.push(slot);
                self.lanes[slot].at = Some((ordinal, start));
            } else {
                self.run(market, slot, ordinal, start, &mut Record::default(), &[]);
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
                Some(start) => self.run(market, slot, before, start, &mut Record::default(), &[]),
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

    /// Brings the other clocks to `close`; whether the symbol's next candle, with history from `start`, goes on from
    /// where it stands.
    fn continues(&mut self, market: &dyn Market, slot: usize, start: i64, close: Millis) -> bool {
        let mut same = self.lanes[slot].at.is_some_and(|(_, own)| own == start);
        for position in 1..self.clocks.len() {
            self.advance(market, position, slot, close, false);
            same &= Some(self.link(position, slot)) == self.lanes[slot].links[position];
        }
        same
    }

    /// Runs a symbol's history from `start` to `ordinal`: all nodes, or only what is new to the plan if the symbol
    /// stands there already. Values of `wanted` nodes are recorded.
    pub(super) fn run(
        &mut self,
        market: &dyn Market,
        slot: usize,
        ordinal: i64,
        start: i64,
        record: &mut Record,
        wanted: &[Id],
    ) {
        let lane = &self.lanes[slot];
        let plan = &self.plan.clocks[0];
        let partly = (lane.at.is_some_and(|(at, _)| at == ordinal) && wanted.is_empty()).then(|| {
            plan.closure(plan.all.iter().copied().filter(|id| self.clocks[0].since[*id as usize] > lane.version))
        });
        let scope = partly.as_ref().unwrap_or(&plan.all);
        let mut read = vec![false; self.clocks.len()];
        for id in scope {
            if let Step::Align(clock, _) = plan.steps[*id as usize] {
                read[usize::from(clock)] = true;
            }
        }
        let close = self.interval.close_time(ordinal);
        let mut candles = Candles::default();
        market.closed(&lane.symbol, self.interval, start, ordinal, &mut candles);
        let mut others = Others::default();
        for (position, read) in read.iter().enumerate().skip(1) {
            let run = self.advance(market, position, slot, close, *read);
            let closes = candles.ordinal.iter().map(|ordinal| self.interval.close_time(*ordinal));
            others.push(run, self.plan.clocks[position].key.interval, closes);
            self.lanes[slot].links[position] = Some(self.link(position, slot));
        }
        let plan = &self.plan.clocks[0];
        let scope = partly.as_ref().unwrap_or(&plan.all);
        self.clocks[0].states.reset(plan, scope, slot);
        self.clocks[0].stream(plan, scope, slot, &candles, &others, wanted, record);
        let lane = &mut self.lanes[slot];
        lane.at = Some((ordinal, start));
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
        let lanes =
            Live { interval: self.interval, slots, width: self.lanes.len(), stage, others, plans: &plans[1..], close };
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

/// The slot of a symbol's run on a clock: a clock of a fixed symbol has one for all.
fn slot_of(plan: &ClockPlan, slot: usize) -> usize {
    if plan.key.symbol.is_some() { 0 } else { slot }
}

/// The old number of each node and each call of a clock, where there is an equal one. `align` renumbers what other
/// clocks' nodes are referred to by.
fn correspond(
    plan: &ClockPlan,
    old: &ClockPlan,
    align: impl Fn(u16, Id) -> Option<(u16, Id)>,
) -> (Vec<Option<Id>>, Vec<Option<u32>>) {
    let mut nodes: Vec<Option<Id>> = Vec::with_capacity(plan.steps.len());
    let mut calls: Vec<Option<u32>> = vec![None; plan.calls.len()];
    for step in &plan.steps {
        if let Step::Call(call, 0) = step {
            let key = plan.calls[*call as usize].renumbered(|id| nodes[id as usize]);
            calls[*call as usize] = key.and_then(|key: CallKey| old.find_call(&key));
        }
        let step = step.renumbered(|id| nodes[id as usize], |call| calls[call as usize], &align);
        nodes.push(step.and_then(|step| old.find(step)));
    }
    (nodes, calls)
}

/// One new candle of many symbols; the lane of a symbol is its slot.
struct Live<'a> {
    interval: Interval,
    slots: &'a [usize],
    width: usize,
    /// By slot.
    stage: &'a Candles,
    others: &'a [Clock],
    plans: &'a [ClockPlan],
    close: Millis,
}

impl Lanes for Live<'_> {
    fn width(&self) -> usize {
        self.width
    }

    fn fresh(&self) -> impl Iterator<Item = Lane> {
        self.slots.iter().map(|slot| Lane { lane: *slot, slot: *slot, age: 0 })
    }

    fn field(&self, field: Field, lane: usize) -> f64 {
        self.stage.field(self.interval, field, lane)
    }

    fn aligned(&self, clock: u16, node: Id, lane: usize) -> f64 {
        let other = usize::from(clock) - 1;
        self.others[other].newest(node, slot_of(&self.plans[other], lane))
    }

    fn close_time(&self, _: usize) -> Millis {
        self.close
    }
}
