//! What the writer has changed since a snapshot last took it: closed klines by range, tickers and symbols by place.
//! Open klines are nobody's past and are not noted.

use super::ring::Series;
use super::{SymbolId, Writer};
use crate::{Interval, Symbol};
use std::collections::{BTreeMap, BTreeSet};

/// Kept by the writer in its own memory: a new writer knows nothing, and its first snapshot takes everything.
#[derive(Default)]
pub(super) struct Changes {
    /// First and last ordinal that changed, by directory slot and interval.
    klines: BTreeMap<(u32, Interval), (i64, i64)>,
    tickers: BTreeSet<u32>,
    symbols: BTreeSet<u32>,
    removed_symbols: Vec<Symbol>,
}

impl Changes {
    pub fn take_klines(&mut self, slot: u32, interval: Interval) -> Option<(i64, i64)> {
        self.klines.remove(&(slot, interval))
    }

    pub fn take_ticker(&mut self, slot: u32) -> bool {
        self.tickers.remove(&slot)
    }

    pub fn take_symbol(&mut self, slot: u32) -> bool {
        self.symbols.remove(&slot)
    }

    pub fn take_removed_symbols(&mut self) -> Vec<Symbol> {
        std::mem::take(&mut self.removed_symbols)
    }

    /// Whether there is anything that lasts: tickers alone, which are new each second, are not worth a round.
    fn are_worth_a_round(&self) -> bool {
        !(self.klines.is_empty() && self.symbols.is_empty() && self.removed_symbols.is_empty())
    }
}

impl Writer<'_> {
    /// Whether a snapshot would bring back something that the last one would not.
    pub fn has_changes(&self) -> bool {
        self.changes.borrow().are_worth_a_round() || !self.ledger.borrow().changed.is_empty()
    }

    pub(super) fn note_change(&self, series: Series, from: i64, through: i64) {
        let mut changes = self.changes.borrow_mut();
        let range = changes.klines.entry((series.symbol.slot, series.interval)).or_insert((from, through));
        *range = (range.0.min(from), range.1.max(through));
    }

    pub(super) fn note_ticker(&self, id: SymbolId) {
        self.changes.borrow_mut().tickers.insert(id.slot);
    }

    pub(super) fn note_symbol(&self, id: SymbolId) {
        self.changes.borrow_mut().symbols.insert(id.slot);
    }

    /// The symbol of a slot is gone: there is nothing of it to be taken.
    pub(super) fn forget_symbol_changes(&self, slot: u32) {
        let mut changes = self.changes.borrow_mut();
        changes.klines.retain(|(of, _), _| *of != slot);
        changes.tickers.remove(&slot);
        changes.symbols.remove(&slot);
    }

    pub(super) fn note_removed_symbol(&self, symbol: Symbol) {
        self.changes.borrow_mut().removed_symbols.push(symbol);
    }

    pub(super) fn forget_changes(&self, interval: Interval) {
        self.changes.borrow_mut().klines.retain(|(_, of), _| *of != interval);
    }

    pub(super) fn forget_all_changes(&self) {
        *self.changes.borrow_mut() = Changes::default();
    }
}
