//! The element-wise operations: each lane of the result from the same lane of the operands.
//!
//! Most lanes are decided. So each operation is first done for all lanes as if they were, which the compiler turns into
//! vector instructions, and once more with its reasons where a lane is not.

use super::value::{FALSE, TRUE, reason, settled, truth};
use crate::program::{Arithmetic, Comparison, Unary};

pub(super) fn unary(op: Unary, a: &[f64], out: &mut [f64]) {
    match op {
        Unary::Neg => one(a, out, |a| -a),
        Unary::Abs => one(a, out, f64::abs),
        Unary::Sqrt => one(a, out, f64::sqrt),
        Unary::Exp => one(a, out, f64::exp),
        Unary::Log => one(a, out, f64::ln),
        Unary::Log10 => one(a, out, f64::log10),
        Unary::Floor => one(a, out, f64::floor),
        Unary::Ceil => one(a, out, f64::ceil),
        Unary::Round => one(a, out, f64::round),
        Unary::Sign => one(a, out, |a| if a == 0.0 { 0.0 } else { a.signum() }),
    }
}

pub(super) fn arithmetic(op: Arithmetic, a: &[f64], b: &[f64], out: &mut [f64]) {
    match op {
        Arithmetic::Add => two(a, b, out, |a, b| a + b),
        Arithmetic::Sub => two(a, b, out, |a, b| a - b),
        Arithmetic::Mul => two(a, b, out, |a, b| a * b),
        Arithmetic::Div => two(a, b, out, |a, b| a / b),
        Arithmetic::Rem => two(a, b, out, |a, b| a % b),
        Arithmetic::Pow => two(a, b, out, f64::powf),
    }
}

pub(super) fn min(a: &[f64], b: &[f64], out: &mut [f64]) {
    two(a, b, out, |a, b| if b < a { b } else { a });
}

pub(super) fn max(a: &[f64], b: &[f64], out: &mut [f64]) {
    two(a, b, out, |a, b| if b > a { b } else { a });
}

pub(super) fn compare(op: Comparison, a: &[f64], b: &[f64], out: &mut [f64]) {
    match op {
        Comparison::Lt => two(a, b, out, |a, b| truth(a < b)),
        Comparison::Le => two(a, b, out, |a, b| truth(a <= b)),
        Comparison::Gt => two(a, b, out, |a, b| truth(a > b)),
        Comparison::Ge => two(a, b, out, |a, b| truth(a >= b)),
        Comparison::Eq => two(a, b, out, |a, b| truth(a == b)),
        Comparison::Ne => two(a, b, out, |a, b| truth(a != b)),
    }
}

/// False decides, whatever the other side is.
pub(super) fn and(a: &[f64], b: &[f64], out: &mut [f64]) {
    let quick = |a: f64, b: f64| f64::from_bits(a.to_bits() & b.to_bits());
    decided_or(a, b, out, quick, |a, b| {
        if a == FALSE || b == FALSE {
            FALSE
        } else if a.is_nan() || b.is_nan() {
            reason(a, b)
        } else {
            TRUE
        }
    });
}

/// True decides, whatever the other side is.
pub(super) fn or(a: &[f64], b: &[f64], out: &mut [f64]) {
    let quick = |a: f64, b: f64| f64::from_bits(a.to_bits() | b.to_bits());
    decided_or(a, b, out, quick, |a, b| {
        if a == TRUE || b == TRUE {
            TRUE
        } else if a.is_nan() || b.is_nan() {
            reason(a, b)
        } else {
            FALSE
        }
    });
}

pub(super) fn not(a: &[f64], out: &mut [f64]) {
    one(a, out, |a| TRUE - a);
}

pub(super) fn is_na(a: &[f64], out: &mut [f64]) {
    for (out, a) in out.iter_mut().zip(a) {
        *out = truth(a.is_nan());
    }
}

pub(super) fn nz(a: &[f64], default: &[f64], out: &mut [f64]) {
    both(a, default, out, |a, default| if a.is_nan() { default } else { a });
}

pub(super) fn select(condition: &[f64], a: &[f64], b: &[f64], out: &mut [f64]) {
    for (((out, condition), a), b) in out.iter_mut().zip(condition).zip(a).zip(b) {
        *out = if condition.is_nan() {
            *condition
        } else if *condition == TRUE {
            *a
        } else {
            *b
        };
    }
}

/// One number in, undecided for its reason; a NaN that the operation makes is undefined.
fn one(a: &[f64], out: &mut [f64], op: impl Fn(f64) -> f64) {
    for (out, a) in out.iter_mut().zip(a) {
        *out = if a.is_nan() { *a } else { settled(op(*a)) };
    }
}

/// Two numbers in, undecided if either is. The operands are looked at, not the result: `pow(nothing, 0)` is 1 to IEEE.
fn two(a: &[f64], b: &[f64], out: &mut [f64], op: impl Fn(f64, f64) -> f64) {
    decided_or(a, b, out, &op, |a, b| {
        let value = op(a, b);
        if a.is_nan() || b.is_nan() { reason(a, b) } else { settled(value) }
    });
}

/// `quick` where both operands and the result are decided in all lanes, else `exact`.
fn decided_or(a: &[f64], b: &[f64], out: &mut [f64], quick: impl Fn(f64, f64) -> f64, exact: impl Fn(f64, f64) -> f64) {
    let mut undecided = false;
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = quick(*a, *b);
        undecided |= a.is_nan() | b.is_nan() | out.is_nan();
    }
    if undecided {
        both(a, b, out, exact);
    }
}

fn both(a: &[f64], b: &[f64], out: &mut [f64], op: impl Fn(f64, f64) -> f64) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = op(*a, *b);
    }
}
