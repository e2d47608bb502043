//! Where a trader's rule holds now: a state, while signals tell of its beginnings.

use super::traders::compiled;
use super::{required, timestamp};
use crate::error::Error;
use crate::evaluate::market::StoreMarket;
use crate::evaluate::ready;
use crate::shmem;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::{JsonB, PgSqlErrorCode};
use serde::Deserialize;
use std::sync::Arc;
use uuid::Uuid;
use vyx_core::{Kline, Symbol};
use vyx_engine::wire::Mode;
use vyx_engine::{Engine, Outcome};

/// What decides where a trader looks, from its row.
#[derive(Deserialize)]
struct Trader {
    script: String,
    interval: String,
    symbols: Option<Vec<String>>,
    least: Option<f64>,
}

const TRADER: &str = r#"
SELECT jsonb_build_object('script', t.script, 'interval', t."interval", 'symbols', to_jsonb(t.symbols),
                          'least', t.min_quote_volume_24h)
FROM vyx.traders t WHERE t.id = $1"#;

impl Trader {
    /// `None` where there is none that the caller may see.
    fn read(id: pgrx::Uuid) -> Option<Trader> {
        let row = Spi::connect(|client| {
            let rows = client.select(TRADER, Some(1), &[DatumWithOid::from(id)])?;
            rows.into_iter().next().map_or(Ok(None), |row| row.get::<JsonB>(1))
        });
        let row = row.unwrap_or_else(|error: pgrx::spi::Error| error!("vyx cannot read its tables: {error}"));
        row.map(|JsonB(value)| serde_json::from_value(value).expect("built by the query"))
    }

    /// Whether it looks at the symbol at this candle.
    fn looks_at(&self, market: &StoreMarket, symbol: &Symbol, kline: &Kline, interval: vyx_core::Interval) -> bool {
        if self.symbols.as_ref().is_some_and(|symbols| symbols.iter().all(|name| name != symbol.as_str())) {
            return false;
        }
        let Some(least) = self.least else { return true };
        let time = interval.close_time(interval.ordinal(kline.open_time));
        let sum = ready::volume_interval(market).map(|summed| ready::quote_volume(market, symbol, summed, time));
        matches!(sum, Some(Ok(volume)) if volume >= least)
    }
}

/// The symbols on which a trader matches at their newest closed candle, with what a signal there would carry; whether it
/// runs or not. Its script, symbols and volume as they stand; `fire_on` and cooldown are about signals and do not matter. A
/// notice says how many symbols could not be judged. Owners see their own traders.
#[pg_extern(stable)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn vyx_matching(
    trader_id: Option<pgrx::Uuid>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(symbol, String),
            name!(open_time, Option<TimestampWithTimeZone>),
            name!(price, f64),
            name!(metadata, JsonB),
        ),
    >,
    ErrorReport,
> {
    let id = required("trader_id", trader_id)?;
    let trader = Trader::read(id).ok_or(Error::UnknownTrader(Uuid::from_bytes(*id)))?;
    let interval = super::parse_interval(&trader.interval)?;
    let store = shmem::store()?;
    if store.slots(interval) == 0 {
        return Err(Error::UntrackedInterval(interval).into());
    }
    let program = Arc::new(compiled(&trader.script, interval, Mode::Trader)?.program);
    let market = StoreMarket::new(store);
    let mut engine = Engine::new(interval);
    engine.set_programs(vec![(0, program)]).expect("compiled for this interval");
    let mut rows = Vec::new();
    let (mut asked, mut not_ready) = (0, 0);
    for (symbol, kline) in super::screen::newest(store, interval) {
        pgrx::check_for_interrupts!();
        let Some(kline) = kline else { continue };
        if !trader.looks_at(&market, &symbol, &kline, interval) {
            continue;
        }
        asked += 1;
        let outcomes = engine.evaluate(&market, std::slice::from_ref(&symbol), interval.ordinal(kline.open_time));
        let said = outcomes.now(0, 0);
        let fields: Vec<_> = match said {
            Outcome::Match => outcomes.fields(0, 0).collect(),
            _ => Vec::new(),
        };
        if market.take_failed() {
            return Err(Error::Busy(symbol.to_string(), interval).into());
        }
        match said {
            Outcome::Match => {
                let metadata: serde_json::Map<_, _> =
                    fields.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
                rows.push((symbol.to_string(), timestamp(kline.open_time), kline.close, JsonB(metadata.into())));
            }
            Outcome::NoMatch => {}
            Outcome::NotReady(_) | Outcome::Absent => not_ready += 1,
        }
    }
    if not_ready > 0 {
        let message = format!("{not_ready} of {asked} symbols are not ready");
        ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, message, "vyx")
            .set_hint("SELECT * FROM vyx_explain(trader_id, symbol) says what is missing.")
            .report(PgLogLevel::NOTICE);
    }
    Ok(TableIterator::new(rows))
}
