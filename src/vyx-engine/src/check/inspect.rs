//! A program looked into: all its values at a candle, and which of them decide.

use super::{Checked, operands};
use crate::program::{Node, NodeId, Op};

impl Checked {
    /// The same rule with these nodes as its metadata, in this order, whatever clock they are on. For evaluation alone:
    /// it may pass the limits of what is stored.
    pub fn inspected(&self, nodes: &[NodeId]) -> Checked {
        let mut open = self.clone();
        open.program.fields.clear();
        for &node in nodes {
            let shown = match self.program.nodes[usize::from(node)].clock {
                0 => node,
                _ => {
                    open.program.nodes.push(Node { clock: 0, op: Op::Align(node) });
                    open.kinds.push(self.kinds[usize::from(node)]);
                    // Twice the most nodes of a program.
                    NodeId::try_from(open.program.nodes.len() - 1).expect("few nodes")
                }
            };
            open.program.fields.push((node.to_string(), shown));
        }
        open
    }

    /// The nodes that make the rule say what it says: from its result inwards, through `and`, `or` and `not` to those that
    /// decide; where it is undecided, to where that begins. `decided` is the value of a node if it has one, any for a
    /// number or a text.
    pub fn why(&self, decided: impl Fn(NodeId) -> Option<bool>) -> Vec<NodeId> {
        let nodes = &self.program.nodes;
        let (mut found, mut seen, mut open) = (Vec::new(), vec![false; nodes.len()], vec![self.program.fire]);
        while let Some(id) = open.pop() {
            if std::mem::replace(&mut seen[usize::from(id)], true) {
                continue;
            }
            let value = decided(id);
            match (&nodes[usize::from(id)].op, value) {
                (Op::Align(a), _) => open.push(*a),
                (Op::Not(a), Some(_)) => open.push(*a),
                // Those that say the same are what it is so for.
                (Op::And(a, b) | Op::Or(a, b), Some(_)) => {
                    open.extend([*a, *b].into_iter().filter(|operand| decided(*operand) == value));
                }
                (_, Some(_)) => found.push(id),
                (op, None) => {
                    let before = open.len();
                    open.extend(operands(op).filter(|operand| decided(*operand).is_none()));
                    if open.len() == before {
                        found.push(id);
                    }
                }
            }
        }
        found.sort_unstable();
        found
    }
}
