//! Turning points, known `right` candles after they were.

use super::whole;
use super::windows::Window;
use crate::catalog::{Function, Indicator, Input, Param};
use crate::eval::bank::bank;
use crate::program::{Field, Kind};

const PARAMS: &[Param] = &[side("left"), side("right")];

/// Candles on one side of a pivot.
pub(super) const fn side(name: &'static str) -> Param {
    Param { name, whole: true, min: 1.0, max: 250.0, default: Some(5.0) }
}

pub(crate) const PIVOT_HIGH: Function = Function {
    name: "pivot_high",
    aliases: &["pivothigh"],
    inputs: &[Input { name: "source", kind: Kind::Number, default: Some(Field::High) }],
    params: PARAMS,
    outputs: &["pivot_high"],
    warm_up: |p| whole(p, 0) + whole(p, 1),
    doc: "The source `right` candles ago, where that was a high: not exceeded by the `left` values before it, not reached by the `right` after it, so the last of equal ones is it. Undefined on all other candles (Pine's ta.pivothigh). It comes `right` candles after the high.",
    open: |p| {
        let (left, right) = (whole(p, 0), whole(p, 1));
        bank(move || NewPivot(Pivots::new(left, right, 1.0)))
    },
    ..Function::PLAIN
};

pub(crate) const PIVOT_LOW: Function = Function {
    name: "pivot_low",
    aliases: &["pivotlow"],
    inputs: &[Input { name: "source", kind: Kind::Number, default: Some(Field::Low) }],
    params: PARAMS,
    outputs: &["pivot_low"],
    warm_up: |p| whole(p, 0) + whole(p, 1),
    doc: "The source `right` candles ago, where that was a low: nothing below it in the `left` values before it, nothing as low in the `right` after it, so the last of equal ones is it. Undefined on all other candles (Pine's ta.pivotlow). It comes `right` candles after the low.",
    open: |p| {
        let (left, right) = (whole(p, 0), whole(p, 1));
        bank(move || NewPivot(Pivots::new(left, right, -1.0)))
    },
    ..Function::PLAIN
};

pub(crate) const LAST_PIVOT_HIGH: Function = Function {
    name: "last_pivot_high",
    inputs: PIVOT_HIGH.inputs,
    params: PARAMS,
    outputs: &["value", "bars"],
    warm_up: PIVOT_HIGH.warm_up,
    doc: "The newest pivot_high, and how many candles ago that high was: `right` on the candle on which it becomes known, more on those after it. Undefined before the history's first.",
    open: |p| {
        let (left, right) = (whole(p, 0), whole(p, 1));
        bank(move || LastPivot { pivots: Pivots::new(left, right, 1.0), last: None })
    },
    ..Function::PLAIN
};

pub(crate) const LAST_PIVOT_LOW: Function = Function {
    name: "last_pivot_low",
    inputs: PIVOT_LOW.inputs,
    params: PARAMS,
    outputs: &["value", "bars"],
    warm_up: PIVOT_LOW.warm_up,
    doc: "The newest pivot_low, and how many candles ago that low was: `right` on the candle on which it becomes known, more on those after it. Undefined before the history's first.",
    open: |p| {
        let (left, right) = (whole(p, 0), whole(p, 1));
        bank(move || LastPivot { pivots: Pivots::new(left, right, -1.0), last: None })
    },
    ..Function::PLAIN
};

/// Finds highs, or with `sign` −1 lows, in amortised constant time.
pub(super) struct Pivots {
    right: usize,
    sign: f64,
    /// Both sides and the candle between them.
    window: Window,
}

impl Pivots {
    pub fn new(left: usize, right: usize, sign: f64) -> Pivots {
        Pivots { right, sign, window: Window::new(left + 1 + right) }
    }

    /// Takes a value; returns the one `right` candles ago if it is a pivot.
    pub fn push(&mut self, value: f64) -> Option<f64> {
        self.window.push(value * self.sign);
        // The window names the newest of equal values: no later one reaches it, and no earlier one exceeds it.
        let there = self.window.age_of_largest() == Some(self.right);
        self.window.largest().filter(|_| there).map(|value| value * self.sign)
    }
}

struct NewPivot(Pivots);

impl Indicator for NewPivot {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        outputs[0] = self.0.push(inputs[0]).unwrap_or(f64::NAN);
    }
}

struct LastPivot {
    pivots: Pivots,
    /// Value and age.
    last: Option<(f64, u32)>,
}

impl Indicator for LastPivot {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        self.last = match self.pivots.push(inputs[0]) {
            Some(value) => Some((value, self.pivots.right as u32)),
            None => self.last.map(|(value, age)| (value, age.saturating_add(1))),
        };
        let (value, age) = self.last.map_or((f64::NAN, f64::NAN), |(value, age)| (value, f64::from(age)));
        outputs.copy_from_slice(&[value, age]);
    }
}
