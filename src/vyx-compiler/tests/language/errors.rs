//! What is said of wrong scripts: place, message, advice.

use super::{brief, refused, request};
use vyx_compiler::compile;
use vyx_core::Interval;
use vyx_engine::wire::{MAX_PROBLEMS, MAX_RESPONSE_BYTES, Request, Response};

#[track_caller]
fn wrong(script: &str, expected: &str) {
    assert_eq!(brief(&refused(&request(script))), expected, "{script}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    wrong(
        "let a = clse > 1;\nlet b = rsi(close, 0) < 30;\na && b && atr(open, 1, 2, 3) > 1",
        "1:9 unknown name \"clse\" | did you mean \"close\"?\n\
         2:20 \"length\" of rsi must be a whole number from 2 to 1024, not 0\n\
         3:11 atr takes no series: it reads high low close by itself | write atr(length = 14)",
    );
}

#[test]
fn one_mistake_is_told_once() {
    wrong("let a = clse; a > 1 && sma(a, 3) > a[1]", "1:9 unknown name \"clse\" | did you mean \"close\"?");
    wrong("for i in 0..9 { clse > i; } close > 1", "1:17 unknown name \"clse\" | did you mean \"close\"?");
    wrong(
        "let rsi = rsi(14); rsi < 30",
        "1:5 \"rsi\" is already a name of the language | choose another name, e.g. my_rsi",
    );
}

#[test]
fn unknown_names_get_the_nearest_known_one() {
    wrong("rsii(14) < 30", "1:1 unknown name \"rsii\" | did you mean \"rsi\"?");
    wrong("Close > 1", "1:1 unknown name \"Close\" | did you mean \"close\"?");
    wrong("ta.smaa(3) > 1", "1:4 unknown name \"smaa\" | did you mean \"sma\"?");
    wrong("let speed = 1; sped > 2", "1:16 unknown name \"sped\" | did you mean \"speed\"?");
    wrong("frobnicate > 1", "1:1 unknown name \"frobnicate\"");
    wrong("macd().histogram > 0", "1:8 macd has no .histogram | it has .macd .signal .hist");
    wrong(
        "bb().uper > 0",
        "1:6 bbands has no .uper | did you mean \"upper\"? it has .upper .middle .lower .width .percent",
    );
    wrong("tf(\"1h\").foo(3) > 1", "1:10 a timeframe has no function \"foo\"");
}

#[test]
fn unlike_things_are_not_compared() {
    let chained = "write 1 < x && x < 3 instead of 1 < x < 3";
    wrong("1 < close < 3", &format!("1:11 \"<\" cannot compare bools with numbers | {chained}"));
    wrong("close == \"x\"", "1:7 \"==\" cannot compare numbers with texts");
    wrong("(close > 1) == 1", "1:13 \"==\" cannot compare bools with numbers");
    wrong("\"a\" < \"b\"", "1:5 \"<\" compares numbers, not texts");
    wrong(
        "macd() > 0",
        "1:8 \">\" compares values, not the record of macd | take one of its values: .macd .signal .hist",
    );
    wrong(
        "tf(\"1h\") > 0",
        "1:10 \">\" compares values, not a timeframe | take one of its series, e.g. tf(\"1h\").close",
    );
}

#[test]
fn kinds_are_not_mixed() {
    let number = "select(condition, 1, 0) makes a number of a bool";
    wrong("(close > 1) + 1 > 1", &format!("1:13 \"+\" takes numbers, not a series of bools | {number}"));
    wrong(
        "sma(close > open, 3) > 1",
        &format!("1:5 \"source\" of sma takes numbers, not a series of bools | {number}"),
    );
    wrong(
        "sum(close > open, 3) > 1",
        "1:5 \"source\" of sum takes numbers, not a series of bools | write count(condition, length)",
    );
    wrong(
        "barssince(close) > 1",
        "1:11 \"condition\" of barssince takes bools, not a series of numbers | barssince(condition)",
    );
    wrong(
        "close && open > 1",
        "1:1 \"&&\" takes bools, not a series of numbers | compare it with something, e.g. x > 0",
    );
    wrong(
        "close > 1 || open",
        "1:14 \"||\" takes bools, not a series of numbers | compare it with something, e.g. x > 0",
    );
    wrong("!close", "1:1 \"!\" takes bools, not a series of numbers | compare it with something, e.g. x > 0");
    wrong(
        "select(close, 1, 2) > 1",
        "1:1 \"select\" takes bools, not a series of numbers | compare it with something, e.g. x > 0",
    );
    wrong(
        "select(close > 1, 1, true) > 1",
        "1:1 select(condition, a, b) needs two values of one kind, not numbers and bools",
    );
    wrong("nz(close, true)", "1:1 nz(x, default) needs two values of one kind, not numbers and bools");
    wrong(
        "close + \"x\" == \"x\"",
        "1:7 a text cannot hold a series of numbers | texts are constants; put a series under a key of its own in the result",
    );
}

#[test]
fn arguments_are_checked_with_what_is_expected() {
    wrong("rsi(close, 0) < 30", "1:12 \"length\" of rsi must be a whole number from 2 to 1024, not 0");
    wrong("rsi(close, 14.5) < 30", "1:12 \"length\" of rsi must be a whole number from 2 to 1024, not 14.5");
    wrong("rsi(close, 2000) < 30", "1:12 \"length\" of rsi must be a whole number from 2 to 1024, not 2000");
    wrong("rsi(close, 1/0) < 30", "1:12 \"length\" of rsi must be a whole number from 2 to 1024, not inf");
    let constant =
        "1:12 \"length\" of rsi must be a constant number, not a series of numbers | rsi(source = close, length = 14)";
    wrong("rsi(close, open) < 30", constant);
    wrong("rsi(close, 0/0) < 30", constant);
    wrong("crossover(close)", "1:1 crossover does not take 1 argument | write crossover(a, b)");
    wrong("abs(1, 2) > 1", "1:1 abs does not take 2 arguments | write abs(x)");
    wrong("max(close) > 1", "1:1 max does not take 1 argument | write max(a, b, …)");
    wrong("close() > 1", "1:1 \"close\" is a series, not a function | write close");
    wrong("rsi < 30", "1:1 \"rsi\" is a function | call it: rsi(…)");
    wrong("fn f(a) { a } f(1, 2) > close", "1:15 f is called with 2 arguments | it is defined as f(a)");
    wrong(
        "tf(\"1h\").rsi(open, 14) > 1",
        "1:10 rsi of \"1h\" is given a series of other candles | write rsi(…) without the timeframe before it",
    );
}

#[test]
fn vwap_is_refused_where_a_day_is_one_candle_or_more_than_a_history() {
    for interval in Interval::ALL {
        let refused = [Interval::S1, Interval::D1, Interval::D3, Interval::W1, Interval::Mo1].contains(&interval);
        let asked = Request { interval: interval.to_string(), ..request("close > vwap()") };
        match compile(&asked) {
            Response::Compiled(_) => assert!(!refused, "{interval}"),
            Response::Refused { problems } if refused => assert_eq!(
                brief(&problems),
                format!(
                    "1:9 vwap starts anew each day, which candles of \"{interval}\" cannot show | \
                     its intervals are 1m to 12h"
                )
            ),
            other => panic!("{interval}: {other:?}"),
        }
    }
    // The timeframe's candles count, not the trader's.
    wrong(
        "tf(\"1d\").vwap() > 1",
        "1:10 vwap starts anew each day, which candles of \"1d\" cannot show | its intervals are 1m to 12h",
    );
}

#[test]
fn an_index_is_a_constant_within_bounds() {
    wrong("close[-1] > 1", "1:7 [-1] would look into the future | [1] is one candle back");
    wrong("close[1.5] > 1", "1:7 [n] takes a whole number from 0 to 1024, not 1.5");
    wrong("close[1025] > 1", "1:7 [n] takes a whole number from 0 to 1024, not 1025");
    let when = "valuewhen(condition, x, 0) is the value when something was true";
    wrong("close[trades] > 1", &format!("1:7 [n] takes a whole constant, not a series of numbers | {when}"));
    wrong(
        "macd()[1] > 1",
        "1:8 [n] looks back in a series, not the record of macd | take one of its values: .macd .signal .hist",
    );
    wrong("[1, 2][2] > close", "1:8 the list has 2 entries, counted from 0, and no [2]");
    wrong("let x = 5; x[1] > close", "1:14 the number 5 is the same on every candle and has no [1]");
}

#[test]
fn intervals_are_those_of_the_exchange_and_not_shorter_than_the_traders() {
    let all = "the intervals are 1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M";
    for (pine, ours) in
        [("60", "1h"), ("D", "1d"), ("1D", "1d"), ("240", "4h"), ("W", "1w"), ("M", "1M"), ("5", "5m"), ("1H", "1h")]
    {
        let expected = format!("1:4 unknown interval \"{pine}\" | write \"{ours}\"; {all}");
        wrong(&format!("tf(\"{pine}\").close > 1"), &expected);
    }
    wrong("tf(\"7m\").close > 1", &format!("1:4 unknown interval \"7m\" | {all}"));
    wrong(
        "tf(60).close > 1",
        "1:4 tf takes an interval as text, not the number 60 | write e.g. tf(\"1h\"): the interval must be known when the trader is saved",
    );
    let hourly = Request { interval: "1h".into(), ..request("tf(\"5m\").close > 1") };
    let expected = "1:4 \"5m\" is shorter than the trader's own interval, \"1h\" | read \"1h\" or longer, or save the trader with the interval \"5m\"";
    assert_eq!(brief(&refused(&hourly)), expected);
}

#[test]
fn names_are_not_shadowed() {
    wrong(
        "let close = 1; close > 2",
        "1:5 \"close\" is already a name of the language | choose another name, e.g. my_close",
    );
    wrong(
        "let x = 1; let x = 2; close > x",
        "1:16 \"x\" is already defined | write x = … to change it, or choose another name",
    );
    wrong(
        "let x = 1; if true { let x = 2; } close > x",
        "1:26 \"x\" is already defined | write x = … to change it, or choose another name",
    );
    wrong(
        "for close in 0..2 { } open > 1",
        "1:5 \"close\" is already a name of the language | choose another name, e.g. my_close",
    );
    wrong("fn sma(x) { x } close > 1", "1:11 \"sma\" is already a name of the language | choose another name");
    wrong("fn f(open) { open } close > 1", "1:12 \"open\" is already a name of the language | choose another name");
    wrong(
        "close = 3; open > 1",
        "1:1 \"close\" is a name of the language and cannot be changed | write let my_close = … for a new name",
    );
    wrong("const X = 1; X = 2; close > X", "1:14 cannot assign to constant X");
    wrong("for i in 0..2 { i = 3; } close > 1", "1:17 \"i\" is constant and cannot be changed");
    wrong("x = 2; close > x", "1:1 unknown name \"x\" | write let x = … for a new name");
}

#[test]
fn a_branch_needs_a_constant() {
    let select = "write select(condition, a, b), or join conditions with && and ||";
    let on_series = format!("\"if\" cannot decide on a series: it differs from candle to candle | {select}");
    wrong("if close > open { true } else { false }", &format!("1:4 {on_series}"));
    wrong(
        "if close > open { clse > 1 } else { opn > 1 }",
        &format!(
            "1:4 {on_series}\n1:19 unknown name \"clse\" | did you mean \"close\"?\n1:37 unknown name \"opn\" | did you mean \"open\"?"
        ),
    );
    wrong("let x = 1; if x { true } else { false }", "1:15 \"if\" takes a bool, not the number 1");
    let over =
        "\"for\" runs over a range or a list of constants, not a series of numbers | write for i in 0..10 { … x[i] … }";
    wrong("for x in close { } close > 1", &format!("1:10 {over}"));
}

#[test]
fn what_rhai_has_and_a_rule_has_not_is_told() {
    let known = "a rule is known in full when it is saved";
    for name in ["eval", "Fn", "call", "curry", "type_of", "is_def_var"] {
        wrong(
            &format!("let x = {name}(\"x\"); close > 1"),
            &format!("1:9 \"{name}\" is not in the language | {known}"),
        );
    }
    for name in ["sleep", "timestamp"] {
        wrong(
            &format!("{name}(1); close > 1"),
            &format!("1:1 \"{name}\" is not in the language | a rule has its candles and nothing else"),
        );
    }
    for name in ["print", "debug"] {
        wrong(
            &format!("{name}(1); close > 1"),
            &format!(
                "1:1 \"{name}\" is not in the language | put what you want to see under a key of the result: #{{ fire: …, seen: x }}"
            ),
        );
    }
    let loops = "\"while\", \"loop\" and \"do\" are not in the language | write for i in 0..10 { … }, or a function that looks back: sum, count, highest, barssince";
    wrong("loop { } close > 1", &format!("1:1 {loops}"));
    wrong("while true { } close > 1", &format!("1:1 {loops}"));
    wrong("do { } while true; close > 1", &format!("1:1 {loops}"));
    wrong("switch close { 1 => 2 }", "1:1 \"switch\" is not in the language | write select(condition, a, b)");
    let fails = "\"try\" and \"throw\" are not in the language | nothing fails at a close";
    wrong("try { 1 } catch { 2 }", &format!("1:1 {fails}"));
    wrong("throw 1; close > 1", &format!("1:1 {fails}"));
    wrong(
        "let f = |x| x; close > 1",
        "1:9 functions without a name are not in the language | write fn name(a, b) { … }",
    );
    wrong("import \"x\" as y; close > 1", "1:1 \"import\" is not in the language");
    wrong("export let y = 1; close > 1", "1:1 \"export\" is not in the language");
    wrong("close ?? 1 > 2", "1:7 \"??\" is not in the language | write nz(x, default)");
    wrong("close > 1 & open > 1", "1:11 \"&\" is not an operator here | write a && b");
    wrong("close > 1 | open > 1", "1:11 \"|\" is not an operator here | write a || b");
    wrong("close ^ 2 > 1", "1:7 \"^\" is not an operator here | write pow(a, b) for a power");
    wrong("let x = 'a'; close > 1", "1:9 a text stands in double quotes | write \"text\"");
}

#[test]
fn broken_syntax_is_placed() {
    wrong("close > (", "1:10 the script ends too early | is a bracket or a quote still open?");
    wrong("close > 1 /* and", "0:0 a comment is not closed | \"*/\" ends it");
    wrong("close > /* and", "1:15 the script ends too early | is a bracket or a quote still open?");
    wrong("close >\n> open", "2:1 unexpected \">\"");
    wrong("close > 1 open", "1:11 expecting \";\" to terminate this statement");
}

#[test]
fn a_problem_carries_its_line() {
    let problems = refused(&request("let x = 1;\r\n\"ü\" == \"a\" || clse > 1\r\n"));
    assert_eq!(
        problems[0].to_string(),
        "2:15: unknown name \"clse\"\n  \"ü\" == \"a\" || clse > 1\n                ^\n  hint: did you mean \"close\"?"
    );
}

#[test]
fn a_carriage_return_alone_ends_a_line() {
    let problems = refused(&request("// a comment\rlet x = 1;\r\rclse > 1\r"));
    assert_eq!(problems[0].to_string(), "4:1: unknown name \"clse\"\n  clse > 1\n  ^\n  hint: did you mean \"close\"?");
}

#[test]
fn a_long_line_is_shown_in_part_and_a_long_name_too() {
    let before = "close > 1 && ".repeat(20);
    let problems = refused(&request(&format!("{before}clse > 1 && {}", "close > 2 && ".repeat(20) + "true")));
    let shown = problems[0].to_string();
    let [_, line, caret, ..] = shown.lines().collect::<Vec<_>>()[..] else { panic!("{shown}") };
    assert_eq!((problems[0].col, line.chars().count()), (261, 2 + 160));
    assert!(line[caret.len() - 1..].starts_with("clse"), "{shown}");
    let name = "n".repeat(16_000);
    let told = &refused(&request(&name))[0];
    assert!(told.message.starts_with("unknown name \"nnn") && told.message.len() < 700, "{}", told.message);
}

#[test]
fn the_largest_answer_is_one_that_the_server_reads() {
    // Each problem carries its line, and each character of this one takes six bytes.
    let script = format!("{}//{}", (0..20).map(|i| format!("n{i};")).collect::<String>(), "\u{1}".repeat(16_000));
    let answer = compile(&request(&script));
    assert!(matches!(&answer, Response::Refused { problems } if problems.len() == MAX_PROBLEMS));
    assert!(serde_json::to_vec(&answer).expect("an answer").len() < MAX_RESPONSE_BYTES / 4);
}
