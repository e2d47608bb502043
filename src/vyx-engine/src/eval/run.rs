//! The engine: which symbols take a step, which run their history, and in what order.

use super::clock::{CHUNK, Clock, Link, Record};
use super::exec;
use super::live::Live;
use super::outcome::Outcomes;
use super::plan::{Id, Plan};
use super::prepare::Prepared;
use super::said::Said;
use super::texts::Texts;
use crate::market::{Candles, Market};
use std::collections::HashMap;
use vyx_core::{Interval, Millis, Symbol};

/// Evaluates the programs of one interval, candle after candle, and keeps what makes the next candle cheap.
///
/// A symbol that was evaluated once keeps its states until the engine is dropped.
pub struct Engine {
    pub(super) interval: Interval,
    pub(super) plan: Plan,
    /// By position in the plan; the first is the traders' own.
    pub(super) clocks: Vec<Clock>,
    /// By place.
    pub(super) lanes: Vec<Symbols>,
    pub(super) said: Said,
    places: HashMap<Symbol, usize>,
    /// States of the traders' own clock: one set a symbol, and those of prepared histories.
    pub(super) slots: usize,
    /// Sets of states that nobody uses.
    pub(super) spare: Vec<usize>,
    /// The generation of the plan: rises with every change of the programs.
    pub(super) version: u32,
    pub(super) stop: Option<fn() -> bool>,
}

/// Where one symbol stands.
#[derive(Clone, Debug)]
pub(super) struct Symbols {
    pub symbol: Symbol,
    /// Which states are its own.
    pub slot: usize,
    /// The history that its next candle will need, where that starts anew.
    pub prepared: Option<Prepared>,
    /// The newest candle taken, with the first of its history.
    pub at: Option<(i64, i64)>,
    pub generation: u64,
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
    place: usize,
    /// Where it lies among the candles that are read.
    candle: usize,
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
            said: Said::default(),
            places: HashMap::new(),
            slots: 0,
            spare: Vec::new(),
            version: 0,
            stop: None,
        };
        engine.clocks.push(Clock::new(&engine.plan.clocks[0], 0, 0, 0, engine.stop));
        engine
    }

    /// Has `stop` asked every tenth of a second or more often, however much there is to evaluate. When it says yes, what
    /// is going on ends by unwinding with [`Stopped`], and the engine is of no use any more.
    #[must_use]
    pub fn stopped_when(mut self, stop: fn() -> bool) -> Engine {
        self.stop = Some(stop);
        self.clocks.iter_mut().for_each(|clock| clock.stop = Some(stop));
        self
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
        let places: Vec<usize> = symbols.iter().map(|symbol| self.place(symbol)).collect();
        let (mut candles, mut read) = (Candles::default(), Candles::default());
        let mut arrivals = Vec::with_capacity(places.len());
        for &place in &places {
            arrivals.extend(self.arrive(market, place, ordinal, &mut read, &mut candles));
        }
        arrivals.sort_unstable_by_key(|arrival: &Arrival| arrival.place);
        arrivals.dedup_by_key(|arrival| arrival.place);
        // All symbols first stand at the candle before, then all go on: clocks that they share move once.
        for Arrival { place, before, .. } in &arrivals {
            self.stand_before(market, *place, *before);
        }
        let mut stage = Candles::default();
        let mut stepping = Vec::with_capacity(arrivals.len());
        let close = self.interval.close_time(ordinal);
        for Arrival { place, candle, start, before } in arrivals {
            if let Some(before) = before
                && self.continues(market, place, before, start, close)
            {
                self.lanes[place].at = Some((ordinal, start));
                stage.take(&candles, candle);
                stepping.push(place);
            } else {
                self.said.pass(place);
                self.run(market, place, (ordinal, start), close, None, &mut Record::default(), &[]);
            }
            let lane = &mut self.lanes[place];
            lane.evaluated = Some((ordinal, self.version));
            lane.state = if lane.at.is_some() { State::Ready } else { State::Missing };
        }
        self.step(&stepping, &stage, close);
        Outcomes::new(self, places)
    }

    /// The place of a symbol; a new symbol gets one.
    pub(super) fn place(&mut self, symbol: &Symbol) -> usize {
        if let Some(place) = self.places.get(symbol) {
            return *place;
        }
        let place = self.lanes.len();
        self.places.insert(*symbol, place);
        let slot = self.spare.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        let clocks = self.plan.clocks.len();
        self.lanes.push(Symbols {
            symbol: *symbol,
            slot,
            prepared: None,
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
            if plan.key == self.plan.clocks[0].key {
                clock.grow(plan, place + 1, self.slots);
            } else if plan.key.symbol.is_none() {
                clock.grow(plan, place + 1, place + 1);
            }
        }
        self.said.grow(place + 1);
        place
    }

    /// Looks at a symbol's candle: nothing to do if it does not exist, was evaluated already, or lacks its history.
    /// Its candle is added to `candles`; `read` is for what is read.
    fn arrive(
        &mut self,
        market: &dyn Market,
        place: usize,
        ordinal: i64,
        read: &mut Candles,
        candles: &mut Candles,
    ) -> Option<Arrival> {
        let interval = self.interval;
        let lane = &mut self.lanes[place];
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
        read.clear();
        market.closed(&lane.symbol, interval, known.map_or(start, |at| at + 1), ordinal, read);
        let count = read.len();
        if read.ordinal.last() != Some(&ordinal) {
            lane.evaluated = None;
            (lane.state, lane.state_before) = (State::Absent, State::Absent);
            return None;
        }
        let before = if count >= 2 { Some(read.ordinal[count - 2]) } else { known };
        candles.take(read, count - 1);
        Some(Arrival { place, candle: candles.len() - 1, start, before })
    }

    /// Brings a symbol to the candle before, by that candle's own history, and keeps what its programs say there.
    fn stand_before(&mut self, market: &dyn Market, place: usize, before: Option<i64>) {
        let Some(before) = before else {
            self.lanes[place].at = None;
            self.lanes[place].state_before = State::Absent;
            return;
        };
        let stands = self.lanes[place].at.is_some_and(|(at, _)| at == before) && self.links_hold(market, place, before);
        if !stands {
            self.lanes[place].at = None;
        }
        if !stands || self.lanes[place].version != self.version {
            let symbol = self.lanes[place].symbol;
            let held = market.held(&symbol, self.interval);
            match held.and_then(|held| held.start(&symbol, self.interval, before)) {
                Some(start) => {
                    let plan = &self.plan.clocks[0];
                    let since = &self.clocks[0].since;
                    let new = |id: &Id| since[*id as usize] > self.lanes[place].version;
                    // Where the symbol stands there already, only what is new to the plan has to be run.
                    let scope = stands.then(|| plan.closure(plan.all.iter().copied().filter(new)));
                    let time = self.interval.close_time(before);
                    self.run(market, place, (before, start), time, scope, &mut Record::default(), &[]);
                }
                None => self.lanes[place].at = None,
            }
        }
        let lane = &mut self.lanes[place];
        lane.state_before = if lane.at.is_some() { State::Ready } else { State::Missing };
        lane.missing_before = lane.links.iter().map(|link| link.is_some_and(|link| link.missing)).collect();
    }

    fn links_hold(&self, market: &dyn Market, place: usize, ordinal: i64) -> bool {
        let lane = &self.lanes[place];
        let close = self.interval.close_time(ordinal);
        (1..self.clocks.len()).all(|position| {
            let symbol = self.symbol(position, place);
            lane.links[position].is_none_or(|link| {
                self.clocks[position].holds(&self.plan.clocks[position], market, &symbol, link, close)
            })
        })
    }

    /// Brings the other clocks to `close`; whether the symbol's next candle, with history from `start`, goes on from the
    /// candle `before`, where it stands, or from a prepared history. What remembers something of a clock whose history
    /// starts anew is run again up to there.
    fn continues(&mut self, market: &dyn Market, place: usize, before: i64, start: i64, close: Millis) -> bool {
        let mut anew = vec![false];
        for position in 1..self.clocks.len() {
            self.advance(market, position, place, close, false);
            anew.push(Some(self.link(position, place)) != self.lanes[place].links[position]);
        }
        if self.lanes[place].at != Some((before, start)) && !self.take_prepared(place, before, start) {
            return false;
        }
        if anew.contains(&true) {
            let plan = &self.plan.clocks[0];
            let readers = plan.readers(&anew).into_iter();
            let scope = plan.closure(readers.filter(|id| plan.remembers(*id)));
            if scope.is_empty() {
                for position in 1..self.clocks.len() {
                    self.lanes[place].links[position] = Some(self.link(position, place));
                }
            } else {
                self.relive(market, place, (before, start), close, Some(&scope), &mut Record::default(), &[]);
            }
        }
        self.lanes[place].at.is_some()
    }

    /// One new candle for each of these symbols, all closing at `close`.
    fn step(&mut self, places: &[usize], candles: &Candles, close: Millis) {
        let (own, others) = self.clocks.split_at_mut(1);
        let own = &mut own[0];
        let plans = &self.plan.clocks;
        let plan = &plans[0];
        for (chunk, places) in places.chunks(CHUNK).enumerate() {
            let slots: Vec<usize> = places.iter().map(|place| self.lanes[*place].slot).collect();
            let lanes = Live {
                interval: self.interval,
                places,
                slots: &slots,
                candles,
                from: chunk * CHUNK,
                others,
                plans: &plans[1..],
                close,
            };
            exec::run(plan, &plan.all, &mut own.scratch, &mut own.states, &lanes, self.stop);
            own.keep(plan, &plan.all, 0, places);
            for (rule, fire) in self.plan.fires.iter().enumerate() {
                self.said.step(rule, places, &own.scratch[*fire as usize]);
            }
        }
    }
}
