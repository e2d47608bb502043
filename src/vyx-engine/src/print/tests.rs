use super::steps;
use crate::check::Checked;
use crate::program::{Arithmetic, Clock, Comparison, FORMAT, Field, Node, NodeId, Op, Program, Unary};

fn program(nodes: Vec<(u8, Op)>, fields: &[NodeId]) -> Checked {
    let clock =
        |symbol: Option<&str>, interval: &str| Clock { symbol: symbol.map(str::to_owned), interval: interval.into() };
    let program = Program {
        format: FORMAT,
        interval: "1m".into(),
        clocks: vec![clock(None, "1m"), clock(None, "1h"), clock(Some("BTCUSDT"), "1m"), clock(Some("BTCUSDT"), "1h")],
        fire: nodes.len() as NodeId - 1,
        nodes: nodes.into_iter().map(|(clock, op)| Node { clock, op }).collect(),
        fields: fields.iter().map(|id| (format!("{id:03}"), *id)).collect(),
    };
    program.validate().expect("a good program")
}

/// The last step.
fn printed(nodes: Vec<(u8, Op)>) -> String {
    steps(&program(nodes, &[]), usize::MAX).pop().expect("a step").expression
}

fn call(function: &str, inputs: &[NodeId], params: &[f64], output: u8) -> Op {
    Op::Call { function: function.into(), inputs: inputs.into(), params: params.into(), output }
}

#[test]
fn a_rule_reads_as_it_was_written() {
    let nodes = vec![
        (0, Op::Candle(Field::Close)),
        (0, call("rsi", &[0], &[14.0], 0)),
        (0, Op::Number(30.0)),
        (0, Op::Compare(Comparison::Lt, 1, 2)),
        (0, call("bbands", &[0], &[20.0, 2.5], 2)),
        (0, Op::Compare(Comparison::Le, 0, 4)),
        (0, Op::And(3, 5)),
    ];
    let all: Vec<String> = steps(&program(nodes, &[]), usize::MAX).into_iter().map(|step| step.expression).collect();
    let bands = "bbands(close, 20, 2.5).lower";
    let expected = [
        "close",
        "rsi(close, 14)",
        "rsi(close, 14) < 30",
        bands,
        &format!("close <= {bands}"),
        &format!("rsi(close, 14) < 30 && close <= {bands}"),
    ];
    assert_eq!(all, expected);
}

#[test]
fn other_candles_are_shown_by_their_timeframe_and_symbol() {
    let nodes = vec![
        (1, Op::Candle(Field::Close)),
        (1, call("ema", &[0], &[200.0], 0)),
        (0, Op::Align(1)),
        (2, Op::Candle(Field::QuoteVolume)),
        (2, Op::Lag(3, 2)),
        (0, Op::Align(4)),
        (3, Op::Candle(Field::High)),
        (3, Op::Candle(Field::Low)),
        (3, Op::Candle(Field::Close)),
        (3, call("atr", &[6, 7, 8], &[14.0], 0)),
        (0, Op::Align(9)),
        (0, Op::Arithmetic(Arithmetic::Add, 5, 10)),
        (0, Op::Compare(Comparison::Gt, 2, 11)),
        (0, Op::Completed { clock: 1 }),
        (0, Op::And(12, 13)),
    ];
    assert_eq!(
        printed(nodes),
        "ema(tf(\"1h\").close, 200) > symbol(\"BTCUSDT\").quote_volume[2] + symbol(\"BTCUSDT\").tf(\"1h\").atr(14) \
         && tf(\"1h\").closed"
    );
}

#[test]
fn parentheses_stand_where_the_meaning_needs_them_and_nowhere_else() {
    let nodes = vec![
        (0, Op::Candle(Field::Open)),
        (0, Op::Candle(Field::Close)),
        (0, Op::Arithmetic(Arithmetic::Sub, 0, 1)),
        (0, Op::Arithmetic(Arithmetic::Sub, 0, 2)),
        (0, Op::Arithmetic(Arithmetic::Mul, 2, 3)),
        (0, Op::Unary(Unary::Neg, 4)),
        (0, Op::Lag(5, 1)),
        (0, Op::Number(-1.5)),
        (0, Op::Arithmetic(Arithmetic::Pow, 6, 7)),
        (0, Op::Compare(Comparison::Gt, 8, 7)),
        (0, Op::Compare(Comparison::Lt, 0, 1)),
        (0, Op::Compare(Comparison::Eq, 9, 10)),
        (0, Op::Or(11, 10)),
        (0, Op::Not(12)),
        (0, Op::And(12, 13)),
    ];
    let product = "(-((open - close) * (open - (open - close))))[1]";
    let or = format!("pow({product}, -1.5) > -1.5 == open < close || open < close");
    assert_eq!(printed(nodes), format!("({or}) && !({or})"));
}

#[test]
fn shared_nodes_keep_lines_short_by_their_number() {
    let mut nodes = vec![(0, Op::Candle(Field::Close))];
    nodes.extend((0..200).map(|id| (0, Op::Arithmetic(Arithmetic::Add, id, id))));
    nodes.push((0, Op::Compare(Comparison::Gt, 200, 0)));
    let steps = steps(&program(nodes, &[]), 40);
    assert_eq!(steps[3].expression, "close + close + (close + close) + (close + close + (close + close))");
    assert_eq!(steps[4].expression, "#4 + #4");
    assert_eq!(steps[201].expression, "#199 + #199 + (#199 + #199) > close");
    assert!(steps.iter().all(|step| step.expression.len() < 100));
}

#[test]
fn texts_and_numbers_are_written_so_that_they_read_back() {
    let shown = |op: Op| {
        let steps = steps(&program(vec![(0, op), (0, Op::IsNa(0))], &[]), usize::MAX);
        steps.last().expect("a step").expression.clone()
    };
    assert_eq!(shown(Op::Text("a \"b\"\n\\".into())), r#"na("a \"b\"\n\\")"#);
    assert_eq!(shown(Op::Number(0.1)), "na(0.1)");
    assert_eq!(shown(Op::Number(1e300)), "na(1e300)");
    assert_eq!(shown(Op::Na), "na(na)");
}

#[test]
fn what_decides_is_found_through_and_or_and_not() {
    // close > open && !(close < 1 || open > high): true, false, false.
    let nodes = vec![
        (0, Op::Candle(Field::Close)),
        (0, Op::Candle(Field::Open)),
        (0, Op::Compare(Comparison::Gt, 0, 1)),
        (0, call("sma", &[0], &[9.0], 0)),
        (0, Op::Compare(Comparison::Lt, 0, 3)),
        (0, Op::Compare(Comparison::Gt, 1, 3)),
        (0, Op::Or(4, 5)),
        (0, Op::Not(6)),
        (0, Op::And(2, 7)),
    ];
    let program = program(nodes, &[]);
    let values = |values: [Option<bool>; 9]| program.why(|id| values[usize::from(id)]);
    let (t, f, number) = (Some(true), Some(false), Some(true));
    assert_eq!(values([number, number, t, number, f, f, f, t, t]), [2, 4, 5], "all of them make it true");
    assert_eq!(values([number, number, t, number, f, t, t, f, f]), [5], "one makes it false");
    assert_eq!(values([number, number, t, None, None, None, None, None, None]), [3], "the average is not there yet");
    assert_eq!(program.first_valid(), [0, 0, 0, 8, 8, 8, 8, 8, 8]);
}

#[test]
fn every_node_can_be_looked_at_whatever_its_clock() {
    let nodes = vec![
        (1, Op::Candle(Field::Close)),
        (0, Op::Align(0)),
        (0, Op::Candle(Field::Close)),
        (0, Op::Compare(Comparison::Gt, 2, 1)),
    ];
    let open = program(nodes, &[]).inspected(&[0, 2, 3]);
    let shown: Vec<_> = open.program().fields.iter().map(|(_, node)| *node).collect();
    assert_eq!(shown, [4, 2, 3]);
    assert_eq!(open.program().nodes[4].op, Op::Align(0));
    assert_eq!(open.kinds().len(), 5);
}
