//! Closes gaps by REST: asks the sink what is missing, asks history, hands over its definite answer.

mod work;

use crate::backoff::Backoff;
use crate::outlet::Topic;
use crate::rest::{PAGE, RestError};
use crate::sink::{Event, Level};
use crate::tails::Series;
use crate::{Feed, changed};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::convert::Infallible;
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use vyx_core::{GapReason, Millis};
use work::Work;

/// Requests under way at a time. At 50 ms a request four make 80 a second, more than the weight budget allows.
const IN_FLIGHT: usize = 4;
/// Every series is looked at after each of its closes. What the owner comes to miss otherwise, as it found a kline damaged,
/// is found after so long.
const LOOK_INTERVAL: Duration = Duration::from_secs(600);
/// A series that the exchange refuses (it may have been removed) is left alone for so long.
const REFUSED_PAUSE: Duration = Duration::from_secs(3_600);
/// A series whose answer could not be read, or changed nothing, is left alone for so long.
const FRUITLESS_PAUSE: Duration = Duration::from_secs(60);
/// After so many questions to the sink others get a turn.
const QUESTIONS_PER_TURN: usize = 64;
/// A clock of the exchange is not further ahead of its klines than this. Younger klines are final, or absent for certain, only
/// when history has newer ones: before that the last may still be open, and others yet to come.
const LARGEST_SKEW: Millis = Millis(10 * 60_000);

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
            let Some((series, reason)) = work.next() else { break };
            match feed.missing(series, reason) {
                None => work.is_complete(series),
                Some(missing) if work.is_fruitless(series, &missing.oldest) => {
                    feed.outlet.log(Topic::History, Level::Warning, || {
                        format!("{} {}: still missing after history answered", series.0, series.1)
                    });
                    work.park(series, FRUITLESS_PAUSE);
                }
                Some(missing) => {
                    work.is_asked(series, &missing);
                    running.push(async move { (series, fetch(feed, series, missing.oldest).await) });
                }
            }
            questions += 1;
            if questions % QUESTIONS_PER_TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        tell_progress(feed, &mut work, resume_at);
        tokio::select! {
            biased;
            Some((series, answer)) = running.next(), if !running.is_empty() => match answer {
                Ok(Answer::Definite) => {
                    backoff.reset();
                    work.is_free(series);
                    notice(feed, &mut work, [series], GapReason::Overdue).await;
                }
                Ok(Answer::TooEarly) => {
                    backoff.reset();
                    work.park_until_news(series, FRUITLESS_PAUSE);
                }
                Err(error) => {
                    tell(feed, series, &error);
                    match error {
                        RestError::Refused(_) => work.park(series, REFUSED_PAUSE),
                        RestError::Unreadable(_) => work.park(series, FRUITLESS_PAUSE),
                        RestError::Limited { .. } | RestError::Location | RestError::Unavailable(_) => {
                            work.is_unanswered(series);
                            notice(feed, &mut work, [series], GapReason::Overdue).await;
                            // Requests that were under way together fail together: that is one failure.
                            if Instant::now() >= resume_at {
                                resume_at = Instant::now() + backoff.next(feed.random());
                            }
                        }
                    }
                }
            },
            () = sleep_until(resume_at), if Instant::now() < resume_at => {}
            () = changed(&mut universe) => follow(feed, &mut work).await,
            () = changed(&mut settings) => {
                // Perhaps another host, to which the pause does not apply.
                resume_at = Instant::now();
                follow(feed, &mut work).await;
            }
            () = feed.due.notified() => {
                let due = feed.clock.now().map(|now| feed.tails.borrow_mut().take_due(now)).unwrap_or_default();
                due.iter().for_each(|series| work.has_news(series));
                notice(feed, &mut work, due, GapReason::MissedClose).await;
            }
            () = feed.overdue.notified() => {
                let due = feed.clock.now().map(|now| feed.calendar.borrow_mut().take_due(now)).unwrap_or_default();
                let all = work.of_intervals(&due);
                notice(feed, &mut work, all, GapReason::Overdue).await;
            }
            () = sleep_until(work.next_release().unwrap_or(resume_at)), if work.next_release().is_some() => {
                let released = work.release(Instant::now());
                notice(feed, &mut work, released, GapReason::Overdue).await;
            }
            _ = look.tick() => {
                let all = work.all();
                notice(feed, &mut work, all, GapReason::Overdue).await;
            }
        }
    }
}

/// Takes over universe and intervals, and looks at everything.
async fn follow(feed: &Feed<'_>, work: &mut Work) {
    let intervals = feed.settings.borrow().distinct_intervals();
    let universe = feed.universe.borrow().clone();
    let new = work.follow(universe.symbols(), &intervals);
    {
        let mut tails = feed.tails.borrow_mut();
        tails.retain(|series| work.follows(series));
        new.into_iter().for_each(|(series, reason)| tails.follow(series, reason));
    }
    if let Some(now) = feed.clock.now() {
        feed.calendar.borrow_mut().follow(&intervals, now);
    }
    let all = work.all();
    notice(feed, work, all, GapReason::Overdue).await;
}

/// Asks the sink what these series miss, so that it is noted now, even if history cannot be asked for a while.
async fn notice(feed: &Feed<'_>, work: &mut Work, series: impl IntoIterator<Item = Series>, otherwise: GapReason) {
    for (number, series) in series.into_iter().enumerate() {
        match feed.missing(series, otherwise) {
            Some(missing) => work.lacks(series, &missing, otherwise),
            None => work.is_complete(series),
        }
        if number % QUESTIONS_PER_TURN == QUESTIONS_PER_TURN - 1 {
            tokio::task::yield_now().await;
        }
    }
}

fn tell_progress(feed: &Feed<'_>, work: &mut Work, resume_at: Instant) {
    let (per_minute, stopped) = feed.rest.budget();
    let pause = stopped.max(resume_at.saturating_duration_since(Instant::now()));
    if let Some((done, total, seconds_left)) = work.progress(per_minute, pause) {
        feed.outlet.event(Event::Progress { done, total, seconds_left });
    }
}

/// What came of a question to history.
enum Answer {
    /// The sink was told about a part of the run at least.
    Definite,
    /// History has nothing there, and may have it later.
    TooEarly,
}

/// Asks history about a run, of which a page holds the oldest klines, and hands its answer to the sink.
async fn fetch(feed: &Feed<'_>, series: Series, run: RangeInclusive<i64>) -> Result<Answer, RestError> {
    let ((symbol, interval), (from, end)) = (series, run.into_inner());
    // One more than is missing: a kline of which history has a successor is over, whatever the exchange's clock says.
    let page = feed.rest.klines(&symbol, interval, interval.open_time(from), interval.open_time(end + 1)).await?;
    (0..page.dropped).for_each(|_| feed.outlet.event(Event::BadHistoryRow));
    let ordinals = |kline: Option<&vyx_core::Kline>| kline.map(|kline| interval.ordinal(kline.open_time));
    let mut klines = page.klines;
    let newer = klines.pop_if(|kline| interval.ordinal(kline.open_time) > end);
    // Up to here klines are over, and have come if they come at all.
    let aged = interval.last_closed(feed.clock.now().unwrap_or_default() - LARGEST_SKEW).min(end);
    // The last that there is may still be open.
    let over = ordinals(klines.last()).map_or(from - 1, |last| if last <= aged { last } else { last - 1 });
    let through = if newer.is_some() {
        end
    } else if klines.len() + page.dropped >= PAGE {
        over // there may be more of it
    } else {
        over.max(aged)
    };
    if through < from {
        return Ok(Answer::TooEarly);
    }
    klines.retain(|kline| interval.ordinal(kline.open_time) <= through);
    let first = ordinals(klines.first());
    // A page that lacks its oldest end stands before a hole, or before the beginning of the series; one more question
    // tells which, unless something older is known.
    let mut begins = None;
    if first.is_none_or(|first| first > from) && !feed.tails.borrow().has_older(&series, from) {
        let before = Millis(interval.open_time(from).0 - 1);
        if before.0 < 0 || feed.rest.newest_kline(&symbol, interval, before).await?.is_empty() {
            let next = match (first, newer) {
                (Some(first), _) => Some(first),
                (None, Some(newer)) => ordinals(Some(&newer)),
                (None, None) => {
                    let newer = feed.rest.oldest_kline(&symbol, interval, interval.open_time(end + 1)).await?;
                    ordinals(newer.klines.first())
                }
            };
            begins = Some(next.unwrap_or(through + 1));
        }
    }
    klines.first().into_iter().for_each(|first| feed.exists(series, first));
    // Of a kline with trades its stream has to have heard.
    klines.iter().rfind(|kline| kline.trades > 0).into_iter().for_each(|kline| feed.exists(series, kline));
    feed.outlet.sink.history(&symbol, interval, from, through, &klines);
    if let Some(begins) = begins {
        feed.outlet.sink.begins(&symbol, interval, begins);
    }
    Ok(Answer::Definite)
}

fn tell(feed: &Feed<'_>, (symbol, interval): Series, error: &RestError) {
    let (topic, level) = match error {
        RestError::Refused(_) => (Topic::RefusedHistory, Level::Warning),
        error if error.is_terminal() => (Topic::History, Level::Error),
        _ => (Topic::History, Level::Warning),
    };
    feed.outlet.log(topic, level, || format!("cannot read the history of {symbol} {interval}: {error}"));
}
