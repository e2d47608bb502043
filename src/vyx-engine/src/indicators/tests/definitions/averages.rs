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
