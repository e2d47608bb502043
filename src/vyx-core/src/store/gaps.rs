//! The ledger of gaps: what was found missing, since when, why, and how it ended.
//!
//! A row is a run of klines of one series. While it is open it shrinks and splits as klines come; what came is a row of
//! its own, so rows of the same finding never overlap. The ledger is bounded: where there is no room, the rows that ended
//! first make some. The rings say what is missing now; this says what became of it.

mod index;
#[cfg(all(test, not(loom)))]
mod tests;

use super::ring::{Field, Ring, Series};
use super::{Counter, Store, Writer, seqlock};
use crate::sync::{AtomicU64, Ordering};
use crate::{Gap, GapReason, GapResolution, Interval, Millis, Symbol};
use std::cell::RefMut;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::RangeInclusive;

const NUMBER: usize = 1;
/// Interval, reason and resolution, a byte each.
const KIND: usize = 2;
const FROM: usize = 3;
const THROUGH: usize = 4;
const DETECTED: usize = 5;
const RESOLVED: usize = 6;
const NAME: usize = 8;
/// Words of a row; the first is its sequence. A row without a number is empty.
pub(super) const WORDS: usize = 16;

impl<'a> Store<'a> {
    /// The rows of the ledger, in the order in which they were made.
    pub fn gap_ledger(&self) -> Vec<Gap> {
        let mut rows: Vec<_> = (0..self.shape.gap_rows()).filter_map(|place| self.gap_row(place)).collect();
        rows.sort_unstable_by_key(|(number, _)| *number);
        rows.into_iter().map(|(_, gap)| gap).collect()
    }

    fn row_words(&self, place: usize) -> &'a [AtomicU64] {
        let begin = self.layout.gaps + place * WORDS;
        &self.words[begin..begin + WORDS]
    }

    /// A row and its number; `None` for an empty one, and for one that its writer left half written.
    pub(super) fn gap_row(&self, place: usize) -> Option<(u64, Gap)> {
        let words = self.row_words(place);
        let copied: [u64; WORDS] =
            seqlock::read(&words[0], || std::array::from_fn(|i| words[i].load(Ordering::Relaxed)))?;
        let number = copied[NUMBER];
        (number != 0).then(|| Some((number, unpack(&copied)?))).flatten()
    }

    fn store_row(&self, place: usize, row: Option<(u64, &Gap)>) {
        let words = self.row_words(place);
        let packed = row.map_or([0; WORDS], |(number, gap)| pack(number, gap));
        seqlock::write(&words[0], || {
            for (word, value) in words[1..].iter().zip(&packed[1..]) {
                word.store(*value, Ordering::Relaxed);
            }
        });
    }
}

fn pack(number: u64, gap: &Gap) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    let (resolution, resolved_at) = gap.resolved.map_or((0, 0), |(how, at)| (how as u64, at.0));
    words[NUMBER] = number;
    words[KIND] = gap.interval as u64 | (gap.reason as u64) << 8 | resolution << 16;
    words[FROM] = gap.from as u64;
    words[THROUGH] = gap.through as u64;
    words[DETECTED] = gap.detected_at.0 as u64;
    words[RESOLVED] = resolved_at as u64;
    words[NAME..].copy_from_slice(&gap.symbol.to_words());
    words
}

fn unpack(words: &[u64; WORDS]) -> Option<Gap> {
    let [interval, reason, resolution, ..] = words[KIND].to_le_bytes();
    let name = std::array::from_fn(|i| words[NAME + i]);
    Some(Gap {
        symbol: Symbol::from_words(&name)?,
        interval: Interval::from_index(interval)?,
        from: words[FROM] as i64,
        through: words[THROUGH] as i64,
        reason: GapReason::from_index(reason)?,
        detected_at: Millis(words[DETECTED] as i64),
        resolved: GapResolution::from_index(resolution).map(|how| (how, Millis(words[RESOLVED] as i64))),
    })
}

/// A series by its places, which say the same as long as the writer lives.
type Key = (u32, Interval);

/// What the writer knows of the rows without walking over them; made anew by each writer.
#[derive(Default)]
pub(super) struct Ledger {
    open: HashMap<Key, Vec<usize>>,
    /// Rows that have ended, the first one first.
    ended: VecDeque<usize>,
    /// The last row that ended so, with its number: what ends beside it joins it.
    last: HashMap<(Key, GapResolution), (usize, u64)>,
    free: Vec<usize>,
    next_number: u64,
    /// Rows that a snapshot has not got yet, and numbers of rows that are no more.
    pub(super) changed: BTreeSet<usize>,
    pub(super) removed: Vec<u64>,
}

impl<'a> Writer<'a> {
    fn ledger(&self) -> RefMut<'_, Ledger> {
        self.ledger.borrow_mut()
    }

    /// What is missing of a series among the klines that closed at `at`: the oldest run of ordinals, and how many ordinals
    /// in all. What was not known to be missing is noted with this reason; of a series that never held anything, that the
    /// symbol is new. `at` should lie as far behind market time as history takes to become final.
    pub fn missing(&self, series: Series, at: Millis, reason: GapReason) -> Option<(RangeInclusive<i64>, u64)> {
        let ring = self.writable(series)?;
        let gaps = ring.gaps(at, i64::from(self.store().depth(series)));
        if ring.get(Field::OpenGaps) != 0 {
            self.drop_unreachable(series, ring, at);
        }
        let is_new = ring.complete().is_none() && ring.ordinal(Field::FirstEver).is_none();
        let reason = if is_new && reason == GapReason::Restart { GapReason::SymbolAdded } else { reason };
        for gap in &gaps {
            self.note(series, ring, gap.clone(), reason);
        }
        let count = gaps.iter().map(|gap| (gap.end() - gap.start() + 1) as u64).sum();
        gaps.into_iter().next().map(|oldest| (oldest, count))
    }

    /// Ends what can never be filled: klines below the ring's window, or before the first there ever was.
    fn drop_unreachable(&self, series: Series, ring: Ring<'a>, at: Millis) {
        let first_ever = ring.ordinal(Field::FirstEver).unwrap_or(i64::MIN);
        let lowest = ring.lowest_wanted(ring.interval.last_closed(at), i64::from(self.store().depth(series)));
        for (_, gap) in self.open_rows(series) {
            if gap.from < first_ever {
                self.resolve(series, ring, gap.from, gap.through.min(first_ever - 1), GapResolution::ConfirmedAbsent);
            }
            // The oldest klines of a history that is being fetched leave the window meanwhile, and nobody misses them.
            let from = gap.from.max(first_ever);
            if from < lowest {
                let through = gap.through.min(lowest - 1);
                match gap.reason {
                    GapReason::SymbolAdded | GapReason::IntervalAdded => {
                        self.cut(series, ring, from, through, |_, _| {})
                    }
                    _ => self.resolve(series, ring, from, through, GapResolution::TooOld),
                }
            }
        }
    }

    /// The open rows of a series.
    fn open_rows(&self, series: Series) -> Vec<(usize, Gap)> {
        let store = self.store();
        let rows = self.ledger().open.get(&key(series)).cloned().unwrap_or_default();
        rows.into_iter().filter_map(|place| Some((place, store.gap_row(place)?.1))).collect()
    }

    /// Opens rows for what no open row covers yet.
    fn note(&self, series: Series, ring: Ring<'a>, run: RangeInclusive<i64>, reason: GapReason) {
        let mut rows = self.open_rows(series);
        rows.sort_unstable_by_key(|(_, gap)| gap.from);
        let (mut next, through) = run.into_inner();
        for (_, gap) in &rows {
            if next > through || gap.from > through {
                break;
            }
            if gap.from > next {
                self.open_row(series, ring, &rows, next, gap.from - 1, reason);
            }
            next = next.max(gap.through + 1);
        }
        if next <= through {
            self.open_row(series, ring, &rows, next, through, reason);
        }
    }

    fn open_row(
        &self,
        series: Series,
        ring: Ring<'a>,
        rows: &[(usize, Gap)],
        from: i64,
        through: i64,
        reason: GapReason,
    ) {
        let store = self.store();
        // One outage is one row, however often it is looked at.
        if let Some((place, gap)) = rows.iter().find(|(_, gap)| gap.through + 1 == from && gap.reason == reason) {
            self.change(*place, &Gap { through, ..gap.clone() });
            return;
        }
        let Some(symbol) = store.symbol(series.symbol) else { return };
        let (symbol, interval, detected_at) = (symbol.info.symbol, series.interval, store.market_time());
        let gap = Gap { symbol, interval, from, through, reason, detected_at, resolved: None };
        match self.new_row(&gap) {
            Some(place) => {
                self.ledger().open.entry(key(series)).or_default().push(place);
                self.count_open(series, ring);
            }
            None => store.add(Counter::GapsUnlisted, 1),
        }
    }

    fn change(&self, place: usize, gap: &Gap) {
        let store = self.store();
        if let Some((number, _)) = store.gap_row(place) {
            store.store_row(place, Some((number, gap)));
            self.ledger().changed.insert(place);
        }
    }

    /// Puts a row where there is room, or where the row was that ended first; `None` where all rows are open.
    fn new_row(&self, gap: &Gap) -> Option<usize> {
        let store = self.store();
        let mut ledger = self.ledger();
        let place = match ledger.free.pop() {
            Some(place) => place,
            None => {
                let place = ledger.ended.pop_front()?;
                store.add(Counter::GapsForgotten, 1);
                let number = store.gap_row(place).map(|(number, _)| number);
                ledger.removed.extend(number);
                place
            }
        };
        ledger.next_number += 1;
        store.store_row(place, Some((ledger.next_number, gap)));
        ledger.changed.insert(place);
        Some(place)
    }

    fn count_open(&self, series: Series, ring: Ring<'a>) {
        let count = self.ledger().open.get(&key(series)).map_or(0, Vec::len);
        ring.set(Field::OpenGaps, count as u64);
    }

    /// Says how these klines of a series ended, as far as they were missing.
    pub(super) fn resolve(&self, series: Series, ring: Ring<'a>, from: i64, through: i64, how: GapResolution) {
        let at = self.store().market_time();
        self.cut(series, ring, from, through, |writer, piece| {
            let ended = Gap { resolved: Some((how, at)), ..piece };
            let last = writer.ledger().last.get(&(key(series), how)).copied();
            let beside = last.and_then(|(place, number)| {
                let (is, gap) = writer.store().gap_row(place)?;
                let same = is == number && (gap.reason, gap.detected_at) == (ended.reason, ended.detected_at);
                let beside = gap.through + 1 == ended.from || ended.through + 1 == gap.from;
                (same && beside).then_some((place, gap))
            });
            if let Some((place, gap)) = beside {
                let (from, through) = (gap.from.min(ended.from), gap.through.max(ended.through));
                writer.change(place, &Gap { from, through, ..ended });
            } else if let Some(place) = writer.new_row(&ended) {
                let mut ledger = writer.ledger();
                let number = ledger.next_number;
                ledger.ended.push_back(place);
                ledger.last.insert((key(series), how), (place, number));
            } else {
                writer.store().add(Counter::GapsForgotten, 1);
            }
        });
    }

    /// Takes `from..=through` out of the open rows of a series; `ended` gets each piece.
    fn cut(&self, series: Series, ring: Ring<'a>, from: i64, through: i64, ended: impl Fn(&Self, Gap)) {
        for (place, gap) in self.open_rows(series) {
            let piece = Gap { from: gap.from.max(from), through: gap.through.min(through), ..gap.clone() };
            if piece.from > piece.through {
                continue;
            }
            match (gap.from < piece.from, piece.through < gap.through) {
                (false, false) => self.close_row(series, place),
                (true, false) => self.change(place, &Gap { through: piece.from - 1, ..gap.clone() }),
                (false, true) => self.change(place, &Gap { from: piece.through + 1, ..gap.clone() }),
                (true, true) => {
                    self.change(place, &Gap { through: piece.from - 1, ..gap.clone() });
                    match self.new_row(&Gap { from: piece.through + 1, ..gap.clone() }) {
                        Some(rest) => self.ledger().open.entry(key(series)).or_default().push(rest),
                        None => self.store().add(Counter::GapsUnlisted, 1),
                    }
                }
            }
            ended(self, piece);
        }
        self.count_open(series, ring);
    }

    /// Removes an open row.
    fn close_row(&self, series: Series, place: usize) {
        let number = self.store().gap_row(place).map(|(number, _)| number);
        self.store().store_row(place, None);
        let mut ledger = self.ledger();
        if let Some(rows) = ledger.open.get_mut(&key(series)) {
            rows.retain(|row| *row != place);
        }
        ledger.changed.remove(&place);
        ledger.free.push(place);
        ledger.removed.extend(number);
    }

    /// Ends all open rows of a series that is no longer followed.
    pub(super) fn end_gaps(&self, series: Series, how: GapResolution) {
        if let Some(ring) = self.writable(series) {
            self.resolve(series, ring, i64::MIN, i64::MAX, how);
        }
        let mut ledger = self.ledger();
        ledger.open.remove(&key(series));
        ledger.last.retain(|(of, _), _| *of != key(series));
    }

    /// A kline came of which history had said that it does not exist: its row says so from now on.
    pub(super) fn take_back(&self, series: Series, ring: Ring<'a>, ordinal: i64) {
        let store = self.store();
        let Some(symbol) = store.symbol(series.symbol).map(|entry| entry.info.symbol) else { return };
        let absent = Some(GapResolution::ConfirmedAbsent);
        let holds = |gap: &Gap| {
            (gap.symbol, gap.interval, gap.resolved.map(|r| r.0)) == (symbol, series.interval, absent)
                && (gap.from..=gap.through).contains(&ordinal)
        };
        let found = (0..store.shape.gap_rows()).find_map(|place| {
            let (_, gap) = store.gap_row(place)?;
            holds(&gap).then_some((place, gap))
        });
        let Some((place, gap)) = found else { return };
        // Open again for this one kline, and ended at once.
        let parts = [(gap.from, ordinal - 1), (ordinal + 1, gap.through)];
        let mut parts = parts.into_iter().filter(|(from, through)| from <= through);
        match parts.next() {
            Some((from, through)) => self.change(place, &Gap { from, through, ..gap.clone() }),
            None => {
                self.change(place, &Gap { resolved: Some((GapResolution::Repaired, store.market_time())), ..gap });
                return;
            }
        }
        for (from, through) in parts {
            if let Some(rest) = self.new_row(&Gap { from, through, ..gap.clone() }) {
                self.ledger().ended.push_back(rest);
            }
        }
        let again = Gap { from: ordinal, through: ordinal, resolved: None, ..gap };
        if let Some(row) = self.new_row(&again) {
            self.ledger().open.entry(key(series)).or_default().push(row);
            self.resolve(series, ring, ordinal, ordinal, GapResolution::Repaired);
        }
    }
}

fn key(series: Series) -> Key {
    (series.symbol.slot, series.interval)
}
