//! Which klines a series has for good: the writer's side of completeness.
//!
//! An ordinal is *settled* when it is held closed or confirmed absent. Each slot says so by itself; the
//! header keeps one range of settled ordinals besides, so that the usual question ("is everything there up
//! to now?") needs no walk. The range grows over settled neighbours and shrinks where the window leaves it.
//! Invariant: whenever anything in the window is settled, there is a range.

use super::ring::{Content, Field, Ring, Series, Tag};
use super::{Counter, Writer};

impl Writer<'_> {
    /// Says that history has answered definitively for `from..=through`: what is not held closed does not
    /// exist. Gives the number of klines that this confirms absent. `through` must have been closed long
    /// enough, in market time, for the answer to be final. Ordinals below the first kline ever are left out:
    /// tell that one first ([`set_first_ever`](Self::set_first_ever)).
    pub fn confirm(&self, series: Series, from: i64, through: i64) -> u64 {
        let Some(ring) = self.writable(series) else { return 0 };
        let head = ring.ordinal(Field::Head).map_or(through, |head| head.max(through));
        let first_ever = ring.ordinal(Field::FirstEver).unwrap_or(i64::MIN);
        let from = from.max(ring.oldest(head)).max(first_ever);
        if through < from || !ring.is_addressable(from) || !ring.is_addressable(through) {
            return 0;
        }
        let absent = ring.write(None, || {
            ring.move_head(through);
            let mut absent = 0;
            for ordinal in from..=through {
                if !ring.tag(ordinal).is_settled() {
                    ring.store_tag(ordinal, Tag::absent(ordinal));
                    absent += 1;
                }
            }
            ring.set(Field::ConfirmedAbsent, ring.get(Field::ConfirmedAbsent) + absent);
            ring.settle(from, through);
            absent
        });
        self.store().add(Counter::ConfirmedAbsent, absent);
        // A confirmation can be what an evaluation waited for.
        self.announce_close(series, None);
        absent
    }

    /// Says that history has nothing before this ordinal: the series begins here.
    pub fn set_first_ever(&self, series: Series, ordinal: i64) {
        let Some(ring) = self.writable(series) else { return };
        ring.write(None, || ring.set_ordinal(Field::FirstEver, Some(ordinal)));
    }
}

impl Ring<'_> {
    /// Moves the head up to `ordinal`, and the complete range out of what thereby leaves the window.
    pub(super) fn move_head(&self, ordinal: i64) {
        let head = self.ordinal(Field::Head);
        if head.is_some_and(|head| head >= ordinal) {
            return;
        }
        self.set_ordinal(Field::Head, Some(ordinal));
        if let Some((from, through)) = self.complete() {
            let from = from.max(self.oldest(ordinal));
            if from <= through {
                self.set_complete(Some((from, through)));
            } else {
                self.set_complete(self.newest_settled_run());
            }
        }
    }

    /// Takes `from..=through`, all settled and in the window, into the complete range if they touch it.
    pub(super) fn settle(&self, from: i64, through: i64) {
        let joined = match self.complete() {
            Some((first, last)) if from > last + 1 || through < first - 1 => return, // joined when the gap closes
            Some((first, last)) => (first.min(from), last.max(through)),
            None => (from, through),
        };
        self.set_complete(Some(self.extended(joined)));
    }

    /// The range and its settled neighbours in the window.
    fn extended(&self, (mut from, mut through): (i64, i64)) -> (i64, i64) {
        let head = self.ordinal(Field::Head).unwrap_or(through);
        while through < head && self.tag(through + 1).is_settled() {
            through += 1;
        }
        let oldest = self.oldest(head);
        while from > oldest && self.tag(from - 1).is_settled() {
            from -= 1;
        }
        (from, through)
    }

    fn newest_settled_run(&self) -> Option<(i64, i64)> {
        let head = self.ordinal(Field::Head)?;
        let (tag, _) = self.held(self.oldest(head), head).rev().find(|(tag, _)| tag.is_settled())?;
        Some(self.extended((tag.ordinal(), tag.ordinal())))
    }

    /// Makes the series consistent after a writer died in mid-write; what it was writing is lost. Gives the
    /// number of klines lost.
    pub(super) fn repair(&self) -> u64 {
        let damaged = self.ordinal(Field::Writing).filter(|ordinal| self.is_addressable(*ordinal));
        self.write(None, || {
            if let Some(ordinal) = damaged {
                self.store_tag(ordinal, Tag::EMPTY);
            }
            // The head only rises, so a head that was not moved yet is still right for what is left.
            self.set_complete(self.newest_settled_run());
        });
        u64::from(damaged.is_some())
    }

    /// Whether a kline with this ordinal can be stored at all.
    pub(super) fn is_addressable(&self, ordinal: i64) -> bool {
        (-super::ORDINAL_LIMIT..super::ORDINAL_LIMIT).contains(&ordinal)
    }

    /// Counts a kline that became closed although it was confirmed absent.
    pub(super) fn take_back_absence(&self, before: Tag) {
        if before.content() == Content::Absent {
            self.set(Field::ConfirmedAbsent, self.get(Field::ConfirmedAbsent).saturating_sub(1));
        }
    }
}
