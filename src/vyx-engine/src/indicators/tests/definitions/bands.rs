//! Spread around an average.

use super::super::{Data, markets, stream};
use super::{check, highest, lowest, mean, smoothed, some, true_range, window};

#[test]
fn spread() {
    for Data { close: x, .. } in &markets() {
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
            let percent = if upper == lower { f64::NAN } else { (x[i] - lower) / (upper - lower) };
            assert!(bands[4][i] == percent || (bands[4][i].is_nan() && percent.is_nan()));
        }
    }
}

#[test]
fn channels() {
    for Data { high, low, close: x, .. } in &markets() {
        for (n, mult, m) in [(20, 2.0, 10), (5, 1.5, 10)] {
            // Whichever average needs fewer candles begins later, so that both are ready together.
            let late = |x: &[f64], from: usize| -> Vec<f64> {
                x.iter().enumerate().map(|(i, v)| if i < from { f64::NAN } else { *v }).collect()
            };
            let middle = smoothed(&late(x, (m + 1_usize).saturating_sub(n)), n, 2.0 / (n as f64 + 1.0));
            let range = smoothed(&late(&true_range(high, low, x), n.saturating_sub(m)), m, 1.0 / m as f64);
            let ours = stream("keltner", &[n as f64, mult, m as f64], &[x, high, low, x]);
            for (line, times) in ours.iter().zip([mult, 0.0, -mult]) {
                check("keltner", line, 1e-9, |i| some(middle[i] + times * range[i]));
            }
        }
        let donchian = stream("donchian", &[20.0], &[high, low]);
        let top = |i: usize| Some(highest(window(high, i, 20)?));
        let bottom = |i: usize| Some(lowest(window(low, i, 20)?));
        check("donchian.upper", &donchian[0], 0.0, top);
        check("donchian.middle", &donchian[1], 1e-15, |i| Some((top(i)? + bottom(i)?) / 2.0));
        check("donchian.lower", &donchian[2], 0.0, bottom);
    }
}
