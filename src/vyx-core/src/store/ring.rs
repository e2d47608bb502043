//! One series in shared memory: a fixed ring of klines, with one writer and any number of readers.
//!
//! The kline with ordinal `n` lives in slot `n mod capacity`. The *window* is the `capacity` ordinals up to
//! the head, the highest ordinal ever stored; a slot may still hold a kline from before the window, so the
//! ordinal in the slot decides what is in it.

use super::reads::ReadError;
use super::{NO_ORDINAL, Store, SymbolId, seqlock};
use crate::sync::{AtomicU64, Ordering};
use crate::{Interval, Kline, Provenance};

/// One symbol at one interval of a store; made by [`Store::series`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Series {
    pub(super) symbol: SymbolId,
    pub(super) interval: Interval,
    /// Of the interval's place: an interval that left and came back has other series.
    pub(super) tenure: u32,
}

impl Series {
    pub fn symbol(self) -> SymbolId {
        self.symbol
    }

    pub fn interval(self) -> Interval {
        self.interval
    }

    /// What its ring must say about whose it is.
    pub(super) fn owner(self) -> u64 {
        owner(self.tenure, self.symbol.generation)
    }
}

/// Whose a ring is: of which tenure of its place, and of which generation of its symbol's slot.
pub(super) const fn owner(tenure: u32, generation: u32) -> u64 {
    (tenure as u64) << 32 | generation as u64
}

/// Ordinals of stored klines lie within ±2³⁹: 17,000 years of seconds around 1970.
pub const ORDINAL_LIMIT: i64 = 1 << 39;

/// Words of a slot: nine numbers and the tag.
pub(super) const SLOT_WORDS: usize = 10;
const AT_CLOSE: usize = 3;
const AT_TAG: usize = 9;
/// Words of a series' header, two cache lines.
const HEADER_WORDS: usize = 16;

/// The words of a series with this many slots; 0 for 0.
pub(super) const fn words(slots: u32) -> usize {
    if slots == 0 { 0 } else { (HEADER_WORDS + slots as usize * SLOT_WORDS).next_multiple_of(super::shape::LINE) }
}

/// The words of a header after sequence and owner.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(super) enum Field {
    /// The highest ordinal that was ever stored or confirmed absent.
    Head = 2,
    /// Every ordinal from here to [`Field::CompleteThrough`] is held closed or confirmed absent.
    CompleteFrom,
    CompleteThrough,
    /// The first kline there ever was, once history has said so.
    FirstEver,
    /// The ordinal being written while the sequence is odd: what is lost if the writer dies then.
    Writing,
    /// The first ordinal that came over the streams: what history must bring from there on is a repair.
    FirstStreamed,
    Repaired,
    ConfirmedAbsent,
    Corrected,
    /// How often something changed that was settled: a correction, a kline that was confirmed absent.
    Rewritten,
    /// The exchange's time of the newest stream event about the series; 0 before the first.
    Heard,
    /// Market time from which on its stream has been acknowledged without a break; 0 where it is not.
    Subscribed,
    /// Rows of the ledger that are open for the series.
    OpenGaps,
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Nothing,
    Open,
    Closed,
    /// History has said that this kline does not exist.
    Absent,
}

/// The word of a slot that says what is in it: ordinal (40 bits, biased), revision (16), content (2),
/// provenance (2). Zero is an empty slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(pub u64);

impl Tag {
    pub const EMPTY: Tag = Tag(0);

    pub fn of(ordinal: i64, kline: &Kline, revision: u16) -> Tag {
        let content = if kline.closed { 2 } else { 1 };
        Tag::pack(ordinal, revision, content, kline.provenance as u64)
    }

    pub fn absent(ordinal: i64) -> Tag {
        Tag::pack(ordinal, 0, 3, 0)
    }

    fn pack(ordinal: i64, revision: u16, content: u64, provenance: u64) -> Tag {
        debug_assert!((-ORDINAL_LIMIT..ORDINAL_LIMIT).contains(&ordinal));
        Tag((ordinal + ORDINAL_LIMIT) as u64 | u64::from(revision) << 40 | content << 56 | provenance << 58)
    }

    pub fn ordinal(self) -> i64 {
        (self.0 & ((1 << 40) - 1)) as i64 - ORDINAL_LIMIT
    }

    pub fn revision(self) -> u16 {
        (self.0 >> 40) as u16
    }

    pub fn content(self) -> Content {
        match self.0 >> 56 & 3 {
            1 => Content::Open,
            2 => Content::Closed,
            3 => Content::Absent,
            _ => Content::Nothing,
        }
    }

    /// Whether nothing more is awaited for this ordinal.
    pub fn is_settled(self) -> bool {
        matches!(self.content(), Content::Closed | Content::Absent)
    }

    pub fn is_kline(self) -> bool {
        matches!(self.content(), Content::Open | Content::Closed)
    }

    pub fn provenance(self) -> Provenance {
        match self.0 >> 58 & 3 {
            2 => Provenance::History,
            3 => Provenance::Snapshot,
            _ => Provenance::Stream,
        }
    }
}

/// The words of one series.
#[derive(Clone, Copy)]
pub(super) struct Ring<'a> {
    header: &'a [AtomicU64],
    slots: &'a [AtomicU64],
    pub interval: Interval,
    pub capacity: i64,
}

impl<'a> Store<'a> {
    /// The series of a symbol at an interval; `None` where the interval is not tracked.
    pub fn series(&self, symbol: SymbolId, interval: Interval) -> Option<Series> {
        self.seat(interval).map(|seat| Series { symbol, interval, tenure: seat.tenure })
    }

    /// `None` for a series of a store of another shape, or of an interval that is not tracked any more.
    pub(super) fn ring_of(&self, series: Series) -> Option<Ring<'a>> {
        let seat = self.seat(series.interval).filter(|seat| seat.tenure == series.tenure)?;
        let slot = series.symbol.slot;
        (slot < self.shape.max_symbols()).then(|| self.ring_at(slot, seat.place, series.interval))
    }

    pub(super) fn ring_at(&self, slot: u32, place: usize, interval: Interval) -> Ring<'a> {
        let capacity = self.shape.place(place).slots;
        let begin = self.layout.series[place] + slot as usize * words(capacity);
        let (header, rest) = self.words[begin..begin + words(capacity)].split_at(HEADER_WORDS);
        let slots = &rest[..capacity as usize * SLOT_WORDS];
        Ring { header, slots, interval, capacity: i64::from(capacity) }
    }
}

impl<'a> Ring<'a> {
    pub fn sequence(&self) -> &'a AtomicU64 {
        &self.header[0]
    }

    pub fn owner(&self) -> u64 {
        self.header[1].load(Ordering::Relaxed)
    }

    pub fn get(&self, field: Field) -> u64 {
        self.header[field as usize].load(Ordering::Relaxed)
    }

    pub fn set(&self, field: Field, value: u64) {
        self.header[field as usize].store(value, Ordering::Relaxed);
    }

    pub fn ordinal(&self, field: Field) -> Option<i64> {
        let ordinal = self.get(field) as i64;
        (ordinal != NO_ORDINAL).then_some(ordinal)
    }

    pub fn set_ordinal(&self, field: Field, ordinal: Option<i64>) {
        self.set(field, ordinal.unwrap_or(NO_ORDINAL) as u64);
    }

    pub fn complete(&self) -> Option<(i64, i64)> {
        Some((self.ordinal(Field::CompleteFrom)?, self.ordinal(Field::CompleteThrough)?))
    }

    pub fn set_complete(&self, range: Option<(i64, i64)>) {
        self.set_ordinal(Field::CompleteFrom, range.map(|r| r.0));
        self.set_ordinal(Field::CompleteThrough, range.map(|r| r.1));
    }

    /// The lowest ordinal of the window whose newest is `head`.
    pub fn oldest(&self, head: i64) -> i64 {
        head.saturating_sub(self.capacity - 1)
    }

    fn slot(&self, ordinal: i64) -> &'a [AtomicU64] {
        let begin = ordinal.rem_euclid(self.capacity) as usize * SLOT_WORDS;
        &self.slots[begin..begin + SLOT_WORDS]
    }

    /// What is known of this ordinal.
    pub fn tag(&self, ordinal: i64) -> Tag {
        let tag = Tag(self.slot(ordinal)[AT_TAG].load(Ordering::Relaxed));
        if tag.ordinal() == ordinal { tag } else { Tag::EMPTY }
    }

    /// The slots of the ordinals `from..=through` that hold something, oldest first; at most the newest
    /// `capacity` of them.
    pub fn held(&self, from: i64, through: i64) -> impl DoubleEndedIterator<Item = (Tag, &'a [AtomicU64])> + use<'a> {
        let from = from.max(self.oldest(through));
        let count = through.saturating_sub(from).saturating_add(1).max(0) as usize;
        let start = from.rem_euclid(self.capacity) as usize;
        let ahead = count.min(self.capacity as usize - start);
        let slots = self.slots;
        let part = |begin: usize, len: usize| slots[begin * SLOT_WORDS..][..len * SLOT_WORDS].chunks_exact(SLOT_WORDS);
        // Of these ordinals a slot can hold only its own, so it is enough that the tag lies among them.
        part(start, ahead).chain(part(0, count - ahead)).filter_map(move |slot| {
            let tag = Tag(slot[AT_TAG].load(Ordering::Relaxed));
            let here = tag.content() != Content::Nothing && (from..=through).contains(&tag.ordinal());
            here.then_some((tag, slot))
        })
    }

    pub fn kline_at(&self, tag: Tag) -> Kline {
        self.kline(tag, self.slot(tag.ordinal()))
    }

    pub fn kline(&self, tag: Tag, slot: &[AtomicU64]) -> Kline {
        self.kline_of(tag, &std::array::from_fn(|i| slot[i].load(Ordering::Relaxed)))
    }

    /// The kline that these words of a slot are.
    pub fn kline_of(&self, tag: Tag, words: &[u64; SLOT_WORDS]) -> Kline {
        let number = |i: usize| f64::from_bits(words[i]);
        Kline {
            open_time: self.interval.open_time(tag.ordinal()),
            open: number(0),
            high: number(1),
            low: number(2),
            close: number(AT_CLOSE),
            volume: number(4),
            quote_volume: number(5),
            trades: words[6],
            taker_buy_volume: number(7),
            taker_buy_quote_volume: number(8),
            closed: tag.content() == Content::Closed,
            revision: tag.revision(),
            provenance: tag.provenance(),
        }
    }

    /// Runs `copy` as [`seqlock::read`] does, if the ring is still this series'.
    pub fn read<T>(&self, series: Series, mut copy: impl FnMut() -> Result<T, ReadError>) -> Result<T, ReadError> {
        let copied = seqlock::read(self.sequence(), || {
            if self.owner() != series.owner() {
                return Err(ReadError::Gone);
            }
            copy()
        });
        copied.unwrap_or(Err(ReadError::Busy))
    }

    // What follows is the writer's.

    /// Runs `change` as [`seqlock::write`] does. `damaging` is the ordinal whose slot is lost if the writer
    /// dies meanwhile: set before the sequence turns odd, so that whoever finds it odd finds this too.
    pub fn write<T>(&self, damaging: Option<i64>, change: impl FnOnce() -> T) -> T {
        self.set_ordinal(Field::Writing, damaging);
        seqlock::write(self.sequence(), change)
    }

    pub fn store(&self, tag: Tag, kline: &Kline) {
        let numbers = [
            kline.open.to_bits(),
            kline.high.to_bits(),
            kline.low.to_bits(),
            kline.close.to_bits(),
            kline.volume.to_bits(),
            kline.quote_volume.to_bits(),
            kline.trades,
            kline.taker_buy_volume.to_bits(),
            kline.taker_buy_quote_volume.to_bits(),
            tag.0,
        ];
        for (word, number) in self.slot(tag.ordinal()).iter().zip(numbers) {
            word.store(number, Ordering::Relaxed);
        }
    }

    /// Puts a tag without numbers: nothing, or that the kline is absent.
    pub fn store_tag(&self, ordinal: i64, tag: Tag) {
        self.slot(ordinal)[AT_TAG].store(tag.0, Ordering::Relaxed);
    }

    /// Empties the ring and gives it to another owner.
    pub fn reset(&self, owner: u64) {
        self.write(None, || {
            for slot in self.slots.chunks_exact(SLOT_WORDS) {
                slot[AT_TAG].store(Tag::EMPTY.0, Ordering::Relaxed);
            }
            for field in [Field::Head, Field::FirstEver, Field::FirstStreamed] {
                self.set_ordinal(field, None);
            }
            for field in [Field::Repaired, Field::ConfirmedAbsent, Field::Corrected, Field::Rewritten] {
                self.set(field, 0);
            }
            for field in [Field::Heard, Field::Subscribed, Field::OpenGaps] {
                self.set(field, 0);
            }
            self.set_complete(None);
            self.header[1].store(owner, Ordering::Relaxed);
        });
    }
}

/// The close price in a slot, for readers that want nothing else.
pub(super) fn close(slot: &[AtomicU64]) -> f64 {
    f64::from_bits(slot[AT_CLOSE].load(Ordering::Relaxed))
}
