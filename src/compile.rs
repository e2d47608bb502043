//! Script text to program, by way of the compiler's process. Knows neither the language nor who asks.
//!
//! The compiler is a program of its own, exec'd for one statement: a stranger's script never runs in a Postgres process.
//! It confines itself; this side bounds what it may cost in time and in bytes, takes what it answers for foreign data,
//! and never leaves it behind.

mod process;

pub use process::open;

use crate::guc;
use std::io;
use std::process::ExitStatus;
use vyx_core::Interval;
use vyx_engine::wire::{self, MAX_SCRIPT_BYTES, Mode, Problem, Request, Response, Timeframe};
use vyx_engine::{Checked, ProgramError};

/// A script that compiled.
pub struct Compiled {
    pub program: Checked,
    /// What it reads, the trader's own candles first.
    pub timeframes: Vec<Timeframe>,
    pub warnings: Vec<Problem>,
}

/// Why there is no program.
#[derive(Debug)]
pub enum Failure {
    /// The script is wrong: at least one problem, in the order of the script.
    Refused(Vec<Problem>),
    /// The program is not installed beside the library, or could not be started.
    NotStarted(io::Error),
    /// Compiler and server are not of one build; the compiler's.
    OtherBuild(String),
    /// It ended without an answer: its limits or its confinement stopped it.
    Died(ExitStatus),
    TooSlow,
    AnswerTooLong,
    Pipe(io::Error),
    /// Its answer is none.
    Garbled(String),
    /// Its program breaks a rule of programs.
    BadProgram(ProgramError),
}

/// Compiles one script; may be cancelled meanwhile.
///
/// # Errors
/// See [`Failure`].
pub fn compile(script: &str, interval: Interval, mode: Mode) -> Result<Compiled, Failure> {
    if script.len() > MAX_SCRIPT_BYTES {
        return Err(Failure::Refused(vec![too_long(script.len())]));
    }
    let kept = guc::intervals();
    let request = Request {
        build: wire::build(),
        mode,
        interval: interval.as_str().to_owned(),
        configured: kept.iter().map(|kept| kept.as_str().to_owned()).collect(),
        script: script.to_owned(),
    };
    let mut line = serde_json::to_vec(&request).expect("names and text are always JSON");
    line.push(b'\n');
    match serde_json::from_slice(&process::ask(&line)?) {
        Ok(Response::Compiled(wire::Compiled { program, timeframes, warnings })) => Ok(Compiled {
            program: program.validate().map_err(Failure::BadProgram)?,
            timeframes,
            warnings: untracked(interval, &kept).into_iter().chain(warnings.into_iter().map(printable)).collect(),
        }),
        Ok(Response::Refused { problems }) if problems.is_empty() => {
            Err(Failure::Garbled("a refusal without a reason".to_owned()))
        }
        Ok(Response::Refused { problems }) => Err(Failure::Refused(problems.into_iter().map(printable).collect())),
        Ok(Response::Failed { build, .. }) if build != wire::build() => Err(Failure::OtherBuild(build)),
        Ok(Response::Failed { message, .. }) => Err(Failure::Garbled(message)),
        Err(error) => Err(Failure::Garbled(error.to_string())),
    }
}

fn too_long(bytes: usize) -> Problem {
    Problem {
        line: 0,
        col: 0,
        message: format!("the script has {bytes} bytes, at most {MAX_SCRIPT_BYTES} are allowed"),
        hint: Some("split it into two traders".to_owned()),
        source_line: String::new(),
        skipped: 0,
    }
}

/// The compiler warns of intervals that a script reads; its own is the caller's choice.
fn untracked(interval: Interval, kept: &[Interval]) -> Option<Problem> {
    (!kept.contains(&interval)).then(|| Problem {
        line: 0,
        col: 0,
        message: format!("interval \"{interval}\" is not tracked: nothing is evaluated on it"),
        hint: Some("add it to vyx.intervals and restart the server".to_owned()),
        source_line: String::new(),
        skipped: 0,
    })
}

/// The problem in characters that a message of Postgres can hold: any but NUL.
fn printable(mut problem: Problem) -> Problem {
    let texts = [Some(&mut problem.message), problem.hint.as_mut(), Some(&mut problem.source_line)];
    for text in texts.into_iter().flatten().filter(|text| text.contains('\0')) {
        *text = text.replace('\0', "\u{fffd}");
    }
    problem
}
