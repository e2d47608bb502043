//! One new candle of many symbols.

use super::bank::Over;
use super::clock::Clock;
use super::exec::{Lane, Lanes};
use super::plan::{ClockPlan, Id};
use crate::market::Candles;
use crate::program::Field;
use vyx_core::{Interval, Millis};

/// The place of a symbol's run on a clock: a clock of a fixed symbol has one for all.
pub(super) fn place_of(plan: &ClockPlan, place: usize) -> usize {
    if plan.key.symbol.is_some() { 0 } else { place }
}

pub(super) struct Live<'a> {
    pub interval: Interval,
    /// The places of the symbols that have a new candle, lane after lane.
    pub places: &'a [usize],
    /// Where each one's states are.
    pub slots: &'a [usize],
    /// The new candles; that of the first lane is number `from`.
    pub candles: &'a Candles,
    pub from: usize,
    pub others: &'a [Clock],
    pub plans: &'a [ClockPlan],
    pub close: Millis,
}

impl Lanes for Live<'_> {
    fn width(&self) -> usize {
        self.slots.len()
    }

    fn lanes(&self) -> impl Iterator<Item = Lane> {
        self.slots.iter().enumerate().map(|(lane, slot)| Lane { lane, slot: *slot, age: 0 })
    }

    fn over(&self) -> Over<'_> {
        Over::Symbols(self.slots)
    }

    fn field(&self, field: Field, lane: usize) -> f64 {
        self.candles.field(self.interval, field, self.from + lane)
    }

    fn aligned(&self, clock: u16, node: Id, lane: usize) -> f64 {
        let other = usize::from(clock) - 1;
        self.others[other].newest(node, place_of(&self.plans[other], self.places[lane]))
    }

    fn close_time(&self, _: usize) -> Millis {
        self.close
    }
}
