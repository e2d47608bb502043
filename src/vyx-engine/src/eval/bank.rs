//! The states of one call for all symbols, side by side in memory.
//!
//! A step over many symbols is one call through a pointer and a loop over equal states; the arithmetic of each is known
//! to the compiler. A run of history is the same loop over one state.

use super::value::{UNDEFINED, WARMING, is_warming, or_reason};
use crate::catalog::{Indicator, MAX_INPUTS, MAX_OUTPUTS};

/// Where a call's inputs come from, and through whose states they pass.
#[derive(Clone, Copy)]
pub(crate) enum Over<'a> {
    /// One new candle of many symbols: the slot of each lane.
    Symbols(&'a [usize]),
    /// So many consecutive candles of one slot, lane after lane.
    Candles { slot: usize, length: usize },
}

/// The states of one call, by slot.
pub(crate) trait Bank: Send {
    /// Room for so many slots.
    fn grow(&mut self, slots: usize);
    /// A fresh state for a slot.
    fn reset(&mut self, slot: usize);
    /// Shows each lane's inputs to its state. What has no value is warming until `warm_up` candles were shown, and
    /// undefined after that. A candle with an undecided or infinite input is not shown: it is undecided for the
    /// input's reason.
    fn step(&mut self, warm_up: usize, over: Over<'_>, inputs: &[&[f64]], outputs: &mut [Vec<f64>]);
}

/// States that are made by `make`.
pub(crate) fn bank<S: Indicator + 'static>(make: impl Fn() -> S + Send + 'static) -> Box<dyn Bank> {
    Box::new(States { make, cells: Vec::new() })
}

struct States<S, Make> {
    make: Make,
    cells: Vec<Cell<S>>,
}

/// The state for one slot.
struct Cell<S> {
    state: S,
    /// Candles that it was shown.
    shown: u32,
}

impl<S: Indicator, Make: Fn() -> S + Send> Bank for States<S, Make> {
    fn grow(&mut self, slots: usize) {
        let Self { make, cells } = self;
        cells.resize_with(slots, || Cell { state: make(), shown: 0 });
    }

    fn reset(&mut self, slot: usize) {
        self.cells[slot] = Cell { state: (self.make)(), shown: 0 };
    }

    fn step(&mut self, warm_up: usize, over: Over<'_>, inputs: &[&[f64]], outputs: &mut [Vec<f64>]) {
        match over {
            Over::Symbols(slots) => {
                for (lane, &slot) in slots.iter().enumerate() {
                    self.cells[slot].step(warm_up, lane, inputs, outputs);
                }
            }
            Over::Candles { slot, length } => {
                let cell = &mut self.cells[slot];
                (0..length).for_each(|lane| cell.step(warm_up, lane, inputs, outputs));
            }
        }
    }
}

impl<S: Indicator> Cell<S> {
    #[inline]
    fn step(&mut self, warm_up: usize, lane: usize, inputs: &[&[f64]], outputs: &mut [Vec<f64>]) {
        let mut taken = [0.0; MAX_INPUTS];
        let taken = &mut taken[..inputs.len()];
        taken.iter_mut().zip(inputs).for_each(|(value, column)| *value = column[lane]);
        if taken.iter().any(|value| !value.is_finite()) {
            let reason = if taken.iter().any(|value| is_warming(*value)) { WARMING } else { UNDEFINED };
            outputs.iter_mut().for_each(|column| column[lane] = reason);
            return;
        }
        let mut given = [0.0; MAX_OUTPUTS];
        let given = &mut given[..outputs.len()];
        self.state.update(taken, given);
        let reason = if (self.shown as usize) < warm_up { WARMING } else { UNDEFINED };
        self.shown += 1;
        for (value, column) in given.iter().zip(outputs) {
            column[lane] = or_reason(*value, reason);
        }
    }
}

/// One state for itself, as tests look at it: NaN where there is no value.
#[cfg(test)]
pub(crate) struct Single(Box<dyn Bank>);

#[cfg(test)]
impl Single {
    pub fn new(mut bank: Box<dyn Bank>) -> Single {
        bank.grow(1);
        bank.reset(0);
        Single(bank)
    }

    /// Takes one candle, whose inputs are finite.
    pub fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let inputs: Vec<&[f64]> = inputs.iter().map(std::slice::from_ref).collect();
        let mut columns = vec![vec![0.0]; outputs.len()];
        self.0.step(0, Over::Candles { slot: 0, length: 1 }, &inputs, &mut columns);
        outputs.iter_mut().zip(columns).for_each(|(output, column)| *output = column[0]);
    }
}
