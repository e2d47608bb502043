//! Between the feed and the store: what the exchange says is kept, counted, told in words, and remembered over restarts.
//!
//! ```text
//!   vyx-feed ── Sink ──► StoreSink ──► vyx-core::Writer ──► shared memory
//!                                          │
//!                        SnapshotFile ◄────┘  closed klines, tickers, ledger, a little each turn
//! ```
//! Knows no Postgres: the process around it gives the memory, the wall clock, a way to wake whoever waits for closes, and
//! turns to work in. So the same code runs in a server's worker and under a simulated market.
#![forbid(unsafe_code)]

mod file;
mod sink;

pub use file::{Loaded, SnapshotFile};
pub use sink::{LogLine, Owner, StoreSink};
