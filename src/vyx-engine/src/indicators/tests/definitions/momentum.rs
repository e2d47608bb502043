//! Oscillators.

use super::super::{Data, markets, stream};
use super::{check, check_to, highest, lowest, mean, smoothed, some, true_range, window};

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

#[test]
fn channels_and_flows() {
    for Data { high, low, close: x, volume, .. } in &markets() {
        let typical: Vec<f64> = (0..x.len()).map(|i| (high[i] + low[i] + x[i]) / 3.0).collect();
        for n in [5, 20] {
            let p = [n as f64];
            check_to("cci", &stream("cci", &p, &[&typical])[0], 1e-5, |i| {
                let window = window(&typical, i, n)?;
                let mean = mean(window);
                let deviation = window.iter().map(|v| (v - mean).abs()).sum::<f64>() / n as f64;
                Some(if deviation < mean * 1e-12 { 0.0 } else { (typical[i] - mean) / (0.015 * deviation) })
            });
            check_to("willr", &stream("willr", &p, &[high, low, x])[0], 1e-6, |i| {
                let (top, bottom) = (highest(window(high, i, n)?), lowest(window(low, i, n)?));
                Some(if top == bottom { 0.0 } else { -100.0 * (top - x[i]) / (top - bottom) })
            });
            check_to("mfi", &stream("mfi", &p, &[&typical, volume])[0], 1e-6, |i| {
                window(&typical, i, n + 1)?;
                let flow = |risen: bool| {
                    let counts = (i + 1 - n..=i)
                        .filter(|j| if risen { typical[*j] > typical[*j - 1] } else { typical[*j] < typical[*j - 1] });
                    counts.map(|j| typical[j] * volume[j]).sum::<f64>()
                };
                let (up, down) = (flow(true), flow(false));
                Some(if up + down == 0.0 { 0.0 } else { 100.0 * up / (up + down) })
            });
            check_to("cmou", &stream("cmou", &p, &[x])[0], 1e-6, |i| {
                let changes: Vec<f64> = window(x, i, n + 1)?.windows(2).map(|w| w[1] - w[0]).collect();
                let way: f64 = changes.iter().map(|change| change.abs()).sum();
                Some(if way == 0.0 { 0.0 } else { 100.0 * changes.iter().sum::<f64>() / way })
            });
        }
        let range = true_range(high, low, x);
        check_to("ultosc", &stream("ultosc", &[7.0, 14.0, 28.0], &[high, low, x])[0], 1e-6, |i| {
            let share = |n: usize| {
                let range: f64 = window(&range[1..], i.checked_sub(1)?, n)?.iter().sum();
                let pressure: f64 = (i + 1 - n..=i).map(|j| x[j] - low[j].min(x[j - 1])).sum();
                Some(if range == 0.0 { 0.0 } else { pressure / range })
            };
            let slow = share(28)?;
            Some(100.0 * (4.0 * share(7)? + 2.0 * share(14)? + slow) / 7.0)
        });
    }
}

#[test]
fn rates_of_change() {
    for Data { open, high, low, close: x, .. } in &markets() {
        let price = x[0] * 1e-9;
        check_to("mom", &stream("mom", &[10.0], &[x])[0], 0.0, |i| Some(x[i] - x[i.checked_sub(10)?]));
        check_to("roc", &stream("roc", &[10.0], &[x])[0], 1e-9, |i| Some(100.0 * (x[i] / x[i.checked_sub(10)?] - 1.0)));
        let of_range = |i: usize| if high[i] > low[i] { (x[i] - open[i]) / (high[i] - low[i]) } else { 0.0 };
        check_to("bop", &stream("bop", &[], &[open, high, low, x])[0], 1e-12, |i| Some(of_range(i)));
        let middle: Vec<f64> = (0..x.len()).map(|i| (high[i] + low[i]) / 2.0).collect();
        check_to("ao", &stream("ao", &[5.0, 34.0], &[high, low])[0], price, |i| {
            let slow = mean(window(&middle, i, 34)?);
            Some(mean(window(&middle, i, 5)?) - slow)
        });

        let ema = |x: &[f64], n: usize| smoothed(x, n, 2.0 / (n as f64 + 1.0));
        // Unlike the MACD's, each average begins with the first candle.
        let (fast, slow) = (ema(x, 12), ema(x, 26));
        check_to("apo", &stream("apo", &[12.0, 26.0], &[x])[0], price, |i| some(fast[i] - slow[i]));
        let line: Vec<f64> = fast.iter().zip(&slow).map(|(fast, slow)| 100.0 * (fast - slow) / slow).collect();
        let signal = ema(&line, 9);
        let ppo = stream("ppo", &[12.0, 26.0, 9.0], &[x]);
        check_to("ppo", &ppo[0], 1e-7, |i| some(signal[i]).map(|_| line[i]));
        check_to("ppo.signal", &ppo[1], 1e-7, |i| some(signal[i]));
        check_to("ppo.hist", &ppo[2], 1e-7, |i| some(line[i] - signal[i]));

        let thrice = ema(&ema(&ema(x, 18), 18), 18);
        check_to("trix", &stream("trix", &[18.0], &[x])[0], 1e-7, |i| {
            some(100.0 * (thrice[i] / thrice[i.checked_sub(1)?] - 1.0))
        });
        let changes: Vec<f64> = (0..x.len()).map(|i| if i == 0 { f64::NAN } else { x[i] - x[i - 1] }).collect();
        let sizes: Vec<f64> = changes.iter().map(|change| change.abs()).collect();
        let (way, size) = (ema(&ema(&changes, 25), 13), ema(&ema(&sizes, 25), 13));
        check_to("tsi", &stream("tsi", &[13.0, 25.0], &[x])[0], 1e-6, |i| some(100.0 * way[i] / size[i]));
    }
}
