//! Two series that cross. "Before" is the candle before on which both were defined.

use crate::catalog::{Function, Indicator, Input};
use crate::eval::bank::bank;
use crate::program::Kind;

const BOTH: &[Input] =
    &[Input { name: "a", kind: Kind::Number, default: None }, Input { name: "b", kind: Kind::Number, default: None }];

pub(crate) const CROSSOVER: Function = Function {
    name: "crossover",
    aliases: &["cross_above", "crosses_above"],
    inputs: BOTH,
    outputs: &["crossover"],
    kind: Kind::Bool,
    warm_up: |_| 1,
    doc: "a > b now and a <= b on the candle before.",
    open: |_| {
        bank(move || Cross { before: None, crossed: |(a0, b0): (f64, f64), (a, b): (f64, f64)| a > b && a0 <= b0 })
    },
    ..Function::PLAIN
};

pub(crate) const CROSSUNDER: Function = Function {
    name: "crossunder",
    aliases: &["cross_below", "crosses_below"],
    inputs: BOTH,
    outputs: &["crossunder"],
    kind: Kind::Bool,
    warm_up: |_| 1,
    doc: "a < b now and a >= b on the candle before.",
    open: |_| {
        bank(move || Cross { before: None, crossed: |(a0, b0): (f64, f64), (a, b): (f64, f64)| a < b && a0 >= b0 })
    },
    ..Function::PLAIN
};

pub(crate) const CROSS: Function = Function {
    name: "cross",
    aliases: &["crosses"],
    inputs: BOTH,
    outputs: &["cross"],
    kind: Kind::Bool,
    warm_up: |_| 1,
    doc: "crossover(a, b) or crossunder(a, b).",
    open: |_| {
        bank(move || Cross {
            before: None,
            crossed: |(a0, b0): (f64, f64), (a, b): (f64, f64)| (a > b && a0 <= b0) || (a < b && a0 >= b0),
        })
    },
    ..Function::PLAIN
};

struct Cross<Crossed> {
    before: Option<(f64, f64)>,
    /// By what was before and what is now.
    crossed: Crossed,
}

impl<Crossed: Fn((f64, f64), (f64, f64)) -> bool + Send> Indicator for Cross<Crossed> {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let now = (inputs[0], inputs[1]);
        outputs[0] = self.before.map_or(f64::NAN, |before| f64::from((self.crossed)(before, now)));
        self.before = Some(now);
    }
}
