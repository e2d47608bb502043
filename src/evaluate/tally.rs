//! Counts that become true when their transaction commits: what is rolled back was never so.

use crate::shmem;
use pgrx::{PgSubXactCallbackEvent, PgXactCallbackEvent, pg_sys, register_subxact_callback, register_xact_callback};
use std::cell::RefCell;
use std::time::Duration;
use vyx_core::store::{Counter, Histogram};

/// Something to be counted.
#[derive(Clone, Copy, Debug)]
pub enum Tally {
    Add(Counter, u64),
    Observe(Histogram, Duration),
}

thread_local! {
    /// What this transaction has counted so far, with the subtransaction in which it did.
    static COUNTED: RefCell<Vec<(pg_sys::SubTransactionId, Tally)>> = const { RefCell::new(Vec::new()) };
}

/// Counts these when, and if, the current transaction commits.
pub fn at_commit(tallies: impl IntoIterator<Item = Tally>) {
    // Where nothing is preloaded there is nothing to count in.
    if shmem::store().is_err() {
        return;
    }
    let here = current_subtransaction();
    let is_first = COUNTED.with_borrow(Vec::is_empty);
    COUNTED.with_borrow_mut(|counted| counted.extend(tallies.into_iter().map(|tally| (here, tally))));
    if is_first {
        register_xact_callback(PgXactCallbackEvent::Commit, enter);
        register_xact_callback(PgXactCallbackEvent::Abort, forget);
        // Somebody else will commit it, or nobody.
        register_xact_callback(PgXactCallbackEvent::Prepare, forget);
        register_subxact_callback(PgSubXactCallbackEvent::AbortSub, forget_from);
    }
}

/// Runs after the commit, where nothing may fail.
fn enter() {
    let counted = COUNTED.take();
    let Ok(store) = shmem::store() else { return };
    for (_, tally) in counted {
        match tally {
            Tally::Add(counter, n) => store.add(counter, n),
            Tally::Observe(histogram, duration) => store.observe(histogram, duration),
        }
    }
}

fn forget() {
    COUNTED.take();
}

/// Subtransactions are numbered as they begin, so those within this one have higher numbers; and none has begun after it
/// but within it.
fn forget_from(aborted: pg_sys::SubTransactionId, _parent: pg_sys::SubTransactionId) {
    COUNTED.with_borrow_mut(|counted| counted.retain(|(made_in, _)| *made_in < aborted));
}

#[allow(unsafe_code)]
fn current_subtransaction() -> pg_sys::SubTransactionId {
    // SAFETY: reads a number of the transaction that the caller is in.
    unsafe { pg_sys::GetCurrentSubTransactionId() }
}
