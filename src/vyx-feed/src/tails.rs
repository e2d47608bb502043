//! What is known of each series by its stream: why klines may be missing, whether the stream is there, and how far it has
//! come. Says when history can be asked, and about what. Pure: both clocks come in as arguments.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;
use vyx_core::{GapReason, Interval, Kline, Millis, Symbol};

/// So long after its close, in market time, a kline of history is final; before that the exchange may still be writing it.
pub const SETTLING: Millis = Millis(2_000);
/// So long after its close, in market time, the stream of a series has to have closed a kline. Closing events come within
/// 150 ms on a good day; seconds are allowed for under load.
pub const ALLOWANCE: Millis = Millis(10_000);
/// So long, by our own clock, the word of a stream about its open kline stands against the clock of the market.
pub const WORD_STANDS: Duration = Duration::from_secs(5);

/// A stream that stays deaf is asked for anew so often: after this, and then after twice as long each time.
const RENEWAL_PAUSE: Duration = Duration::from_secs(5 * 60);
const LONGEST_RENEWAL_PAUSE: Duration = Duration::from_secs(3_600);

/// One symbol at one interval.
pub type Series = (Symbol, Interval);

/// The newest news of a series from the stream.
#[derive(Clone, Copy, Debug)]
struct Tail {
    ordinal: i64,
    closed: bool,
    heard_at: Instant,
}

impl Tail {
    /// The newest kline that is over, if the stream is right.
    fn over(self) -> i64 {
        if self.closed { self.ordinal } else { self.ordinal - 1 }
    }
}

#[derive(Debug)]
struct State {
    /// Why klines may be missing that closed before the stream was there; `None` once they were looked for.
    cause: Option<GapReason>,
    looked: bool,
    /// Sessions on which the stream is acknowledged: two while one replaces the other.
    carriers: Vec<u64>,
    /// Market time from which on the stream is there. What closes later has to come.
    since: Option<Millis>,
    tail: Option<Tail>,
    /// The newest kline of which the stream has spoken since it was acknowledged.
    heard: i64,
    /// When the stream was last asked for anew, and how long to wait before the next time.
    renewal: Option<(Instant, Duration)>,
    /// The oldest kline anybody has shown.
    oldest: i64,
}

impl Default for State {
    fn default() -> State {
        State {
            cause: None,
            looked: false,
            carriers: Vec::new(),
            since: None,
            tail: None,
            heard: i64::MIN,
            renewal: None,
            oldest: i64::MAX,
        }
    }
}

/// Every followed series.
#[derive(Debug, Default)]
pub struct Tails {
    series: HashMap<Series, State>,
    /// Acknowledged, and market time has not moved since: it is still that of before the outage, by which nothing is missing.
    fresh: BTreeSet<Series>,
    /// With the market time from which on history can be asked.
    due: BTreeSet<(Millis, Series)>,
}

impl Tails {
    /// Begins with a series, of which klines are missing for this reason if any are.
    pub fn follow(&mut self, series: Series, cause: GapReason) {
        // Its stream may be acknowledged already.
        self.series.entry(series).or_default().cause = Some(cause);
    }

    /// Forgets the series that are not followed any more.
    pub fn retain(&mut self, followed: impl Fn(&Series) -> bool) {
        self.series.retain(|series, _| followed(series));
        self.fresh.retain(&followed);
        self.due.retain(|(_, series)| followed(series));
    }

    /// The stream is acknowledged on this session, which may be said more than once. `true` when it had been on none.
    pub fn acknowledged(&mut self, series: Series, session: u64) -> bool {
        let state = self.series.entry(series).or_default();
        let first = state.carriers.is_empty();
        if !state.carriers.contains(&session) {
            state.carriers.push(session);
        }
        if first {
            self.fresh.insert(series);
        }
        first
    }

    /// The stream is no longer on this session. `true` when it is now on none: what closes from now on is missed.
    pub fn released(&mut self, series: Series, session: u64) -> bool {
        let Some(state) = self.series.get_mut(&series) else { return false };
        let before = state.carriers.len();
        state.carriers.retain(|carrier| *carrier != session);
        let last = state.carriers.is_empty() && before > 0;
        if last {
            (state.since, state.heard) = (None, i64::MIN);
            // What had closed before the first look is noted, or still to be noted, with the first reason.
            if state.looked {
                state.cause = Some(GapReason::Disconnect);
            }
            self.fresh.remove(&series);
        }
        last
    }

    /// Market time has advanced. Of the streams that came before, what closed until now is to be looked for.
    pub fn advanced(&mut self, at: Millis) {
        while let Some(series) = self.fresh.pop_first() {
            if let Some(state) = self.series.get_mut(&series) {
                state.since = Some(at);
                self.due.insert((at + SETTLING, series));
            }
        }
    }

    /// Takes note of a kline from the stream. When it is newer than a kline that was never closed, returns the close time
    /// of its predecessor: up to there a close was missed, and two seconds later the series is due.
    pub fn saw(&mut self, series: Series, kline: &Kline, now: Instant) -> Option<Millis> {
        let state = self.series.get_mut(&series)?;
        let interval = series.1;
        let new = Tail { ordinal: interval.ordinal(kline.open_time), closed: kline.closed, heard_at: now };
        state.oldest = state.oldest.min(new.ordinal);
        state.heard = state.heard.max(new.ordinal);
        let Some(tail) = &mut state.tail else {
            state.tail = Some(new);
            return None;
        };
        if new.ordinal <= tail.ordinal {
            if new.ordinal == tail.ordinal {
                tail.closed |= new.closed;
                tail.heard_at = now;
            }
            return None;
        }
        let unbroken = tail.closed && new.ordinal == tail.ordinal + 1;
        *tail = new;
        if unbroken {
            return None;
        }
        let missed = interval.close_time(new.ordinal - 1);
        self.due.insert((missed + SETTLING, series));
        Some(missed)
    }

    /// Up to which close time it makes sense to look for klines of this series.
    pub fn settled(&self, (symbol, interval): Series, market: Millis, now: Instant) -> Millis {
        let settled = market - SETTLING;
        let Some(state) = self.series.get(&(symbol, interval)) else { return settled };
        let over = state.tail.map(|tail| (interval.close_time(tail.over()), tail.heard_at));
        // A stream that is there gets its time to close a kline, unless it is past that kline itself.
        let settled = match (state.cause, over) {
            (Some(_), _) => settled,
            (None, Some((over, _))) => over.min(settled).max(market - ALLOWANCE),
            (None, None) => market - ALLOWANCE,
        };
        // The clock may be wrong by minutes. What the stream shows as open is open: history's row of it is no closed
        // kline, and later ones are not absent.
        match over {
            Some((over, heard_at)) if now.duration_since(heard_at) < WORD_STANDS => settled.min(over),
            _ => settled,
        }
    }

    /// Why klines of this series are missing, and the reason to give where nothing is known of an interruption.
    pub fn reason(&self, series: &Series, otherwise: GapReason) -> GapReason {
        self.series.get(series).and_then(|state| state.cause).unwrap_or(otherwise)
    }

    /// The owner has noted all that is missing up to this close time.
    pub fn looked(&mut self, series: &Series, settled: Millis) {
        let Some(state) = self.series.get_mut(series) else { return };
        let interval = series.1;
        state.looked = true;
        if state.since.is_some_and(|since| interval.last_closed(settled) >= interval.last_closed(since)) {
            state.cause = None;
        }
    }

    /// History has shown a closed kline. `true` when its stream should have spoken of it or of a later one, and is now to be
    /// asked for anew: it was there when the kline closed, there were trades to tell of, and it had its time.
    pub fn is_deaf(&mut self, series: Series, kline: &Kline, market: Millis, now: Instant) -> bool {
        let Some(state) = self.series.get_mut(&series) else { return false };
        let ordinal = series.1.ordinal(kline.open_time);
        state.oldest = state.oldest.min(ordinal);
        let close_time = series.1.close_time(ordinal);
        let was_there = !state.carriers.is_empty() && state.since.is_some_and(|since| since + SETTLING <= close_time);
        if kline.trades == 0 || !was_there || state.heard >= ordinal || market < close_time + ALLOWANCE {
            return false;
        }
        let pause = match state.renewal {
            None => RENEWAL_PAUSE,
            Some((at, pause)) => {
                // One that has spoken since was not deaf for good.
                let pause = if state.heard > i64::MIN { RENEWAL_PAUSE } else { pause };
                if now.duration_since(at) < pause {
                    return false;
                }
                if state.heard > i64::MIN { pause } else { (pause * 2).min(LONGEST_RENEWAL_PAUSE) }
            }
        };
        state.renewal = Some((now, pause));
        true
    }

    /// The stream was asked for anew and is acknowledged: what counts is what it says from now on.
    pub fn renewed(&mut self, series: Series) {
        if let Some(state) = self.series.get_mut(&series) {
            (state.since, state.heard) = (None, i64::MIN);
            self.fresh.insert(series);
        }
    }

    /// A kline older than this one is known.
    pub fn has_older(&self, series: &Series, ordinal: i64) -> bool {
        self.series.get(series).is_some_and(|state| state.oldest < ordinal)
    }

    /// Whether history can be asked about any series at this market time.
    pub fn are_due(&self, at: Millis) -> bool {
        self.due.first().is_some_and(|(due, _)| *due <= at)
    }

    /// Takes out the series about which history can be asked at this market time.
    pub fn take_due(&mut self, at: Millis) -> Vec<Series> {
        let mut series = Vec::new();
        while self.are_due(at) {
            series.extend(self.due.pop_first().map(|(_, series)| series));
        }
        series
    }
}

#[cfg(test)]
mod tests;
