//! Which klines a series has for good: the writer's side of completeness.
//!
//! An ordinal is *settled* when it is held closed or confirmed absent. Each slot says so by itself; the
//! header keeps one range of settled ordinals besides, so that the usual question ("is everything there up
//! to now?") needs no walk. The range grows over settled neighbours and shrinks where the window leaves it.
//! Invariant: whenever anything in the window is settled, there is a range.

use super::ring::{Content, Field, Ring, Series, Tag};
use super::{Counter, Writer};
use crate::GapResolution;

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
        if absent > 0 {
            self.note_change(series, from, through);
        }
        if ring.get(Field::OpenGaps) != 0 {
            // Of what is still open here, nothing has come.
            self.resolve(series, ring, from, through, GapResolution::ConfirmedAbsent);
        }
        self.store().add(Counter::ConfirmedAbsent, absent);
        // A confirmation can be what an evaluation waited for.
        self.announce_close();
        absent
    }

    /// Says that history has nothing before this ordinal: the series begins here.
    pub fn set_first_ever(&self, series: Series, ordinal: i64) {
        let Some(ring) = self.writable(series) else { return };
        ring.write(None, || ring.set_ordinal(Field::FirstEver, Some(ordinal)));
        self.note_change(series, ordinal, ordinal);
        if ring.get(Field::OpenGaps) != 0 {
            self.resolve(series, ring, i64::MIN, ordinal - 1, GapResolution::ConfirmedAbsent);
        }
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::tests::{kline, newest_gap, one_series};
    use super::super::{CLOSE_ALLOWANCE, Series, SeriesState, SeriesStatus, Store};
    use super::*;
    use crate::kline::Merge;
    use crate::{Interval, Kline, Millis, Provenance, SymbolStatus};

    fn history(ordinal: i64) -> Kline {
        Kline { provenance: Provenance::History, ..kline(ordinal, 1, true) }
    }

    fn put(writer: &Writer, series: Series, klines: impl IntoIterator<Item = Kline>) {
        klines.into_iter().for_each(|kline| assert!(writer.put_kline(series, &kline).accepted(), "{kline:?}"));
    }

    /// Market time when the kline `closed` has just been closed for as long as it may take.
    fn market(store: Store, closed: i64) {
        store.raise_market_time(Interval::M1.close_time(closed) + CLOSE_ALLOWANCE);
    }

    fn status(writer: &Writer, series: Series) -> SeriesStatus {
        writer.store().status(series).unwrap()
    }

    #[test]
    fn a_series_goes_from_empty_over_backfilling_to_live_and_stale() {
        let (writer, series) = one_series(8);
        let store = writer.store();
        market(store, 99);
        assert_eq!(status(&writer, series).state, SeriesState::Empty);
        writer.put_kline(series, &kline(100, 1, false));
        assert_eq!(status(&writer, series).state, SeriesState::Backfilling);
        assert_eq!(newest_gap(store, series, Interval::M1.close_time(99), store.depth(series)), Ok(Some(93..=99)));
        put(&writer, series, (93..=98).map(history));
        writer.put_kline(series, &kline(99, 1, true));
        assert_eq!(status(&writer, series).state, SeriesState::Stale, "nobody is connected");
        writer.set_subscribed(series, true);
        let live = status(&writer, series);
        assert_eq!((live.state, live.held, live.gaps, live.repaired), (SeriesState::Live, 8, 0, 0));
        assert_eq!((live.complete_from, live.complete_through), (Some(93), Some(99)));
        assert_eq!(live.last_closed, Some(Interval::M1.open_time(99)));
        market(store, 101);
        assert_eq!((status(&writer, series).state, status(&writer, series).gaps), (SeriesState::Stale, 1));
        (100..=101).for_each(|ordinal| assert!(writer.put_kline(series, &kline(ordinal, 1, true)).accepted()));
        assert_eq!(status(&writer, series).state, SeriesState::Live);
        market(store, 104);
        (102..=104).for_each(|ordinal| assert!(writer.put_kline(series, &kline(ordinal, 1, true)).accepted()));
        assert_eq!(status(&writer, series).state, SeriesState::Quiet, "whole, and the stream says nothing");
        writer.note_heard(series, Interval::M1.close_time(104));
        assert_eq!(status(&writer, series).state, SeriesState::Live);
        writer.set_subscribed(series, false);
        assert_eq!(status(&writer, series).state, SeriesState::Stale);
        writer.set_status(series.symbol(), SymbolStatus::Halt);
        assert_eq!(status(&writer, series).state, SeriesState::Halted);
    }

    #[test]
    fn a_gap_ends_as_repaired_or_confirmed_absent() {
        let (writer, series) = one_series(16);
        let store = writer.store();
        let at = Interval::M1.close_time(9);
        put(&writer, series, (1..=3).chain(8..=9).map(|ordinal| kline(ordinal, 1, true)));
        assert_eq!(status(&writer, series).complete_through, Some(3));
        assert_eq!(newest_gap(store, series, at, 9), Ok(Some(4..=7)));
        put(&writer, series, [4, 6].map(history));
        let before = store.close_sequence();
        assert_eq!(writer.confirm(series, 4, 7), 2);
        assert_eq!(store.close_sequence(), before + 1, "an evaluation may have waited for it");
        let filled = status(&writer, series);
        assert_eq!((filled.repaired, filled.confirmed_absent, filled.held), (2, 2, 7));
        assert_eq!((filled.complete_from, filled.complete_through), (Some(1), Some(9)), "joined with what came later");
        assert_eq!(newest_gap(store, series, at, 9), Ok(None));
        assert_eq!(store.closed(series, 3, 8).unwrap().len(), 4);
        assert_eq!(writer.confirm(series, 4, 7), 0, "twice changes nothing");
    }

    #[test]
    fn a_kline_that_history_denied_may_still_close_but_not_open() {
        let (writer, series) = one_series(4);
        writer.put_kline(series, &kline(1, 1, true));
        writer.confirm(series, 2, 2);
        assert_eq!(writer.put_kline(series, &kline(2, 5, false)), Merge::LateOpen);
        assert_eq!(writer.put_kline(series, &history(2)), Merge::Inserted);
        let status = status(&writer, series);
        assert_eq!((status.confirmed_absent, status.repaired, status.complete_through), (0, 1, Some(2)));
    }

    #[test]
    fn nothing_is_missing_before_the_first_kline_ever() {
        let (writer, series) = one_series(8);
        let store = writer.store();
        let at = Interval::M1.close_time(10);
        writer.set_first_ever(series, 9);
        assert_eq!(writer.confirm(series, 4, 9), 1, "only 9 itself");
        assert_eq!(newest_gap(store, series, at, 8), Ok(Some(10..=10)));
        assert_eq!(store.is_settled(series, 0, 9), Ok(true));
        assert_eq!(store.last(series, 5, false, None), Ok(vec![]), "history has said that there are none");
    }

    #[test]
    fn a_jump_beyond_the_ring_leaves_nothing_of_the_old_klines() {
        let (writer, series) = one_series(4);
        let store = writer.store();
        put(&writer, series, (1..=4).map(|ordinal| kline(ordinal, 1, true)));
        writer.put_kline(series, &kline(1_001, 1, false));
        assert_eq!(store.last(series, 9, true, None), Ok(vec![kline(1_001, 1, false)]));
        let jumped = status(&writer, series);
        assert_eq!((jumped.held, jumped.complete_from, jumped.complete_through), (1, None, None));
        assert_eq!(newest_gap(store, series, Interval::M1.close_time(1_000), 9), Ok(Some(998..=1_000)));
        assert_eq!(store.gaps(series, Millis(0), 9), Ok(vec![]), "no word from the exchange, nothing is due");
    }

    #[test]
    fn a_ring_of_one_slot_holds_the_newest_kline() {
        let (writer, series) = one_series(1);
        for ordinal in 1..4 {
            assert_eq!(writer.put_kline(series, &kline(ordinal, 1, false)), Merge::Inserted);
            assert_eq!(writer.put_kline(series, &kline(ordinal, 1, true)), Merge::Closed);
            assert_eq!(status(&writer, series).complete_from, Some(ordinal));
            assert_eq!(writer.put_kline(series, &kline(ordinal - 1, 9, true)), Merge::TooOld);
        }
    }
}
