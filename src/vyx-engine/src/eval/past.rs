//! A symbol's history, run through its states: from its first candle to the one that is asked for.

use super::clock::{Link, Others, Record};
use super::live::place_of;
use super::plan::{Id, Step};
use super::run::Engine;
use crate::market::{Candles, Market};
use std::sync::Arc;
use vyx_core::{Millis, Symbol};

impl Engine {
    /// Runs a symbol's history up to a candle, given with the first ordinal of the history: all nodes, or those of
    /// `scope`. The other clocks' histories are those of their newest candles at `time`. Values of `wanted` nodes are
    /// recorded; what programs say of the candle is what they say now.
    #[expect(clippy::too_many_arguments, reason = "what is run, how far, on what, and what is kept of it")]
    pub(super) fn run(
        &mut self,
        market: &dyn Market,
        place: usize,
        candle: (i64, i64),
        time: Millis,
        scope: Option<Vec<Id>>,
        record: &mut Record,
        wanted: &[Id],
    ) {
        let last = self.relive(market, place, candle, time, scope.as_deref(), record, wanted);
        let plan = &self.plan.clocks[0];
        let scope = scope.as_ref().unwrap_or(&plan.all);
        let own = &mut self.clocks[0];
        if let Some(last) = last {
            own.keep(plan, scope, last, &[place]);
            let all = scope.len() == plan.steps.len();
            for (rule, fire) in self.plan.fires.iter().enumerate() {
                if all || scope.binary_search(fire).is_ok() {
                    self.said.say(rule, place, own.scratch[*fire as usize][last]);
                }
            }
        }
        self.lanes[place].version = self.version;
    }

    /// The same without taking over what is said. Gives the lane of the last candle.
    #[expect(clippy::too_many_arguments, reason = "as above")]
    pub(super) fn relive(
        &mut self,
        market: &dyn Market,
        place: usize,
        (ordinal, start): (i64, i64),
        time: Millis,
        scope: Option<&[Id]>,
        record: &mut Record,
        wanted: &[Id],
    ) -> Option<usize> {
        let slot = self.lanes[place].slot;
        let (candles, others, links) = self.history(market, place, (ordinal, start), time, scope);
        let plan = &self.plan.clocks[0];
        let scope = scope.unwrap_or(&plan.all);
        let own = &mut self.clocks[0];
        own.states.reset(plan, scope, slot);
        let last = own.stream(plan, scope, slot, &candles, &others, wanted, record);
        let lane = &mut self.lanes[place];
        links.into_iter().enumerate().for_each(|(position, link)| lane.links[position + 1] = Some(link));
        // The market may have lost the candle since it was looked at; then there is no value.
        lane.at = (candles.ordinal.last() == Some(&ordinal)).then_some((ordinal, start));
        last
    }

    /// What a run of a symbol's history reads: its candles, the other clocks' runs, and what these stand on.
    pub(super) fn history(
        &mut self,
        market: &dyn Market,
        place: usize,
        (ordinal, start): (i64, i64),
        time: Millis,
        scope: Option<&[Id]>,
    ) -> (Candles, Others, Vec<Link>) {
        let plan = &self.plan.clocks[0];
        let mut read = vec![false; self.clocks.len()];
        for id in scope.unwrap_or(&plan.all) {
            if let Step::Align(clock, _) = plan.steps[*id as usize] {
                read[usize::from(clock)] = true;
            }
        }
        let mut candles = Candles::default();
        market.closed(&self.lanes[place].symbol, self.interval, start, ordinal, &mut candles);
        let mut others = Others::default();
        let mut links = Vec::with_capacity(read.len());
        for (position, read) in read.iter().enumerate().skip(1) {
            let run = self.advance(market, position, place, time, *read);
            let closes = candles.ordinal.iter().map(|ordinal| self.interval.close_time(*ordinal));
            others.push(run, self.plan.clocks[position].key.interval, closes);
            links.push(self.link(position, place));
        }
        (candles, others, links)
    }

    pub(super) fn advance(
        &mut self,
        market: &dyn Market,
        position: usize,
        place: usize,
        time: Millis,
        record: bool,
    ) -> Arc<Record> {
        let symbol = self.symbol(position, place);
        let plan = &self.plan.clocks[position];
        let slot = place_of(plan, place);
        self.clocks[position].advance(plan, market, &symbol, slot, time, record)
    }

    /// Whether the history of another clock is not all there for the symbol's candle.
    pub(super) fn misses(&self, position: u16, place: usize) -> bool {
        self.lanes[place].links[usize::from(position)].is_some_and(|link| link.missing)
    }

    pub(super) fn link(&self, position: usize, place: usize) -> Link {
        self.clocks[position].runs[place_of(&self.plan.clocks[position], place)].link
    }

    pub(super) fn symbol(&self, position: usize, place: usize) -> Symbol {
        self.plan.clocks[position].key.symbol.unwrap_or(self.lanes[place].symbol)
    }
}
