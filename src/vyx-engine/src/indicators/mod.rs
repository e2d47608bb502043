//! The arithmetic of the functions, a room a subject. Each function is declared beside the state that computes it.
//!
//! Where TA-Lib has a function, its streaming tier computes it, or `sliding` in the same order and less memory, so that
//! values are TA-Lib's to the last bit; `talib` is the only file that knows that crate's handles. The rest is arithmetic of our own in constant or amortised
//! constant time a candle.

pub(crate) mod averages;
pub(crate) mod bands;
pub(crate) mod crosses;
pub(crate) mod divergence;
pub(crate) mod events;
pub(crate) mod momentum;
pub(crate) mod patterns;
pub(crate) mod pivots;
pub(crate) mod profile;
pub(crate) mod rates;
mod sliding;
pub(crate) mod statistics;
pub(crate) mod stops;
mod talib;
pub(crate) mod trend;
pub(crate) mod volume;
pub(crate) mod windows;

use crate::catalog::{Input, Param};
use crate::program::{Field, Kind, MAX_LOOKBACK};

/// The longest window a caller may ask for, in candles.
const LONGEST: f64 = MAX_LOOKBACK as f64;

/// A window in candles of at least `min`.
const fn candles(name: &'static str, min: f64, default: Option<f64>) -> Param {
    Param { name, whole: true, min, max: LONGEST, default }
}

/// A number that need not be whole.
const fn real(name: &'static str, min: f64, max: f64, default: f64) -> Param {
    Param { name, whole: false, min, max, default: Some(default) }
}

/// The usual first argument: a number, the close if it is left out.
const SOURCE: Input = Input { name: "source", kind: Kind::Number, default: Some(Field::Close) };

/// The same, hlc3 if it is left out.
const TYPICAL: Input = Input { name: "source", kind: Kind::Number, default: Some(Field::Hlc3) };

/// What ranges are measured by.
const HIGH_LOW_CLOSE: &[Field] = &[Field::High, Field::Low, Field::Close];

/// The whole-number parameter at `index`; bounds were checked by the catalog.
fn whole(params: &[f64], index: usize) -> usize {
    params[index] as usize
}

/// The same as TA-Lib wants it.
fn period(params: &[f64], index: usize) -> i32 {
    params[index] as i32
}

#[cfg(test)]
mod tests;
