//! The control messages of one connection: what to send next, and what the replies mean. Pure: the present comes in as
//! an argument, frames go out as text.

use crate::plan::Streams;
use crate::wire::ReplyError;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// The exchange allows 5 messages a second, pongs included, and cuts who sends more. Three control frames leave room for
/// two pongs.
pub const CONTROL_INTERVAL: Duration = Duration::from_millis(334);
/// A frame above some 4 KB gets no answer at all (4,088 bytes worked, 4,106 did not), so frames stay clearly below.
pub const LARGEST_FRAME: usize = 3_500;
/// After so long without a reply a request is repeated.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// So many requests may be unanswered; the next one waits. Five seconds' worth: who answers more slowly does not keep up.
const MOST_UNANSWERED: usize = 16;
/// A request is sent so often before the connection is given up.
const ATTEMPTS: u32 = 3;
/// A stream that the exchange refused is asked for again after so long.
pub const REFUSED_PAUSE: Duration = Duration::from_secs(3_600);
/// The code of "Too many subscriptions"; the server closes the connection after it.
const TOO_MANY: i64 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Subscribe,
    Unsubscribe,
}

#[derive(Clone, Debug)]
struct Request {
    method: Method,
    streams: Vec<String>,
    attempts: u32,
}

/// What a reply led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Fine,
    /// Streams that are acknowledged from now on, and others that already were.
    Acknowledged {
        new: Vec<String>,
        again: Vec<String>,
    },
    /// This stream was refused by itself and is left alone for [`REFUSED_PAUSE`].
    Refused {
        stream: String,
        error: ReplyError,
    },
    /// The connection is of no more use.
    Fatal,
}

/// The subscriptions of one connection, from its opening to its end.
#[derive(Debug, Default)]
pub struct Subscriptions {
    /// What the exchange should send, by our last word to it (sent or about to be).
    asked: Streams,
    acknowledged: Streams,
    queue: VecDeque<Request>,
    unanswered: BTreeMap<u64, (Request, Instant)>,
    refused: BTreeMap<String, Instant>,
    last_id: u64,
}

impl Subscriptions {
    /// Moves towards another set of streams. Returns those that were acknowledged and are given up.
    pub fn want(&mut self, wanted: &Streams, now: Instant) -> Vec<String> {
        self.refused.retain(|_, since| now.duration_since(*since) < REFUSED_PAUSE);
        let surplus: Vec<String> = self.asked.difference(wanted).cloned().collect();
        let lacking: Vec<String> =
            wanted.iter().filter(|s| !self.asked.contains(*s) && !self.refused.contains_key(*s)).cloned().collect();
        for stream in &surplus {
            self.asked.remove(stream);
        }
        let given_up: Vec<String> =
            surplus.iter().filter(|stream| self.acknowledged.remove(*stream)).cloned().collect();
        self.asked.extend(lacking.iter().cloned());
        // Leaving comes first: a full connection has no room for what is new.
        for (method, streams) in [(Method::Unsubscribe, surplus), (Method::Subscribe, lacking)] {
            self.queue.extend(batches(streams).map(|streams| Request { method, streams, attempts: 0 }));
        }
        given_up
    }

    /// Leaves a stream that is acknowledged and delivers nothing, and asks for it anew.
    pub fn renew(&mut self, stream: String) {
        for method in [Method::Unsubscribe, Method::Subscribe] {
            self.queue.push_back(Request { method, streams: vec![stream.clone()], attempts: 0 });
        }
    }

    /// The next frame to send, if any. To be called once each [`CONTROL_INTERVAL`].
    ///
    /// # Errors
    /// A request went unanswered though it was repeated.
    pub fn next_frame(&mut self, now: Instant) -> Result<Option<String>, Unanswered> {
        let overdue = self.unanswered.iter().find(|(_, (_, sent))| now.duration_since(*sent) >= REPLY_TIMEOUT);
        if let Some(id) = overdue.map(|(id, _)| *id) {
            let (request, _) = self.unanswered.remove(&id).expect("just found");
            self.queue.push_front(request);
        }
        if self.unanswered.len() >= MOST_UNANSWERED {
            return Ok(None);
        }
        let Some(mut request) = self.queue.pop_front() else { return Ok(None) };
        if request.attempts == ATTEMPTS {
            return Err(Unanswered);
        }
        request.attempts += 1;
        self.last_id += 1;
        let text = frame(request.method, &request.streams, self.last_id);
        self.unanswered.insert(self.last_id, (request, now));
        Ok(Some(text))
    }

    /// Takes the reply to one of the requests. A refused request is divided until the culprit is found, so that one bad
    /// name does not cost the others.
    pub fn reply(&mut self, id: Option<u64>, error: Option<ReplyError>, now: Instant) -> Outcome {
        let request = match (id, &error) {
            (Some(id), _) => self.unanswered.remove(&id),
            // An error without an id can only be about a request that is still open; with one open it is clear which.
            (None, Some(_)) if self.unanswered.len() == 1 => self.unanswered.pop_first().map(|(_, sent)| sent),
            (None, _) => None,
        };
        let Some((mut request, _)) = request else { return Outcome::Fine };
        let Some(error) = error else {
            if request.method == Method::Unsubscribe {
                return Outcome::Fine;
            }
            let still = request.streams.into_iter().filter(|stream| self.asked.contains(stream));
            let (again, new): (Vec<_>, Vec<_>) = still.partition(|stream| self.acknowledged.contains(stream));
            self.acknowledged.extend(new.iter().cloned());
            return Outcome::Acknowledged { new, again };
        };
        if error.code == TOO_MANY {
            return Outcome::Fatal;
        }
        if request.streams.len() > 1 {
            let rest = request.streams.split_off(request.streams.len() / 2);
            for streams in [rest, request.streams] {
                self.queue.push_front(Request { method: request.method, streams, attempts: 0 });
            }
            return Outcome::Fine;
        }
        let stream = request.streams.pop().expect("a request names a stream");
        self.asked.remove(&stream);
        if request.method == Method::Subscribe {
            self.refused.insert(stream.clone(), now);
        }
        Outcome::Refused { stream, error }
    }

    /// The streams that the exchange has acknowledged.
    pub fn acknowledged(&self) -> &Streams {
        &self.acknowledged
    }

    /// Everything asked for is acknowledged.
    pub fn is_settled(&self) -> bool {
        self.queue.is_empty() && self.unanswered.is_empty()
    }
}

/// A request was repeated and never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered;

/// Divides names into lists whose frames stay below [`LARGEST_FRAME`]. A single name, at most 64 bytes and its
/// interval, always fits.
fn batches(streams: Vec<String>) -> impl Iterator<Item = Vec<String>> {
    let overhead = frame(Method::Unsubscribe, &[], u64::MAX).len();
    let mut streams = streams.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut size = overhead;
        let mut batch = Vec::new();
        while let Some(name) = streams.next_if(|name| size + name.len() + 3 <= LARGEST_FRAME) {
            size += name.len() + 3;
            batch.push(name);
        }
        (!batch.is_empty()).then_some(batch)
    })
}

fn frame(method: Method, streams: &[String], id: u64) -> String {
    let method = match method {
        Method::Subscribe => "SUBSCRIBE",
        Method::Unsubscribe => "UNSUBSCRIBE",
    };
    serde_json::json!({ "method": method, "params": streams, "id": id }).to_string()
}

#[cfg(test)]
mod tests;
