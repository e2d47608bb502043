//! What is tracked: symbols, and how complete each of their series is.

use super::timestamp;
use crate::encoding;
use crate::shmem;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// The tracked symbols. Tick and step size are NULL where the exchange does not say.
#[pg_extern(stable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn vyx_symbols() -> Result<
    TableIterator<
        'static,
        (
            name!(symbol, String),
            name!(base, String),
            name!(quote, String),
            name!(status, &'static str),
            name!(tick_size, Option<f64>),
            name!(step_size, Option<f64>),
            name!(since, Option<TimestampWithTimeZone>),
            name!(last_event_time, Option<TimestampWithTimeZone>),
        ),
    >,
    ErrorReport,
> {
    let store = shmem::store()?;
    let known = |size: f64| (size > 0.0).then_some(size);
    let rows: Vec<_> = encoding::symbols(store)
        .map(|entry| {
            let info = entry.info;
            (
                info.symbol.to_string(),
                info.base.to_string(),
                info.quote.to_string(),
                info.status.as_str(),
                known(info.tick_size),
                known(info.step_size),
                timestamp(entry.since),
                entry.last_event_time.and_then(timestamp),
            )
        })
        .collect();
    Ok(TableIterator::new(rows))
}

/// Every series: what is held of it, its state, and the account of what was missing.
///
/// `state`: `live`; `quiet` where everything is there and a connected stream has had nothing to say for 2.5 minutes of market
/// time; `stale` where the stream is not connected or the newest klines are missing; `backfilling` where older ones are;
/// `halted` where the exchange does not trade the pair; `empty` before the first kline. `gaps` counts runs of klines that
/// should be held by now and are not, each of them a row of `vyx_gaps()`; `lag_ms` is market time minus the close of the newest
/// kline up to which nothing is missing, NULL before the first.
#[pg_extern(stable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn vyx_series() -> Result<
    TableIterator<
        'static,
        (
            name!(symbol, String),
            name!(interval, &'static str),
            name!(klines, i64),
            name!(first_open_time, Option<TimestampWithTimeZone>),
            name!(last_open_time, Option<TimestampWithTimeZone>),
            name!(state, &'static str),
            name!(gaps, i64),
            name!(repaired, i64),
            name!(confirmed_absent, i64),
            name!(lag_ms, Option<i64>),
        ),
    >,
    ErrorReport,
> {
    let store = shmem::store()?;
    let market_time = store.market_time();
    let mut rows = Vec::new();
    for entry in encoding::symbols(store) {
        for interval in store.intervals() {
            // A symbol that left meanwhile has no rows; one that is being written is read at the next call.
            let Some(Ok(status)) = store.series(entry.id, interval).map(|series| store.status(series)) else {
                continue;
            };
            let lag = status.complete_through.map(|ordinal| market_time.0 - interval.close_time(ordinal).0);
            rows.push((
                entry.info.symbol.to_string(),
                interval.as_str(),
                status.held as i64,
                status.first_open.and_then(timestamp),
                status.last_open.and_then(timestamp),
                status.state.as_str(),
                status.gaps as i64,
                status.repaired as i64,
                status.confirmed_absent as i64,
                lag,
            ));
        }
    }
    Ok(TableIterator::new(rows))
}
