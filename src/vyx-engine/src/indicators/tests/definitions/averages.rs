//! Moving averages.

use super::super::{Data, markets, stream};
use super::{check, mean, smoothed, some, window};

#[test]
fn averages() {
    for Data { close: x, .. } in &markets() {
        for n in [1, 5, 30] {
            let p = [n as f64];
            let of = |name: &str| stream(name, &p, &[x]).remove(0);
            check("sma", &of("sma"), 1e-9, |i| window(x, i, n).map(mean));
            let weights = (n * (n + 1) / 2) as f64;
            check("wma", &of("wma"), 1e-9, |i| {
                let weighted = window(x, i, n)?.iter().enumerate().map(|(k, v)| (k + 1) as f64 * v).sum::<f64>();
                Some(weighted / weights)
            });
            let (ema, rma) = (smoothed(x, n, 2.0 / (n as f64 + 1.0)), smoothed(x, n, 1.0 / n as f64));
            check("ema", &of("ema"), 1e-9, |i| some(ema[i]));
            check("rma", &of("rma"), 1e-9, |i| some(rma[i]));
        }
    }
}

/// The average of the last `n` with the weights that `weight` gives to their places, the oldest being 0.
fn weighted(x: &[f64], i: usize, n: usize, weight: impl Fn(usize) -> f64) -> Option<f64> {
    let window = window(x, i, n)?;
    let total: f64 = (0..n).map(&weight).sum();
    Some(window.iter().enumerate().map(|(k, v)| weight(k) * v).sum::<f64>() / total)
}

#[test]
fn averages_with_weights_of_their_own() {
    for Data { close: x, volume, .. } in &markets() {
        for n in [2, 7, 20, 55] {
            let of = |name: &str| stream(name, &[n as f64], &[x]).remove(0);
            // Half of n candles and of the rest: 1 2 3 3 2 1 or 1 2 3 2 1.
            check("trima", &of("trima"), 1e-9, |i| weighted(x, i, n, |k| (k.min(n - 1 - k) + 1) as f64));
            let linear = |of: &dyn Fn(usize) -> Option<f64>, i: usize, n: usize| {
                let from = (i + 1).checked_sub(n)?;
                let parts = (from..=i).map(|j| Some((j - from + 1) as f64 * of(j)?)).sum::<Option<f64>>();
                Some(parts? / (n * (n + 1) / 2) as f64)
            };
            let raw = |j: usize| Some(x[j]);
            let hull = |j: usize| Some(2.0 * linear(&raw, j, n / 2)? - linear(&raw, j, n)?);
            check("hma", &of("hma"), 1e-9, |i| linear(&hull, i, (n as f64).sqrt() as usize));
            check("alma", &stream("alma", &[n as f64, 0.85, 6.0], &[x])[0], 1e-9, |i| {
                let (top, width) = ((0.85 * (n - 1) as f64).floor(), n as f64 / 6.0);
                weighted(x, i, n, |k| (-(k as f64 - top).powi(2) / (2.0 * width * width)).exp())
            });
            check("vwma", &stream("vwma", &[n as f64], &[x, volume])[0], 1e-9, |i| {
                let (x, volume) = (window(x, i, n)?, window(volume, i, n)?);
                let total: f64 = volume.iter().sum();
                some(x.iter().zip(volume).map(|(x, volume)| x * volume).sum::<f64>() / total)
            });
        }
        check("swma", &stream("swma", &[], &[x])[0], 1e-9, |i| weighted(x, i, 4, |k| [1.0, 2.0, 2.0, 1.0][k]));
    }
}

#[test]
fn averages_of_exponential_averages() {
    for Data { close: x, .. } in &markets() {
        for n in [2, 9, 30] {
            let of = |name: &str| stream(name, &[n as f64], &[x]).remove(0);
            let ema = |x: &[f64]| smoothed(x, n, 2.0 / (n as f64 + 1.0));
            let one = ema(x);
            let two = ema(&one);
            let three = ema(&two);
            check("dema", &of("dema"), 1e-9, |i| some(2.0 * one[i] - two[i]));
            check("tema", &of("tema"), 1e-9, |i| some(3.0 * one[i] - 3.0 * two[i] + three[i]));
            let lag = (n - 1) / 2;
            let ahead: Vec<f64> =
                (0..x.len()).map(|i| if i < lag { f64::NAN } else { 2.0 * x[i] - x[i - lag] }).collect();
            let zero_lag = ema(&ahead);
            check("zlema", &of("zlema"), 1e-9, |i| some(zero_lag[i]));
            // Six averages of each other; (1 + v·(1 − average))³ · average³ written out.
            let (v, four) = (0.7, ema(&three));
            let five = ema(&four);
            let six = ema(&five);
            let sum = |i: usize| {
                let w = 1.0 + v;
                w * w * w * three[i] - 3.0 * v * w * w * four[i] + 3.0 * v * v * w * five[i] - v * v * v * six[i]
            };
            check("t3", &stream("t3", &[n as f64, v], &[x])[0], 1e-9, |i| some(sum(i)));
        }
    }
}

#[test]
fn kaufmans_average_follows_the_share_of_the_way_that_was_made_good() {
    for Data { close: x, .. } in &markets() {
        let n = 10;
        let mut expected = vec![f64::NAN; x.len()];
        let mut before = x[n - 1];
        for i in n..x.len() {
            let way: f64 = (i - n..i).map(|j| (x[j + 1] - x[j]).abs()).sum();
            // A flat way is as good as a straight one.
            let share = if way == 0.0 { 1.0 } else { (x[i] - x[i - n]).abs() / way };
            let constant = (share * (2.0 / 3.0 - 2.0 / 31.0) + 2.0 / 31.0).powi(2);
            before += constant * (x[i] - before);
            expected[i] = before;
        }
        check("kama", &stream("kama", &[10.0], &[x])[0], 1e-9, |i| some(expected[i]));
    }
}
