//! Statistics of the last 24 hours.

use super::{find, parse_symbol, required, timestamp};
use crate::encoding;
use crate::shmem;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use vyx_core::{Symbol, Ticker};

type Row = (String, f64, f64, f64, f64, f64, f64, f64, f64, Option<TimestampWithTimeZone>);

fn row(symbol: &Symbol, ticker: &Ticker) -> Row {
    (
        symbol.to_string(),
        ticker.last_price,
        ticker.price_change(),
        ticker.price_change_percent(),
        ticker.open_price,
        ticker.high_price,
        ticker.low_price,
        ticker.volume,
        ticker.quote_volume,
        timestamp(ticker.event_time),
    )
}

/// The 24 h statistics of every symbol that has some.
#[pg_extern(stable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn vyx_tickers() -> Result<
    TableIterator<
        'static,
        (
            name!(symbol, String),
            name!(last_price, f64),
            name!(price_change, f64),
            name!(price_change_percent, f64),
            name!(open_price, f64),
            name!(high_price, f64),
            name!(low_price, f64),
            name!(volume, f64),
            name!(quote_volume, f64),
            name!(event_time, Option<TimestampWithTimeZone>),
        ),
    >,
    ErrorReport,
> {
    let store = shmem::store()?;
    let rows: Vec<_> =
        encoding::symbols(store).filter_map(|e| Some(row(&e.info.symbol, &store.ticker(e.id).ok()?))).collect();
    Ok(TableIterator::new(rows))
}

/// The 24 h statistics of one symbol; no row while none have arrived.
#[pg_extern(stable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn vyx_ticker(
    symbol: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(symbol, String),
            name!(last_price, f64),
            name!(price_change, f64),
            name!(price_change_percent, f64),
            name!(open_price, f64),
            name!(high_price, f64),
            name!(low_price, f64),
            name!(volume, f64),
            name!(quote_volume, f64),
            name!(event_time, Option<TimestampWithTimeZone>),
        ),
    >,
    ErrorReport,
> {
    let symbol = parse_symbol(required("symbol", symbol)?)?;
    let store = shmem::store()?;
    let id = find(&store, &symbol)?;
    Ok(TableIterator::new(store.ticker(id).ok().map(|ticker| row(&symbol, &ticker))))
}
