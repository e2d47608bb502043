//! Keeps the connections that the plan asks for, each replaced before or after its end.

use crate::backoff::{self, Backoff};
use crate::plan::{Plan, Streams, wanted};
use crate::session::{self, Assignment, News};
use crate::sink::Disconnect;
use crate::{Feed, changed};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

/// Between the first attempts of two connections, so that the exchange sees no burst.
const STAGGER: Duration = Duration::from_millis(100);

/// Follows universe and settings for ever.
pub async fn keep(feed: &Feed<'_>) -> Infallible {
    let (mut universe, mut settings) = (feed.universe.subscribe(), feed.settings.clone());
    let mut plan = Plan::default();
    let mut assignments: Vec<watch::Sender<Rc<Streams>>> = Vec::new();
    let mut connections = FuturesUnordered::new();
    loop {
        let streams = {
            let (universe, settings) = (universe.borrow_and_update(), settings.borrow_and_update());
            wanted(universe.symbols(), &settings.distinct_intervals())
        };
        plan.change(&streams);
        feed.wanted(streams.len());
        for (index, streams) in plan.connections().iter().enumerate() {
            match assignments.get(index) {
                Some(assignment) => {
                    assignment.send_if_modified(|current| {
                        let differs = **current != *streams;
                        if differs {
                            *current = Rc::new(streams.clone());
                        }
                        differs
                    });
                }
                None => {
                    let (sender, receiver) = watch::channel(Rc::new(streams.clone()));
                    assignments.push(sender);
                    connections.push(hold(feed, index, receiver));
                }
            }
        }
        tokio::select! {
            biased;
            () = changed(&mut universe) => {}
            () = changed(&mut settings) => {}
            Some(never) = connections.next() => match never {},
        }
    }
}

/// A session that has not ended.
struct Living {
    /// Ends it.
    leave: Option<oneshot::Sender<Disconnect>>,
    /// When it brought data last.
    data_at: Rc<Cell<Option<Instant>>>,
    /// It asks for a successor.
    leaving: bool,
}

/// Holds one connection of the plan for ever. Usually one session lives; while it is being replaced there are two, and
/// what both deliver is merged by the sink. The old one stays until the new one has proved itself by data.
async fn hold(feed: &Feed<'_>, index: usize, mut wanted: watch::Receiver<Rc<Streams>>) -> Infallible {
    let (sender, mut news) = mpsc::unbounded_channel();
    let mut sessions = FuturesUnordered::new();
    let mut living: BTreeMap<u64, Living> = BTreeMap::new();
    let mut settings = feed.settings.clone();
    let mut backoff = Backoff::default();
    let mut start_at = Some(Instant::now() + STAGGER * u32::try_from(index).unwrap_or(u32::MAX));
    // The newest session has everything acknowledged since then, and brought nothing yet.
    let mut on_trial: Option<(u64, Instant)> = None;
    loop {
        if start_at.is_none() && living.len() == 1 && !wanted.borrow().is_empty() {
            // Of two, neither has to leave before the other is gone or in place.
            start_at = living.values().any(|session| session.leaving).then(Instant::now);
        }
        let trial_ends = on_trial.map(|(_, since)| since + settings.borrow().stale_after);
        tokio::select! {
            biased;
            () = sleep_until(start_at.unwrap_or_else(Instant::now)), if start_at.is_some() => {
                start_at = None;
                if wanted.borrow_and_update().is_empty() {
                    continue;
                }
                if let Err(pause) = feed.connects.borrow_mut().take(Instant::now()) {
                    start_at = Some(Instant::now() + pause);
                    continue;
                }
                let (id, data_at, (leave, left)) = (feed.next_session_id(), Rc::default(), oneshot::channel());
                living.insert(id, Living { leave: Some(leave), data_at: Rc::clone(&data_at), leaving: false });
                let (wanted, news) = (wanted.clone(), sender.clone());
                let assignment = Assignment { id, index, wanted, news, data_at, leave: left };
                sessions.push(async move {
                    let started = Instant::now();
                    let reason = session::run(feed, assignment).await;
                    (id, reason, started.elapsed())
                });
            }
            Some((id, reason, lived)) = sessions.next(), if !sessions.is_empty() => {
                let newest = living.last_key_value().map(|(newest, _)| *newest);
                living.remove(&id);
                // An older session was expected to end: its successor is there or on its way.
                if newest != Some(id) {
                    continue;
                }
                on_trial = None;
                // Where connections are replaced sooner than that, none would ever have lived long enough.
                if lived >= backoff::LONGEST.min(feed.settings.borrow().rotate_after / 2) {
                    backoff.reset();
                }
                let pause = if reason.is_planned() { Duration::ZERO } else { backoff.next(feed.random()) };
                start_at = Some(Instant::now() + pause.max(reason.retry_after().unwrap_or_default()));
            }
            Some((id, news)) = news.recv() => match news {
                News::Settled => on_trial = Some((id, Instant::now())),
                News::Delivers => {
                    on_trial = on_trial.filter(|(on_trial, _)| *on_trial != id);
                    living.range_mut(..id).for_each(|(_, older)| older.end(Disconnect::Replaced));
                }
                News::Leaving => _ = living.get_mut(&id).map(|session| session.leaving = true),
            },
            () = sleep_until(trial_ends.unwrap_or_else(Instant::now)), if trial_ends.is_some() => {
                if let Some((id, since)) = on_trial.take() {
                    // Where its predecessor was silent too there was nothing to deliver, and the trial goes on.
                    if living.range(..id).any(|(_, older)| older.data_at.get() > Some(since)) {
                        living.get_mut(&id).into_iter().for_each(|session| session.end(Disconnect::NoData));
                    } else if living.len() > 1 {
                        on_trial = Some((id, Instant::now()));
                    }
                }
            }
            // Something to do again after there was nothing, or another host: no reason to sit out a pause.
            () = changed(&mut wanted) => start_early(&living, &mut start_at),
            () = changed(&mut settings) => start_early(&living, &mut start_at),
        }
    }
}

impl Living {
    fn end(&mut self, reason: Disconnect) {
        // Who has ended already needs not be told.
        self.leave.take().map(|leave| leave.send(reason));
    }
}

fn start_early(living: &BTreeMap<u64, Living>, start_at: &mut Option<Instant>) {
    if living.is_empty() {
        *start_at = Some(Instant::now());
    }
}
