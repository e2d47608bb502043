//! Keeps the connections that the plan asks for, each replaced before or after its end.

use crate::backoff::{self, Backoff};
use crate::plan::{Plan, Streams, wanted};
use crate::session::{self, Assignment, News};
use crate::{Feed, changed};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
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
            () = changed(&mut universe) => {}
            () = changed(&mut settings) => {}
            Some(never) = connections.next() => match never {},
        }
    }
}

/// Holds one connection of the plan for ever. Usually one session lives; while it is being replaced there are two, and
/// what both deliver is merged by the sink.
async fn hold(feed: &Feed<'_>, index: usize, mut wanted: watch::Receiver<Rc<Streams>>) -> Infallible {
    let (sender, mut news) = mpsc::unbounded_channel();
    let mut sessions = FuturesUnordered::new();
    let mut living: BTreeMap<u64, Rc<Notify>> = BTreeMap::new();
    let mut settings = feed.settings.clone();
    let mut backoff = Backoff::default();
    let mut start_at = Some(Instant::now() + STAGGER * u32::try_from(index).unwrap_or(u32::MAX));
    loop {
        tokio::select! {
            () = sleep_until(start_at.unwrap_or_else(Instant::now)), if start_at.is_some() => {
                start_at = None;
                if wanted.borrow_and_update().is_empty() {
                    continue;
                }
                if let Err(pause) = feed.connects.borrow_mut().take(Instant::now()) {
                    start_at = Some(Instant::now() + pause);
                    continue;
                }
                let (id, leave) = (feed.next_session_id(), Rc::new(Notify::new()));
                living.insert(id, leave.clone());
                let assignment = Assignment { id, index, wanted: wanted.clone(), news: sender.clone(), leave };
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
                if lived >= backoff::LONGEST {
                    backoff.reset();
                }
                let pause = if reason.is_planned() { Duration::ZERO } else { backoff.next(feed.random()) };
                start_at = Some(Instant::now() + pause.max(reason.retry_after().unwrap_or_default()));
            }
            Some((id, news)) = news.recv() => match news {
                News::Settled => {
                    living.range(..id).for_each(|(_, leave)| leave.notify_one());
                }
                News::Leaving => {
                    if living.last_key_value().is_some_and(|(newest, _)| *newest == id) {
                        start_at = Some(start_at.unwrap_or_else(Instant::now));
                    }
                }
            },
            // Something to do again after there was nothing, or another host: no reason to sit out a pause.
            () = changed(&mut wanted) => start_early(&living, &mut start_at),
            () = changed(&mut settings) => start_early(&living, &mut start_at),
        }
    }
}

fn start_early(living: &BTreeMap<u64, Rc<Notify>>, start_at: &mut Option<Instant>) {
    if living.is_empty() {
        *start_at = Some(Instant::now());
    }
}
