//! What nodes remember from candle to candle, for each slot (a symbol): the states of functions and the values that
//! lags look back to.

use super::bank::Bank;
use super::plan::{ClockPlan, Id, Step};
use super::value::WARMING;

/// The states of all nodes of one clock.
#[derive(Default)]
pub(super) struct States {
    /// By call.
    banks: Vec<Box<dyn Bank>>,
    /// By node; for those that a lag looks back to.
    rings: Vec<Option<Ring>>,
}

impl States {
    /// Fresh states for `slots` slots.
    pub fn new(plan: &ClockPlan, slots: usize) -> States {
        let rings = plan.depth.iter().map(|depth| (*depth > 0).then(|| Ring::new(usize::from(*depth), slots)));
        let banks = plan.functions.iter().zip(&plan.calls).map(|(function, call)| (function.open)(&call.params()));
        let mut states = States { banks: banks.collect(), rings: rings.collect() };
        states.banks.iter_mut().for_each(|bank| bank.grow(slots));
        states
    }

    /// Room for as many slots.
    pub fn grow(&mut self, slots: usize) {
        self.banks.iter_mut().for_each(|bank| bank.grow(slots));
        self.rings.iter_mut().flatten().for_each(|ring| ring.grow(slots));
    }

    /// Forgets what the nodes of `scope` remember for a slot.
    pub fn reset(&mut self, plan: &ClockPlan, scope: &[Id], slot: usize) {
        for &id in scope {
            if let Step::Call(call, 0) = plan.steps[id as usize] {
                self.banks[call as usize].reset(slot);
            }
            if let Some(ring) = &mut self.rings[id as usize] {
                ring.reset(slot);
            }
        }
    }

    /// Takes over what another plan's call remembers.
    pub fn adopt_call(&mut self, call: u32, other: &mut States, theirs: u32) {
        std::mem::swap(&mut self.banks[call as usize], &mut other.banks[theirs as usize]);
    }

    /// Takes over what is remembered of another plan's node, if it is enough.
    pub fn adopt_ring(&mut self, id: Id, other: &mut States, theirs: Id) {
        if let (Some(mine), ring) = (&mut self.rings[id as usize], &mut other.rings[theirs as usize])
            && ring.as_ref().is_some_and(|ring| ring.depth >= mine.depth)
        {
            *mine = ring.take().expect("just seen");
        }
    }

    pub fn bank(&mut self, call: u32) -> &mut dyn Bank {
        &mut *self.banks[call as usize]
    }

    pub fn ring(&self, id: Id) -> &Ring {
        self.rings[id as usize].as_ref().expect("made for every node that a lag looks back to")
    }

    pub fn ring_mut(&mut self, id: Id) -> &mut Ring {
        self.rings[id as usize].as_mut().expect("made for every node that a lag looks back to")
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
