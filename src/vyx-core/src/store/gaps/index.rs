//! The writer's way into the ledger: rows that another writer left, or that a snapshot brings.

use super::{Ledger, key};
use crate::store::ring::Content;
use crate::store::{Counter, Writer};
use crate::{Gap, GapResolution};
use std::collections::HashMap;

impl Writer<'_> {
    /// Finds its way in the rows that another writer left.
    pub(in crate::store) fn read_ledger(&self) {
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
    pub(in crate::store) fn restore_gap(&self, places: &mut HashMap<u64, usize>, number: u64, gap: &Gap) {
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
    pub(in crate::store) fn unrestore_gap(&self, places: &mut HashMap<u64, usize>, number: u64) {
        if let Some(place) = places.remove(&number) {
            self.store().store_row(place, None);
            self.ledger().free.push(place);
        }
    }

    /// After the last row of a snapshot: makes the index of the whole.
    pub(in crate::store) fn index_restored(&self) {
        *self.ledger() = Ledger::default();
        self.read_ledger();
        let mut ledger = self.ledger();
        ledger.changed.clear();
        ledger.removed.clear();
    }
}
