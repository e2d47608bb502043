//! Every function written down once more, as slowly as its definition reads: from the whole window each time.

use super::{Data, markets, stream};

/// `expected(i)` for each candle, `None` where there is no value; `within` relative to the size of the numbers.
#[track_caller]
fn check(name: &str, column: &[f64], within: f64, expected: impl Fn(usize) -> Option<f64>) {
    for (i, value) in column.iter().enumerate() {
        match expected(i) {
            None => assert!(value.is_nan(), "{name} at {i}: {value}, not nothing"),
            Some(expected) => {
                let close = (value - expected).abs() <= within * expected.abs().max(value.abs());
                assert!(close, "{name} at {i}: {value}, not {expected}");
            }
        }
    }
}

fn window(x: &[f64], i: usize, n: usize) -> Option<&[f64]> {
    (i + 1).checked_sub(n).map(|from| &x[from..=i])
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// An exponential average of what follows `from` missing values, seeded with the mean of the first `n`.
fn smoothed(x: &[f64], n: usize, weight: f64) -> Vec<f64> {
    let from = x.iter().take_while(|v| v.is_nan()).count();
    let mut out = vec![f64::NAN; x.len()];
    if x.len() >= from + n {
        let mut value = mean(&x[from..from + n]);
        out[from + n - 1] = value;
        for i in from + n..x.len() {
            value += weight * (x[i] - value);
            out[i] = value;
        }
    }
    out
}

fn rsi(x: &[f64], n: usize) -> Vec<f64> {
    let change = |sign: f64| {
        let mut changes = vec![f64::NAN];
        changes.extend(x.windows(2).map(|w| (sign * (w[1] - w[0])).max(0.0)));
        smoothed(&changes, n, 1.0 / n as f64)
    };
    let ratio = |(up, down): (f64, f64)| if up + down == 0.0 { 50.0 } else { 100.0 * up / (up + down) };
    change(1.0).into_iter().zip(change(-1.0)).map(ratio).collect()
}

fn some(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
}

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
fn range_and_direction() {
    for Data { open, high, low, close, .. } in &markets() {
        let n = close.len();
        let mut range = vec![f64::NAN];
        range.extend((1..n).map(|i| high[i].max(close[i - 1]) - low[i].min(close[i - 1])));
        let atr = smoothed(&range, 14, 1.0 / 14.0);
        check("atr", &stream("atr", &[14.0], &[high, low, close])[0], 1e-9, |i| some(atr[i]));

        let mut before = (open[0], close[0]);
        let ha = stream("heikin_ashi", &[], &[open, high, low, close]);
        for i in 0..n {
            let (o, c) = ((before.0 + before.1) / 2.0, (open[i] + high[i] + low[i] + close[i]) / 4.0);
            let expected = [o, high[i].max(o).max(c), low[i].min(o).min(c), c];
            assert_eq!([ha[0][i], ha[1][i], ha[2][i], ha[3][i]], expected);
            before = (o, c);
        }

        // Wilder's sums: each is n−1 n-ths of itself and the newest.
        let moves: Vec<(f64, f64)> = (1..n)
            .map(|i| {
                let (up, down) = (high[i] - high[i - 1], low[i - 1] - low[i]);
                (if up > down && up > 0.0 { up } else { 0.0 }, if down > up && down > 0.0 { down } else { 0.0 })
            })
            .collect();
        let (mut plus, mut minus, mut total) = (0.0, 0.0, 0.0);
        let mut dx = Vec::new();
        let mut adx = f64::NAN;
        let dmi = stream("dmi", &[14.0], &[high, low, close]);
        for i in 1..n {
            let keep = if i < 14 { 1.0 } else { 13.0 / 14.0 };
            plus = plus * keep + moves[i - 1].0;
            minus = minus * keep + moves[i - 1].1;
            total = total * keep + range[i];
            if i < 14 {
                continue;
            }
            let (p, m) = if total == 0.0 { (0.0, 0.0) } else { (100.0 * plus / total, 100.0 * minus / total) };
            let held = dx.last().copied().unwrap_or(0.0);
            dx.push(if p + m == 0.0 { held } else { 100.0 * (p - m).abs() / (p + m) });
            adx = match dx.len() {
                0..14 => f64::NAN,
                14 => mean(&dx),
                _ if p + m == 0.0 => adx,
                _ => (adx * 13.0 + dx[dx.len() - 1]) / 14.0,
            };
            // In the flat stretch all that is left is the rounding of what decays.
            if i >= 27 && total > close[i] * 1e-6 && i < 600 {
                let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
                assert!(near(dmi[0][i], p) && near(dmi[1][i], m) && near(dmi[2][i], adx), "dmi at {i}: {adx}");
            }
        }
    }
}

#[test]
fn spread_and_volume() {
    for Data { time, high, low, close: x, volume, .. } in &markets() {
        let deviation = |i: usize| {
            let window = window(x, i, 20)?;
            let mean = mean(window);
            Some((mean, (window.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 20.0).sqrt()))
        };
        let bands = stream("bbands", &[20.0, 2.0], &[x]);
        for i in 19..x.len() {
            let (mean, deviation) = deviation(i).unwrap();
            for (band, expected) in bands[..3].iter().zip([mean + 2.0 * deviation, mean, mean - 2.0 * deviation]) {
                assert!((band[i] - expected).abs() <= 1e-7 * mean, "bbands at {i}: {}, not {expected}", band[i]);
            }
            let (upper, middle, lower) = (bands[0][i], bands[1][i], bands[2][i]);
            assert_eq!(bands[3][i], (upper - lower) / middle);
            let percent = (x[i] - lower) / (upper - lower);
            assert!(bands[4][i] == percent || (bands[4][i].is_nan() && percent.is_nan()));
        }

        check("obv", &stream("obv", &[], &[x, volume])[0], 1e-9, |i| {
            let through = (1..=i).fold(volume[0], |total, i| match x[i].total_cmp(&x[i - 1]) {
                std::cmp::Ordering::Greater => total + volume[i],
                std::cmp::Ordering::Less => total - volume[i],
                std::cmp::Ordering::Equal => total,
            });
            Some(through)
        });

        let day = |i: usize| (time[i] / 86_400_000.0).floor();
        check("vwap", &stream("vwap", &[], &[time, high, low, x, volume])[0], 1e-9, |i| {
            let session = (0..=i).filter(|j| day(*j) == day(i));
            let (traded, total) = session.fold((0.0, 0.0), |(traded, total), j| {
                (traded + (high[j] + low[j] + x[j]) / 3.0 * volume[j], total + volume[j])
            });
            some(traded / total)
        });
    }
}

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
fn crosses_and_events() {
    for Data { open, close, .. } in &markets() {
        // Rounded, so that equal values are met.
        let step = close[0] * 1e-3;
        let round = |x: &[f64]| -> Vec<f64> { x.iter().map(|v| (v / step).round()).collect() };
        let (a, b) = (round(close), round(open));
        let over = |i: usize| i.checked_sub(1).map(|before| a[i] > b[i] && a[before] <= b[before]);
        let under = |i: usize| i.checked_sub(1).map(|before| a[i] < b[i] && a[before] >= b[before]);
        check("crossover", &stream("crossover", &[], &[&a, &b])[0], 0.0, |i| over(i).map(f64::from));
        check("crossunder", &stream("crossunder", &[], &[&a, &b])[0], 0.0, |i| under(i).map(f64::from));
        check("cross", &stream("cross", &[], &[&a, &b])[0], 0.0, |i| Some(f64::from(over(i)? || under(i)?)));

        let rare: Vec<f64> = (0..a.len()).map(|i| f64::from(over(i) == Some(true))).collect();
        let times = |i: usize| (0..=i).rev().filter(|j| rare[*j] == 1.0).collect::<Vec<_>>();
        check("barssince", &stream("barssince", &[], &[&rare])[0], 0.0, |i| Some((i - times(i).first()?) as f64));
        for n in [0, 3] {
            let column = &stream("valuewhen", &[n as f64], &[&rare, close])[0];
            check("valuewhen", column, 0.0, |i| Some(close[*times(i).get(n)?]));
        }
    }
}
