//! Oscillators.

use super::super::{Data, markets, stream};
use super::{check, mean, smoothed, some, window};

fn rsi(x: &[f64], n: usize) -> Vec<f64> {
    let change = |sign: f64| {
        let mut changes = vec![f64::NAN];
        changes.extend(x.windows(2).map(|w| (sign * (w[1] - w[0])).max(0.0)));
        smoothed(&changes, n, 1.0 / n as f64)
    };
    let ratio = |(up, down): (f64, f64)| if up + down == 0.0 { 50.0 } else { 100.0 * up / (up + down) };
    change(1.0).into_iter().zip(change(-1.0)).map(ratio).collect()
}

#[test]
fn oscillators() {
    for Data { high, low, close: x, .. } in &markets() {
        let expected = rsi(x, 14);
        check("rsi", &stream("rsi", &[14.0], &[x])[0], 1e-6, |i| some(expected[i]));

        let (fast, slow) = (smoothed(&x[14..], 12, 2.0 / 13.0), smoothed(x, 26, 2.0 / 27.0));
        // TA-Lib starts the fast average so late that both averages have their first value on the same candle.
        let line: Vec<f64> = (0..x.len()).map(|i| if i < 25 { f64::NAN } else { fast[i - 14] - slow[i] }).collect();
        let signal = smoothed(&line, 9, 0.2);
        let macd = stream("macd", &[12.0, 26.0, 9.0], &[x]);
        let scale = x[0] * 1e-9;
        for i in 33..x.len() {
            assert!((macd[0][i] - line[i]).abs() < scale && (macd[1][i] - signal[i]).abs() < scale);
            assert!((macd[2][i] - (line[i] - signal[i])).abs() < scale);
        }

        let raw = |h: &[f64], l: &[f64], c: &[f64], from: usize, n: usize| -> Vec<f64> {
            (0..c.len())
                .map(|i| {
                    if i + 1 < from + n {
                        return f64::NAN;
                    }
                    let top = window(h, i, n).unwrap().iter().fold(f64::MIN, |a, b| a.max(*b));
                    let bottom = window(l, i, n).unwrap().iter().fold(f64::MAX, |a, b| a.min(*b));
                    if top - bottom <= 1e-14 * (top.abs() + bottom.abs()) {
                        0.0
                    } else {
                        100.0 * (c[i] - bottom) / (top - bottom)
                    }
                })
                .collect()
        };
        let averaged = |x: &[f64], n: usize| -> Vec<f64> {
            (0..x.len()).map(|i| window(x, i, n).map_or(f64::NAN, mean)).collect()
        };
        let near = |name: &str, ours: &[f64], expected: &[f64], first: usize| {
            for i in first..expected.len() {
                assert!((ours[i] - expected[i]).abs() < 1e-6, "{name} at {i}: {}, not {}", ours[i], expected[i]);
            }
        };
        let k = averaged(&raw(high, low, x, 0, 14), 3);
        let stoch = stream("stoch", &[14.0, 3.0, 3.0], &[high, low, x]);
        near("stoch.k", &stoch[0], &k, 17);
        near("stoch.d", &stoch[1], &averaged(&k, 3), 17);

        let streamed = &stream("rsi", &[14.0], &[x])[0];
        let k = averaged(&raw(streamed, streamed, streamed, 14, 14), 3);
        let stochrsi = stream("stochrsi", &[14.0, 14.0, 3.0, 3.0], &[x]);
        near("stochrsi.k", &stochrsi[0], &k, 31);
        near("stochrsi.d", &stochrsi[1], &averaged(&k, 3), 31);
    }
}
