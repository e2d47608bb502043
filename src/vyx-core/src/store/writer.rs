//! The one process that writes: what comes from the exchange goes through here.

use super::changes::Changes;
use super::gaps::Ledger;
use super::ring::{Content, Field, Ring, Series, Tag, owner};
use super::{AT_CLOSES, AT_EPOCH, Counter, DirectoryFull, Store, SymbolId, seqlock};
use crate::kline::{Merge, merge};
use crate::sync::Ordering;
use crate::{GapResolution, Kline, Millis, Provenance, SymbolInfo, SymbolStatus};
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;

/// The right to write to a store. There must be one writer at a time in all processes: two would damage each
/// other's klines, though never memory. Not `Sync`, so within a process one thread writes at a time.
pub struct Writer<'a> {
    store: Store<'a>,
    pub(super) ledger: RefCell<Ledger>,
    pub(super) changes: RefCell<Changes>,
    one_thread: PhantomData<Cell<()>>,
}

impl<'a> Writer<'a> {
    /// Becomes the store's writer: repairs what a writer left that died in mid-write, then raises the epoch.
    pub fn attach(store: Store<'a>) -> Writer<'a> {
        for slot in 0..store.used_slots() {
            let generation = store.generation(slot);
            for (interval, seat) in store.intervals().filter_map(|i| Some((i, store.seat(i)?))) {
                let ring = store.ring_at(slot, seat.place, interval);
                if ring.owner() != owner(seat.tenure, generation) {
                    ring.reset(owner(seat.tenure, generation)); // it died between the directory and the series
                } else if seqlock::is_odd(ring.sequence()) {
                    store.add(Counter::DamagedSlots, ring.repair());
                }
                // Whoever was connected is not any more.
                ring.set(Field::Subscribed, 0);
            }
            store.repair_ticker(slot);
        }
        store.rebuild_index();
        store.words[AT_EPOCH].fetch_add(1, Ordering::AcqRel);
        let writer = Writer { store, ledger: RefCell::default(), changes: RefCell::default(), one_thread: PhantomData };
        writer.read_ledger();
        writer
    }

    pub fn store(&self) -> Store<'a> {
        self.store
    }

    /// Puts a symbol into the directory, with empty series, or brings what is known about it up to date.
    /// A symbol that comes back with other assets is another pair: it starts anew.
    ///
    /// # Errors
    /// There is no slot left; that is counted.
    pub fn put_symbol(&self, info: &SymbolInfo, since: Millis) -> Result<SymbolId, DirectoryFull> {
        if let Some(id) = self.store.find(&info.symbol) {
            let known = self.store.symbol(id);
            if known.is_some_and(|known| (known.info.base, known.info.quote) == (info.base, info.quote)) {
                self.store.describe(id, info);
                self.note_symbol(id);
                return Ok(id);
            }
            self.remove_symbol(id);
        }
        let Some(slot) = self.store.free_slot() else {
            self.store.add(Counter::DirectoryFull, 1);
            return Err(DirectoryFull(self.store.shape.max_symbols()));
        };
        self.reset_slot(slot, self.store.generation(slot).wrapping_add(1));
        let id = self.store.publish(slot, info, since);
        self.note_symbol(id);
        Ok(id)
    }

    /// Stores what the exchange says about trading in a symbol; false if the symbol is gone.
    pub fn set_status(&self, id: SymbolId, status: SymbolStatus) -> bool {
        let there = self.store.is_current(id);
        if there {
            self.store.store_status(id, status);
            self.note_symbol(id);
        }
        there
    }

    /// Frees a symbol's slot; its series are gone for every reader. False if it was gone already.
    pub fn remove_symbol(&self, id: SymbolId) -> bool {
        for series in self.store.intervals().filter_map(|interval| self.store.series(id, interval)) {
            self.end_gaps(series, GapResolution::Untracked);
        }
        let name = self.store.symbol(id).map(|entry| entry.info.symbol);
        let there = self.store.unpublish(id);
        if there {
            self.reset_slot(id.slot, self.store.generation(id.slot));
            name.into_iter().for_each(|name| self.note_removed_symbol(name));
        }
        there
    }

    fn reset_slot(&self, slot: u32, generation: u32) {
        for (interval, seat) in self.store.intervals().filter_map(|i| Some((i, self.store.seat(i)?))) {
            self.store.ring_at(slot, seat.place, interval).reset(owner(seat.tenure, generation));
        }
        self.store.clear_ticker(slot);
        self.forget_symbol_changes(slot);
    }

    /// Notes the exchange's time of an event about a symbol, and moves market time.
    pub fn note_event(&self, id: SymbolId, at: Millis) {
        if self.store.is_current(id) {
            self.store.raise_last_event(id, at);
        }
        self.store.raise_market_time(at);
    }

    /// Notes that the stream of a series said something, at this time of the exchange.
    pub fn note_heard(&self, series: Series, at: Millis) {
        if let Some(ring) = self.writable(series).filter(|_| at.0 > 0) {
            ring.set(Field::Heard, ring.get(Field::Heard).max(at.0 as u64));
        }
    }

    /// Notes that the stream of a series is connected, or is not any more.
    pub fn set_subscribed(&self, series: Series, subscribed: bool) {
        let Some(ring) = self.writable(series) else { return };
        match (subscribed, ring.get(Field::Subscribed)) {
            (true, 0) => ring.set(Field::Subscribed, self.store.market_time().0.max(1) as u64),
            (true, _) => {}
            (false, _) => ring.set(Field::Subscribed, 0),
        }
    }

    /// Offers a kline to its series. Whatever becomes of it is counted.
    pub fn put_kline(&self, series: Series, kline: &Kline) -> Merge {
        let outcome = self.offer(series, kline);
        let counter = match outcome {
            Merge::Inserted | Merge::Updated | Merge::Closed | Merge::Corrected => Counter::Klines,
            Merge::Stale => Counter::StaleKlines,
            Merge::LateOpen => Counter::LateOpen,
            Merge::TooOld => Counter::TooOld,
            Merge::Refused => Counter::RefusedKlines,
            Merge::Gone => Counter::Dropped,
        };
        self.store.add(counter, 1);
        outcome
    }

    fn offer(&self, series: Series, kline: &Kline) -> Merge {
        let Some(ring) = self.writable(series) else { return Merge::Gone };
        let ordinal = series.interval.ordinal(kline.open_time);
        if !kline.is_plausible()
            || !ring.is_addressable(ordinal)
            || series.interval.open_time(ordinal) != kline.open_time
        {
            return Merge::Refused;
        }
        if ring.ordinal(Field::Head).is_some_and(|head| ordinal < ring.oldest(head)) {
            return Merge::TooOld;
        }
        let before = ring.tag(ordinal);
        if before.content() == Content::Absent && !kline.closed {
            return Merge::LateOpen;
        }
        let held = before.is_kline().then(|| ring.kline_at(before));
        let outcome = merge(held.as_ref(), kline);
        if outcome == Merge::Corrected && held.as_ref().is_some_and(|held| kline.is_historys_word_against(held)) {
            self.store.add(Counter::Disagreements, 1);
        }
        if outcome.accepted() {
            self.write_kline(series, ring, ordinal, before, kline, outcome);
        }
        outcome
    }

    fn write_kline(&self, series: Series, ring: Ring<'a>, ordinal: i64, before: Tag, kline: &Kline, outcome: Merge) {
        let corrected = outcome == Merge::Corrected;
        let closes = kline.closed && !corrected;
        let revision = if corrected { before.revision().saturating_add(1) } else { kline.revision };
        let streamed = ring.ordinal(Field::FirstStreamed);
        let repaired =
            closes && kline.provenance == Provenance::History && streamed.is_some_and(|first| ordinal >= first);
        ring.write(Some(ordinal), || {
            ring.move_head(ordinal);
            ring.store(Tag::of(ordinal, kline, revision), kline);
            if kline.provenance == Provenance::Stream && streamed.is_none() {
                ring.set_ordinal(Field::FirstStreamed, Some(ordinal));
            }
            if ring.ordinal(Field::FirstEver).is_some_and(|first| ordinal < first) {
                ring.set_ordinal(Field::FirstEver, Some(ordinal));
            }
            ring.set(Field::Corrected, ring.get(Field::Corrected) + u64::from(corrected));
            let rewritten = corrected || before.content() == Content::Absent;
            ring.set(Field::Rewritten, ring.get(Field::Rewritten) + u64::from(rewritten));
            ring.set(Field::Repaired, ring.get(Field::Repaired) + u64::from(repaired));
            ring.take_back_absence(before);
            if closes {
                ring.settle(ordinal, ordinal);
            }
        });
        self.store.add(Counter::Corrected, u64::from(corrected));
        self.store.add(Counter::Repaired, u64::from(repaired));
        if kline.closed {
            self.note_change(series, ordinal, ordinal);
        }
        if closes {
            if before.content() == Content::Absent {
                self.take_back(series, ring, ordinal);
            } else if ring.get(Field::OpenGaps) != 0 {
                self.resolve(series, ring, ordinal, ordinal, GapResolution::Repaired);
            }
            self.store.add(Counter::Closes, 1);
            self.announce_close();
        }
    }

    /// The ring of a series, if its symbol is still there.
    pub(super) fn writable(&self, series: Series) -> Option<Ring<'a>> {
        self.store.ring_of(series).filter(|ring| ring.owner() == series.owner())
    }

    /// Tells whoever waits that something was settled.
    pub(super) fn announce_close(&self) {
        self.store.words[AT_CLOSES].fetch_add(1, Ordering::Release);
    }
}
