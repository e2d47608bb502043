//! Turning points, looked for on both sides of each candle.

use super::super::{Data, markets, stream};
use super::check;

/// Whether the candle is a high of the series times `sign`.
pub(super) fn is_pivot(x: &[f64], at: usize, left: usize, right: usize, sign: f64) -> bool {
    at >= left
        && at + right < x.len()
        && (at - left..at).all(|j| x[j] * sign <= x[at] * sign)
        && (at + 1..=at + right).all(|j| x[j] * sign < x[at] * sign)
}

#[test]
fn pivots() {
    for Data { high, low, .. } in &markets() {
        // Rounded, so that equal values are met.
        let step = high[0] * 2e-3;
        let round = |x: &[f64]| -> Vec<f64> { x.iter().map(|v| (v / step).round()).collect() };
        for (left, right) in [(5, 5), (1, 1), (2, 7), (30, 1)] {
            let p = [left as f64, right as f64];
            for (name, sign, x) in [("high", 1.0, round(high)), ("low", -1.0, round(low)), ("high", 1.0, high.clone())]
            {
                let found = |i: usize| i.checked_sub(right).filter(|at| is_pivot(&x, *at, left, right, sign));
                let column = &stream(&format!("pivot_{name}"), &p, &[&x])[0];
                assert!(column.iter().filter(|v| !v.is_nan()).count() > 3, "{name} {left} {right}");
                check(name, column, 0.0, |i| Some(x[found(i)?]));
                let last = stream(&format!("last_pivot_{name}"), &p, &[&x]);
                let newest = |i: usize| (0..=i).rev().find_map(found);
                check("value", &last[0], 0.0, |i| Some(x[newest(i)?]));
                check("bars", &last[1], 0.0, |i| Some((i - newest(i)?) as f64));
            }
        }
    }
}

#[test]
fn the_last_of_equal_values_is_the_pivot() {
    let x = [1.0, 2.0, 3.0, 3.0, 2.0, 1.0];
    check("pivot_high", &stream("pivot_high", &[2.0, 2.0], &[&x])[0], 0.0, |i| (i == 5).then_some(3.0));
    assert_eq!(stream("last_pivot_high", &[2.0, 2.0], &[&x])[1][5], 2.0);
}
