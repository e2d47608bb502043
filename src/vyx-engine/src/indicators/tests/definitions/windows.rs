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
