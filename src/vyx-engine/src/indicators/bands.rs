//! Spread around an average.

use super::talib::{CORE, lookback, streams};
use super::{SOURCE, candles, period};
use crate::catalog::{Function, Param};
use ta_lib::MAType::SMA;

pub(crate) const BBANDS: Function = Function {
    name: "bbands",
    aliases: &["bb"],
    inputs: &[SOURCE],
    params: &[
        candles("length", 2.0, Some(20.0)),
        Param { name: "mult", whole: false, min: 0.0, max: 100.0, default: Some(2.0) },
    ],
    outputs: &["upper", "middle", "lower", "width", "percent"],
    warm_up: |p| lookback(CORE.bbands_lookback(period(p, 0), p[1], p[1], SMA)),
    doc: "Bollinger bands: simple average ± mult population standard deviations (TA-Lib BBANDS); width = (upper − lower) / middle; percent = (source − lower) / (upper − lower), undefined where the bands meet.",
    open: |p| {
        let (n, mult) = (period(p, 0), p[1]);
        let record = |x: f64, (upper, middle, lower): (f64, f64, f64)| {
            [upper, middle, lower, (upper - lower) / middle, (x - lower) / (upper - lower)]
        };
        streams(
            lookback(CORE.bbands_lookback(n, mult, mult, SMA)),
            move |c, [x]| c.bbands_open(x, n, mult, mult, SMA).map(|(h, v)| (h, record(x[x.len() - 1], v))),
            move |h, [x]| h.update(x).map(|v| record(x, v)),
        )
    },
    ..Function::PLAIN
};

pub(crate) const STDEV: Function = Function {
    name: "stdev",
    aliases: &["stddev"],
    inputs: &[SOURCE],
    params: &[candles("length", 2.0, None)],
    outputs: &["stdev"],
    warm_up: |p| lookback(CORE.stddev_lookback(period(p, 0), 1.0)),
    doc: "Population standard deviation of the last `length` candles (TA-Lib STDDEV, Pine's biased default).",
    open: |p| {
        let n = period(p, 0);
        let lookback = lookback(CORE.stddev_lookback(n, 1.0));
        streams(
            lookback,
            move |c, [x]| c.stddev_open(x, n, 1.0).map(|(h, v)| (h, [v])),
            |h, [x]| h.update(x).map(|v| [v]),
        )
    },
    ..Function::PLAIN
};
