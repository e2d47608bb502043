//! Range and direction of the candles.

use super::super::{Data, markets, stream};
use super::{check, check_to, highest, lowest, mean, smoothed, some, true_range, window};

#[test]
fn range_and_direction() {
    for Data { open, high, low, close, .. } in &markets() {
        let n = close.len();
        let range = true_range(high, low, close);
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
        let dmi = stream("dmi", &[14.0, 0.0], &[high, low, close]);
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
fn ranges() {
    for Data { high, low, close, .. } in &markets() {
        let range = true_range(high, low, close);
        check_to("tr", &stream("tr", &[], &[high, low, close])[0], close[0] * 1e-12, |i| some(range[i]));
        let atr = smoothed(&range, 14, 1.0 / 14.0);
        check("natr", &stream("natr", &[14.0], &[high, low, close])[0], 1e-9, |i| some(100.0 * atr[i] / close[i]));
        for n in [2, 14] {
            let sum = |i: usize| Some(window(&range[1..], i.checked_sub(1)?, n)?.iter().sum::<f64>());
            check_to("chop", &stream("chop", &[n as f64], &[high, low, close])[0], 1e-6, |i| {
                let (sum, n) = (sum(i)?, n as f64);
                let span = highest(window(high, i, n as usize)?) - lowest(window(low, i, n as usize)?);
                Some(if span == 0.0 || sum == 0.0 { 100.0 } else { 100.0 * (sum / span).ln() / n.ln() })
            });
            let vortex = stream("vortex", &[n as f64], &[high, low, close]);
            for (line, (a, b)) in vortex.iter().zip([(high, low), (low, high)]) {
                check_to("vortex", line, 1e-6, |i| {
                    let sum = sum(i)?;
                    let moved: f64 = (i + 1 - n..=i).map(|j| (a[j] - b[j - 1]).abs()).sum();
                    Some(if sum == 0.0 { 0.0 } else { moved / sum })
                });
            }
        }
        for n in [2, 14] {
            let fresh = |x: &[f64], i: usize, best: fn(&[f64]) -> f64| {
                let window = window(x, i, n + 1)?;
                let best = best(window);
                Some(100.0 * window.iter().rposition(|v| *v == best).unwrap() as f64 / n as f64)
            };
            let aroon = stream("aroon", &[n as f64], &[high, low]);
            check_to("aroon.up", &aroon[0], 1e-9, |i| fresh(high, i, highest));
            check_to("aroon.down", &aroon[1], 1e-9, |i| fresh(low, i, lowest));
            check_to("aroonosc", &stream("aroonosc", &[n as f64], &[high, low])[0], 1e-9, |i| {
                Some(fresh(high, i, highest)? - fresh(low, i, lowest)?)
            });
        }
        let adx = &stream("adx", &[14.0], &[high, low, close])[0];
        let adxr = stream("adxr", &[14.0], &[high, low, close]);
        check_to("adxr", &adxr[0], 1e-9, |i| some((adx[i] + adx[i.checked_sub(13)?]) / 2.0));
    }
}
