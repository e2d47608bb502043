//! How vyx is doing, in one row, and which vyx it is.

#![allow(unsafe_code)]

use super::{read_one, timestamp};
use crate::evaluate::Lane;
use crate::worker::{evaluate, wall_time};
use crate::{guc, pause, shmem};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use vyx_core::Millis;
use vyx_core::store::{Counter, Gauge, Store, WorkerKind, WorkerStatus};

/// A worker that has not reported for so long is stuck or gone: it reports ten times a second.
const HEARTBEAT_OVERDUE: Millis = Millis(10_000);

/// The state of the whole, worst news first.
///
/// `down`: no market data arrives. `degraded`: something is missing and is being repaired, or a worker is. `ok`: neither.
pub fn assess(store: &Store<'static>, now: Millis) -> (&'static str, String) {
    let overdue = |worker: &WorkerStatus| now.0 - worker.heartbeat.0 > HEARTBEAT_OVERDUE.0;
    let gauge = |gauge| store.gauge(gauge);
    if let Some(paused) = paused(store) {
        return paused;
    }
    let ingest = match store.worker(WorkerKind::Ingest).status() {
        None => return ("down", format!("vyx ingest is not running: {}", why_absent())),
        Some(worker) if overdue(&worker) => {
            return (
                "down",
                format!(
                    "vyx ingest (pid {}) has not reported since {} s",
                    worker.pid,
                    (now.0 - worker.heartbeat.0) / 1_000
                ),
            );
        }
        Some(worker) => worker,
    };
    if gauge(Gauge::Connections) == 0 {
        return ("down", format!("no connection to the exchange: {}", ingest.state));
    }
    for lane in [Lane::Prompt, Lane::Patient] {
        let name = evaluate::name(lane);
        match store.worker(evaluate::kind(lane)).status() {
            _ if !guc::evaluate_worker() => {}
            Some(worker) if !overdue(&worker) && worker.state == evaluate::WELL => {}
            Some(worker) if !overdue(&worker) => return ("degraded", format!("{name}: {}", worker.state)),
            None if recovering() => {} // where nothing can be written, nobody evaluates
            _ => {
                let why = why_absent();
                return ("degraded", format!("{name} is not running, signals wait for CALL vyx_evaluate(): {why}"));
            }
        }
    }
    let (subscribed, wanted) = (gauge(Gauge::Streams), gauge(Gauge::StreamsWanted));
    if subscribed < wanted {
        return ("degraded", format!("{subscribed} of {wanted} streams are subscribed"));
    }
    let (done, total) = (gauge(Gauge::BackfillDone), gauge(Gauge::BackfillTotal));
    if total == 0 {
        return ("degraded", "the series have not been looked at yet".into());
    }
    if done < total {
        let left = gauge(Gauge::BackfillSeconds);
        return (
            "degraded",
            format!("history is being filled: {done} of {total} series are complete, about {left} s are left"),
        );
    }
    match (gauge(Gauge::SymbolsLeftOut), gauge(Gauge::IntervalsLeftOut)) {
        (0, 0) => {}
        (0, left_out) => {
            let remedy = "raise vyx.max_intervals and restart the server";
            return ("degraded", format!("no memory was reserved for {left_out} of vyx.intervals: {remedy}"));
        }
        (left_out, _) => {
            let remedy = "raise vyx.max_symbols, or check vyx.symbols";
            return ("degraded", format!("{left_out} symbols found no place: {remedy}"));
        }
    }
    if let Some(publication) = unpublished() {
        let remedy = format!("SELECT vyx_publish('{publication}')");
        return ("degraded", format!("publication \"{publication}\" has lost vyx.signals, as by a restore: {remedy}"));
    }
    match store.quiet_series() {
        0 => ("ok", "every series is followed".into()),
        quiet => ("ok", format!("every series is followed; {quiet} are quiet, connected and with nothing to say")),
    }
}

/// The state where somebody has paused a worker, which explains whatever else is missing.
fn paused(store: &Store<'static>) -> Option<(&'static str, String)> {
    let since = |kind| {
        let at = timestamp(pause::since(store, kind)?)?;
        Some(at.to_iso_string_with_timezone("UTC").unwrap_or_else(|_| at.to_iso_string()))
    };
    let ingest = since(WorkerKind::Ingest)
        .map(|since| format!("market data is paused since {since}: SELECT vyx_resume('ingest')"));
    let evaluate = since(WorkerKind::Evaluate)
        .map(|since| format!("evaluation is paused since {since}: SELECT vyx_resume('evaluate')"));
    let status = if ingest.is_some() { "down" } else { "degraded" };
    let reasons: Vec<String> = ingest.into_iter().chain(evaluate).collect();
    (!reasons.is_empty()).then(|| (status, reasons.join("; ")))
}

/// A publication that signals were carried by and are no more. None where the extension has not been updated yet: the server
/// may be the newer one of both.
fn unpublished() -> Option<String> {
    let one = |sql| read_one::<String>(sql, &[]).unwrap_or_else(|error| error!("vyx cannot read its tables: {error}"));
    one("SELECT pg_catalog.to_regprocedure('vyx.unpublished()')::pg_catalog.text")?;
    one("SELECT vyx.unpublished()")
}

/// Why a worker that should be there is not, as far as it can be told from here.
fn why_absent() -> String {
    // SAFETY: an integer setting that is fixed when the server starts.
    let processes = unsafe { pg_sys::max_worker_processes };
    format!("see the server log; it needs a place of its own among the {processes} of max_worker_processes")
}

fn recovering() -> bool {
    // SAFETY: looks at shared memory that lives as long as the server.
    unsafe { pg_sys::RecoveryInProgress() }
}

/// One row on the state of vyx: status and reason in words, workers, connections, counters, progress.
///
/// New columns come last: after an update the declaration of before still finds its own in their places.
///
/// `skew_ms` is the exchange's clock minus this machine's; `used_weight` of the exchange's current minute;
/// `series_complete` of `series_total` have all the history that is kept, the rest in about `seconds_left`; `gaps_open` are the
/// rows of `vyx_gaps()` without a resolution; `snapshot_time` is when the snapshot was last written, by this machine's clock.
#[pg_extern(stable, parallel_safe)]
#[allow(clippy::type_complexity, clippy::result_large_err)]
fn vyx_health() -> Result<
    TableIterator<
        'static,
        (
            name!(status, &'static str),
            name!(reason, String),
            name!(market_time, Option<TimestampWithTimeZone>),
            name!(symbols, i64),
            name!(connections, i64),
            name!(streams, i64),
            name!(streams_wanted, i64),
            name!(series_complete, i64),
            name!(series_total, i64),
            name!(messages, i64),
            name!(closes, i64),
            name!(reconnects, i64),
            name!(dropped, i64),
            name!(bad_frames, i64),
            name!(refused_klines, i64),
            name!(used_weight, i64),
            name!(skew_ms, i64),
            name!(ingest_pid, Option<i32>),
            name!(ingest_heartbeat, Option<TimestampWithTimeZone>),
            name!(evaluate_pid, Option<i32>),
            name!(evaluate_heartbeat, Option<TimestampWithTimeZone>),
            name!(snapshot_time, Option<TimestampWithTimeZone>),
            name!(seconds_left, i64),
            name!(gaps_open, i64),
        ),
    >,
    ErrorReport,
> {
    let store = shmem::store()?;
    let (status, reason) = assess(&store, wall_time());
    let count = |counter| store.count(counter) as i64;
    let gauge = |gauge| store.gauge(gauge);
    let ingest = store.worker(WorkerKind::Ingest).status();
    let evaluate = store.worker(WorkerKind::Evaluate).status();
    let heartbeat = |worker: &Option<WorkerStatus>| worker.as_ref().and_then(|worker| timestamp(worker.heartbeat));
    let market_time = store.market_time();
    Ok(TableIterator::once((
        status,
        reason,
        (market_time.0 > 0).then_some(market_time).and_then(timestamp),
        store.symbols().count() as i64,
        gauge(Gauge::Connections),
        gauge(Gauge::Streams),
        gauge(Gauge::StreamsWanted),
        gauge(Gauge::BackfillDone),
        gauge(Gauge::BackfillTotal),
        count(Counter::Messages),
        count(Counter::Closes),
        count(Counter::Reconnects),
        count(Counter::Dropped),
        count(Counter::BadFrames),
        count(Counter::RefusedKlines),
        gauge(Gauge::UsedWeight),
        gauge(Gauge::SkewMs),
        ingest.as_ref().map(|worker| worker.pid),
        heartbeat(&ingest),
        evaluate.as_ref().map(|worker| worker.pid),
        heartbeat(&evaluate),
        Some(Millis(gauge(Gauge::SnapshotTime))).filter(|at| at.0 > 0).and_then(timestamp),
        gauge(Gauge::BackfillSeconds),
        store.open_gaps() as i64,
    )))
}

/// The version of the library that is loaded, which an update on disk does not change.
#[pg_extern(immutable, parallel_safe)]
fn vyx_version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
