//! What is said to the compiler process and what it answers.
//!
//! One request is one line of JSON, one answer is one line of JSON; the process serves lines until its input
//! ends. These types live here, and not beside the compiler, because the server speaks them without linking it.

use crate::program::{FORMAT, Program};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest script in bytes.
pub const MAX_SCRIPT_BYTES: usize = 16 * 1_024;
/// Longest request line: a script of nothing but control characters takes six bytes for each as JSON
/// (6 × 16 KiB), and the rest of the request fits in 4 KiB.
pub const MAX_REQUEST_BYTES: usize = 6 * MAX_SCRIPT_BYTES + 4 * 1_024;
/// Longest answer line. 256 nodes stay far below; what is longer did not come from the compiler.
pub const MAX_RESPONSE_BYTES: usize = 1 << 20;
/// Most errors in one answer; tracing stops there.
pub const MAX_PROBLEMS: usize = 20;

/// What the two sides must agree on: version of the crate and of the program format, e.g. `0.1.0/1`. A
/// compiler of another build refuses the request.
pub fn build() -> String {
    format!("{}/{FORMAT}", env!("CARGO_PKG_VERSION"))
}

/// One script to compile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`build`] of whoever asks.
    pub build: String,
    pub mode: Mode,
    /// The trader's own interval, e.g. `1m`.
    pub interval: String,
    /// The intervals the server keeps; a script that reads another is warned. Empty: unknown, nobody is warned.
    #[serde(default)]
    pub configured: Vec<String>,
    pub script: String,
}

/// What the script is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The result must be a bool or a map with `fire`.
    Trader,
    /// Any value does. One that is no map becomes the only field, [`VALUE`], of a program that always fires.
    Expression,
}

/// The field that holds the value of an expression.
pub const VALUE: &str = "value";

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Response {
    Compiled(Compiled),
    /// The script is wrong: at least one problem, in the order of the script.
    Refused {
        problems: Vec<Problem>,
    },
    /// The request is wrong, not the script: another build, a malformed line.
    Failed {
        build: String,
        message: String,
    },
}

/// A script that compiled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compiled {
    pub program: Program,
    /// What the program reads, the trader's own candles first.
    pub timeframes: Vec<Timeframe>,
    pub warnings: Vec<Problem>,
}

/// The candles of one clock that a program needs before it can be ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeframe {
    /// `None`: the symbol that is evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    pub interval: String,
    /// Candles that `fire` needs at most, the newest included: 1 where nothing looks back, 0 where only metadata reads.
    pub bars: u32,
}

/// Something wrong, or doubtful, at one place of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// From 1; 0 where it concerns the script as a whole.
    pub line: u32,
    /// In characters, from 1; 0 where it concerns the line as a whole.
    pub col: u32,
    pub message: String,
    /// What to write instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The line it is in, or a part of it if that is long; empty where `line` is 0.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source_line: String,
    /// How many characters of the line are left out before `source_line`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Problem {
    /// The line it is in, with a caret beneath where there is a place in it; `None` where it concerns the whole script.
    pub fn source(&self) -> Option<String> {
        match (self.line, self.col) {
            (0, _) => None,
            (_, 0) => Some(self.source_line.clone()),
            _ => Some(format!("{}\n{}^", self.source_line, self.indent())),
        }
    }

    /// What stands before the caret. Tabs stay tabs, so that it is under its character however wide a tab is shown.
    fn indent(&self) -> String {
        let before = (self.col.max(1) - 1).saturating_sub(self.skipped) as usize;
        self.source_line.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect()
    }
}

/// As a compiler prints it: place and message, the line with a caret beneath, the hint.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}", self.message)?;
        } else {
            writeln!(f, "{}:{}: {}", self.line, self.col, self.message)?;
            write!(f, "  {}\n  {}^", self.source_line, self.indent())?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_shown_with_its_line_and_a_caret() {
        let problem = Problem {
            line: 2,
            col: 4,
            message: "unknown name \"clse\"".into(),
            hint: Some("did you mean \"close\"?".into()),
            source_line: "\tä clse > 1".into(),
            skipped: 0,
        };
        let shown = "2:4: unknown name \"clse\"\n  \tä clse > 1\n  \t  ^\n  hint: did you mean \"close\"?";
        assert_eq!(problem.to_string(), shown);
        assert_eq!(problem.source().as_deref(), Some("\tä clse > 1\n\t  ^"));
        assert_eq!(Problem { col: 0, ..problem.clone() }.source().as_deref(), Some("\tä clse > 1"));
        assert_eq!(Problem { line: 0, col: 0, ..problem.clone() }.source(), None);
        // The same, of a line whose first two characters are left out.
        let cut = Problem { skipped: 2, source_line: "clse > 1".into(), col: 3, ..problem };
        assert_eq!(cut.to_string(), "2:3: unknown name \"clse\"\n  clse > 1\n  ^\n  hint: did you mean \"close\"?");
    }

    #[test]
    fn the_longest_script_fits_in_a_request() {
        let request = Request {
            build: build(),
            mode: Mode::Trader,
            interval: "15m".into(),
            configured: vec!["15m".into(); 16],
            script: "\u{1}".repeat(MAX_SCRIPT_BYTES),
        };
        assert!(serde_json::to_string(&request).unwrap().len() < MAX_REQUEST_BYTES);
    }
}
