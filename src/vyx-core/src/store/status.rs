//! What is known, missing and awaited in a series.

use super::ring::{Content, Field, Ring, Series};
use super::{ReadError, Store};
use crate::{Millis, SymbolStatus};
use std::ops::RangeInclusive;

/// How long after its end, in market time, a kline may still be on its way before it counts as missing in
/// [`Store::status`]. The exchange closes klines within 0.2 s; seconds under load.
pub const CLOSE_ALLOWANCE: Millis = Millis(10_000);

/// Silence of a connected stream, in market time, after which its series counts as quiet. A busy pair speaks every 2 s, and
/// every 1m stream once a minute.
pub const QUIET_AFTER: Millis = Millis(150_000);

/// How a series is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeriesState {
    /// Nothing has come yet.
    Empty,
    /// Older klines are still missing.
    Backfilling,
    /// Everything is there, and the stream goes on.
    Live,
    /// Everything is there; the stream is connected and has had nothing to say for [`QUIET_AFTER`].
    Quiet,
    /// Its stream is not connected, or the newest closed klines are missing.
    Stale,
    /// The exchange does not trade the symbol at present.
    Halted,
}

impl SeriesState {
    pub const fn as_str(self) -> &'static str {
        match self {
            SeriesState::Empty => "empty",
            SeriesState::Backfilling => "backfilling",
            SeriesState::Live => "live",
            SeriesState::Quiet => "quiet",
            SeriesState::Stale => "stale",
            SeriesState::Halted => "halted",
        }
    }
}

/// A series at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesStatus {
    pub state: SeriesState,
    /// Klines in the ring, the open one included.
    pub held: usize,
    pub first_open: Option<Millis>,
    pub last_open: Option<Millis>,
    /// Open time of the newest closed kline.
    pub last_closed: Option<Millis>,
    /// From here through `complete_through` every ordinal is held closed or confirmed absent.
    pub complete_from: Option<i64>,
    pub complete_through: Option<i64>,
    /// The ordinal of the first kline there ever was, once history has said so.
    pub first_ever: Option<i64>,
    /// Runs of klines that should be there and are not.
    pub gaps: usize,
    /// Klines that the streams did not close and history did, since the symbol is tracked.
    pub repaired: u64,
    /// Klines of which history said that they do not exist, since the symbol is tracked.
    pub confirmed_absent: u64,
    pub corrected: u64,
    /// The exchange's time of the newest event about the symbol.
    pub last_event_time: Option<Millis>,
    /// The exchange's time of the newest stream event about the series.
    pub heard: Option<Millis>,
}

/// How far the closed klines of a series are complete: all of a status that evaluation asks for, without a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completeness {
    /// Every ordinal from here through `through` is held closed or confirmed absent.
    pub from: i64,
    pub through: i64,
    pub first_ever: Option<i64>,
    /// The lowest ordinal the ring has a slot for: older ones will never be held again.
    pub oldest: i64,
    /// Rises with every change of what was settled: a correction, a kline that was confirmed absent.
    pub rewritten: u64,
}

impl<'a> Store<'a> {
    /// How far a series is complete; `None` where nothing is settled yet.
    ///
    /// # Errors
    /// [`ReadError::Busy`] and [`ReadError::Gone`].
    pub fn completeness(&self, series: Series) -> Result<Option<Completeness>, ReadError> {
        let ring = self.readable(series)?;
        ring.read(series, || {
            let known = ring.complete().zip(ring.ordinal(Field::Head));
            Ok(known.map(|((from, through), head)| Completeness {
                from,
                through,
                first_ever: ring.ordinal(Field::FirstEver),
                oldest: ring.oldest(head),
                rewritten: ring.get(Field::Rewritten),
            }))
        })
    }

    /// How many series are [`SeriesState::Quiet`], as their headers say at the moment.
    pub fn quiet_series(&self) -> usize {
        let now = self.market_time();
        self.rings().filter(|ring| ring.is_quiet(now)).count()
    }

    /// How many rows of the ledger are open, as the headers of the series say at the moment.
    pub fn open_gaps(&self) -> u64 {
        self.rings().map(|ring| ring.get(Field::OpenGaps)).sum()
    }

    fn rings(&self) -> impl Iterator<Item = Ring<'a>> + use<'a> {
        let store = *self;
        let series = store.symbols().flat_map(move |id| store.intervals().map(move |interval| (id, interval)));
        series.filter_map(move |(id, interval)| store.ring_of(store.series(id, interval)?))
    }

    /// What is known of a series, measured at the store's market time.
    ///
    /// # Errors
    /// As [`ReadError`] says, but a series that was never filled has the state [`SeriesState::Empty`].
    pub fn status(&self, series: Series) -> Result<SeriesStatus, ReadError> {
        let ring = self.readable(series)?;
        let symbol = self.symbol(series.symbol).ok_or(ReadError::Gone)?;
        let market_time = self.market_time();
        let due = market_time - CLOSE_ALLOWANCE;
        ring.read(series, || {
            let gaps = ring.gaps(due, ring.depth());
            let head = ring.ordinal(Field::Head);
            let (mut held, mut first, mut last, mut last_closed) = (0, None, None, None);
            let slots = head.into_iter().flat_map(|head| ring.held(ring.oldest(head), head));
            for tag in slots.map(|(tag, _)| tag).filter(|tag| tag.is_kline()) {
                held += 1;
                first = first.or(Some(tag.ordinal()));
                last = Some(tag.ordinal());
                if tag.content() == Content::Closed {
                    last_closed = last;
                }
            }
            let open_time = |ordinal: Option<i64>| ordinal.map(|ordinal| series.interval.open_time(ordinal));
            let complete = ring.complete();
            let state = if symbol.info.status != SymbolStatus::Trading {
                SeriesState::Halted
            } else if head.is_none() {
                SeriesState::Empty
            } else if complete.is_some_and(|(_, through)| {
                ring.get(Field::Subscribed) == 0 || through < series.interval.last_closed(due)
            }) {
                SeriesState::Stale
            } else if !gaps.is_empty() {
                SeriesState::Backfilling
            } else if ring.is_quiet(market_time) {
                SeriesState::Quiet
            } else {
                SeriesState::Live
            };
            Ok(SeriesStatus {
                state,
                held,
                first_open: open_time(first),
                last_open: open_time(last),
                last_closed: open_time(last_closed),
                complete_from: complete.map(|range| range.0),
                complete_through: complete.map(|range| range.1),
                first_ever: ring.ordinal(Field::FirstEver),
                gaps: gaps.len(),
                repaired: ring.get(Field::Repaired),
                confirmed_absent: ring.get(Field::ConfirmedAbsent),
                corrected: ring.get(Field::Corrected),
                last_event_time: symbol.last_event_time,
                heard: Some(Millis(ring.get(Field::Heard) as i64)).filter(|at| at.0 > 0),
            })
        })
    }

    /// Runs of ordinals, oldest first, that are neither held closed nor confirmed absent, among the last
    /// `depth` klines closed at `at`. A depth beyond [`depth`](Self::depth) means that one.
    ///
    /// # Errors
    /// As [`ReadError`] says, but a series that was never filled is one gap.
    pub fn gaps(&self, series: Series, at: Millis, depth: u32) -> Result<Vec<RangeInclusive<i64>>, ReadError> {
        let ring = self.readable(series)?;
        ring.read(series, || Ok(ring.gaps(at, i64::from(depth))))
    }

    /// Whether every ordinal of `from..=through` is held closed, confirmed absent or older than the first
    /// kline there ever was.
    ///
    /// # Errors
    /// As [`ReadError`] says.
    pub fn is_settled(&self, series: Series, from: i64, through: i64) -> Result<bool, ReadError> {
        let ring = self.readable(series)?;
        ring.read(series, || {
            let from = from.max(ring.ordinal(Field::FirstEver).unwrap_or(from));
            Ok(through < from || ring.is_complete(from, through) || ring.are_settled(from, through))
        })
    }

    /// The most closed klines a series can be asked to have complete: one slot is the open kline's.
    pub fn depth(&self, series: Series) -> u32 {
        self.slots(series.interval).saturating_sub(1).max(1)
    }
}

impl Ring<'_> {
    /// Connected, and nothing was said for long.
    fn is_quiet(&self, now: Millis) -> bool {
        let subscribed = self.get(Field::Subscribed);
        subscribed != 0 && now.0 - self.get(Field::Heard).max(subscribed) as i64 > QUIET_AFTER.0
    }

    fn depth(&self) -> i64 {
        (self.capacity - 1).max(1)
    }

    /// The lowest ordinal that should be held when `last` is the newest closed one.
    pub(super) fn lowest_wanted(&self, last: i64, depth: i64) -> i64 {
        let bounds = [
            Some(last.saturating_sub(depth.min(self.depth()) - 1)),
            self.ordinal(Field::Head).map(|head| self.oldest(head)),
            self.ordinal(Field::FirstEver),
        ];
        bounds.into_iter().flatten().max().unwrap_or(last)
    }

    pub(super) fn gaps(&self, at: Millis, depth: i64) -> Vec<RangeInclusive<i64>> {
        let mut gaps = Vec::new();
        if at.0 <= 0 {
            return gaps; // before the first word from the exchange nothing can be missing
        }
        let last = self.interval.last_closed(at);
        let mut next = self.lowest_wanted(last, depth);
        if self.is_complete(next, last) {
            return gaps; // the usual case, without a walk
        }
        for (tag, _) in self.held(next, last).filter(|(tag, _)| tag.is_settled()) {
            if tag.ordinal() > next {
                gaps.push(next..=tag.ordinal() - 1);
            }
            next = tag.ordinal() + 1;
        }
        if next <= last {
            gaps.push(next..=last);
        }
        gaps
    }

    fn is_complete(&self, from: i64, through: i64) -> bool {
        self.complete().is_some_and(|(first, last)| first <= from && through <= last)
    }

    /// Whether each of these ordinals is settled and in the window.
    fn are_settled(&self, from: i64, through: i64) -> bool {
        let in_window = self.ordinal(Field::Head).is_some_and(|head| from >= self.oldest(head) && through <= head);
        in_window && self.held(from, through).filter(|(tag, _)| tag.is_settled()).count() as i64 == through - from + 1
    }
}
