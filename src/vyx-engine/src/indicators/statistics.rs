//! Statistics of the last `length` candles.

use super::sliding::Spread;
use super::talib::{CORE, lookback, of_one_period, stream, streams};
use super::{LONGEST, SOURCE, candles, period, whole};
use crate::catalog::{Function, Indicator, Input, Param};
use crate::eval::bank::bank;
use crate::program::Kind;

pub(crate) const STDEV: Function = Function {
    name: "stdev",
    aliases: &["stddev"],
    inputs: &[SOURCE],
    params: &[candles("length", 2.0, None)],
    outputs: &["stdev"],
    warm_up: |p| lookback(CORE.stddev_lookback(period(p, 0), 1.0)),
    doc: "Population standard deviation of the last `length` candles (TA-Lib STDDEV, Pine's biased default).",
    open: |p| {
        let length = whole(p, 0);
        bank(move || Dispersion { spread: Spread::new(length), answer: f64::sqrt })
    },
    ..Function::PLAIN
};

pub(crate) const VARIANCE: Function = Function {
    name: "variance",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, None)],
    outputs: &["variance"],
    warm_up: |p| lookback(CORE.var_lookback(period(p, 0), 1.0)),
    doc: "Population variance of the last `length` candles (TA-Lib VAR, Pine's biased default).",
    open: |p| {
        let length = whole(p, 0);
        bank(move || Dispersion { spread: Spread::new(length), answer: |variance| variance })
    },
    ..Function::PLAIN
};

struct Dispersion<Answer> {
    spread: Spread,
    /// What is said of the variance.
    answer: Answer,
}

impl<Answer: Fn(f64) -> f64 + Send> Indicator for Dispersion<Answer> {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        outputs[0] = self.spread.push(inputs[0]).map_or(f64::NAN, |(_, variance)| (self.answer)(variance));
    }
}

pub(crate) const ZSCORE: Function = Function {
    name: "zscore",
    inputs: &[SOURCE],
    params: &[candles("length", 2.0, Some(20.0))],
    outputs: &["zscore"],
    warm_up: |p| lookback(CORE.stddev_lookback(period(p, 0), 1.0)),
    doc: "How many standard deviations the source is above its average: (source − sma) / stdev; undefined on a flat series.",
    open: |p| {
        let length = whole(p, 0);
        bank(move || ZScore { spread: Spread::new(length) })
    },
    ..Function::PLAIN
};

struct ZScore {
    spread: Spread,
}

impl Indicator for ZScore {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        // The average of a flat series may differ from it by its rounding.
        let said = self.spread.push(inputs[0]).filter(|(_, variance)| *variance > 0.0);
        outputs[0] = said.map_or(f64::NAN, |(mean, variance)| (inputs[0] - mean) / variance.sqrt());
    }
}

pub(crate) const LINREG: Function = Function {
    name: "linreg",
    aliases: &["linearreg"],
    inputs: &[SOURCE],
    params: &[
        candles("length", 2.0, Some(14.0)),
        Param { name: "offset", whole: true, min: 0.0, max: LONGEST, default: Some(0.0) },
    ],
    outputs: &["linreg"],
    warm_up: |p| lookback(CORE.linearreg_lookback(period(p, 0))),
    doc: "Where the least-squares line through the last `length` candles ends, or stands `offset` candles before its end (TA-Lib LINEARREG, Pine's ta.linreg).",
    open: |p| {
        let (n, offset) = (period(p, 0), p[1]);
        if offset == 0.0 {
            return bank(move || end_of_line(n));
        }
        bank(move || Linreg {
            offset,
            end: end_of_line(n),
            slope: stream(
                lookback(CORE.linearreg_slope_lookback(n)),
                move |c, [x]| c.linearreg_slope_open(x, n).map(|(h, v)| (h, [v])),
                |h, [x]| h.update(x).map(|v| [v]),
            ),
        })
    },
    ..Function::PLAIN
};

fn end_of_line(n: i32) -> impl Indicator {
    stream(
        lookback(CORE.linearreg_lookback(n)),
        move |c, [x]| c.linearreg_open(x, n).map(|(h, v)| (h, [v])),
        |h, [x]| h.update(x).map(|v| [v]),
    )
}

struct Linreg<End, Slope> {
    offset: f64,
    end: End,
    slope: Slope,
}

impl<End: Indicator, Slope: Indicator> Indicator for Linreg<End, Slope> {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let (mut end, mut slope) = ([f64::NAN], [f64::NAN]);
        self.end.update(inputs, &mut end);
        self.slope.update(inputs, &mut slope);
        outputs[0] = end[0] - slope[0] * self.offset;
    }
}

pub(crate) const LINREG_SLOPE: Function = Function {
    name: "linreg_slope",
    aliases: &["linearreg_slope"],
    inputs: &[SOURCE],
    params: &[candles("length", 2.0, Some(14.0))],
    outputs: &["linreg_slope"],
    warm_up: |p| lookback(CORE.linearreg_slope_lookback(period(p, 0))),
    doc: "How much the least-squares line through the last `length` candles rises in a candle (TA-Lib LINEARREG_SLOPE).",
    open: of_one_period!(linearreg_slope_lookback, linearreg_slope_open),
    ..Function::PLAIN
};

pub(crate) const LINREG_INTERCEPT: Function = Function {
    name: "linreg_intercept",
    aliases: &["linearreg_intercept"],
    inputs: &[SOURCE],
    params: &[candles("length", 2.0, Some(14.0))],
    outputs: &["linreg_intercept"],
    warm_up: |p| lookback(CORE.linearreg_intercept_lookback(period(p, 0))),
    doc: "Where the least-squares line through the last `length` candles begins, on the oldest of them (TA-Lib LINEARREG_INTERCEPT).",
    open: of_one_period!(linearreg_intercept_lookback, linearreg_intercept_open),
    ..Function::PLAIN
};

pub(crate) const PERCENTRANK: Function = Function {
    name: "percentrank",
    inputs: &[SOURCE],
    params: &[candles("length", 2.0, Some(100.0))],
    outputs: &["percentrank"],
    warm_up: |p| lookback(CORE.percentrank_lookback(period(p, 0))),
    doc: "How many percent of the `length` values before this one are less than it; 0 on a flat series, where Pine's ta.percentrank counts equal ones too (TA-Lib PERCENTRANK).",
    open: |p| {
        let length = whole(p, 0);
        bank(move || PercentRank { length, before: Vec::new(), oldest: 0 })
    },
    ..Function::PLAIN
};

/// TA-Lib's PERCENTRANK over values that lie side by side, so that a processor compares several at once.
struct PercentRank {
    length: usize,
    /// The `length` values before this one, in no order.
    before: Vec<f64>,
    oldest: usize,
}

impl Indicator for PercentRank {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let value = inputs[0];
        if self.before.len() < self.length {
            self.before.push(value);
            outputs[0] = f64::NAN;
            return;
        }
        let less = self.before.iter().map(|before| u32::from(*before < value)).sum::<u32>();
        outputs[0] = f64::from(less) / self.length as f64 * 100.0;
        self.before[self.oldest] = value;
        self.oldest = (self.oldest + 1) % self.length;
    }
}

pub(crate) const CORRELATION: Function = Function {
    name: "correlation",
    aliases: &["correl"],
    inputs: &[
        Input { name: "a", kind: Kind::Number, default: None },
        Input { name: "b", kind: Kind::Number, default: None },
    ],
    params: &[candles("length", 1.0, Some(20.0))],
    outputs: &["correlation"],
    warm_up: |p| lookback(CORE.correl_lookback(period(p, 0))),
    doc: "Pearson's correlation of two series over the last `length` candles, −1 to 1; 0 where one of them is flat (TA-Lib CORREL).",
    open: of_one_period!(correl_lookback, correl_open, (a, b)),
    ..Function::PLAIN
};
