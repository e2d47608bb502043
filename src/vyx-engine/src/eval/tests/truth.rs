//! Three-valued tables and the edges of IEEE, cell by cell.

use crate::eval::kernel;
use crate::eval::value::{FALSE, TRUE, UNDEFINED, WARMING};
use crate::program::{Arithmetic, Comparison, Unary};

const T: f64 = TRUE;
const F: f64 = FALSE;
const W: f64 = WARMING;
const U: f64 = UNDEFINED;

/// By left, then right operand, each false, true, warming, undefined.
type Table = [[f64; 4]; 4];

#[track_caller]
fn check(op: fn(&[f64], &[f64], &mut [f64]), expected: Table) {
    for (a, row) in [F, T, W, U].into_iter().zip(expected) {
        for (b, cell) in [F, T, W, U].into_iter().zip(row) {
            let mut out = [9.0];
            op(&[a], &[b], &mut out);
            assert_eq!(out[0].to_bits(), cell.to_bits(), "{a} with {b}");
        }
    }
}

#[test]
fn false_decides_and() {
    check(kernel::and, [[F, F, F, F], [F, T, W, U], [F, W, W, W], [F, U, W, U]]);
}

#[test]
fn true_decides_or() {
    check(kernel::or, [[F, T, W, U], [T, T, T, T], [W, T, W, W], [U, T, W, U]]);
}

#[test]
fn what_is_undecided_stays_so_through_comparison_and_arithmetic() {
    check(
        |a, b, out| kernel::compare(Comparison::Eq, a, b, out),
        [[T, F, W, U], [F, T, W, U], [W, W, W, W], [U, U, W, U]],
    );
    check(
        |a, b, out| kernel::compare(Comparison::Ne, a, b, out),
        [[F, T, W, U], [T, F, W, U], [W, W, W, W], [U, U, W, U]],
    );
    check(kernel::min, [[F, F, W, U], [F, T, W, U], [W, W, W, W], [U, U, W, U]]);
    check(kernel::max, [[F, T, W, U], [T, T, W, U], [W, W, W, W], [U, U, W, U]]);
    // To IEEE anything to the power of 0 is 1, and 1 to the power of anything.
    check(
        |a, b, out| kernel::arithmetic(Arithmetic::Pow, a, b, out),
        [[T, F, W, U], [T, T, W, U], [W, W, W, W], [U, U, W, U]],
    );
    check(
        |a, b, out| kernel::arithmetic(Arithmetic::Div, a, b, out),
        [[U, F, W, U], [f64::INFINITY, T, W, U], [W, W, W, W], [U, U, W, U]],
    );
}

#[test]
fn nz_and_is_na_and_not_are_the_ways_out() {
    check(kernel::nz, [[F, F, F, F], [T, T, T, T], [F, T, W, U], [F, T, W, U]]);
    let mut out = [9.0; 4];
    kernel::is_na(&[F, T, W, U], &mut out);
    assert_eq!(out, [F, F, T, T]);
    kernel::not(&[F, T, W, U], &mut out);
    assert_eq!(out.map(f64::to_bits), [T, F, W, U].map(f64::to_bits));
}

#[test]
fn select_takes_the_named_branch_and_nothing_of_the_other() {
    let mut out = [9.0; 6];
    kernel::select(&[T, F, T, F, W, U], &[1.0, W, W, 3.0, 1.0, 1.0], &[U, 2.0, 4.0, U, 2.0, 2.0], &mut out);
    assert_eq!(out.map(f64::to_bits), [1.0, 2.0, W, U, W, U].map(f64::to_bits));
}

#[test]
fn numbers_that_do_not_exist_are_undefined_whatever_nan_the_hardware_makes() {
    let mut out = [9.0];
    for (op, a) in [(Unary::Sqrt, -1.0), (Unary::Log, -1.0), (Unary::Log10, -1.0)] {
        kernel::unary(op, &[a], &mut out);
        assert_eq!(out[0].to_bits(), U.to_bits(), "{op:?} of {a}");
    }
    let inf = f64::INFINITY;
    for (op, a, b) in [
        (Arithmetic::Sub, inf, inf),
        (Arithmetic::Mul, 0.0, inf),
        (Arithmetic::Div, -0.0, 0.0),
        (Arithmetic::Rem, 1.0, 0.0),
        (Arithmetic::Pow, -1.0, 0.5),
    ] {
        kernel::arithmetic(op, &[a], &[b], &mut out);
        assert_eq!(out[0].to_bits(), U.to_bits(), "{a} {op:?} {b}");
    }
    kernel::unary(Unary::Round, &[2.5], &mut out);
    assert_eq!(out, [3.0]);
    kernel::unary(Unary::Round, &[-2.5], &mut out);
    assert_eq!(out, [-3.0]);
    kernel::unary(Unary::Sign, &[-0.0], &mut out);
    assert_eq!(out, [0.0]);
    kernel::arithmetic(Arithmetic::Rem, &[-7.5], &[2.0], &mut out);
    assert_eq!(out, [-1.5]);
}

#[test]
fn comparison_is_exact() {
    let mut out = [9.0];
    kernel::compare(Comparison::Eq, &[0.1 + 0.2], &[0.3], &mut out);
    assert_eq!(out, [F]);
    kernel::compare(Comparison::Eq, &[-0.0], &[0.0], &mut out);
    assert_eq!(out, [T]);
}
