//! `vyx evaluate`: evaluates at once what closes, and writes the signals. `vyx evaluate patient` does the same for the
//! traders of the second lane, at a lower priority.
//!
//! Reads, evaluates outside of any transaction, writes; asks `evaluate` what is due and knows nothing of it.

#![allow(unsafe_code)]

use super::{leave, reload_settings, wall_time};
use crate::evaluate::{Batch, Evaluator, Lane, Request};
use crate::{guc, installed, pause, shmem};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};
use vyx_core::store::{Gauge, Store, WorkerKind};

/// How often it reports that it is alive, and looks whether something is due by time alone.
const TURN: Duration = Duration::from_millis(200);
/// What closes comes in bursts: it is evaluated when so long nothing more has come, so that all of it is written at once …
const LULL: Duration = Duration::from_micros(400);
/// … but for a burst that lasts longer than this. The word of a signal is later by as much at most.
const LONGEST_BURST: Duration = Duration::from_millis(5);
/// How often it looks for tables that were not there, or that it may not write.
const RETRY: Duration = Duration::from_secs(1);
/// How often it looks for what has to be done now and then.
const MAINTAIN_EVERY: Duration = Duration::from_secs(1);
/// The same while closes leave no pause.
const MAINTAIN_AT_LATEST: Duration = Duration::from_secs(10);
/// The longest pause after errors that follow one another, and between attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Locks that others hold for longer than this are said: somebody who changes a table may well take a second or two.
const LONG_LOCKED: Duration = Duration::from_secs(5);

/// The tables of vyx, but for vyx.traders, which a tenant can lock as a whole.
pub const TABLES: [&CStr; 20] = [
    c"writer",
    c"watermarks",
    c"trader_versions",
    c"tenants",
    c"tiers",
    c"signals",
    c"shadow_signals",
    c"delivered",
    c"cycles",
    c"pending",
    c"failures",
    c"resting",
    c"tallies",
    c"epochs",
    c"usage",
    c"reviews",
    c"retries",
    c"forgotten",
    c"chores",
    c"published",
];

/// Its state where nothing is wrong; any other says what is.
pub const WELL: &str = "waiting for closes";

// Postgres' own handlers, as plain symbols: pgrx' bindings of them are wrapped and are no signal handlers.
unsafe extern "C-unwind" {
    fn die(signal: i32);
    fn SignalHandlerForConfigReload(signal: i32);
}

/// The process of a lane.
pub fn name(lane: Lane) -> &'static str {
    match lane {
        Lane::Prompt => "vyx evaluate",
        Lane::Patient => "vyx evaluate patient",
    }
}

pub fn kind(lane: Lane) -> WorkerKind {
    match lane {
        Lane::Prompt => WorkerKind::Evaluate,
        Lane::Patient => WorkerKind::EvaluatePatient,
    }
}

/// How much lower the priority of the second lane is: beside a process of the first one it gets a tenth of a core.
const NICE: i32 = 10;

thread_local! {
    /// The lane of this process.
    static LANE: Cell<Lane> = const { Cell::new(Lane::Prompt) };
}

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn vyx_evaluate_main(arg: pg_sys::Datum) {
    let lane = if arg.value() == 0 { Lane::Prompt } else { Lane::Patient };
    LANE.set(lane);
    // SAFETY: the first calls of a background worker, on its only thread. `die` ends the process in the midst of a
    // statement too, at its next look for interrupts; a flag of our own would wait for the statement's end.
    unsafe {
        pg_sys::pqsignal(pg_sys::SIGHUP as i32, Some(SignalHandlerForConfigReload));
        pg_sys::pqsignal(pg_sys::SIGTERM as i32, Some(die));
        pg_sys::BackgroundWorkerUnblockSignals();
        pg_sys::before_shmem_exit(Some(on_exit), pg_sys::Datum::null());
    }
    if lane == Lane::Patient {
        // SAFETY: of this process alone. Where it is refused, all that is lost is courtesy.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    }
    let store = shmem::store().unwrap_or_else(|error| panic!("vyx evaluate: {error:?}"));
    let block = store.worker(kind(lane));
    block.set_state("starting");
    block.started(std::process::id() as i32, shmem::proc_number(), wall_time());
    sit_out_pause(&store, lane);
    connect(&store, lane);
    pin_settings();
    let evaluator = Evaluator::default();
    Worker {
        store,
        lane,
        evaluator,
        seen: None,
        prepared: None,
        maintained: None,
        advised: None,
        failures: 0,
        locked: None,
        outdated: true,
    }
    .run()
}

#[pg_guard]
extern "C-unwind" fn on_exit(_code: i32, _arg: pg_sys::Datum) {
    if let Ok(store) = shmem::store() {
        store.worker(kind(LANE.get())).stopped();
    }
}

/// Connects to `vyx.database` as the bootstrap user. Where that is impossible the process ends, with a line in the log, and
/// is started again after a second: so each attempt waits longer than the one before.
fn connect(store: &Store<'static>, lane: Lane) {
    let block = store.worker(kind(lane));
    let attempts = store.gauge(Gauge::EvaluateConnects);
    let name = guc::database();
    if attempts > 0 {
        block.set_state(&format!("cannot connect to database \"{name}\": see the server log"));
        let until = Instant::now() + pause(attempts);
        while Instant::now() < until {
            wait(TURN);
            block.heartbeat(wall_time());
        }
    }
    store.set_gauge(Gauge::EvaluateConnects, attempts + 1);
    let database = CString::new(name).expect("a setting holds no NUL");
    // SAFETY: the library asked for a connection when it registered the worker; a null user is the bootstrap user.
    unsafe { pg_sys::BackgroundWorkerInitializeConnection(database.as_ptr(), std::ptr::null(), 0) };
    store.set_gauge(Gauge::EvaluateConnects, 0);
}

/// Waits while evaluation is paused: without a connection, so that the database can be dropped, renamed or copied.
fn sit_out_pause(store: &Store<'static>, lane: Lane) {
    let block = store.worker(kind(lane));
    while pause::since(store, WorkerKind::Evaluate).is_some() {
        block.set_state("paused");
        block.heartbeat(wall_time());
        wait(TURN);
    }
}

/// 1, 2, 4 … seconds after so many failures.
fn pause(failures: i64) -> Duration {
    RETRY.saturating_mul(1 << (failures.clamp(1, 16) - 1)).min(LONGEST_PAUSE)
}

/// Settings that a database or a role may have been given, and that its transactions must not depend on.
fn pin_settings() {
    const PINNED: [(&CStr, &CStr); 6] = [
        (c"search_path", c"pg_catalog, pg_temp"),
        (c"lock_timeout", c"1s"),
        (c"default_transaction_isolation", c"read committed"),
        (c"default_transaction_read_only", c"off"),
        (c"session_replication_role", c"origin"),
        (c"row_security", c"on"),
    ];
    for (name, value) in PINNED {
        // SAFETY: NUL-terminated texts; outside of a transaction these settings need no catalog.
        unsafe {
            pg_sys::SetConfigOption(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_SUSET,
                pg_sys::GucSource::PGC_S_SESSION,
            )
        }
    }
}

/// Waits until woken, and ends the process if it is to end.
fn wait(longest: Duration) {
    // SAFETY: MyLatch is this process' own.
    let events = unsafe {
        pg_sys::WaitLatch(
            pg_sys::MyLatch,
            (pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH) as i32,
            longest.as_millis() as i64,
            pg_sys::PG_WAIT_EXTENSION,
        )
    };
    if events & pg_sys::WL_LATCH_SET as i32 != 0 {
        // SAFETY: as above.
        unsafe { pg_sys::ResetLatch(pg_sys::MyLatch) };
    }
    pgrx::check_for_interrupts!();
}

/// Whether SIGHUP came since this was last asked.
fn take_reload_pending() -> bool {
    let pending = &raw mut pg_sys::ConfigReloadPending;
    // SAFETY: a plain word that the signal handler of this process sets, on this thread; read and written whole.
    unsafe {
        let was = pending.read_volatile() != 0;
        if was {
            pending.write_volatile(0); // before the files are read: a signal from here on asks anew
        }
        was
    }
}

/// What a turn came to.
enum Turn {
    /// Something was written: there may be more.
    Written,
    /// Something was prepared: there may be more.
    Prepared,
    /// Nothing is due until something closes, or until time has passed.
    Idle,
    /// It cannot evaluate, for this reason.
    Blocked(&'static str),
}

/// Why a turn came to nothing.
enum Trouble {
    /// Another session holds a lock that is in the way: as good as a race that was lost.
    Locked(String),
    /// The extension's SQL is of another version than this library; what is to be done.
    OtherVersion(String),
    Failed(String),
}

impl From<String> for Trouble {
    fn from(why: String) -> Trouble {
        Trouble::Failed(why)
    }
}

struct Worker {
    store: Store<'static>,
    lane: Lane,
    evaluator: Evaluator,
    /// There may be programs of another format: at the start, and where one has been read.
    outdated: bool,
    /// The store's count of closes before which everything was evaluated.
    seen: Option<u64>,
    /// The same for what the next candles need.
    prepared: Option<u64>,
    /// What was said last of another version, so that it is said once.
    advised: Option<String>,
    /// When there was nothing left to be done now and then.
    maintained: Option<Instant>,
    /// Turns that failed in a row.
    failures: i64,
    /// Since when every turn has found a lock in its way, and whether that was said.
    locked: Option<(Instant, bool)>,
}

impl Worker {
    fn run(mut self) -> ! {
        let block = self.store.worker(kind(self.lane));
        loop {
            if take_reload_pending() {
                reload_settings();
                self.seen = None;
            }
            self.leave_if_paused();
            block.heartbeat(wall_time());
            let longest = match self.turn() {
                Ok(Turn::Written | Turn::Prepared) => Duration::ZERO,
                Ok(Turn::Idle) => {
                    block.set_state(WELL);
                    TURN
                }
                Ok(Turn::Blocked(why)) => {
                    block.set_state(why);
                    RETRY
                }
                Err(Trouble::Locked(why)) => {
                    let (since, said) = self.locked.get_or_insert((Instant::now(), false));
                    if since.elapsed() >= LONG_LOCKED {
                        if !std::mem::replace(said, true) {
                            warning!("{}: {why}, for more than {} s", name(self.lane), LONG_LOCKED.as_secs());
                        }
                        block.set_state(&format!("locked out: {why}"));
                    }
                    self.rest(TURN);
                    continue;
                }
                Err(Trouble::OtherVersion(why)) => {
                    if self.advised.as_ref() != Some(&why) {
                        warning!("{} waits: {why}", name(self.lane));
                    }
                    block.set_state(&format!("waiting: {why}"));
                    self.advised = Some(why);
                    self.rest(RETRY);
                    continue;
                }
                Err(Trouble::Failed(why)) => {
                    self.failures += 1;
                    block.set_state(&format!("failed: {why}"));
                    self.rest(pause(self.failures));
                    continue;
                }
            };
            (self.failures, self.locked) = (0, None);
            wait(longest);
        }
    }

    /// To be paused is to end: the next process waits before it connects.
    fn leave_if_paused(&self) {
        if pause::since(&self.store, WorkerKind::Evaluate).is_some() {
            leave()
        }
    }

    fn rest(&self, length: Duration) {
        let until = Instant::now() + length;
        while Instant::now() < until {
            wait(TURN);
            self.leave_if_paused();
            self.store.worker(kind(self.lane)).heartbeat(wall_time());
        }
    }

    /// The store's count of closes, when no more come in for a moment.
    fn sit_out_burst(&self) -> u64 {
        let mut closes = self.store.close_sequence();
        if self.seen == Some(closes) {
            return closes;
        }
        let began = Instant::now();
        while began.elapsed() < LONGEST_BURST {
            std::thread::sleep(LULL);
            let before = std::mem::replace(&mut closes, self.store.close_sequence());
            if before == closes {
                break;
            }
        }
        closes
    }

    fn turn(&mut self) -> Result<Turn, Trouble> {
        // The first turn after a close is that of the first lane, which evaluates at the same time.
        let is_calm = self.seen == Some(self.store.close_sequence());
        let turn = self.evaluate()?;
        // In the second lane, where nobody minds a part of a second: adding up what thousands of traders used takes as long.
        if self.lane == Lane::Patient && !matches!(turn, Turn::Blocked(_)) && self.maintain(is_calm)? {
            return Ok(Turn::Prepared);
        }
        Ok(turn)
    }

    fn evaluate(&mut self) -> Result<Turn, Trouble> {
        if !guc::evaluate_worker() {
            return Ok(Turn::Blocked("off: vyx.evaluate_worker"));
        }
        // Before anything is read: what closes from here on is looked at in the next turn.
        let closes = self.sit_out_burst();
        if self.seen == Some(closes) && !self.evaluator.is_waiting() {
            return if self.prepared == Some(closes) { Ok(Turn::Idle) } else { self.prepare(closes) };
        }
        let request =
            Request { store: self.store, only: None, by: "worker", lane: self.lane, grace: guc::close_grace() };
        let evaluator = &mut self.evaluator;
        if let Some(settled) = transaction(settle)? {
            settled?;
        }
        if self.outdated {
            match transaction(upgrade)?.transpose()? {
                Some(done) if done > 0 => return Ok(Turn::Written), // there may be more
                _ => self.outdated = false,
            }
        }
        let tables = transaction(|| evaluator.read(request).map_err(|error| error.to_string()))?;
        let Some(tables) = tables else {
            return Ok(Turn::Blocked("idle: the extension is not created in this database"));
        };
        let tables = tables?;
        self.outdated = evaluator.is_outdated();
        // Taken out meanwhile: an error on the way leaves no evaluator behind that is half done.
        let mut evaluator = std::mem::take(&mut self.evaluator);
        let batch = guarded(|| evaluator.evaluate(request, &tables))?;
        self.evaluator = evaluator;
        let Some(batch) = batch else {
            self.evaluator.written(tables, None);
            self.seen = Some(closes);
            return Ok(Turn::Idle);
        };
        self.leave_if_paused(); // evaluating may have taken a while
        match transaction(|| commit(&batch))? {
            None => Ok(Turn::Blocked("idle: the extension is not created in this database")),
            Some(outcome) => match outcome?.as_str() {
                "idle" => {
                    self.seen = Some(closes);
                    Ok(Turn::Idle)
                }
                "written" => {
                    self.evaluator.written(tables, Some(&batch));
                    Ok(Turn::Written)
                }
                "foreign" => Ok(Turn::Blocked("silent: this cluster is a copy; SELECT vyx_adopt() lets it alert")),
                // Lost to another evaluator: read again.
                _ => Ok(Turn::Written),
            },
        }
    }
}

impl Worker {
    /// What has to be done now and then, a part at a time; whether there is more.
    fn maintain(&mut self, is_calm: bool) -> Result<bool, Trouble> {
        let wait = if is_calm { MAINTAIN_EVERY } else { MAINTAIN_AT_LATEST };
        if self.maintained.is_some_and(|at| at.elapsed() < wait) {
            return Ok(false);
        }
        let is_more = transaction(maintain)?.transpose()?.unwrap_or(false);
        if !is_more {
            self.maintained = Some(Instant::now());
        }
        Ok(is_more)
    }

    /// Nothing is due: time for what the next candles will need.
    fn prepare(&mut self, closes: u64) -> Result<Turn, Trouble> {
        let mut evaluator = std::mem::take(&mut self.evaluator);
        let is_more = guarded(|| evaluator.prepare(self.store, TURN / 4))?;
        self.evaluator = evaluator;
        if is_more {
            return Ok(Turn::Prepared);
        }
        self.prepared = Some(closes);
        Ok(Turn::Idle)
    }
}

/// Decides from when on new, changed and stopped traders count, in a transaction of its own: it may take the writer's lock.
fn settle() -> Result<(), String> {
    Spi::connect_mut(|client| client.update("SELECT vyx.settle_versions()", None, &[]).map(drop))
        .map_err(|error| error.to_string())
}

/// Does a part of what has to be done now and then; whether there is more.
fn maintain() -> Result<bool, String> {
    let more = Spi::connect_mut(|client| client.update("SELECT vyx.maintain()", None, &[])?.first().get_one::<bool>());
    Ok(more.map_err(|error| error.to_string())?.unwrap_or_default())
}

/// Compiles some programs of another format again; gives how many.
fn upgrade() -> Result<i32, String> {
    let done =
        Spi::connect_mut(|client| client.update("SELECT vyx.upgrade_programs()", None, &[])?.first().get_one::<i32>());
    Ok(done.map_err(|error| error.to_string())?.unwrap_or_default())
}

/// Writes a batch; gives what became of it.
fn commit(batch: &Batch) -> Result<String, String> {
    let args = [DatumWithOid::from(batch.to_text())];
    let outcome = Spi::connect_mut(|client| {
        client
            .update("SELECT c.outcome FROM vyx.commit_batch($1::pg_catalog.jsonb) c", None, &args)?
            .first()
            .get_one::<String>()
    });
    outcome.map_err(|error| error.to_string())?.ok_or_else(|| "commit_batch gave no outcome".to_owned())
}

/// Runs `body` in a transaction as vyx_owner, who has no rights but on vyx's tables, so that whatever a trigger or an
/// operator might do there is done without the bootstrap user's. `None` where the extension is not created.
///
/// Its tables are locked first, all or none and without waiting: who drops or alters them would otherwise wait for one
/// that this transaction has, and this transaction for one that he has.
///
/// # Errors
/// As for [`guarded`], and where the extension's SQL is of another version than this library.
fn transaction<T>(body: impl FnOnce() -> T) -> Result<Option<T>, Trouble> {
    let outcome = guarded(|| {
        // SAFETY: outside of any transaction, on the main thread; a snapshot is needed for SPI. The user is put back
        // before the commit, and by the abort.
        unsafe {
            report(pg_sys::BackendState::STATE_RUNNING);
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            let mut user = pg_sys::InvalidOid;
            let mut context = 0;
            pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
            let is_there = || pg_sys::get_extension_oid(c"vyx".as_ptr(), true) != pg_sys::InvalidOid;
            let is_free = !is_there() || lock_tables();
            // Asked again: whoever held the locks may have dropped it.
            let result = (is_free && is_there()).then(|| {
                let owner = pg_sys::get_role_oid(c"vyx_owner".as_ptr(), false);
                let restricted = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;
                pg_sys::SetUserIdAndSecContext(owner, context | restricted as i32);
                installed::mismatch()
                    .map_err(|error| error.to_string())?
                    .map_or_else(|| Ok(body()), |why| Err(Trouble::OtherVersion(why)))
            });
            pg_sys::SetUserIdAndSecContext(user, context);
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
            pg_sys::pgstat_report_stat(true);
            report(pg_sys::BackendState::STATE_IDLE);
            if is_free { result.transpose() } else { Err(Trouble::Locked("a table of vyx is locked".to_owned())) }
        }
    });
    outcome.and_then(|inner| inner)
}

/// Locks every table of [`TABLES`] that is there until the end of the transaction; `false` if somebody is in the way.
fn lock_tables() -> bool {
    // SAFETY: inside a transaction, on the main thread; names are NUL-terminated, and what is dropped meanwhile is as good
    // as never found.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"vyx".as_ptr(), true);
        TABLES.iter().all(|name| {
            let table = pg_sys::get_relname_relid(name.as_ptr(), schema);
            table == pg_sys::InvalidOid
                || pg_sys::ConditionalLockRelationOid(table, pg_sys::AccessShareLock as pg_sys::LOCKMODE)
        })
    }
}

/// Tells pg_stat_activity whether it works: a worker that says nothing shows no state.
fn report(state: pg_sys::BackendState::Type) {
    let name = match LANE.get() {
        Lane::Prompt => c"vyx evaluate",
        Lane::Patient => c"vyx evaluate patient",
    };
    // SAFETY: writes this process' own entry; the text is copied.
    unsafe { pg_sys::pgstat_report_activity(state, name.as_ptr()) }
}

/// Runs `body` and, where it fails, aborts its transaction: a worker that ended instead would start every second anew,
/// and fail again.
///
/// # Errors
/// The error or panic, which is written to the server log too; that of a lock only after many, by who counts them.
fn guarded<T>(body: impl FnOnce() -> T) -> Result<T, Trouble> {
    PgTryBuilder::new(AssertUnwindSafe(|| Ok(body())))
        .catch_others(|caught| {
            let (CaughtError::PostgresError(error)
            | CaughtError::ErrorReport(error)
            | CaughtError::RustPanic { ereport: error, .. }) = &caught;
            let why = error.message().to_owned();
            let is_lock = error.sql_error_code() == PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE;
            // SAFETY: the error was copied and flushed on its way here; aborting releases what a transaction held, and
            // does nothing outside of one.
            unsafe { pg_sys::AbortCurrentTransaction() };
            report(pg_sys::BackendState::STATE_IDLE);
            if is_lock {
                return Err(Trouble::Locked(why));
            }
            warning!("{}: {why}", name(LANE.get()));
            Err(Trouble::Failed(why))
        })
        .execute()
}
