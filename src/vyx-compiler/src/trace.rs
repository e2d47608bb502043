//! Walks a script once and builds the graph of its result. The only loops it runs are over constants, so every
//! script ends, after at most [`MAX_STEPS`].

mod access;
mod statements;

use crate::calls::{self, BadCall};
use crate::graph::Graph;
use crate::habits;
use crate::names;
use crate::operators::{self, Outcome, Refusal};
use crate::parse::{Function, Script};
use crate::problem::Problems;
use crate::value::{Market, Value};
use crate::warnings;
use rhai::{Expr, FnCallExpr, Position};
use std::collections::BTreeMap;
use std::rc::Rc;
use vyx_core::Interval;
use vyx_engine::catalog;

/// Most expressions evaluated, loops unrolled. A script of 16 KiB without loops has a tenth of that; measured, as many take
/// 20 ms.
pub const MAX_STEPS: u32 = 50_000;
/// Deepest calls of a script's own functions.
pub const MAX_CALL_DEPTH: usize = 8;
/// Deepest expressions of the walk, functions within functions included.
const MAX_WALK_DEPTH: usize = 160;
/// Most variables at once.
const MAX_VARIABLES: usize = 128;
/// Most entries of a list or a map.
const MAX_ENTRIES: usize = 1_024;

/// Why the walk leaves a statement early.
enum Stop {
    Return(Value),
    Break,
    Continue,
    /// A limit was hit or there are too many errors: tracing ends.
    End,
}

type Walk<T = Value> = Result<T, Stop>;

pub struct Tracer<'s> {
    pub graph: Graph,
    pub problems: Problems<'s>,
    own: Market,
    configured: Vec<Interval>,
    functions: Rc<[Function]>,
    variables: Vec<Variable>,
    /// Where the variables of the running function begin: it sees no others.
    frame: usize,
    calls: usize,
    depth: usize,
    steps: u32,
}

struct Variable {
    name: String,
    value: Value,
    constant: bool,
}

impl<'s> Tracer<'s> {
    pub fn new(interval: Interval, configured: Vec<Interval>, problems: Problems<'s>) -> Self {
        Tracer {
            graph: Graph::new(interval),
            problems,
            own: Market { symbol: None, interval },
            configured,
            functions: Rc::new([]),
            variables: Vec::new(),
            frame: 0,
            calls: 0,
            depth: 0,
            steps: 0,
        }
    }

    /// The script's result; poison if tracing had to stop.
    pub fn run(&mut self, script: Script) -> Value {
        self.functions = script.functions.into();
        self.check_functions();
        match self.block(&script.statements) {
            Ok(value) | Err(Stop::Return(value)) => value,
            Err(_) => Value::Poison,
        }
    }

    fn check_functions(&mut self) {
        for function in self.functions.clone().iter() {
            let params = function.params.iter().map(|p| p.as_str());
            for name in params.chain([function.name.as_str()]).filter(|name| names::taken(name)) {
                let message = format!("\"{name}\" is already a name of the language");
                self.problems.error(function.at, message, Some("choose another name".into()));
            }
        }
    }

    /// Reports and goes on with poison.
    fn refuse(&mut self, at: Position, refusal: Refusal) -> Value {
        self.problems.error(at, refusal.message, refusal.hint);
        Value::Poison
    }

    fn settle(&mut self, at: Position, outcome: Outcome) -> Value {
        outcome.unwrap_or_else(|refusal| self.refuse(at, refusal))
    }

    /// Counts a step and looks at every limit.
    fn step(&mut self, at: Position) -> Walk<()> {
        self.steps += 1;
        let limit = if self.steps > MAX_STEPS {
            Some(format!("the script takes more than {MAX_STEPS} steps to trace"))
        } else if let Some(what) = self.graph.overflow() {
            Some(match what {
                "nodes" => format!(
                    "the script makes more than {} nodes, and a program holds {}",
                    crate::graph::MAX_TRACED,
                    vyx_engine::program::MAX_NODES
                ),
                _ => format!("the script reads more than {} timeframes", vyx_engine::program::MAX_CLOCKS),
            })
        } else if self.depth > MAX_WALK_DEPTH {
            Some("the expression is nested too deeply".to_owned())
        } else {
            None
        };
        if let Some(message) = limit {
            self.problems.error(at, message, None);
            return Err(Stop::End);
        }
        if self.problems.full() { Err(Stop::End) } else { Ok(()) }
    }

    fn expression(&mut self, expr: &Expr) -> Walk {
        let at = expr.start_position();
        self.step(at)?;
        self.depth += 1;
        let value = self.expression_inner(expr, at);
        self.depth -= 1;
        value
    }

    fn expression_inner(&mut self, expr: &Expr, at: Position) -> Walk {
        Ok(match expr {
            Expr::BoolConstant(b, _) => Value::Bool(*b),
            Expr::IntegerConstant(i, _) => Value::Number(*i as f64),
            Expr::FloatConstant(f, _) => Value::Number(**f),
            Expr::StringConstant(text, _) => self.text(text, at),
            Expr::CharConstant(..) => {
                self.refuse(at, Refusal::new("a text stands in double quotes").hint("write \"text\""))
            }
            Expr::InterpolatedString(parts, _) => {
                let parts = self.all(parts)?;
                let outcome = operators::join(&parts.iter().collect::<Vec<_>>());
                self.settle(at, outcome)
            }
            Expr::Array(items, _) => self.list(items, at)?,
            Expr::Map(entries, _) => self.map(&entries.0, at)?,
            Expr::Unit(_) => Value::Nothing,
            Expr::Variable(name, _, _) => self.name(&name.1, at),
            Expr::ThisPtr(_) => self.refuse(at, Refusal::new("\"this\" is not in the language")),
            Expr::And(sides, _) => self.logic(sides, operators::and)?,
            Expr::Or(sides, _) => self.logic(sides, operators::or)?,
            Expr::Coalesce(..) => {
                self.refuse(at, Refusal::new("\"??\" is not in the language").hint("write nz(x, default)"))
            }
            Expr::FnCall(call, at) if call.op_token.is_some() => self.operator(call, *at)?,
            Expr::FnCall(call, at) => self.call(call, *at)?,
            Expr::Dot(..) | Expr::Index(..) => self.chain(expr)?,
            Expr::Stmt(block) => self.scope(block.statements())?,
            _ => self.refuse(at, Refusal::new("this is not in the language")),
        })
    }

    fn all(&mut self, exprs: &[Expr]) -> Walk<Vec<Value>> {
        exprs.iter().map(|expr| self.expression(expr)).collect()
    }

    fn text(&mut self, text: &str, at: Position) -> Value {
        if text.contains('\0') {
            return self.refuse(at, Refusal::new("a text cannot hold the character NUL"));
        }
        Value::text(text)
    }

    fn list(&mut self, items: &[Expr], at: Position) -> Walk {
        if items.len() > MAX_ENTRIES {
            return Ok(self.refuse(at, Refusal::new(format!("a list has at most {MAX_ENTRIES} entries"))));
        }
        let values = self.all(items)?;
        for (value, item) in values.iter().zip(items) {
            if matches!(value, Value::List(_) | Value::Map(_) | Value::Range(..)) {
                let message = format!("a list holds plain values, not {}", value.describe());
                return Ok(self.refuse(item.start_position(), Refusal::new(message)));
            }
        }
        Ok(Value::List(values.into()))
    }

    fn map(&mut self, entries: &[(rhai::Ident, Expr)], at: Position) -> Walk {
        if entries.len() > MAX_ENTRIES {
            return Ok(self.refuse(at, Refusal::new(format!("a map has at most {MAX_ENTRIES} keys"))));
        }
        let mut map = BTreeMap::new();
        for (key, expr) in entries {
            let value = self.expression(expr)?;
            let at = expr.start_position();
            let value = if matches!(value, Value::List(_) | Value::Map(_) | Value::Range(..)) {
                let message = format!("a key holds a plain value, not {}", value.describe());
                self.refuse(at, Refusal::new(message).hint("give each value a key of its own"))
            } else {
                value
            };
            map.insert(key.name.to_string(), (value, at));
        }
        Ok(Value::Map(map.into()))
    }

    /// A variable, a series of the trader's candles, or a prefix.
    fn name(&mut self, name: &str, at: Position) -> Value {
        if let Some(variable) = self.variables[self.frame..].iter().rev().find(|v| v.name == name) {
            return variable.value.clone();
        }
        if let Some(namespace) = names::NAMESPACES.iter().find(|n| **n == name) {
            return Value::Namespace(namespace);
        }
        if name == "na" {
            return Value::Series(self.graph.na());
        }
        let own = self.own.clone();
        if let Some(series) = names::series(&mut self.graph, &own, name) {
            if name.ends_with("_24h") {
                self.warn_unconfigured(Interval::M5, at);
            }
            return Value::Series(series);
        }
        let refusal = if self.functions.iter().any(|f| f.name == name) || names::taken(name) {
            Refusal::new(format!("\"{name}\" is a function")).hint(format!("call it: {name}(…)"))
        } else {
            self.unknown(name)
        };
        self.refuse(at, refusal)
    }

    fn unknown(&self, name: &str) -> Refusal {
        let refusal = Refusal::new(format!("unknown name \"{name}\""));
        if let Some(why) = habits::disabled(name) {
            return Refusal::new(format!("\"{name}\" is not in the language")).hint(why);
        }
        let functions = catalog::functions().iter().flat_map(|f| [f.name].into_iter().chain(f.aliases.iter().copied()));
        let candidates = names::SERIES
            .into_iter()
            .chain(names::BUILT_IN)
            .chain(functions)
            .chain(self.variables[self.frame..].iter().map(|v| v.name.as_str()))
            .chain(self.functions.iter().map(|f| f.name.as_str()));
        Refusal { hint: names::did_you_mean(name, candidates), ..refusal }
    }

    fn logic(&mut self, sides: &[Expr], op: fn(&mut Graph, &Value, &Value) -> Outcome) -> Walk {
        let mut sides = sides.iter();
        let Some(first) = sides.next() else { return Ok(Value::Poison) };
        let mut result = self.expression(first)?;
        let mut at = first.start_position();
        for side in sides {
            let value = self.expression(side)?;
            // Which side is to blame is known by trying each alone.
            if operators::boolean(&result, "&&").is_ok() {
                at = side.start_position();
            }
            let outcome = op(&mut self.graph, &result, &value);
            result = self.settle(at, outcome);
        }
        Ok(result)
    }

    /// A chain such as `a + b - c` leans to the left and may be long: it is walked in a loop.
    fn operator(&mut self, call: &FnCallExpr, at: Position) -> Walk {
        let mut pending = vec![(call, at)];
        let mut leftmost = &call.args[0];
        while let Expr::FnCall(inner, at) = leftmost {
            if inner.op_token.is_none()
                || inner.args.len() != 2
                || pending.last().is_some_and(|(c, _)| c.args.len() != 2)
            {
                break;
            }
            self.step(*at)?;
            pending.push((inner, *at));
            leftmost = &inner.args[0];
        }
        let mut value = self.expression(leftmost)?;
        while let Some((call, at)) = pending.pop() {
            let name = call.name.as_str();
            value = match &call.args[..] {
                [_] => {
                    let outcome = operators::unary(&mut self.graph, name, &value);
                    self.settle(at, outcome)
                }
                [_, right] => {
                    let right = self.expression(right)?;
                    self.binary(name, value, right, at)
                }
                _ => self.refuse(at, Refusal::new(format!("\"{name}\" is not an operator here"))),
            };
        }
        Ok(value)
    }

    fn binary(&mut self, name: &str, left: Value, right: Value, at: Position) -> Value {
        if name == ".." || name == "..=" {
            let outcome = range(&left, &right, name == "..=");
            return self.settle(at, outcome);
        }
        let outcome = operators::binary(&mut self.graph, name, &left, &right);
        let value = self.settle(at, outcome);
        if let Some((message, hint)) = warnings::never(&self.graph, name, &left, &right) {
            self.problems.warn(at, message, Some(hint));
        }
        value
    }

    fn call(&mut self, call: &FnCallExpr, at: Position) -> Walk {
        let args = self.all(&call.args)?;
        let places: Vec<Position> = call.args.iter().map(Expr::start_position).collect();
        self.call_named(&call.name, &args, &places, at)
    }

    /// Calls the script's own function, a built-in one, or the catalog's.
    fn call_named(&mut self, name: &str, args: &[Value], places: &[Position], at: Position) -> Walk {
        if self.functions.iter().any(|f| f.name == name) {
            return self.call_own(name, args, at);
        }
        if name == "tf" {
            return Ok(self.timeframe(None, args, places, at));
        }
        if let Some(called) = calls::built_in(&mut self.graph, name, args) {
            return Ok(self.called(called, places, at));
        }
        let Some(function) = catalog::find(name) else {
            let refusal = match name {
                _ if names::SERIES.contains(&name) => {
                    Refusal::new(format!("\"{name}\" is a series, not a function")).hint(format!("write {name}"))
                }
                _ => self.unknown(name),
            };
            return Ok(self.refuse(at, refusal));
        };
        if let (Some((message, hint)), [a, b, ..]) = (warnings::never_crosses(&self.graph, function.name, args), args) {
            debug_assert!(!a.is_poison() && !b.is_poison());
            self.problems.warn(at, message, Some(hint));
        }
        let called = calls::catalog(&mut self.graph, function, args, None);
        Ok(self.called(called, places, at))
    }

    fn called(&mut self, called: Result<Value, BadCall>, places: &[Position], at: Position) -> Value {
        called.unwrap_or_else(|bad| {
            let at = bad.argument.and_then(|i| places.get(i).copied()).unwrap_or(at);
            self.refuse(at, bad.refusal)
        })
    }

    fn timeframe(&mut self, symbol: Option<String>, args: &[Value], places: &[Position], at: Position) -> Value {
        if args.iter().any(Value::is_poison) {
            return Value::Poison;
        }
        match calls::timeframe(self.own.interval, symbol, args) {
            Ok(market) => {
                self.warn_unconfigured(market.interval, at);
                Value::Market(market)
            }
            Err(refusal) => self.refuse(places.first().copied().unwrap_or(at), refusal),
        }
    }

    fn warn_unconfigured(&mut self, interval: Interval, at: Position) {
        if !self.configured.is_empty() && !self.configured.contains(&interval) {
            let kept: Vec<&str> = self.configured.iter().map(|i| i.as_str()).collect();
            let message = format!("this server does not keep \"{interval}\": the rule will not be ready");
            self.problems.warn(at, message, Some(format!("it keeps {}", kept.join(" "))));
        }
    }

    fn call_own(&mut self, name: &str, args: &[Value], at: Position) -> Walk {
        let functions = self.functions.clone();
        let Some(function) = functions.iter().find(|f| f.name == name && f.params.len() == args.len()) else {
            let takes: Vec<String> = functions
                .iter()
                .filter(|f| f.name == name)
                .map(|f| format!("{name}({})", f.params.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(", ")))
                .collect();
            let refusal = Refusal::new(format!("{name} is called with {} arguments", args.len()));
            return Ok(self.refuse(at, refusal.hint(format!("it is defined as {}", takes.join(" and ")))));
        };
        if self.calls == MAX_CALL_DEPTH {
            let message = format!("functions call each other more than {MAX_CALL_DEPTH} deep");
            self.problems.error(at, message, Some("a rule cannot recur: there is no value to end it".into()));
            return Err(Stop::End);
        }
        let (frame, mark) = (self.frame, self.variables.len());
        self.frame = mark;
        self.calls += 1;
        for (param, value) in function.params.iter().zip(args) {
            self.variables.push(Variable { name: param.to_string(), value: value.clone(), constant: true });
        }
        let result = self.block(&function.body);
        self.variables.truncate(mark);
        self.frame = frame;
        self.calls -= 1;
        match result {
            Err(Stop::Return(value)) => Ok(value),
            other => other,
        }
    }
}

fn range(from: &Value, to: &Value, inclusive: bool) -> Outcome {
    let end = |value: &Value| match value {
        Value::Number(n) if n.fract() == 0.0 && n.abs() <= 1e9 => Ok(*n as i64),
        other => Err(Refusal::new(format!("a range runs between whole constants, not {}", other.describe()))),
    };
    if from.is_poison() || to.is_poison() {
        return Ok(Value::Poison);
    }
    Ok(Value::Range(end(from)?, end(to)? + i64::from(inclusive)))
}
