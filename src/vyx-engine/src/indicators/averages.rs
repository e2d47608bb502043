//! Moving averages, all TA-Lib's.

use super::talib::{CORE, lookback, of_one_period, stream, streams};
use super::{SOURCE, candles, period};
use crate::catalog::{Function, Indicator};
use crate::eval::bank::bank;

pub(crate) const SMA: Function = Function {
    name: "sma",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, None)],
    outputs: &["sma"],
    warm_up: |p| lookback(CORE.sma_lookback(period(p, 0))),
    doc: "Simple moving average of the last `length` candles (TA-Lib SMA).",
    open: |p| {
        let n = period(p, 0);
        bank(move || average(n))
    },
    ..Function::PLAIN
};

/// The simple average of `n` candles, as part of other functions.
pub(super) fn average(n: i32) -> impl Indicator {
    stream(
        lookback(CORE.sma_lookback(n)),
        move |c, [x]| c.sma_open(x, n).map(|(h, v)| (h, [v])),
        |h, [x]| h.update(x).map(|v| [v]),
    )
}

pub(crate) const EMA: Function = Function {
    name: "ema",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, None)],
    outputs: &["ema"],
    warm_up: |p| lookback(CORE.ema_lookback(period(p, 0))),
    doc: "Exponential moving average, weight 2/(length + 1), seeded with the simple average (TA-Lib EMA).",
    open: of_one_period!(ema_lookback, ema_open),
    ..Function::PLAIN
};

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
    open: of_one_period!(rma_lookback, rma_open),
    ..Function::PLAIN
};
