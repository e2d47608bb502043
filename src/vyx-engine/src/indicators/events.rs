//! What happened when a condition was last true. Undefined while it never was since the history's first candle.

use super::{LONGEST, whole};
use crate::catalog::{Function, Indicator, Input, Param};
use crate::eval::bank::bank;
use crate::program::Kind;
use std::collections::VecDeque;

const CONDITION: Input = Input { name: "condition", kind: Kind::Bool, default: None };

pub(crate) const BARSSINCE: Function = Function {
    name: "barssince",
    inputs: &[CONDITION],
    outputs: &["barssince"],
    doc: "Candles since the condition was last true, 0 on that candle; undefined if it never was.",
    open: |_| bank(move || BarsSince { since: None }),
    ..Function::PLAIN
};

struct BarsSince {
    since: Option<u32>,
}

impl Indicator for BarsSince {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        self.since = if inputs[0] != 0.0 { Some(0) } else { self.since.map(|n| n + 1) };
        outputs[0] = self.since.map_or(f64::NAN, f64::from);
    }
}

pub(crate) const VALUEWHEN: Function = Function {
    name: "valuewhen",
    inputs: &[CONDITION, Input { name: "source", kind: Kind::Number, default: None }],
    params: &[Param { name: "occurrence", whole: true, min: 0.0, max: LONGEST, default: Some(0.0) }],
    outputs: &["valuewhen"],
    doc: "The source on the candle on which the condition was last true, or `occurrence` times before that; undefined if it was not true so often.",
    open: |p| {
        let occurrence = whole(p, 0);
        bank(move || ValueWhen { occurrence, values: VecDeque::new() })
    },
    ..Function::PLAIN
};

struct ValueWhen {
    occurrence: usize,
    /// Newest first, at most `occurrence` + 1.
    values: VecDeque<f64>,
}

impl Indicator for ValueWhen {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        if inputs[0] != 0.0 {
            self.values.push_front(inputs[1]);
            self.values.truncate(self.occurrence + 1);
        }
        outputs[0] = self.values.get(self.occurrence).copied().unwrap_or(f64::NAN);
    }
}
