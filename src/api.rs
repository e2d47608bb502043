//! The SQL functions, one file a subject: check the words, ask the room, hand over rows. No arithmetic here.

// Their errors are Postgres' reports, made once a statement.
#![allow(clippy::result_large_err)]

mod backtest;
pub mod counts;
mod evaluate;
mod explain;
mod gaps;
mod health;
mod klines;
mod matching;
pub mod metrics;
mod pause;
mod screen;
mod symbols;
mod templates;
mod tenants;
mod tickers;
mod traders;

use crate::error::Error;
use crate::shmem;
use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::spi::SpiResult;
use vyx_core::store::{ReadError, Series, Store, SymbolId};
use vyx_core::{Interval, Millis, Symbol};

/// Most klines of one call: every ring fits, and a mistyped limit does not fill memory.
const MAX_LIMIT: i32 = 65_536;

/// Milliseconds from Postgres' epoch, 2000-01-01, to Unix'.
const POSTGRES_EPOCH: i64 = 946_684_800_000;

/// A moment as SQL has it. Moments of the exchange lie well inside the range of timestamptz; one that does not is NULL.
pub fn timestamp(at: Millis) -> Option<TimestampWithTimeZone> {
    at.0.checked_sub(POSTGRES_EPOCH)?.checked_mul(1_000)?.try_into().ok()
}

pub fn millis(at: TimestampWithTimeZone) -> Millis {
    let micros: pg_sys::TimestampTz = at.into();
    Millis(micros.div_euclid(1_000).saturating_add(POSTGRES_EPOCH))
}

/// The first column of the only row of a query that reads. `Spi::get_one` gives its transaction a number first, which a standby has
/// not and a reader should not use up.
fn read_one<T: FromDatum + IntoDatum>(sql: &str, args: &[DatumWithOid]) -> SpiResult<Option<T>> {
    Spi::connect(|client| client.select(sql, Some(1), args)?.first().get_one())
}

/// An argument that must not be NULL.
fn required<T>(name: &'static str, value: Option<T>) -> Result<T, Error> {
    value.ok_or(Error::NullArgument(name))
}

fn parse_symbol(text: &str) -> Result<Symbol, Error> {
    Symbol::new(text).map_err(|why| Error::MalformedSymbol(text.to_owned(), why))
}

fn parse_interval(text: &str) -> Result<Interval, Error> {
    text.parse().map_err(|_| Error::UnknownInterval(text.to_owned()))
}

fn checked_limit(limit: Option<i32>) -> Result<usize, Error> {
    let limit = required("limit", limit)?;
    if (1..=MAX_LIMIT).contains(&limit) { Ok(limit as usize) } else { Err(Error::LimitOutOfRange(limit, MAX_LIMIT)) }
}

fn find(store: &Store<'static>, symbol: &Symbol) -> Result<SymbolId, Error> {
    store.find(symbol).ok_or_else(|| Error::UnknownSymbol(symbol.to_string()))
}

/// A series that a caller named, found in the store.
struct Asked {
    store: Store<'static>,
    symbol: Symbol,
    interval: Interval,
    series: Series,
}

impl Asked {
    fn new(symbol: Option<&str>, interval: Option<&str>) -> Result<Asked, Error> {
        // Words first, the server's state second: a typing mistake is told even where nothing runs.
        let symbol = parse_symbol(required("symbol", symbol)?)?;
        let interval = parse_interval(required("interval", interval)?)?;
        let store = shmem::store()?;
        let id = find(&store, &symbol)?;
        let series = store.series(id, interval).ok_or(Error::UntrackedInterval(interval))?;
        Ok(Asked { store, symbol, interval, series })
    }

    fn error(&self, error: ReadError) -> Error {
        Error::from_read(error, self.symbol.as_str(), self.interval)
    }
}
