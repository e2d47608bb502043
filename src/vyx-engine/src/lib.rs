//! Programs and their evaluation.
//!
//! A trader's script was traced once into a [`Program`]: a graph of typed nodes. This crate says what each
//! node means and evaluates many programs at once, as columns over symbols. It sees columns of closed
//! candles and programs, nothing else: the same input gives the same outcomes, to the last bit, for ever.
//!
//! - [`program`]: the graph as data; [`check`] makes a [`Checked`] of it, the only kind that is evaluated.
//! - [`catalog`]: the functions that keep state; each is declared beside its arithmetic in `indicators`.
//! - [`listing`]: the catalog as users see it.
//! - [`market`]: what is seen of the market, and how far back a candle's history goes.
//! - [`eval`]: what values mean, and the [`Engine`] that has them cheaply; [`Replay`] for questions about the past.
//! - [`print`]: a program as its reader would write it.
//! - [`wire`]: what is said to the compiler process.

#![forbid(unsafe_code)]

pub mod catalog;
pub mod check;
pub mod eval;
mod indicators;
pub mod listing;
pub mod market;
pub mod print;
pub mod program;
pub mod wire;

pub use check::{Checked, ClockKey, ProgramError};
pub use eval::{Engine, NotReady, Outcome, Outcomes, Replay, Series, Sifted, Stopped, Value};
pub use market::{Candles, Held, Market};
pub use program::{Clock, Kind, Node, NodeId, Op, Program};
