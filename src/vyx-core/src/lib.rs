//! The vocabulary of the market and the memory that holds it: symbols, intervals, klines, tickers, and
//! the store that is laid over a piece of shared memory.
//!
//! Everything here is a function of its arguments: no Postgres, no clock, no I/O. Time comes in as
//! [`Millis`] of the exchange; memory comes in as a slice of atomic words.
#![forbid(unsafe_code)]

pub mod gap;
pub mod interval;
pub mod kline;
pub mod store;
pub mod symbol;
pub mod sync;
pub mod ticker;
pub mod time;

pub use gap::{Gap, GapReason, GapResolution};
pub use interval::Interval;
pub use kline::{Kline, Provenance};
pub use symbol::{Symbol, SymbolInfo, SymbolStatus};
pub use ticker::Ticker;
pub use time::Millis;
