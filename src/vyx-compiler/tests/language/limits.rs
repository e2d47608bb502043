//! Limits are sizes, each told with its number.

use super::{brief, compiled, refused, request};
use vyx_engine::program::{MAX_FIELDS, MAX_TEXT_BYTES};
use vyx_engine::wire::{MAX_PROBLEMS, MAX_SCRIPT_BYTES, Response};

#[track_caller]
fn wrong(script: &str, expected: &str) {
    assert_eq!(brief(&refused(&request(script))), expected);
}

/// `n` different comparisons, joined.
fn comparisons(n: usize) -> String {
    (1..=n).map(|i| format!("close > {i}")).collect::<Vec<_>>().join(" && ")
}

#[test]
fn a_script_of_16_kib_is_read_and_one_more_byte_is_not() {
    let fill = |bytes: usize| format!("close > 1 //{}", "x".repeat(bytes - 12));
    compiled(&request(&fill(MAX_SCRIPT_BYTES)));
    wrong(&fill(MAX_SCRIPT_BYTES + 1), "0:0 the script has 16385 bytes, at most 16384 are allowed");
}

#[test]
fn a_program_holds_256_nodes() {
    // close, and for each comparison the number, the comparison and (but for the first) the conjunction: 3n.
    let full = comparisons(85);
    assert_eq!(compiled(&request(&full)).program.nodes.len(), 255);
    wrong(
        &comparisons(86),
        "0:0 the rule needs 258 nodes, at most 256 are allowed | shorten its loops, or split it into two traders",
    );
}

#[test]
fn a_loop_cannot_make_nodes_without_end() {
    wrong(
        "let s = 0; for i in 1..100000 { s += close / i; } s > 1",
        "1:21 the script makes more than 2048 nodes, and a program holds 256",
    );
    wrong("for i in 0..1000000 { } close > 1", "1:10 the script takes more than 50000 steps to trace");
}

#[test]
fn windows_are_bounded_together() {
    let long = (0..20).map(|i| format!("sma(close + {i}, 1000) > 1")).collect::<Vec<_>>().join(" && ");
    wrong(&long, "0:0 the rule is too large: more than 16384 candles held by windows");
}

#[test]
fn metadata_has_64_keys_and_8_kib() {
    let keys = |n: usize| (0..n).map(|i| format!(", k{i}: {i}")).collect::<String>();
    compiled(&request(&format!("#{{ fire: close > 1{} }}", keys(MAX_FIELDS))));
    let expected = "0:0 the result has 65 keys beside \"fire\", at most 64 are allowed";
    wrong(&format!("#{{ fire: close > 1{} }}", keys(MAX_FIELDS + 1)), expected);
    let text = format!("\"{}\"", "x".repeat(MAX_TEXT_BYTES));
    let texts = |n: usize| (0..n).map(|i| format!(", k{i}: t")).collect::<String>();
    let script = |n: usize| format!("let t = {text}; #{{ fire: close > 1{} }}", texts(n));
    compiled(&request(&script(7)));
    wrong(&script(8), "0:0 the metadata takes up to 8258 bytes, at most 8192 are allowed");
}

#[test]
fn texts_lists_variables_calls_and_timeframes_are_bounded() {
    let long = "x".repeat(MAX_TEXT_BYTES + 1);
    assert_eq!(
        refused(&request(&format!("let t = \"{long}\"; close > 1")))[0].message,
        "a text is at most 1024 bytes long"
    );
    let half = "x".repeat(600);
    wrong(&format!("let t = \"{half}\"; let u = t + t; close > 1"), "1:623 a text is at most 1024 bytes long");
    wrong(&format!("let l = [{}]; close > 1", "1,".repeat(1_025)), "1:9 a list has at most 1024 entries");
    let names = (0..129).map(|i| format!("let v{i} = {i};")).collect::<String>();
    assert_eq!(refused(&request(&names))[0].message, "the script has more than 128 variables at once");
    wrong(
        "fn f(x) { f(x) } f(1) > close",
        "1:11 functions call each other more than 8 deep | a rule cannot recur: there is no value to end it",
    );
    let symbols = (0..16).map(|i| format!("symbol(\"S{i}\").close > 1")).collect::<Vec<_>>().join(" && ");
    assert_eq!(refused(&request(&symbols))[0].message, "the script reads more than 16 timeframes");
}

#[test]
fn depth_is_bounded_in_words() {
    let nests = [
        ("(", ")"),
        ("abs(", ")"),
        ("-(", ")"),
        ("{", "}"),
        ("if true {", "}"),
        ("select(close > 1, ", ", 2)"),
        ("[", "][0]"),
        ("sma(", ", 3)"),
        ("1 + ", ""),
        ("f(", ")"),
    ];
    for (open, close) in nests {
        let deep = |n: usize| format!("fn f(x) {{ x }} let y = {}close{}; y > 1", open.repeat(n), close.repeat(n));
        compiled(&request(&deep(20)));
        for n in [90, 200, 700] {
            if let Response::Refused { problems } = vyx_compiler::compile(&request(&deep(n))) {
                let message = &problems[0].message;
                assert!(message.contains("nested too deeply") || message.contains("nodes"), "{open} {n}: {message}");
            }
        }
    }
}

#[test]
fn at_most_twenty_problems_are_told() {
    let script = (0..50).map(|i| format!("unknown{i};")).collect::<String>();
    assert_eq!(refused(&request(&script)).len(), MAX_PROBLEMS);
}
