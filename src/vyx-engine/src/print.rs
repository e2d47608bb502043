//! A program as its reader would write it: each node as an expression of the language.
//!
//! What is printed compiles again to an equal node, but for steps that are abbreviated to their number.

use crate::catalog;
use crate::check::Checked;
use crate::program::{Arithmetic, Comparison, NodeId, Op, Program, Unary};
use serde::Serialize;

/// A node that is worth a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub node: NodeId,
    /// E.g. `close > sma(close, 20)`. `#3` stands for the third step.
    pub expression: String,
}

/// The nodes that the result depends on, operands first. Constants are left out, and so is what brings a node of another
/// clock to the trader's candles: the node itself is there. Operands that are longer than `longest` bytes are abbreviated
/// to the number of their step, from 1, which keeps all lines short: written out, shared nodes can double with each line.
pub fn steps(program: &Checked, longest: usize) -> Vec<Step> {
    let graph = program.program();
    let results = graph.fields.iter().map(|(_, node)| *node).chain([graph.fire]);
    let reached = program.reached(results);
    let mut printer = Printer { program: graph, longest, written: Vec::with_capacity(graph.nodes.len()) };
    let mut steps: Vec<Step> = Vec::new();
    for (id, reached) in reached.into_iter().enumerate() {
        let node = &graph.nodes[id];
        let is_step = reached && !matches!(node.op, Op::Number(_) | Op::Bool(_) | Op::Text(_) | Op::Na | Op::Align(_));
        let text = match (&node.op, reached) {
            (_, false) => Text::default(),
            (Op::Align(other), _) => printer.written[usize::from(*other)].clone(),
            _ => printer.write(id),
        };
        let text = Text { step: if is_step { Some(steps.len() + 1) } else { text.step }, ..text };
        if is_step {
            steps.push(Step { node: id as NodeId, expression: text.words.clone() });
        }
        printer.written.push(text);
    }
    steps
}

/// How tightly an expression holds together: an operand that does so less than its place asks for gets parentheses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Bond {
    Or,
    And,
    Equal,
    Order,
    Sum,
    Product,
    Sign,
    /// A name, a constant, a call, an index.
    #[default]
    Whole,
}

#[derive(Clone, Debug, Default)]
struct Text {
    words: String,
    bond: Bond,
    step: Option<usize>,
}

struct Printer<'a> {
    program: &'a Program,
    longest: usize,
    /// Of all nodes so far.
    written: Vec<Text>,
}

impl Printer<'_> {
    fn write(&self, id: usize) -> Text {
        use Bond::{And, Equal, Or, Order, Product, Sign, Sum, Whole};
        let node = &self.program.nodes[id];
        let plain = |words: String| (words, Whole);
        let (words, bond) = match &node.op {
            Op::Number(value) => {
                let words = number(*value);
                let bond = if words.starts_with('-') { Sign } else { Whole };
                (words, bond)
            }
            Op::Bool(value) => plain(value.to_string()),
            Op::Text(text) => plain(quoted(text)),
            Op::Na => plain("na".into()),
            Op::Candle(field) => {
                let market = self.market(node.clock);
                plain(if market.is_empty() { name(field) } else { format!("{market}.{}", name(field)) })
            }
            Op::Unary(Unary::Neg, a) => (format!("-{}", self.at(*a, Whole)), Sign),
            Op::Unary(op, a) => plain(format!("{}({})", name(op), self.of(*a))),
            Op::Arithmetic(Arithmetic::Pow, a, b) => plain(format!("pow({}, {})", self.of(*a), self.of(*b))),
            Op::Arithmetic(op, a, b) => {
                let (sign, bond, right) = match op {
                    Arithmetic::Add => ("+", Sum, Product),
                    Arithmetic::Sub => ("-", Sum, Product),
                    Arithmetic::Mul => ("*", Product, Sign),
                    Arithmetic::Div => ("/", Product, Sign),
                    Arithmetic::Rem | Arithmetic::Pow => ("%", Product, Sign),
                };
                (format!("{} {sign} {}", self.at(*a, bond), self.at(*b, right)), bond)
            }
            Op::Compare(op, a, b) => {
                let (sign, bond, inner) = match op {
                    Comparison::Lt => ("<", Order, Sum),
                    Comparison::Le => ("<=", Order, Sum),
                    Comparison::Gt => (">", Order, Sum),
                    Comparison::Ge => (">=", Order, Sum),
                    Comparison::Eq => ("==", Equal, Order),
                    Comparison::Ne => ("!=", Equal, Order),
                };
                (format!("{} {sign} {}", self.at(*a, inner), self.at(*b, inner)), bond)
            }
            Op::And(a, b) => (format!("{} && {}", self.at(*a, And), self.at(*b, Equal)), And),
            Op::Or(a, b) => (format!("{} || {}", self.at(*a, Or), self.at(*b, And)), Or),
            Op::Not(a) => (format!("!{}", self.at(*a, Whole)), Sign),
            Op::Min(a, b) => plain(format!("min({}, {})", self.of(*a), self.of(*b))),
            Op::Max(a, b) => plain(format!("max({}, {})", self.of(*a), self.of(*b))),
            Op::Select(condition, a, b) => {
                plain(format!("select({}, {}, {})", self.of(*condition), self.of(*a), self.of(*b)))
            }
            Op::IsNa(a) => plain(format!("na({})", self.of(*a))),
            Op::Nz(a, b) => plain(format!("nz({}, {})", self.of(*a), self.of(*b))),
            Op::Lag(a, n) => plain(format!("{}[{n}]", self.at(*a, Whole))),
            Op::Align(a) => plain(self.of(*a)),
            Op::Completed { clock } => {
                let own = format!("tf({})", quoted(&self.program.interval));
                let market = if *clock == 0 { own } else { self.market(*clock) };
                plain(format!("{market}.closed"))
            }
            Op::Call { function, inputs, params, output } => {
                plain(self.call(node.clock, function, inputs, params, *output))
            }
        };
        Text { words, bond, step: None }
    }

    fn call(&self, clock: u8, function: &str, inputs: &[NodeId], params: &[f64], output: u8) -> String {
        let known = catalog::find(function).expect("programs were checked against the catalog");
        let given = &inputs[..known.inputs.len()];
        let args: Vec<String> =
            given.iter().map(|id| self.of(*id)).chain(params.iter().map(|param| number(*param))).collect();
        // Its series say on which candles it is; where it is given none, the timeframe does.
        let market = if given.is_empty() { self.market(clock) } else { String::new() };
        let dot = if market.is_empty() { "" } else { "." };
        let field = match known.outputs {
            [] | [_] => String::new(),
            several => format!(".{}", several[usize::from(output)]),
        };
        format!("{market}{dot}{function}({}){field}", args.join(", "))
    }

    /// The candles of another clock; nothing for the trader's own.
    fn market(&self, clock: u8) -> String {
        if clock == 0 {
            return String::new();
        }
        let clock = &self.program.clocks[usize::from(clock)];
        let symbol = clock.symbol.as_ref().map(|symbol| format!("symbol({})", quoted(symbol)));
        let timeframe = (clock.interval != self.program.interval).then(|| format!("tf({})", quoted(&clock.interval)));
        symbol.into_iter().chain(timeframe).collect::<Vec<_>>().join(".")
    }

    /// An operand where nothing else is near it.
    fn of(&self, id: NodeId) -> String {
        self.at(id, Bond::Or)
    }

    /// An operand that must hold together as tightly as this.
    fn at(&self, id: NodeId, least: Bond) -> String {
        let text = &self.written[usize::from(id)];
        match text.step {
            Some(step) if text.words.len() > self.longest => format!("#{step}"),
            _ if text.bond < least => format!("({})", text.words),
            _ => text.words.clone(),
        }
    }
}

/// As it is stored: the names of fields and functions are those of the language.
fn name(word: &impl Serialize) -> String {
    match serde_json::to_value(word) {
        Ok(serde_json::Value::String(name)) => name,
        other => unreachable!("a word is stored as one: {other:?}"),
    }
}

fn number(value: f64) -> String {
    // The shortest that reads back to the same bits; exponents only where the digits would fill a line.
    let plain = value.to_string();
    if plain.len() <= 24 { plain } else { format!("{value:e}") }
}

fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .flat_map(|c| match c {
            '"' => vec!['\\', '"'],
            '\\' => vec!['\\', '\\'],
            '\n' => vec!['\\', 'n'],
            '\r' => vec!['\\', 'r'],
            '\t' => vec!['\\', 't'],
            other => vec![other],
        })
        .collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests;
