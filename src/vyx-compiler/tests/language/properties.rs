//! What holds for every text.

use super::{compiled, request};
use proptest::prelude::*;
use vyx_engine::wire::{Response, build};

/// Words and signs of the language: random texts of them come further than random letters.
const WORDS: [&str; 64] = [
    "close", "open", "high", "rsi", "sma", "macd", "bb", "tf", "symbol", "\"1h\"", "\"x\"", "(", ")", "(", ")", "[",
    "]", "{", "}", "#{", ",", ",", ".", ".hist", ".upper", ".close", ".closed", ";", ";", "+", "-", "*", "/", "%",
    "**", "<", ">", "==", "!=", "&&", "||", "!", "and", "not", "let x =", "x", "y", "if", "else", "for i in", "0..3",
    "fn f(x)", "f", "1", "14", "1.5", "-1", "true", "na", "nz", "select", "fire:", "=", "return",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_makes_the_compiler_panic(script in "\\PC{0,200}") {
        vyx_compiler::compile(&request(&script));
    }

    #[test]
    fn no_sequence_of_words_makes_it_panic_and_what_compiles_is_valid(
        words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..40)
    ) {
        match vyx_compiler::compile(&request(&words.join(" "))) {
            Response::Compiled(compiled) => { prop_assert!(compiled.program.validate().is_ok()); }
            Response::Refused { problems } => prop_assert!(!problems.is_empty()),
            Response::Failed { message, .. } => prop_assert!(false, "{message}"),
        }
    }
}

#[test]
fn the_same_script_gives_the_same_bytes() {
    let script = "#{ fire: tf(\"1h\").rsi(14) < 30 && close > ema(50), a: macd().hist, b: change_24h }";
    let once = serde_json::to_string(&compiled(&request(script)).program).unwrap();
    let again = serde_json::to_string(&compiled(&request(script)).program).unwrap();
    assert_eq!(once, again);
}

#[test]
fn another_build_is_told_and_not_guessed_at() {
    let mut stale = request("close > 1");
    stale.build = "0.0.9/0".into();
    let Response::Failed { build: ours, message } = vyx_compiler::compile(&stale) else { panic!("not refused") };
    assert_eq!((ours, message), (build(), "this compiler is not of build 0.0.9/0: restart the server".into()));
}
