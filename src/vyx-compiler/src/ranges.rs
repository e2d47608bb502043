//! What a number lies between whatever the market does, where that is cheap to know and certain.

use crate::value::shown;
use vyx_engine::program::{Arithmetic, Field, Unary};
use vyx_engine::{NodeId, Op};

/// Both ends included. Says nothing of candles on which the number is undefined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub from: f64,
    pub to: f64,
}

pub const ALL: Range = Range { from: f64::NEG_INFINITY, to: f64::INFINITY };
/// What is counted or measured.
const NOT_NEGATIVE: Range = Range { from: 0.0, to: f64::INFINITY };
/// Prices: the exchange has none of zero.
const POSITIVE: Range = Range { from: SMALLEST, to: f64::INFINITY };
const SMALLEST: f64 = f64::from_bits(1);

impl Range {
    pub fn only(n: f64) -> Range {
        Range { from: n, to: n }
    }

    /// Ends in any order; all numbers if one is none.
    fn between(ends: &[f64]) -> Range {
        if ends.iter().any(|end| end.is_nan()) {
            return ALL;
        }
        let (from, to) = ends.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), n| (a.min(*n), b.max(*n)));
        Range { from, to }
    }

    fn with(self, other: Range) -> Range {
        Range::between(&[self.from, self.to, other.from, other.to])
    }

    pub fn meets(self, other: Range) -> bool {
        self.from <= other.to && other.from <= self.to
    }

    /// In words: "from 0 to 100", "above 0"; `None` where nothing is known.
    pub fn words(self) -> Option<String> {
        // Without the sign of a zero.
        let rounded = |n: f64| shown((n * 1e3).round() / 1e3 + 0.0);
        match (self.from.is_finite(), self.to.is_finite()) {
            (true, true) if self.from == self.to => Some(shown(self.from)),
            (true, true) => Some(format!("from {} to {}", rounded(self.from), rounded(self.to))),
            (true, false) if self.from == SMALLEST => Some("above 0".into()),
            (true, false) => Some(format!("at least {}", rounded(self.from))),
            (false, true) => Some(format!("at most {}", rounded(self.to))),
            (false, false) => None,
        }
    }
}

/// The range of a node, from those of its operands.
pub fn of(op: &Op, operand: impl Fn(NodeId) -> Range) -> Range {
    match op {
        Op::Number(n) => Range::only(*n),
        Op::Candle(field) => candle(*field),
        Op::Unary(op, a) => unary(*op, operand(*a)),
        Op::Arithmetic(op, a, b) => arithmetic(*op, operand(*a), operand(*b)),
        Op::Min(a, b) => pairwise(f64::min, operand(*a), operand(*b)),
        Op::Max(a, b) => pairwise(f64::max, operand(*a), operand(*b)),
        Op::Select(_, a, b) | Op::Nz(a, b) => operand(*a).with(operand(*b)),
        Op::Lag(a, _) | Op::Align(a) => operand(*a),
        Op::Call { function, inputs, params, .. } => match (function.as_str(), inputs.as_slice()) {
            ("highest" | "lowest", [x]) | ("valuewhen", [_, x]) => operand(*x),
            _ => call(function, params),
        },
        _ => ALL,
    }
}

fn candle(field: Field) -> Range {
    match field {
        Field::Open | Field::High | Field::Low | Field::Close => POSITIVE,
        Field::Hl2 | Field::Hlc3 | Field::Ohlc4 => POSITIVE,
        Field::Volume | Field::QuoteVolume | Field::Trades | Field::BuyVolume | Field::Time => NOT_NEGATIVE,
        Field::Hour => Range { from: 0.0, to: 23.0 },
        Field::Dayofweek => Range { from: 1.0, to: 7.0 },
    }
}

/// Functions whose values are bounded by what they are. A ratio of rounded differences may pass its bound by a rounding,
/// so its range is a little wider.
fn call(function: &str, params: &[f64]) -> Range {
    const ROUNDING: f64 = 1e-6;
    match (function, params) {
        // A gain's share of gains and losses, none of them negative: rounding does not lead beyond 1.
        ("rsi", _) => Range { from: 0.0, to: 100.0 },
        ("stoch" | "adx" | "dmi" | "aroon", _) => Range { from: -ROUNDING, to: 100.0 + ROUNDING },
        ("willr", _) => Range { from: -100.0 - ROUNDING, to: ROUNDING },
        ("count", [length]) => Range { from: 0.0, to: *length },
        ("barssince", _) => NOT_NEGATIVE,
        _ => ALL,
    }
}

fn unary(op: Unary, a: Range) -> Range {
    match op {
        Unary::Neg => Range { from: -a.to, to: -a.from },
        Unary::Abs if a.from >= 0.0 => a,
        Unary::Abs => Range { from: 0.0, to: a.to.max(-a.from) },
        Unary::Sqrt | Unary::Exp => NOT_NEGATIVE,
        Unary::Floor => Range { from: a.from.floor(), to: a.to.floor() },
        Unary::Ceil => Range { from: a.from.ceil(), to: a.to.ceil() },
        Unary::Round => Range { from: a.from.round(), to: a.to.round() },
        Unary::Sign => Range { from: -1.0, to: 1.0 },
        Unary::Log | Unary::Log10 => ALL,
    }
}

/// Addition and the others are monotone after rounding too.
fn arithmetic(op: Arithmetic, a: Range, b: Range) -> Range {
    match op {
        Arithmetic::Add => Range::between(&[a.from + b.from, a.to + b.to]),
        Arithmetic::Sub => Range::between(&[a.from - b.to, a.to - b.from]),
        Arithmetic::Mul => Range::between(&[a.from * b.from, a.from * b.to, a.to * b.from, a.to * b.to]),
        Arithmetic::Div if b.from > 0.0 || b.to < 0.0 => {
            Range::between(&[a.from / b.from, a.from / b.to, a.to / b.from, a.to / b.to])
        }
        Arithmetic::Div if a.from >= 0.0 && b.from >= 0.0 => NOT_NEGATIVE,
        Arithmetic::Div | Arithmetic::Rem | Arithmetic::Pow => ALL,
    }
}

fn pairwise(choose: fn(f64, f64) -> f64, a: Range, b: Range) -> Range {
    Range { from: choose(a.from, b.from), to: choose(a.to, b.to) }
}
