//! `vyx ingest`: carries the market from the exchange into shared memory.
//!
//! The process around `vyx-feed` and `vyx-ingest`: signals, settings, the log, turns to work in. No database, no SQL.

#![allow(unsafe_code)]

use super::runtime::Turns;
use super::{leave, reload_settings, wall_time};
use crate::{guc, pause, shmem};
use pgrx::bgworkers::{BackgroundWorker, SignalWakeFlags};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use vyx_core::Millis;
use vyx_core::store::snapshot::Header;
use vyx_core::store::{Store, WorkerBlock, WorkerKind};
use vyx_feed::{Level, Settings};
use vyx_ingest::{Loaded, Owner, SnapshotFile, StoreSink};

/// How long the tasks run between two looks at signals: a shutdown waits at most this long.
const TURN: Duration = Duration::from_millis(100);
/// How long the snapshot may take of a turn.
const SNAPSHOT_TURN: Duration = Duration::from_millis(4);
/// How long a shutdown waits for the last round of the snapshot.
const SNAPSHOT_FINISH: Duration = Duration::from_millis(300);
/// Between two looks at signals while a snapshot is read.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// In the data directory, which is where the server's processes work. Base backups, pg_rewind and checksum checks leave
/// files out whose names begin like this; the server itself removes such files only from directories of its own.
const SNAPSHOT_FILE: &str = "pgsql_tmp_vyx.snapshot";

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn vyx_ingest_main(_arg: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    let store = shmem::store().unwrap_or_else(|error| panic!("vyx ingest: {error:?}"));
    let worker = store.worker(WorkerKind::Ingest);
    worker.started(std::process::id() as i32, shmem::proc_number(), wall_time());

    let sink = Rc::new(StoreSink::new(store, Process { store }));
    let first = settings(&sink);
    let mut snapshot = SnapshotFile::new(SNAPSHOT_FILE, header(&first));
    if !restore(&mut snapshot, &sink, &worker) || !sit_out_pause(&sink, &worker) {
        worker.stopped();
        leave()
    }
    let (settings_sender, current) = watch::channel(first);
    let spoken_to = Rc::clone(&sink);
    let mut feed = Turns::of(async move { vyx_feed::run(current, &*spoken_to).await })
        .unwrap_or_else(|error| panic!("vyx ingest: no runtime: {error}"));

    // To be paused is to end: the next process reads the rings and waits, with no connection and no task left over.
    while BackgroundWorker::wait_latch(Some(Duration::ZERO)) && pause::since(&store, WorkerKind::Ingest).is_none() {
        if BackgroundWorker::sighup_received() {
            reload_settings();
            let new = settings(&sink);
            snapshot.set_header(header(&new));
            settings_sender.send_replace(new);
            sink.forget_trouble();
        }
        feed.turn(TURN);
        let written = snapshot.turn(sink.writer(), guc::snapshot_interval(), SNAPSHOT_TURN, wall_time());
        tell_failure(&sink, written);
        write_log(&sink);
        worker.heartbeat(wall_time());
    }
    if !guc::snapshot_interval().is_zero() {
        tell_failure(&sink, snapshot.finish(sink.writer(), SNAPSHOT_FINISH, wall_time()));
        write_log(&sink);
    }
    worker.stopped();
    leave()
}

/// This process, as the store's side sees it.
struct Process {
    store: Store<'static>,
}

impl Owner for Process {
    fn wake(&self) {
        shmem::wake(&self.store, WorkerKind::Evaluate);
    }

    fn wall_time(&self) -> Millis {
        wall_time()
    }
}

type Sink = StoreSink<'static, Process>;

/// The settings as they are now, with the intervals for which there is memory.
fn settings(sink: &Sink) -> Settings {
    Settings { intervals: sink.set_intervals(&guc::rings()), ..guc::feed() }
}

fn header(settings: &Settings) -> Header {
    // SAFETY: reads a number from the control file as the server has it in memory.
    Header::new(unsafe { pg_sys::GetSystemIdentifier() }, &settings.rest_url)
}

/// Brings back what the last snapshot has, if the memory is new; `false` when the process is to end meanwhile.
fn restore(snapshot: &mut SnapshotFile, sink: &Sink, worker: &WorkerBlock) -> bool {
    let store = sink.writer().store();
    if guc::snapshot_interval().is_zero() || store.symbols().next().is_some() {
        return true;
    }
    worker.set_state("reading the snapshot");
    let (start, mut looked_at, mut goes_on) = (Instant::now(), Instant::now(), true);
    let loaded = snapshot.load(sink.writer(), &mut || {
        if looked_at.elapsed() >= LOOK_EVERY {
            looked_at = Instant::now();
            worker.heartbeat(wall_time());
            goes_on = BackgroundWorker::wait_latch(Some(Duration::ZERO));
        }
        goes_on
    });
    match loaded {
        Loaded::Nothing => {}
        Loaded::Restored { klines, cut_off } => {
            let end = if cut_off { "; its last round was cut off and left out" } else { "" };
            log!("vyx ingest: a snapshot brought {klines} klines back in {:?}{end}", start.elapsed());
        }
        Loaded::Refused(why) if goes_on => {
            warning!("vyx ingest: the snapshot {SNAPSHOT_FILE} is not used: {why}; history is fetched anew");
        }
        Loaded::Refused(_) => {}
    }
    sink.forget_trouble();
    goes_on
}

/// Waits while ingest is paused; `false` when the process is to end meanwhile.
fn sit_out_pause(sink: &Sink, worker: &WorkerBlock) -> bool {
    let store = sink.writer().store();
    let mut goes_on = true;
    while goes_on && pause::since(&store, WorkerKind::Ingest).is_some() {
        worker.set_state("paused");
        worker.heartbeat(wall_time());
        goes_on = BackgroundWorker::wait_latch(Some(TURN));
    }
    sink.forget_trouble();
    goes_on
}

fn tell_failure(sink: &Sink, written: std::io::Result<()>) {
    if let Err(error) = written {
        sink.say(Level::Warning, format!("the snapshot {SNAPSHOT_FILE} cannot be written: {error}"));
    }
}

/// Hands the lines of this turn to the server log: here, where Postgres may be called.
fn write_log(sink: &Sink) {
    for (level, text) in sink.take_log() {
        match level {
            Level::Info => log!("vyx ingest: {text}"),
            Level::Warning | Level::Error => warning!("vyx ingest: {text}"),
        }
    }
}
