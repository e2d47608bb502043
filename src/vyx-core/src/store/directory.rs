//! The symbols of the store. A symbol keeps its slot, and with it its series, until it is removed.
//!
//! The generation of a slot says whether it is in use (odd) and is part of a [`SymbolId`], so an id of a
//! removed symbol never finds its successor. It is also what guards the names: they are written only while
//! the generation is even. Status and sizes are one word each and may change at any time.

use super::{AT_USED_SLOTS, Store, seqlock};
use crate::sync::{AtomicU64, Ordering, fence};
use crate::{Millis, Symbol, SymbolInfo, SymbolStatus};

const GENERATION: usize = 0;
const STATUS: usize = 1;
const TICK_SIZE: usize = 2;
const STEP_SIZE: usize = 3;
const SINCE: usize = 4;
const LAST_EVENT: usize = 5;
const NAME: usize = 8;
const BASE: usize = 16;
const QUOTE: usize = 24;
const NAME_WORDS: usize = 8;
pub(crate) const WORDS: usize = 32;

/// A symbol's place in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SymbolId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl SymbolId {
    /// The number of its slot, less than the shape's `max_symbols`: an index for tables beside the store.
    pub fn slot(self) -> usize {
        self.slot as usize
    }
}

/// A symbol as the directory has it.
#[derive(Clone, Debug, PartialEq)]
pub struct SymbolEntry {
    pub id: SymbolId,
    pub info: SymbolInfo,
    /// Market time from which it has been tracked.
    pub since: Millis,
    /// The exchange's time of the newest event about it.
    pub last_event_time: Option<Millis>,
}

/// There is no free slot for another symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the directory is full: it has room for {0} symbols")]
pub struct DirectoryFull(pub u32);

impl<'a> Store<'a> {
    /// Finds a symbol by its name.
    pub fn find(&self, symbol: &Symbol) -> Option<SymbolId> {
        // A writer that died in mid-write leaves the index unreadable, not the directory.
        seqlock::read(self.index_sequence(), || self.probe(symbol))
            .unwrap_or_else(|| self.slots_in_use().find(|&slot| self.is_named(slot, symbol)).and_then(|s| self.id(s)))
    }

    /// The symbols, in order of their slots.
    pub fn symbols(&self) -> impl Iterator<Item = SymbolId> + use<'a> {
        let store = *self;
        self.slots_in_use().filter_map(move |slot| store.id(slot))
    }

    /// What the directory says about a symbol; `None` once it is removed.
    pub fn symbol(&self, id: SymbolId) -> Option<SymbolEntry> {
        let entry = self.entry(id)?;
        let names = [NAME, BASE, QUOTE].map(|at| load_words(&entry[at..at + NAME_WORDS]));
        let word = |field: usize| entry[field].load(Ordering::Relaxed);
        let last_event = word(LAST_EVENT) as i64;
        let (status, tick, step, since) = (word(STATUS), word(TICK_SIZE), word(STEP_SIZE), word(SINCE));
        if !self.is_current(id) {
            return None;
        }
        let [symbol, base, quote] = names.map(|name| Symbol::from_words(&name));
        Some(SymbolEntry {
            id,
            info: SymbolInfo {
                symbol: symbol?,
                base: base?,
                quote: quote?,
                status: SymbolStatus::from_index(status as u8),
                tick_size: f64::from_bits(tick),
                step_size: f64::from_bits(step),
            },
            since: Millis(since as i64),
            last_event_time: (last_event > 0).then_some(Millis(last_event)),
        })
    }

    /// Whether the symbol is still the one in its slot. All loads before the call belong to it if so.
    pub(crate) fn is_current(&self, id: SymbolId) -> bool {
        fence(Ordering::Acquire);
        self.entry(id).is_some_and(|e| e[GENERATION].load(Ordering::Relaxed) as u32 == id.generation)
    }

    fn slots_in_use(&self) -> std::ops::Range<u32> {
        0..self.used_slots()
    }

    pub(super) fn used_slots(&self) -> u32 {
        (self.words[AT_USED_SLOTS].load(Ordering::Acquire) as u32).min(self.shape.max_symbols())
    }

    pub(super) fn generation(&self, slot: u32) -> u32 {
        self.entry_at(slot)[GENERATION].load(Ordering::Acquire) as u32
    }

    fn id(&self, slot: u32) -> Option<SymbolId> {
        let generation = self.generation(slot);
        (generation % 2 == 1).then_some(SymbolId { slot, generation })
    }

    fn entry(&self, id: SymbolId) -> Option<&'a [AtomicU64]> {
        (id.slot < self.shape.max_symbols()).then(|| self.entry_at(id.slot))
    }

    fn entry_at(&self, slot: u32) -> &'a [AtomicU64] {
        let begin = self.layout.directory + slot as usize * WORDS;
        &self.words[begin..begin + WORDS]
    }

    fn index_sequence(&self) -> &'a AtomicU64 {
        &self.words[self.layout.index]
    }

    /// The index: a word is 0 or the upper half of the name's hash and the slot plus one; collisions go to
    /// the next word.
    fn index(&self) -> &'a [AtomicU64] {
        let begin = self.layout.index + super::shape::LINE;
        &self.words[begin..begin + self.layout.index_len]
    }

    fn probe(&self, symbol: &Symbol) -> Option<SymbolId> {
        let (index, hash) = (self.index(), symbol.stable_hash());
        for step in 0..index.len() {
            let word = index[(hash as usize + step) % index.len()].load(Ordering::Relaxed);
            if word == 0 {
                return None;
            }
            let slot = (word as u32).wrapping_sub(1);
            if word >> 32 == hash >> 32 && slot < self.shape.max_symbols() && self.is_named(slot, symbol) {
                return self.id(slot);
            }
        }
        None
    }

    fn is_named(&self, slot: u32, symbol: &Symbol) -> bool {
        let Some(id) = self.id(slot) else { return false };
        let name = load_words(&self.entry_at(slot)[NAME..NAME + NAME_WORDS]);
        name == symbol.to_words() && self.is_current(id)
    }

    // What follows is the writer's.

    /// The lowest slot that is not in use.
    pub(super) fn free_slot(&self) -> Option<u32> {
        (0..self.shape.max_symbols()).find(|&slot| self.generation(slot).is_multiple_of(2))
    }

    /// Fills a free slot and publishes it; everything else that belongs to the slot must be ready.
    pub(super) fn publish(&self, slot: u32, info: &SymbolInfo, since: Millis) -> SymbolId {
        let entry = self.entry_at(slot);
        let generation = self.generation(slot).wrapping_add(1);
        fence(Ordering::Release);
        for (at, name) in [(NAME, &info.symbol), (BASE, &info.base), (QUOTE, &info.quote)] {
            for (word, value) in entry[at..at + NAME_WORDS].iter().zip(name.to_words()) {
                word.store(value, Ordering::Relaxed);
            }
        }
        entry[SINCE].store(since.0 as u64, Ordering::Relaxed);
        entry[LAST_EVENT].store(0, Ordering::Relaxed);
        let id = SymbolId { slot, generation };
        self.describe(id, info);
        entry[GENERATION].store(u64::from(generation), Ordering::Release);
        let used = self.used_slots().max(slot + 1);
        self.words[AT_USED_SLOTS].store(u64::from(used), Ordering::Release);
        self.rebuild_index();
        id
    }

    /// Takes a symbol out of the directory; false if it was not there.
    pub(super) fn unpublish(&self, id: SymbolId) -> bool {
        let there = self.is_current(id) && id.generation % 2 == 1;
        if there {
            let generation = id.generation.wrapping_add(1);
            self.entry_at(id.slot)[GENERATION].store(u64::from(generation), Ordering::Release);
            self.rebuild_index();
        }
        there
    }

    /// Stores what may change while a symbol is in use.
    pub(super) fn describe(&self, id: SymbolId, info: &SymbolInfo) {
        let entry = self.entry_at(id.slot);
        entry[STATUS].store(info.status as u64, Ordering::Relaxed);
        entry[TICK_SIZE].store(info.tick_size.to_bits(), Ordering::Relaxed);
        entry[STEP_SIZE].store(info.step_size.to_bits(), Ordering::Relaxed);
    }

    pub(super) fn store_status(&self, id: SymbolId, status: SymbolStatus) {
        self.entry_at(id.slot)[STATUS].store(status as u64, Ordering::Relaxed);
    }

    pub(super) fn raise_last_event(&self, id: SymbolId, at: Millis) {
        if at.0 > 0 {
            self.entry_at(id.slot)[LAST_EVENT].fetch_max(at.0 as u64, Ordering::Relaxed);
        }
    }

    /// Symbols come and go rarely, so the index is made anew each time and needs no tombstones.
    pub(super) fn rebuild_index(&self) {
        let index = self.index();
        seqlock::write(self.index_sequence(), || {
            for word in index {
                word.store(0, Ordering::Relaxed);
            }
            for slot in self.slots_in_use().filter(|&slot| self.id(slot).is_some()) {
                let name = load_words(&self.entry_at(slot)[NAME..NAME + NAME_WORDS]);
                let Some(symbol) = Symbol::from_words(&name) else { continue };
                let hash = symbol.stable_hash();
                let free = (0..index.len())
                    .map(|step| &index[(hash as usize + step) % index.len()])
                    .find(|word| word.load(Ordering::Relaxed) == 0)
                    .expect("the index has twice as many words as there are symbols");
                free.store(hash >> 32 << 32 | u64::from(slot + 1), Ordering::Relaxed);
            }
        });
    }
}

fn load_words(words: &[AtomicU64]) -> [u64; NAME_WORDS] {
    std::array::from_fn(|i| words[i].load(Ordering::Relaxed))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::tests::{info, store};
    use super::super::{Counter, DirectoryFull, Writer};
    use super::*;
    use crate::Interval;

    #[test]
    fn symbols_of_any_script_are_found_and_described() {
        let writer = Writer::attach(store(8, &[(Interval::M1, 4)]));
        let store = writer.store();
        for name in ["BTCUSDT", "币安人生USDT", &"A".repeat(64)] {
            let info = info(name);
            let id = writer.put_symbol(&info, Millis(7)).unwrap();
            assert_eq!(store.find(&info.symbol), Some(id));
            let entry = store.symbol(id).unwrap();
            assert_eq!((entry.info, entry.since, entry.last_event_time), (info, Millis(7), None));
        }
        assert_eq!(store.find(&Symbol::new("ETHUSDT").unwrap()), None);
        assert_eq!(store.symbols().map(SymbolId::slot).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn what_the_exchange_changes_keeps_the_symbol_and_its_id() {
        let writer = Writer::attach(store(1, &[(Interval::M1, 4)]));
        let id = writer.put_symbol(&info("BTCUSDT"), Millis(7)).unwrap();
        let changed = SymbolInfo { status: SymbolStatus::Halt, tick_size: 0.1, ..info("BTCUSDT") };
        assert_eq!(writer.put_symbol(&changed, Millis(9)), Ok(id));
        assert!(writer.set_status(id, SymbolStatus::Break));
        writer.note_event(id, Millis(12));
        writer.note_event(id, Millis(11));
        let entry = writer.store().symbol(id).unwrap();
        assert_eq!((entry.info.status, entry.info.tick_size), (SymbolStatus::Break, 0.1));
        assert_eq!((entry.since, entry.last_event_time), (Millis(7), Some(Millis(12))));
        assert_eq!(writer.store().market_time(), Millis(12));
    }

    #[test]
    fn a_name_that_comes_back_with_other_assets_is_another_pair() {
        let writer = Writer::attach(store(1, &[(Interval::M1, 4)]));
        let old = writer.put_symbol(&info("BTCUSDT"), Millis(7)).unwrap();
        let other = SymbolInfo { base: Symbol::new("BTC2").unwrap(), ..info("BTCUSDT") };
        let new = writer.put_symbol(&other, Millis(9)).unwrap();
        assert_eq!(writer.store().symbol(old), None);
        assert_eq!(writer.store().symbol(new).unwrap().info, other);
    }

    #[test]
    fn a_full_directory_is_said_and_counted_and_a_removed_symbol_makes_room() {
        let writer = Writer::attach(store(2, &[(Interval::M1, 4)]));
        let store = writer.store();
        let [a, b] = ["AUSDT", "BUSDT"].map(|name| writer.put_symbol(&info(name), Millis(1)).unwrap());
        assert_eq!(writer.put_symbol(&info("CUSDT"), Millis(1)), Err(DirectoryFull(2)));
        assert_eq!(store.count(Counter::DirectoryFull), 1);
        assert!(writer.remove_symbol(a));
        assert!(!writer.remove_symbol(a), "twice");
        let c = writer.put_symbol(&info("CUSDT"), Millis(1)).unwrap();
        assert_eq!(c.slot(), a.slot());
        assert_eq!((store.symbol(a), store.find(&info("AUSDT").symbol)), (None, None));
        assert!(!writer.set_status(a, SymbolStatus::Halt), "an old id changes nothing");
        assert_eq!(store.symbol(c).unwrap().info.status, SymbolStatus::Trading);
        assert_eq!(store.symbols().collect::<Vec<_>>(), [c, b]);
    }

    #[test]
    fn symbols_are_found_though_a_writer_died_while_it_made_the_index() {
        let writer = Writer::attach(store(4, &[(Interval::M1, 4)]));
        let store = writer.store();
        let id = writer.put_symbol(&info("BTCUSDT"), Millis(1)).unwrap();
        store.index_sequence().fetch_add(1, Ordering::Relaxed);
        store.index().iter().for_each(|word| word.store(0, Ordering::Relaxed));
        assert_eq!(store.find(&info("BTCUSDT").symbol), Some(id));
        Writer::attach(store);
        assert_eq!(store.index_sequence().load(Ordering::Relaxed) % 2, 0);
        assert_eq!(store.find(&info("BTCUSDT").symbol), Some(id));
    }

    #[test]
    fn a_full_index_with_collisions_finds_every_symbol() {
        let writer = Writer::attach(store(64, &[(Interval::M1, 1)]));
        let names: Vec<SymbolInfo> = (0..64).map(|n| info(&format!("S{n}USDT"))).collect();
        let ids: Vec<SymbolId> = names.iter().map(|i| writer.put_symbol(i, Millis(1)).unwrap()).collect();
        for id in ids.iter().step_by(3) {
            writer.remove_symbol(*id);
        }
        for (n, (info, id)) in names.iter().zip(&ids).enumerate() {
            assert_eq!(writer.store().find(&info.symbol), (n % 3 != 0).then_some(*id), "{}", info.symbol);
        }
    }
}
