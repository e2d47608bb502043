//! Scripts beside what they are traced to, or beside what is said of them.

mod catalog;
mod errors;
mod folding;
mod limits;
mod meaning;
mod pine;
mod properties;
mod result;
mod shape;
mod warnings;

use vyx_engine::wire::{Compiled, Mode, Problem, Request, Response, build};

fn request(script: &str) -> Request {
    Request { build: build(), mode: Mode::Trader, interval: "1m".into(), configured: Vec::new(), script: script.into() }
}

#[track_caller]
fn compiled(request: &Request) -> Compiled {
    match vyx_compiler::compile(request) {
        Response::Compiled(compiled) => compiled,
        other => panic!("{:?} is refused: {other:#?}", request.script),
    }
}

#[track_caller]
fn refused(request: &Request) -> Vec<Problem> {
    match vyx_compiler::compile(request) {
        Response::Refused { problems } => problems,
        other => panic!("{:?} is not refused: {other:#?}", request.script),
    }
}

/// Problems as `line:col message | hint`, one a line.
fn brief(problems: &[Problem]) -> String {
    let lines = problems.iter().map(|p| {
        let hint = p.hint.as_ref().map(|hint| format!(" | {hint}")).unwrap_or_default();
        format!("{}:{} {}{hint}", p.line, p.col, p.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}
