//! How fast a series changes: differences of prices and of averages.

use super::averages::exponential;
use super::talib::{CORE, lookback, of_one_period, single, streams};
use super::{SOURCE, candles, period};
use crate::catalog::{Function, Indicator, Param};
use crate::eval::bank::bank;
use crate::program::Field;
use ta_lib::MAType::EMA;

/// The shorter is taken for the fast one, as TA-Lib does.
const FAST: Param = candles("fast", 2.0, Some(12.0));
const SLOW: Param = candles("slow", 2.0, Some(26.0));

pub(crate) const MOM: Function = Function {
    name: "mom",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, Some(10.0))],
    outputs: &["mom"],
    warm_up: |p| lookback(CORE.mom_lookback(period(p, 0))),
    doc: "Momentum: source − source `length` candles ago (TA-Lib MOM).",
    open: of_one_period!(mom_lookback, mom_open),
    ..Function::PLAIN
};

pub(crate) const ROC: Function = Function {
    name: "roc",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, Some(10.0))],
    outputs: &["roc"],
    warm_up: |p| lookback(CORE.roc_lookback(period(p, 0))),
    doc: "Rate of change in percent: 100 · (source / source `length` candles ago − 1); 0 where that was 0 (TA-Lib ROC).",
    open: of_one_period!(roc_lookback, roc_open),
    ..Function::PLAIN
};

pub(crate) const MACD: Function = Function {
    name: "macd",
    inputs: &[SOURCE],
    params: &[FAST, SLOW, candles("signal", 1.0, Some(9.0))],
    outputs: &["macd", "signal", "hist"],
    warm_up: |p| lookback(CORE.macd_lookback(period(p, 0), period(p, 1), period(p, 2))),
    doc: "Fast minus slow exponential average, its exponential average, and their difference; the shorter period is taken for the fast one (TA-Lib MACD).",
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

pub(crate) const APO: Function = Function {
    name: "apo",
    inputs: &[SOURCE],
    params: &[FAST, SLOW],
    outputs: &["apo"],
    warm_up: |p| lookback(CORE.apo_lookback(period(p, 0), period(p, 1), EMA)),
    doc: "Absolute price oscillator: fast minus slow exponential average; the shorter period is taken for the fast one (TA-Lib APO).",
    open: |p| {
        let (fast, slow) = (period(p, 0), period(p, 1));
        bank(move || Apart { averages: averages(fast, slow), apart: |fast, slow| fast - slow })
    },
    ..Function::PLAIN
};

/// How far two averages are apart. TA-Lib's own states have room for averages of all kinds: ten times the memory.
struct Apart<Fast, Slow> {
    averages: (Fast, Slow),
    apart: fn(fast: f64, slow: f64) -> f64,
}

fn averages(fast: i32, slow: i32) -> (impl Indicator, impl Indicator) {
    (exponential(fast.min(slow)), exponential(fast.max(slow)))
}

impl<Fast: Indicator, Slow: Indicator> Indicator for Apart<Fast, Slow> {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let (mut fast, mut slow) = ([f64::NAN], [f64::NAN]);
        self.averages.0.update(inputs, &mut fast);
        self.averages.1.update(inputs, &mut slow);
        outputs[0] = (self.apart)(fast[0], slow[0]);
    }
}

pub(crate) const PPO: Function = Function {
    name: "ppo",
    inputs: &[SOURCE],
    params: &[FAST, SLOW, candles("signal", 1.0, Some(9.0))],
    outputs: &["ppo", "signal", "hist"],
    warm_up: |p| {
        lookback(CORE.ppo_lookback(period(p, 0), period(p, 1), EMA)) + lookback(CORE.ema_lookback(period(p, 2)))
    },
    doc: "Percentage price oscillator: fast minus slow exponential average in percent of the slow one, its exponential average, and their difference, all from the first candle that has a signal; the shorter period is taken for the fast one (TA-Lib PPO).",
    open: |p| {
        let (fast, slow, signal) = (period(p, 0), period(p, 1), period(p, 2));
        let percent = |fast, slow| if slow == 0.0 { 0.0 } else { (fast - slow) / slow * 100.0 };
        bank(move || Ppo {
            line: Apart { averages: averages(fast, slow), apart: percent },
            signal: exponential(signal),
        })
    },
    ..Function::PLAIN
};

struct Ppo<Line, Signal> {
    line: Line,
    signal: Signal,
}

impl<Line: Indicator, Signal: Indicator> Indicator for Ppo<Line, Signal> {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let (mut line, mut signal) = ([f64::NAN], [f64::NAN]);
        self.line.update(inputs, &mut line);
        if !line[0].is_nan() {
            self.signal.update(&line, &mut signal);
        }
        let ([line], [signal]) = (line, signal);
        outputs.copy_from_slice(&if signal.is_nan() { [f64::NAN; 3] } else { [line, signal, line - signal] });
    }
}

pub(crate) const TRIX: Function = Function {
    name: "trix",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, Some(18.0))],
    outputs: &["trix"],
    warm_up: |p| lookback(CORE.trix_lookback(period(p, 0))),
    doc: "One candle's rate of change, in percent, of an exponential average taken three times over (TA-Lib TRIX).",
    open: of_one_period!(trix_lookback, trix_open),
    ..Function::PLAIN
};

pub(crate) const TSI: Function = Function {
    name: "tsi",
    inputs: &[SOURCE],
    params: &[candles("short", 2.0, Some(13.0)), candles("long", 2.0, Some(25.0))],
    outputs: &["tsi"],
    warm_up: |p| lookback(CORE.tsi_lookback(period(p, 1), period(p, 0))),
    doc: "True strength index, −100 to 100 (Pine's ta.tsi: −1 to 1): the change, smoothed exponentially over `long` and then `short` candles, over the size of the change smoothed likewise; 0 on a flat series (TA-Lib TSI).",
    open: single!(tsi_lookback, tsi_open, (x), p, long = period(p, 1), short = period(p, 0)),
    ..Function::PLAIN
};

pub(crate) const AO: Function = Function {
    name: "ao",
    candle: &[Field::High, Field::Low],
    params: &[candles("fast", 2.0, Some(5.0)), candles("slow", 2.0, Some(34.0))],
    outputs: &["ao"],
    warm_up: |p| lookback(CORE.ao_lookback(period(p, 0), period(p, 1))),
    doc: "Awesome oscillator: fast minus slow simple average of (high + low) / 2 (TA-Lib AO).",
    open: single!(ao_lookback, ao_open, (high, low), p, fast = period(p, 0), slow = period(p, 1)),
    ..Function::PLAIN
};
