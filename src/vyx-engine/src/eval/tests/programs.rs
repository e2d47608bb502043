//! Programs for the tests: by hand, and at random.

use super::market::Dice;
use crate::catalog;
use crate::check::Checked;
use crate::program::{Arithmetic, Clock, Comparison, FORMAT, Field, Kind, Node, NodeId, Op, Program, Unary};
use std::sync::Arc;
use vyx_core::Interval;

pub struct Builder {
    program: Program,
    kinds: Vec<Kind>,
}

impl Builder {
    pub fn new(interval: Interval) -> Builder {
        let clock = Clock { symbol: None, interval: interval.to_string() };
        let program = Program {
            format: FORMAT,
            interval: interval.to_string(),
            clocks: vec![clock],
            nodes: Vec::new(),
            fire: 0,
            fields: Vec::new(),
        };
        Builder { program, kinds: Vec::new() }
    }

    pub fn clock(&mut self, symbol: Option<&str>, interval: Interval) -> u8 {
        self.program.clocks.push(Clock { symbol: symbol.map(str::to_owned), interval: interval.to_string() });
        (self.program.clocks.len() - 1) as u8
    }

    pub fn on(&mut self, clock: u8, op: Op) -> NodeId {
        self.program.nodes.push(Node { clock, op });
        (self.program.nodes.len() - 1) as NodeId
    }

    pub fn node(&mut self, op: Op) -> NodeId {
        self.on(0, op)
    }

    pub fn call(&mut self, clock: u8, function: &str, given: &[NodeId], params: &[f64], output: u8) -> NodeId {
        let known = catalog::find(function).unwrap();
        let mut inputs = given.to_vec();
        for field in known.candle {
            inputs.push(self.on(clock, Op::Candle(*field)));
        }
        self.on(clock, Op::Call { function: known.name.to_owned(), inputs, params: params.to_vec(), output })
    }

    /// Ends the program; the nodes given become fields `a`, `b`, ...
    pub fn fire(mut self, fire: NodeId, fields: &[NodeId]) -> Arc<Checked> {
        self.program.fire = fire;
        let keys = ('a'..='z').map(|c| c.to_string());
        self.program.fields = keys.zip(fields.iter().copied()).collect();
        Arc::new(self.program.validate().unwrap())
    }

    fn pick(&self, dice: &mut Dice, clock: u8, kind: Kind) -> Option<NodeId> {
        let fitting: Vec<usize> = (0..self.kinds.len())
            .filter(|id| self.kinds[*id] == kind && self.program.nodes[*id].clock == clock)
            .collect();
        (!fitting.is_empty()).then(|| fitting[dice.below(fitting.len())] as NodeId)
    }

    fn add(&mut self, clock: u8, op: Op, kind: Kind) {
        self.on(clock, op);
        self.kinds.push(kind);
    }
}

const FIELDS: [Field; 14] = [
    Field::Open,
    Field::High,
    Field::Low,
    Field::Close,
    Field::Volume,
    Field::QuoteVolume,
    Field::Trades,
    Field::BuyVolume,
    Field::Hl2,
    Field::Hlc3,
    Field::Ohlc4,
    Field::Time,
    Field::Hour,
    Field::Dayofweek,
];
const UNARY: [Unary; 10] = [
    Unary::Neg,
    Unary::Abs,
    Unary::Sqrt,
    Unary::Exp,
    Unary::Log,
    Unary::Log10,
    Unary::Floor,
    Unary::Ceil,
    Unary::Round,
    Unary::Sign,
];
const ARITHMETIC: [Arithmetic; 6] =
    [Arithmetic::Add, Arithmetic::Sub, Arithmetic::Mul, Arithmetic::Div, Arithmetic::Rem, Arithmetic::Pow];
const COMPARISON: [Comparison; 6] =
    [Comparison::Lt, Comparison::Le, Comparison::Gt, Comparison::Ge, Comparison::Eq, Comparison::Ne];

/// A program of some forty nodes over `clocks`, all kinds of nodes among them; every node of the trader's clock from the
/// last ones is a field, so that nothing is optimised away.
pub fn random(dice: &mut Dice, interval: Interval, clocks: &[(Option<&str>, Interval)]) -> Arc<Checked> {
    let mut b = Builder::new(interval);
    for (symbol, interval) in clocks {
        b.clock(*symbol, *interval);
    }
    for clock in 0..=clocks.len() as u8 {
        b.add(clock, Op::Candle(Field::Close), Kind::Number);
        b.add(clock, Op::Number([0.0, -1.5, 2.0, 1e6][dice.below(4)]), Kind::Number);
        b.add(clock, Op::Bool(dice.one_in(2)), Kind::Bool);
        b.add(clock, Op::Text(["up", "down"][dice.below(2)].to_owned()), Kind::Text);
    }
    while b.kinds.len() < 44 {
        let clock = dice.below(clocks.len() + 1) as u8;
        grow(&mut b, dice, clock);
    }
    let own: Vec<NodeId> =
        (0..b.kinds.len() as NodeId).filter(|id| b.program.nodes[usize::from(*id)].clock == 0).collect();
    let fire = *own.iter().rev().find(|id| b.kinds[usize::from(**id)] == Kind::Bool).unwrap();
    let fields: Vec<NodeId> = own.iter().rev().take(20).copied().collect();
    b.fire(fire, &fields)
}

/// Adds a random node, if its operands are there.
fn grow(b: &mut Builder, dice: &mut Dice, clock: u8) -> Option<()> {
    use Kind::{Bool, Number, Text};
    let kind = [Number, Number, Bool, Text][dice.below(4)];
    let mut of = |kind| b.pick(dice, clock, kind);
    let (n, m, p, q) = (of(Number)?, of(Number)?, of(Bool)?, of(Bool)?);
    let (x, y) = (of(kind)?, of(kind)?);
    match dice.below(18) {
        0 => b.add(clock, Op::Candle(FIELDS[dice.below(FIELDS.len())]), Number),
        1 => b.add(clock, Op::Unary(UNARY[dice.below(10)], n), Number),
        2 => b.add(clock, Op::Arithmetic(ARITHMETIC[dice.below(6)], n, m), Number),
        3 => b.add(clock, if dice.one_in(2) { Op::Min(n, m) } else { Op::Max(n, m) }, Number),
        4 => b.add(clock, Op::Compare(COMPARISON[dice.below(6)], n, m), Bool),
        5 => b.add(clock, Op::Compare(COMPARISON[4 + dice.below(2)], x, y), Bool),
        6 => b.add(clock, Op::And(p, q), Bool),
        7 => b.add(clock, Op::Or(p, q), Bool),
        8 => b.add(clock, Op::Not(p), Bool),
        9 => b.add(clock, Op::Select(p, x, y), kind),
        10 => b.add(clock, Op::IsNa(x), Bool),
        11 => b.add(clock, Op::Nz(x, y), kind),
        12 => b.add(clock, Op::Lag(x, [1, 1, 2, 5, 70, 300][dice.below(6)]), kind),
        13 => b.add(clock, if dice.one_in(5) { Op::Na } else { Op::Number(dice.unit() * 10.0) }, Number),
        14 if !b.program.clocks.is_empty() => {
            let other = dice.below(b.program.clocks.len()) as u8;
            b.add(clock, Op::Completed { clock: other }, Bool);
        }
        15 if clock == 0 && b.program.clocks.len() > 1 => {
            let other = 1 + dice.below(b.program.clocks.len() - 1) as u8;
            let node = b.pick(dice, other, kind)?;
            b.add(0, Op::Align(node), kind);
        }
        _ => call(b, dice, clock)?,
    }
    Some(())
}

fn call(b: &mut Builder, dice: &mut Dice, clock: u8) -> Option<()> {
    let functions = catalog::functions();
    let function = &functions[dice.below(functions.len())];
    let mut inputs = Vec::new();
    for input in function.inputs {
        inputs.push(b.pick(dice, clock, input.kind)?);
    }
    for field in function.candle {
        b.add(clock, Op::Candle(*field), Kind::Number);
        inputs.push((b.kinds.len() - 1) as NodeId);
    }
    let mut param = |whole: bool| if whole { (2 + dice.below(30)) as f64 } else { 1.5 };
    let params = function.params.iter().map(|p| param(p.whole).clamp(p.min, p.max)).collect();
    let output = dice.below(function.outputs.len()) as u8;
    b.add(clock, Op::Call { function: function.name.to_owned(), inputs, params, output }, function.kind);
    Some(())
}
