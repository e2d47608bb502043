//! The extension's errors and the one map from them to SQLSTATE.
//!
//! Messages follow Postgres' style: lower case, no full stop, the value quoted; the remedy is in the HINT.

use crate::guc;
use pgrx::PgSqlErrorCode::{self, *};
use pgrx::pg_sys::panic::ErrorReport;
use vyx_core::Interval;
use vyx_core::store::{LayoutError, ReadError};
use vyx_core::symbol::BadSymbol;

/// Why a SQL function of vyx could not answer.
#[derive(Debug, PartialEq)]
pub enum Error {
    NotPreloaded,
    Layout(LayoutError),
    NullArgument(&'static str),
    UnknownInterval(String),
    /// A true interval that this server does not track.
    UntrackedInterval(Interval),
    MalformedSymbol(String, BadSymbol),
    UnknownSymbol(String),
    /// `limit` below 1 or above the named maximum.
    LimitOutOfRange(i32, i32),
    NeverFilled(String, Interval),
    Busy(String, Interval),
    Down(String),
}

impl Error {
    fn sqlstate(&self) -> PgSqlErrorCode {
        match self {
            Error::NotPreloaded | Error::Layout(_) => ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Error::NullArgument(_) => ERRCODE_NULL_VALUE_NOT_ALLOWED,
            Error::UnknownInterval(_)
            | Error::UntrackedInterval(_)
            | Error::MalformedSymbol(..)
            | Error::LimitOutOfRange(..) => ERRCODE_INVALID_PARAMETER_VALUE,
            Error::UnknownSymbol(_) => ERRCODE_UNDEFINED_OBJECT,
            Error::NeverFilled(..) | Error::Down(_) => ERRCODE_INSUFFICIENT_RESOURCES,
            Error::Busy(..) => ERRCODE_LOCK_NOT_AVAILABLE,
        }
    }

    fn message(&self) -> String {
        match self {
            Error::NotPreloaded => "vyx is not loaded at server start".into(),
            Error::Layout(error) => format!("vyx's shared memory is of another version: {error}"),
            Error::NullArgument(name) => format!("argument \"{name}\" must not be null"),
            Error::UnknownInterval(text) => format!("unknown interval \"{text}\""),
            Error::UntrackedInterval(interval) => format!("interval \"{interval}\" is not tracked"),
            Error::MalformedSymbol(text, why) => format!("malformed symbol \"{}\": {why}", shortened(text)),
            Error::UnknownSymbol(symbol) => format!("unknown symbol \"{symbol}\""),
            Error::LimitOutOfRange(limit, max) => format!("limit {limit} is out of range: it must be 1 to {max}"),
            Error::NeverFilled(symbol, interval) => {
                format!("no klines of \"{symbol}\" at \"{interval}\" have arrived yet")
            }
            Error::Busy(symbol, interval) => {
                format!("the klines of \"{symbol}\" at \"{interval}\" could not be read consistently")
            }
            Error::Down(reason) => format!("vyx is down: {reason}"),
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::NotPreloaded => {
                "Add vyx to shared_preload_libraries in postgresql.conf and restart the server.".into()
            }
            Error::Layout(_) => "Restart the server after an update of vyx.".into(),
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
            Error::NeverFilled(..) => {
                "The feed has just started, or is down: SELECT * FROM vyx_health() says which.".into()
            }
            Error::Busy(..) => "Try again; if it stays, SELECT * FROM vyx_health() and restart vyx ingest.".into(),
            Error::Down(_) => "SELECT * FROM vyx_health() shows the workers and the connection.".into(),
        }
    }
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
        ErrorReport::new(error.sqlstate(), error.message(), "vyx").set_hint(error.hint())
    }
}
