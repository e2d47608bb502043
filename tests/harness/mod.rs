//! What every test needs: a throw-away server, a session in it, a stage with an exchange, and the truth.

mod client;
mod cluster;
mod expect;
mod install;
mod invariants;
mod ledger;
mod play;
mod session;
mod stage;
mod truth;

pub use client::{Client, since};
pub use cluster::{Cluster, Stop, signal};
pub use expect::{MIXED, OWN, Rule, check as check_signals, save};
pub use install::{Install, succeed};
pub use invariants::check as check_invariants;
pub use ledger::{Gap, check_ledger, count, gaps};
pub use play::{HARMLESS, INTERRUPTION, MINUTE, Play, Row, SYMBOLS};
pub use session::{Session, millis};
pub use stage::{START, Stage};
pub use truth::{Truth, klines, market_time};

use std::time::{Duration, Instant};

/// How long a test waits for what must happen: debug builds on a busy machine are slow, and nothing waits this long
/// when it works.
pub const PATIENCE: Duration = Duration::from_secs(45);
/// Between two looks at a state that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks until there is something to see.
///
/// # Panics
/// With `what`, if that takes longer than `patience`.
#[track_caller]
pub fn until_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < patience, "not within {patience:?}: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// [`until_within`] the usual patience.
#[track_caller]
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look)
}
