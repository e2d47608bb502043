//! The doors to the kill switches.

use super::{required, timestamp};
use crate::error::Error;
use crate::{pause, shmem};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use vyx_core::store::WorkerKind;

/// Pauses `ingest` or `evaluate`, also across restarts; whether it ran before.
///
/// # Errors
/// A word for no worker, or a data directory that cannot be written.
#[pg_extern(volatile, parallel_unsafe)]
fn vyx_pause(worker: Option<&str>) -> Result<bool, ErrorReport> {
    set(worker, true)
}

/// Lets `ingest` or `evaluate` go on; whether it was paused.
///
/// # Errors
/// As for [`vyx_pause`].
#[pg_extern(volatile, parallel_unsafe)]
fn vyx_resume(worker: Option<&str>) -> Result<bool, ErrorReport> {
    set(worker, false)
}

/// Since when a worker is paused; NULL if it is not, and where vyx is not preloaded.
#[pg_extern(volatile, parallel_safe, schema = "vyx", requires = ["schema"])]
fn _paused_since(worker: &str) -> Result<Option<TimestampWithTimeZone>, ErrorReport> {
    let kind = kind(worker)?;
    Ok(shmem::store().ok().and_then(|store| pause::since(&store, kind)).and_then(timestamp))
}

fn set(worker: Option<&str>, paused: bool) -> Result<bool, ErrorReport> {
    let kind = kind(required("worker", worker)?)?;
    let store = shmem::store()?;
    let changed = pause::set(&store, kind, paused).map_err(Error::Pause)?;
    shmem::wake(&store, kind);
    Ok(changed)
}

fn kind(word: &str) -> Result<WorkerKind, Error> {
    let known = pause::WORKERS.iter().find(|(name, _)| *name == word);
    known.map(|(_, kind)| *kind).ok_or_else(|| Error::UnknownWorker(word.to_owned()))
}
