//! From foreign data to a program that can be run: every rule of [`crate::program`], checked once.

use crate::catalog::{self, BadParam, Function};
use crate::program::{
    Clock, Comparison, FORMAT, Field, Kind, MAX_CLOCKS, MAX_FIELDS, MAX_KEY_BYTES, MAX_LOOKBACK, MAX_NODES,
    MAX_PROGRAM_BYTES, MAX_TEXT_BYTES, MAX_WINDOW_CANDLES, Node, NodeId, Op, Program,
};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use vyx_core::{Interval, Symbol};

/// A program that keeps every rule, with what the check found out. The only kind that is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    program: Program,
    clocks: Vec<ClockKey>,
    kinds: Vec<Kind>,
}

/// The candles of one symbol, `None` for the symbol that is evaluated, at one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClockKey {
    pub symbol: Option<Symbol>,
    pub interval: Interval,
}

/// Why data is no program.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProgramError {
    /// Written by another version: compile the script again.
    #[error("a program of format {0}, not {FORMAT}")]
    Format(u64),
    #[error("a program of more than {MAX_PROGRAM_BYTES} bytes")]
    TooLarge,
    #[error("not a program: {0}")]
    Malformed(String),
    #[error("more than {max} {what}")]
    TooMany { what: &'static str, max: usize },
    #[error("clock {clock}: {reason}")]
    Clock { clock: usize, reason: String },
    #[error("node {node}: {reason}")]
    Node { node: usize, reason: String },
    #[error("field \"{key}\": {reason}")]
    Field { key: String, reason: &'static str },
    #[error("fire: {0}")]
    Fire(&'static str),
}

impl Program {
    /// Checks every rule of the format: sizes, backward references, kinds, clocks, constants, bounds.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<Checked, ProgramError> {
        if self.format != FORMAT {
            return Err(ProgramError::Format(self.format.into()));
        }
        at_most("nodes", self.nodes.len(), MAX_NODES)?;
        at_most("clocks", self.clocks.len(), MAX_CLOCKS)?;
        at_most("metadata keys", self.fields.len(), MAX_FIELDS)?;
        let clocks = check_clocks(self)?;
        let mut kinds = Vec::with_capacity(self.nodes.len());
        for (id, node) in self.nodes.iter().enumerate() {
            let known = Known { program: self, kinds: &kinds, node };
            kinds.push(known.kind().map_err(|reason| ProgramError::Node { node: id, reason })?);
        }
        at_most("candles held by windows", windows(self), MAX_WINDOW_CANDLES)?;
        match self.nodes.get(usize::from(self.fire)) {
            None => return Err(ProgramError::Fire("no such node")),
            Some(node) if node.clock != 0 => return Err(ProgramError::Fire("not on the trader's clock")),
            Some(_) if kinds[usize::from(self.fire)] != Kind::Bool => return Err(ProgramError::Fire("not a bool")),
            Some(_) => {}
        }
        self.check_fields()?;
        Ok(Checked { program: self.clone(), clocks, kinds })
    }

    fn check_fields(&self) -> Result<(), ProgramError> {
        let mut before: Option<&str> = None;
        for (key, node) in &self.fields {
            let wrong = |reason| Err(ProgramError::Field { key: key.clone(), reason });
            match self.nodes.get(usize::from(*node)) {
                _ if key.is_empty() || key.len() > MAX_KEY_BYTES => return wrong("the key is empty or too long"),
                _ if before.is_some_and(|b| b >= key.as_str()) => return wrong("the keys are not in order"),
                None => return wrong("no such node"),
                Some(node) if node.clock != 0 => return wrong("not on the trader's clock"),
                Some(_) => before = Some(key),
            }
        }
        Ok(())
    }

    /// The program as it is stored.
    ///
    /// # Errors
    /// [`ProgramError::TooLarge`], or [`ProgramError::Malformed`] for a constant that JSON cannot hold.
    pub fn encode(&self) -> Result<String, ProgramError> {
        let text = serde_json::to_string(self).map_err(|e| ProgramError::Malformed(e.to_string()))?;
        if text.len() > MAX_PROGRAM_BYTES { Err(ProgramError::TooLarge) } else { Ok(text) }
    }
}

impl Checked {
    /// Reads a stored program and checks it. Never panics, whatever the bytes.
    ///
    /// # Errors
    /// [`ProgramError::Format`] for a program of another version, even if nothing else of it can be read.
    pub fn decode(bytes: &[u8]) -> Result<Checked, ProgramError> {
        #[derive(Deserialize)]
        struct Version {
            format: u64,
        }
        if bytes.len() > MAX_PROGRAM_BYTES {
            return Err(ProgramError::TooLarge);
        }
        let malformed = |e: serde_json::Error| ProgramError::Malformed(e.to_string());
        let Version { format } = serde_json::from_slice(bytes).map_err(malformed)?;
        if format != u64::from(FORMAT) {
            return Err(ProgramError::Format(format));
        }
        serde_json::from_slice::<Program>(bytes).map_err(malformed)?.validate()
    }

    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The trader's own interval.
    pub fn interval(&self) -> Interval {
        self.clocks[0].interval
    }

    /// The clocks, in the program's order; the first is the trader's own.
    pub fn clocks(&self) -> &[ClockKey] {
        &self.clocks
    }

    /// The kind of each node's values.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// For each clock how many candles `fire` needs at most before it can be decided; 0 for a clock it does not read.
    ///
    /// An upper bound: `a || b` may be decided by the shorter side. More than [`crate::market::history_blocks`] hold
    /// means that the rule may never be ready.
    pub fn warm_up(&self) -> Vec<usize> {
        let first = self.first_valid();
        let mut bars = vec![0; self.clocks.len()];
        let reached = self.reached([self.program.fire]);
        for (node, reached) in self.program.nodes.iter().zip(reached) {
            if let (Op::Align(other), true) = (&node.op, reached) {
                let clock = usize::from(self.program.nodes[usize::from(*other)].clock);
                bars[clock] = bars[clock].max(first[usize::from(*other)] + 1);
            }
        }
        bars[0] = first[usize::from(self.program.fire)] + 1;
        bars
    }

    /// For each node the number of candles of its own clock, from the first of its history on, at which it may have no
    /// value yet: at most so many, as for [`Checked::warm_up`].
    pub fn first_valid(&self) -> Vec<usize> {
        let mut first = vec![0; self.program.nodes.len()];
        for (id, node) in self.program.nodes.iter().enumerate() {
            let latest = operands(&node.op).map(|o| first[usize::from(o)]).max().unwrap_or(0);
            first[id] = match &node.op {
                Op::Lag(_, n) => latest + usize::from(*n),
                Op::Call { function, params, .. } => {
                    latest + catalog::find(function).map_or(0, |f| (f.warm_up)(params))
                }
                Op::Align(_) | Op::IsNa(_) => 0,
                Op::Nz(_, default) => first[usize::from(*default)],
                _ => latest,
            };
        }
        first
    }

    /// Which nodes the given ones depend on, themselves included.
    pub(crate) fn reached(&self, from: impl IntoIterator<Item = NodeId>) -> Vec<bool> {
        let mut reached = vec![false; self.program.nodes.len()];
        from.into_iter().for_each(|id| reached[usize::from(id)] = true);
        for id in (0..self.program.nodes.len()).rev() {
            if reached[id] {
                operands(&self.program.nodes[id].op).for_each(|o| reached[usize::from(o)] = true);
            }
        }
        reached
    }
}

fn at_most(what: &'static str, found: usize, max: usize) -> Result<(), ProgramError> {
    if found > max { Err(ProgramError::TooMany { what, max }) } else { Ok(()) }
}

fn check_clocks(program: &Program) -> Result<Vec<ClockKey>, ProgramError> {
    let mut seen = HashSet::new();
    let mut clocks = Vec::with_capacity(program.clocks.len());
    for (clock, Clock { symbol, interval }) in program.clocks.iter().enumerate() {
        let wrong = |reason: String| ProgramError::Clock { clock, reason };
        let symbol = symbol
            .as_deref()
            .map(|text| match Symbol::new(text) {
                Ok(symbol) if symbol.as_str() == text => Ok(symbol),
                Ok(_) => Err(wrong(format!("\"{text}\" is not in upper case"))),
                Err(error) => Err(wrong(error.to_string())),
            })
            .transpose()?;
        let key = ClockKey { symbol, interval: interval.parse::<Interval>().map_err(|e| wrong(e.to_string()))? };
        if !seen.insert(key) {
            return Err(wrong("given twice".to_owned()));
        }
        clocks.push(key);
    }
    match program.clocks.first() {
        Some(own) if own.symbol.is_none() && own.interval == program.interval => Ok(clocks),
        _ => Err(ProgramError::Clock { clock: 0, reason: "is not the trader's own".to_owned() }),
    }
}

/// The operands of a node.
pub(crate) fn operands(op: &Op) -> impl Iterator<Item = NodeId> {
    let (three, inputs): ([Option<NodeId>; 3], &[NodeId]) = match op {
        Op::Number(_) | Op::Bool(_) | Op::Text(_) | Op::Na | Op::Candle(_) | Op::Completed { .. } => ([None; 3], &[]),
        Op::Unary(_, a) | Op::Not(a) | Op::IsNa(a) | Op::Lag(a, _) | Op::Align(a) => ([Some(*a), None, None], &[]),
        Op::Arithmetic(_, a, b) | Op::Compare(_, a, b) => ([Some(*a), Some(*b), None], &[]),
        Op::Min(a, b) | Op::Max(a, b) | Op::And(a, b) | Op::Or(a, b) | Op::Nz(a, b) => {
            ([Some(*a), Some(*b), None], &[])
        }
        Op::Select(c, a, b) => ([Some(*c), Some(*a), Some(*b)], &[]),
        Op::Call { inputs, .. } => ([None; 3], inputs),
    };
    three.into_iter().flatten().chain(inputs.iter().copied())
}

/// How many candles the windows of a program hold for one symbol: the longest lag of each operand and the inputs of
/// each distinct call.
fn windows(program: &Program) -> usize {
    let mut lags: HashMap<NodeId, usize> = HashMap::new();
    let mut calls = HashSet::new();
    let mut held = 0;
    for node in &program.nodes {
        match &node.op {
            Op::Lag(operand, n) => {
                let longest = lags.entry(*operand).or_default();
                *longest = (*longest).max(usize::from(*n));
            }
            Op::Call { function, inputs, params, .. } => {
                let bits: Vec<u64> = params.iter().map(|p| p.to_bits()).collect();
                if calls.insert((function, inputs, bits)) {
                    // Windows and counts are whole; a factor or a threshold holds nothing.
                    let longest = |f: &Function| {
                        let whole = f.params.iter().zip(params).filter(|(param, _)| param.whole);
                        whole.fold((f.warm_up)(params), |most, (_, value)| most.max(*value as usize))
                    };
                    held += catalog::find(function).map_or(0, longest) * inputs.len().max(1);
                }
            }
            _ => {}
        }
    }
    held + lags.values().sum::<usize>()
}

/// One node and what is known of the nodes before it.
struct Known<'a> {
    program: &'a Program,
    kinds: &'a [Kind],
    node: &'a Node,
}

impl Known<'_> {
    /// The kind of the node's values.
    fn kind(&self) -> Result<Kind, String> {
        use Kind::{Bool, Number, Text};
        if usize::from(self.node.clock) >= self.program.clocks.len() {
            return Err("no such clock".to_owned());
        }
        match &self.node.op {
            Op::Number(value) if !value.is_finite() => Err("the constant is not finite".to_owned()),
            Op::Text(text) if text.len() > MAX_TEXT_BYTES => Err(format!("a text of more than {MAX_TEXT_BYTES} bytes")),
            Op::Number(_) | Op::Na | Op::Candle(_) => Ok(Number),
            Op::Bool(_) => Ok(Bool),
            Op::Text(_) => Ok(Text),
            Op::Unary(_, a) => self.expect(*a, Number),
            Op::Arithmetic(_, a, b) | Op::Min(a, b) | Op::Max(a, b) => {
                self.expect(*a, Number)?;
                self.expect(*b, Number)
            }
            Op::Compare(Comparison::Eq | Comparison::Ne, a, b) => self.same(*a, *b).map(|_| Bool),
            Op::Compare(_, a, b) => {
                self.expect(*a, Number)?;
                self.expect(*b, Number).map(|_| Bool)
            }
            Op::And(a, b) | Op::Or(a, b) => {
                self.expect(*a, Bool)?;
                self.expect(*b, Bool)
            }
            Op::Not(a) => self.expect(*a, Bool),
            Op::Select(condition, a, b) => {
                self.expect(*condition, Bool)?;
                self.same(*a, *b)
            }
            Op::IsNa(a) => self.operand(*a).map(|_| Bool),
            Op::Nz(a, b) => self.same(*a, *b),
            Op::Lag(a, n) if (1..=MAX_LOOKBACK).contains(&usize::from(*n)) => self.operand(*a),
            Op::Lag(_, n) => Err(format!("a lag of {n} candles")),
            Op::Align(a) => self.aligned(*a),
            Op::Completed { clock } if usize::from(*clock) < self.program.clocks.len() => Ok(Bool),
            Op::Completed { .. } => Err("no such clock".to_owned()),
            Op::Call { function, inputs, params, output } => self.call(function, inputs, params, *output),
        }
    }

    /// The kind of an earlier node, whatever its clock.
    fn earlier(&self, id: NodeId) -> Result<Kind, String> {
        self.kinds.get(usize::from(id)).copied().ok_or_else(|| format!("refers to node {id}, which is not before it"))
    }

    /// The kind of an operand: an earlier node of the same clock.
    fn operand(&self, id: NodeId) -> Result<Kind, String> {
        let kind = self.earlier(id)?;
        if self.program.nodes[usize::from(id)].clock != self.node.clock {
            return Err(format!("node {id} is on another clock"));
        }
        Ok(kind)
    }

    fn expect(&self, id: NodeId, expected: Kind) -> Result<Kind, String> {
        let found = self.operand(id)?;
        if found == expected { Ok(found) } else { Err(format!("node {id} is a {found:?}, not a {expected:?}")) }
    }

    fn same(&self, a: NodeId, b: NodeId) -> Result<Kind, String> {
        let kind = self.operand(a)?;
        self.expect(b, kind)
    }

    fn aligned(&self, id: NodeId) -> Result<Kind, String> {
        let kind = self.earlier(id)?;
        if self.node.clock != 0 || self.program.nodes[usize::from(id)].clock == 0 {
            return Err("only another clock's node is aligned, and only to the trader's clock".to_owned());
        }
        Ok(kind)
    }

    fn call(&self, name: &str, inputs: &[NodeId], params: &[f64], output: u8) -> Result<Kind, String> {
        let function = catalog::find(name).filter(|f| f.name == name).ok_or_else(|| format!("no function {name:?}"))?;
        if inputs.len() != function.inputs.len() + function.candle.len() {
            return Err(format!("{name} does not take {} series", inputs.len()));
        }
        let (given, own) = inputs.split_at(function.inputs.len());
        for (input, id) in function.inputs.iter().zip(given) {
            self.expect(*id, input.kind)?;
        }
        for (field, id) in function.candle.iter().zip(own) {
            self.field(*id, *field)?;
        }
        function.check_params(params).map_err(|e: BadParam| format!("{name}: {e}"))?;
        self.output(function, output)
    }

    fn field(&self, id: NodeId, field: Field) -> Result<(), String> {
        self.operand(id)?;
        match self.program.nodes[usize::from(id)].op {
            Op::Candle(found) if found == field => Ok(()),
            _ => Err(format!("node {id} is not the candle's {field:?}")),
        }
    }

    fn output(&self, function: &Function, output: u8) -> Result<Kind, String> {
        match function.outputs.get(usize::from(output)) {
            Some(_) => Ok(function.kind),
            None => Err(format!("{} has no output {output}", function.name)),
        }
    }
}

mod inspect;
#[cfg(test)]
mod tests;
