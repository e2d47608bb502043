//! One kernel for both directions. The lanes of a column are either consecutive candles of one symbol, which pass
//! through a single state (history), or one new candle of many symbols, each with a state of its own (live).

use super::Stopped;
use super::bank::Over;
use super::kernel;
use super::plan::{ClockPlan, Id, Step};
use super::state::States;
use super::value::truth;
use crate::catalog::MAX_INPUTS;
use crate::program::Field;
use vyx_core::Millis;

/// A lane of the columns.
pub(super) struct Lane {
    /// Position in the columns.
    pub lane: usize,
    /// Whose state it passes through.
    pub slot: usize,
    /// How many lanes before this one are earlier candles of the same slot.
    pub age: usize,
}

/// The candles that are evaluated together: one a lane, in order of time.
pub(super) trait Lanes {
    fn width(&self) -> usize;
    fn lanes(&self) -> impl Iterator<Item = Lane>;
    /// The same for functions, which only go forward.
    fn over(&self) -> Over<'_>;
    fn field(&self, field: Field, lane: usize) -> f64;
    /// The newest value of another clock's node for this lane's candle.
    fn aligned(&self, clock: u16, node: Id, lane: usize) -> f64;
    fn close_time(&self, lane: usize) -> Millis;
}

/// Nodes between two looks whether to stop: well below a tenth of a second for the dearest of them on a whole chunk.
const BETWEEN_LOOKS: usize = 32;

/// Evaluates the nodes of `scope`, which must hold the operands of each of its nodes, for the candles of `lanes`.
///
/// # Panics
/// With [`Stopped`] as soon as `stop` says so; states and columns are of no use then.
pub(super) fn run(
    plan: &ClockPlan,
    scope: &[Id],
    columns: &mut [Vec<f64>],
    states: &mut States,
    lanes: &impl Lanes,
    stop: Option<fn() -> bool>,
) {
    let width = lanes.width();
    for (count, &id) in scope.iter().enumerate() {
        if count % BETWEEN_LOOKS == 0 && stop.is_some_and(|stop| stop()) {
            // Not `panic!`, whose hook would speak of an error.
            std::panic::resume_unwind(Box::new(Stopped));
        }
        let (before, here) = columns.split_at_mut(id as usize);
        let of = |operand: Id| &before[operand as usize][..width];
        let out = &mut here[0][..width];
        match plan.steps[id as usize] {
            // Columns of constants were filled when they were made.
            Step::Constant(_) => {}
            Step::Candle(field) => lanes.lanes().for_each(|l| out[l.lane] = lanes.field(field, l.lane)),
            Step::Unary(op, a) => kernel::unary(op, of(a), out),
            Step::Arithmetic(op, a, b) => kernel::arithmetic(op, of(a), of(b), out),
            Step::Min(a, b) => kernel::min(of(a), of(b), out),
            Step::Max(a, b) => kernel::max(of(a), of(b), out),
            Step::Compare(op, a, b) => kernel::compare(op, of(a), of(b), out),
            Step::And(a, b) => kernel::and(of(a), of(b), out),
            Step::Or(a, b) => kernel::or(of(a), of(b), out),
            Step::Not(a) => kernel::not(of(a), out),
            Step::Select(condition, a, b) => kernel::select(of(condition), of(a), of(b), out),
            Step::IsNa(a) => kernel::is_na(of(a), out),
            Step::Nz(a, default) => kernel::nz(of(a), of(default), out),
            Step::Lag(a, n) => {
                let (operand, n) = (of(a), usize::from(n));
                let ring = states.ring(a);
                for Lane { lane, slot, age } in lanes.lanes() {
                    out[lane] = if age >= n { operand[lane - n] } else { ring.back(slot, n - age) };
                }
            }
            Step::Align(clock, node) => lanes.lanes().for_each(|l| out[l.lane] = lanes.aligned(clock, node, l.lane)),
            Step::Completed(interval) => {
                lanes
                    .lanes()
                    .for_each(|l| out[l.lane] = truth(interval.closing_at(lanes.close_time(l.lane)).is_some()));
            }
            Step::Call(call, 0) => {
                let inputs = &plan.calls[call as usize].inputs;
                let outputs = plan.functions[call as usize].outputs.len();
                let warm_up = plan.warm_ups[call as usize];
                let mut columns: [&[f64]; MAX_INPUTS] = [&[]; MAX_INPUTS];
                columns.iter_mut().zip(inputs).for_each(|(column, input)| *column = of(*input));
                states.bank(call).step(warm_up, lanes.over(), &columns[..inputs.len()], &mut here[..outputs]);
            }
            // Written together with the first output.
            Step::Call(..) => {}
        }
    }
    for &id in scope.iter().filter(|id| plan.depth[**id as usize] > 0) {
        let column = &columns[id as usize];
        let ring = states.ring_mut(id);
        lanes.lanes().for_each(|l| ring.push(l.slot, column[l.lane]));
    }
}
