//! Oscillators.

use super::averages::average;
use super::talib::{CORE, lookback, stream, streams};
use super::windows::Window;
use super::{SOURCE, candles, period};
use crate::catalog::{Function, Indicator};
use crate::eval::bank::bank;
use crate::program::Field;
use ta_lib::MAType::SMA;

pub(crate) const RSI: Function = Function {
    name: "rsi",
    inputs: &[SOURCE],
    params: &[candles("length", 2.0, Some(14.0))],
    outputs: &["rsi"],
    warm_up: |p| lookback(CORE.rsi_lookback(period(p, 0))),
    doc: "Relative strength index, 0 to 100, Wilder's smoothing; 50 on a flat series (TA-Lib RSI).",
    open: |p| {
        let length = period(p, 0);
        bank(move || rsi(length))
    },
    ..Function::PLAIN
};

fn rsi(length: i32) -> impl Indicator {
    stream(
        lookback(CORE.rsi_lookback(length)),
        move |c, [x]| c.rsi_open(x, length).map(|(h, v)| (h, [v])),
        |h, [x]| h.update(x).map(|v| [v]),
    )
}

pub(crate) const MACD: Function = Function {
    name: "macd",
    inputs: &[SOURCE],
    params: &[candles("fast", 2.0, Some(12.0)), candles("slow", 2.0, Some(26.0)), candles("signal", 1.0, Some(9.0))],
    outputs: &["macd", "signal", "hist"],
    warm_up: |p| lookback(CORE.macd_lookback(period(p, 0), period(p, 1), period(p, 2))),
    doc: "Fast minus slow exponential average, its exponential average, and their difference (TA-Lib MACD).",
    open: |p| {
        let (fast, slow, signal) = (period(p, 0), period(p, 1), period(p, 2));
        streams(
            lookback(CORE.macd_lookback(fast, slow, signal)),
            move |c, [x]| c.macd_open(x, fast, slow, signal).map(|(h, (m, s, d))| (h, [m, s, d])),
            |h, [x]| h.update(x).map(|(m, s, d)| [m, s, d]),
        )
    },
    ..Function::PLAIN
};

pub(crate) const STOCH: Function = Function {
    name: "stoch",
    candle: &[Field::High, Field::Low, Field::Close],
    params: &[candles("length", 1.0, Some(14.0)), candles("smooth", 1.0, Some(3.0)), candles("d", 1.0, Some(3.0))],
    outputs: &["k", "d"],
    warm_up: |p| stoch_lookback(period(p, 0), period(p, 1), period(p, 2)),
    doc: "Where the close stands in the range of `length` candles, 0 to 100: k smoothed by a simple average, d the simple average of k; 0 where the range is nil (TA-Lib STOCH).",
    open: |p| {
        let (length, k, d) = (period(p, 0), period(p, 1), period(p, 2));
        bank(move || stoch(length, k, d))
    },
    ..Function::PLAIN
};

fn stoch_lookback(length: i32, k: i32, d: i32) -> usize {
    lookback(CORE.stoch_lookback(length, k, SMA, d, SMA))
}

fn stoch(length: i32, k: i32, d: i32) -> impl Indicator {
    let length = length as usize;
    Stoch { high: Window::new(length), low: Window::new(length), k: average(k), d: average(d) }
}

/// TA-Lib's STOCH from its parts: a fifth of the memory of its own state, which has room for averages of all kinds.
struct Stoch<K, D> {
    high: Window,
    /// Of negated values.
    low: Window,
    k: K,
    d: D,
}

impl<K: Indicator, D: Indicator> Indicator for Stoch<K, D> {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let [high, low, close] = *inputs else { unreachable!("stoch declares three inputs") };
        outputs.fill(f64::NAN);
        self.high.push(high);
        self.low.push(-low);
        let (Some(highest), Some(lowest)) = (self.high.largest(), self.low.largest().map(|low| -low)) else { return };
        let range = highest - lowest;
        // Flat to within the rounding of the prices themselves, as TA-Lib has it.
        let is_flat = range.abs() <= 1e-14 * (highest.abs() + lowest.abs());
        let raw = if is_flat { 0.0 } else { (close - lowest) / range * 100.0 };
        let (mut k, mut d) = ([f64::NAN], [f64::NAN]);
        self.k.update(&[raw], &mut k);
        if !k[0].is_nan() {
            self.d.update(&k, &mut d);
        }
        if !d[0].is_nan() {
            outputs.copy_from_slice(&[k[0], d[0]]);
        }
    }
}

pub(crate) const STOCHRSI: Function = Function {
    name: "stochrsi",
    aliases: &["stoch_rsi"],
    inputs: &[SOURCE],
    params: &[
        candles("rsi_length", 2.0, Some(14.0)),
        candles("stoch_length", 1.0, Some(14.0)),
        candles("k", 1.0, Some(3.0)),
        candles("d", 1.0, Some(3.0)),
    ],
    outputs: &["k", "d"],
    warm_up: |p| lookback(CORE.rsi_lookback(period(p, 0))) + stoch_lookback(period(p, 1), period(p, 2), period(p, 3)),
    doc: "The stochastic of the RSI as TradingView plots it: k smoothed by a simple average, d the simple average of k; 0 where the RSI did not move.",
    open: |p| {
        let (length, [stoch_length, k, d]) = (period(p, 0), [1, 2, 3].map(|index| period(p, index)));
        bank(move || StochRsi { rsi: rsi(length), stoch: stoch(stoch_length, k, d) })
    },
    ..Function::PLAIN
};

/// An RSI whose values, from the first on, are the high, low and close of a stochastic.
struct StochRsi<Rsi, Stoch> {
    rsi: Rsi,
    stoch: Stoch,
}

impl<Rsi: Indicator, Stoch: Indicator> Indicator for StochRsi<Rsi, Stoch> {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let mut rsi = [f64::NAN];
        self.rsi.update(inputs, &mut rsi);
        if rsi[0].is_nan() {
            outputs.fill(f64::NAN);
        } else {
            self.stoch.update(&[rsi[0]; 3], outputs);
        }
    }
}
