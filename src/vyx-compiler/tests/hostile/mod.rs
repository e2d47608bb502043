//! Scripts written to hurt, each given to the real program: a process that is started, confined, and answers.
//!
//! None may take longer than two seconds, take the process down, or compile. `scripts.txt` holds those that are short;
//! those that are large are made here.

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

#[track_caller]
fn is_refused(name: &str, script: &str) {
    let start = Instant::now();
    let answers = serve(&line(script));
    let took = start.elapsed();
    let [Response::Refused { problems }] = &answers[..] else { panic!("{name}: {answers:?}") };
    assert!(problems.iter().all(|p| !p.message.is_empty()), "{name}: {problems:?}");
    assert!(took < PATIENCE, "{name} took {took:?}");
}

#[test]
fn hostile_scripts_are_refused_in_time() {
    let scripts = include_str!("scripts.txt").split("---- ").skip(1);
    let mut count = 0;
    for entry in scripts {
        let (name, script) = entry.split_once('\n').expect("a name and a script");
        is_refused(name, script.trim_end());
        count += 1;
    }
    assert!(count >= 60, "only {count} scripts were found");
}

#[test]
fn hostile_scripts_of_full_size_are_refused_in_time() {
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
    for (name, script) in [
        ("round brackets", nested("(", ")")),
        ("square brackets", nested("[", "]")),
        ("maps", nested("#{a:", "}")),
        ("blocks", nested("{", "}")),
        ("ifs", nested("if true {", "}")),
        ("for loops", nested("for i in 0..9 {", "}")),
        ("calls", nested("abs(", ")")),
        ("indexes", nested("close[", "]")),
        ("open brackets", filled("", "(", "")),
        ("open maps", filled("", "#{a:", "")),
        ("open texts", filled("", "`${", "")),
        ("nots", filled("", "!", "close")),
        ("minuses", filled("", "- ", "close")),
        ("sums", filled("close", " + close", "")),
        ("ands", filled("true", " && true", " && 1")),
        ("comparisons", filled("close", " > close", "")),
        ("powers", filled("2", " ** 2", "")),
        ("properties", filled("close", ".a", "")),
        ("methods", filled("close", ".abs()", "")),
        ("lags", filled("close", "[1]", "")),
        ("else ifs", filled("if false {}", " else if false {}", "")),
        ("arguments", filled("max(1", ",1", ")")),
        ("entries", filled("[1", ",1", "]")),
        ("semicolons", filled("", ";", "")),
        ("line ends", filled("", "\n", "")),
        ("comments", filled("", "/*", "")),
        ("one long name", filled("", "a", "")),
        ("one long number", filled("", "9", "")),
        ("one long text", filled("\"", "a", "\"")),
        ("escapes", filled("\"", "\\u0041", "\"")),
        ("letters of four bytes", filled("\"", "💣", "\"")),
        ("lets", numbered(|i| format!("let v{i}={i};"))),
        ("constants", numbered(|i| format!("const V{i}={i};"))),
        ("functions", numbered(|i| format!("fn f{i}(){{1}}"))),
        ("keys", format!("#{{{}}}", numbered(|i| format!("k{i}:1,")).split_at(16_000).0)),
        ("nodes", numbered(|i| format!("close>{i}||"))),
        ("timeframes", numbered(|i| format!("symbol(\"S{i}\").close>1||"))),
        ("mistakes", numbered(|i| format!("n{i};"))),
    ] {
        assert!(script.len() <= MAX_SCRIPT_BYTES, "{name}");
        is_refused(name, &script);
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
