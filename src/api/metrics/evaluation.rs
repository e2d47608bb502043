//! What the tables say of evaluation: they outlive the server, and are the truth about what was evaluated.

use super::Sample;
use crate::api::{millis, read_one, timestamp};
use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use vyx_core::store::Store;
use vyx_core::{Interval, Symbol};

/// Nothing where the extension has not been updated yet: the server may be the newer one of both.
pub fn samples(store: &Store<'static>) -> Vec<Sample> {
    let there = read_one::<bool>("SELECT pg_catalog.to_regprocedure('vyx.evaluation_state()') IS NOT NULL", &[]);
    if there != Ok(Some(true)) {
        return Vec::new();
    }
    let ask = "SELECT running, pending, dead_letters, skipped FROM vyx.evaluation_state()";
    let counts: [i64; 4] = Spi::connect(|client| {
        let row = client.select(ask, Some(1), &[])?.first();
        Ok::<_, pgrx::spi::Error>([1, 2, 3, 4].map(|column| row.get::<i64>(column).ok().flatten().unwrap_or_default()))
    })
    .unwrap_or_else(|error| error!("vyx cannot read its tables: {error}"));
    let [running, pending, dead_letters, skipped] = counts.map(|count| count as f64);
    let (due, lag) = due(store);
    vec![
        Sample::gauge("vyx_running_traders", running, "Traders that their owners have running."),
        Sample::gauge("vyx_due_series", due, "Series with a closed candle that has not been evaluated yet."),
        Sample::gauge(
            "vyx_due_lag_seconds",
            lag,
            "Market time since the oldest close that has not been evaluated yet; 0 if there is none.",
        ),
        Sample::gauge(
            "vyx_pending_evaluations",
            pending,
            "Evaluations put off because another symbol's data is missing.",
        ),
        Sample::gauge(
            "vyx_dead_letters",
            dead_letters,
            "Rows of vyx.failures: what could not be evaluated or written, folded by cause.",
        ),
        Sample::gauge(
            "vyx_skipped_candles",
            skipped,
            "Candles that were too old to be evaluated exactly when their turn came, ever.",
        ),
    ]
}

/// How many tracked series have closed further than they were evaluated, and how long the oldest of these closes is ago, in seconds.
fn due(store: &Store<'static>) -> (f64, f64) {
    let now = store.market_time();
    if now.0 <= 0 {
        return (0.0, 0.0);
    }
    let (intervals, closed): (Vec<String>, Vec<_>) = store
        .intervals()
        .filter_map(|interval| Some((interval.to_string(), timestamp(interval.close_time(interval.last_closed(now)))?)))
        .unzip();
    // Of a symbol that is followed no more, rows stay behind.
    let ask = "SELECT b.symbol, n.\"interval\", b.through
               FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS n(\"interval\", closed)
               CROSS JOIN LATERAL vyx.behind(n.\"interval\", n.closed) AS b";
    let args = [DatumWithOid::from(intervals), DatumWithOid::from(closed)];
    let mut count = 0;
    let mut oldest = now;
    let read = Spi::connect(|client| {
        for row in client.select(ask, None, &args)? {
            let (Some(symbol), Some(interval), Some(through)) =
                (row.get::<String>(1)?, row.get::<String>(2)?, row.get::<TimestampWithTimeZone>(3)?)
            else {
                continue;
            };
            let (Ok(symbol), Ok(interval)) = (Symbol::new(&symbol), interval.parse::<Interval>()) else { continue };
            if store.find(&symbol).is_none() {
                continue;
            }
            count += 1;
            oldest = oldest.min(interval.close_time(interval.last_closed(millis(through)) + 1));
        }
        Ok::<_, pgrx::spi::Error>(())
    });
    read.unwrap_or_else(|error| error!("vyx cannot read its tables: {error}"));
    (f64::from(count), (now.0 - oldest.0) as f64 / 1e3)
}
