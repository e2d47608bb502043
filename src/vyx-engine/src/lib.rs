//! Programs and their evaluation.
//!
//! A trader's script was traced once into a [`Program`]: a graph of typed nodes. This crate says what each
//! node means and evaluates many programs at once, as columns over symbols. It sees columns of closed
//! candles and programs, nothing else: the same input gives the same outcomes, to the last bit, for ever.

#![forbid(unsafe_code)]

pub mod catalog;
pub mod check;
pub mod eval;
mod indicators;
pub mod market;
pub mod program;
pub mod wire;

pub use check::{Checked, ClockKey, ProgramError};
pub use eval::{Engine, NotReady, Outcome, Outcomes, Series, Value};
pub use market::{Candles, Held, Market};
pub use program::{Clock, Kind, Node, NodeId, Op, Program};
