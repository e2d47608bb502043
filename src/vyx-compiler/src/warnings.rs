//! What is allowed and can hardly be meant.

use crate::graph::Graph;
use crate::problem::Problems;
use crate::value::{Series, Value};
use rhai::Position;
use vyx_engine::market;
use vyx_engine::program::Field;
use vyx_engine::{Checked, Op};

/// A warning and the advice with it.
type Warning = (String, String);

/// A comparison that is never true: a value above the highest of values that it is one of.
pub fn never(graph: &Graph, op: &str, left: &Value, right: &Value) -> Option<Warning> {
    let (Value::Series(left), Value::Series(right)) = (left, right) else { return None };
    match op {
        ">" => above_highest(graph, *left, *right).or_else(|| below_lowest(graph, *right, *left)),
        "<" => below_lowest(graph, *left, *right).or_else(|| above_highest(graph, *right, *left)),
        _ => None,
    }
}

/// The same for a crossing, which is a comparison too.
pub fn never_crosses(graph: &Graph, function: &str, args: &[Value]) -> Option<Warning> {
    let [left, right] = args else { return None };
    match function {
        "crossover" => never(graph, ">", left, right),
        "crossunder" => never(graph, "<", left, right),
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
        (message, "compare with the candles before it: highest(high, n)[1]".to_owned())
    })
}

fn below_lowest(graph: &Graph, value: Series, lowest: Series) -> Option<Warning> {
    let among = |field: Field| matches!(field, Field::Open | Field::Close | Field::High);
    one_of_window(graph, value, lowest, "lowest", Field::Low, among).then(|| {
        let message = "never true: lowest(…) includes this candle".to_owned();
        (message, "compare with the candles before it: lowest(low, n)[1]".to_owned())
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
