//! Moving averages, all TA-Lib's.

use super::talib::{CORE, lookback, stream};
use super::{SOURCE, candles, period};
use crate::catalog::Function;
use crate::program::Kind;

pub(crate) const SMA: Function = Function {
    name: "sma",
    aliases: &[],
    inputs: &[SOURCE],
    candle: &[],
    params: &[candles("length", 1.0, None)],
    outputs: &["sma"],
    kind: Kind::Number,
    warm_up: |p| lookback(CORE.sma_lookback(period(p, 0))),
    doc: "Simple moving average of the last `length` candles (TA-Lib SMA).",
    open: |p| {
        let n = period(p, 0);
        let lookback = lookback(CORE.sma_lookback(n));
        stream(lookback, move |c, [x]| c.sma_open(x, n).map(|(h, v)| (h, [v])), |h, [x]| h.update(x).map(|v| [v]))
    },
};

pub(crate) const EMA: Function = Function {
    name: "ema",
    aliases: &[],
    inputs: &[SOURCE],
    candle: &[],
    params: &[candles("length", 1.0, None)],
    outputs: &["ema"],
    kind: Kind::Number,
    warm_up: |p| lookback(CORE.ema_lookback(period(p, 0))),
    doc: "Exponential moving average, weight 2/(length + 1), seeded with the simple average (TA-Lib EMA).",
    open: |p| {
        let n = period(p, 0);
        let lookback = lookback(CORE.ema_lookback(n));
        stream(lookback, move |c, [x]| c.ema_open(x, n).map(|(h, v)| (h, [v])), |h, [x]| h.update(x).map(|v| [v]))
    },
};

pub(crate) const WMA: Function = Function {
    name: "wma",
    aliases: &[],
    inputs: &[SOURCE],
    candle: &[],
    params: &[candles("length", 1.0, None)],
    outputs: &["wma"],
    kind: Kind::Number,
    warm_up: |p| lookback(CORE.wma_lookback(period(p, 0))),
    doc: "Weighted moving average, weights 1 to length, the newest candle heaviest (TA-Lib WMA).",
    open: |p| {
        let n = period(p, 0);
        let lookback = lookback(CORE.wma_lookback(n));
        stream(lookback, move |c, [x]| c.wma_open(x, n).map(|(h, v)| (h, [v])), |h, [x]| h.update(x).map(|v| [v]))
    },
};

pub(crate) const RMA: Function = Function {
    name: "rma",
    aliases: &["smma"],
    inputs: &[SOURCE],
    candle: &[],
    params: &[candles("length", 1.0, None)],
    outputs: &["rma"],
    kind: Kind::Number,
    warm_up: |p| lookback(CORE.rma_lookback(period(p, 0))),
    doc: "Wilder's moving average, weight 1/length, seeded with the simple average (TA-Lib RMA).",
    open: |p| {
        let n = period(p, 0);
        let lookback = lookback(CORE.rma_lookback(n));
        stream(lookback, move |c, [x]| c.rma_open(x, n).map(|(h, v)| (h, [v])), |h, [x]| h.update(x).map(|v| [v]))
    },
};
