//! The background workers: their registration and what they share.
//!
//! All are static: the postmaster starts them and starts them again a second after they end.

#![allow(unsafe_code)]

pub mod evaluate;
pub mod ingest;
pub(crate) mod runtime;

use crate::evaluate::Lane;
use pgrx::IntoDatum;
use pgrx::bgworkers::{BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::pg_sys;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vyx_core::Millis;

/// Soon enough that a restart costs no candle, late enough that a worker which fails at once is no busy loop.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// Registers the workers; called once, while libraries are preloaded.
pub fn register() {
    // Without a database connection it delays no DROP DATABASE, and it keeps the ring of a standby warm.
    BackgroundWorkerBuilder::new("vyx ingest")
        .set_type("vyx ingest")
        .set_library("vyx")
        .set_function("vyx_ingest_main")
        .enable_shmem_access(None)
        .set_start_time(BgWorkerStartTime::ConsistentState)
        .set_restart_time(Some(RESTART_AFTER))
        .load();
    for lane in [Lane::Prompt, Lane::Patient] {
        let name = evaluate::name(lane);
        BackgroundWorkerBuilder::new(name)
            .set_type(name)
            .set_library("vyx")
            .set_function("vyx_evaluate_main")
            .set_argument((lane as i16).into_datum())
            .enable_spi_access()
            // After the line above, which sets it too: on a standby nothing can be written.
            .set_start_time(BgWorkerStartTime::RecoveryFinished)
            .set_restart_time(Some(RESTART_AFTER))
            .load();
    }
}

/// Whether what is going on should end because this process is to end, or its statement to be cancelled. Other
/// interrupts are dealt with here.
pub fn must_stop() -> bool {
    // SAFETY: plain words of this process that its signal handlers set, read whole.
    let pending = |word: *const std::ffi::c_int| unsafe { word.read_volatile() != 0 };
    if !pending(&raw const pg_sys::InterruptPending) {
        return false;
    }
    if pending(&raw const pg_sys::ProcDiePending) || pending(&raw const pg_sys::QueryCancelPending) {
        return true;
    }
    pgrx::check_for_interrupts!();
    false
}

/// Now by this machine's clock: for heartbeats and created_at alone, never for candles.
pub fn wall_time() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(since.as_millis() as i64)
}

/// Reads the configuration files again, as a worker must do by itself after SIGHUP.
fn reload_settings() {
    // SAFETY: called on the main thread of a worker, outside any transaction.
    unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) }
}

/// Ends this process so that the postmaster starts it again: after exit code 0 it never would.
fn leave() -> ! {
    // SAFETY: the last call of this process, on its main thread.
    unsafe { pg_sys::proc_exit(1) }
}
