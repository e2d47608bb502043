//! Triggers that count what evaluation writes; they are attached in sql/metrics.sql.

use crate::evaluate::tally::{Tally, at_commit};
use pgrx::heap_tuple::PgHeapTuple;
use pgrx::prelude::*;
use pgrx::{AllocatedByPostgres, WhoAllocated, pg_sys};
use std::time::Duration;
use vyx_core::store::{Counter, Histogram};

/// Columns of `vyx.cycles` that only ever rise.
const COUNTED: [(&str, Counter); 14] = [
    ("matched", Counter::Matched),
    ("unmatched", Counter::Unmatched),
    ("not_ready", Counter::NotReady),
    ("failed", Counter::Failed),
    ("resting", Counter::Resting),
    ("fired", Counter::Fired),
    ("suppressed_cooldown", Counter::SuppressedCooldown),
    ("suppressed_lag", Counter::SuppressedLag),
    ("suppressed_quota", Counter::SuppressedQuota),
    ("shadowed", Counter::Shadowed),
    ("duplicates", Counter::Duplicates),
    ("series", Counter::SeriesEvaluated),
    ("late", Counter::SeriesLate),
    ("absent", Counter::SeriesAbsent),
];

type Answer<'a> = Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError>;

/// Counts what a row of `vyx.cycles` has gained. What happens after the row was written has no answer.
#[pg_trigger(sql = false)]
fn count_cycle<'a>(trigger: &'a PgTrigger<'a>) -> Answer<'a> {
    let (Some(new), old) = (trigger.new(), trigger.old()) else { return Ok(None) };
    let gained = |column| number(&new, column) - old.as_ref().map_or(0.0, |old| number(old, column));
    let mut tallies: Vec<Tally> = COUNTED
        .iter()
        .map(|(column, counter)| (gained(column), *counter))
        .filter(|(gained, _)| *gained > 0.0)
        .map(|(gained, counter)| Tally::Add(counter, gained as u64))
        .collect();
    let mut observe = |histogram, ms: f64| {
        let duration = Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default();
        tallies.push(Tally::Observe(histogram, duration));
    };
    let (evaluate, write) = (gained("evaluate_ms"), gained("write_ms"));
    if evaluate > 0.0 || gained("series") > 0.0 {
        observe(Histogram::Evaluate, evaluate);
        observe(Histogram::Lag, number(&new, "lag_ms"));
    }
    if write > 0.0 {
        observe(Histogram::Write, write);
    }
    if gained("wait_ms") > 0.0 {
        observe(Histogram::Wait, number(&new, "wait_ms"));
    }
    at_commit(tallies);
    Ok(None)
}

/// Counts the numbers that were drawn for signals, and the notification of them.
#[pg_trigger(sql = false)]
fn count_signals<'a>(trigger: &'a PgTrigger<'a>) -> Answer<'a> {
    let (Some(new), Some(old)) = (trigger.new(), trigger.old()) else { return Ok(None) };
    let word =
        if notification_queue_usage() < QUEUE_IS_FULL { Counter::Notifications } else { Counter::NotificationsSkipped };
    let signals = number(&new, "seq") - number(&old, "seq");
    at_commit([Tally::Add(Counter::Signals, signals.max(0.0) as u64), Tally::Add(word, 1)]);
    Ok(None)
}

/// From here on `vyx.commit_batch` does not notify.
pub const QUEUE_IS_FULL: f64 = 0.9;

/// How full the queue of notifications is, of 1.
#[allow(unsafe_code)]
pub fn notification_queue_usage() -> f64 {
    // SAFETY: the function takes no arguments and looks at shared memory under a lock of its own.
    unsafe { pgrx::direct_function_call(pg_sys::pg_notification_queue_usage, &[]) }.unwrap_or_default()
}

/// A number of whatever type; 0 where there is no such column, as before an update of the extension.
fn number<A: WhoAllocated>(row: &PgHeapTuple<'_, A>, column: &str) -> f64 {
    let whole = row.get_by_name::<i64>(column).ok().flatten().map(|n| n as f64);
    let whole = whole.or_else(|| row.get_by_name::<i32>(column).ok().flatten().map(f64::from));
    whole.or_else(|| row.get_by_name::<f64>(column).ok().flatten()).unwrap_or_default()
}
