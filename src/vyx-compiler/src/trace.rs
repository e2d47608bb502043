//! Walks a script once and builds the graph of its result. The only loops it runs are over constants, so every
//! script ends, after at most [`MAX_STEPS`].

mod access;
mod expressions;
mod invoke;
mod statements;

use crate::graph::Graph;
use crate::names;
use crate::operators::{Outcome, Refusal};
use crate::parse::{Function, Script};
use crate::pine;
use crate::problem::Problems;
use crate::value::{Market, Value};
use rhai::{Position, Stmt};
use std::collections::BTreeSet;
use std::rc::Rc;
use vyx_core::Interval;
use vyx_engine::catalog;

/// Most expressions evaluated, loops unrolled. A script of 16 KiB without loops has a tenth of that; as many, measured
/// with a loop that does nothing else, take 5 ms in a release build.
pub const MAX_STEPS: u32 = 50_000;
/// What a problem counts as: looking for the name that was meant takes longer than a step.
const STEPS_PER_PROBLEM: u32 = 100;
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

pub struct Tracer<'p, 's> {
    pub graph: Graph,
    problems: &'p mut Problems<'s>,
    own: Market,
    configured: Vec<Interval>,
    functions: Rc<[Function]>,
    /// Names that may have been defined in what could not be read.
    lost: BTreeSet<String>,
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

impl<'p, 's> Tracer<'p, 's> {
    pub fn new(
        interval: Interval,
        configured: Vec<Interval>,
        lost: BTreeSet<String>,
        problems: &'p mut Problems<'s>,
    ) -> Self {
        Tracer {
            graph: Graph::new(interval),
            problems,
            own: Market { symbol: None, interval },
            configured,
            functions: Rc::new([]),
            lost,
            variables: Vec::new(),
            frame: 0,
            calls: 0,
            depth: 0,
            steps: 0,
        }
    }

    /// The script's result and where it stands; poison if tracing had to stop.
    pub fn run(&mut self, script: Script) -> (Value, Position) {
        self.functions = script.functions.into();
        self.check_functions();
        let last = script.statements.iter().rfind(|statement| !statement.is_noop());
        let at = last.map_or(Position::NONE, |statement| match statement {
            Stmt::Expr(expr) => expressions::start(expr),
            other => other.position(),
        });
        match self.block(&script.statements) {
            Ok(value) | Err(Stop::Return(value)) => (value, at),
            Err(_) => (Value::Poison, at),
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
        self.steps += STEPS_PER_PROBLEM;
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
        if self.functions.iter().any(|f| f.name == name) || names::taken(name) {
            let refusal = Refusal::new(format!("\"{name}\" is a function")).hint(format!("call it: {name}(…)"));
            return self.refuse(at, refusal);
        }
        self.unknown(name, at)
    }

    /// Reports a name that nobody knows, once if it is one of Pine's or Rhai's. One that stood in what could not be read
    /// may have been right there.
    fn unknown(&mut self, name: &str, at: Position) -> Value {
        if self.lost.contains(name) {
            return Value::Poison;
        }
        if pine::advice(name).is_some() {
            self.lost.insert(name.to_owned());
        }
        let refusal = self.nearest(name);
        self.refuse(at, refusal)
    }

    fn nearest(&self, name: &str) -> Refusal {
        let refusal = Refusal::new(format!("unknown name \"{name}\""));
        if let Some(why) = pine::advice(name) {
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
}
