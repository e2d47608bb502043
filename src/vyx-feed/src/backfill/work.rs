//! Which series to ask history about next, who is left alone, and how much is left to do. Knows no network.

use crate::rest::{PAGE, PAGE_WEIGHT};
use crate::sink::Missing;
use crate::tails::Series;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::time::Instant;
use vyx_core::{GapReason, Interval, Symbol};

/// The state of every followed series. All maps are ordered, so that the same market is asked about in the same order.
#[derive(Debug, Default)]
pub struct Work {
    /// With its place in the order of preference.
    followed: BTreeMap<Series, usize>,
    /// Who follows nothing yet has just been started.
    began: bool,
    queue: BTreeMap<Place, GapReason>,
    /// The last run that was asked about, since the series was last complete.
    asked: BTreeMap<Series, RangeInclusive<i64>>,
    busy: BTreeSet<Series>,
    parked: BTreeMap<Series, Parked>,
    complete: BTreeSet<Series>,
    /// Pages that history still owes, by the last look.
    owed: BTreeMap<Series, u64>,
    told: (usize, usize, u64),
}

/// Left alone for a while.
#[derive(Clone, Copy, Debug)]
struct Parked {
    until: Instant,
    /// Or until its stream goes on, as history will have gone on too.
    or_news: bool,
}

/// Compared field by field: the smallest interval first, as its klines are the first to be evaluated and to be pushed out;
/// then the preferred symbol, and all pages of a series one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    interval: Interval,
    preference: usize,
    series: Series,
}

impl Work {
    /// Takes over symbols, in the order of preference, and intervals. Returns the series that are new, with the reason for
    /// which their klines are missing.
    pub fn follow(&mut self, symbols: &[Symbol], intervals: &[Interval]) -> Vec<(Series, GapReason)> {
        let before: BTreeSet<Symbol> = self.followed.keys().map(|(symbol, _)| *symbol).collect();
        let reason = |symbol: &Symbol| match self.began {
            false => GapReason::Restart,
            true if before.contains(symbol) => GapReason::IntervalAdded,
            true => GapReason::SymbolAdded,
        };
        let places = symbols.iter().enumerate();
        let followed: BTreeMap<Series, usize> = places
            .flat_map(|(preference, symbol)| intervals.iter().map(move |interval| ((*symbol, *interval), preference)))
            .collect();
        let new: Vec<_> = followed
            .keys()
            .filter(|series| !self.followed.contains_key(*series))
            .map(|series| (*series, reason(&series.0)))
            .collect();
        self.began |= !followed.is_empty();
        self.queue.clear();
        self.asked.retain(|series, _| followed.contains_key(series));
        self.parked.retain(|series, _| followed.contains_key(series));
        self.complete.retain(|series| followed.contains_key(series));
        self.owed.retain(|series, _| followed.contains_key(series));
        self.followed = followed;
        new
    }

    pub fn follows(&self, series: &Series) -> bool {
        self.followed.contains_key(series)
    }

    pub fn all(&self) -> Vec<Series> {
        self.followed.keys().copied().collect()
    }

    pub fn of_intervals(&self, intervals: &[Interval]) -> Vec<Series> {
        self.followed.keys().filter(|(_, interval)| intervals.contains(interval)).copied().collect()
    }

    /// The series misses something: history is to be asked, as soon as it may.
    pub fn lacks(&mut self, series: Series, missing: &Missing, reason: GapReason) {
        let Some(preference) = self.followed.get(&series) else { return };
        self.complete.remove(&series);
        self.owed.insert(series, missing.count.div_ceil(PAGE as u64));
        if !self.busy.contains(&series) && !self.parked.contains_key(&series) {
            self.queue.entry(Place { interval: series.1, preference: *preference, series }).or_insert(reason);
        }
    }

    /// The next series to ask about, and why it was looked at.
    pub fn next(&mut self) -> Option<(Series, GapReason)> {
        self.queue.pop_first().map(|(place, reason)| (place.series, reason))
    }

    pub fn is_complete(&mut self, series: Series) {
        self.asked.remove(&series);
        self.owed.remove(&series);
        if self.followed.contains_key(&series) {
            self.complete.insert(series);
        }
    }

    /// The sink wants the same again although history has answered: asking on would never end.
    pub fn is_fruitless(&self, series: Series, run: &RangeInclusive<i64>) -> bool {
        self.asked.get(&series) == Some(run)
    }

    pub fn is_asked(&mut self, series: Series, missing: &Missing) {
        self.asked.insert(series, missing.oldest.clone());
        self.busy.insert(series);
        self.complete.remove(&series);
    }

    /// History has answered.
    pub fn is_free(&mut self, series: Series) {
        self.busy.remove(&series);
    }

    /// The question failed, which says nothing about the series.
    pub fn is_unanswered(&mut self, series: Series) {
        self.busy.remove(&series);
        self.asked.remove(&series);
    }

    pub fn park(&mut self, series: Series, pause: Duration) {
        self.leave_alone(series, Parked { until: Instant::now() + pause, or_news: false });
    }

    /// History has nothing yet.
    pub fn park_until_news(&mut self, series: Series, pause: Duration) {
        self.leave_alone(series, Parked { until: Instant::now() + pause, or_news: true });
    }

    fn leave_alone(&mut self, series: Series, parked: Parked) {
        self.is_unanswered(series);
        self.complete.remove(&series);
        if self.followed.contains_key(&series) {
            self.parked.insert(series, parked);
        }
    }

    /// The stream has gone on.
    pub fn has_news(&mut self, series: &Series) {
        if self.parked.get(series).is_some_and(|parked| parked.or_news) {
            self.parked.remove(series);
        }
    }

    /// When the next parked series may be looked at again.
    pub fn next_release(&self) -> Option<Instant> {
        self.parked.values().map(|parked| parked.until).min()
    }

    /// Takes out the series whose pause is over.
    pub fn release(&mut self, now: Instant) -> Vec<Series> {
        let over = self.parked.iter().filter(|(_, parked)| parked.until <= now);
        let released: Vec<Series> = over.map(|(series, _)| *series).collect();
        self.parked.retain(|_, parked| parked.until > now);
        released
    }

    /// Series complete and followed, and how many seconds history will take for the rest, if any of it has changed.
    pub fn progress(&mut self, weight_per_minute: u32, pause: Duration) -> Option<(usize, usize, u64)> {
        let now = (self.complete.len(), self.followed.len(), self.seconds_left(weight_per_minute, pause));
        let differs = now != self.told;
        self.told = now;
        differs.then_some(now)
    }

    /// Parked series do not count: nobody knows what becomes of them.
    fn seconds_left(&self, weight_per_minute: u32, pause: Duration) -> u64 {
        let owed = self.owed.iter().filter(|(series, _)| !self.parked.contains_key(*series)).map(|(_, pages)| pages);
        let (known, pages) = owed.fold((0, 0), |(known, sum), pages| (known + 1, sum + pages));
        let unknown = (self.followed.len() as u64)
            .saturating_sub(self.complete.len() as u64 + self.owed.len() as u64)
            .saturating_sub(self.parked.keys().filter(|series| !self.owed.contains_key(*series)).count() as u64);
        // Who was not looked at yet will lack what the others lack.
        let pages = pages + if known == 0 { unknown } else { (unknown * pages).div_ceil(known) };
        if pages == 0 {
            return 0;
        }
        let seconds = (pages * u64::from(PAGE_WEIGHT) * 60).div_ceil(u64::from(weight_per_minute.max(1)));
        seconds + pause.as_secs_f64().ceil() as u64
    }
}

#[cfg(test)]
mod tests;
