//! Spread around an average.

use super::averages::average;
use super::talib::{CORE, lookback, stream};
use super::{SOURCE, candles, period};
use crate::catalog::{Function, Indicator, Param};
use crate::eval::bank::bank;
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
        bank(move || Bands { average: average(n), deviation: deviation(n), mult })
    },
    ..Function::PLAIN
};

/// TA-Lib's BBANDS from its two parts: a tenth of the memory of its own state, which has room for averages of all kinds.
struct Bands<Average, Deviation> {
    average: Average,
    deviation: Deviation,
    mult: f64,
}

impl<Average: Indicator, Deviation: Indicator> Indicator for Bands<Average, Deviation> {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let (mut middle, mut deviation) = ([f64::NAN], [f64::NAN]);
        self.average.update(inputs, &mut middle);
        self.deviation.update(inputs, &mut deviation);
        let ([middle], spread) = (middle, deviation[0] * self.mult);
        let (upper, lower) = (middle + spread, middle - spread);
        // The rounding of the average may part a flat series from bands that meet.
        let percent = if upper > lower { (inputs[0] - lower) / (upper - lower) } else { f64::NAN };
        outputs.copy_from_slice(&[upper, middle, lower, (upper - lower) / middle, percent]);
    }
}

fn deviation(n: i32) -> impl Indicator {
    stream(
        lookback(CORE.stddev_lookback(n, 1.0)),
        move |c, [x]| c.stddev_open(x, n, 1.0).map(|(h, v)| (h, [v])),
        |h, [x]| h.update(x).map(|v| [v]),
    )
}

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
        bank(move || deviation(n))
    },
    ..Function::PLAIN
};
