//! Values are those of the C library, from the same candle on. The files were made by `golden/make.py`, which says how
//! their columns are named.

use super::stream;
use crate::catalog::{self, Function};
use crate::program::Field;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

type Columns = HashMap<String, Vec<f64>>;

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/indicators/tests/golden"))
}

fn read(file: &str) -> Columns {
    let text = std::fs::read_to_string(directory().join(file)).unwrap();
    let mut lines = text.lines();
    let heads = lines.next().unwrap().split(',');
    let rows: Vec<Vec<f64>> =
        lines.map(|line| line.split(',').map(|cell| cell.parse().unwrap_or(f64::NAN)).collect()).collect();
    assert!(rows.len() >= 100, "{file} has {} rows", rows.len());
    heads.enumerate().map(|(i, head)| (head.to_owned(), rows.iter().map(|row| row[i]).collect())).collect()
}

/// What a column's name may give as an argument.
const FIELDS: [Field; 8] =
    [Field::Open, Field::High, Field::Low, Field::Close, Field::Volume, Field::Hl2, Field::Hlc3, Field::Ohlc4];

fn field(candles: &Columns, field: Field) -> Vec<f64> {
    let mean = |of: &[&str]| {
        (0..candles["close"].len()).map(|i| of.iter().map(|f| candles[*f][i]).sum::<f64>() / of.len() as f64).collect()
    };
    match field {
        Field::Hl2 => mean(&["high", "low"]),
        Field::Hlc3 => mean(&["high", "low", "close"]),
        Field::Ohlc4 => mean(&["open", "high", "low", "close"]),
        other => candles[&format!("{other:?}").to_lowercase()].clone(),
    }
}

/// A column's name, read: the function, its inputs, its constants and which of its outputs.
fn call(head: &str, candles: &Columns) -> (&'static Function, Vec<Vec<f64>>, Vec<f64>, usize) {
    let name = head.split([' ', '.']).next().unwrap();
    let function = catalog::find(name).unwrap_or_else(|| panic!("no function {name}"));
    let (head, output) = match head.rsplit_once('.') {
        Some((head, name)) if function.outputs.len() > 1 => {
            (head, function.outputs.iter().position(|o| *o == name).unwrap_or_else(|| panic!("{head} has no {name}")))
        }
        _ => (head, 0),
    };
    let named = |word: &str| FIELDS.iter().find(|f| format!("{f:?}").to_lowercase() == word);
    let (given, params): (Vec<&str>, Vec<&str>) = head.split(' ').skip(1).partition(|word| named(word).is_some());
    let params = params.iter().map(|word| word.parse().unwrap()).collect();
    let mut inputs: Vec<Vec<f64>> = given.iter().filter_map(|word| named(word)).map(|f| field(candles, *f)).collect();
    if given.is_empty() {
        let defaults =
            function.inputs.iter().map(|input| input.default.unwrap_or_else(|| panic!("{name}: no default")));
        inputs.extend(defaults.map(|default| field(candles, default)));
    }
    inputs.extend(function.candle.iter().map(|f| field(candles, *f)));
    (function, inputs, params, output)
}

/// Checks all rooms of a set; returns the functions that were met.
fn check(set: &str) -> HashSet<&'static str> {
    let mut met = HashSet::new();
    let candles = read(&format!("{set}.csv"));
    for file in std::fs::read_dir(directory()).unwrap() {
        let file = file.unwrap().file_name().into_string().unwrap();
        if !file.ends_with(&format!(".{set}.csv")) {
            continue;
        }
        for (head, expected) in read(&file) {
            let (head, difference) = head.strip_prefix('~').map_or((head.as_str(), false), |head| (head, true));
            let (function, inputs, params, output) = call(head, &candles);
            met.insert(function.name);
            let size = |i: usize| inputs.iter().filter(|_| difference).fold(0.0_f64, |size, input| size.max(input[i]));
            let inputs: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
            for (i, (ours, theirs)) in stream(function.name, &params, &inputs)[output].iter().zip(&expected).enumerate()
            {
                assert_eq!(ours.is_nan(), theirs.is_nan(), "{set}: {head} at {i}: {ours}, not {theirs}");
                let within = 1e-9 * size(i).max(theirs.abs());
                let near = ours.is_nan() || (ours - theirs).abs() <= within;
                assert!(near, "{set}: {head} at {i}: {ours}, not {theirs}");
            }
        }
    }
    met
}

#[test]
fn values_are_those_of_the_c_library() {
    let met = check("btc");
    // Whose documentation names TA-Lib is held to it.
    let promised = catalog::functions().iter().filter(|f| f.doc.contains("(TA-Lib "));
    let missing: Vec<&str> = promised.map(|f| f.name).filter(|name| !met.contains(name)).collect();
    assert!(missing.is_empty(), "no golden vector of {missing:?}");
}

#[test]
fn values_are_those_of_the_c_library_at_micro_prices() {
    assert_eq!(check("micro"), check("btc"));
}
