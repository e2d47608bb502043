//! Range and direction of the candles.

use super::averages::wilder;
use super::talib::{CORE, lookback, of_one_period, single, stream, streams};
use super::{HIGH_LOW_CLOSE, candles, period};
use crate::catalog::{Function, Indicator};
use crate::eval::bank::bank;
use crate::program::Field;

pub(crate) const TR: Function = Function {
    name: "tr",
    aliases: &["trange"],
    candle: HIGH_LOW_CLOSE,
    outputs: &["tr"],
    warm_up: |_| lookback(CORE.trange_lookback()),
    doc: "True range: from the lowest to the highest of this candle's low and high and the close before (TA-Lib TRANGE).",
    open: single!(trange_lookback, trange_open, (high, low, close), _p),
    ..Function::PLAIN
};

pub(crate) const ATR: Function = Function {
    name: "atr",
    candle: HIGH_LOW_CLOSE,
    params: &[candles("length", 1.0, Some(14.0))],
    outputs: &["atr"],
    warm_up: |p| lookback(CORE.atr_lookback(period(p, 0))),
    doc: "Average true range, Wilder's smoothing, in units of the price (TA-Lib ATR).",
    open: of_one_period!(atr_lookback, atr_open, (high, low, close)),
    ..Function::PLAIN
};

pub(crate) const NATR: Function = Function {
    name: "natr",
    candle: HIGH_LOW_CLOSE,
    params: &[candles("length", 1.0, Some(14.0))],
    outputs: &["natr"],
    warm_up: |p| lookback(CORE.natr_lookback(period(p, 0))),
    doc: "Average true range in percent of the close (TA-Lib NATR).",
    open: of_one_period!(natr_lookback, natr_open, (high, low, close)),
    ..Function::PLAIN
};

pub(crate) const ADX: Function = Function {
    name: "adx",
    candle: HIGH_LOW_CLOSE,
    params: &[candles("length", 2.0, Some(14.0))],
    outputs: &["adx"],
    warm_up: |p| lookback(CORE.adx_lookback(period(p, 0))),
    doc: "Average directional index, 0 to 100: how directed the market is, whichever way; 0 on a flat series (TA-Lib ADX).",
    open: |p| {
        let n = period(p, 0);
        bank(move || adx(n))
    },
    ..Function::PLAIN
};

fn adx(n: i32) -> impl Indicator {
    stream(
        lookback(CORE.adx_lookback(n)),
        move |c, [high, low, close]| c.adx_open(high, low, close, n).map(|(h, v)| (h, [v])),
        |h, [high, low, close]| h.update(high, low, close).map(|v| [v]),
    )
}

pub(crate) const DMI: Function = Function {
    name: "dmi",
    candle: HIGH_LOW_CLOSE,
    params: &[candles("length", 2.0, Some(14.0)), candles("smoothing", 0.0, Some(0.0))],
    outputs: &["plus", "minus", "adx"],
    warm_up: |p| match smoothing(p) {
        None => lookback(CORE.adx_lookback(period(p, 0))),
        Some(smoothing) => lookback(CORE.dx_lookback(period(p, 0))) + lookback(CORE.rma_lookback(smoothing)),
    },
    doc: "Directional movement: +DI, −DI and ADX, all from the first candle that has an ADX; the ADX is smoothed over `smoothing` candles, 0 standing for `length` (TA-Lib PLUS_DI, MINUS_DI, ADX).",
    open: |p| {
        let n = period(p, 0);
        match smoothing(p) {
            None => bank(move || dmi(n, adx(n))),
            Some(smoothing) => bank(move || {
                let directed = stream(
                    lookback(CORE.dx_lookback(n)),
                    move |c, [high, low, close]| c.dx_open(high, low, close, n).map(|(h, v)| (h, [v])),
                    |h, [high, low, close]| h.update(high, low, close).map(|v| [v]),
                );
                dmi(n, Smoothed { of: directed, average: wilder(smoothing) })
            }),
        }
    },
    ..Function::PLAIN
};

/// The smoothing of DMI where it is not TA-Lib's, which is over as many candles as all else.
fn smoothing(p: &[f64]) -> Option<i32> {
    (p[1] != 0.0 && p[1] != p[0]).then_some(period(p, 1))
}

fn dmi<Adx: Indicator>(n: i32, adx: Adx) -> impl Indicator {
    Dmi {
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
        adx,
    }
}

/// An average of what another function says, from its first value on.
struct Smoothed<Of, Average> {
    of: Of,
    average: Average,
}

impl<Of: Indicator, Average: Indicator> Indicator for Smoothed<Of, Average> {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let mut value = [f64::NAN];
        self.of.update(inputs, &mut value);
        if value[0].is_nan() {
            outputs.fill(f64::NAN);
        } else {
            self.average.update(&value, outputs);
        }
    }
}

struct Dmi<Plus, Minus, Adx> {
    plus: Plus,
    minus: Minus,
    adx: Adx,
}

impl<Plus: Indicator, Minus: Indicator, Adx: Indicator> Indicator for Dmi<Plus, Minus, Adx> {
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

pub(crate) const ADXR: Function = Function {
    name: "adxr",
    candle: HIGH_LOW_CLOSE,
    params: &[candles("length", 2.0, Some(14.0))],
    outputs: &["adxr"],
    warm_up: |p| lookback(CORE.adxr_lookback(period(p, 0))),
    doc: "The mean of the ADX and the ADX `length` − 1 candles ago (TA-Lib ADXR).",
    open: of_one_period!(adxr_lookback, adxr_open, (high, low, close)),
    ..Function::PLAIN
};

pub(crate) const AROON: Function = Function {
    name: "aroon",
    candle: &[Field::High, Field::Low],
    params: &[candles("length", 2.0, Some(14.0))],
    outputs: &["up", "down"],
    warm_up: |p| lookback(CORE.aroon_lookback(period(p, 0))),
    doc: "How fresh the last `length` + 1 candles' highest high and lowest low are: 100 on their candle, 0 after `length` more; of equal ones the newest counts (TA-Lib AROON).",
    open: |p| {
        let n = period(p, 0);
        streams(
            lookback(CORE.aroon_lookback(n)),
            move |c, [high, low]| c.aroon_open(high, low, n).map(|(h, (down, up))| (h, [up, down])),
            |h, [high, low]| h.update(high, low).map(|(down, up)| [up, down]),
        )
    },
    ..Function::PLAIN
};

pub(crate) const AROONOSC: Function = Function {
    name: "aroonosc",
    candle: &[Field::High, Field::Low],
    params: &[candles("length", 2.0, Some(14.0))],
    outputs: &["aroonosc"],
    warm_up: |p| lookback(CORE.aroonosc_lookback(period(p, 0))),
    doc: "aroon.up − aroon.down, −100 to 100 (TA-Lib AROONOSC).",
    open: of_one_period!(aroonosc_lookback, aroonosc_open, (high, low)),
    ..Function::PLAIN
};

pub(crate) const VORTEX: Function = Function {
    name: "vortex",
    candle: HIGH_LOW_CLOSE,
    params: &[candles("length", 1.0, Some(14.0))],
    outputs: &["plus", "minus"],
    warm_up: |p| lookback(CORE.vortex_lookback(period(p, 0))),
    doc: "Vortex indicator: Σ |high − low before| and Σ |low − high before|, each over Σ true range; 0 where nothing moved (TA-Lib VORTEX).",
    open: |p| {
        let n = period(p, 0);
        streams(
            lookback(CORE.vortex_lookback(n)),
            move |c, [high, low, close]| c.vortex_open(high, low, close, n).map(|(h, (p, m))| (h, [p, m])),
            |h, [high, low, close]| h.update(high, low, close).map(|(p, m)| [p, m]),
        )
    },
    ..Function::PLAIN
};

pub(crate) const CHOP: Function = Function {
    name: "chop",
    candle: HIGH_LOW_CLOSE,
    params: &[candles("length", 2.0, Some(14.0))],
    outputs: &["chop"],
    warm_up: |p| lookback(CORE.chop_lookback(period(p, 0))),
    doc: "Choppiness index, 0 to 100: 100 · log(Σ true range / (highest high − lowest low)) / log(length); 100 where nothing moved (Dreiss, as on TradingView).",
    open: of_one_period!(chop_lookback, chop_open, (high, low, close)),
    ..Function::PLAIN
};

pub(crate) const HEIKIN_ASHI: Function = Function {
    name: "heikin_ashi",
    candle: &[Field::Open, Field::High, Field::Low, Field::Close],
    outputs: &["open", "high", "low", "close"],
    doc: "Heikin-Ashi candles: close the mean of the four prices, open the middle of the candle before (at first of its own open and close), high and low stretched over both.",
    open: |_| bank(move || HeikinAshi { previous: None }),
    ..Function::PLAIN
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
