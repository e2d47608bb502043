//! Whatever is stored where a program should be: it is refused, or it is evaluated without harm, the same live and over
//! history.

use std::sync::Arc;
use vyx_core::{Interval, Kline, Provenance, Symbol};
use vyx_engine::market::Held;
use vyx_engine::program::{Arithmetic, Clock, Comparison, FORMAT, Field, Unary};
use vyx_engine::wire::{Request, Response};
use vyx_engine::{Candles, Checked, Engine, Market, Node, NodeId, Op, Program, Series, Value, catalog};

/// The bytes as they lie in the table.
pub fn check_program(bytes: &[u8]) {
    if let Ok(program) = Checked::decode(bytes) {
        check_checked(program);
    }
}

/// The bytes as choices of someone who writes programs, since bytes by themselves hardly ever are one.
pub fn check_program_graph(bytes: &[u8]) {
    let program = write(&mut Choices(bytes.iter()));
    if let Ok(program) = program.validate() {
        check_checked(program);
    }
}

/// A line of either side.
pub fn check_compiler_wire(bytes: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<Request>(bytes) {
        let line = serde_json::to_vec(&request).expect("names and text are always JSON");
        assert_eq!(serde_json::from_slice::<Request>(&line).expect("what was written is read"), request);
    }
    let Ok(response) = serde_json::from_slice::<Response>(bytes) else { return };
    let line = serde_json::to_vec(&response).expect("an answer is always JSON");
    assert_eq!(serde_json::from_slice::<Response>(&line).expect("what was written is read"), response);
    match response {
        Response::Compiled(compiled) => {
            if let Ok(program) = compiled.program.validate() {
                check_checked(program);
            }
        }
        Response::Refused { problems } => problems.iter().for_each(|problem| drop(problem.to_string())),
        Response::Failed { .. } => {}
    }
}

fn check_checked(program: Checked) {
    let text = program.program().encode().expect("what was read can be written");
    assert_eq!(Checked::decode(text.as_bytes()).expect("what was written is read"), program);
    assert_eq!(program.kinds().len(), program.program().nodes.len());
    drop(program.warm_up());
    let (program, market, name) = (Arc::new(program), Walk, Symbol::new("ETHUSDT").expect("a name"));
    let last = LAST.div_euclid(minutes(program.interval()));
    let mut engine = Engine::new(program.interval());
    engine.set_programs(vec![(1, Arc::clone(&program))]).expect("the program's interval");
    let mut live = Vec::new();
    for ordinal in last - 2..=last {
        let outcomes = engine.evaluate(&market, &[name], ordinal);
        let fields: Vec<Value> = outcomes.fields(0, 0).map(|(_, value)| value).collect();
        live.push(format!("{:?} {fields:?}", outcomes.now(0, 0)));
    }
    let series = Series::of(&program, &market, &name, last - 2, last);
    for (index, ordinal) in series.ordinals.iter().enumerate() {
        let fields: Vec<Value> = series.fields.iter().map(|column| column[index].clone()).collect();
        let said = format!("{:?} {fields:?}", series.outcomes[index]);
        assert_eq!(said, live[(ordinal - last + 2) as usize], "at {ordinal}");
    }
}

struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn next(&mut self) -> Option<u8> {
        self.0.next().copied()
    }

    fn below(&mut self, n: usize) -> Option<usize> {
        Some(usize::from(self.next()?) % n.max(1))
    }

    fn number(&mut self) -> Option<f64> {
        const NUMBERS: [f64; 16] =
            [0.0, -0.0, 1.0, 2.0, 3.0, 14.0, 20.0, 200.0, 0.5, -1.0, 1e300, -1e300, 5e-324, 100.0, 1_024.0, 1e9];
        Some(NUMBERS[self.below(NUMBERS.len())?])
    }
}

/// Nodes until the choices are used up. Most of what is written keeps the rules, some does not.
fn write(choices: &mut Choices) -> Program {
    let clock = |symbol: Option<&str>, interval: &str| Clock {
        symbol: symbol.map(str::to_owned),
        interval: interval.to_owned(),
    };
    let clocks = vec![clock(None, "5m"), clock(None, "15m"), clock(Some("BTCUSDT"), "1h")];
    let mut program =
        Program { format: FORMAT, interval: "5m".to_owned(), clocks, nodes: Vec::new(), fire: 0, fields: Vec::new() };
    while let Some(node) = node(choices, &program.nodes) {
        program.nodes.push(node);
        if program.nodes.len() > 64 {
            break;
        }
    }
    let newest = program.nodes.len().saturating_sub(1) as NodeId;
    program.fire = newest;
    program.fields = (0..newest.min(20)).map(|id| (format!("{id:03}"), newest - id)).collect();
    program
}

fn node(choices: &mut Choices, nodes: &[Node]) -> Option<Node> {
    const FIELDS: [Field; 8] =
        [Field::Open, Field::High, Field::Low, Field::Close, Field::Volume, Field::Hlc3, Field::Time, Field::BuyVolume];
    const UNARY: [Unary; 4] = [Unary::Neg, Unary::Sqrt, Unary::Log, Unary::Sign];
    const ARITHMETIC: [Arithmetic; 6] =
        [Arithmetic::Add, Arithmetic::Sub, Arithmetic::Mul, Arithmetic::Div, Arithmetic::Rem, Arithmetic::Pow];
    const COMPARISON: [Comparison; 3] = [Comparison::Lt, Comparison::Eq, Comparison::Ge];
    let clock = choices.below(4)?.saturating_sub(1) as u8;
    let id = |choices: &mut Choices| Some(nodes.len().saturating_sub(1 + choices.below(8)?) as NodeId);
    let op = match choices.below(24)? {
        0 => Op::Number(choices.number()?),
        1 => Op::Bool(choices.below(2)? == 1),
        2 => Op::Na,
        3 => Op::Unary(UNARY[choices.below(4)?], id(choices)?),
        4 | 5 => Op::Arithmetic(ARITHMETIC[choices.below(6)?], id(choices)?, id(choices)?),
        6 => Op::Min(id(choices)?, id(choices)?),
        7 | 8 => Op::Compare(COMPARISON[choices.below(3)?], id(choices)?, id(choices)?),
        9 => Op::And(id(choices)?, id(choices)?),
        10 => Op::Or(id(choices)?, id(choices)?),
        11 => Op::Not(id(choices)?),
        12 => Op::Select(id(choices)?, id(choices)?, id(choices)?),
        13 => Op::IsNa(id(choices)?),
        14 => Op::Nz(id(choices)?, id(choices)?),
        15 => Op::Lag(id(choices)?, 1 + u16::from(choices.next()?)),
        16 => return Some(Node { clock: 0, op: Op::Align(id(choices)?) }),
        17 => Op::Completed { clock: choices.below(4)? as u8 },
        18..=20 => {
            let functions = catalog::functions();
            let function = &functions[choices.below(functions.len())?];
            let mut inputs = Vec::new();
            for _ in function.inputs {
                inputs.push(id(choices)?);
            }
            for field in function.candle {
                let there = |node: &Node| node.clock == clock && node.op == Op::Candle(*field);
                inputs.push(nodes.iter().position(there).unwrap_or(0) as NodeId);
            }
            let mut params = Vec::new();
            for param in function.params {
                params.push(match choices.below(3)? {
                    0 => param.default.unwrap_or(param.min),
                    1 => param.min + f64::from(choices.next()?),
                    _ => param.max,
                });
            }
            let output = choices.below(function.outputs.len())? as u8;
            Op::Call { function: function.name.to_owned(), inputs, params, output }
        }
        _ => Op::Candle(FIELDS[choices.below(8)?]),
    };
    Some(Node { clock, op })
}

/// Every series, new since some hundred candles: prices that rise and fall, stand still, and are absent.
struct Walk;

/// The ordinal of 1m at which everything ends.
const LAST: i64 = 29_000_000;
const HELD: i64 = 320;

fn minutes(interval: Interval) -> i64 {
    (interval.shortest().0 / 60_000).max(1)
}

impl Market for Walk {
    fn held(&self, _: &Symbol, interval: Interval) -> Option<Held> {
        let last = interval.last_closed(Interval::M1.close_time(LAST));
        Some(Held { from: last - HELD, through: last, first_ever: Some(last - HELD), generation: 0 })
    }

    fn closed(&self, symbol: &Symbol, interval: Interval, from: i64, through: i64, into: &mut Candles) {
        let last = interval.last_closed(Interval::M1.close_time(LAST));
        for ordinal in from.max(last - HELD)..=through.min(last) {
            let random = (symbol.stable_hash() ^ ordinal as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            if random.is_multiple_of(16) && ordinal < last - 3 {
                continue;
            }
            let still = ordinal % 64 < 20;
            let open = if still { 100.0 } else { 100.0 + (random % 1_000) as f64 / 100.0 };
            let close = if still { open } else { 100.0 + (random / 1_000 % 1_000) as f64 / 100.0 };
            let volume = if still { 0.0 } else { (random % 77) as f64 };
            into.push(
                ordinal,
                &Kline {
                    open_time: interval.open_time(ordinal),
                    open,
                    high: open.max(close) + if still { 0.0 } else { 1.0 },
                    low: open.min(close),
                    close,
                    volume,
                    quote_volume: volume * close,
                    trades: random % 50,
                    taker_buy_volume: volume / 3.0,
                    taker_buy_quote_volume: volume * close / 3.0,
                    closed: true,
                    revision: 0,
                    provenance: Provenance::Stream,
                },
            );
        }
    }
}
