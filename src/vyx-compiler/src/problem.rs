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
        let number = |n: usize| u32::try_from(n).unwrap_or(0);
        let (line, col) = (at.line().unwrap_or(0), at.position().unwrap_or(0));
        let (skipped, source_line) = part(self.line(at), col);
        let (message, hint) = (clipped(message), hint.map(clipped));
        Problem { line: number(line), col: number(col), message, hint, source_line, skipped: number(skipped) }
    }
}

/// Longest part of a line that is shown, in characters. All problems of an answer take 20 × 160 × 6 bytes of it as JSON
/// at most; a script of one line would take twenty times its length, more than an answer may have.
const SHOWN: usize = 160;
/// Longest message or hint: names are a script's own, and as long as it likes.
const MAX_TEXT: usize = 600;

/// The part of a line around a column, and how many characters are left out before.
fn part(line: &str, col: usize) -> (usize, String) {
    let skipped = if line.chars().count() > SHOWN { col.saturating_sub(SHOWN / 2) } else { 0 };
    (skipped, line.chars().skip(skipped).take(SHOWN).collect())
}

fn clipped(text: String) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// An unrolled loop meets the same mistake many times; it is told once.
fn push(list: &mut Vec<Problem>, problem: Problem) {
    if list.len() < MAX_PROBLEMS && !list.contains(&problem) {
        list.push(problem);
    }
}
