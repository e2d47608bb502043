//! The last `length` candles.

use super::super::{Data, markets, stream};
use super::{check, window};

#[test]
fn windows_of_extremes_and_counts() {
    for Data { open, high, low, close, .. } in &markets() {
        for n in [1, 2, 7, 55] {
            let p = [n as f64];
            check("highest", &stream("highest", &p, &[high])[0], 0.0, |i| {
                Some(window(high, i, n)?.iter().fold(f64::MIN, |a, b| a.max(*b)))
            });
            check("lowest", &stream("lowest", &p, &[low])[0], 0.0, |i| {
                Some(window(low, i, n)?.iter().fold(f64::MAX, |a, b| a.min(*b)))
            });
            let rises: Vec<f64> = open.iter().zip(close).map(|(o, c)| f64::from(c > o)).collect();
            check("count", &stream("count", &p, &[&rises])[0], 0.0, |i| Some(window(&rises, i, n)?.iter().sum()));
            let before = |i: usize| Some(&window(close, i, n + 1)?[..n]);
            check("rising", &stream("rising", &p, &[close])[0], 0.0, |i| {
                Some(f64::from(before(i)?.iter().all(|v| close[i] > *v)))
            });
            check("falling", &stream("falling", &p, &[close])[0], 0.0, |i| {
                Some(f64::from(before(i)?.iter().all(|v| close[i] < *v)))
            });
        }
    }
}

#[test]
fn ages_of_extremes() {
    for Data { close, .. } in &markets() {
        // Rounded, so that equal values are met.
        let step = close[0] * 1e-3;
        let x: Vec<f64> = close.iter().map(|v| (v / step).round()).collect();
        for n in [1, 2, 7, 55] {
            let p = [n as f64];
            for (name, sign) in [("highestbars", 1.0), ("lowestbars", -1.0)] {
                check(name, &stream(name, &p, &[&x])[0], 0.0, |i| {
                    let window = window(&x, i, n)?;
                    let oldest = (0..n).rev().max_by(|a, b| (window[*a] * sign).total_cmp(&(window[*b] * sign)))?;
                    Some(oldest as f64 - (n - 1) as f64)
                });
            }
        }
    }
}

#[test]
fn sums_ranks_and_conditions() {
    for Data { open, close: x, .. } in &markets() {
        check("cum", &stream("cum", &[], &[x])[0], 1e-12, |i| Some(x[..=i].iter().sum()));
        let rises: Vec<f64> = open.iter().zip(x).map(|(o, c)| f64::from(c > o)).collect();
        for n in [2, 3, 14, 55] {
            let p = [n as f64];
            check("sum", &stream("sum", &p, &[x])[0], 1e-10, |i| Some(window(x, i, n)?.iter().sum()));
            check("change", &stream("change", &p, &[x])[0], 0.0, |i| Some(x[i] - window(x, i, n + 1)?[0]));
            let sorted = |i: usize| {
                let mut sorted = window(x, i, n)?.to_vec();
                sorted.sort_by(f64::total_cmp);
                Some(sorted)
            };
            check("median", &stream("median", &p, &[x])[0], 1e-15, |i| {
                let sorted = sorted(i)?;
                Some((sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0)
            });
            for percent in [0.0, 25.0, 50.0, 99.5, 100.0] {
                check("percentile", &stream("percentile", &[p[0], percent], &[x])[0], 0.0, |i| {
                    sorted(i)?
                        .into_iter()
                        .enumerate()
                        .find(|(at, _)| (at + 1) as f64 >= percent / 100.0 * n as f64)
                        .map(|(_, v)| v)
                });
            }
            let window = |i: usize| window(&rises, i, n);
            check("every", &stream("every", &p, &[&rises])[0], 0.0, |i| {
                Some(f64::from(window(i)?.iter().all(|r| *r == 1.0)))
            });
            check("any", &stream("any", &p, &[&rises])[0], 0.0, |i| Some(f64::from(window(i)?.contains(&1.0))));
        }
    }
}
