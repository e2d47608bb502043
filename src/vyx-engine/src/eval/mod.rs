//! Evaluation: what a node's value is, and how it is had cheaply.
//!
//! **Values.** A value is a number, a bool or a text, or it is *undecided*: `warming` (the history has too few candles)
//! or `undefined` (there is no such number). Infinity is a number. An operation on an undecided operand is undecided,
//! warming if one operand is; these differ:
//! - false decides `and`, true decides `or`, whatever the other side is;
//! - `select` takes the branch that the condition names, and nothing else of the other;
//! - `is_na` is always decided; `nz` puts a default in the place of what is undecided;
//! - a lag that reaches before the history's first candle is warming;
//! - a function of the catalog does not see a candle on which an input is undecided or infinite: its value there is
//!   undecided for the input's reason, and its state goes on as if the candle were not there.
//!
//! **History.** The value at candle T is made by streaming the candles from an anchor on a fixed grid
//! ([`crate::market::anchor`]) to T, so it is a function of those candles: the same live, after a restart, in a
//! backtest. Holes are not candles. Where the history is not all held, the outcome is `HistoryMissing`, never a value.
//! What a program says of the candle before T is what that candle's own history says.
//!
//! **Clocks.** A node of another clock is brought to the trader's candle as the newest value whose candle closed by
//! then. That candle's own history is used for all of T's history: previous candles of the trader read the same run.
//! When the other clock's history starts anew, so does all that stands on it.
//!
//! **Cost.** Equal nodes of all programs exist once. A symbol whose next candle continues its history takes one step;
//! all such symbols step together, as columns. Only a new anchor, a correction or a new node runs history again.

pub(crate) mod bank;
mod change;
mod clock;
mod exec;
mod kernel;
mod live;
mod outcome;
mod past;
mod plan;
mod prepare;
mod run;
mod said;
mod series;
mod state;
mod texts;
mod value;

pub use change::WrongInterval;
pub use outcome::{NotReady, Outcome, Outcomes, Sifted, Value};
pub use run::Engine;
pub use series::{Replay, Series};

/// What an engine unwinds with that was asked to stop, see [`Engine::stopped_when`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

#[cfg(test)]
mod tests;
