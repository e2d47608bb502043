//! A program as one line of text, nodes in place of their numbers, for comparison with what a script should mean.

use vyx_engine::catalog;
use vyx_engine::program::{Arithmetic, Comparison, Unary};
use vyx_engine::{NodeId, Op, Program};

/// `fire`, then each field as `key: shape`, separated by `; `. A series of another clock is followed by `@` and it.
pub fn shape(program: &Program) -> String {
    let fields = program.fields.iter().map(|(key, node)| format!("{key}: {}", node_shape(program, *node)));
    [node_shape(program, program.fire)].into_iter().chain(fields).collect::<Vec<_>>().join("; ")
}

fn node_shape(program: &Program, id: NodeId) -> String {
    let node = &program.nodes[usize::from(id)];
    let of = |id: &NodeId| node_shape(program, *id);
    let clock = |clock: u8| {
        let clock = &program.clocks[usize::from(clock)];
        clock.symbol.iter().map(|symbol| format!("{symbol}:")).collect::<String>() + clock.interval.as_str()
    };
    match &node.op {
        Op::Number(n) => n.to_string(),
        Op::Bool(b) => b.to_string(),
        Op::Text(text) => format!("{text:?}"),
        Op::Na => "na".into(),
        Op::Candle(field) => {
            let name = format!("{field:?}").to_lowercase();
            if node.clock == 0 { name } else { format!("{name}@{}", clock(node.clock)) }
        }
        Op::Unary(Unary::Neg, a) => format!("-{}", of(a)),
        Op::Unary(op, a) => format!("{}({})", format!("{op:?}").to_lowercase(), of(a)),
        Op::Arithmetic(op, a, b) => {
            let sign = match op {
                Arithmetic::Add => "+",
                Arithmetic::Sub => "-",
                Arithmetic::Mul => "*",
                Arithmetic::Div => "/",
                Arithmetic::Rem => "%",
                Arithmetic::Pow => "**",
            };
            format!("({} {sign} {})", of(a), of(b))
        }
        Op::Compare(op, a, b) => {
            let sign = match op {
                Comparison::Lt => "<",
                Comparison::Le => "<=",
                Comparison::Gt => ">",
                Comparison::Ge => ">=",
                Comparison::Eq => "==",
                Comparison::Ne => "!=",
            };
            format!("({} {sign} {})", of(a), of(b))
        }
        Op::And(a, b) => format!("({} && {})", of(a), of(b)),
        Op::Or(a, b) => format!("({} || {})", of(a), of(b)),
        Op::Not(a) => format!("!{}", of(a)),
        Op::Min(a, b) => format!("min({}, {})", of(a), of(b)),
        Op::Max(a, b) => format!("max({}, {})", of(a), of(b)),
        Op::Select(c, a, b) => format!("select({}, {}, {})", of(c), of(a), of(b)),
        Op::IsNa(a) => format!("na({})", of(a)),
        Op::Nz(a, b) => format!("nz({}, {})", of(a), of(b)),
        Op::Lag(a, n) => format!("{}[{n}]", of(a)),
        Op::Align(a) => format!("align({})", of(a)),
        Op::Completed { clock: other } => format!("completed({})", clock(*other)),
        Op::Call { function, inputs, params, output } => {
            let outputs = catalog::find(function).expect("a function of the catalog").outputs;
            let field = if outputs.len() > 1 { format!(".{}", outputs[usize::from(*output)]) } else { String::new() };
            let args = inputs.iter().map(of).chain(params.iter().map(f64::to_string)).collect::<Vec<_>>();
            format!("{function}({}){field}", args.join(", "))
        }
    }
}
