//! Moving averages, all but one TA-Lib's.

use super::sliding::Mean;
use super::talib::{CORE, lookback, of_one_period, single, stream, streams};
use super::{SOURCE, candles, period, real, whole};
use crate::catalog::{Function, Indicator};
use crate::eval::bank::bank;
use crate::program::Field;

pub(crate) const SMA: Function = Function {
    name: "sma",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, None)],
    outputs: &["sma"],
    warm_up: |p| lookback(CORE.sma_lookback(period(p, 0))),
    doc: "Simple moving average of the last `length` candles (TA-Lib SMA).",
    open: |p| {
        let length = whole(p, 0);
        bank(move || Mean::new(length))
    },
    ..Function::PLAIN
};

impl Indicator for Mean {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        outputs[0] = self.push(inputs[0]).unwrap_or(f64::NAN);
    }
}

pub(crate) const EMA: Function = Function {
    name: "ema",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, None)],
    outputs: &["ema"],
    warm_up: |p| lookback(CORE.ema_lookback(period(p, 0))),
    doc: "Exponential moving average, weight 2/(length + 1), seeded with the simple average (TA-Lib EMA).",
    open: |p| {
        let n = period(p, 0);
        bank(move || exponential(n))
    },
    ..Function::PLAIN
};

/// The exponential average of `n` candles, as part of other functions.
pub(super) fn exponential(n: i32) -> impl Indicator {
    stream(
        lookback(CORE.ema_lookback(n)),
        move |c, [x]| c.ema_open(x, n).map(|(h, v)| (h, [v])),
        |h, [x]| h.update(x).map(|v| [v]),
    )
}

pub(crate) const WMA: Function = Function {
    name: "wma",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, None)],
    outputs: &["wma"],
    warm_up: |p| lookback(CORE.wma_lookback(period(p, 0))),
    doc: "Weighted moving average, weights 1 to length, the newest candle heaviest (TA-Lib WMA).",
    open: of_one_period!(wma_lookback, wma_open),
    ..Function::PLAIN
};

pub(crate) const RMA: Function = Function {
    name: "rma",
    aliases: &["smma"],
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, None)],
    outputs: &["rma"],
    warm_up: |p| lookback(CORE.rma_lookback(period(p, 0))),
    doc: "Wilder's moving average, weight 1/length, seeded with the simple average (TA-Lib RMA).",
    open: |p| {
        let n = period(p, 0);
        bank(move || wilder(n))
    },
    ..Function::PLAIN
};

/// Wilder's average of `n` candles, as part of other functions.
pub(super) fn wilder(n: i32) -> impl Indicator {
    stream(
        lookback(CORE.rma_lookback(n)),
        move |c, [x]| c.rma_open(x, n).map(|(h, v)| (h, [v])),
        |h, [x]| h.update(x).map(|v| [v]),
    )
}

pub(crate) const HMA: Function = Function {
    name: "hma",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, None)],
    outputs: &["hma"],
    warm_up: |p| lookback(CORE.hma_lookback(period(p, 0))),
    doc: "Hull moving average: wma(2·wma(source, length/2) − wma(source, length), √length), halves and root rounded down (TA-Lib HMA).",
    open: of_one_period!(hma_lookback, hma_open),
    ..Function::PLAIN
};

pub(crate) const VWMA: Function = Function {
    name: "vwma",
    inputs: &[SOURCE],
    candle: &[Field::Volume],
    params: &[candles("length", 1.0, None)],
    outputs: &["vwma"],
    warm_up: |p| lookback(CORE.vwma_lookback(period(p, 0))),
    doc: "Volume-weighted moving average of the last `length` candles: Σ source·volume / Σ volume; undefined where none of them has volume (TA-Lib VWMA).",
    open: of_one_period!(vwma_lookback, vwma_open, (x, volume)),
    ..Function::PLAIN
};

pub(crate) const DEMA: Function = Function {
    name: "dema",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, None)],
    outputs: &["dema"],
    warm_up: |p| lookback(CORE.dema_lookback(period(p, 0))),
    doc: "Double exponential average: 2·ema − ema of the ema (TA-Lib DEMA).",
    open: of_one_period!(dema_lookback, dema_open),
    ..Function::PLAIN
};

pub(crate) const TEMA: Function = Function {
    name: "tema",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, None)],
    outputs: &["tema"],
    warm_up: |p| lookback(CORE.tema_lookback(period(p, 0))),
    doc: "Triple exponential average: 3·ema − 3·ema of the ema + ema of that (TA-Lib TEMA).",
    open: of_one_period!(tema_lookback, tema_open),
    ..Function::PLAIN
};

pub(crate) const TRIMA: Function = Function {
    name: "trima",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, None)],
    outputs: &["trima"],
    warm_up: |p| lookback(CORE.trima_lookback(period(p, 0))),
    doc: "Triangular moving average: weights rise to the middle of the window and fall again (TA-Lib TRIMA).",
    open: of_one_period!(trima_lookback, trima_open),
    ..Function::PLAIN
};

pub(crate) const ZLEMA: Function = Function {
    name: "zlema",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, None)],
    outputs: &["zlema"],
    warm_up: |p| lookback(CORE.zlema_lookback(period(p, 0))),
    doc: "Zero-lag exponential average: the ema of source + (source − source[(length − 1) / 2]) (TA-Lib ZLEMA).",
    open: of_one_period!(zlema_lookback, zlema_open),
    ..Function::PLAIN
};

pub(crate) const KAMA: Function = Function {
    name: "kama",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, None)],
    outputs: &["kama"],
    warm_up: |p| lookback(CORE.kama_lookback(period(p, 0))),
    doc: "Kaufman's adaptive moving average: fast in a trend, slow in noise, smoothing constants 2/3 to 2/31 (TA-Lib KAMA).",
    open: of_one_period!(kama_lookback, kama_open),
    ..Function::PLAIN
};

pub(crate) const T3: Function = Function {
    name: "t3",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, Some(5.0)), real("factor", 0.0, 1.0, 0.7)],
    outputs: &["t3"],
    warm_up: |p| lookback(CORE.t3_lookback(period(p, 0), p[1])),
    doc: "Tillson's T3: a double exponential average with volume factor `factor`, taken three times over (TA-Lib T3).",
    open: single!(t3_lookback, t3_open, (x), p, n = period(p, 0), factor = p[1]),
    ..Function::PLAIN
};

pub(crate) const ALMA: Function = Function {
    name: "alma",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, Some(9.0)), real("offset", 0.0, 1.0, 0.85), real("sigma", 0.01, 1_000.0, 6.0)],
    outputs: &["alma"],
    warm_up: |p| lookback(CORE.alma_lookback(period(p, 0), p[2], p[1])),
    doc: "Arnaud Legoux's moving average: weights a bell of width length/sigma, its top on candle ⌊offset · (length − 1)⌋ of the window (Legoux and Kouzis-Loukas; Pine's ta.alma with floor = true).",
    open: single!(alma_lookback, alma_open, (x), p, n = period(p, 0), sigma = p[2], offset = p[1]),
    ..Function::PLAIN
};

pub(crate) const SWMA: Function = Function {
    name: "swma",
    inputs: &[SOURCE],
    outputs: &["swma"],
    warm_up: |_| 3,
    doc: "Symmetrically weighted average of four candles, weights 1/6, 2/6, 2/6, 1/6 (Pine's ta.swma).",
    open: |_| bank(|| Swma { before: [f64::NAN; 3] }),
    ..Function::PLAIN
};

struct Swma {
    /// Newest last.
    before: [f64; 3],
}

impl Indicator for Swma {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let ([a, b, c], d) = (self.before, inputs[0]);
        outputs[0] = (a + 2.0 * b + 2.0 * c + d) / 6.0;
        self.before = [b, c, d];
    }
}
