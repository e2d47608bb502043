//! Operators on values: constants are computed at once with the engine's own arithmetic, series become nodes.
//!
//! A failure is text for the user; where it stands is the caller's knowledge.

use crate::graph::Graph;
use crate::value::{Series, Value, plural};
use vyx_engine::program::{Arithmetic, Comparison, Unary};
use vyx_engine::{Kind, Op};

/// What is wrong, and what to write instead.
pub struct Refusal {
    pub message: String,
    pub hint: Option<String>,
}

pub type Outcome = Result<Value, Refusal>;

impl Refusal {
    pub fn new(message: impl Into<String>) -> Self {
        Refusal { message: message.into(), hint: None }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Refusal { hint: Some(hint.into()), ..self }
    }
}

/// `left op right` for the operators that both sides are always computed for.
pub fn binary(graph: &mut Graph, op: &str, left: &Value, right: &Value) -> Outcome {
    if left.is_poison() || right.is_poison() {
        return Ok(Value::Poison);
    }
    match op {
        "+" if matches!((left, right), (Value::Text(_), _) | (_, Value::Text(_))) => join(&[left, right]),
        "+" => arithmetic(graph, Arithmetic::Add, "+", left, right),
        "-" => arithmetic(graph, Arithmetic::Sub, "-", left, right),
        "*" => arithmetic(graph, Arithmetic::Mul, "*", left, right),
        "/" => arithmetic(graph, Arithmetic::Div, "/", left, right),
        "%" => arithmetic(graph, Arithmetic::Rem, "%", left, right),
        "**" => arithmetic(graph, Arithmetic::Pow, "**", left, right),
        "<" => compare(graph, Comparison::Lt, op, left, right),
        "<=" => compare(graph, Comparison::Le, op, left, right),
        ">" => compare(graph, Comparison::Gt, op, left, right),
        ">=" => compare(graph, Comparison::Ge, op, left, right),
        "==" => compare(graph, Comparison::Eq, op, left, right),
        "!=" => compare(graph, Comparison::Ne, op, left, right),
        "&" => Err(Refusal::new("\"&\" is not an operator here").hint("write a && b")),
        "|" => Err(Refusal::new("\"|\" is not an operator here").hint("write a || b")),
        "^" => Err(Refusal::new("\"^\" is not an operator here").hint("write pow(a, b) for a power")),
        _ => Err(Refusal::new(format!("\"{op}\" is not an operator here"))),
    }
}

/// `op value`.
pub fn unary(graph: &mut Graph, op: &str, value: &Value) -> Outcome {
    match (op, value) {
        (_, Value::Poison) => Ok(Value::Poison),
        ("!", _) => not(graph, value),
        ("+", _) => number(value, "+").map(|()| value.clone()),
        _ => function(graph, Unary::Neg, "-", value),
    }
}

/// Both must be numbers.
pub fn arithmetic(graph: &mut Graph, op: Arithmetic, name: &str, left: &Value, right: &Value) -> Outcome {
    number(left, name)?;
    number(right, name)?;
    if let (Value::Number(a), Value::Number(b)) = (left, right) {
        return Ok(constant(graph, calculate(op, *a, *b)));
    }
    let (a, b, clock) = pair(graph, left, right);
    Ok(Value::Series(graph.node(Op::Arithmetic(op, a.node, b.node), Kind::Number, clock)))
}

/// Smaller or larger of two numbers.
pub fn extreme(graph: &mut Graph, larger: bool, left: &Value, right: &Value) -> Outcome {
    let name = if larger { "max" } else { "min" };
    number(left, name)?;
    number(right, name)?;
    if let (Value::Number(a), Value::Number(b)) = (left, right) {
        // Not f64::max: which of two zeros that gives is not specified.
        let second = if larger { b > a } else { b < a };
        return Ok(Value::Number(if second { *b } else { *a }));
    }
    let (a, b, clock) = pair(graph, left, right);
    let op = if larger { Op::Max(a.node, b.node) } else { Op::Min(a.node, b.node) };
    Ok(Value::Series(graph.node(op, Kind::Number, clock)))
}

/// A function of one number.
pub fn function(graph: &mut Graph, op: Unary, name: &str, value: &Value) -> Outcome {
    number(value, name)?;
    if let Value::Number(n) = value {
        return Ok(constant(graph, apply(op, *n)));
    }
    let series = plain(graph, value);
    Ok(Value::Series(graph.node(Op::Unary(op, series.node), Kind::Number, series.clock)))
}

/// Three-valued: a constant that decides makes the other side superfluous.
pub fn and(graph: &mut Graph, left: &Value, right: &Value) -> Outcome {
    logic(graph, false, left, right)
}

/// As [`and`], with true deciding.
pub fn or(graph: &mut Graph, left: &Value, right: &Value) -> Outcome {
    logic(graph, true, left, right)
}

pub fn not(graph: &mut Graph, value: &Value) -> Outcome {
    if value.is_poison() {
        return Ok(Value::Poison);
    }
    boolean(value, "!")?;
    if let Value::Bool(b) = value {
        return Ok(Value::Bool(!b));
    }
    let series = plain(graph, value);
    Ok(Value::Series(graph.node(Op::Not(series.node), Kind::Bool, series.clock)))
}

/// `select(condition, then, otherwise)`.
pub fn select(graph: &mut Graph, condition: &Value, then: &Value, otherwise: &Value) -> Outcome {
    boolean(condition, "select")?;
    let (Some(a), Some(b)) = (then.kind(), otherwise.kind()) else {
        let wrong = if then.kind().is_none() { then } else { otherwise };
        return Err(Refusal::new(format!("select(condition, a, b) chooses between values, not {}", wrong.describe())));
    };
    if a != b {
        let (a, b) = (plural(a), plural(b));
        return Err(Refusal::new(format!("select(condition, a, b) needs two values of one kind, not {a} and {b}")));
    }
    if let Value::Bool(condition) = condition {
        return Ok(if *condition { then.clone() } else { otherwise.clone() });
    }
    let operands = [plain(graph, condition), plain(graph, then), plain(graph, otherwise)];
    let ([c, a, b], clock) = graph.align(operands);
    Ok(Value::Series(graph.node(Op::Select(c.node, a.node, b.node), a.kind, clock)))
}

/// `na(value)`.
pub fn is_na(graph: &mut Graph, value: &Value) -> Outcome {
    if value.kind().is_none() {
        return Err(Refusal::new(format!("na(x) asks about a series, not {}", value.describe())));
    }
    let Value::Series(series) = value else { return Ok(Value::Bool(false)) };
    Ok(Value::Series(graph.node(Op::IsNa(series.node), Kind::Bool, series.clock)))
}

/// `nz(value, default)`.
pub fn nz(graph: &mut Graph, value: &Value, default: &Value) -> Outcome {
    let (Some(a), Some(b)) = (value.kind(), default.kind()) else {
        let wrong = if value.kind().is_none() { value } else { default };
        return Err(Refusal::new(format!("nz(x, default) takes values, not {}", wrong.describe())));
    };
    if a != b {
        let (a, b) = (plural(a), plural(b));
        return Err(Refusal::new(format!("nz(x, default) needs two values of one kind, not {a} and {b}")));
    }
    if !matches!(value, Value::Series(_)) {
        return Ok(value.clone());
    }
    let (a, b, clock) = pair(graph, value, default);
    Ok(Value::Series(graph.node(Op::Nz(a.node, b.node), a.kind, clock)))
}

/// Constants as one text, numbers as they are written.
pub fn join(parts: &[&Value]) -> Outcome {
    let mut text = String::new();
    for part in parts {
        match part {
            Value::Poison => return Ok(Value::Poison),
            Value::Text(t) => text.push_str(t),
            Value::Number(n) => text.push_str(&n.to_string()),
            Value::Bool(b) => text.push_str(&b.to_string()),
            other => {
                let what = other.describe();
                return Err(Refusal::new(format!("a text cannot hold {what}"))
                    .hint("texts are constants; put a series under a key of its own in the result"));
            }
        }
        if text.len() > vyx_engine::program::MAX_TEXT_BYTES {
            let max = vyx_engine::program::MAX_TEXT_BYTES;
            return Err(Refusal::new(format!("a text is at most {max} bytes long")));
        }
    }
    Ok(Value::text(&text))
}

fn compare(graph: &mut Graph, op: Comparison, name: &str, left: &Value, right: &Value) -> Outcome {
    let (Some(a), Some(b)) = (left.kind(), right.kind()) else {
        let wrong = if left.kind().is_none() { left } else { right };
        return Err(not_plain(wrong, &format!("\"{name}\" compares values")));
    };
    let equality = matches!(op, Comparison::Eq | Comparison::Ne);
    let is_na = |side: &Value| matches!(side, Value::Series(series) if *graph.op(series.node) == Op::Na);
    if equality && (is_na(left) || is_na(right)) {
        let write = if op == Comparison::Eq { "na(x)" } else { "not na(x)" };
        return Err(Refusal::new(format!("\"{name}\" never finds na: what is undefined equals nothing"))
            .hint(format!("write {write}")));
    }
    if a != b {
        let refusal = Refusal::new(format!("\"{name}\" cannot compare {} with {}", plural(a), plural(b)));
        let chained = a == Kind::Bool && b == Kind::Number && !equality;
        return Err(if chained { refusal.hint("write 1 < x && x < 3 instead of 1 < x < 3") } else { refusal });
    }
    if !equality && a != Kind::Number {
        return Err(Refusal::new(format!("\"{name}\" compares numbers, not {}", plural(a))));
    }
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => return Ok(Value::Bool(holds(op, a.partial_cmp(b)))),
        (Value::Bool(a), Value::Bool(b)) => return Ok(Value::Bool((a == b) == (op == Comparison::Eq))),
        (Value::Text(a), Value::Text(b)) => return Ok(Value::Bool((a == b) == (op == Comparison::Eq))),
        _ => {}
    }
    let (a, b, clock) = pair(graph, left, right);
    Ok(Value::Series(graph.node(Op::Compare(op, a.node, b.node), Kind::Bool, clock)))
}

fn holds(op: Comparison, order: Option<std::cmp::Ordering>) -> bool {
    match op {
        Comparison::Lt => order.is_some_and(|o| o.is_lt()),
        Comparison::Le => order.is_some_and(|o| o.is_le()),
        Comparison::Gt => order.is_some_and(|o| o.is_gt()),
        Comparison::Ge => order.is_some_and(|o| o.is_ge()),
        Comparison::Eq => order.is_some_and(|o| o.is_eq()),
        Comparison::Ne => order.is_some_and(|o| o.is_ne()),
    }
}

fn logic(graph: &mut Graph, deciding: bool, left: &Value, right: &Value) -> Outcome {
    if left.is_poison() || right.is_poison() {
        return Ok(Value::Poison);
    }
    let name = if deciding { "||" } else { "&&" };
    boolean(left, name)?;
    boolean(right, name)?;
    match (left, right) {
        (Value::Bool(b), other) | (other, Value::Bool(b)) => {
            Ok(if *b == deciding { Value::Bool(deciding) } else { other.clone() })
        }
        _ => {
            let (a, b, clock) = pair(graph, left, right);
            let op = if deciding { Op::Or(a.node, b.node) } else { Op::And(a.node, b.node) };
            Ok(Value::Series(graph.node(op, Kind::Bool, clock)))
        }
    }
}

/// IEEE, as the engine computes it: that a constant is folded never changes a value.
fn calculate(op: Arithmetic, a: f64, b: f64) -> f64 {
    match op {
        Arithmetic::Add => a + b,
        Arithmetic::Sub => a - b,
        Arithmetic::Mul => a * b,
        Arithmetic::Div => a / b,
        Arithmetic::Rem => a % b,
        Arithmetic::Pow => a.powf(b),
    }
}

fn apply(op: Unary, n: f64) -> f64 {
    match op {
        Unary::Neg => -n,
        Unary::Abs => n.abs(),
        Unary::Sqrt => n.sqrt(),
        Unary::Exp => n.exp(),
        Unary::Log => n.ln(),
        Unary::Log10 => n.log10(),
        Unary::Floor => n.floor(),
        Unary::Ceil => n.ceil(),
        Unary::Round => n.round(),
        Unary::Sign if n == 0.0 => 0.0,
        Unary::Sign => n.signum(),
    }
}

/// 0/0 is not a number but the lack of one.
fn constant(graph: &mut Graph, n: f64) -> Value {
    if n.is_nan() { Value::Series(graph.na()) } else { Value::Number(n) }
}

fn plain(graph: &mut Graph, value: &Value) -> Series {
    graph.series(value).expect("its kind was checked")
}

fn pair(graph: &mut Graph, left: &Value, right: &Value) -> (Series, Series, Option<u8>) {
    let operands = [plain(graph, left), plain(graph, right)];
    let ([a, b], clock) = graph.align(operands);
    (a, b, clock)
}

pub fn number(value: &Value, name: &str) -> Result<(), Refusal> {
    match value.kind() {
        Some(Kind::Number) => Ok(()),
        Some(Kind::Bool) => Err(Refusal::new(format!("\"{name}\" takes numbers, not {}", value.describe()))
            .hint("select(condition, 1, 0) makes a number of a bool")),
        _ => Err(not_plain(value, &format!("\"{name}\" takes numbers"))),
    }
}

pub fn boolean(value: &Value, name: &str) -> Result<(), Refusal> {
    match value.kind() {
        Some(Kind::Bool) => Ok(()),
        Some(Kind::Number) => Err(Refusal::new(format!("\"{name}\" takes bools, not {}", value.describe()))
            .hint("compare it with something, e.g. x > 0")),
        _ => Err(not_plain(value, &format!("\"{name}\" takes bools"))),
    }
}

/// What is no value of a candle, with the way to one.
pub fn not_plain(value: &Value, wanted: &str) -> Refusal {
    let refusal = Refusal::new(format!("{wanted}, not {}", value.describe()));
    match value {
        Value::Record(record) => {
            let fields: Vec<String> = record.function.outputs.iter().map(|o| format!(".{o}")).collect();
            refusal.hint(format!("take one of its values: {}", fields.join(" ")))
        }
        Value::Market(_) => refusal.hint("take one of its series, e.g. tf(\"1h\").close"),
        _ => refusal,
    }
}
