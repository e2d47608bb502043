//! Klines: rows, closes, columns for charts, and the newest of every symbol.

use super::{Asked, checked_limit, millis, parse_interval, required, timestamp};
use crate::encoding;
use crate::error::Error;
use crate::shmem;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use vyx_core::{Interval, Kline};

/// One row of `vyx_klines`, in the order of its columns.
type Row =
    (Option<TimestampWithTimeZone>, f64, f64, f64, f64, f64, Option<TimestampWithTimeZone>, f64, i64, f64, f64, bool);

fn row(interval: Interval, kline: &Kline) -> Row {
    (
        timestamp(kline.open_time),
        kline.open,
        kline.high,
        kline.low,
        kline.close,
        kline.volume,
        timestamp(interval.close_time(interval.ordinal(kline.open_time))),
        kline.quote_volume,
        kline.trades as i64,
        kline.taker_buy_volume,
        kline.taker_buy_quote_volume,
        kline.closed,
    )
}

/// The newest `limit` klines of a series, oldest first, those before a moment where `before` is given.
#[pg_extern(stable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn vyx_klines(
    symbol: Option<&str>,
    interval: Option<&str>,
    limit: default!(Option<i32>, 100),
    include_open: default!(Option<bool>, true),
    before: default!(Option<TimestampWithTimeZone>, "NULL"),
    missing_ok: default!(Option<bool>, false),
) -> Result<
    TableIterator<
        'static,
        (
            name!(open_time, Option<TimestampWithTimeZone>),
            name!(open, f64),
            name!(high, f64),
            name!(low, f64),
            name!(close, f64),
            name!(volume, f64),
            name!(close_time, Option<TimestampWithTimeZone>),
            name!(quote_volume, f64),
            name!(trades, i64),
            name!(taker_buy_volume, f64),
            name!(taker_buy_quote_volume, f64),
            name!(is_closed, bool),
        ),
    >,
    ErrorReport,
> {
    let limit = checked_limit(limit)?;
    let include_open = required("include_open", include_open)?;
    let missing_ok = required("missing_ok", missing_ok)?;
    let asked = match Asked::new(symbol, interval) {
        Err(Error::UnknownSymbol(_)) if missing_ok => return Ok(TableIterator::empty()),
        other => other?,
    };
    let klines =
        asked.store.last(asked.series, limit, include_open, before.map(millis)).map_err(|error| asked.error(error))?;
    Ok(TableIterator::new(klines.into_iter().map(move |kline| row(asked.interval, &kline))))
}

/// The newest `limit` closing prices of a series, oldest first, closed klines only.
#[pg_extern(stable, parallel_safe)]
fn vyx_closes(symbol: Option<&str>, interval: Option<&str>, limit: Option<i32>) -> Result<Vec<f64>, ErrorReport> {
    let limit = checked_limit(limit)?;
    let asked = Asked::new(symbol, interval)?;
    Ok(asked.store.closes(asked.series, limit).map_err(|error| asked.error(error))?)
}

/// The newest `limit` klines as arrays, oldest first: open times in Unix seconds, open, high, low, close, volume.
#[pg_extern(stable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn vyx_columns(
    symbol: Option<&str>,
    interval: Option<&str>,
    limit: Option<i32>,
    include_open: default!(Option<bool>, false),
) -> Result<
    TableIterator<
        'static,
        (
            name!(t, Vec<i64>),
            name!(o, Vec<f64>),
            name!(h, Vec<f64>),
            name!(l, Vec<f64>),
            name!(c, Vec<f64>),
            name!(v, Vec<f64>),
        ),
    >,
    ErrorReport,
> {
    let limit = checked_limit(limit)?;
    let include_open = required("include_open", include_open)?;
    let asked = Asked::new(symbol, interval)?;
    let klines = asked.store.last(asked.series, limit, include_open, None).map_err(|error| asked.error(error))?;
    let column = |value: fn(&Kline) -> f64| klines.iter().map(value).collect::<Vec<_>>();
    Ok(TableIterator::once((
        klines.iter().map(|k| k.open_time.0.div_euclid(1_000)).collect(),
        column(|k| k.open),
        column(|k| k.high),
        column(|k| k.low),
        column(|k| k.close),
        column(|k| k.volume),
    )))
}

/// The newest kline of every symbol, open or closed; symbols without any are left out.
#[pg_extern(stable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn vyx_snapshot(
    interval: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(symbol, String),
            name!(open_time, Option<TimestampWithTimeZone>),
            name!(open, f64),
            name!(high, f64),
            name!(low, f64),
            name!(close, f64),
            name!(volume, f64),
            name!(close_time, Option<TimestampWithTimeZone>),
            name!(quote_volume, f64),
            name!(trades, i64),
            name!(taker_buy_volume, f64),
            name!(taker_buy_quote_volume, f64),
            name!(is_closed, bool),
        ),
    >,
    ErrorReport,
> {
    let interval = parse_interval(required("interval", interval)?)?;
    let store = shmem::store()?;
    if store.slots(interval) == 0 {
        return Err(Error::UntrackedInterval(interval).into());
    }
    let rows: Vec<_> = encoding::symbols(store)
        .filter_map(|entry| {
            let kline = store.newest(store.series(entry.id, interval)?).ok()?;
            let (open_time, o, h, l, c, v, close_time, qv, n, bv, bqv, closed) = row(interval, &kline);
            Some((entry.info.symbol.to_string(), open_time, o, h, l, c, v, close_time, qv, n, bv, bqv, closed))
        })
        .collect();
    Ok(TableIterator::new(rows))
}
