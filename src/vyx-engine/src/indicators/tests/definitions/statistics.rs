//! Statistics of the last `length` candles.

use super::super::{Data, markets, stream};
use super::{check_to, mean, window};

/// The mean of the products of two windows' distances from their means.
fn covariance(x: &[f64], y: &[f64]) -> f64 {
    let (a, b) = (mean(x), mean(y));
    x.iter().zip(y).map(|(x, y)| (x - a) * (y - b)).sum::<f64>() / x.len() as f64
}

#[test]
fn spread_around_the_mean() {
    for Data { close: x, .. } in &markets() {
        for n in [2, 20, 100] {
            let of = |name: &str| stream(name, &[n as f64], &[x]).remove(0);
            let size = x[0] * x[0];
            let variance = |i: usize| window(x, i, n).map(|window| covariance(window, window));
            check_to("variance", &of("variance"), 1e-9 * size, variance);
            check_to("stdev", &of("stdev"), 1e-9 * x[0], |i| Some(variance(i)?.sqrt()));
            check_to("zscore", &of("zscore"), 1e-6, |i| {
                let window = window(x, i, n)?;
                let flat = window.iter().all(|v| *v == window[0]);
                (!flat).then(|| (x[i] - mean(window)) / covariance(window, window).sqrt())
            });
        }
    }
}

#[test]
fn lines_through_the_last_candles() {
    for Data { close: x, .. } in &markets() {
        for n in [2, 14, 60] {
            let places: Vec<f64> = (0..n).map(|k| k as f64).collect();
            let line = |i: usize| {
                let window = window(x, i, n)?;
                let slope = covariance(&places, window) / covariance(&places, &places);
                Some((slope, mean(window) - slope * mean(&places)))
            };
            let price = x[0] * 1e-9;
            for offset in [0.0, 3.0] {
                let at = (n - 1) as f64 - offset;
                check_to("linreg", &stream("linreg", &[n as f64, offset], &[x])[0], price, |i| {
                    line(i).map(|(slope, start)| start + slope * at)
                });
            }
            let of = |name: &str| stream(name, &[n as f64], &[x]).remove(0);
            check_to("linreg_slope", &of("linreg_slope"), price, |i| line(i).map(|(slope, _)| slope));
            check_to("linreg_intercept", &of("linreg_intercept"), price, |i| line(i).map(|(_, start)| start));
        }
    }
}

#[test]
fn rank_and_correlation() {
    for Data { close: x, high, volume, .. } in &markets() {
        for n in [2, 20, 100] {
            check_to("percentrank", &stream("percentrank", &[n as f64], &[x])[0], 1e-12, |i| {
                let before = &window(x, i, n + 1)?[..n];
                Some(100.0 * before.iter().filter(|v| **v < x[i]).count() as f64 / n as f64)
            });
            for (a, b) in [(x, volume), (high, x)] {
                check_to("correlation", &stream("correlation", &[n as f64], &[a, b])[0], 1e-6, |i| {
                    let (a, b) = (window(a, i, n)?, window(b, i, n)?);
                    let flat = |w: &[f64]| w.iter().all(|v| *v == w[0]);
                    let sizes = covariance(a, a).sqrt() * covariance(b, b).sqrt();
                    Some(if flat(a) || flat(b) { 0.0 } else { covariance(a, b) / sizes })
                });
            }
        }
    }
}
