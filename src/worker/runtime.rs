//! tokio inside a Postgres process: one thread, one runtime, in turns.

use std::future::Future;
use std::mem::MaybeUninit;
use std::ptr;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

/// Tasks that run on this thread while [`Tasks::turn`] is called, and rest otherwise.
pub struct Tasks {
    runtime: Runtime,
    local: LocalSet,
}

impl Tasks {
    pub fn new() -> std::io::Result<Tasks> {
        Ok(Tasks { runtime: Builder::new_current_thread().enable_all().build()?, local: LocalSet::new() })
    }

    /// Adds a task.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.local.spawn_local(task);
    }

    /// Lets the tasks run for this long.
    ///
    /// Signals wait meanwhile: tokio starts helper threads (for name lookups), a signal may be delivered to any thread,
    /// and Postgres' handlers must run on the main one. The helpers inherit the blocked mask.
    pub fn turn(&self, length: Duration) {
        let _blocked = BlockedSignals::new();
        self.local.block_on(&self.runtime, async { tokio::time::sleep(length).await });
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
