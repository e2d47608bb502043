//! The kill switches: which worker is paused, and since when.
//!
//! The wish is a file in the data directory, which is where the server's processes work. That it is there is what counts,
//! so an administrator may lay an empty one there before a copied server starts; base backups take it along. What the
//! file says is in shared memory for workers and readers; the postmaster reads it again whenever it makes that memory
//! anew, after a crash too.

use crate::worker::wall_time;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use vyx_core::Millis;
use vyx_core::store::{Gauge, Store, WorkerKind};

/// Everyone who can be paused, by the word for it.
pub const WORKERS: [(&str, WorkerKind); 2] = [("ingest", WorkerKind::Ingest), ("evaluate", WorkerKind::Evaluate)];

const fn file(kind: WorkerKind) -> &'static str {
    match kind {
        WorkerKind::Ingest => "vyx.ingest.paused",
        WorkerKind::Evaluate | WorkerKind::EvaluatePatient => "vyx.evaluate.paused",
    }
}

const fn gauge(kind: WorkerKind) -> Gauge {
    match kind {
        WorkerKind::Ingest => Gauge::IngestPausedSince,
        WorkerKind::Evaluate | WorkerKind::EvaluatePatient => Gauge::EvaluatePausedSince,
    }
}

/// Since when, by this machine's clock, it is paused; `None` if it is not.
pub fn since(store: &Store<'static>, kind: WorkerKind) -> Option<Millis> {
    Some(Millis(store.gauge(gauge(kind)))).filter(|at| at.0 > 0)
}

/// Takes the wishes from their files into memory that is new.
pub fn restore(store: &Store<'static>) {
    for (_, kind) in WORKERS {
        store.set_gauge(gauge(kind), read(kind).map_or(0, |at| at.0));
    }
}

/// What cannot be read is a wish all the same: who paused a server does not want it to run because of that.
fn read(kind: WorkerKind) -> Option<Millis> {
    match fs::read_to_string(file(kind)) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(_) => Some(wall_time()),
        Ok(text) => {
            let written = text.trim().parse().ok().filter(|at: &i64| *at > 0);
            Some(written.map_or_else(wall_time, Millis))
        }
    }
}

/// Pauses a worker or lets it go on, on disk first; whether that changed anything.
///
/// # Errors
/// The wish cannot be written; everything is as before.
pub fn set(store: &Store<'static>, kind: WorkerKind, pause: bool) -> io::Result<bool> {
    let directory = File::open(".")?;
    // One at a time, or the file and the memory could end up with different words. The lock goes with the descriptor.
    directory.lock()?;
    if since(store, kind).is_some() == pause {
        return Ok(false);
    }
    let now = wall_time();
    if pause {
        let beside = format!("{}.new", file(kind));
        let mut new = File::create(&beside)?;
        new.write_all(now.0.to_string().as_bytes())?;
        new.sync_all()?;
        fs::rename(beside, file(kind))?;
    } else {
        match fs::remove_file(file(kind)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {} // taken away by hand is as good
        }
    }
    directory.sync_all()?;
    store.set_gauge(gauge(kind), if pause { now.0 } else { 0 });
    Ok(true)
}
