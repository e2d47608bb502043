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
