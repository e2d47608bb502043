//! What a script was traced to: a graph of typed nodes, as data.
//!
//! A program is a list of nodes in which a node refers only to earlier ones. Each node lives on a *clock*:
//! the closed candles of one symbol at one interval. Clock 0 is the trader's own candles; a node of another
//! clock is brought over by [`Op::Align`]. The result is one bool node (`fire`) and named metadata nodes.
//!
//! Stored as JSON. Whoever reads one calls [`Program::validate`] before anything else: a program is foreign
//! data until then.

use serde::{Deserialize, Serialize};

/// The version of this format and of what its nodes mean. A stored program of another version is compiled
/// again from its script. Stored with every signal as its `engine`.
pub const FORMAT: u16 = 2;

/// Most nodes in a program.
pub const MAX_NODES: usize = 256;
/// Longest lookback in candles of one node: a period, a lag, the window of an indicator.
pub const MAX_LOOKBACK: usize = 1_024;
/// Most metadata keys, `side`, `score` and `note` included.
pub const MAX_FIELDS: usize = 64;
/// Most clocks, i.e. different (symbol, interval) pairs one program reads.
pub const MAX_CLOCKS: usize = 16;
/// Longest text of a metadata value, in bytes.
pub const MAX_TEXT_BYTES: usize = 1_024;
/// Longest metadata key, in bytes.
pub const MAX_KEY_BYTES: usize = 64;
/// Longest stored program, in bytes of JSON: 256 nodes of some 100 bytes, and room for long texts.
pub const MAX_PROGRAM_BYTES: usize = 64 * 1_024;
/// Most candles that the windows and lags of one program hold for one symbol:
/// 16,384 × 8 bytes × 500 symbols = 62.5 MiB for the worst program that is accepted.
pub const MAX_WINDOW_CANDLES: usize = 16_384;

/// The position of a node in [`Program::nodes`].
pub type NodeId = u16;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// [`FORMAT`] of whoever wrote it.
    pub format: u16,
    /// The trader's own interval, e.g. `1m`.
    pub interval: String,
    /// `clocks[0]` is the trader's own: no symbol, `interval`.
    pub clocks: Vec<Clock>,
    pub nodes: Vec<Node>,
    /// The bool node on clock 0 that says whether the rule matches.
    pub fire: NodeId,
    /// Metadata: key and node on clock 0, in order of the key.
    pub fields: Vec<(String, NodeId)>,
}

/// The candles a node counts in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// `None`: the symbol that is evaluated. Else one symbol for all, e.g. `BTCUSDT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    pub interval: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Position in [`Program::clocks`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clock: u8,
    pub op: Op,
}

fn is_zero(clock: &u8) -> bool {
    *clock == 0
}

/// The type of a node's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Number,
    Bool,
    Text,
}

/// A number of the candle itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    Open,
    High,
    Low,
    Close,
    Volume,
    QuoteVolume,
    Trades,
    /// Base volume bought by takers.
    BuyVolume,
    /// (high + low) / 2.
    Hl2,
    /// (high + low + close) / 3.
    Hlc3,
    /// (open + high + low + close) / 4.
    Ohlc4,
    /// Open time in milliseconds since 1970, UTC.
    Time,
    /// Hour of the open time, 0 to 23, UTC.
    Hour,
    /// Day of the week of the open time, UTC, as Pine counts: 1 is Sunday, 7 is Saturday.
    Dayofweek,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arithmetic {
    Add,
    Sub,
    Mul,
    /// Always real division: 1/2 is 0.5, 1/0 infinite, 0/0 undefined.
    Div,
    /// IEEE remainder with the sign of the dividend, as Rust's `%`.
    Rem,
    Pow,
}

/// IEEE comparison. On text only `Eq` and `Ne`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
}

/// Functions of one number, the current candle only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unary {
    Neg,
    Abs,
    Sqrt,
    Exp,
    /// Natural logarithm; of a negative number undefined.
    Log,
    Log10,
    Floor,
    Ceil,
    /// Half away from zero.
    Round,
    /// −1, 0 or 1.
    Sign,
}

/// What a node computes. Every operand is an earlier node **of the same clock**, except in [`Op::Align`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// A finite constant.
    Number(f64),
    Bool(bool),
    Text(String),
    /// The constant "nothing": a number that is undefined on every candle.
    Na,
    Candle(Field),
    Unary(Unary, NodeId),
    Arithmetic(Arithmetic, NodeId, NodeId),
    /// The smaller or larger of two numbers of the same candle; undecided if either is.
    Min(NodeId, NodeId),
    Max(NodeId, NodeId),
    /// Both of one kind; a bool.
    Compare(Comparison, NodeId, NodeId),
    /// Three-valued: false decides, whatever the other side is.
    And(NodeId, NodeId),
    /// Three-valued: true decides, whatever the other side is.
    Or(NodeId, NodeId),
    Not(NodeId),
    /// `Select(condition, then, otherwise)`, both branches of one kind. Undecided condition, undecided value;
    /// the branch that is not chosen does not matter.
    Select(NodeId, NodeId, NodeId),
    /// Whether the operand is undecided, for whatever reason; itself always true or false.
    IsNa(NodeId),
    /// `Nz(value, default)`: the default where the value is undecided.
    Nz(NodeId, NodeId),
    /// The operand's value n existing candles back (0 < n ≤ MAX_LOOKBACK).
    Lag(NodeId, u16),
    /// The newest value of a node of another clock whose candle closed at or before this clock's candle. Lives on
    /// clock 0 only: whatever is mixed is brought to the trader's own candles first.
    Align(NodeId),
    /// A bool: this clock's candle completed a candle of the given other clock.
    Completed {
        clock: u8,
    },
    /// One output of a function of [`crate::catalog`]. `inputs` are its series: the explicit ones, then the
    /// candle fields it reads by itself, in the catalog's order.
    Call {
        function: String,
        inputs: Vec<NodeId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        params: Vec<f64>,
        #[serde(default, skip_serializing_if = "is_zero")]
        output: u8,
    },
}
