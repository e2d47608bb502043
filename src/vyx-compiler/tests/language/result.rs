//! From a result to a rule with metadata.

use super::shape::shape;
use super::{brief, compiled, refused, request};
use vyx_engine::wire::{Mode, Request};

#[track_caller]
fn check(script: &str, expected: &str) {
    assert_eq!(shape(&compiled(&request(script)).program), expected, "{script}");
}

#[track_caller]
fn wrong(script: &str, expected: &str) {
    assert_eq!(brief(&refused(&request(script))), expected, "{script}");
}

#[test]
fn a_bool_is_a_rule_with_or_without_a_semicolon() {
    check("close > open", "(close > open)");
    check("close > open;", "(close > open)");
    check("return close > open;", "(close > open)");
}

#[test]
fn a_map_is_a_rule_with_metadata_in_order_of_the_keys() {
    check(
        "#{ note: `n ${1 + 1}`, fire: close > 1, side: \"long\", score: rsi(14), up: close > open, one: 1 }",
        "(close > 1); note: \"n 2\"; one: 1; score: rsi(close, 14); side: \"long\"; up: (close > open)",
    );
    check("#{ fire: tf(\"1h\").close > 1, h: tf(\"1h\").close }", "align((close@1h > 1)); h: align(close@1h)");
}

#[test]
fn a_result_that_is_no_rule_is_refused() {
    let advice = "end with a bool, or with #{ fire: …, side: \"long\", note: … }";
    wrong("close", &format!("1:1 the result must be a bool, not a series of numbers | {advice}"));
    wrong("let x = 1;\n5", &format!("2:1 the result must be a bool, not the number 5 | {advice}"));
    wrong("macd()", &format!("1:1 the result must be a bool, not the record of macd | {advice}"));
    wrong("let x = close > 1;", &format!("0:0 the script has no result | {advice}"));
    wrong("", &format!("0:0 the script has no result | {advice}"));
    wrong("#{ side: \"long\" }", &format!("1:1 the result has no key \"fire\" | {advice}"));
    wrong(
        "#{ fire: close }",
        "1:10 \"fire\" must be a bool, not a series of numbers | compare it with something, e.g. x > 0",
    );
}

#[test]
fn metadata_holds_plain_values_only() {
    wrong(
        "#{ fire: close > 1, x: #{ a: 1 }, y: [1], m: macd() }",
        "1:24 a key holds a plain value, not a map | give each value a key of its own\n\
         1:38 a key holds a plain value, not a list | give each value a key of its own\n\
         1:46 \"m\" must be a number, bool, text or series, not the record of macd | take one of its values: .macd .signal .hist",
    );
    wrong("#{ fire: close > 1, \"\": 1 }", "1:25 a key needs at least one character, and none of them NUL");
    wrong("#{ fire: close > 1, x: \"\\x00\" }", "1:24 a text cannot hold the character NUL");
    let key = "k".repeat(65);
    wrong(&format!("#{{ fire: close > 1, {key}: 1 }}"), "1:88 a key has 65 bytes, at most 64 are allowed");
}

#[test]
fn an_expression_may_be_any_value() {
    for (script, expected) in [
        ("close", "true; value: close"),
        ("close > 1", "true; value: (close > 1)"),
        ("\"x\"", "true; value: \"x\""),
        ("tf(\"1h\").close", "true; value: align(close@1h)"),
        ("#{ fire: close > 1, x: close }", "(close > 1); x: close"),
    ] {
        let request = Request { mode: Mode::Expression, ..request(script) };
        assert_eq!(shape(&compiled(&request).program), expected, "{script}");
    }
    let record = Request { mode: Mode::Expression, ..request("macd()") };
    let expected =
        "1:1 the result must be a value, not the record of macd | take one of its values: .macd .signal .hist";
    assert_eq!(brief(&refused(&record)), expected);
}
