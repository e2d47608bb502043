//! What is allowed and can hardly be meant.

use crate::graph::Graph;
use crate::problem::Problems;
use crate::ranges::{ALL, Range};
use crate::value::{Series, Value};
use rhai::Position;
use vyx_engine::market;
use vyx_engine::program::{Comparison, Field};
use vyx_engine::{Checked, Kind, NodeId, Op};

/// A warning and the advice with it.
type Warning = (String, Option<String>);

/// A comparison that says nothing: a value above the highest of values that it is one of, or a number compared with
/// what it never reaches.
pub fn comparison(graph: &Graph, op: &str, left: &Value, right: &Value) -> Option<Warning> {
    let known = ["<", "<=", ">", ">=", "==", "!="].contains(&op);
    let nothing = |side: &Value| matches!(side, Value::Series(side) if *graph.op(side.node) == Op::Na);
    if known && (nothing(left) || nothing(right)) {
        let message = "never decided: one side is undefined on every candle".to_owned();
        return Some((message, Some("na(x) asks whether x is undefined".into())));
    }
    never(graph, op, left, right).or_else(|| decided(graph, op, left, right))
}

/// What marks a script of Pine is a comment here.
pub fn version(script: &str, problems: &mut Problems) {
    for (line, _) in (1u16..).zip(script.split('\n')).filter(|(_, text)| text.starts_with("//@version")) {
        let hint = "most of Pine's names are known; what is not is told".to_owned();
        problems.warn(Position::new(line, 1), "this is a comment: the language is not Pine", Some(hint));
    }
}

/// The same for a crossing, which is a comparison too.
pub fn crossing(graph: &Graph, function: &str, args: &[Value]) -> Option<Warning> {
    let [left, right] = args else { return None };
    let never = match function {
        "crossover" => never(graph, ">", left, right),
        "crossunder" => never(graph, "<", left, right),
        _ => None,
    };
    let apart = || {
        let (a, b) = (range(graph, left)?, range(graph, right)?);
        let apart = ["crossover", "crossunder", "cross"].contains(&function) && !a.meets(b);
        let why = why(graph, (left, a), (right, b))?;
        apart.then(|| (format!("never true: {why}"), None))
    };
    never.or_else(apart)
}

/// Conditions on one number of which all, or none, can hold: `rsi < 30 && rsi > 70`.
pub fn logic(graph: &Graph, all: bool, left: &Value, right: &Value) -> Option<Warning> {
    let (Value::Series(left), Value::Series(right)) = (left, right) else { return None };
    let (number, within) = condition(graph, right.node)?;
    let mut open = vec![left.node];
    // A conjunction of more conditions than this is not looked through.
    for _ in 0..MAX_CONDITIONS {
        let Some(node) = open.pop() else { break };
        match (graph.op(node), all) {
            (Op::And(a, b), true) | (Op::Or(a, b), false) => open.extend([*a, *b]),
            _ => {
                let Some((other, its)) = condition(graph, node).filter(|(other, _)| *other == number) else { continue };
                let name = name(graph, other).unwrap_or_else(|| "one number".into());
                if all && !its.meets(within) {
                    return Some((format!("always false: two conditions on {name} exclude each other"), None));
                }
                let (low, high) = if its.from <= within.from { (its, within) } else { (within, its) };
                let covers = low.from == f64::NEG_INFINITY && high.to == f64::INFINITY;
                if !all && covers && low.to.next_up() >= high.from {
                    return Some((format!("always true: one of two conditions on {name} always holds"), None));
                }
            }
        }
    }
    None
}

/// Most conditions that are compared with the next.
const MAX_CONDITIONS: usize = 64;

/// A number compared with a constant: which, and where that is true.
fn condition(graph: &Graph, node: NodeId) -> Option<(NodeId, Range)> {
    let Op::Compare(op, a, b) = graph.op(node) else { return None };
    let (number, constant, op) = match (graph.op(*a), graph.op(*b)) {
        (_, Op::Number(n)) => (*a, *n, *op),
        (Op::Number(n), _) => (*b, *n, mirrored(*op)),
        _ => return None,
    };
    let range = match op {
        Comparison::Lt => Range { to: constant.next_down(), ..ALL },
        Comparison::Le => Range { to: constant, ..ALL },
        Comparison::Gt => Range { from: constant.next_up(), ..ALL },
        Comparison::Ge => Range { from: constant, ..ALL },
        Comparison::Eq => Range::only(constant),
        Comparison::Ne => return None,
    };
    Some((number, range))
}

fn mirrored(op: Comparison) -> Comparison {
    match op {
        Comparison::Lt => Comparison::Gt,
        Comparison::Le => Comparison::Ge,
        Comparison::Gt => Comparison::Lt,
        Comparison::Ge => Comparison::Le,
        same => same,
    }
}

/// A comparison whose answer is known from what the two sides can be.
fn decided(graph: &Graph, op: &str, left: &Value, right: &Value) -> Option<Warning> {
    let (a, b) = (range(graph, left)?, range(graph, right)?);
    // Constants have their answer already, and what is compared with an infinite one is hardly read closely.
    if a.from == a.to && b.from == b.to || [a.from, b.from].contains(&f64::INFINITY) {
        return None;
    }
    let (yes, no) = match op {
        "<" => (a.to < b.from, a.from >= b.to),
        "<=" => (a.to <= b.from, a.from > b.to),
        ">" => (a.from > b.to, a.to <= b.from),
        ">=" => (a.from >= b.to, a.to < b.from),
        "==" => (false, !a.meets(b)),
        "!=" => (!a.meets(b), false),
        _ => return None,
    };
    let answer = if yes { "true" } else { "false" };
    (yes || no).then_some(())?;
    Some((format!("always {answer}: {}", why(graph, (left, a), (right, b))?), None))
}

fn range(graph: &Graph, value: &Value) -> Option<Range> {
    match value {
        Value::Number(n) => Some(Range::only(*n)),
        Value::Series(series) if series.kind == Kind::Number => Some(graph.range(series.node)),
        _ => None,
    }
}

/// What the sides are that are no constants.
fn why(graph: &Graph, left: (&Value, Range), right: (&Value, Range)) -> Option<String> {
    let sides =
        [(left, "the left side"), (right, "the right side")].into_iter().filter_map(|((value, range), side)| {
            let Value::Series(series) = value else { return None };
            let name = name(graph, series.node).unwrap_or_else(|| side.to_owned());
            range.words().map(|words| format!("{name} is {words}"))
        });
    let sides: Vec<String> = sides.collect();
    (!sides.is_empty()).then(|| sides.join(", "))
}

/// How a script would name a node, if that is short.
fn name(graph: &Graph, node: NodeId) -> Option<String> {
    match graph.op(node) {
        Op::Candle(Field::QuoteVolume) => Some("quote_volume".into()),
        Op::Candle(Field::BuyVolume) => Some("buy_volume".into()),
        Op::Candle(field) => Some(format!("{field:?}").to_lowercase()),
        Op::Call { function, .. } => Some(format!("{function}(…)")),
        Op::Align(a) | Op::Lag(a, _) => name(graph, *a),
        _ => None,
    }
}

/// A comparison that is never true: a value above the highest of values that it is one of.
fn never(graph: &Graph, op: &str, left: &Value, right: &Value) -> Option<Warning> {
    let (Value::Series(left), Value::Series(right)) = (left, right) else { return None };
    match op {
        ">" => above_highest(graph, *left, *right).or_else(|| below_lowest(graph, *right, *left)),
        "<" => below_lowest(graph, *left, *right).or_else(|| above_highest(graph, *right, *left)),
        _ => None,
    }
}

/// A rule that needs more candles than a history is sure to have.
pub fn never_ready(checked: &Checked, problems: &mut Problems) {
    for (clock, bars) in checked.clocks().iter().zip(checked.warm_up()) {
        let history = market::history_blocks(clock.interval) * market::BLOCK;
        if bars as i64 > history {
            let interval = clock.interval;
            let message = format!(
                "rarely or never ready: it needs {bars} candles of \"{interval}\", and a history may have {history}"
            );
            problems.warn(Position::NONE, message, Some("shorten the periods, or read a longer interval".into()));
        }
    }
}

fn above_highest(graph: &Graph, value: Series, highest: Series) -> Option<Warning> {
    let among = |field: Field| matches!(field, Field::Open | Field::Close | Field::Low);
    one_of_window(graph, value, highest, "highest", Field::High, among).then(|| {
        let message = "never true: highest(…) includes this candle".to_owned();
        (message, Some("compare with the candles before it: highest(high, n)[1]".to_owned()))
    })
}

fn below_lowest(graph: &Graph, value: Series, lowest: Series) -> Option<Warning> {
    let among = |field: Field| matches!(field, Field::Open | Field::Close | Field::High);
    one_of_window(graph, value, lowest, "lowest", Field::Low, among).then(|| {
        let message = "never true: lowest(…) includes this candle".to_owned();
        (message, Some("compare with the candles before it: lowest(low, n)[1]".to_owned()))
    })
}

/// Whether `window` is a call of `function` over `value` itself, or over `bound` where the value is within its bound.
fn one_of_window(
    graph: &Graph,
    value: Series,
    window: Series,
    name: &str,
    bound: Field,
    among: impl Fn(Field) -> bool,
) -> bool {
    let Op::Call { function, inputs, .. } = graph.op(window.node) else { return false };
    let Some(&input) = inputs.first() else { return false };
    let bounded =
        matches!(graph.op(value.node), Op::Candle(field) if among(*field)) && *graph.op(input) == Op::Candle(bound);
    function == name && window.clock == value.clock && (input == value.node || bounded)
}
