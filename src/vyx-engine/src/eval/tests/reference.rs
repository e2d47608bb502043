//! A slow, obvious evaluator: one program, one symbol, one candle, from the definitions. It shares with the engine the
//! catalog's states and the anchor, nothing else.

use crate::catalog;
use crate::check::Checked;
use crate::market::{Candles, Market};
use crate::program::{Arithmetic, Comparison, Field, Kind, NodeId, Op, Unary};
use vyx_core::{Interval, Millis, Symbol};

/// A value as the definitions speak of it.
#[derive(Clone, Debug, PartialEq)]
pub enum V {
    Number(f64),
    Bool(bool),
    Text(String),
    Warming,
    Undefined,
}

use V::{Bool, Number, Text, Undefined, Warming};

/// The values of all nodes of a program at one candle, or `None` where a history is missing.
pub fn evaluate(program: &Checked, market: &dyn Market, symbol: &Symbol, ordinal: i64) -> Option<Vec<V>> {
    let close = program.interval().close_time(ordinal);
    let read = clocks_read(program);
    let mut histories = Vec::new();
    for (clock, key) in program.clocks().iter().enumerate() {
        let candles = history(market, &key.symbol.unwrap_or(*symbol), key.interval, close);
        histories.push(if read[clock] { candles? } else { Candles::default() });
    }
    // For each node its values over the history of its clock.
    let mut columns: Vec<Vec<V>> = Vec::new();
    for node in &program.program().nodes {
        let clock = usize::from(node.clock);
        let (interval, candles) = (program.clocks()[clock].interval, &histories[clock]);
        let column = match &node.op {
            Op::Call { function, inputs, params, output } => {
                let inputs: Vec<&Vec<V>> = inputs.iter().map(|id| &columns[usize::from(*id)]).collect();
                call(function, &inputs, params, usize::from(*output), candles.len())
            }
            Op::Align(other) => {
                let from = usize::from(program.program().nodes[usize::from(*other)].clock);
                let theirs = program.clocks()[from].interval;
                let newest = |i: usize| {
                    let now = interval.close_time(candles.ordinal[i]);
                    let closed = histories[from].ordinal.iter().filter(|o| theirs.close_time(**o) <= now).count();
                    closed.checked_sub(1).map_or(Warming, |j| columns[usize::from(*other)][j].clone())
                };
                (0..candles.len()).map(newest).collect()
            }
            op => (0..candles.len()).map(|i| one(op, &columns, i, candles, interval, program)).collect(),
        };
        columns.push(column);
    }
    // Where a clock has no candle, nothing is known of its nodes.
    Some(columns.into_iter().map(|column| column.last().cloned().unwrap_or(Warming)).collect())
}

/// The clocks that what is asked for stands on: what nobody asks for makes nobody wait.
fn clocks_read(program: &Checked) -> Vec<bool> {
    let mut read = vec![false; program.clocks().len()];
    read[0] = true;
    let mut asked: Vec<NodeId> = program.program().fields.iter().map(|(_, id)| *id).collect();
    asked.push(program.program().fire);
    let mut needed = vec![false; program.program().nodes.len()];
    while let Some(id) = asked.pop() {
        let node = &program.program().nodes[usize::from(id)];
        read[usize::from(node.clock)] = true;
        if !std::mem::replace(&mut needed[usize::from(id)], true) {
            asked.extend(crate::check::operands(&node.op));
        }
    }
    read
}

/// The candles of the history of the newest candle that is closed at `time`.
fn history(market: &dyn Market, symbol: &Symbol, interval: Interval, time: Millis) -> Option<Candles> {
    let held = market.held(symbol, interval)?;
    let last = interval.last_closed(time);
    let earliest = held.start(symbol, interval, last)?;
    let mut candles = Candles::default();
    market.closed(symbol, interval, earliest, last, &mut candles);
    if let Some(newest) = candles.ordinal.last().copied() {
        let start = held.start(symbol, interval, newest)?;
        candles.clear();
        market.closed(symbol, interval, start, newest, &mut candles);
    }
    Some(candles)
}

fn one(op: &Op, columns: &[Vec<V>], i: usize, candles: &Candles, interval: Interval, program: &Checked) -> V {
    let at = |id: &u16| columns[usize::from(*id)][i].clone();
    match op {
        Op::Number(value) => Number(*value),
        Op::Bool(value) => Bool(*value),
        Op::Text(text) => Text(text.clone()),
        Op::Na => Undefined,
        Op::Candle(field) => Number(number(*field, candles, i, interval)),
        Op::Unary(op, a) => numbers([at(a)], |[a]| unary(*op, a)),
        Op::Arithmetic(op, a, b) => numbers([at(a), at(b)], |[a, b]| match op {
            Arithmetic::Add => a + b,
            Arithmetic::Sub => a - b,
            Arithmetic::Mul => a * b,
            Arithmetic::Div => a / b,
            Arithmetic::Rem => a % b,
            Arithmetic::Pow => a.powf(b),
        }),
        Op::Min(a, b) => numbers([at(a), at(b)], |[a, b]| if b < a { b } else { a }),
        Op::Max(a, b) => numbers([at(a), at(b)], |[a, b]| if b > a { b } else { a }),
        Op::Compare(op, a, b) => match (at(a), at(b)) {
            (Warming, _) | (_, Warming) => Warming,
            (Undefined, _) | (_, Undefined) => Undefined,
            (Number(a), Number(b)) => Bool(match op {
                Comparison::Lt => a < b,
                Comparison::Le => a <= b,
                Comparison::Gt => a > b,
                Comparison::Ge => a >= b,
                Comparison::Eq => a == b,
                Comparison::Ne => a != b,
            }),
            (a, b) => Bool((a == b) == (*op == Comparison::Eq)),
        },
        Op::And(a, b) => match (at(a), at(b)) {
            (Bool(false), _) | (_, Bool(false)) => Bool(false),
            (Warming, _) | (_, Warming) => Warming,
            (Undefined, _) | (_, Undefined) => Undefined,
            _ => Bool(true),
        },
        Op::Or(a, b) => match (at(a), at(b)) {
            (Bool(true), _) | (_, Bool(true)) => Bool(true),
            (Warming, _) | (_, Warming) => Warming,
            (Undefined, _) | (_, Undefined) => Undefined,
            _ => Bool(false),
        },
        Op::Not(a) => match at(a) {
            Bool(a) => Bool(!a),
            undecided => undecided,
        },
        Op::Select(condition, a, b) => match at(condition) {
            Bool(true) => at(a),
            Bool(false) => at(b),
            undecided => undecided,
        },
        Op::IsNa(a) => Bool(matches!(at(a), Warming | Undefined)),
        Op::Nz(a, default) => match at(a) {
            Warming | Undefined => at(default),
            value => value,
        },
        Op::Lag(a, n) => match i.checked_sub(usize::from(*n)) {
            Some(i) => columns[usize::from(*a)][i].clone(),
            None => Warming,
        },
        Op::Completed { clock } => {
            let other = program.clocks()[usize::from(*clock)].interval;
            let close = interval.close_time(candles.ordinal[i]);
            Bool(other.close_time(other.ordinal(close)) == close)
        }
        Op::Align(_) | Op::Call { .. } => unreachable!("columns of their own"),
    }
}

fn number(field: Field, candles: &Candles, i: usize, interval: Interval) -> f64 {
    let time = interval.open_time(candles.ordinal[i]).0;
    let date = chrono::DateTime::from_timestamp_millis(time).unwrap();
    match field {
        Field::Open => candles.open[i],
        Field::High => candles.high[i],
        Field::Low => candles.low[i],
        Field::Close => candles.close[i],
        Field::Volume => candles.volume[i],
        Field::QuoteVolume => candles.quote_volume[i],
        Field::Trades => candles.trades[i],
        Field::BuyVolume => candles.buy_volume[i],
        Field::Hl2 => (candles.high[i] + candles.low[i]) / 2.0,
        Field::Hlc3 => (candles.high[i] + candles.low[i] + candles.close[i]) / 3.0,
        Field::Ohlc4 => (candles.open[i] + candles.high[i] + candles.low[i] + candles.close[i]) / 4.0,
        Field::Time => time as f64,
        Field::Hour => f64::from(chrono::Timelike::hour(&date)),
        Field::Dayofweek => f64::from(chrono::Datelike::weekday(&date).number_from_sunday()),
    }
}

fn unary(op: Unary, a: f64) -> f64 {
    match op {
        Unary::Neg => -a,
        Unary::Abs => a.abs(),
        Unary::Sqrt => a.sqrt(),
        Unary::Exp => a.exp(),
        Unary::Log => a.ln(),
        Unary::Log10 => a.log10(),
        Unary::Floor => a.floor(),
        Unary::Ceil => a.ceil(),
        Unary::Round => a.round(),
        Unary::Sign if a > 0.0 => 1.0,
        Unary::Sign if a < 0.0 => -1.0,
        Unary::Sign => 0.0,
    }
}

fn numbers<const N: usize>(operands: [V; N], op: impl Fn([f64; N]) -> f64) -> V {
    if operands.contains(&Warming) {
        return Warming;
    }
    if operands.contains(&Undefined) {
        return Undefined;
    }
    let value = op(operands.map(|operand| match operand {
        Number(value) => value,
        other => panic!("{other:?} is no number"),
    }));
    if value.is_nan() { Undefined } else { Number(value) }
}

/// A function over a whole history: shown only the candles on which all is defined and finite.
fn call(name: &str, inputs: &[&Vec<V>], params: &[f64], output: usize, length: usize) -> Vec<V> {
    let function = catalog::find(name).unwrap();
    let mut state = crate::eval::bank::Single::new((function.open)(params));
    let mut shown = 0;
    let mut column = Vec::new();
    for i in 0..length {
        let candle: Vec<V> = inputs.iter().map(|input| input[i].clone()).collect();
        let infinite = |v: &V| matches!(v, Number(v) if v.is_infinite());
        if candle.contains(&Warming) {
            column.push(Warming);
            continue;
        }
        if candle.contains(&Undefined) || candle.iter().any(infinite) {
            column.push(Undefined);
            continue;
        }
        let row: Vec<f64> = candle
            .iter()
            .map(|v| match v {
                Number(value) => *value,
                Bool(value) => f64::from(u8::from(*value)),
                other => panic!("{other:?} is no input"),
            })
            .collect();
        let mut outputs = vec![0.0; function.outputs.len()];
        state.update(&row, &mut outputs);
        column.push(match outputs[output] {
            value if value.is_nan() && shown < (function.warm_up)(params) => Warming,
            value if value.is_nan() => Undefined,
            value if function.kind == Kind::Bool => Bool(value != 0.0),
            value => Number(value),
        });
        shown += 1;
    }
    column
}
