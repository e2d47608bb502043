//! The one place where references are made from Postgres' shared memory.
//!
//! The segment is sized by settings, reserved in the request hook and laid out by `vyx-core` in the startup hook. What
//! leaves this room is a [`Store`]: typed views over atomic words. Knows no SQL.

#![allow(unsafe_code)]

use crate::error::Error;
use crate::{guc, pause};
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use vyx_core::store::{Shape, Store, WorkerKind};

const NAME: &std::ffi::CStr = c"vyx";

/// Where the segment lies in this process: set by the startup hook in the postmaster, inherited by every child.
static SEGMENT: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
static WORDS: AtomicUsize = AtomicUsize::new(0);

/// Whether the server is reading shared_preload_libraries: the only time when memory and workers can be asked for.
/// False under pg_upgrade, where nothing may be fetched or evaluated.
pub fn preloading() -> bool {
    // SAFETY: both are plain flags that the postmaster has set before it loads a library.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress && !pg_sys::IsBinaryUpgrade }
}

static mut PREVIOUS_REQUEST_HOOK: pg_sys::shmem_request_hook_type = None;
static mut PREVIOUS_STARTUP_HOOK: pg_sys::shmem_startup_hook_type = None;

/// Asks for the segment: the size at the time of the request hook, the layout at that of the startup hook.
pub fn reserve() {
    // SAFETY: the postmaster has one thread and calls `_PG_init` once; the hooks are chained as Postgres asks.
    unsafe {
        PREVIOUS_REQUEST_HOOK = pg_sys::shmem_request_hook;
        pg_sys::shmem_request_hook = Some(on_request);
        PREVIOUS_STARTUP_HOOK = pg_sys::shmem_startup_hook;
        pg_sys::shmem_startup_hook = Some(on_startup);
    }
}

/// The shape the settings ask for. What cannot be laid out ends the start of the server with a word on why.
fn shape() -> Shape {
    guc::shape().unwrap_or_else(|why| {
        ErrorReport::new(
            PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
            format!("vyx cannot lay out its memory: {why}"),
            "vyx",
        )
        .set_hint("vyx.max_symbols, vyx.intervals and vyx.ring_size set its size.")
        .report(PgLogLevel::FATAL);
        unreachable!("FATAL ends the process")
    })
}

/// Bytes of the segment; a store wants its words on a cache line.
fn bytes(shape: &Shape) -> usize {
    shape.words() * size_of::<AtomicU64>() + CACHE_LINE
}

const CACHE_LINE: usize = 64;

#[pg_guard]
unsafe extern "C-unwind" fn on_request() {
    // SAFETY: called by the postmaster as shmem_request_hook, where both calls are allowed.
    unsafe {
        if let Some(previous) = PREVIOUS_REQUEST_HOOK {
            previous();
        }
        pg_sys::RequestAddinShmemSpace(bytes(&shape()));
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_startup() {
    /// The place of AddinShmemInitLock in MainLWLockArray, from storage/lwlocknames.h of PostgreSQL 15.
    const ADDIN_SHMEM_INIT_LOCK: usize = 21;
    // SAFETY: called by the postmaster as shmem_startup_hook. `ShmemInitStruct` gives the bytes asked for, that live as long
    // as the server, zeroed by the kernel because the segment is a fresh mapping at every (re)start; a multiple of the
    // cache line above their begin there is room for all words. Only atomics are ever made of them.
    unsafe {
        if let Some(previous) = PREVIOUS_STARTUP_HOOK {
            previous();
        }
        let shape = shape();
        let lock = &raw mut (*pg_sys::MainLWLockArray.add(ADDIN_SHMEM_INIT_LOCK)).lock;
        pg_sys::LWLockAcquire(lock, pg_sys::LWLockMode::LW_EXCLUSIVE);
        let mut found = false;
        let begin = pg_sys::ShmemInitStruct(NAME.as_ptr(), bytes(&shape), &mut found).cast::<u8>();
        let aligned = begin.add(begin.align_offset(CACHE_LINE)).cast::<AtomicU64>();
        if !found {
            let words = std::slice::from_raw_parts(aligned, shape.words());
            pause::restore(&Store::initialize(words, &shape).expect("the area has the shape's size"));
        }
        pg_sys::LWLockRelease(lock);
        WORDS.store(shape.words(), Ordering::Relaxed);
        SEGMENT.store(aligned, Ordering::Release);
    }
}

/// The store in shared memory.
///
/// # Errors
/// [`Error::NotPreloaded`] where there is none, [`Error::Layout`] where another version of vyx laid it out.
pub fn store() -> Result<Store<'static>, Error> {
    let words = SEGMENT.load(Ordering::Acquire);
    if words.is_null() {
        return Err(Error::NotPreloaded);
    }
    // SAFETY: `on_startup` published pointer and length together, before this process was forked; the memory lives as
    // long as the server and holds atomics only.
    let words = unsafe { std::slice::from_raw_parts(words, WORDS.load(Ordering::Relaxed)) };
    Store::attach(words).map_err(Error::Layout)
}

/// The server's number for this process, by which [`wake`] finds its latch.
pub fn proc_number() -> i64 {
    // SAFETY: MyProc is this process' own entry, valid from InitProcess to exit.
    i64::from(unsafe { (*pg_sys::MyProc).pgprocno })
}

/// Wakes a worker; nothing happens when there is none. A worker that has just died may leave its number behind: then
/// whoever has the place now wakes once for nothing, which every waiter allows for.
pub fn wake(store: &Store<'static>, kind: WorkerKind) {
    let Some(number) = store.worker(kind).status().map(|worker| worker.proc_number) else { return };
    // SAFETY: ProcGlobal lives as long as the server, its array has allProcCount entries, and a latch in it may be set
    // by any process at any time.
    unsafe {
        let all = &*pg_sys::ProcGlobal;
        if (0..i64::from(all.allProcCount)).contains(&number) {
            pg_sys::SetLatch(&raw mut (*all.allProcs.add(number as usize)).procLatch);
        }
    }
}
