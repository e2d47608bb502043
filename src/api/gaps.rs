//! What was missing, why, and what became of it.

use super::timestamp;
use crate::encoding::can_say;
use crate::shmem;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// The ledger of gaps, a row a run of klines that were or are missing, in the order in which they were found.
///
/// `resolved_at` and `resolution` are NULL while a gap is open. `from_open` and `to_open` are the open times of its first
/// and last kline, times of detection and resolution are market time.
#[pg_extern(stable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn vyx_gaps() -> Result<
    TableIterator<
        'static,
        (
            name!(symbol, String),
            name!(interval, &'static str),
            name!(from_open, Option<TimestampWithTimeZone>),
            name!(to_open, Option<TimestampWithTimeZone>),
            name!(klines, i64),
            name!(reason, &'static str),
            name!(detected_at, Option<TimestampWithTimeZone>),
            name!(resolved_at, Option<TimestampWithTimeZone>),
            name!(resolution, Option<&'static str>),
        ),
    >,
    ErrorReport,
> {
    let rows: Vec<_> = shmem::store()?
        .gap_ledger()
        .into_iter()
        .filter(|gap| can_say(&gap.symbol))
        .map(|gap| {
            (
                gap.symbol.to_string(),
                gap.interval.as_str(),
                timestamp(gap.interval.open_time(gap.from)),
                timestamp(gap.interval.open_time(gap.through)),
                gap.through - gap.from + 1,
                gap.reason.as_str(),
                timestamp(gap.detected_at),
                gap.resolved.and_then(|(_, at)| timestamp(at)),
                gap.resolved.map(|(how, _)| how.as_str()),
            )
        })
        .collect();
    Ok(TableIterator::new(rows))
}
