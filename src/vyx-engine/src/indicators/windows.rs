//! The last `length` candles: extremes, sums, ranks, counts.

use super::sliding::Largest;
use super::talib::{CORE, lookback, of_one_period, single, streams};
use super::{SOURCE, candles, period, real, whole};
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
        bank(move || Highest { window: Largest::new(length), sign: 1.0 })
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
        bank(move || Highest { window: Largest::new(length), sign: -1.0 })
    },
    ..Function::PLAIN
};

/// The largest value of a sliding window, amortised constant time: the candidates that no later value has reached,
/// oldest and largest first.
pub(super) struct Window {
    length: usize,
    /// Candles taken.
    taken: usize,
    /// (number of the candle, value), values falling.
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

    /// How many candles ago the largest was; of equal ones as they were pushed.
    pub fn age_of_largest(&self) -> Option<usize> {
        let (at, _) = self.candidates.front()?;
        (self.taken >= self.length).then_some(self.taken - 1 - at)
    }

    /// Takes a value; it counts before equal ones.
    pub fn push(&mut self, value: f64) {
        self.take(value, |before| before <= value);
    }

    /// Takes a value; it counts after equal ones.
    pub fn push_behind_equals(&mut self, value: f64) {
        self.take(value, |before| before < value);
    }

    fn take(&mut self, value: f64, is_reached: impl Fn(f64) -> bool) {
        while self.candidates.back().is_some_and(|(_, v)| is_reached(*v)) {
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
    window: Largest,
    sign: f64,
}

impl Indicator for Highest {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        outputs[0] = self.window.push(inputs[0] * self.sign).map_or(f64::NAN, |v| v * self.sign);
    }
}

pub(crate) const HIGHESTBARS: Function = Function {
    name: "highestbars",
    inputs: &[Input { name: "source", kind: Kind::Number, default: Some(Field::High) }],
    params: &[candles("length", 1.0, None)],
    outputs: &["highestbars"],
    warm_up: |p| whole(p, 0) - 1,
    doc: "Minus the candles since the largest value of the last `length` candles, 0 if it is this one's; of equal values the oldest counts (Pine's ta.highestbars).",
    open: |p| {
        let length = whole(p, 0);
        bank(move || HighestBars { window: Window::new(length), sign: 1.0 })
    },
    ..Function::PLAIN
};

pub(crate) const LOWESTBARS: Function = Function {
    name: "lowestbars",
    inputs: &[Input { name: "source", kind: Kind::Number, default: Some(Field::Low) }],
    params: &[candles("length", 1.0, None)],
    outputs: &["lowestbars"],
    warm_up: |p| whole(p, 0) - 1,
    doc: "Minus the candles since the smallest value of the last `length` candles, 0 if it is this one's; of equal values the oldest counts (Pine's ta.lowestbars).",
    open: |p| {
        let length = whole(p, 0);
        bank(move || HighestBars { window: Window::new(length), sign: -1.0 })
    },
    ..Function::PLAIN
};

struct HighestBars {
    window: Window,
    sign: f64,
}

impl Indicator for HighestBars {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        self.window.push_behind_equals(inputs[0] * self.sign);
        outputs[0] = self.window.age_of_largest().map_or(f64::NAN, |age| 0.0 - age as f64);
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

pub(crate) const CUM: Function = Function {
    name: "cum",
    inputs: &[SOURCE],
    outputs: &["cum"],
    doc: "The sum of the source since the history's first candle. The history's start moves on, so only differences mean something.",
    open: |_| bank(move || Cum { total: 0.0 }),
    ..Function::PLAIN
};

struct Cum {
    total: f64,
}

impl Indicator for Cum {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        self.total += inputs[0];
        outputs[0] = self.total;
    }
}

pub(crate) const CHANGE: Function = Function {
    name: "change",
    inputs: &[SOURCE],
    params: &[candles("length", 1.0, Some(1.0))],
    outputs: &["change"],
    warm_up: |p| lookback(CORE.mom_lookback(period(p, 0))),
    doc: "The source less its value `length` candles before (TA-Lib MOM).",
    open: of_one_period!(mom_lookback, mom_open),
    ..Function::PLAIN
};

pub(crate) const MEDIAN: Function = Function {
    name: "median",
    inputs: &[SOURCE],
    params: &[candles("length", 2.0, None)],
    outputs: &["median"],
    warm_up: |p| lookback(CORE.median_lookback(period(p, 0))),
    doc: "The middle one of the last `length` values, or the mean of the two in the middle. Computed by TA-Lib's MEDIAN.",
    open: of_one_period!(median_lookback, median_open),
    ..Function::PLAIN
};

pub(crate) const PERCENTILE: Function = Function {
    name: "percentile",
    aliases: &["percentile_nearest_rank"],
    inputs: &[SOURCE],
    params: &[candles("length", 2.0, None), real("percent", 0.0, 100.0, 50.0)],
    outputs: &["percentile"],
    warm_up: |p| lookback(CORE.percentile_lookback(period(p, 0), p[1])),
    doc: "The smallest of the last `length` values that `percent` % of them do not exceed: nearest rank, always one of them (TA-Lib PERCENTILE).",
    open: single!(percentile_lookback, percentile_open, (x), p, n = period(p, 0), percent = p[1]),
    ..Function::PLAIN
};

const CONDITION: Input = Input { name: "condition", kind: Kind::Bool, default: None };

pub(crate) const COUNT: Function = Function {
    name: "count",
    inputs: &[CONDITION],
    params: &[candles("length", 1.0, None)],
    outputs: &["count"],
    warm_up: |p| whole(p, 0) - 1,
    doc: "On how many of the last `length` candles the condition was true.",
    open: |p| {
        let length = whole(p, 0);
        bank(move || Count { length, window: VecDeque::new(), trues: 0, answer: f64::from })
    },
    ..Function::PLAIN
};

pub(crate) const EVERY: Function = Function {
    name: "every",
    aliases: &["all"],
    inputs: &[CONDITION],
    params: &[candles("length", 1.0, None)],
    outputs: &["every"],
    kind: Kind::Bool,
    warm_up: |p| whole(p, 0) - 1,
    doc: "Whether the condition was true on each of the last `length` candles, this one included.",
    open: |p| {
        let length = whole(p, 0);
        let answer = move |trues| f64::from(trues as usize == length);
        bank(move || Count { length, window: VecDeque::new(), trues: 0, answer })
    },
    ..Function::PLAIN
};

pub(crate) const ANY: Function = Function {
    name: "any",
    inputs: &[CONDITION],
    params: &[candles("length", 1.0, None)],
    outputs: &["any"],
    kind: Kind::Bool,
    warm_up: |p| whole(p, 0) - 1,
    doc: "Whether the condition was true on one of the last `length` candles at least, this one included.",
    open: |p| {
        let length = whole(p, 0);
        let answer = |trues| f64::from(trues > 0);
        bank(move || Count { length, window: VecDeque::new(), trues: 0, answer })
    },
    ..Function::PLAIN
};

struct Count<Answer> {
    length: usize,
    window: VecDeque<bool>,
    trues: u32,
    /// What is said, by how many were true.
    answer: Answer,
}

impl<Answer: Fn(u32) -> f64 + Send> Indicator for Count<Answer> {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let condition = inputs[0] != 0.0;
        self.window.push_back(condition);
        self.trues += u32::from(condition);
        if self.window.len() > self.length && self.window.pop_front() == Some(true) {
            self.trues -= 1;
        }
        outputs[0] = if self.window.len() < self.length { f64::NAN } else { (self.answer)(self.trues) };
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
        bank(move || Rising { before: Largest::new(length), sign: 1.0 })
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
        bank(move || Rising { before: Largest::new(length), sign: -1.0 })
    },
    ..Function::PLAIN
};

struct Rising {
    before: Largest,
    sign: f64,
}

impl Indicator for Rising {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let value = inputs[0] * self.sign;
        outputs[0] = self.before.get().map_or(f64::NAN, |largest| f64::from(value > largest));
        self.before.push(value);
    }
}
