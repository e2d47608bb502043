//! What is due, its outcomes, and the batch that is written. Knows neither who asked nor how scripts are compiled.
//!
//! A candle of a symbol is *due* when every tracked series of the symbol whose candle closes at the same time is settled
//! (held closed, or confirmed absent), and the history of what is read is complete. Until then it waits, and everything
//! after it in its series. Where another symbol's data is missing for longer than `vyx.close_grace`, the versions that
//! read it are put off (`vyx.pending`) and the rest is evaluated.

mod batch;
mod close;
mod evaluator;
mod isolate;
pub mod market;
mod pending;
pub mod ready;
mod said;
mod signal;
mod tables;
pub mod tally;
mod version;
mod work;

pub use batch::Batch;
#[cfg(any(test, feature = "pg_test"))]
pub use batch::{Pair, Signal};
pub use evaluator::{Evaluator, Request};
#[cfg(any(test, feature = "pg_test"))]
pub use signal::id as signal_id;
pub use version::Lane;
