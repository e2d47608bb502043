//! Each function against TA-Lib's batch call and against a definition written down once more.

mod definitions;
mod flat;
mod golden;
mod talib;

use crate::catalog::{self, Function, MAX_INPUTS, MAX_OUTPUTS};
use crate::program::{Field, Kind};
use std::collections::HashSet;

/// Columns of candles: real ones, or the same at a millionth of the price.
pub(super) struct Data {
    pub time: Vec<f64>,
    pub open: Vec<f64>,
    pub high: Vec<f64>,
    pub low: Vec<f64>,
    pub close: Vec<f64>,
    pub volume: Vec<f64>,
}

impl Data {
    /// A field; what the files do not hold is made of what they do.
    pub fn field(&self, field: Field) -> &[f64] {
        match field {
            Field::Time => &self.time,
            Field::Open => &self.open,
            Field::High => &self.high,
            Field::Low => &self.low,
            Field::Volume | Field::QuoteVolume | Field::BuyVolume | Field::Trades => &self.volume,
            _ => &self.close,
        }
    }

    fn scaled(mut self, factor: f64) -> Data {
        for column in [&mut self.open, &mut self.high, &mut self.low, &mut self.close] {
            column.iter_mut().for_each(|price| *price *= factor);
        }
        self
    }
}

/// The first `limit` real candles of a file, or `None`, said aloud, where the files are not there.
pub(super) fn real(file: &str, limit: usize) -> Option<Data> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let directory = std::env::var("VYX_DATA").unwrap_or_else(|_| default.to_owned());
    let Ok(text) = std::fs::read_to_string(format!("{directory}/{file}")) else {
        eprintln!("skipped: no {file} in {directory}; set VYX_DATA");
        return None;
    };
    let rows: Vec<Vec<f64>> = text
        .lines()
        .skip(1)
        .take(limit)
        .map(|line| line.split(',').map(|number| number.parse().expect("a number")).collect())
        .collect();
    let column = |index: usize| rows.iter().map(|row| row[index]).collect();
    Some(Data {
        time: column(0),
        open: column(1),
        high: column(2),
        low: column(3),
        close: column(4),
        volume: column(5),
    })
}

/// Real candles of three markets and one at micro prices; a flat stretch is sewn into the last.
pub(super) fn markets() -> Vec<Data> {
    let mut markets: Vec<Data> =
        ["BTCUSDT-1h.csv", "LTCBTC-5m.csv", "XRPETH-1m.csv"].iter().filter_map(|file| real(file, 1_200)).collect();
    if let Some(mut micro) = real("BTCUSDT-1h.csv", 1_200).map(|data| data.scaled(1e-10)) {
        for column in [&mut micro.open, &mut micro.high, &mut micro.low, &mut micro.close] {
            let price = column[600].floor() + 6.5e-6;
            column[600..700].fill(price);
        }
        micro.volume[600..700].fill(0.0);
        markets.push(micro);
    }
    markets
}

/// Streams columns through a function; each output as a column.
pub(super) fn stream(name: &str, params: &[f64], inputs: &[&[f64]]) -> Vec<Vec<f64>> {
    let function = catalog::find(name).unwrap();
    function.check_params(params).unwrap();
    let mut state = crate::eval::bank::Single::new((function.open)(params));
    let mut columns = vec![Vec::new(); function.outputs.len()];
    for i in 0..inputs[0].len() {
        let row: Vec<f64> = inputs.iter().map(|column| column[i]).collect();
        let mut outputs = vec![0.0; columns.len()];
        state.update(&row, &mut outputs);
        columns.iter_mut().zip(outputs).for_each(|(column, value)| column.push(value));
    }
    columns
}

/// Rows that any function can take: bools where it wants bools, prices elsewhere.
fn rows(function: &Function, length: usize) -> Vec<Vec<f64>> {
    let walk = |seed: usize| (0..length).map(move |i| 100.0 + ((i * 7_919 + seed * 104_729) % 1_009) as f64 / 97.0);
    let bools = || (0..length).map(|i| if i % 3 == 0 { 1.0 } else { 0.0 }).collect();
    let given = function.inputs.iter().enumerate();
    let mut columns: Vec<Vec<f64>> =
        given.map(|(i, input)| if input.kind == Kind::Bool { bools() } else { walk(i).collect() }).collect();
    for field in function.candle {
        columns.push(match field {
            Field::Time => (0..length).map(|i| i as f64 * 60_000.0).collect(),
            Field::High => walk(1).map(|v| v + 20.0).collect(),
            Field::Low => walk(1).map(|v| v - 20.0).collect(),
            _ => walk(2).collect(),
        });
    }
    columns
}

#[test]
fn every_declaration_is_sound() {
    let mut names = HashSet::new();
    for function in catalog::functions() {
        for name in [function.name].iter().chain(function.aliases) {
            assert!(names.insert(*name), "{name} is given twice");
            assert_eq!(catalog::find(name).unwrap().name, function.name);
        }
        assert!((1..=MAX_OUTPUTS).contains(&function.outputs.len()), "{}", function.name);
        assert!((1..=MAX_INPUTS).contains(&(function.inputs.len() + function.candle.len())), "{}", function.name);
        for param in function.params {
            assert!(param.default.is_none_or(|d| d >= param.min && d <= param.max), "{} {}", function.name, param.name);
        }
        let only_leading = function.inputs.iter().map(|i| i.default.is_some()).is_sorted_by(|a, b| a >= b);
        assert!(only_leading, "{}: defaults only for leading inputs", function.name);
    }
}

#[test]
fn the_first_valid_bar_is_the_warm_up_at_every_bound() {
    for function in catalog::functions() {
        let least: Vec<f64> = function.params.iter().map(|p| p.min).collect();
        let most: Vec<f64> = function.params.iter().map(|p| p.max).collect();
        let usual: Vec<f64> = function.params.iter().map(|p| p.default.unwrap_or(10.0)).collect();
        for params in [least, most, usual] {
            let warm_up = (function.warm_up)(&params);
            // An occurrence is no length: valuewhen is undefined, not warming, until there were so many.
            if function.name == "valuewhen" && params[0] > 0.0 {
                continue;
            }
            let columns = rows(function, warm_up + 5);
            let inputs: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            for (output, column) in function.outputs.iter().zip(stream(function.name, &params, &inputs)) {
                // Bands of width 0 × deviation have no percent.
                if *output == "percent" && params[1] == 0.0 {
                    continue;
                }
                // Events, and levels that need not be there: undefined at times, never early.
                if function.name.contains("pivot_") || ["hvn_above", "hvn_below"].contains(output) {
                    assert!(column[..warm_up].iter().all(|v| v.is_nan()), "{}{params:?}.{output}", function.name);
                    continue;
                }
                let first = column.iter().position(|v| !v.is_nan());
                assert_eq!(first, Some(warm_up), "{}{params:?}.{output}", function.name);
                assert!(column[warm_up..].iter().all(|v| !v.is_nan()), "{}{params:?}.{output}", function.name);
            }
        }
    }
}

#[test]
fn no_finite_number_is_too_wild() {
    // What a script can make of prices: exp(close), 1 / (close - open), close * 0.
    let wild = [0.0, -0.0, 1.0, -1.0, 1e308, -1e308, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 1e-17, 1e17, 0.1];
    for function in catalog::functions() {
        let least: Vec<f64> = function.params.iter().map(|p| p.min).collect();
        let usual: Vec<f64> = function.params.iter().map(|p| p.default.unwrap_or(10.0)).collect();
        for (round, params) in [&least, &usual, &usual, &usual].into_iter().enumerate() {
            let mut columns = rows(function, 400);
            let mut dice = (round as u64 + 1) * 0x9e37_79b9;
            let mut roll = |sides: usize| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (dice >> 33) as usize % sides
            };
            let numbers = columns.iter_mut().zip(function.inputs).filter(|(_, input)| input.kind == Kind::Number);
            for value in numbers.flat_map(|(column, _)| column) {
                // Of all sizes, or of one with a rare outlier.
                if round % 2 == 0 || roll(20) == 0 {
                    *value = wild[roll(wild.len())];
                }
            }
            let inputs: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            // Any value will do; TA-Lib must not index, divide or overflow its way into a panic.
            stream(function.name, params, &inputs);
        }
    }
}

#[test]
fn params_out_of_bounds_are_refused_with_their_name() {
    let rsi = catalog::find("rsi").unwrap();
    for params in [&[1.0][..], &[1_025.0], &[14.5], &[f64::NAN], &[], &[14.0, 2.0]] {
        assert!(rsi.check_params(params).is_err(), "{params:?}");
    }
    let message = rsi.check_params(&[1.0]).unwrap_err().to_string();
    assert_eq!(message, "\"length\" must be a whole number from 2 to 1024, not 1");
}
