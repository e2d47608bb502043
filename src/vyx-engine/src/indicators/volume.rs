//! Price and volume together.

use super::talib::{CORE, lookback, streams};
use crate::catalog::{Function, Indicator};
use crate::eval::bank::bank;
use crate::program::Field;
use vyx_core::Millis;

pub(crate) const OBV: Function = Function {
    name: "obv",
    candle: &[Field::Close, Field::Volume],
    outputs: &["obv"],
    warm_up: |_| lookback(CORE.obv_lookback()),
    doc: "On-balance volume: the volume added on a rise of the close, taken off on a fall. It starts with the volume of the history's first candle, and the history's start moves on, so only differences mean something (TA-Lib OBV).",
    open: |_| {
        streams(
            lookback(CORE.obv_lookback()),
            |c, [close, volume]| c.obv_open(close, volume).map(|(h, v)| (h, [v])),
            |h, [close, volume]| h.update(close, volume).map(|v| [v]),
        )
    },
    ..Function::PLAIN
};

pub(crate) const VWAP: Function = Function {
    name: "vwap",
    candle: &[Field::Time, Field::High, Field::Low, Field::Close, Field::Volume],
    outputs: &["vwap"],
    session: true,
    doc: "Volume-weighted average of (high + low + close) / 3 since 00:00 UTC; undefined until the day has volume. For 1m to 12h: of 1s the history is shorter than a day, and a candle of 1d is its own average.",
    open: |_| bank(move || Vwap { day: None, traded: 0.0, volume: 0.0 }),
    ..Function::PLAIN
};

struct Vwap {
    /// Days since 1970 of the candle before.
    day: Option<i64>,
    traded: f64,
    volume: f64,
}

impl Indicator for Vwap {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let [time, high, low, close, volume] = *inputs else { unreachable!("vwap declares five inputs") };
        let day = Some((time as i64).div_euclid(Millis::DAY.0));
        if day != self.day {
            *self = Vwap { day, traded: 0.0, volume: 0.0 };
        }
        self.traded += (high + low + close) / 3.0 * volume;
        self.volume += volume;
        outputs[0] = self.traded / self.volume;
    }
}
