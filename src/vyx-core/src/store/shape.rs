//! How much the store holds, and where in the area each part lies.

use super::health::{Counter, Gauge};
use super::histogram::{self, Histogram};
use super::{directory, gaps, ring, ticker, worker};
use crate::Interval;

/// Ring slots of a `1m` series unless set otherwise: a day's session and six blocks of history fit.
pub const DEFAULT_SLOTS_1M: u32 = 2_048;
/// Ring slots of a series of any other interval unless set otherwise.
pub const DEFAULT_SLOTS: u32 = 1_536;
/// Most symbols a store can be made for; the exchange lists about 3,500 pairs in all.
pub const MAX_SYMBOLS: u32 = 10_000;
/// Most ring slots of a series.
pub const MAX_SLOTS: u32 = 1 << 20;

/// Words of a cache line. Everything that has a sequence of its own begins on one, provided the area does.
pub(crate) const LINE: usize = 8;
const INTERVALS: usize = Interval::ALL.len();

/// The capacities of a store, chosen when the server starts.
///
/// Memory for klines is laid out in *places*: rings of one size for every symbol. An interval has a place while it is
/// tracked; which one has which may change while the server runs ([`set_intervals`](super::Writer::set_intervals)).
///
/// A kline takes 10 words of 8 bytes, a series a header of 128 bytes besides. So 500 symbols at `1m` and
/// five other intervals with the default slots take 500 × (2,048 + 5 × 1,536) × 80 bytes = 389 MB of
/// klines, 500 × 6 × 128 bytes = 0.4 MB of headers, and 500 × (256 + 64 + about 16) bytes = 0.2 MB for
/// directory, tickers and index. 500 symbols × 4 intervals × 500 slots × 80 bytes = 80 MB. The ledger of gaps has
/// two rows a series and up to 1,024 more, 128 bytes each: 0.9 MB at 500 × 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    max_symbols: u32,
    places: [Place; PLACES],
}

/// Most places: one for every interval there is.
pub(crate) const PLACES: usize = INTERVALS;

/// Memory for the rings of one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Ring slots of each series; 0: there is no such place.
    pub slots: u32,
    /// Which interval has it to begin with.
    pub interval: Option<Interval>,
}

/// Why a store of this shape cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadShape {
    #[error("the number of symbols must be between 1 and {MAX_SYMBOLS}, not {0}")]
    Symbols(u32),
    #[error("a series of interval {0} must have between 1 and {MAX_SLOTS} slots, not {1}")]
    Slots(Interval, u32),
    #[error("interval {0} is listed twice")]
    Twice(Interval),
    #[error("at least one interval must be tracked")]
    NoInterval,
    #[error("the store would be larger than this machine's addresses")]
    TooLarge,
}

impl Shape {
    /// A shape for `max_symbols` symbols and these intervals, each with its number of ring slots.
    ///
    /// # Errors
    /// A capacity is 0 or above its bound, or an interval is listed twice, or none is.
    pub fn new(max_symbols: u32, intervals: &[(Interval, u32)]) -> Result<Shape, BadShape> {
        if max_symbols == 0 || max_symbols > MAX_SYMBOLS {
            return Err(BadShape::Symbols(max_symbols));
        }
        let mut shape = Shape { max_symbols, places: Default::default() };
        for (i, &(interval, slots)) in intervals.iter().enumerate() {
            if slots == 0 || slots > MAX_SLOTS {
                return Err(BadShape::Slots(interval, slots));
            }
            if intervals[..i].iter().any(|(other, _)| *other == interval) {
                return Err(BadShape::Twice(interval));
            }
            shape.places[i] = Place { slots, interval: Some(interval) };
        }
        if intervals.is_empty() {
            return Err(BadShape::NoInterval);
        }
        Layout::of(&shape).map(|_| shape).ok_or(BadShape::TooLarge)
    }

    /// The same with room for more intervals, `slots` a series, until there are `places` in all. More than there are
    /// intervals are never needed.
    ///
    /// # Errors
    /// The store would be too large.
    pub fn with_places(mut self, places: usize, slots: u32) -> Result<Shape, BadShape> {
        for place in self.places[..places.min(PLACES)].iter_mut().filter(|place| place.slots == 0) {
            place.slots = slots.min(MAX_SLOTS);
        }
        Layout::of(&self).map(|_| self).ok_or(BadShape::TooLarge)
    }

    /// The slots an interval has unless set otherwise.
    pub const fn default_slots(interval: Interval) -> u32 {
        if matches!(interval, Interval::M1) { DEFAULT_SLOTS_1M } else { DEFAULT_SLOTS }
    }

    /// The size of the area in words of 8 bytes.
    pub fn words(&self) -> usize {
        Layout::of(self).expect("checked when the shape was made").words
    }

    pub fn max_symbols(&self) -> u32 {
        self.max_symbols
    }

    /// The places there are, with their numbers.
    pub(crate) fn places(&self) -> impl Iterator<Item = (usize, Place)> + use<> {
        self.places.into_iter().enumerate().filter(|(_, place)| place.slots != 0)
    }

    pub(crate) fn place(&self, number: usize) -> Place {
        self.places[number]
    }

    /// How many rows the ledger of gaps has.
    pub fn gap_rows(&self) -> usize {
        gap_rows(self.max_symbols as usize * self.places().count())
    }

    pub(crate) fn to_words(self) -> [u64; SHAPE_WORDS] {
        let place = |place: Place| u64::from(place.slots) | place.interval.map_or(0, |i| (i as u64 + 1) << 32);
        std::array::from_fn(|i| if i == 0 { u64::from(self.max_symbols) } else { place(self.places[i - 1]) })
    }

    /// Reads what [`to_words`](Self::to_words) wrote; `None` for numbers that no shape has.
    pub(crate) fn from_words(words: &[u64; SHAPE_WORDS]) -> Option<Shape> {
        let mut shape = Shape { max_symbols: u32::try_from(words[0]).ok()?, places: Default::default() };
        for (place, word) in shape.places.iter_mut().zip(&words[1..]) {
            let interval = match word >> 32 {
                0 => None,
                number => Some(Interval::from_index(u8::try_from(number - 1).ok()?)?),
            };
            *place = Place { slots: *word as u32, interval };
        }
        let sound = (1..=MAX_SYMBOLS).contains(&shape.max_symbols) && shape.places.iter().all(|p| p.slots <= MAX_SLOTS);
        (sound && Layout::of(&shape).is_some()).then_some(shape)
    }
}

/// Every series can have an open gap and one that was mended; the rest is for what happens in bad hours.
#[cfg(not(loom))]
const fn gap_rows(series: usize) -> usize {
    let more = if series < 16 { series * 64 } else { 1_024 };
    series * 2 + more
}

/// Every word costs a model time.
#[cfg(loom)]
const fn gap_rows(series: usize) -> usize {
    series
}

/// Words of a shape in the head: the number of symbols and the places.
pub(crate) const SHAPE_WORDS: usize = 1 + PLACES;

/// Words of the area's head: magic, layout, epoch, used slots, shape, closes, intervals.
pub(crate) const HEAD_WORDS: usize = 56;

/// Where each part begins, in words from the beginning of the area.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub counters: usize,
    pub gauges: usize,
    pub histograms: usize,
    pub workers: usize,
    /// The hash index over the directory: a sequence on its own line, then `index_len` words.
    pub index: usize,
    pub index_len: usize,
    pub directory: usize,
    pub tickers: usize,
    pub gaps: usize,
    /// The series of each place, all symbols of one interval side by side.
    pub series: [usize; PLACES],
    pub words: usize,
}

impl Layout {
    /// `None` where the size cannot be counted.
    pub fn of(shape: &Shape) -> Option<Layout> {
        let symbols = shape.max_symbols as usize;
        let mut end = 0usize;
        let mut take = |count: usize| {
            let begin = end;
            end = end.checked_add(count.checked_next_multiple_of(LINE)?)?;
            Some(begin)
        };
        take(HEAD_WORDS)?;
        let counters = take(Counter::ALL.len())?;
        let gauges = take(Gauge::ALL.len())?;
        let histograms = take(Histogram::ALL.len() * histogram::WORDS)?;
        let workers = take(worker::KINDS * worker::WORDS)?;
        // At most half full, so that a probe is short.
        let index_len = (2 * symbols).next_power_of_two();
        let index = take(LINE + index_len)?;
        let directory = take(symbols * directory::WORDS)?;
        let tickers = take(symbols * ticker::WORDS)?;
        let gaps = take(shape.gap_rows() * gaps::WORDS)?;
        let mut series = [0; PLACES];
        for (begin, place) in series.iter_mut().zip(&shape.places) {
            *begin = take(symbols.checked_mul(ring::words(place.slots))?)?;
        }
        Some(Layout {
            counters,
            gauges,
            histograms,
            workers,
            index,
            index_len,
            directory,
            tickers,
            gaps,
            series,
            words: end,
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn megabytes(symbols: u32, intervals: &[(Interval, u32)]) -> f64 {
        (Shape::new(symbols, intervals).unwrap().words() * 8) as f64 / 1e6
    }

    #[test]
    fn the_arithmetic_of_the_doc_comment_holds() {
        use Interval::*;
        let six: Vec<_> = [M1, M5, M15, H1, H4, D1].map(|i| (i, Shape::default_slots(i))).into();
        // 389.12 of klines, 0.38 of headers, 0.18 for directory, tickers and index, 0.9 for the ledger.
        assert_eq!(megabytes(500, &six).round(), 391.0);
        let four: Vec<_> = six[..4].iter().map(|(i, _)| (*i, 500)).collect();
        assert_eq!(megabytes(500, &four).floor(), 81.0);
    }

    #[test]
    fn shapes_that_cannot_be_are_refused_with_their_reason() {
        use Interval::*;
        assert_eq!(Shape::new(0, &[(M1, 1)]), Err(BadShape::Symbols(0)));
        assert_eq!(Shape::new(MAX_SYMBOLS + 1, &[(M1, 1)]), Err(BadShape::Symbols(MAX_SYMBOLS + 1)));
        assert_eq!(Shape::new(1, &[]), Err(BadShape::NoInterval));
        assert_eq!(Shape::new(1, &[(M1, 0)]), Err(BadShape::Slots(M1, 0)));
        assert_eq!(Shape::new(1, &[(H1, 1), (H1, 2)]), Err(BadShape::Twice(H1)));
        assert!(Shape::new(MAX_SYMBOLS, &Interval::ALL.map(|i| (i, MAX_SLOTS))).is_ok());
    }

    #[test]
    fn parts_begin_on_cache_lines_and_do_not_overlap() {
        let shape = Shape::new(3, &[(Interval::H1, 5), (Interval::M1, 7)]).unwrap().with_places(3, 6).unwrap();
        assert_eq!(shape.places().map(|(_, place)| place.slots).collect::<Vec<_>>(), [5, 7, 6]);
        let l = Layout::of(&shape).unwrap();
        let begins =
            [0, l.counters, l.gauges, l.histograms, l.workers, l.index, l.directory, l.tickers, l.gaps, l.series[0]];
        let begins: Vec<usize> = begins.into_iter().chain([l.series[1], l.series[2], l.words]).collect();
        assert!(begins.is_sorted_by(|a, b| a < b), "{begins:?}");
        assert!(begins.iter().all(|begin| begin % LINE == 0), "{begins:?}");
        assert_eq!(l.words, l.series[2] + 3 * ring::words(6));
        assert_eq!(Shape::from_words(&shape.to_words()), Some(shape));
    }
}
