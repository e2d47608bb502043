//! Which version of the extension's SQL this database has, beside the version of the library that is running.
//!
//! An update replaces the library with the next start of the server and the SQL with ALTER EXTENSION. In between nobody
//! evaluates: tables and functions may be others than this library knows.

use pgrx::spi::{OwnedPreparedStatement, Spi, SpiResult};
use std::cell::OnceCell;

/// The version of this library.
pub const LIBRARY: &str = env!("CARGO_PKG_VERSION");

thread_local! {
    /// Asked before every batch, so it is planned once.
    static QUESTION: OnceCell<OwnedPreparedStatement> = const { OnceCell::new() };
}

/// What is to be done, in words, where the SQL is of another version than the library. Asks the catalog, in the
/// transaction of whoever calls.
///
/// # Errors
/// Those of SPI.
pub fn mismatch() -> SpiResult<Option<String>> {
    let version = Spi::connect(|client| {
        QUESTION.with(|question| {
            if question.get().is_none() {
                let text =
                    "SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname OPERATOR(pg_catalog.=) 'vyx'";
                let _ = question.set(client.prepare(text, &[])?.keep());
            }
            let Some(question) = question.get() else { return Ok(None) };
            let rows = client.select(question, Some(1), &[])?;
            rows.into_iter().next().map_or(Ok(None), |row| row.get::<String>(1))
        })
    })?;
    Ok(version.and_then(|version| advice(&version, LIBRARY)))
}

fn advice(installed: &str, library: &str) -> Option<String> {
    if installed == library {
        return None;
    }
    let remedy = match numbers(installed) < numbers(library) {
        true => "ALTER EXTENSION vyx UPDATE",
        false => "restart the server, which still runs the library of before",
    };
    Some(format!("the extension is of version {installed} in this database and of {library} in the server: {remedy}"))
}

/// `0.10.0` is later than `0.9.0`.
fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or_default()).collect()
}
