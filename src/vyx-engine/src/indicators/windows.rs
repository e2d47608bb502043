//! The last `length` candles: extremes, sums, counts.

use super::talib::{CORE, lookback, of_one_period, streams};
use super::{SOURCE, candles, period, whole};
use crate::catalog::{Function, Indicator, Input};
use crate::eval::bank::bank;
use crate::program::{Field, Kind};
use std::collections::VecDeque;

pub(crate) const HIGHEST: Function = Function {
    name: "highest",
    inputs: &[Input { name: "source", kind: Kind::Number, default: Some(Field::High) }],
    params: &[candles("length", 1.0, None)],
    outputs: &["highest"],
    warm_up: |p| whole(p, 0) - 1,
    doc: "The largest value of the last `length` candles, this one included.",
    open: |p| {
        let length = whole(p, 0);
        bank(move || Highest { window: Window::new(length), sign: 1.0 })
    },
    ..Function::PLAIN
};

pub(crate) const LOWEST: Function = Function {
    name: "lowest",
    inputs: &[Input { name: "source", kind: Kind::Number, default: Some(Field::Low) }],
    params: &[candles("length", 1.0, None)],
    outputs: &["lowest"],
    warm_up: |p| whole(p, 0) - 1,
    doc: "The smallest value of the last `length` candles, this one included.",
    open: |p| {
        let length = whole(p, 0);
        bank(move || Highest { window: Window::new(length), sign: -1.0 })
    },
    ..Function::PLAIN
};

/// The largest value of a sliding window, amortised constant time: the candidates that no later value has reached,
/// oldest and largest first.
pub(super) struct Window {
    length: usize,
    /// Candles taken.
    taken: usize,
    /// (number of the candle, value), values strictly falling.
    candidates: VecDeque<(usize, f64)>,
}

impl Window {
    pub fn new(length: usize) -> Window {
        Window { length, taken: 0, candidates: VecDeque::new() }
    }

    /// The largest of the last `length` values, or `None` while there are fewer.
    pub fn largest(&self) -> Option<f64> {
        let (_, value) = self.candidates.front()?;
        (self.taken >= self.length).then_some(*value)
    }

    pub fn push(&mut self, value: f64) {
        while self.candidates.back().is_some_and(|(_, v)| *v <= value) {
            self.candidates.pop_back();
        }
        self.candidates.push_back((self.taken, value));
        self.taken += 1;
        if self.candidates[0].0 + self.length < self.taken {
            self.candidates.pop_front();
        }
    }
}

/// The largest value, or with `sign` −1 the smallest: negation is exact.
struct Highest {
    window: Window,
    sign: f64,
}

impl Indicator for Highest {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        self.window.push(inputs[0] * self.sign);
        outputs[0] = self.window.largest().map_or(f64::NAN, |v| v * self.sign);
    }
}

pub(crate) const SUM: Function = Function {
    name: "sum",
    inputs: &[SOURCE],
    params: &[candles("length", 2.0, None)],
    outputs: &["sum"],
    warm_up: |p| lookback(CORE.sum_lookback(period(p, 0))),
    doc: "The sum of the last `length` candles (TA-Lib SUM).",
    open: of_one_period!(sum_lookback, sum_open),
    ..Function::PLAIN
};

pub(crate) const COUNT: Function = Function {
    name: "count",
    inputs: &[Input { name: "condition", kind: Kind::Bool, default: None }],
    params: &[candles("length", 1.0, None)],
    outputs: &["count"],
    warm_up: |p| whole(p, 0) - 1,
    doc: "On how many of the last `length` candles the condition was true.",
    open: |p| {
        let length = whole(p, 0);
        bank(move || Count { length, window: VecDeque::new(), trues: 0 })
    },
    ..Function::PLAIN
};

struct Count {
    length: usize,
    window: VecDeque<bool>,
    trues: u32,
}

impl Indicator for Count {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let condition = inputs[0] != 0.0;
        self.window.push_back(condition);
        self.trues += u32::from(condition);
        if self.window.len() > self.length && self.window.pop_front() == Some(true) {
            self.trues -= 1;
        }
        outputs[0] = if self.window.len() < self.length { f64::NAN } else { f64::from(self.trues) };
    }
}

pub(crate) const RISING: Function = Function {
    name: "rising",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, None)],
    outputs: &["rising"],
    kind: Kind::Bool,
    warm_up: |p| whole(p, 0),
    doc: "Whether the value is greater than each of the `length` values before it (Pine's ta.rising).",
    open: |p| {
        let length = whole(p, 0);
        bank(move || Rising { before: Window::new(length), sign: 1.0 })
    },
    ..Function::PLAIN
};

pub(crate) const FALLING: Function = Function {
    name: "falling",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, None)],
    outputs: &["falling"],
    kind: Kind::Bool,
    warm_up: |p| whole(p, 0),
    doc: "Whether the value is less than each of the `length` values before it (Pine's ta.falling).",
    open: |p| {
        let length = whole(p, 0);
        bank(move || Rising { before: Window::new(length), sign: -1.0 })
    },
    ..Function::PLAIN
};

struct Rising {
    before: Window,
    sign: f64,
}

impl Indicator for Rising {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let value = inputs[0] * self.sign;
        outputs[0] = self.before.largest().map_or(f64::NAN, |largest| f64::from(value > largest));
        self.before.push(value);
    }
}
