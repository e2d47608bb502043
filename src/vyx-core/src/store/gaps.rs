//! The ledger of gaps: what was found missing, since when, why, and how it ended.
//!
//! A row is a run of klines of one series. While it is open it shrinks and splits as klines come; what came is a row of
//! its own, so rows of the same finding never overlap. The ledger is bounded: where there is no room, the rows that ended
//! first make some. The rings say what is missing now; this says what became of it.

use super::ring::{Content, Field, Ring, Series};
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

    /// Finds its way in the rows that another writer left.
    pub(super) fn read_ledger(&self) {
        let store = self.store();
        let mut rows = Vec::new();
        for place in 0..store.shape.gap_rows() {
            match store.gap_row(place) {
                Some((number, gap)) => rows.push((number, place, gap)),
                None => {
                    // Also what a writer left half written: what it spoke of is missing still, and is found again.
                    store.store_row(place, None);
                    self.ledger().free.push(place);
                }
            }
        }
        self.ledger().free.reverse();
        rows.sort_unstable_by_key(|(number, _, _)| *number);
        for (number, place, gap) in rows {
            self.enter(number, place, &gap);
        }
    }

    /// Takes a row into the index. What its writer did not live to end is ended now.
    fn enter(&self, number: u64, place: usize, gap: &Gap) {
        let store = self.store();
        {
            let mut ledger = self.ledger();
            ledger.next_number = ledger.next_number.max(number);
            ledger.changed.insert(place);
            if gap.resolved.is_some() {
                ledger.ended.push_back(place);
                return;
            }
        }
        let series = store.find(&gap.symbol).and_then(|id| store.series(id, gap.interval));
        let Some((series, ring)) = series.and_then(|series| Some((series, self.writable(series)?))) else {
            let resolved = Some((GapResolution::Untracked, store.market_time()));
            self.change(place, &Gap { resolved, ..gap.clone() });
            self.ledger().ended.push_back(place);
            return;
        };
        self.ledger().open.entry(key(series)).or_default().push(place);
        self.count_open(series, ring);
        for (tag, _) in ring.held(gap.from, gap.through) {
            match tag.content() {
                Content::Closed => self.resolve(series, ring, tag.ordinal(), tag.ordinal(), GapResolution::Repaired),
                Content::Absent => {
                    self.resolve(series, ring, tag.ordinal(), tag.ordinal(), GapResolution::ConfirmedAbsent)
                }
                Content::Open | Content::Nothing => {}
            }
        }
    }

    /// Puts a row that a snapshot brought, under its old number: a later state of it replaces an earlier one.
    pub(super) fn restore_gap(&self, places: &mut HashMap<u64, usize>, number: u64, gap: &Gap) {
        let store = self.store();
        if let Some(place) = places.get(&number) {
            store.store_row(*place, Some((number, gap)));
            return;
        }
        let free = self.ledger().free.pop();
        // A ledger that has become smaller keeps the younger rows.
        let place = free.or_else(|| {
            let oldest = places.iter().min_by_key(|(number, _)| **number).map(|(number, place)| (*number, *place))?;
            store.add(Counter::GapsForgotten, 1);
            places.remove(&oldest.0)
        });
        if let Some(place) = place {
            store.store_row(place, Some((number, gap)));
            places.insert(number, place);
        }
    }

    /// Takes a row out again that a later part of a snapshot took out.
    pub(super) fn unrestore_gap(&self, places: &mut HashMap<u64, usize>, number: u64) {
        if let Some(place) = places.remove(&number) {
            self.store().store_row(place, None);
            self.ledger().free.push(place);
        }
    }

    /// After the last row of a snapshot: makes the index of the whole.
    pub(super) fn index_restored(&self) {
        *self.ledger() = Ledger::default();
        self.read_ledger();
        let mut ledger = self.ledger();
        ledger.changed.clear();
        ledger.removed.clear();
    }
}

fn key(series: Series) -> Key {
    (series.symbol.slot, series.interval)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::tests::{info, kline, one_series};
    use super::super::{CLOSE_ALLOWANCE, Store};
    use super::*;
    use crate::{Kline, Provenance};

    /// What the ledger says, without names: range, reason, resolution.
    fn rows(store: Store) -> Vec<(i64, i64, GapReason, Option<GapResolution>)> {
        let row = |gap: Gap| (gap.from, gap.through, gap.reason, gap.resolved.map(|resolved| resolved.0));
        store.gap_ledger().into_iter().map(row).collect()
    }

    fn close(writer: &Writer, series: Series, ordinals: impl IntoIterator<Item = i64>) {
        for ordinal in ordinals {
            assert!(writer.put_kline(series, &kline(ordinal, 1, true)).accepted(), "{ordinal}");
        }
    }

    fn look(writer: &Writer, series: Series, closed: i64, reason: GapReason) -> Option<(RangeInclusive<i64>, u64)> {
        writer.store().raise_market_time(Interval::M1.close_time(closed) + CLOSE_ALLOWANCE);
        writer.missing(series, Interval::M1.close_time(closed), reason)
    }

    use GapReason::*;
    use GapResolution::*;

    #[test]
    fn a_gap_is_noted_once_and_ends_as_repaired_or_confirmed_absent() {
        let (writer, series) = one_series(16);
        let store = writer.store();
        close(&writer, series, (1..=3).chain([9]));
        writer.set_first_ever(series, 1);
        assert_eq!(look(&writer, series, 9, Disconnect), Some((4..=8, 5)));
        assert_eq!(look(&writer, series, 9, Overdue), Some((4..=8, 5)));
        assert_eq!(rows(store), [(4, 8, Disconnect, None)]);
        close(&writer, series, [4, 6]);
        assert_eq!(look(&writer, series, 9, Overdue), Some((5..=5, 3)));
        assert_eq!(writer.confirm(series, 4, 7), 2);
        let ended = [(4, 4, Repaired), (6, 6, Repaired), (5, 5, ConfirmedAbsent), (7, 7, ConfirmedAbsent)];
        let mut expected = vec![(8, 8, Disconnect, None)];
        expected.extend(ended.map(|(from, through, how)| (from, through, Disconnect, Some(how))));
        let mut is = rows(store);
        is.sort_unstable_by_key(|row| (row.3, row.0));
        assert_eq!(is, expected);
        close(&writer, series, [8]);
        assert_eq!(look(&writer, series, 9, Overdue), None);
        assert!(rows(store).iter().all(|row| row.3.is_some()));
        assert_eq!(store.gap_ledger()[0].detected_at, Interval::M1.close_time(9) + CLOSE_ALLOWANCE);
    }

    #[test]
    fn a_page_of_history_is_one_row_and_the_first_klines_that_leave_the_window_are_nobodys_loss() {
        let (writer, series) = one_series(16);
        let store = writer.store();
        assert_eq!(look(&writer, series, 20, Restart), Some((6..=20, 15)));
        assert_eq!(rows(store), [(6, 20, SymbolAdded, None)], "it never held anything");
        assert_eq!(look(&writer, series, 22, Overdue), Some((8..=22, 15)));
        close(&writer, series, 8..=22);
        assert_eq!(look(&writer, series, 22, Overdue), None);
        let ended = |from, through, reason| (from, through, reason, Some(Repaired));
        assert_eq!(rows(store), [ended(8, 20, SymbolAdded), ended(21, 22, Overdue)]);
    }

    #[test]
    fn what_leaves_the_window_unanswered_is_too_old_and_what_leaves_the_directory_untracked() {
        let (writer, series) = one_series(8);
        let store = writer.store();
        close(&writer, series, 1..=3);
        writer.set_first_ever(series, 1);
        look(&writer, series, 6, Disconnect);
        close(&writer, series, [12]);
        assert_eq!(look(&writer, series, 12, Overdue), Some((6..=11, 6)));
        let too_old = (4, 5, Disconnect, Some(TooOld));
        assert_eq!(rows(store), [(6, 6, Disconnect, None), too_old, (7, 11, Overdue, None)]);
        writer.remove_symbol(series.symbol());
        let untracked = |from, through, reason| (from, through, reason, Some(Untracked));
        assert_eq!(rows(store), [too_old, untracked(6, 6, Disconnect), untracked(7, 11, Overdue)]);
        // Whoever gets the place has an account of its own.
        let other = writer.put_symbol(&info("ETHUSDT"), Millis(1)).unwrap();
        let other = store.series(other, Interval::M1).unwrap();
        assert!(look(&writer, other, 12, Overdue).is_some());
        assert_eq!(store.gap_ledger().last().unwrap().symbol, info("ETHUSDT").symbol);
    }

    #[test]
    fn what_lies_before_the_first_kline_ever_is_absent() {
        let (writer, series) = one_series(8);
        look(&writer, series, 9, Restart);
        close(&writer, series, 7..=9);
        writer.set_first_ever(series, 7);
        assert_eq!(look(&writer, series, 9, Overdue), None);
        let expected = [(7, 9, SymbolAdded, Some(Repaired)), (3, 6, SymbolAdded, Some(ConfirmedAbsent))];
        assert_eq!(rows(writer.store()), expected);
    }

    #[test]
    fn a_kline_that_history_denied_and_the_stream_brought_is_repaired_after_all() {
        let (writer, series) = one_series(16);
        let store = writer.store();
        close(&writer, series, [1]);
        writer.set_first_ever(series, 1);
        look(&writer, series, 5, Overdue);
        writer.confirm(series, 2, 5);
        assert_eq!(rows(store), [(2, 5, Overdue, Some(ConfirmedAbsent))]);
        let late = Kline { provenance: Provenance::Stream, ..kline(3, 1, true) };
        assert!(writer.put_kline(series, &late).accepted());
        let mut is = rows(store);
        is.sort_unstable();
        let absent = |from, through| (from, through, Overdue, Some(ConfirmedAbsent));
        assert_eq!(is, [absent(2, 2), (3, 3, Overdue, Some(Repaired)), absent(4, 5)]);
        assert_eq!(store.status(series).unwrap().confirmed_absent, 3);
    }

    #[test]
    fn a_full_ledger_forgets_what_ended_first_and_counts_it() {
        let (writer, series) = one_series(64);
        let store = writer.store();
        let capacity = store.shape().gap_rows() as i64;
        close(&writer, series, [0]);
        writer.set_first_ever(series, 0);
        for n in 1..=capacity + 5 {
            let odd = 2 * n;
            close(&writer, series, [odd]);
            look(&writer, series, odd, MissedClose);
            close(&writer, series, [odd - 1]);
        }
        assert_eq!(store.gap_ledger().len() as i64, capacity);
        assert!(store.count(Counter::GapsForgotten) >= 5);
        assert_eq!(store.count(Counter::GapsUnlisted), 0);
        assert_eq!(store.gap_ledger().last().unwrap().from, 2 * (capacity + 5) - 1);
    }

    #[test]
    fn the_next_writer_goes_on_with_the_rows_and_ends_what_was_not_ended() {
        let (writer, series) = one_series(16);
        let store = writer.store();
        close(&writer, series, [1, 8]);
        writer.set_first_ever(series, 1);
        look(&writer, series, 8, Disconnect);
        // It died before it told the ledger that 3 has come, and in the midst of another row.
        let ring = store.ring_of(series).unwrap();
        ring.store(super::super::ring::Tag::of(3, &kline(3, 1, true), 0), &kline(3, 1, true));
        store.row_words(1)[0].fetch_add(1, Ordering::Relaxed);
        drop(writer);
        let writer = Writer::attach(store);
        let mut is = rows(store);
        is.sort_unstable();
        let open = |from, through| (from, through, Disconnect, None);
        assert_eq!(is, [open(2, 2), (3, 3, Disconnect, Some(Repaired)), open(4, 7)]);
        close(&writer, series, [2, 4, 5, 6, 7]);
        assert!(rows(store).iter().all(|row| row.3 == Some(Repaired)), "{:?}", rows(store));
    }
}
