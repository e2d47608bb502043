//! Binance spot market data, from the socket to a [`Sink`].
//!
//! ```text
//!   directory ── time, exchangeInfo ──► Sink::universe ──► who is followed
//!   streams   ── plan ──► session (one WebSocket each) ──► wire ──► Sink::kline, Sink::ticker
//!   backfill  ── Sink::missing ──► rest ──► wire ──► Sink::history, Sink::begins
//! ```
//! Everything runs as futures of one task on a current-thread tokio runtime; nothing is spawned but hyper's connection
//! drivers. The crate knows no Postgres and reads no wall clock: *market time* is the largest time
//! the exchange has mentioned, and everything that concerns the transport (pings, staleness, backoff, budgets) goes by
//! tokio's monotonic clock. So a simulator may run the market at any speed.
#![forbid(unsafe_code)]

mod rest;
mod settings;
mod sink;
mod url;
pub mod wire;

pub use settings::{BadSettings, MIN_WEIGHT_BUDGET, Settings};
pub use sink::{Disconnect, Event, Level, Sink};
pub use url::{BadUrl, RestUrl, StreamUrl};

use std::convert::Infallible;
use tokio::sync::watch;

/// Follows the market until it is dropped. Needs a current-thread tokio runtime with time and I/O enabled; the future is not
/// `Send`. Dropping it closes every connection and leaves nothing behind.
pub async fn run(settings: watch::Receiver<Settings>, sink: &dyn Sink) -> Infallible {
    let _ = (settings, sink);
    std::future::pending().await
}
