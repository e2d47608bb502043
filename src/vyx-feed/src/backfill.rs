//! Closes gaps by REST: asks the sink what is missing, asks history, hands over its definite answer.

use crate::backoff::Backoff;
use crate::outlet::Topic;
use crate::rest::{PAGE, RestError};
use crate::sink::{Event, Level};
use crate::suspects::{SETTLING, Series};
use crate::{Feed, changed};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use vyx_core::Millis;

/// Requests under way at a time. At 50 ms a request four make 80 a second, more than the weight budget allows.
const IN_FLIGHT: usize = 4;
/// Every series is looked at again after so long, whatever happened or did not: a close may be missing without any
/// newer kline to show it.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// A series that the exchange refuses (it may have been removed) is left alone for so long.
const REFUSED_PAUSE: Duration = Duration::from_secs(3_600);
/// A series whose answer could not be read, or changed nothing, is left alone for so long.
const FRUITLESS_PAUSE: Duration = Duration::from_secs(60);
/// After so many questions to the sink others get a turn.
const QUESTIONS_PER_TURN: usize = 64;

/// Looks for gaps and closes them, for ever.
pub async fn keep(feed: &Feed<'_>) -> Infallible {
    let (mut universe, mut settings) = (feed.universe.subscribe(), feed.settings.clone());
    let mut work = Work::default();
    let mut running = FuturesUnordered::new();
    let mut backoff = Backoff::default();
    let mut resume_at = Instant::now();
    let mut look = interval(LOOK_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut questions = 0;
        while running.len() < IN_FLIGHT && Instant::now() >= resume_at {
            let Some(now) = feed.clock.now() else { break };
            let Some(series) = work.next() else { break };
            match question(feed, series, now - SETTLING) {
                None => work.is_complete(series),
                Some(range) if work.is_fruitless(series, &range) => {
                    feed.outlet.log(Topic::History, Level::Warning, || {
                        format!("{} {}: still missing after history answered", series.0, series.1)
                    });
                    work.park(series, FRUITLESS_PAUSE);
                }
                Some(range) => {
                    work.is_asked(series, range.clone());
                    running.push(async move { (series, fetch(feed, series, range).await) });
                }
            }
            questions += 1;
            if questions % QUESTIONS_PER_TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        if let Some((done, total)) = work.progress() {
            feed.outlet.event(Event::Progress { done, total });
        }
        tokio::select! {
            Some((series, answer)) = running.next(), if !running.is_empty() => match answer {
                Ok(()) => {
                    backoff.reset();
                    work.again(series);
                }
                Err(error) => {
                    tell(feed, series, &error);
                    match error {
                        RestError::Refused(_) => work.park(series, REFUSED_PAUSE),
                        RestError::Unreadable(_) => work.park(series, FRUITLESS_PAUSE),
                        RestError::Limited { .. } | RestError::Location | RestError::Unavailable(_) => {
                            work.again_as_before(series);
                            // Requests that were under way together fail together: that is one failure.
                            if Instant::now() >= resume_at {
                                resume_at = Instant::now() + backoff.next(fastrand::f64());
                            }
                        }
                    }
                }
            },
            () = sleep_until(resume_at), if Instant::now() < resume_at => {}
            () = feed.suspected.notified() => {
                let due = feed.clock.now().map(|now| feed.suspects.borrow_mut().take_due(now));
                due.into_iter().flatten().for_each(|series| work.look_at(series));
            }
            () = feed.look_everywhere.notified() => work.look_everywhere(),
            _ = look.tick() => work.look_everywhere(),
            () = changed(&mut universe) => {
                work.follow(feed);
            }
            () = changed(&mut settings) => {
                // Perhaps another host, to which the pause does not apply.
                resume_at = Instant::now();
                work.follow(feed);
            }
        }
    }
}

/// The newest page of what the sink misses, settled klines only.
fn question(feed: &Feed<'_>, (symbol, interval): Series, settled: Millis) -> Option<RangeInclusive<i64>> {
    let missing = feed.outlet.sink.missing(&symbol, interval, settled)?;
    let through = (*missing.end()).min(interval.last_closed(settled));
    let from = (*missing.start()).max(through.saturating_sub(PAGE as i64 - 1));
    (from <= through).then_some(from..=through)
}

/// Asks history about a range of at most a page and hands its answer to the sink.
async fn fetch(feed: &Feed<'_>, (symbol, interval): Series, range: RangeInclusive<i64>) -> Result<(), RestError> {
    let (from, through) = range.into_inner();
    let (first, last) = (interval.open_time(from), interval.open_time(through));
    let page = feed.rest.klines(&symbol, interval, first, last).await?;
    (0..page.dropped).for_each(|_| feed.outlet.event(Event::BadHistoryRow));
    // A page that lacks its oldest end stands before a hole, or before the beginning of the series; one more
    // question tells which.
    let oldest = page.klines.first().map_or(through + 1, |kline| interval.ordinal(kline.open_time));
    let begins = oldest > from && {
        let before = Millis(first.0 - 1);
        before.0 < 0 || feed.rest.newest_kline(&symbol, interval, before).await?.is_empty()
    };
    feed.outlet.sink.history(&symbol, interval, from, through, &page.klines);
    if begins {
        feed.outlet.sink.begins(&symbol, interval, oldest);
    }
    Ok(())
}

fn tell(feed: &Feed<'_>, (symbol, interval): Series, error: &RestError) {
    let (topic, level) = match error {
        RestError::Refused(_) => (Topic::RefusedHistory, Level::Warning),
        error if error.is_terminal() => (Topic::History, Level::Error),
        _ => (Topic::History, Level::Warning),
    };
    feed.outlet.log(topic, level, || format!("cannot read the history of {symbol} {interval}: {error}"));
}

/// Which series to look at next. Knows no network.
#[derive(Debug, Default)]
struct Work {
    /// Every followed series with its place in the order of preference.
    followed: HashMap<Series, usize>,
    /// Smallest interval first; within it one page for each series before the second page of any.
    queue: BTreeSet<Place>,
    /// Pages fetched of a series since it was last complete, and the last range that was asked for.
    asked: HashMap<Series, (u32, RangeInclusive<i64>)>,
    busy: HashSet<Series>,
    parked: HashMap<Series, Instant>,
    complete: HashSet<Series>,
    told: (usize, usize),
}

/// Compared field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    interval: vyx_core::Interval,
    pages: u32,
    preference: usize,
    series: Series,
}

impl Work {
    /// Takes over universe and intervals, and looks at everything.
    fn follow(&mut self, feed: &Feed<'_>) {
        let intervals = feed.settings.borrow().distinct_intervals();
        let universe = feed.universe.borrow().clone();
        let symbols = universe.symbols().iter().enumerate();
        self.followed = symbols
            .flat_map(|(preference, symbol)| intervals.iter().map(move |interval| ((*symbol, *interval), preference)))
            .collect();
        let followed = &self.followed;
        feed.suspects.borrow_mut().retain(|series| followed.contains_key(series));
        self.queue.retain(|place| followed.contains_key(&place.series));
        self.asked.retain(|series, _| followed.contains_key(series));
        self.parked.retain(|series, _| followed.contains_key(series));
        self.complete.retain(|series| followed.contains_key(series));
        self.look_everywhere();
    }

    fn look_everywhere(&mut self) {
        let now = Instant::now();
        self.parked.retain(|_, until| *until > now);
        let all: Vec<Series> = self.followed.keys().copied().collect();
        all.into_iter().for_each(|series| self.look_at(series));
    }

    fn look_at(&mut self, series: Series) {
        let Some(preference) = self.followed.get(&series) else { return };
        if self.busy.contains(&series) || self.parked.contains_key(&series) {
            return;
        }
        let pages = self.asked.get(&series).map_or(0, |(pages, _)| *pages);
        self.queue.insert(Place { interval: series.1, pages, preference: *preference, series });
    }

    fn next(&mut self) -> Option<Series> {
        self.queue.pop_first().map(|place| place.series)
    }

    fn is_complete(&mut self, series: Series) {
        self.asked.remove(&series);
        self.complete.insert(series);
    }

    /// The sink wants the same again although history has answered: asking on would never end.
    fn is_fruitless(&self, series: Series, range: &RangeInclusive<i64>) -> bool {
        self.asked.get(&series).is_some_and(|(_, asked)| asked == range)
    }

    fn is_asked(&mut self, series: Series, range: RangeInclusive<i64>) {
        let pages = self.asked.get(&series).map_or(0, |(pages, _)| *pages);
        self.asked.insert(series, (pages + 1, range));
        self.busy.insert(series);
        self.complete.remove(&series);
    }

    /// Looks again after a definite answer: there may be an older page.
    fn again(&mut self, series: Series) {
        self.busy.remove(&series);
        self.look_at(series);
    }

    /// Looks again after a failure that says nothing about the series.
    fn again_as_before(&mut self, series: Series) {
        self.asked.remove(&series);
        self.again(series);
    }

    fn park(&mut self, series: Series, pause: Duration) {
        self.busy.remove(&series);
        self.asked.remove(&series);
        self.complete.remove(&series);
        self.parked.insert(series, Instant::now() + pause);
    }

    /// Series complete and followed, if that has changed.
    fn progress(&mut self) -> Option<(usize, usize)> {
        let now = (self.complete.len(), self.followed.len());
        let differs = now != self.told;
        self.told = now;
        differs.then_some(now)
    }
}

#[cfg(test)]
mod tests;
