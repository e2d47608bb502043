//! Which intervals are tracked, and where their rings lie.
//!
//! A *seat* is one word: the place that an interval has, and the tenure under which it has it. Tenures are never used
//! twice, and every ring says under which it was emptied: so whoever still reads the series of an interval that has lost
//! its place, to whomever that went, is told that they are gone.

use super::ring::owner;
use super::shape::PLACES;
use super::{AT_SEATS, AT_TENURES, Store, Writer};
use crate::sync::{AtomicU64, Ordering};
use crate::{GapResolution, Interval};

/// Where the rings of a tracked interval are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub place: usize,
    pub tenure: u32,
}

impl<'a> Store<'a> {
    fn seat_word(&self, interval: Interval) -> &'a AtomicU64 {
        &self.words[AT_SEATS + interval as usize]
    }

    pub(super) fn seat(&self, interval: Interval) -> Option<Seat> {
        let word = self.seat_word(interval).load(Ordering::Acquire);
        let place = (word as u32).checked_sub(1)? as usize;
        (place < PLACES && self.shape.place(place).slots != 0).then_some(Seat { place, tenure: (word >> 32) as u32 })
    }

    /// The tracked intervals, shortest first.
    pub fn intervals(&self) -> impl Iterator<Item = Interval> + use<'a> {
        let store = *self;
        Interval::ALL.into_iter().filter(move |interval| store.seat(*interval).is_some())
    }

    /// The ring slots of a series at `interval`, 0 where it is not tracked.
    pub fn slots(&self, interval: Interval) -> u32 {
        self.seat(interval).map_or(0, |seat| self.shape.place(seat.place).slots)
    }

    /// Gives a place whose rings belong to nobody to an interval.
    pub(super) fn give(&self, place: usize, interval: Interval) {
        let tenure = self.words[AT_TENURES].load(Ordering::Relaxed) as u32 + 1;
        self.words[AT_TENURES].store(u64::from(tenure), Ordering::Relaxed);
        for slot in 0..self.used_slots() {
            self.ring_at(slot, place, interval).reset(owner(tenure, self.generation(slot)));
        }
        self.seat_word(interval).store((place as u64 + 1) | u64::from(tenure) << 32, Ordering::Release);
    }
}

impl Writer<'_> {
    /// Tracks these intervals, each with rings of at least so many slots, and no others. What stays keeps its rings.
    /// Gives those that have found a place, shortest first: places are made when the server starts.
    pub fn set_intervals(&self, wanted: &[(Interval, u32)]) -> Vec<Interval> {
        let store = self.store();
        for interval in store.intervals().filter(|interval| !wanted.iter().any(|(wanted, _)| wanted == interval)) {
            for series in store.symbols().filter_map(|symbol| store.series(symbol, interval)) {
                self.end_gaps(series, GapResolution::Untracked);
            }
            store.seat_word(interval).store(0, Ordering::Release);
            self.forget_changes(interval);
        }
        for &(interval, slots) in wanted {
            if store.seat(interval).is_some() {
                continue;
            }
            let taken: Vec<usize> = Interval::ALL.into_iter().filter_map(|i| Some(store.seat(i)?.place)).collect();
            let free = store.shape.places().filter(|(number, place)| place.slots >= slots && !taken.contains(number));
            // The smallest that will do: a larger one may be needed yet.
            if let Some((place, _)) = free.min_by_key(|(_, place)| place.slots) {
                store.give(place, interval);
            }
        }
        store.intervals().collect()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::ReadError;
    use super::super::tests::{info, kline, store};
    use super::*;
    use crate::Millis;

    #[test]
    fn intervals_come_and_go_and_what_stays_keeps_its_klines() {
        let writer = Writer::attach(store(2, &[(Interval::M1, 8), (Interval::M5, 4)]));
        let store = writer.store();
        let id = writer.put_symbol(&info("BTCUSDT"), Millis(1)).unwrap();
        let [minute, five] = [Interval::M1, Interval::M5].map(|interval| store.series(id, interval).unwrap());
        (1..4).for_each(|ordinal| assert!(writer.put_kline(minute, &kline(ordinal, 1, true)).accepted()));
        let five_minutes = crate::Kline { open_time: Interval::M5.open_time(7), ..kline(7, 1, true) };
        assert!(writer.put_kline(five, &five_minutes).accepted());

        // 1h takes the place of 5m; 4h finds none, and none is large enough for 1d.
        let wanted = [(Interval::M1, 8), (Interval::H1, 4), (Interval::H4, 4), (Interval::D1, 9)];
        assert_eq!(writer.set_intervals(&wanted), [Interval::M1, Interval::H1]);
        assert_eq!(store.intervals().collect::<Vec<_>>(), [Interval::M1, Interval::H1]);
        assert_eq!((store.slots(Interval::M5), store.slots(Interval::H1)), (0, 4));
        assert_eq!(store.last(five, 9, true, None), Err(ReadError::Gone));
        assert_eq!(store.series(id, Interval::M5), None);
        let hour = store.series(id, Interval::H1).unwrap();
        assert_eq!(store.last(hour, 9, true, None), Err(ReadError::NeverFilled));
        assert_eq!(store.last(minute, 9, true, None).unwrap().len(), 3);

        // A series of the first time is not one of the second.
        assert_eq!(writer.set_intervals(&[(Interval::M1, 8), (Interval::M5, 4)]), [Interval::M1, Interval::M5]);
        assert_eq!(store.last(five, 9, true, None), Err(ReadError::Gone));
        assert_eq!(writer.put_kline(five, &five_minutes), crate::kline::Merge::Gone);
        assert_eq!(store.last(store.series(id, Interval::M5).unwrap(), 9, true, None), Err(ReadError::NeverFilled));
    }
}
