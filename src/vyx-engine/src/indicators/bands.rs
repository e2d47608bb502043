//! Spread around an average.

use super::averages::exponential;
use super::sliding::Spread;
use super::talib::{CORE, lookback, stream, streams};
use super::{HIGH_LOW_CLOSE, SOURCE, candles, period, real, whole};
use crate::catalog::{Function, Indicator};
use crate::eval::bank::bank;
use crate::program::Field;
use ta_lib::MAType::SMA;

pub(crate) const BBANDS: Function = Function {
    name: "bbands",
    aliases: &["bb"],
    inputs: &[SOURCE],
    params: &[candles("length", 2.0, Some(20.0)), real("mult", 0.0, 100.0, 2.0)],
    outputs: &["upper", "middle", "lower", "width", "percent"],
    warm_up: |p| lookback(CORE.bbands_lookback(period(p, 0), p[1], p[1], SMA)),
    doc: "Bollinger bands: simple average ± mult population standard deviations (TA-Lib BBANDS); width = (upper − lower) / middle; percent = (source − lower) / (upper − lower), undefined where the bands meet.",
    open: |p| {
        let (length, mult) = (whole(p, 0), p[1]);
        bank(move || Bands { spread: Spread::new(length), mult })
    },
    ..Function::PLAIN
};

struct Bands {
    spread: Spread,
    mult: f64,
}

impl Indicator for Bands {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let Some((middle, variance)) = self.spread.push(inputs[0]) else { return outputs.fill(f64::NAN) };
        let reach = variance.sqrt() * self.mult;
        let (upper, lower) = (middle + reach, middle - reach);
        // The rounding of the average may part a flat series from bands that meet.
        let percent = if upper > lower { (inputs[0] - lower) / (upper - lower) } else { f64::NAN };
        outputs.copy_from_slice(&[upper, middle, lower, (upper - lower) / middle, percent]);
    }
}

pub(crate) const KELTNER: Function = Function {
    name: "keltner",
    aliases: &["kc"],
    inputs: &[SOURCE],
    candle: HIGH_LOW_CLOSE,
    params: &[
        candles("length", 2.0, Some(20.0)),
        real("mult", 0.0, 100.0, 2.0),
        candles("atr_length", 1.0, Some(10.0)),
    ],
    outputs: &["upper", "middle", "lower"],
    warm_up: |p| keltner_lookbacks(p).into_iter().fold(0, usize::max),
    doc: "Keltner channels: exponential average ± mult · atr(atr_length), as TradingView's indicator has them (ta.kc averages the true range exponentially over `length`); of hlc3, both averages beginning so that they are ready together, TA-Lib's (TA-Lib KC).",
    open: |p| {
        let (n, mult, atr_length) = (period(p, 0), p[1], period(p, 2));
        let [ema, atr] = keltner_lookbacks(p);
        bank(move || Keltner {
            mult,
            middle_from: atr.saturating_sub(ema),
            range_from: ema.saturating_sub(atr),
            shown: 0,
            middle: exponential(n),
            range: stream(
                atr,
                move |c, [high, low, close]| c.atr_open(high, low, close, atr_length).map(|(h, v)| (h, [v])),
                |h, [high, low, close]| h.update(high, low, close).map(|v| [v]),
            ),
        })
    },
    ..Function::PLAIN
};

fn keltner_lookbacks(p: &[f64]) -> [usize; 2] {
    [lookback(CORE.ema_lookback(period(p, 0))), lookback(CORE.atr_lookback(period(p, 2)))]
}

struct Keltner<Middle, Range> {
    mult: f64,
    /// The number of the first candle that each is shown; one of them is 0.
    middle_from: usize,
    range_from: usize,
    shown: usize,
    middle: Middle,
    range: Range,
}

impl<Middle: Indicator, Range: Indicator> Indicator for Keltner<Middle, Range> {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let (mut middle, mut range) = ([f64::NAN], [f64::NAN]);
        if self.shown >= self.middle_from {
            self.middle.update(&inputs[..1], &mut middle);
        }
        if self.shown >= self.range_from {
            self.range.update(&inputs[1..], &mut range);
        }
        self.shown += 1;
        let (middle, range) = (middle[0], range[0] * self.mult);
        outputs.copy_from_slice(&[middle + range, middle, middle - range]);
    }
}

pub(crate) const DONCHIAN: Function = Function {
    name: "donchian",
    candle: &[Field::High, Field::Low],
    params: &[candles("length", 2.0, Some(20.0))],
    outputs: &["upper", "middle", "lower"],
    warm_up: |p| lookback(CORE.donchian_lookback(period(p, 0))),
    doc: "Donchian channels: highest high and lowest low of the last `length` candles, this one included, and their middle; a close breaks out of upper[1], never of upper (TA-Lib DONCHIAN).",
    open: |p| {
        let n = period(p, 0);
        streams(
            lookback(CORE.donchian_lookback(n)),
            move |c, [high, low]| c.donchian_open(high, low, n).map(|(h, (u, m, l))| (h, [u, m, l])),
            |h, [high, low]| h.update(high, low).map(|(u, m, l)| [u, m, l]),
        )
    },
    ..Function::PLAIN
};
