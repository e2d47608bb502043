//! Candle patterns: TA-Lib's on whole files of real candles, and our own.

use super::super::{Data, markets, real, stream};
use super::check;
use crate::catalog;
use crate::indicators::talib::CORE;

/// Candles to be counted in.
const FILES: [&str; 3] = ["BTCUSDT-1h.csv", "LTCBTC-5m.csv", "XRPETH-1m.csv"];

/// None of these is in any of the files, so that only their silence is tested.
const NEVER_MET: &[&str] = &[
    "abandoned_baby 0.3.bear",
    "breakaway.bear",
    "breakaway.bull",
    "concealing_baby_swallow",
    "ladder_bottom",
    "mat_hold 0.5",
    "rise_fall_three_methods.bear",
    "rise_fall_three_methods.bull",
    "tasuki_gap.bear",
    "three_stars_in_the_south",
    "two_crows",
    "upside_gap_two_crows",
];

#[test]
fn patterns_are_found_where_the_c_library_finds_them() {
    let text = include_str!("../golden/patterns.hits.csv");
    let files: Vec<Option<Data>> = FILES.iter().map(|file| real(file, usize::MAX)).collect();
    if files.iter().any(Option::is_none) {
        return;
    }
    let mut found: std::collections::HashMap<&str, u64> = std::collections::HashMap::new();
    for line in text.lines().skip(1) {
        let [file, call, hits, sum] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let data = files[FILES.iter().position(|name| *name == file).unwrap()].as_ref().unwrap();
        // `name`, `name.output`, `name penetration` or `name penetration.output`.
        let (name, rest) = call.split_at(call.find([' ', '.']).unwrap_or(call.len()));
        let function = catalog::find(name).unwrap();
        let (params, output) = match function.outputs.iter().position(|o| rest.ends_with(&format!(".{o}"))) {
            Some(output) => (rest.strip_suffix(&format!(".{}", function.outputs[output])).unwrap(), output),
            None => (rest, 0),
        };
        let params: Vec<f64> = params.split_whitespace().map(|p| p.parse().unwrap()).collect();
        let columns = stream(name, &params, &[&data.open, &data.high, &data.low, &data.close]);
        let at: Vec<usize> = (0..data.close.len()).filter(|i| columns[output][*i] == 1.0).collect();
        assert_eq!(at.len().to_string(), hits, "{call} in {file}");
        assert_eq!(at.iter().sum::<usize>().to_string(), sum, "{call} in {file}");
        *found.entry(call).or_default() += at.len() as u64;
    }
    let mut never: Vec<&str> = found.iter().filter(|(_, hits)| **hits == 0).map(|(call, _)| *call).collect();
    never.sort_unstable();
    assert_eq!(never, NEVER_MET);
    assert_eq!(catalog::functions().iter().filter(|f| f.doc.contains("(TA-Lib cdl")).count(), 61);
}

#[test]
fn patterns_of_the_stream_are_those_of_the_batch_call() {
    for Data { open: o, high: h, low: l, close: c, .. } in &markets() {
        let (n, candle): (usize, [&[f64]; 4]) = (o.len(), [o, h, l, c]);
        let mut out = vec![0; n];
        for penetration in [0.0, 0.3, 0.9] {
            let range = CORE.cdlmorningstar(0, n - 1, o, h, l, c, penetration, &mut out).unwrap();
            check("morning_star", &stream("morning_star", &[penetration], &candle)[0], 0.0, |i| {
                Some(f64::from(out[i.checked_sub(range.beg_idx)?] != 0))
            });
        }
        let range = CORE.cdlengulfing(0, n - 1, o, h, l, c, &mut out).unwrap();
        let engulfing = stream("engulfing", &[], &candle);
        check("bull", &engulfing[0], 0.0, |i| Some(f64::from(out[i.checked_sub(range.beg_idx)?] > 0)));
        check("bear", &engulfing[1], 0.0, |i| Some(f64::from(out[i.checked_sub(range.beg_idx)?] < 0)));
        let range = CORE.cdlhikkake(0, n - 1, o, h, l, c, &mut out).unwrap();
        let hikkake = stream("hikkake", &[], &candle);
        for (output, meant) in [100, -100, 200, -200].into_iter().enumerate() {
            check("hikkake", &hikkake[output], 0.0, |i| Some(f64::from(out[i.checked_sub(range.beg_idx)?] == meant)));
        }
    }
}

#[test]
fn bars_inside_and_outside() {
    for Data { high, low, .. } in &markets() {
        check("inside_bar", &stream("inside_bar", &[], &[high, low])[0], 0.0, |i| {
            i.checked_sub(1).map(|before| f64::from(high[i] <= high[before] && low[i] >= low[before]))
        });
        check("outside_bar", &stream("outside_bar", &[], &[high, low])[0], 0.0, |i| {
            i.checked_sub(1).map(|before| f64::from(high[i] >= high[before] && low[i] <= low[before]))
        });
    }
}
