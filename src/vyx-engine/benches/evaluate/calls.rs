//! The indicators alone: the calls of all rules as metadata of programs that always fire.

use crate::close::PROGRAMS;
use crate::programs::{Builder, program};
use crate::walk::{FIRST, Walk};
use crate::{Times, engine, timed};
use std::collections::BTreeSet;
use std::sync::Arc;
use vyx_engine::{Op, Program};

const MINUTES: i64 = 100;

/// An upper bound of an indicator's update: reading the candles and the fields of candles is in it.
pub fn measure(market: &Walk) {
    let programs: Vec<Program> = (0..PROGRAMS).map(program).collect();
    let calls: BTreeSet<String> = programs.iter().flat_map(calls).collect();
    let only: Vec<_> = programs
        .iter()
        .enumerate()
        .map(|(n, program)| {
            let mut b = Builder(program.clone());
            b.0.fire = b.node(Op::Bool(true));
            let own = b.0.nodes.iter().enumerate().filter(|(_, node)| node.clock == 0 && is_call(&node.op));
            b.0.fields = own.map(|(id, _)| (format!("n{id:03}"), id as u16)).collect();
            (n as u64, Arc::new(b.0.validate().unwrap()))
        })
        .collect();
    let mut engine = engine(only);
    engine.evaluate(market, &market.symbols, FIRST);
    let mut steps = Times::default();
    for ordinal in FIRST + 1..=FIRST + MINUTES {
        steps.0.push(timed(|| drop(engine.evaluate(market, &market.symbols, ordinal))).0);
        engine.prepare(market, &market.symbols, ordinal + 1, usize::MAX);
    }
    let (median, best) = (steps.median(), steps.at(0.0));
    let pairs = (calls.len() * market.symbols.len()) as f64;
    println!(
        "\nindicators alone: {} calls x {} symbols, median {median:.2} ms: {:.0} ns a call and symbol, best {:.0}   (bar 50)",
        calls.len(),
        market.symbols.len(),
        median * 1e6 / pairs,
        best * 1e6 / pairs
    );
}

fn is_call(op: &Op) -> bool {
    matches!(op, Op::Call { .. })
}

/// The calls of the trader's own clock, each as text in which its operands are written out; outputs of one call are one.
fn calls(program: &Program) -> Vec<String> {
    let mut texts: Vec<String> = Vec::with_capacity(program.nodes.len());
    let mut calls = Vec::new();
    for node in &program.nodes {
        let text = match &node.op {
            Op::Call { function, inputs, params, output } => {
                let inputs: Vec<_> = inputs.iter().map(|input| texts[usize::from(*input)].as_str()).collect();
                let call = format!("{function}({inputs:?}, {params:?})");
                if node.clock == 0 {
                    calls.push(call.clone());
                }
                format!("{call}.{output}")
            }
            // No rule has a call on anything but candles, calls, and these by themselves.
            other => format!("{other:?}"),
        };
        texts.push(text);
    }
    calls
}
