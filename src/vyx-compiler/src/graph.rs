//! The expression graph while it grows: equal nodes are one node, and operands are brought to a common clock.

use crate::ranges::{self, Range};
use crate::value::{Market, Series, Value};
use std::collections::{BTreeSet, HashMap};
use vyx_core::Interval;
use vyx_engine::program::{Arithmetic, Field, MAX_CLOCKS, MAX_NODES};
use vyx_engine::{Clock, Kind, Node, NodeId, Op};

/// Most nodes while tracing. What the result does not use is dropped at the end, so that a script may try more
/// than a program may hold; the factor bounds what a loop can build.
pub const MAX_TRACED: usize = 8 * MAX_NODES;

/// Nodes in order of their making: an operand always comes before its user.
pub struct Graph {
    nodes: Vec<Traced>,
    /// Node by clock and debug text of its operation, which tells all floats apart (`-0.0` too).
    index: HashMap<(Option<u8>, String), NodeId>,
    clocks: Vec<Market>,
    overflow: Option<&'static str>,
}

struct Traced {
    /// `None`: depends on constants only.
    clock: Option<u8>,
    op: Op,
    range: Range,
}

impl Graph {
    /// An empty graph; clock 0 is the evaluated symbol at `interval`.
    pub fn new(interval: Interval) -> Self {
        let own = Market { symbol: None, interval };
        Graph { nodes: Vec::new(), index: HashMap::new(), clocks: vec![own], overflow: None }
    }

    /// What there is too much of, "nodes" or "timeframes", if anything. What is built then is meaningless.
    pub fn overflow(&self) -> Option<&'static str> {
        self.overflow
    }

    /// The clock of these candles, new if need be.
    pub fn clock(&mut self, market: &Market) -> u8 {
        let found = self.clocks.iter().position(|c| c == market);
        let position = found.unwrap_or_else(|| {
            if self.clocks.len() == MAX_CLOCKS {
                self.overflow = Some("timeframes");
                return 0;
            }
            self.clocks.push(market.clone());
            self.clocks.len() - 1
        });
        u8::try_from(position).expect("fewer than MAX_CLOCKS")
    }

    pub fn market(&self, clock: u8) -> &Market {
        &self.clocks[usize::from(clock)]
    }

    pub fn op(&self, node: NodeId) -> &Op {
        &self.nodes[usize::from(node)].op
    }

    /// What the values of a node lie between.
    pub fn range(&self, node: NodeId) -> Range {
        self.nodes[usize::from(node)].range
    }

    /// The node of this operation, whose operands are on this clock or constants.
    pub fn node(&mut self, op: Op, kind: Kind, clock: Option<u8>) -> Series {
        let key = (clock, format!("{op:?}"));
        if let Some(&node) = self.index.get(&key) {
            return Series { node, kind, clock };
        }
        if self.nodes.len() == MAX_TRACED {
            self.overflow = Some("nodes");
            return Series { node: 0, kind, clock: self.nodes[0].clock };
        }
        let node = NodeId::try_from(self.nodes.len()).expect("fewer than MAX_TRACED");
        let range = ranges::of(&op, |operand| self.range(operand));
        self.nodes.push(Traced { clock, op, range });
        self.index.insert(key, node);
        Series { node, kind, clock }
    }

    pub fn candle(&mut self, field: Field, clock: u8) -> Series {
        self.node(Op::Candle(field), Kind::Number, Some(clock))
    }

    /// The undefined number.
    pub fn na(&mut self) -> Series {
        self.node(Op::Na, Kind::Number, None)
    }

    /// The node of a plain value; `None` for any other.
    pub fn series(&mut self, value: &Value) -> Option<Series> {
        Some(match value {
            Value::Series(series) => *series,
            Value::Number(n) => self.number(*n),
            Value::Bool(b) => self.node(Op::Bool(*b), Kind::Bool, None),
            Value::Text(text) => self.node(Op::Text(text.to_string()), Kind::Text, None),
            _ => return None,
        })
    }

    /// A constant. A program holds finite numbers only, so the infinite are written as what they come from.
    fn number(&mut self, n: f64) -> Series {
        if n.is_finite() {
            return self.node(Op::Number(n), Kind::Number, None);
        }
        let (one, zero) = (self.number(1f64.copysign(n)), self.number(0.0));
        self.node(Op::Arithmetic(Arithmetic::Div, one.node, zero.node), Kind::Number, None)
    }

    /// Brings operands to one clock: that of all of them, or else the trader's own. `None` if all are constant.
    pub fn align<const N: usize>(&mut self, operands: [Series; N]) -> ([Series; N], Option<u8>) {
        let mut operands = operands;
        let clock = self.align_all(&mut operands);
        (operands, clock)
    }

    /// As [`Graph::align`], for any number of operands.
    pub fn align_all(&mut self, operands: &mut [Series]) -> Option<u8> {
        let clocks: BTreeSet<u8> = operands.iter().filter_map(|o| o.clock).collect();
        if clocks.len() <= 1 {
            return clocks.first().copied();
        }
        operands.iter_mut().for_each(|operand| *operand = self.aligned(*operand));
        Some(0)
    }

    /// The same series as seen from the trader's own candles.
    pub fn aligned(&mut self, series: Series) -> Series {
        match series.clock {
            None | Some(0) => series,
            Some(_) => self.node(Op::Align(series.node), series.kind, Some(0)),
        }
    }

    /// Writes out what the roots depend on: nodes and clocks of a program, and the new position of each root.
    ///
    /// Roots end up on clock 0. A constant is written once for each clock that uses it, since the operands of a
    /// node live on its own clock.
    pub fn emit(&mut self, roots: &[Series]) -> Emitted {
        let roots: Vec<NodeId> = roots.iter().map(|root| self.aligned(*root).node).collect();
        let wanted = self.wanted(&roots);
        let mut used: Vec<u8> = wanted.iter().flatten().copied().chain([0]).collect();
        used.extend(self.nodes.iter().zip(&wanted).filter(|(_, on)| !on.is_empty()).filter_map(|(n, _)| match n.op {
            Op::Completed { clock } => Some(clock),
            _ => None,
        }));
        used.sort_unstable();
        used.dedup();
        let renumbered = |clock: u8| u8::try_from(used.partition_point(|c| *c < clock)).expect("fewer than MAX_CLOCKS");

        let mut placed: HashMap<(NodeId, u8), usize> = HashMap::new();
        let mut nodes = Vec::new();
        for (id, traced) in self.nodes.iter().enumerate() {
            for &clock in &wanted[id] {
                let mut op = traced.op.clone();
                if let Op::Completed { clock } = &mut op {
                    *clock = renumbered(*clock);
                }
                each_operand(&mut op, |operand| {
                    let home = self.nodes[usize::from(*operand)].clock.unwrap_or(clock);
                    // A position beyond the type is beyond MAX_NODES too, which the caller refuses.
                    *operand = NodeId::try_from(placed[&(*operand, home)]).unwrap_or(NodeId::MAX);
                });
                placed.insert((id as NodeId, clock), nodes.len());
                nodes.push(Node { clock: renumbered(clock), op });
            }
        }
        let clocks = used
            .iter()
            .map(|c| self.market(*c))
            .map(|market| Clock { symbol: market.symbol.clone(), interval: market.interval.as_str().to_owned() });
        let clocks = clocks.collect();
        let roots = roots.iter().map(|root| NodeId::try_from(placed[&(*root, 0)]).unwrap_or(NodeId::MAX)).collect();
        Emitted { nodes, clocks, roots }
    }

    /// For each node the clocks it is needed on; none for what no root depends on.
    fn wanted(&self, roots: &[NodeId]) -> Vec<BTreeSet<u8>> {
        let mut wanted = vec![BTreeSet::new(); self.nodes.len()];
        roots.iter().for_each(|root| {
            wanted[usize::from(*root)].insert(0);
        });
        for id in (0..self.nodes.len()).rev() {
            for clock in wanted[id].clone() {
                let mut op = self.nodes[id].op.clone();
                each_operand(&mut op, |operand| {
                    let home = self.nodes[usize::from(*operand)].clock.unwrap_or(clock);
                    wanted[usize::from(*operand)].insert(home);
                });
            }
        }
        wanted
    }
}

/// Nodes, clocks and roots as a program has them.
pub struct Emitted {
    pub nodes: Vec<Node>,
    pub clocks: Vec<Clock>,
    pub roots: Vec<NodeId>,
}

fn each_operand(op: &mut Op, mut visit: impl FnMut(&mut NodeId)) {
    match op {
        Op::Number(_) | Op::Bool(_) | Op::Text(_) | Op::Na | Op::Candle(_) | Op::Completed { .. } => {}
        Op::Unary(_, a) | Op::Not(a) | Op::IsNa(a) | Op::Lag(a, _) | Op::Align(a) => visit(a),
        Op::Arithmetic(_, a, b) | Op::Compare(_, a, b) => [a, b].into_iter().for_each(visit),
        Op::Min(a, b) | Op::Max(a, b) | Op::And(a, b) | Op::Or(a, b) | Op::Nz(a, b) => {
            [a, b].into_iter().for_each(visit);
        }
        Op::Select(c, a, b) => [c, a, b].into_iter().for_each(visit),
        Op::Call { inputs, .. } => inputs.iter_mut().for_each(visit),
    }
}
