//! What the next candle will need, made between closes.
//!
//! When a candle begins a new block of the anchor grid, its history starts later than that of the candle before, and is
//! run from there. Which candle that will be is known before: so its history is run up to the candle before it
//! while nobody waits, and the candle itself takes one step like all others.

use super::clock::Link;
use super::run::{Engine, Symbols};
use crate::market::{Market, anchor};
use vyx_core::Symbol;

/// A history that was run ahead, up to where its symbol stands.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    /// Which states it is in.
    slot: usize,
    start: i64,
    at: i64,
    generation: u64,
    version: u32,
    /// What it stands on of the other clocks.
    links: Vec<Option<Link>>,
}

impl Prepared {
    /// Whether it goes on from candle `at`, where the symbol stands, with history from `start`.
    fn fits(&self, lane: &Symbols, at: i64, start: i64, version: u32) -> bool {
        (self.start, self.at, self.version) == (start, at, version)
            && self.generation == lane.generation
            && self.links == lane.links
    }
}

impl Engine {
    /// Runs the histories that candle `next` of these symbols will need and the candle before does not have. Costs what
    /// the candle would have cost; leaves all outcomes as they are. Gives how many histories were run, at most `most`.
    pub fn prepare(&mut self, market: &dyn Market, symbols: &[Symbol], next: i64, most: usize) -> usize {
        let mut prepared = 0;
        for symbol in symbols {
            if prepared == most {
                break;
            }
            let place = self.place(symbol);
            prepared += usize::from(self.prepare_one(market, place, next));
        }
        prepared
    }

    fn prepare_one(&mut self, market: &dyn Market, place: usize, next: i64) -> bool {
        let lane = &self.lanes[place];
        let Some((at, start)) = lane.at.filter(|(at, _)| *at < next) else { return false };
        let Some(held) = market.held(&lane.symbol, self.interval) else { return false };
        let anchor = anchor(&lane.symbol, self.interval, next);
        let new = held.first_ever.map_or(anchor, |first| first.max(anchor));
        let right = lane.version == self.version && lane.generation == held.generation;
        if new == start || held.from > new || held.through < at || !right {
            return false;
        }
        if lane.prepared.as_ref().is_some_and(|prepared| prepared.fits(lane, at, new, self.version)) {
            return false;
        }
        self.forget_prepared(place);
        let plan = &self.plan.clocks[0];
        let core = plan.core.clone();
        let time = self.interval.close_time(at);
        let before = self.lanes[place].links.clone();
        let (candles, others, links) = self.history(market, place, (at, new), time, Some(&core));
        let links: Vec<_> = std::iter::once(None).chain(links.into_iter().map(Some)).collect();
        // Where another clock has changed meanwhile, the candle has to look for itself.
        if candles.ordinal.last() != Some(&at) || links[1..] != before[1..] {
            return false; // and not be asked for again at once
        }
        let slot = self.spare.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.clocks[0].states.grow(self.slots);
            self.slots - 1
        });
        let own = &mut self.clocks[0];
        let plan = &self.plan.clocks[0];
        own.states.reset(plan, &core, slot);
        own.stream_core(plan, slot, &candles, &others);
        let lane = &mut self.lanes[place];
        let links = lane.links.clone();
        lane.prepared =
            Some(Prepared { slot, start: new, at, generation: held.generation, version: self.version, links });
        true
    }

    /// Goes on with the prepared history, if it is the one that is needed.
    pub(super) fn take_prepared(&mut self, place: usize, before: i64, start: i64) -> bool {
        let lane = &mut self.lanes[place];
        let stands = lane.at.is_some_and(|(at, _)| at == before) && lane.version == self.version;
        let Some(prepared) = lane.prepared.take() else { return false };
        if !stands || !prepared.fits(lane, before, start, self.version) {
            self.spare.push(prepared.slot);
            return false;
        }
        self.spare.push(std::mem::replace(&mut lane.slot, prepared.slot));
        lane.at = Some((before, start));
        true
    }

    fn forget_prepared(&mut self, place: usize) {
        if let Some(prepared) = self.lanes[place].prepared.take() {
            self.spare.push(prepared.slot);
        }
    }

    /// What was prepared is for other programs.
    pub(super) fn drop_prepared(&mut self) {
        (0..self.lanes.len()).for_each(|place| self.forget_prepared(place));
    }
}
