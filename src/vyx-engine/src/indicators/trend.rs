//! Range and direction of the candles.

use super::talib::{CORE, lookback, stream};
use super::{candles, period};
use crate::catalog::{Function, Indicator};
use crate::program::{Field, Kind};

const HIGH_LOW_CLOSE: &[Field] = &[Field::High, Field::Low, Field::Close];

pub(crate) const ATR: Function = Function {
    name: "atr",
    aliases: &[],
    inputs: &[],
    candle: HIGH_LOW_CLOSE,
    params: &[candles("length", 1.0, Some(14.0))],
    outputs: &["atr"],
    kind: Kind::Number,
    warm_up: |p| lookback(CORE.atr_lookback(period(p, 0))),
    doc: "Average true range, Wilder's smoothing, in units of the price (TA-Lib ATR).",
    open: |p| {
        let n = period(p, 0);
        stream(
            lookback(CORE.atr_lookback(n)),
            move |c, [high, low, close]| c.atr_open(high, low, close, n).map(|(h, v)| (h, [v])),
            |h, [high, low, close]| h.update(high, low, close).map(|v| [v]),
        )
    },
};

pub(crate) const ADX: Function = Function {
    name: "adx",
    aliases: &[],
    inputs: &[],
    candle: HIGH_LOW_CLOSE,
    params: &[candles("length", 2.0, Some(14.0))],
    outputs: &["adx"],
    kind: Kind::Number,
    warm_up: |p| lookback(CORE.adx_lookback(period(p, 0))),
    doc: "Average directional index, 0 to 100: how directed the market is, whichever way (TA-Lib ADX).",
    open: |p| adx(period(p, 0)),
};

fn adx(n: i32) -> Box<dyn Indicator> {
    stream(
        lookback(CORE.adx_lookback(n)),
        move |c, [high, low, close]| c.adx_open(high, low, close, n).map(|(h, v)| (h, [v])),
        |h, [high, low, close]| h.update(high, low, close).map(|v| [v]),
    )
}

pub(crate) const DMI: Function = Function {
    name: "dmi",
    aliases: &[],
    inputs: &[],
    candle: HIGH_LOW_CLOSE,
    params: &[candles("length", 2.0, Some(14.0))],
    outputs: &["plus", "minus", "adx"],
    kind: Kind::Number,
    warm_up: |p| lookback(CORE.adx_lookback(period(p, 0))),
    doc: "Directional movement: +DI, −DI and ADX, all from the first candle that has an ADX (TA-Lib PLUS_DI, MINUS_DI, ADX).",
    open: |p| {
        let n = period(p, 0);
        Box::new(Dmi {
            plus: stream(
                lookback(CORE.plus_di_lookback(n)),
                move |c, [high, low, close]| c.plus_di_open(high, low, close, n).map(|(h, v)| (h, [v])),
                |h, [high, low, close]| h.update(high, low, close).map(|v| [v]),
            ),
            minus: stream(
                lookback(CORE.minus_di_lookback(n)),
                move |c, [high, low, close]| c.minus_di_open(high, low, close, n).map(|(h, v)| (h, [v])),
                |h, [high, low, close]| h.update(high, low, close).map(|v| [v]),
            ),
            adx: adx(n),
        })
    },
};

struct Dmi {
    plus: Box<dyn Indicator>,
    minus: Box<dyn Indicator>,
    adx: Box<dyn Indicator>,
}

impl Indicator for Dmi {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let [plus, minus, adx] = outputs else { unreachable!("dmi declares three outputs") };
        self.plus.update(inputs, std::slice::from_mut(plus));
        self.minus.update(inputs, std::slice::from_mut(minus));
        self.adx.update(inputs, std::slice::from_mut(adx));
        if adx.is_nan() {
            outputs.fill(f64::NAN);
        }
    }
}

pub(crate) const HEIKIN_ASHI: Function = Function {
    name: "heikin_ashi",
    aliases: &[],
    inputs: &[],
    candle: &[Field::Open, Field::High, Field::Low, Field::Close],
    params: &[],
    outputs: &["open", "high", "low", "close"],
    kind: Kind::Number,
    warm_up: |_| 0,
    doc: "Heikin-Ashi candles: close the mean of the four prices, open the middle of the candle before (at first of its own open and close), high and low stretched over both.",
    open: |_| Box::new(HeikinAshi { previous: None }),
};

struct HeikinAshi {
    /// Open and close of the Heikin-Ashi candle before.
    previous: Option<(f64, f64)>,
}

impl Indicator for HeikinAshi {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let [open, high, low, close] = *inputs else { unreachable!("heikin_ashi declares four inputs") };
        let ha_close = (open + high + low + close) / 4.0;
        let (before_open, before_close) = self.previous.unwrap_or((open, close));
        let ha_open = (before_open + before_close) / 2.0;
        self.previous = Some((ha_open, ha_close));
        outputs.copy_from_slice(&[ha_open, high.max(ha_open).max(ha_close), low.min(ha_open).min(ha_close), ha_close]);
    }
}
