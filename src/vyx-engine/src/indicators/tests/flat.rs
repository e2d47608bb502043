//! What functions say where nothing moves and nothing is traded, as their documentation has it.

use super::stream;
use crate::catalog::{self, Function};
use crate::program::Field;

const PRICE: f64 = 100.1;

/// Each output after a long flat stretch, NaN where there is no value.
fn flat(function: &Function, volume: f64, params: &[f64]) -> Vec<f64> {
    let n = (function.warm_up)(params) + 40;
    let mut columns = vec![vec![PRICE; n]; function.inputs.len()];
    columns.extend(function.candle.iter().map(|field| vec![if *field == Field::Volume { volume } else { PRICE }; n]));
    let inputs: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    stream(function.name, params, &inputs).iter().map(|column| column[n - 1]).collect()
}

#[track_caller]
fn check(name: &str, volume: f64, expected: &[f64]) {
    let function = catalog::find(name).unwrap();
    let params: Vec<f64> = function.params.iter().map(|p| p.default.unwrap_or(10.0)).collect();
    let found = flat(function, volume, &params);
    assert_eq!(found.len(), expected.len(), "{name}");
    for (found, expected) in found.iter().zip(expected) {
        let near = (found - expected).abs() <= 1e-12 * PRICE || (found.is_nan() && expected.is_nan());
        assert!(near, "{name} with volume {volume}: {found}, not {expected}");
    }
}

#[test]
fn averages_of_a_flat_series_are_the_series() {
    for name in ["sma", "ema", "wma", "rma", "hma", "dema", "tema", "trima", "zlema", "kama", "t3", "alma", "swma"] {
        check(name, 0.0, &[PRICE]);
    }
    check("vwma", 5.0, &[PRICE]);
    check("vwma", 0.0, &[f64::NAN]);
}

#[test]
fn oscillators_of_a_flat_series_are_in_the_middle_or_nil() {
    check("rsi", 0.0, &[50.0]);
    for name in ["cci", "willr", "ultosc", "cmo", "cmou", "bop", "apo", "mom", "roc", "trix", "tsi", "ao"] {
        check(name, 0.0, &[0.0]);
    }
    for volume in [0.0, 5.0] {
        check("mfi", volume, &[0.0]);
    }
    for name in ["stochrsi", "stoch"] {
        check(name, 0.0, &[0.0; 2]);
    }
    for name in ["macd", "ppo"] {
        check(name, 0.0, &[0.0; 3]);
    }
}

#[test]
fn a_flat_series_has_no_range_and_no_direction() {
    for name in ["tr", "atr", "natr", "adx", "adxr"] {
        check(name, 0.0, &[0.0]);
    }
    check("dmi", 0.0, &[0.0; 3]);
    check("vortex", 0.0, &[0.0; 2]);
    check("chop", 0.0, &[100.0]);
    // Of equal extremes the newest counts.
    check("aroon", 0.0, &[100.0; 2]);
    check("aroonosc", 0.0, &[0.0]);
    check("psar", 0.0, &[PRICE]);
    check("supertrend", 0.0, &[PRICE, -1.0]);
    check("ichimoku", 0.0, &[PRICE; 5]);
}

#[test]
fn bands_of_a_flat_series_meet_and_have_no_inside() {
    check("bbands", 0.0, &[PRICE, PRICE, PRICE, 0.0, f64::NAN]);
    check("keltner", 0.0, &[PRICE; 3]);
    check("donchian", 0.0, &[PRICE; 3]);
    for name in ["stdev", "variance", "linreg_slope", "percentrank", "correlation"] {
        check(name, 0.0, &[0.0]);
    }
    check("zscore", 0.0, &[f64::NAN]);
    check("linreg", 0.0, &[PRICE]);
    check("linreg_intercept", 0.0, &[PRICE]);
}

#[test]
fn volume_says_nothing_of_a_flat_series_and_less_without_volume() {
    for name in ["adosc", "cmf", "efi", "emv"] {
        check(name, 5.0, &[0.0]);
        check(name, 0.0, &[0.0]);
    }
    for name in ["pvi", "nvi"] {
        check(name, 5.0, &[1_000.0]);
    }
    check("rvol", 5.0, &[1.0]);
    check("rvol", 0.0, &[f64::NAN]);
    check("vwap", 5.0, &[PRICE]);
    check("vwap", 0.0, &[f64::NAN]);
    check("vwap_bands", 5.0, &[PRICE; 3]);
    check("vwap_bands", 0.0, &[f64::NAN; 3]);
    check("anchored_vwap", 5.0, &[PRICE]);
    check("anchored_vwap", 0.0, &[f64::NAN]);
    check("buy_pressure", 0.0, &[f64::NAN]);
}

#[test]
fn a_flat_series_has_one_price_and_no_turns() {
    check("volume_profile", 5.0, &[PRICE, PRICE, PRICE, PRICE, PRICE, PRICE, 1.0]);
    check("volume_profile", 0.0, &[f64::NAN; 7]);
    for name in ["pivot_high", "pivot_low"] {
        check(name, 0.0, &[f64::NAN]);
    }
    check("divergence", 0.0, &[0.0; 4]);
    for name in ["inside_bar", "outside_bar", "doji"] {
        check(name, 0.0, &[1.0]);
    }
    check("engulfing", 0.0, &[0.0; 2]);
}
