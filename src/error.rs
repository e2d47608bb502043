//! The extension's errors and the one map from them to SQLSTATE.
//!
//! Messages follow Postgres' style: lower case, no full stop, the value quoted; the remedy is in the HINT.

use crate::compile::Failure;
use crate::{guc, pause};
use pgrx::PgSqlErrorCode::{self, *};
use pgrx::pg_sys::panic::ErrorReport;
use vyx_core::Interval;
use vyx_core::store::{LayoutError, ReadError};
use vyx_core::symbol::BadSymbol;
use vyx_engine::wire::{self, Problem};

/// Why a SQL function of vyx could not answer.
#[derive(Debug)]
pub enum Error {
    NotPreloaded,
    Layout(LayoutError),
    /// The extension's SQL is of another version than the library: what is to be done.
    OtherVersion(String),
    NullArgument(&'static str),
    UnknownInterval(String),
    /// A true interval that this server does not track.
    UntrackedInterval(Interval),
    MalformedSymbol(String, BadSymbol),
    UnknownSymbol(String),
    /// `limit` below 1 or above the named maximum.
    LimitOutOfRange(i32, i32),
    /// No such trader, or another's.
    UnknownTrader(uuid::Uuid),
    /// Neither `edge` nor `match`.
    UnknownFireOn(String),
    /// Neither `ingest` nor `evaluate`.
    UnknownWorker(String),
    /// A pause, or its end, could not be written.
    Pause(std::io::Error),
    NeverFilled(String, Interval),
    Busy(String, Interval),
    /// A script was given and no program came of it.
    Compile(Failure),
}

impl Error {
    fn sqlstate(&self) -> PgSqlErrorCode {
        match self {
            Error::NotPreloaded | Error::Layout(_) | Error::OtherVersion(_) => ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Error::NullArgument(_) => ERRCODE_NULL_VALUE_NOT_ALLOWED,
            Error::UnknownInterval(_)
            | Error::UntrackedInterval(_)
            | Error::MalformedSymbol(..)
            | Error::LimitOutOfRange(..)
            | Error::UnknownFireOn(_)
            | Error::UnknownWorker(_) => ERRCODE_INVALID_PARAMETER_VALUE,
            Error::Pause(_) => ERRCODE_IO_ERROR,
            Error::UnknownSymbol(_) | Error::UnknownTrader(_) => ERRCODE_UNDEFINED_OBJECT,
            Error::NeverFilled(..) => ERRCODE_INSUFFICIENT_RESOURCES,
            Error::Busy(..) => ERRCODE_LOCK_NOT_AVAILABLE,
            Error::Compile(failure) => match failure {
                Failure::Refused(_) => ERRCODE_SYNTAX_ERROR,
                Failure::NotStarted(_) | Failure::OtherBuild(_) => ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                Failure::Died(_) | Failure::TooSlow | Failure::AnswerTooLong => ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                Failure::Pipe(_) => ERRCODE_IO_ERROR,
                Failure::Garbled(_) | Failure::BadProgram(_) => ERRCODE_INTERNAL_ERROR,
            },
        }
    }

    fn message(&self) -> String {
        match self {
            Error::NotPreloaded => "vyx is not loaded at server start".into(),
            Error::Layout(error) => format!("vyx's shared memory is of another version: {error}"),
            Error::OtherVersion(why) => why.clone(),
            Error::NullArgument(name) => format!("argument \"{name}\" must not be null"),
            Error::UnknownInterval(text) => format!("unknown interval \"{}\"", shortened(text)),
            Error::UntrackedInterval(interval) => format!("interval \"{interval}\" is not tracked"),
            Error::MalformedSymbol(text, why) => format!("malformed symbol \"{}\": {why}", shortened(text)),
            Error::UnknownSymbol(symbol) => format!("unknown symbol \"{symbol}\""),
            Error::LimitOutOfRange(limit, max) => format!("limit {limit} is out of range: it must be 1 to {max}"),
            Error::UnknownTrader(id) => format!("no trader \"{id}\""),
            Error::UnknownFireOn(text) => format!("unknown fire_on \"{}\"", shortened(text)),
            Error::UnknownWorker(text) => format!("unknown worker \"{}\"", shortened(text)),
            Error::Pause(error) => format!("the data directory cannot be written: {error}"),
            Error::NeverFilled(symbol, interval) => {
                format!("no klines of \"{symbol}\" at \"{interval}\" have arrived yet")
            }
            Error::Busy(symbol, interval) => {
                format!("the klines of \"{symbol}\" at \"{interval}\" could not be read consistently")
            }
            Error::Compile(failure) => match failure {
                Failure::Refused(problems) => refusal(problems),
                Failure::NotStarted(error) => format!("vyx-compiler could not be started: {error}"),
                Failure::OtherBuild(build) => {
                    format!("vyx-compiler is of build \"{}\", the server of \"{}\"", shortened(build), wire::build())
                }
                Failure::Died(status) => format!("vyx-compiler ended without an answer: {status}"),
                Failure::TooSlow => "vyx-compiler took too long to answer".into(),
                Failure::AnswerTooLong => "the answer of vyx-compiler is too long".into(),
                Failure::Pipe(error) => format!("vyx-compiler could not be reached: {error}"),
                Failure::Garbled(why) => format!("the answer of vyx-compiler cannot be read: {}", shortened(why)),
                Failure::BadProgram(why) => format!("vyx-compiler made no valid program: {why}"),
            },
        }
    }

    /// JSON for programs: where in the script an editor should put its cursor.
    fn detail(&self) -> Option<String> {
        match self {
            Error::Compile(Failure::Refused(problems)) => {
                let Problem { line, col, .. } = problems.first()?;
                Some(format!("{{\"line\":{line},\"col\":{col}}}"))
            }
            _ => None,
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::NotPreloaded => {
                "Add vyx to shared_preload_libraries in postgresql.conf and restart the server.".into()
            }
            Error::Layout(_) => "Restart the server after an update of vyx.".into(),
            Error::OtherVersion(_) => "Library and SQL belong together; nothing is lost meanwhile.".into(),
            Error::NullArgument(_) => "Give a value.".into(),
            Error::UnknownInterval(_) => {
                let all: Vec<_> = Interval::ALL.iter().map(|i| i.as_str()).collect();
                format!("Use one of {}; 1m is a minute, 1M a month.", all.join(", "))
            }
            Error::UntrackedInterval(_) => {
                let tracked: Vec<_> = guc::intervals().iter().map(|i| i.as_str()).collect();
                format!("Tracked are {}; add it to vyx.intervals and restart the server.", tracked.join(", "))
            }
            Error::MalformedSymbol(..) => {
                "A symbol is 1 to 64 bytes of letters, digits, \"_\", \"-\" and \".\", as BTCUSDT.".into()
            }
            Error::UnknownSymbol(_) => {
                "SELECT symbol FROM vyx_symbols() lists what is tracked; vyx.symbols and vyx.quote_assets choose it."
                    .into()
            }
            Error::LimitOutOfRange(..) => "Page backwards with the argument \"before\" for more.".into(),
            Error::UnknownTrader(_) => "SELECT id, name FROM vyx.traders lists yours.".into(),
            Error::UnknownFireOn(_) => {
                "Use edge, for the first candle that matches, or match, for each of them.".into()
            }
            Error::UnknownWorker(_) => {
                let words: Vec<_> = pause::WORKERS.iter().map(|(word, _)| *word).collect();
                format!("Use one of {}.", words.join(", "))
            }
            Error::Pause(_) => "Nothing has changed; try again when it can be written.".into(),
            Error::NeverFilled(..) => {
                "The feed has just started, or is down: SELECT * FROM vyx_health() says which.".into()
            }
            Error::Busy(..) => "Try again; if it stays, SELECT * FROM vyx_health() and restart vyx ingest.".into(),
            Error::Compile(failure) => match failure {
                Failure::Refused(problems) => problems
                    .first()
                    .and_then(|problem| problem.hint.clone())
                    .unwrap_or_else(|| "SELECT * FROM vyx_indicators() lists the functions.".into()),
                Failure::NotStarted(_) => "It belongs beside vyx.so, where \"make install\" puts it.".into(),
                Failure::OtherBuild(_) => "Restart the server after an update of vyx.".into(),
                Failure::Died(_) | Failure::AnswerTooLong => "Make the script shorter or simpler.".into(),
                Failure::TooSlow => "Try again when the machine is less busy.".into(),
                Failure::Pipe(_) => "Try again.".into(),
                Failure::Garbled(_) | Failure::BadProgram(_) => {
                    "Install vyx.so and vyx-compiler from the same build and restart the server.".into()
                }
            },
        }
    }
}

/// What is wrong with a script: the first problem with its line and a caret, the others below, a line each.
fn refusal(problems: &[Problem]) -> String {
    /// Longer lines are not worth a terminal's room.
    const MOST: usize = 160;
    let mut text = String::new();
    for (index, problem) in problems.iter().enumerate() {
        let long = problem.source_line.chars().count() > MOST;
        let shown = match index {
            0 if problem.line > 0 && !long => Problem { hint: None, ..problem.clone() }.to_string(),
            _ => place(problem),
        };
        text.push_str(if index == 0 { "" } else { "\n" });
        text.push_str(&shown);
    }
    text
}

/// A problem in one line: `line:col: message`, or the message alone where it concerns the whole script.
pub fn place(Problem { line, col, message, .. }: &Problem) -> String {
    if *line == 0 { message.clone() } else { format!("{line}:{col}: {message}") }
}

/// At most 80 characters of a text that somebody sent us.
fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    if text.chars().count() <= MOST { text.to_owned() } else { text.chars().take(MOST).collect::<String>() + "…" }
}

impl Error {
    /// What a failed read of a series means to its asker.
    pub fn from_read(error: ReadError, symbol: &str, interval: Interval) -> Error {
        match error {
            ReadError::Busy => Error::Busy(symbol.to_owned(), interval),
            ReadError::NeverFilled => Error::NeverFilled(symbol.to_owned(), interval),
            ReadError::Gone => Error::UnknownSymbol(symbol.to_owned()),
        }
    }
}

impl From<Error> for ErrorReport {
    fn from(error: Error) -> ErrorReport {
        let report = ErrorReport::new(error.sqlstate(), error.message(), "vyx").set_hint(error.hint());
        match error.detail() {
            Some(detail) => report.set_detail(detail),
            None => report,
        }
    }
}
