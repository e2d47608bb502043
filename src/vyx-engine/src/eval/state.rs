//! What nodes remember from candle to candle, for each slot (a symbol): the states of functions and the values that
//! lags look back to.

use super::plan::{ClockPlan, Id, Step};
use super::value::{UNDEFINED, WARMING, is_warming};
use crate::catalog::Indicator;

/// The states of all nodes of one clock.
#[derive(Default)]
pub(super) struct States {
    /// By call, then slot.
    cells: Vec<Vec<Option<Cell>>>,
    /// By node; for those that a lag looks back to.
    rings: Vec<Option<Ring>>,
}

impl States {
    /// Fresh states for `slots` slots.
    pub fn new(plan: &ClockPlan, slots: usize) -> States {
        let rings = plan.depth.iter().map(|depth| (*depth > 0).then(|| Ring::new(usize::from(*depth), slots)));
        States {
            cells: plan.calls.iter().map(|_| (0..slots).map(|_| None).collect()).collect(),
            rings: rings.collect(),
        }
    }

    /// Room for as many slots.
    pub fn grow(&mut self, slots: usize) {
        self.cells.iter_mut().for_each(|cells| cells.resize_with(slots, || None));
        self.rings.iter_mut().flatten().for_each(|ring| ring.grow(slots));
    }

    /// Forgets what the nodes of `scope` remember for a slot.
    pub fn reset(&mut self, plan: &ClockPlan, scope: &[Id], slot: usize) {
        for &id in scope {
            if let Step::Call(call, 0) = plan.steps[id as usize] {
                let open = plan.functions[call as usize].open;
                let indicator = open(&plan.calls[call as usize].params());
                self.cells[call as usize][slot] = Some(Cell { indicator, shown: 0 });
            }
            if let Some(ring) = &mut self.rings[id as usize] {
                ring.reset(slot);
            }
        }
    }

    /// Takes over what another plan's call remembers.
    pub fn adopt_call(&mut self, call: u32, other: &mut States, theirs: u32) {
        self.cells[call as usize] = std::mem::take(&mut other.cells[theirs as usize]);
    }

    /// Takes over what is remembered of another plan's node, if it is enough.
    pub fn adopt_ring(&mut self, id: Id, other: &mut States, theirs: Id) {
        if let (Some(mine), ring) = (&mut self.rings[id as usize], &mut other.rings[theirs as usize])
            && ring.as_ref().is_some_and(|ring| ring.depth >= mine.depth)
        {
            *mine = ring.take().expect("just seen");
        }
    }

    pub fn cell(&mut self, call: u32, slot: usize) -> &mut Cell {
        self.cells[call as usize][slot].as_mut().expect("a slot's history is run before its first step")
    }

    pub fn ring(&self, id: Id) -> &Ring {
        self.rings[id as usize].as_ref().expect("made for every node that a lag looks back to")
    }

    pub fn ring_mut(&mut self, id: Id) -> &mut Ring {
        self.rings[id as usize].as_mut().expect("made for every node that a lag looks back to")
    }
}

/// The state of one function for one slot.
pub(super) struct Cell {
    indicator: Box<dyn Indicator>,
    /// Candles that it was shown.
    shown: usize,
}

impl Cell {
    /// Shows one candle. An undecided or infinite input is not shown, and undecided is what comes out, for the input's
    /// reason. What has no value is warming until `warm_up` candles were shown, and undefined after that.
    pub fn step(&mut self, warm_up: usize, inputs: &[f64], outputs: &mut [f64]) {
        if inputs.iter().any(|v| !v.is_finite()) {
            outputs.fill(if inputs.iter().any(|v| is_warming(*v)) { WARMING } else { UNDEFINED });
            return;
        }
        self.indicator.update(inputs, outputs);
        let reason = if self.shown < warm_up { WARMING } else { UNDEFINED };
        outputs.iter_mut().filter(|v| v.is_nan()).for_each(|v| *v = reason);
        self.shown += 1;
    }
}

/// The last `depth` values of one node for each slot.
pub(super) struct Ring {
    depth: usize,
    /// `depth` values a slot.
    values: Vec<f64>,
    /// Where each slot's next value goes.
    next: Vec<usize>,
}

impl Ring {
    fn new(depth: usize, slots: usize) -> Ring {
        Ring { depth, values: vec![WARMING; depth * slots], next: vec![0; slots] }
    }

    fn grow(&mut self, slots: usize) {
        self.values.resize(self.depth * slots, WARMING);
        self.next.resize(slots, 0);
    }

    fn reset(&mut self, slot: usize) {
        self.values[slot * self.depth..][..self.depth].fill(WARMING);
        self.next[slot] = 0;
    }

    /// The value `n` candles back, 1 the newest; warming before the history's first candle.
    pub fn back(&self, slot: usize, n: usize) -> f64 {
        let position = self.next[slot] + self.depth - n;
        self.values[slot * self.depth + if position < self.depth { position } else { position - self.depth }]
    }

    pub fn push(&mut self, slot: usize, value: f64) {
        let next = self.next[slot];
        self.values[slot * self.depth + next] = value;
        self.next[slot] = if next + 1 == self.depth { 0 } else { next + 1 };
    }
}
