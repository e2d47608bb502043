//! Who is connected and who is subscribed to what.

use crate::event::{Event, Stream, TimeUnit};
use crate::symbols::Symbol;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

/// What waits to be sent to a connection.
#[derive(Clone, Debug)]
pub enum Outgoing {
    Text(Utf8Bytes),
    /// A text message in pieces. They wait as one, since no other message may come between them.
    Fragments(Vec<Bytes>),
}

impl Outgoing {
    /// A text message of so many bytes in so many fragments.
    pub fn giant(bytes: usize, fragments: usize) -> Outgoing {
        let text = "x".repeat(bytes);
        if fragments <= 1 {
            return Outgoing::Text(text.into());
        }
        let text = Bytes::from(text);
        let bounds = |index: usize| index * bytes / fragments;
        Outgoing::Fragments((0..fragments).map(|index| text.slice(bounds(index)..bounds(index + 1))).collect())
    }

    /// The frames of it, in order.
    pub fn messages(self) -> Vec<Message> {
        match self {
            Outgoing::Text(text) => vec![Message::Text(text)],
            Outgoing::Fragments(pieces) => {
                let last = pieces.len() - 1;
                let frame = |(index, piece)| {
                    let kind = if index == 0 { Data::Text } else { Data::Continue };
                    Message::Frame(Frame::message(piece, OpCode::Data(kind), index == last))
                };
                pieces.into_iter().enumerate().map(frame).collect()
            }
        }
    }
}

/// An order to the task of a connection, which overtakes the waiting frames.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// Ends the TCP connection, without a word or with a reset.
    Drop { reset: bool },
    /// Closes with a close frame after this time.
    Close { after: Duration },
    /// Leaves what it waits for: something has changed.
    Look,
}

/// A connection as the publisher sees it.
pub struct Connection {
    pub frames: mpsc::Sender<Outgoing>,
    pub orders: mpsc::UnboundedSender<Order>,
    pub combined: bool,
    pub unit: TimeUnit,
    /// Every name that was subscribed, in order, and the stream if there is one that delivers.
    pub subscriptions: Vec<(String, Option<Stream>)>,
    /// Whether it has been cut because it did not read.
    pub cut: bool,
}

/// All connections and subscriptions.
pub struct Hub {
    connections: BTreeMap<u64, Connection>,
    last_id: u64,
    /// Ids of the connections of each stream, by [`Stream::index`].
    subscribers: Vec<Vec<u64>>,
    /// How often those have changed, and who waits for the next time.
    changes: u64,
    changed: Arc<Notify>,
    sent: Sent,
}

/// What became of frames.
#[derive(Default)]
pub struct Sent {
    pub frames: u64,
    /// Connections cut because they did not read.
    pub cut_for_not_reading: u64,
}

/// What became of one frame.
enum Outcome {
    Sent,
    /// The connection was cut for it.
    Cut,
    /// The connection is ending.
    Gone,
}

impl Sent {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Sent => self.frames += 1,
            Outcome::Cut => self.cut_for_not_reading += 1,
            Outcome::Gone => {}
        }
    }
}

impl Connection {
    fn send(&mut self, frame: Outgoing) -> Outcome {
        match self.frames.try_send(frame) {
            _ if self.cut => Outcome::Gone,
            Ok(()) => Outcome::Sent,
            Err(mpsc::error::TrySendError::Closed(_)) => Outcome::Gone,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.cut = true;
                // A task that has ended in this moment needs no order.
                let _ = self.orders.send(Order::Drop { reset: true });
                Outcome::Cut
            }
        }
    }
}

impl Hub {
    pub fn new(symbols: usize) -> Hub {
        Hub {
            connections: BTreeMap::new(),
            last_id: 0,
            subscribers: vec![Vec::new(); Stream::count(symbols)],
            changes: 0,
            changed: Arc::default(),
            sent: Sent::default(),
        }
    }

    pub fn join(&mut self, connection: Connection) -> u64 {
        self.last_id += 1;
        self.connections.insert(self.last_id, connection);
        self.last_id
    }

    pub fn leave(&mut self, id: u64) {
        let names: Vec<String> = self
            .get(id)
            .map_or(Vec::new(), |connection| connection.subscriptions.iter().map(|(name, _)| name.clone()).collect());
        names.iter().for_each(|name| self.unsubscribe(id, name));
        self.connections.remove(&id);
    }

    pub fn get(&mut self, id: u64) -> Option<&mut Connection> {
        self.connections.get_mut(&id)
    }

    pub fn connections(&self) -> impl Iterator<Item = (u64, &Connection)> {
        self.connections.iter().map(|(id, connection)| (*id, connection))
    }

    /// Subscribed names, over all connections.
    pub fn subscriptions(&self) -> usize {
        self.connections.values().map(|connection| connection.subscriptions.len()).sum()
    }

    /// Subscribes a connection; a second time changes nothing, but that a subscription that was deaf delivers.
    pub fn subscribe(&mut self, id: u64, name: &str, stream: Option<Stream>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match connection.subscriptions.iter_mut().find(|(known, _)| known == name) {
            Some((_, Some(_))) => return,
            Some((_, deaf)) => *deaf = stream,
            None => connection.subscriptions.push((name.to_owned(), stream)),
        }
        if let Some(stream) = stream {
            self.subscribers[stream.index()].push(id);
            self.note_change();
        }
    }

    pub fn unsubscribe(&mut self, id: u64, name: &str) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(place) = connection.subscriptions.iter().position(|(known, _)| known == name) else { return };
        if let (_, Some(stream)) = connection.subscriptions.remove(place) {
            self.subscribers[stream.index()].retain(|subscriber| *subscriber != id);
            self.note_change();
        }
    }

    /// Ends what the subscriptions of one connection, or of all, to this stream deliver. They stay listed.
    pub fn deafen(&mut self, only: Option<u64>, stream: Stream) {
        for (id, connection) in self.connections.iter_mut().filter(|(id, _)| only.is_none_or(|only| only == **id)) {
            for (_, delivers) in &mut connection.subscriptions {
                *delivers = delivers.filter(|delivers| *delivers != stream);
            }
            self.subscribers[stream.index()].retain(|subscriber| subscriber != id);
        }
        self.note_change();
    }

    fn note_change(&mut self) {
        self.changes += 1;
        self.changed.notify_one();
    }

    /// How often what is wanted has changed.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Tells one waiting task of the next change.
    pub fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }

    pub fn is_wanted(&self, stream: Stream) -> bool {
        !self.subscribers[stream.index()].is_empty()
    }

    /// Sends an event to its subscribers.
    pub fn deliver(&mut self, event: &mut Event, symbols: &[Symbol]) {
        for id in &self.subscribers[event.stream.index()] {
            let Some(connection) = self.connections.get_mut(id) else { continue };
            let frame = event.frame(symbols, connection.combined, connection.unit);
            self.sent.count(connection.send(Outgoing::Text(frame)));
        }
    }

    /// Sends a frame, in the form that each connection wants, to one connection or all.
    pub fn broadcast(&mut self, only: Option<u64>, frame: impl Fn(&Connection) -> Outgoing) {
        for (_, connection) in self.connections.iter_mut().filter(|(id, _)| only.is_none_or(|only| only == **id)) {
            let frame = frame(connection);
            self.sent.count(connection.send(frame));
        }
    }

    pub fn sent(&self) -> &Sent {
        &self.sent
    }

    /// Gives an order to one connection or all.
    pub fn order(&self, only: Option<u64>, order: Order) {
        for (_, connection) in self.connections.iter().filter(|(id, _)| only.is_none_or(|only| only == **id)) {
            // A connection whose task has ended needs no order any more.
            let _ = connection.orders.send(order);
        }
    }
}
