//! tokio inside a Postgres process: one thread, one runtime, in turns.

use std::convert::Infallible;
use std::future::Future;
use std::mem::MaybeUninit;
use std::panic::resume_unwind;
use std::ptr;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, LocalSet};

/// A task, and what it spawns, that runs on this thread while [`Turns::turn`] is called, and rests otherwise.
pub struct Turns {
    runtime: Runtime,
    local: LocalSet,
    task: JoinHandle<Infallible>,
}

impl Turns {
    pub fn of(task: impl Future<Output = Infallible> + 'static) -> std::io::Result<Turns> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let local = LocalSet::new();
        let task = local.spawn_local(task);
        Ok(Turns { runtime, local, task })
    }

    /// Lets the task run for this long. Its panic goes on here, since tokio would keep it to itself and leave a process
    /// that does nothing.
    ///
    /// Signals wait meanwhile: tokio starts helper threads (for name lookups), a signal may be delivered to any thread,
    /// and Postgres' handlers must run on the main one. The helpers inherit the blocked mask.
    pub fn turn(&mut self, length: Duration) {
        let blocked = BlockedSignals::new();
        let task = &mut self.task;
        let ended = self.local.block_on(&self.runtime, async { tokio::time::timeout(length, task).await });
        drop(blocked);
        if let Ok(Err(panic)) = ended {
            resume_unwind(panic.into_panic());
        }
    }
}

/// All signals are blocked on this thread while it lives.
struct BlockedSignals {
    before: libc::sigset_t,
}

impl BlockedSignals {
    fn new() -> BlockedSignals {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: both sets are written by the calls before they are read; SIG_BLOCK with a filled set cannot fail.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
            BlockedSignals { before: before.assume_init() }
        }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: `before` is the mask this thread had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, ptr::null_mut()) };
    }
}
