//! What an expression of a script is while it is traced: a constant, a node of the graph, or a thing that leads to one.

use rhai::Position;
use std::collections::BTreeMap;
use std::rc::Rc;
use vyx_core::Interval;
use vyx_engine::catalog::Function;
use vyx_engine::{Kind, NodeId};

/// Collections hold no collections, so that no value nests deeper than two.
#[derive(Clone)]
pub enum Value {
    /// `()`, the value of what has none.
    Nothing,
    /// A constant; infinite at most, never NaN: that is the node of `na`.
    Number(f64),
    Bool(bool),
    Text(Rc<str>),
    Series(Series),
    /// The outputs of a function that has several.
    Record(Rc<Record>),
    List(Rc<[Value]>),
    /// Whole numbers, the end excluded.
    Range(i64, i64),
    Map(Rc<BTreeMap<String, (Value, Position)>>),
    /// `tf("1h")`, `symbol("BTCUSDT")`.
    Market(Market),
    /// `ta` and `math`, whose functions are those without the prefix.
    Namespace(&'static str),
    /// Stands for the value of what was wrong: whatever it touches is poison, silently, so that one mistake is told once.
    Poison,
}

/// A node of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    pub node: NodeId,
    pub kind: Kind,
    /// `None`: a constant, at home on every clock.
    pub clock: Option<u8>,
}

pub struct Record {
    pub function: &'static Function,
    /// One for each output, in the function's order.
    pub outputs: Vec<Series>,
}

/// Candles to take series from.
#[derive(Clone, PartialEq, Eq)]
pub struct Market {
    /// `None`: the symbol that is evaluated.
    pub symbol: Option<String>,
    pub interval: Interval,
}

impl Value {
    /// What it is, in an error: "a number", "a series of bools".
    pub fn describe(&self) -> String {
        match self {
            Value::Nothing => "nothing".into(),
            Value::Number(n) => format!("the number {}", shown(*n)),
            Value::Bool(b) => format!("the bool {b}"),
            Value::Text(_) => "a text".into(),
            Value::Series(Series { kind, .. }) => format!("a series of {}", plural(*kind)),
            Value::Record(record) => format!("the record of {}", record.function.name),
            Value::List(_) => "a list".into(),
            Value::Range(..) => "a range".into(),
            Value::Map(_) => "a map".into(),
            Value::Market(_) => "a timeframe".into(),
            Value::Namespace(name) => format!("the prefix \"{name}\""),
            Value::Poison => "an error".into(),
        }
    }

    /// The kind of a plain value; `None` for what is no value of a candle.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Value::Number(_) => Some(Kind::Number),
            Value::Bool(_) => Some(Kind::Bool),
            Value::Text(_) => Some(Kind::Text),
            Value::Series(series) => Some(series.kind),
            _ => None,
        }
    }

    pub fn is_poison(&self) -> bool {
        matches!(self, Value::Poison)
    }

    pub fn text(text: &str) -> Value {
        Value::Text(text.into())
    }
}

/// A number in a message: no row of 300 digits.
pub fn shown(n: f64) -> String {
    let plain = n == 0.0 || !n.is_finite() || (1e-6..1e15).contains(&n.abs());
    if plain { n.to_string() } else { format!("{n:e}") }
}

pub fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "numbers",
        Kind::Bool => "bools",
        Kind::Text => "texts",
    }
}
