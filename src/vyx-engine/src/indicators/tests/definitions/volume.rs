//! Price and volume together.

use super::super::{Data, markets, stream};
use super::{check, check_to, mean, some, window};

/// What takers bought of it: the candles in files do not say, so a part that changes.
fn bought(volume: &[f64]) -> Vec<f64> {
    volume.iter().enumerate().map(|(i, v)| v * ((i * 37) % 11) as f64 / 10.0).collect()
}

#[test]
fn volume_of_rises_and_falls() {
    for Data { high, low, close: x, volume, .. } in &markets() {
        check("obv", &stream("obv", &[], &[x, volume])[0], 1e-9, |i| {
            let through = (1..=i).fold(volume[0], |total, i| match x[i].total_cmp(&x[i - 1]) {
                std::cmp::Ordering::Greater => total + volume[i],
                std::cmp::Ordering::Less => total - volume[i],
                std::cmp::Ordering::Equal => total,
            });
            Some(through)
        });

        let flow = |i: usize| {
            let range = high[i] - low[i];
            if range > 0.0 { volume[i] * ((x[i] - low[i]) - (high[i] - x[i])) / range } else { 0.0 }
        };
        let largest = volume.iter().copied().fold(0.0, f64::max);
        check_to("ad", &stream("ad", &[], &[high, low, x, volume])[0], 1e-9 * largest, |i| {
            Some((0..=i).map(flow).sum())
        });

        let ad: Vec<f64> = (0..x.len())
            .scan(0.0, |sum, i| {
                *sum += flow(i);
                Some(*sum)
            })
            .collect();
        let smooth = |n: f64| {
            let weight = 2.0 / (n + 1.0);
            ad.iter()
                .scan(ad[0], move |value, x| {
                    *value += weight * (x - *value);
                    Some(*value)
                })
                .collect::<Vec<_>>()
        };
        let (fast, slow) = (smooth(3.0), smooth(10.0));
        check_to("adosc", &stream("adosc", &[3.0, 10.0], &[high, low, x, volume])[0], 1e-9 * largest, |i| {
            (i >= 9).then(|| fast[i] - slow[i])
        });

        for (name, counts) in [("pvi", 1.0), ("nvi", -1.0)] {
            check(name, &stream(name, &[], &[x, volume])[0], 1e-9, |i| {
                let moved = (1..=i).filter(|j| (volume[*j] - volume[j - 1]) * counts > 0.0);
                Some(moved.fold(1_000.0, |index, j| index * x[j] / x[j - 1]))
            });
        }

        for n in [2, 20] {
            let p = [n as f64];
            check_to("cmf", &stream("cmf", &p, &[high, low, x, volume])[0], 1e-9, |i| {
                let traded: f64 = window(volume, i, n)?.iter().sum();
                Some(if traded > 0.0 { (i + 1 - n..=i).map(flow).sum::<f64>() / traded } else { 0.0 })
            });
            check("rvol", &stream("rvol", &p, &[volume])[0], 1e-9, |i| {
                some(volume[i] / mean(&window(volume, i, n + 1)?[..n]))
            });
        }
    }
}

#[test]
fn force_and_ease_of_movement() {
    for Data { high, low, close: x, volume, .. } in &markets() {
        let force: Vec<f64> =
            (0..x.len()).map(|i| if i == 0 { f64::NAN } else { (x[i] - x[i - 1]) * volume[i] }).collect();
        let largest = force.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        let expected = super::smoothed(&force, 13, 2.0 / 14.0);
        check_to("efi", &stream("efi", &[13.0], &[x, volume])[0], 1e-12 * largest, |i| some(expected[i]));

        let ease = |i: usize| {
            let (range, moved) = (high[i] - low[i], (high[i] + low[i]) / 2.0 - (high[i - 1] + low[i - 1]) / 2.0);
            if range > 0.0 && volume[i] > 0.0 { moved * range / (volume[i] / 500.0) } else { 0.0 }
        };
        let largest = (1..x.len()).map(ease).fold(0.0, |a: f64, b| a.max(b.abs()));
        check_to("emv", &stream("emv", &[14.0, 500.0], &[high, low, volume])[0], 1e-9 * largest, |i| {
            (i >= 14).then(|| (i - 13..=i).map(ease).sum::<f64>() / 14.0)
        });
    }
}

#[test]
fn what_takers_bought() {
    for Data { volume, .. } in &markets() {
        let bought = bought(volume);
        for n in [1, 2, 14, 1_024] {
            check("buy_pressure", &stream("buy_pressure", &[n as f64], &[&bought, volume])[0], 1e-12, |i| {
                let (bought, volume) = (window(&bought, i, n)?, window(volume, i, n)?);
                some(bought.iter().sum::<f64>() / volume.iter().sum::<f64>())
            });
        }
        let total: f64 = volume.iter().sum();
        check_to("cvd", &stream("cvd", &[], &[&bought, volume])[0], 1e-12 * total, |i| {
            Some((0..=i).map(|j| 2.0 * bought[j] - volume[j]).sum())
        });
    }
}

#[test]
fn volume_weighted_averages_and_their_bands() {
    for Data { time, high, low, close: x, volume, .. } in &markets() {
        let typical: Vec<f64> = (0..x.len()).map(|i| (high[i] + low[i] + x[i]) / 3.0).collect();
        let average = |candles: &[usize], source: &[f64]| {
            let total: f64 = candles.iter().map(|j| volume[*j]).sum();
            let mean = candles.iter().map(|j| source[*j] * volume[*j]).sum::<f64>() / total;
            let squares: f64 = candles.iter().map(|j| volume[*j] * (source[*j] - mean).powi(2)).sum();
            (mean, (squares / total).sqrt())
        };
        let day = |i: usize| (time[i] / 86_400_000.0).floor();
        let session = |i: usize| (0..=i).filter(|j| day(*j) == day(i)).collect::<Vec<_>>();
        let vwap = &stream("vwap", &[], &[&typical, time, volume])[0];
        check("vwap", vwap, 1e-12, |i| some(average(&session(i), &typical).0));
        let bands = stream("vwap_bands", &[2.0], &[x, time, volume]);
        check("vwap_bands.middle", &bands[1], 1e-12, |i| some(average(&session(i), x).0));
        for (output, sign) in [(0, 2.0), (2, -2.0)] {
            check("vwap_bands", &bands[output], 1e-11, |i| {
                let (mean, deviation) = average(&session(i), x);
                some(mean + sign * deviation)
            });
        }

        let falls: Vec<f64> = (0..x.len()).map(|i| f64::from(i > 3 && x[i] < x[i - 1] * 0.995)).collect();
        check("anchored_vwap", &stream("anchored_vwap", &[], &[x, &falls, volume])[0], 1e-12, |i| {
            let anchor = (0..=i).rev().find(|j| falls[*j] == 1.0)?;
            some(average(&(anchor..=i).collect::<Vec<_>>(), x).0)
        });
    }
}
