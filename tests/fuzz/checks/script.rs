//! Whatever text is given as a script: it becomes a program that is valid and survives its storage, or problems that
//! stand in the text.

use vyx_engine::program::MAX_NODES;
use vyx_engine::wire::{Compiled, MAX_PROBLEMS, MAX_RESPONSE_BYTES, Mode, Problem, Request, Response, build};

pub fn check_script(bytes: &[u8]) {
    let script = String::from_utf8_lossy(bytes).into_owned();
    for (mode, interval) in [(Mode::Trader, "1m"), (Mode::Expression, "1h")] {
        let configured = vec!["1m".to_owned(), "1h".to_owned()];
        let request = Request { build: build(), mode, interval: interval.into(), configured, script: script.clone() };
        let response = vyx_compiler::compile(&request);
        assert_eq!(vyx_compiler::compile(&request), response, "the same text, the same answer");
        check_sent(&response);
        match response {
            Response::Compiled(compiled) => check_compiled(&compiled, &script),
            Response::Refused { problems } => {
                assert!((1..=MAX_PROBLEMS).contains(&problems.len()), "{problems:?}");
                problems.iter().for_each(|problem| check_placed(problem, &script));
            }
            Response::Failed { message, .. } => panic!("{message}"),
        }
    }
}

/// The server reads what the compiler wrote.
fn check_sent(response: &Response) {
    let line = serde_json::to_string(response).expect("an answer is JSON");
    assert!(line.len() < MAX_RESPONSE_BYTES && !line.contains('\n'), "{} bytes", line.len());
    assert_eq!(&serde_json::from_str::<Response>(&line).expect("an answer"), response);
}

fn check_compiled(compiled: &Compiled, script: &str) {
    let checked = compiled.program.clone().validate().expect("a valid program");
    assert!(compiled.program.nodes.len() <= MAX_NODES);
    assert_eq!(compiled.timeframes.len(), checked.warm_up().len());
    compiled.warnings.iter().for_each(|warning| check_placed(warning, script));
}

fn check_placed(problem: &Problem, script: &str) {
    assert!(!problem.message.is_empty() && !problem.to_string().is_empty());
    assert!(problem.message.len() < 4 * 1_024, "{} bytes are told", problem.message.len());
    if problem.line == 0 {
        return assert!(problem.source_line.is_empty(), "{problem:?}");
    }
    // A carriage return alone ends a line, too.
    let script = script.replace("\r\n", "\n").replace('\r', "\n");
    let line = script.split('\n').nth(problem.line as usize - 1).unwrap_or_else(|| panic!("no such line: {problem:?}"));
    let shown: String = line.chars().skip(problem.skipped as usize).collect();
    assert!(
        shown.starts_with(problem.source_line.trim_end_matches('\r')) && problem.col >= problem.skipped,
        "{problem:?}"
    );
    assert!(problem.col as usize <= line.chars().count() + 1, "beyond its line: {problem:?}");
}
