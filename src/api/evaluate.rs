//! The way into evaluation from SQL; its callers are in sql/evaluate.sql.

use super::{parse_interval, timestamp};
use crate::error::Error;
use crate::evaluate::{Evaluator, Lane, Request};
use crate::{guc, installed, pause, shmem};
use pgrx::JsonB;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::cell::Cell;
use vyx_core::Interval;
use vyx_core::store::{Store, WorkerKind};

/// Market time: the largest time seen from the exchange; NULL before the first, and where vyx is not preloaded.
#[pg_extern(stable, parallel_safe, schema = "vyx", requires = ["schema"])]
fn _market_time() -> Option<TimestampWithTimeZone> {
    let now = shmem::store().ok()?.market_time();
    (now.0 > 0).then_some(now).and_then(timestamp)
}

thread_local! {
    /// Between calls of one session, so that the candles of each call continue those of the one before. One a lane.
    static EVALUATORS: Cell<Option<[Evaluator; 2]>> = const { Cell::new(None) };
}

/// What is due and comes of it, as a batch for `vyx.commit_batch`; NULL when nothing is due, and while
/// evaluation is paused.
///
/// # Errors
/// An interval that does not exist or is not tracked; SQL of another version than the library.
#[pg_extern(stable, security_definer, schema = "vyx", requires = ["schema"])]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::result_large_err)]
fn _evaluate_batch(interval: Option<&str>) -> Result<Option<JsonB>, ErrorReport> {
    let store = shmem::store()?;
    if let Some(why) = installed::mismatch().unwrap_or_else(|error| error!("vyx cannot read its version: {error}")) {
        return Err(Error::OtherVersion(why).into());
    }
    let only = interval.map(|text| tracked(&store, text)).transpose()?;
    if pause::since(&store, WorkerKind::Evaluate).is_some() {
        return Ok(None);
    }
    // Taken out meanwhile: an error on the way leaves none behind that is half done.
    let mut evaluators = EVALUATORS.take().unwrap_or_default();
    let batch = [Lane::Prompt, Lane::Patient].into_iter().zip(&mut evaluators).find_map(|(lane, evaluator)| {
        let request = Request { store, only, by: "sql", lane, grace: guc::close_grace() };
        let tables = evaluator.read(request).unwrap_or_else(|error| error!("vyx cannot read its tables: {error}"));
        evaluator.evaluate(request, &tables)
    });
    EVALUATORS.set(Some(evaluators));
    Ok(batch.map(|batch| JsonB(batch.to_json())))
}

fn tracked(store: &Store<'static>, text: &str) -> Result<Interval, Error> {
    let interval = parse_interval(text)?;
    if store.slots(interval) == 0 { Err(Error::UntrackedInterval(interval)) } else { Ok(interval) }
}
