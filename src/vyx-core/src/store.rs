//! The market in shared memory: symbols, rings of klines, tickers, counters; laid over a slice of atomic
//! words that somebody else provides (the server its shared segment, a test a vector).
//!
//! One process writes, through [`Writer`]; any process reads, through [`Store`], without locks: a reader
//! that is cancelled or killed leaves nothing held. What a reader gets is a copy that was whole at one
//! moment. Nothing that belongs to one process (a pointer, a handle) is ever stored.
//!
//! ```
//! use vyx_core::store::{Shape, Store, Writer};
//! use vyx_core::sync::AtomicU64;
//! use vyx_core::Interval;
//!
//! let shape = Shape::new(500, &[(Interval::M1, 2_048), (Interval::H1, 1_536)]).unwrap();
//! let words: Vec<AtomicU64> = (0..shape.words()).map(|_| AtomicU64::new(0)).collect();
//! let store = Store::initialize(&words, &shape).unwrap();
//! let writer = Writer::attach(store);
//! assert_eq!(store.symbols().count(), 0);
//! # let _ = writer;
//! ```

mod changes;
mod directory;
mod gaps;
mod health;
mod histogram;
mod intervals;
#[cfg(all(test, loom))]
mod loom;
mod reads;
mod ring;
mod seqlock;
mod settled;
mod shape;
pub mod snapshot;
mod status;
#[cfg(all(test, not(loom)))]
mod tests;
mod text;
mod ticker;
mod worker;
mod writer;

pub use directory::{DirectoryFull, SymbolEntry, SymbolId};
pub use health::{Counter, Gauge};
pub use histogram::{BUCKETS, Counts, Histogram};
pub use reads::{Columns, ReadError};
pub use ring::{ORDINAL_LIMIT, Series};
pub use shape::{BadShape, DEFAULT_SLOTS, DEFAULT_SLOTS_1M, MAX_SLOTS, MAX_SYMBOLS, Shape};
pub use status::{CLOSE_ALLOWANCE, Completeness, QUIET_AFTER, SeriesState, SeriesStatus};
pub use text::{MAX_TEXT_BYTES, TextSlot};
pub use worker::{WorkerBlock, WorkerKind, WorkerStatus};
pub use writer::Writer;

use crate::sync::{AtomicU64, Ordering};
use shape::Layout;

/// "vyxstore" read as a little-endian number.
const MAGIC: u64 = u64::from_le_bytes(*b"vyxstore");
/// Raised whenever the meaning of a word changes. Counters, gauges and histograms are numbered in the area, so how many
/// there are belongs to the version.
const LAYOUT_VERSION: u64 =
    2 << 32 | (Histogram::ALL.len() as u64) << 24 | (Counter::ALL.len() as u64) << 12 | Gauge::ALL.len() as u64;

/// What stands for "none" in a word that holds an ordinal; no kline has it.
const NO_ORDINAL: i64 = i64::MIN;

// Words of the area's head.
const AT_MAGIC: usize = 0;
const AT_LAYOUT: usize = 1;
const AT_EPOCH: usize = 2;
/// One more than the highest directory slot ever used: where a walk over the directory may stop.
const AT_USED_SLOTS: usize = 3;
/// How often a place was given to an interval.
const AT_TENURES: usize = 4;
const AT_SHAPE: usize = 8;
const AT_CLOSES: usize = 32;
/// A word an interval: where its rings are.
const AT_SEATS: usize = 40;

/// A view of the area; cheap to copy, valid as long as the words are.
#[derive(Clone, Copy)]
pub struct Store<'a> {
    words: &'a [AtomicU64],
    shape: Shape,
    layout: Layout,
}

/// Why the words are no store that this program can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    #[error("the store needs {needed} words and the area has {given}")]
    TooSmall { needed: usize, given: usize },
    #[error("the area holds no store")]
    NotAStore,
    #[error("the area holds a store of another version of vyx")]
    OtherVersion,
    #[error("the head of the store is damaged")]
    Damaged,
}

impl<'a> Store<'a> {
    /// Makes an empty store of this shape. Nobody else may use the words meanwhile. The klines' words are not
    /// touched, since a series is emptied when a symbol gets it: of 389 MB, a few pages are written.
    ///
    /// # Errors
    /// The area is too small.
    pub fn initialize(words: &'a [AtomicU64], shape: &Shape) -> Result<Store<'a>, LayoutError> {
        let store = Store::over(words, shape)?;
        for word in &words[..store.layout.series[0]] {
            word.store(0, Ordering::Relaxed);
        }
        for (word, value) in words[AT_SHAPE..].iter().zip(shape.to_words()) {
            word.store(value, Ordering::Relaxed);
        }
        for (place, interval) in shape.places().filter_map(|(number, place)| Some((number, place.interval?))) {
            store.give(place, interval);
        }
        words[AT_LAYOUT].store(LAYOUT_VERSION, Ordering::Relaxed);
        // Last, so that an area is either no store or a whole one.
        words[AT_MAGIC].store(MAGIC, Ordering::Release);
        Ok(store)
    }

    /// Finds the store that [`initialize`](Self::initialize) made in these words.
    ///
    /// # Errors
    /// There is none, or one that this version cannot read.
    pub fn attach(words: &'a [AtomicU64]) -> Result<Store<'a>, LayoutError> {
        if words.len() < shape::HEAD_WORDS {
            return Err(LayoutError::TooSmall { needed: shape::HEAD_WORDS, given: words.len() });
        }
        if words[AT_MAGIC].load(Ordering::Acquire) != MAGIC {
            return Err(LayoutError::NotAStore);
        }
        if words[AT_LAYOUT].load(Ordering::Relaxed) != LAYOUT_VERSION {
            return Err(LayoutError::OtherVersion);
        }
        let numbers = std::array::from_fn(|i| words[AT_SHAPE + i].load(Ordering::Relaxed));
        let shape = Shape::from_words(&numbers).ok_or(LayoutError::Damaged)?;
        Store::over(words, &shape)
    }

    fn over(words: &'a [AtomicU64], shape: &Shape) -> Result<Store<'a>, LayoutError> {
        let layout = Layout::of(shape).ok_or(LayoutError::Damaged)?;
        if words.len() < layout.words {
            return Err(LayoutError::TooSmall { needed: layout.words, given: words.len() });
        }
        Ok(Store { words, shape: *shape, layout })
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// How many writers have attached since the store was made; 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.words[AT_EPOCH].load(Ordering::Acquire)
    }

    /// Rises whenever a kline closes or is confirmed absent, in any series: whoever waits for closes
    /// compares it with what it was.
    pub fn close_sequence(&self) -> u64 {
        self.words[AT_CLOSES].load(Ordering::Acquire)
    }
}
