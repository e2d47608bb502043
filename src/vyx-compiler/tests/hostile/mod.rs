//! Scripts written to hurt, each given to the real program: a process that is started, confined, and answers.
//!
//! None may take longer than two seconds or take the process down; each is told what is wrong with it, or is a program
//! that is valid. `scripts/` holds those that are short, a file a kind, each with what is said of it; those that are large,
//! or that no editor shows, are made here.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use vyx_engine::wire::{MAX_REQUEST_BYTES, MAX_SCRIPT_BYTES, Mode, Request, Response, build};

/// What a hostile script may take, start of the process included.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sends bytes to a fresh compiler and returns its answers.
fn serve(input: &[u8]) -> Vec<Response> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vyx-compiler"))
        .args(["--serve", &std::process::id().to_string()])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the compiler starts");
    let mut stdin = child.stdin.take().expect("piped");
    // It may refuse, and close its end, before it has read everything.
    let _ = stdin.write_all(input);
    drop(stdin);
    let mut output = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut output).expect("text");
    let status = child.wait().expect("reaped");
    assert!(status.success(), "{status}");
    output.lines().map(|line| serde_json::from_str(line).expect("a response")).collect()
}

fn line(script: &str) -> Vec<u8> {
    let configured = vec!["1m".into(), "1h".into()];
    let request =
        Request { build: build(), mode: Mode::Trader, interval: "1m".into(), configured, script: script.into() };
    let mut line = serde_json::to_vec(&request).expect("a request");
    line.push(b'\n');
    line
}

/// `expected` is part of what is said, or `compiles`.
#[track_caller]
fn ends_well(name: &str, script: &str, expected: &str) {
    let start = Instant::now();
    let answers = serve(&line(script));
    let took = start.elapsed();
    match &answers[..] {
        [Response::Refused { problems }] => {
            let told = problems.iter().any(|problem| problem.message.contains(expected));
            assert!(told, "{name}: {expected:?} is not said in {problems:#?}");
        }
        [Response::Compiled(compiled)] if expected == COMPILES => {
            assert!(compiled.program.clone().validate().is_ok(), "{name}: {compiled:?}");
        }
        other => panic!("{name}: {other:?}"),
    }
    assert!(took < PATIENCE, "{name} took {took:?}");
}

const COMPILES: &str = "compiles";

#[test]
fn hostile_scripts_end_well_and_in_time() {
    let mut count = 0;
    for file in [
        include_str!("scripts/loops.txt"),
        include_str!("scripts/recursion.txt"),
        include_str!("scripts/texts.txt"),
        include_str!("scripts/data.txt"),
        include_str!("scripts/reach.txt"),
        include_str!("scripts/numbers.txt"),
        include_str!("scripts/nodes.txt"),
        include_str!("scripts/names.txt"),
        include_str!("scripts/unicode.txt"),
        include_str!("scripts/syntax.txt"),
    ] {
        for entry in file.split("---- ").skip(1) {
            let (head, script) = entry.split_once('\n').expect("a head and a script");
            let (name, expected) = head.split_once(" => ").expect("what is said of it");
            ends_well(name, script.trim_end(), expected);
            count += 1;
        }
    }
    assert!(count >= 200, "only {count} scripts were found");
}

#[test]
fn characters_that_no_editor_shows_do_no_harm() {
    for (name, script, expected) in [
        ("NUL", "close > 1\0", "U+0000"),
        ("NUL before all", "\0close > 1", "U+0000"),
        ("NUL in a name", "clo\0se > 1", "U+0000"),
        ("NUL in a text", "#{ fire: close > 1, note: \"\0\" }", "a text cannot hold the character NUL"),
        ("NUL in a comment", "// \0\nclose > 1", COMPILES),
        ("a bell", "\u{7}close > 1", "U+0007"),
        ("an escape sequence of a terminal", "\u{1b}[2Jclose > 1", "U+001B"),
        ("delete", "close\u{7f} > 1", "U+007F"),
        ("a mark of byte order", "\u{feff}close > 1", "U+FEFF"),
        ("a mark of byte order in a text", "#{ fire: close > 1, note: \"\u{feff}\" }", COMPILES),
        ("an override of direction in a comment", "close > 1 // \u{202e} 2 > esolc", COMPILES),
        ("an override of direction", "\u{202e}close > 1", "U+202E"),
        ("the last character", "\u{10ffff}", "U+10FFFF"),
        ("a character for private use", "\u{e000} > 1", "U+E000"),
        ("line separators", "close\u{2028}>\u{2029}1", "U+2028"),
        ("a line end of old machines", "close > 1\r// clse\r&& clse > 1", "clse"),
        ("a greek question mark", "let x = 1\u{37e} close > x", "U+037E"),
        ("a space that does not break", "close\u{a0}> 1", "U+00A0"),
        ("a form feed", "close\u{c}> 1", COMPILES),
        ("a vertical tab", "close\u{b}> 1", "U+000B"),
        ("control characters in a text", "#{ fire: close > 1, note: \"\u{1}\u{2}\u{1f}\" }", COMPILES),
        ("a text of 300 marks", &format!("#{{ fire: close > 1, note: \"e{}\" }}", "\u{301}".repeat(300)), COMPILES),
        (
            "a text longer in bytes than in characters",
            &format!("#{{ fire: close > 1, note: \"{}\" }}", "💣".repeat(300)),
            "a text is at most 1024 bytes long",
        ),
    ] {
        ends_well(name, script, expected);
    }
}

#[test]
fn hostile_scripts_of_full_size_end_well_and_in_time() {
    // As often as it fits, in a script that ends in something wrong.
    let filled = |head: &str, part: &str, tail: &str| {
        let times = (MAX_SCRIPT_BYTES - head.len() - tail.len()) / part.len();
        format!("{head}{}{tail}", part.repeat(times))
    };
    let nested = |open: &str, close: &str| {
        let times = (MAX_SCRIPT_BYTES - 8) / (open.len() + close.len());
        format!("{}close{}", open.repeat(times), close.repeat(times))
    };
    let numbered = |part: fn(usize) -> String| {
        let mut script = String::new();
        for i in 0.. {
            let next = part(i);
            if script.len() + next.len() > MAX_SCRIPT_BYTES {
                return script;
            }
            script.push_str(&next);
        }
        unreachable!("it filled up")
    };
    for (name, script, expected) in [
        ("round brackets", nested("(", ")"), "nested too deeply"),
        ("square brackets", nested("[", "]"), "nested too deeply"),
        ("maps", nested("#{a:", "}"), "nested too deeply"),
        ("blocks", nested("{", "}"), "nested too deeply"),
        ("ifs", nested("if true {", "}"), "nested too deeply"),
        ("for loops", nested("for i in 0..9 {", "}"), "\"i\" is already defined"),
        ("calls", nested("abs(", ")"), "nested too deeply"),
        ("indexes", nested("close[", "]"), "nested too deeply"),
        ("open brackets", filled("", "(", ""), "nested too deeply"),
        ("open maps", filled("", "#{a:", ""), "nested too deeply"),
        ("open texts", filled("", "`${", ""), "nested too deeply"),
        ("nots", filled("", "!", "close"), "nested too deeply"),
        ("minuses", filled("", "- ", "close"), "nested too deeply"),
        ("sums", filled("close", " + close", ""), "nested too deeply"),
        ("ands", filled("true", " && true", " && 1"), "nested too deeply"),
        ("comparisons", filled("close", " > close", ""), "nested too deeply"),
        ("powers", filled("2", " ** 2", ""), "nested too deeply"),
        ("properties", filled("close", ".a", ""), "nested too deeply"),
        ("methods", filled("close", ".abs()", ""), "nested too deeply"),
        ("lags", filled("close", "[1]", ""), "nested too deeply"),
        ("else ifs", filled("if false {}", " else if false {}", ""), "nested too deeply"),
        ("arguments", filled("max(1", ",1", ")"), "the result must be a bool"),
        ("entries", filled("[1", ",1", "]"), "a list has at most 1024 entries"),
        ("semicolons", filled("", ";", ""), "the script has no result"),
        ("line ends", filled("", "\n", ""), "the script has no result"),
        ("comments", filled("", "/*", ""), "a comment is not closed"),
        ("one long name", filled("", "a", ""), "unknown name"),
        ("one long number", filled("", "9", ""), "the result must be a bool"),
        ("one long text", filled("\"", "a", "\""), "a text is at most 1024 bytes long"),
        ("escapes", filled("\"", "\\u0041", "\""), "a text is at most 1024 bytes long"),
        ("letters of four bytes", filled("\"", "💣", "\""), "a text is at most 1024 bytes long"),
        ("lets", numbered(|i| format!("let v{i}={i};")), "more than 128 variables"),
        ("constants", numbered(|i| format!("const V{i}={i};")), "more than 128 variables"),
        ("functions", numbered(|i| format!("fn f{i}(){{1}}")), "too many functions"),
        ("keys", format!("#{{{}}}", numbered(|i| format!("k{i}:1,")).split_at(16_000).0), "unexpected"),
        ("nodes", numbered(|i| format!("close>{i}||")), "nested too deeply"),
        ("timeframes", numbered(|i| format!("symbol(\"S{i}\").close>1||")), "nested too deeply"),
        ("mistakes", numbered(|i| format!("n{i};")), "unknown name \"n0\""),
    ] {
        assert!(script.len() <= MAX_SCRIPT_BYTES, "{name}");
        ends_well(name, &script, expected);
    }
}

#[test]
fn lines_that_are_no_requests_are_told_so() {
    for bytes in [&b"\n"[..], b"{}\n", b"null\n", b"\xff\xfe\n", b"{\"build\":1}\n", b"[[[[[[[[\n"] {
        let answers = serve(bytes);
        assert!(matches!(&answers[..], [Response::Failed { .. }]), "{bytes:?}: {answers:?}");
    }
    let deep = [b"[".repeat(100_000), b"\n".to_vec()].concat();
    assert!(matches!(&serve(&deep)[..], [Response::Failed { .. }]));
    assert!(serve(b"").is_empty());
}

#[test]
fn a_line_longer_than_any_request_ends_the_conversation() {
    let endless = b"x".repeat(3 * MAX_REQUEST_BYTES);
    let answers = serve(&endless);
    let [Response::Failed { message, .. }] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(message, &format!("a request of more than {MAX_REQUEST_BYTES} bytes"));
}

#[test]
fn one_process_answers_many_requests_in_order() {
    let input = [line("close > 1"), line("clse > 1"), line("close > 2")].concat();
    let answers = serve(&input);
    assert!(
        matches!(&answers[..], [Response::Compiled(_), Response::Refused { .. }, Response::Compiled(_)]),
        "{answers:?}"
    );
}
