//! Each rule of the format by a program that breaks it, and bytes that are no program at all.

use super::*;
use crate::program::{Arithmetic, Unary};
use proptest::prelude::*;

/// close > sma(close, 3), with the close of an hour as metadata.
fn sound() -> Program {
    let node = |op| Node { clock: 0, op };
    Program {
        format: FORMAT,
        interval: "1m".to_owned(),
        clocks: vec![
            Clock { symbol: None, interval: "1m".to_owned() },
            Clock { symbol: Some("BTCUSDT".to_owned()), interval: "1h".to_owned() },
        ],
        nodes: vec![
            node(Op::Candle(Field::Close)),
            node(Op::Call { function: "sma".to_owned(), inputs: vec![0], params: vec![3.0], output: 0 }),
            node(Op::Compare(Comparison::Gt, 0, 1)),
            Node { clock: 1, op: Op::Candle(Field::Close) },
            node(Op::Align(3)),
        ],
        fire: 2,
        fields: vec![("hour".to_owned(), 4), ("mean".to_owned(), 1)],
    }
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Program), message: &str) {
    let mut program = sound();
    change(&mut program);
    let error = program.validate().expect_err(message).to_string();
    assert!(error.contains(message), "{error:?} does not say {message:?}");
}

#[track_caller]
fn refused_node(op: Op, message: &str) {
    refused(|p| p.nodes.push(Node { clock: 0, op }), message);
}

#[test]
fn a_sound_program_is_read_back_as_it_was_written() {
    let program = sound();
    let checked = Checked::decode(program.encode().unwrap().as_bytes()).unwrap();
    assert_eq!(checked.program(), &program);
    assert_eq!(checked.kinds()[2], Kind::Bool);
    assert_eq!(checked.interval(), Interval::M1);
}

#[test]
fn references_go_backwards_and_stay_on_their_clock() {
    refused_node(Op::Unary(Unary::Neg, 5), "node 5, which is not before it");
    refused_node(Op::Unary(Unary::Neg, u16::MAX), "not before it");
    refused_node(Op::Unary(Unary::Neg, 3), "node 3 is on another clock");
    refused_node(Op::Align(0), "only another clock's node is aligned");
    refused(|p| p.nodes.push(Node { clock: 1, op: Op::Align(3) }), "only to the trader's clock");
    refused(|p| p.nodes.push(Node { clock: 2, op: Op::Na }), "no such clock");
    refused_node(Op::Completed { clock: 2 }, "no such clock");
}

#[test]
fn kinds_must_fit() {
    refused_node(Op::Not(0), "node 0 is a Number, not a Bool");
    refused_node(Op::Arithmetic(Arithmetic::Add, 0, 2), "node 2 is a Bool, not a Number");
    refused_node(Op::Compare(Comparison::Lt, 2, 2), "is a Bool, not a Number");
    refused_node(Op::Compare(Comparison::Eq, 0, 2), "is a Bool, not a Number");
    refused_node(Op::Select(2, 0, 2), "is a Bool, not a Number");
    refused_node(Op::And(2, 0), "is a Number, not a Bool");
    refused_node(Op::Nz(0, 2), "is a Bool, not a Number");
    refused(|p| p.fire = 0, "fire: not a bool");
    refused(|p| p.fire = 99, "fire: no such node");
    refused(|p| p.fire = 3, "fire: not on the trader's clock");
}

#[test]
fn calls_must_fit_the_catalog() {
    let call = |function: &str, inputs: &[NodeId], params: &[f64], output| Op::Call {
        function: function.to_owned(),
        inputs: inputs.to_vec(),
        params: params.to_vec(),
        output,
    };
    refused_node(call("smma", &[0], &[3.0], 0), "no function \"smma\"");
    refused_node(call("sma", &[0, 0], &[3.0], 0), "sma does not take 2 series");
    refused_node(call("sma", &[2], &[3.0], 0), "node 2 is a Bool, not a Number");
    refused_node(call("sma", &[0], &[0.0], 0), "\"length\" must be a whole number from 1 to 1024, not 0");
    refused_node(call("sma", &[0], &[f64::NAN], 0), "not NaN");
    refused_node(call("sma", &[0], &[], 0), "takes 1 constants, not 0");
    refused_node(call("sma", &[0], &[3.0], 1), "sma has no output 1");
    refused_node(call("obv", &[0, 0], &[], 0), "node 0 is not the candle's Volume");
}

#[test]
fn sizes_are_limited() {
    refused_node(Op::Number(f64::INFINITY), "the constant is not finite");
    refused_node(Op::Text("x".repeat(MAX_TEXT_BYTES + 1)), "a text of more than 1024 bytes");
    refused_node(Op::Lag(0, 0), "a lag of 0 candles");
    refused_node(Op::Lag(0, 1_025), "a lag of 1025 candles");
    refused(|p| p.nodes.resize(MAX_NODES + 1, Node { clock: 0, op: Op::Na }), "more than 256 nodes");
    refused(|p| p.clocks.resize(MAX_CLOCKS + 1, p.clocks[1].clone()), "more than 16 clocks");
    refused(|p| p.fields = vec![("k".to_owned(), 1); MAX_FIELDS + 1], "more than 64 metadata keys");
    let hog = |p: &mut Program| {
        for length in 1_000..1_020 {
            let params = vec![f64::from(length)];
            let op = Op::Call { function: "sma".to_owned(), inputs: vec![0], params, output: 0 };
            p.nodes.push(Node { clock: 0, op });
        }
    };
    refused(hog, "more than 16384 candles held by windows");
    let mut texts = sound();
    texts.nodes.resize(100, Node { clock: 0, op: Op::Text("x".repeat(1_000)) });
    assert_eq!(texts.encode(), Err(ProgramError::TooLarge));
}

#[test]
fn clocks_and_fields_are_what_they_say() {
    refused(|p| p.clocks.clear(), "not the trader's own");
    refused(|p| p.clocks[0].interval = "5m".to_owned(), "not the trader's own");
    refused(|p| p.clocks[0].symbol = Some("BTCUSDT".to_owned()), "not the trader's own");
    refused(|p| p.clocks[1].interval = "7m".to_owned(), "unknown interval \"7m\"");
    refused(|p| p.clocks[1].symbol = Some("btcusdt".to_owned()), "not in upper case");
    refused(|p| p.clocks[1].symbol = Some("a b".to_owned()), "must not contain ' '");
    refused(|p| p.clocks[1] = p.clocks[0].clone(), "given twice");
    refused(|p| p.fields.reverse(), "the keys are not in order");
    refused(|p| p.fields[0].0.clear(), "empty or too long");
    refused(|p| p.fields[0].1 = 3, "not on the trader's clock");
}

#[test]
fn a_program_of_another_version_says_so_even_if_nothing_else_can_be_read() {
    assert_eq!(Checked::decode(br#"{"format": 3, "whatever": []}"#), Err(ProgramError::Format(3)));
    let much = vec![b' '; MAX_PROGRAM_BYTES + 1];
    assert_eq!(Checked::decode(&much), Err(ProgramError::TooLarge));
}

#[test]
fn warm_up_adds_along_the_way_and_counts_each_clock() {
    let mut program = sound();
    let push = |program: &mut Program, clock, op| {
        program.nodes.push(Node { clock, op });
        (program.nodes.len() - 1) as NodeId
    };
    let hourly =
        push(&mut program, 1, Op::Call { function: "ema".to_owned(), inputs: vec![3], params: vec![200.0], output: 0 });
    let aligned = push(&mut program, 0, Op::Align(hourly));
    let lagged = push(&mut program, 0, Op::Lag(1, 4));
    program.fire = push(&mut program, 0, Op::Compare(Comparison::Gt, aligned, lagged));
    // sma(3) is there on the third candle, four candles back on the seventh.
    assert_eq!(program.validate().unwrap().warm_up(), [7, 200]);
    assert_eq!(sound().validate().unwrap().warm_up(), [3, 0]);
}

proptest! {
    #[test]
    fn foreign_bytes_are_refused_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Checked::decode(&bytes).is_err());
    }

    /// A sound program with some bytes changed is refused or sound; either way nothing panics.
    #[test]
    fn spoiled_programs_never_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = sound().encode().unwrap().into_bytes();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = b"0123456789[]{}\",:aeNx-. \\"[usize::from(byte) % 25];
        }
        if let Ok(checked) = Checked::decode(&bytes) {
            prop_assert!(!checked.warm_up().is_empty());
        }
    }
}
