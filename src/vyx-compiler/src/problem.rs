//! Errors and warnings as data, collected while tracing goes on.

use rhai::Position;
use vyx_engine::wire::{MAX_PROBLEMS, Problem};

/// What was found wrong so far, each place and message once.
pub struct Problems<'s> {
    lines: Vec<&'s str>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'s> Problems<'s> {
    pub fn new(script: &'s str) -> Self {
        Problems { lines: script.split('\n').collect(), errors: Vec::new(), warnings: Vec::new() }
    }

    pub fn error(&mut self, at: Position, message: impl Into<String>, hint: Option<String>) {
        let problem = self.problem(at, message.into(), hint);
        push(&mut self.errors, problem);
    }

    pub fn warn(&mut self, at: Position, message: impl Into<String>, hint: Option<String>) {
        let problem = self.problem(at, message.into(), hint);
        push(&mut self.warnings, problem);
    }

    /// Whether an error was found.
    pub fn any(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Whether there are as many errors as one answer holds.
    pub fn full(&self) -> bool {
        self.errors.len() >= MAX_PROBLEMS
    }

    /// The line a position is in, without its line end.
    pub fn line(&self, at: Position) -> &'s str {
        at.line().and_then(|line| self.lines.get(line - 1)).map_or("", |line| line.trim_end_matches('\r'))
    }

    /// Errors and warnings, each in the order of the script.
    pub fn into_sorted(mut self) -> (Vec<Problem>, Vec<Problem>) {
        self.errors.sort_by_key(|p| (p.line, p.col));
        self.warnings.sort_by_key(|p| (p.line, p.col));
        (self.errors, self.warnings)
    }

    fn problem(&self, at: Position, message: String, hint: Option<String>) -> Problem {
        let number = |n: Option<usize>| n.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        Problem {
            line: number(at.line()),
            col: number(at.position()),
            message,
            hint,
            source_line: self.line(at).to_owned(),
        }
    }
}

/// An unrolled loop meets the same mistake many times; it is told once.
fn push(list: &mut Vec<Problem>, problem: Problem) {
    if list.len() < MAX_PROBLEMS && !list.contains(&problem) {
        list.push(problem);
    }
}
