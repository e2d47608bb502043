//! Oscillators: where the price stands in what it did lately.

use super::sliding::{Largest, Mean};
use super::talib::{CORE, lookback, of_one_period, single, stream, streams};

use super::{HIGH_LOW_CLOSE, SOURCE, TYPICAL, candles, period};
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

pub(crate) const STOCH: Function = Function {
    name: "stoch",
    candle: HIGH_LOW_CLOSE,
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
    let [length, k, d] = [length, k, d].map(|candles| candles as usize);
    Stoch { high: Largest::new(length), low: Largest::new(length), k: Mean::new(k), d: Mean::new(d) }
}

/// TA-Lib's STOCH from its parts: a fifth of the memory of its own state, which has room for averages of all kinds.
struct Stoch {
    high: Largest,
    /// Of negated values.
    low: Largest,
    k: Mean,
    d: Mean,
}

impl Indicator for Stoch {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let [high, low, close] = *inputs else { unreachable!("stoch declares three inputs") };
        outputs.fill(f64::NAN);
        let (highest, lowest) = (self.high.push(high), self.low.push(-low).map(|low| -low));
        let (Some(highest), Some(lowest)) = (highest, lowest) else { return };
        let range = highest - lowest;
        // Flat to within the rounding of the prices themselves, as TA-Lib has it.
        let is_flat = range.abs() <= 1e-14 * (highest.abs() + lowest.abs());
        let raw = if is_flat { 0.0 } else { (close - lowest) / range * 100.0 };
        if let Some(k) = self.k.push(raw)
            && let Some(d) = self.d.push(k)
        {
            outputs.copy_from_slice(&[k, d]);
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
    doc: "The stochastic of the RSI as TradingView plots it: k smoothed by a simple average of `k` candles (1 leaves it raw, TA-Lib's STOCHRSI), d the simple average of k; 0 where the RSI did not move.",
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

pub(crate) const CCI: Function = Function {
    name: "cci",
    inputs: &[TYPICAL],
    params: &[candles("length", 2.0, Some(20.0))],
    outputs: &["cci"],
    warm_up: |p| lookback(CORE.cci_lookback(period(p, 0))),
    doc: "Commodity channel index: (source − its simple average) / (0.015 · mean deviation); 0 on a flat series (TA-Lib CCI).",
    open: |p| {
        let n = period(p, 0);
        // The mean of three equal numbers is that number, exactly.
        streams(
            lookback(CORE.cci_lookback(n)),
            move |c, [x]| c.cci_open(x, x, x, n).map(|(h, v)| (h, [v])),
            |h, [x]| h.update(x, x, x).map(|v| [v]),
        )
    },
    ..Function::PLAIN
};

pub(crate) const MFI: Function = Function {
    name: "mfi",
    inputs: &[TYPICAL],
    candle: &[Field::Volume],
    params: &[candles("length", 2.0, Some(14.0))],
    outputs: &["mfi"],
    warm_up: |p| lookback(CORE.mfi_lookback(period(p, 0))),
    doc: "Money flow index, 0 to 100: the share of source·volume that flowed on candles whose source rose; 0 where none flowed (TA-Lib MFI).",
    open: |p| {
        let n = period(p, 0);
        streams(
            lookback(CORE.mfi_lookback(n)),
            move |c, [x, volume]| c.mfi_open(x, x, x, volume, n).map(|(h, v)| (h, [v])),
            |h, [x, volume]| h.update(x, x, x, volume).map(|v| [v]),
        )
    },
    ..Function::PLAIN
};

pub(crate) const WILLR: Function = Function {
    name: "willr",
    aliases: &["wpr"],
    candle: HIGH_LOW_CLOSE,
    params: &[candles("length", 2.0, Some(14.0))],
    outputs: &["willr"],
    warm_up: |p| lookback(CORE.willr_lookback(period(p, 0))),
    doc: "Williams %R, −100 to 0: how far the close is below the highest high, in hundredths of the range; 0 where the range is nil (TA-Lib WILLR).",
    open: of_one_period!(willr_lookback, willr_open, (high, low, close)),
    ..Function::PLAIN
};

pub(crate) const ULTOSC: Function = Function {
    name: "ultosc",
    candle: HIGH_LOW_CLOSE,
    params: &[candles("fast", 1.0, Some(7.0)), candles("middle", 1.0, Some(14.0)), candles("slow", 1.0, Some(28.0))],
    outputs: &["ultosc"],
    warm_up: |p| lookback(CORE.ultosc_lookback(period(p, 0), period(p, 1), period(p, 2))),
    doc: "Ultimate oscillator, 0 to 100: buying pressure over true range in three windows, weighted 4, 2 and 1, the shortest heaviest; 0 where nothing moved (TA-Lib ULTOSC).",
    open: single!(
        ultosc_lookback,
        ultosc_open,
        (high, low, close),
        p,
        fast = period(p, 0),
        middle = period(p, 1),
        slow = period(p, 2)
    ),
    ..Function::PLAIN
};

pub(crate) const CMO: Function = Function {
    name: "cmo",
    inputs: &[SOURCE],
    params: &[candles("length", 2.0, Some(14.0))],
    outputs: &["cmo"],
    warm_up: |p| lookback(CORE.cmo_lookback(period(p, 0))),
    doc: "Chande momentum oscillator, −100 to 100: (gains − losses) / (gains + losses), Wilder's smoothing; 0 on a flat series (TA-Lib CMO; cmou sums instead).",
    open: of_one_period!(cmo_lookback, cmo_open),
    ..Function::PLAIN
};

pub(crate) const CMOU: Function = Function {
    name: "cmou",
    inputs: &[SOURCE],
    params: &[candles("length", 2.0, Some(14.0))],
    outputs: &["cmou"],
    warm_up: |p| lookback(CORE.cmou_lookback(period(p, 0))),
    doc: "Chande momentum oscillator as Chande and Pine's ta.cmo have it, from plain sums; 0 on a flat series (TA-Lib CMOU).",
    open: of_one_period!(cmou_lookback, cmou_open),
    ..Function::PLAIN
};

pub(crate) const BOP: Function = Function {
    name: "bop",
    candle: &[Field::Open, Field::High, Field::Low, Field::Close],
    outputs: &["bop"],
    warm_up: |_| lookback(CORE.bop_lookback()),
    doc: "Balance of power, −1 to 1: (close − open) / (high − low); 0 where high is low (TA-Lib BOP).",
    open: single!(bop_lookback, bop_open, (open, high, low, close), _p),
    ..Function::PLAIN
};
