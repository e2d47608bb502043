//! Spread around an average.

use super::super::{Data, markets, stream};
use super::{mean, window};

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
