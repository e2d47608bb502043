//! One new candle of many symbols.

use super::bank::Over;
use super::clock::Clock;
use super::exec::{Lane, Lanes};
use super::plan::{ClockPlan, Id};
use crate::market::Candles;
use crate::program::Field;
use vyx_core::{Interval, Millis};

/// The slot of a symbol's run on a clock: a clock of a fixed symbol has one for all.
pub(super) fn slot_of(plan: &ClockPlan, slot: usize) -> usize {
    if plan.key.symbol.is_some() { 0 } else { slot }
}

/// The lane of a symbol is its slot.
pub(super) struct Live<'a> {
    pub interval: Interval,
    /// Lane and slot of the symbols that have a new candle.
    pub fresh: &'a [(usize, usize)],
    pub width: usize,
    /// By slot.
    pub stage: &'a Candles,
    pub others: &'a [Clock],
    pub plans: &'a [ClockPlan],
    pub close: Millis,
}

impl Lanes for Live<'_> {
    fn width(&self) -> usize {
        self.width
    }

    fn fresh(&self) -> impl Iterator<Item = Lane> {
        self.fresh.iter().map(|&(lane, slot)| Lane { lane, slot, age: 0 })
    }

    fn over(&self) -> Over<'_> {
        Over::Symbols(self.fresh)
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
