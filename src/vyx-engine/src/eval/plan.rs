//! All programs as one graph: equal nodes exist once.
//!
//! A node is equal to another when its clock, its operation and its operands are. Only what a program's result depends
//! on is taken over. The outputs of one call lie side by side and share one state.

use super::texts::Texts;
use crate::catalog::{self, Function};
use crate::check::{Checked, ClockKey};
use crate::program::{Arithmetic, Comparison, Field, Kind, Op, Unary};
use std::collections::HashMap;
use std::sync::Arc;
use vyx_core::Interval;

/// Position of a node among those of its clock.
pub(super) type Id = u32;

/// What a node computes, its operands being nodes of the same clock. Constants by their bits, so that it can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Constant(u64),
    Candle(Field),
    Unary(Unary, Id),
    Arithmetic(Arithmetic, Id, Id),
    Min(Id, Id),
    Max(Id, Id),
    Compare(Comparison, Id, Id),
    And(Id, Id),
    Or(Id, Id),
    Not(Id),
    Select(Id, Id, Id),
    IsNa(Id),
    Nz(Id, Id),
    Lag(Id, u16),
    /// Position of the clock, node there.
    Align(u16, Id),
    Completed(Interval),
    /// Position of the call, output. The first output computes all of them.
    Call(u32, u8),
}

/// One state of a function: what it is called with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CallKey {
    function: &'static str,
    pub inputs: Vec<Id>,
    params: Vec<u64>,
}

impl CallKey {
    pub fn function(&self) -> &'static Function {
        catalog::find(self.function).expect("programs were checked against the catalog")
    }

    pub fn params(&self) -> Vec<f64> {
        self.params.iter().map(|bits| f64::from_bits(*bits)).collect()
    }
}

/// The nodes of one clock, in an order in which operands come first.
pub(super) struct ClockPlan {
    pub key: ClockKey,
    pub steps: Vec<Step>,
    /// The numbers of all nodes.
    pub all: Vec<Id>,
    pub calls: Vec<CallKey>,
    pub functions: Vec<&'static Function>,
    /// First output of each call.
    pub call_nodes: Vec<Id>,
    /// Candles that each call takes before its first value.
    pub warm_ups: Vec<usize>,
    /// Longest lag of each node, 0 for most.
    pub depth: Vec<u16>,
    /// Nodes whose newest values are read from outside: metadata of the traders' own clock, of another clock what the
    /// traders' own reads.
    pub kept: Vec<Id>,
    /// Nodes that remember something between candles, and all they depend on. A run of history needs no others before
    /// its last candles.
    pub core: Vec<Id>,
    step_ids: HashMap<Step, Id>,
    call_ids: HashMap<CallKey, u32>,
}

/// Where the results of one program are.
#[derive(Debug)]
pub(super) struct Linked {
    pub key: u64,
    pub program: Arc<Checked>,
    /// Position in [`Plan::fires`].
    pub fire: usize,
    /// Node and kind of each metadata field, in the program's order.
    pub fields: Vec<(Id, Kind)>,
    /// Positions of the other clocks it reads.
    pub clocks: Vec<u16>,
}

pub(super) struct Plan {
    /// The first is the traders' own.
    pub clocks: Vec<ClockPlan>,
    pub programs: Vec<Linked>,
    /// The different nodes of the traders' clock that say whether a program matches.
    pub fires: Vec<Id>,
    pub texts: Texts,
}

impl Plan {
    /// Joins the programs; texts keep the numbers they had in `texts`.
    pub fn build(interval: Interval, programs: &[(u64, Arc<Checked>)], texts: &Texts) -> Plan {
        let mut plan = Plan {
            clocks: vec![ClockPlan::new(ClockKey { symbol: None, interval })],
            programs: Vec::with_capacity(programs.len()),
            fires: Vec::new(),
            texts: texts.heir(),
        };
        let mut fires = HashMap::new();
        for (key, program) in programs {
            let linked = plan.link(*key, program, &mut fires);
            plan.programs.push(linked);
        }
        plan.clocks.iter_mut().for_each(ClockPlan::finish);
        plan
    }

    fn link(&mut self, key: u64, program: &Arc<Checked>, fires: &mut HashMap<Id, usize>) -> Linked {
        let nodes = &program.program().nodes;
        let fields = &program.program().fields;
        let fire = program.program().fire;
        let reached = program.reached(fields.iter().map(|(_, id)| *id).chain([fire]));
        let mut ids: Vec<Id> = vec![0; nodes.len()];
        let mut clocks = Vec::new();
        for (position, node) in nodes.iter().enumerate().filter(|(position, _)| reached[*position]) {
            let clock = self.clock(program.clocks()[usize::from(node.clock)]);
            let id = |n: &u16| ids[usize::from(*n)];
            let step = match &node.op {
                Op::Number(value) => Step::Constant(value.to_bits()),
                Op::Bool(value) => Step::Constant(super::value::truth(*value).to_bits()),
                Op::Text(text) => Step::Constant(f64::from(self.texts.intern(text)).to_bits()),
                Op::Na => Step::Constant(super::value::UNDEFINED.to_bits()),
                Op::Candle(field) => Step::Candle(*field),
                Op::Unary(op, a) => Step::Unary(*op, id(a)),
                Op::Arithmetic(op, a, b) => Step::Arithmetic(*op, id(a), id(b)),
                Op::Min(a, b) => Step::Min(id(a), id(b)),
                Op::Max(a, b) => Step::Max(id(a), id(b)),
                Op::Compare(op, a, b) => Step::Compare(*op, id(a), id(b)),
                Op::And(a, b) => Step::And(id(a), id(b)),
                Op::Or(a, b) => Step::Or(id(a), id(b)),
                Op::Not(a) => Step::Not(id(a)),
                Op::Select(condition, a, b) => Step::Select(id(condition), id(a), id(b)),
                Op::IsNa(a) => Step::IsNa(id(a)),
                Op::Nz(a, b) => Step::Nz(id(a), id(b)),
                Op::Lag(a, n) => Step::Lag(id(a), *n),
                Op::Completed { clock } => Step::Completed(program.clocks()[usize::from(*clock)].interval),
                Op::Align(a) => {
                    let other = self.clock(program.clocks()[usize::from(nodes[usize::from(*a)].clock)]);
                    self.clocks[usize::from(other)].kept.push(id(a));
                    clocks.push(other);
                    Step::Align(other, id(a))
                }
                Op::Call { function, inputs, params, output } => {
                    let function = catalog::find(function).expect("programs were checked against the catalog").name;
                    let inputs = inputs.iter().map(id).collect();
                    let params = params.iter().map(|p| p.to_bits()).collect();
                    let call = self.clocks[usize::from(clock)].call(CallKey { function, inputs, params });
                    Step::Call(call, *output)
                }
            };
            ids[position] = self.clocks[usize::from(clock)].intern(step);
        }
        clocks.sort_unstable();
        clocks.dedup();
        let fields: Vec<_> =
            fields.iter().map(|(_, id)| (ids[usize::from(*id)], program.kinds()[usize::from(*id)])).collect();
        self.clocks[0].kept.extend(fields.iter().map(|(id, _)| *id));
        let fire = *fires.entry(ids[usize::from(fire)]).or_insert_with_key(|id| {
            self.fires.push(*id);
            self.fires.len() - 1
        });
        Linked { key, program: Arc::clone(program), fire, fields, clocks }
    }

    fn clock(&mut self, key: ClockKey) -> u16 {
        let known = self.clocks.iter().position(|c| c.key == key);
        let position = known.unwrap_or_else(|| {
            self.clocks.push(ClockPlan::new(key));
            self.clocks.len() - 1
        });
        u16::try_from(position).expect("there are fewer clocks than symbols times intervals")
    }
}

impl Step {
    /// The same step with its operands, calls and clocks numbered otherwise; `None` where one has no other number.
    pub fn renumbered(
        self,
        node: impl Fn(Id) -> Option<Id>,
        call: impl Fn(u32) -> Option<u32>,
        align: impl Fn(u16, Id) -> Option<(u16, Id)>,
    ) -> Option<Step> {
        Some(match self {
            Step::Constant(_) | Step::Candle(_) | Step::Completed(_) => self,
            Step::Unary(op, a) => Step::Unary(op, node(a)?),
            Step::Arithmetic(op, a, b) => Step::Arithmetic(op, node(a)?, node(b)?),
            Step::Min(a, b) => Step::Min(node(a)?, node(b)?),
            Step::Max(a, b) => Step::Max(node(a)?, node(b)?),
            Step::Compare(op, a, b) => Step::Compare(op, node(a)?, node(b)?),
            Step::And(a, b) => Step::And(node(a)?, node(b)?),
            Step::Or(a, b) => Step::Or(node(a)?, node(b)?),
            Step::Not(a) => Step::Not(node(a)?),
            Step::Select(c, a, b) => Step::Select(node(c)?, node(a)?, node(b)?),
            Step::IsNa(a) => Step::IsNa(node(a)?),
            Step::Nz(a, b) => Step::Nz(node(a)?, node(b)?),
            Step::Lag(a, n) => Step::Lag(node(a)?, n),
            Step::Align(clock, a) => {
                let (clock, a) = align(clock, a)?;
                Step::Align(clock, a)
            }
            Step::Call(c, output) => Step::Call(call(c)?, output),
        })
    }
}

impl CallKey {
    /// The same call with its inputs numbered otherwise.
    pub fn renumbered(&self, node: impl Fn(Id) -> Option<Id>) -> Option<CallKey> {
        let inputs = self.inputs.iter().map(|id| node(*id)).collect::<Option<_>>()?;
        Some(CallKey { inputs, ..self.clone() })
    }
}

impl ClockPlan {
    fn new(key: ClockKey) -> ClockPlan {
        ClockPlan {
            key,
            steps: Vec::new(),
            all: Vec::new(),
            calls: Vec::new(),
            functions: Vec::new(),
            call_nodes: Vec::new(),
            warm_ups: Vec::new(),
            depth: Vec::new(),
            kept: Vec::new(),
            core: Vec::new(),
            step_ids: HashMap::new(),
            call_ids: HashMap::new(),
        }
    }

    /// The node, if there is such a one.
    pub fn find(&self, step: Step) -> Option<Id> {
        self.step_ids.get(&step).copied()
    }

    /// The call, if there is such a one.
    pub fn find_call(&self, key: &CallKey) -> Option<u32> {
        self.call_ids.get(key).copied()
    }

    fn intern(&mut self, step: Step) -> Id {
        if let Some(id) = self.find(step) {
            return id;
        }
        if let Step::Lag(operand, n) = step {
            let depth = &mut self.depth[operand as usize];
            *depth = (*depth).max(n);
        }
        let id = Id::try_from(self.steps.len()).expect("fewer than 2^32 nodes");
        self.steps.push(step);
        self.all.push(id);
        self.depth.push(0);
        self.step_ids.insert(step, id);
        id
    }

    /// The call; a new one gets nodes for all its outputs.
    fn call(&mut self, key: CallKey) -> u32 {
        if let Some(call) = self.find_call(&key) {
            return call;
        }
        let call = u32::try_from(self.calls.len()).expect("fewer than 2^32 calls");
        let function = key.function();
        self.functions.push(function);
        self.warm_ups.push((function.warm_up)(&key.params()));
        self.call_ids.insert(key.clone(), call);
        self.calls.push(key);
        self.call_nodes.push(self.steps.len() as Id);
        for output in 0..function.outputs.len() {
            self.intern(Step::Call(call, output as u8));
        }
        call
    }

    /// To be called when all nodes are there.
    fn finish(&mut self) {
        self.kept.sort_unstable();
        self.kept.dedup();
        self.core = self.closure(self.all.iter().copied().filter(|id| self.remembers(*id)));
    }

    /// The nodes of `scope` that remember something, and all they depend on.
    pub fn core_of(&self, scope: &[Id]) -> Vec<Id> {
        if scope.len() == self.steps.len() {
            return self.core.clone();
        }
        self.closure(scope.iter().copied().filter(|id| self.remembers(*id)))
    }

    /// Whether a node remembers something between candles.
    pub fn remembers(&self, id: Id) -> bool {
        matches!(self.steps[id as usize], Step::Call(..)) || self.depth[id as usize] > 0
    }

    /// The operands of a node.
    pub fn operands(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        let (three, inputs): ([Option<Id>; 3], &[Id]) = match self.steps[id as usize] {
            Step::Constant(_) | Step::Candle(_) | Step::Align(..) | Step::Completed(_) => ([None; 3], &[]),
            Step::Unary(_, a) | Step::Not(a) | Step::IsNa(a) | Step::Lag(a, _) => ([Some(a), None, None], &[]),
            Step::Arithmetic(_, a, b) | Step::Compare(_, a, b) => ([Some(a), Some(b), None], &[]),
            Step::Min(a, b) | Step::Max(a, b) | Step::And(a, b) | Step::Or(a, b) | Step::Nz(a, b) => {
                ([Some(a), Some(b), None], &[])
            }
            Step::Select(c, a, b) => ([Some(c), Some(a), Some(b)], &[]),
            Step::Call(call, _) => ([None; 3], &self.calls[call as usize].inputs),
        };
        three.into_iter().flatten().chain(inputs.iter().copied())
    }

    /// The nodes that read one of these clocks, directly or through others.
    pub fn readers(&self, clocks: &[bool]) -> Vec<Id> {
        let mut reads = vec![false; self.steps.len()];
        for &id in &self.all {
            reads[id as usize] = match self.steps[id as usize] {
                Step::Align(clock, _) => clocks[usize::from(clock)],
                _ => self.operands(id).any(|operand| reads[operand as usize]),
            };
        }
        self.all.iter().copied().filter(|id| reads[*id as usize]).collect()
    }

    /// These nodes and all they depend on, operands first; of a call all outputs.
    pub fn closure(&self, seeds: impl IntoIterator<Item = Id>) -> Vec<Id> {
        let mut wanted = vec![false; self.steps.len()];
        seeds.into_iter().for_each(|id| wanted[id as usize] = true);
        for id in (0..self.steps.len()).rev() {
            if !wanted[id] {
                continue;
            }
            if let Step::Call(call, _) = self.steps[id] {
                let first = self.call_nodes[call as usize] as usize;
                wanted[first..first + self.functions[call as usize].outputs.len()].fill(true);
            }
            self.operands(id as Id).for_each(|o| wanted[o as usize] = true);
        }
        (0..self.steps.len() as Id).filter(|id| wanted[*id as usize]).collect()
    }
}
