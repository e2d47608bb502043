//! Values are those of the C library, from the same candle on. The files were made by `golden/make.py` with PyPI's
//! TA-Lib 0.8; they hold the candles too.

use super::stream;
use crate::catalog;

#[track_caller]
fn check(file: &str) {
    let mut lines = file.lines();
    let heads: Vec<&str> = lines.next().unwrap().split(',').collect();
    let rows: Vec<Vec<f64>> =
        lines.map(|line| line.split(',').map(|cell| cell.parse().unwrap_or(f64::NAN)).collect()).collect();
    let column = |index: usize| -> Vec<f64> { rows.iter().map(|row| row[index]).collect() };
    let (high, low, close, volume) = (column(0), column(1), column(2), column(3));
    for (index, head) in heads.iter().enumerate().skip(4) {
        // `name param ...` or `name param ....output`
        let mut words = head.split(' ');
        let name = words.next().unwrap();
        let mut words: Vec<&str> = words.collect();
        let several = catalog::find(name).unwrap().outputs.len() > 1;
        let mut output = 0;
        if let Some((last, number)) = words.last().copied().filter(|_| several).and_then(|last| last.rsplit_once('.')) {
            output = number.parse().unwrap();
            *words.last_mut().unwrap() = last;
        }
        let params: Vec<f64> = words.iter().map(|word| word.parse().unwrap()).collect();
        let inputs: &[&[f64]] = match name {
            "atr" | "stoch" | "adx" => &[&high, &low, &close],
            "obv" => &[&close, &volume],
            "highest" => &[&high],
            "lowest" => &[&low],
            _ => &[&close],
        };
        // A difference of prices, like the MACD line, carries the rounding of the prices.
        let size = if name == "macd" { close[0] } else { 0.0 };
        for (i, (ours, theirs)) in stream(name, &params, inputs)[output].iter().zip(column(index)).enumerate() {
            assert_eq!(ours.is_nan(), theirs.is_nan(), "{head} at {i}: {ours}, not {theirs}");
            let within = 1e-9 * size.max(theirs.abs());
            assert!(ours.is_nan() || (ours - theirs).abs() <= within, "{head} at {i}: {ours}, not {theirs}");
        }
    }
    assert_eq!((rows.len(), heads.len()), (120, 23));
}

#[test]
fn values_are_those_of_the_c_library() {
    check(include_str!("golden/btc.csv"));
}

#[test]
fn values_are_those_of_the_c_library_at_micro_prices() {
    check(include_str!("golden/micro.csv"));
}
