//! One WebSocket connection, from handshake to end.

use super::control;
use super::handshake::Wish;
use crate::exchange::Exchange;
use crate::fault::Kind;
use crate::hub::{Connection, Order, Outgoing};
use crate::line::{Line, Transport};
use crate::settings::limits;
use futures_util::{SinkExt, StreamExt};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Frames sent with one flush.
const BATCH: usize = 256;
/// How often a half-open connection looks whether it may go on.
const HALF_OPEN_TURN: Duration = Duration::from_millis(20);

/// How a connection ends.
enum End {
    /// With a close frame.
    Close(CloseCode, &'static str),
    /// Without a word.
    Drop { reset: bool },
}

struct Session<T> {
    exchange: Arc<Exchange>,
    id: u64,
    socket: WebSocketStream<Line<T>>,
    /// When the messages of the last second came.
    messages: VecDeque<Instant>,
    next_ping: Instant,
    /// When the connection ends unless a pong comes first; set while one is missing.
    pong_due: Option<Instant>,
}

/// What ends a connection whatever it is doing, even while it waits for a client that does not read.
struct Leash {
    orders: mpsc::UnboundedReceiver<Order>,
    /// When the connection is cut in any case.
    cut_at: Instant,
}

impl Leash {
    /// Does the work unless the connection has to end, or to look about, before it is done.
    async fn hold(&mut self, work: impl Future<Output = Result<(), End>>) -> Result<(), End> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                Some(order) = self.orders.recv() => match order {
                    Order::Drop { reset } => return Err(End::Drop { reset }),
                    Order::Close { after } => self.cut_at = self.cut_at.min(Instant::now() + after),
                    Order::Look => return Ok(()),
                },
                () = sleep_until(self.cut_at) => return Err(End::Close(CloseCode::Away, "")),
                done = &mut work => return done,
            }
        }
    }
}

/// Serves a connection until it ends.
pub async fn run<T: Transport>(exchange: Arc<Exchange>, socket: WebSocketStream<Line<T>>, wish: Wish) {
    let (frames, waiting) = mpsc::channel(exchange.settings.waiting_frames);
    let (sender, orders) = mpsc::unbounded_channel();
    let (combined, unit) = (wish.combined, wish.unit);
    let connection = Connection { frames, orders: sender, combined, unit, subscriptions: Vec::new(), cut: false };
    let id = exchange.hub().join(connection);
    socket.get_ref().served().connection(id);
    exchange.counters().accepted += 1;
    let now = Instant::now();
    let mut leash = Leash { orders, cut_at: now + exchange.settings.lifetime };
    let mut session = Session {
        id,
        socket,
        messages: VecDeque::new(),
        next_ping: now + exchange.settings.ping_every,
        pong_due: None,
        exchange: exchange.clone(),
    };
    let end = session.serve(&mut leash, &wish, waiting).await;
    exchange.hub().leave(id);
    session.end(end).await;
}

impl<T: Transport> Session<T> {
    async fn serve(&mut self, leash: &mut Leash, wish: &Wish, mut waiting: mpsc::Receiver<Outgoing>) -> End {
        if let Some(reply) = control::subscribe_from_url(&self.exchange, self.id, &wish.streams)
            && let Err(end) = leash.hold(self.reply(reply)).await
        {
            return end;
        }
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            if let Err(end) = leash.hold(self.step(&mut waiting, &mut batch)).await {
                return end;
            }
        }
    }

    /// The next thing to do, whatever it is.
    async fn step(&mut self, waiting: &mut mpsc::Receiver<Outgoing>, batch: &mut Vec<Outgoing>) -> Result<(), End> {
        if self.suffers(Kind::HalfOpen) {
            tokio::time::sleep(HALF_OPEN_TURN).await;
            self.lose(waiting);
            return Ok(());
        }
        let pong_due = self.pong_due.unwrap_or(self.next_ping);
        tokio::select! {
            biased;
            () = sleep_until(pong_due), if self.pong_due.is_some() => {
                self.exchange.counters().closed_without_pong += 1;
                Err(End::Drop { reset: false })
            }
            () = sleep_until(self.next_ping) => self.ping().await,
            message = self.socket.next() => self.hear(message).await,
            _ = waiting.recv_many(batch, BATCH) => self.send(batch).await,
        }
    }

    fn suffers(&self, kind: Kind) -> bool {
        self.exchange.faults().find(kind, |fault| fault.connection.is_none_or(|id| id == self.id)).is_some()
    }

    /// Loses the frames of a half-open connection.
    fn lose(&mut self, waiting: &mut mpsc::Receiver<Outgoing>) {
        let mut lost = 0;
        while waiting.try_recv().is_ok() {
            lost += 1;
        }
        self.exchange.counters().withheld += lost;
        // The silence is the server's; the client is not blamed for pongs that were not read.
        self.pong_due = None;
    }

    async fn ping(&mut self) -> Result<(), End> {
        let now = Instant::now();
        self.next_ping = now + self.exchange.settings.ping_every;
        self.pong_due.get_or_insert(now + self.exchange.settings.pong_within);
        self.socket.send(Message::Ping(self.ping_payload())).await.map_err(gone)
    }

    /// A time, which clients must copy without understanding it.
    fn ping_payload(&self) -> tokio_tungstenite::tungstenite::Bytes {
        self.exchange.clock.now().to_string().into()
    }

    async fn send(&mut self, batch: &mut Vec<Outgoing>) -> Result<(), End> {
        if self.suffers(Kind::Stall) {
            self.exchange.counters().withheld += batch.len() as u64;
            batch.clear();
            return Ok(());
        }
        for message in batch.drain(..).flat_map(Outgoing::messages) {
            self.socket.feed(message).await.map_err(gone)?;
        }
        self.socket.flush().await.map_err(gone)
    }

    async fn hear(&mut self, message: Option<Result<Message, Error>>) -> Result<(), End> {
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(gone(error)),
            None => return Err(End::Drop { reset: false }),
        };
        if message.is_close() {
            // The answer to a close frame is tungstenite's; the next read ends the connection.
            return Ok(());
        }
        self.count_message()?;
        match message {
            Message::Text(text) if text.len() <= limits::CONTROL_BYTES => {
                self.exchange.counters().control_messages += 1;
                self.reply(control::handle(&self.exchange, self.id, &text)).await
            }
            // Any pong with a payload answers the latest ping; an unsolicited empty one keeps nothing alive.
            Message::Pong(payload) if !payload.is_empty() => {
                self.pong_due = None;
                Ok(())
            }
            // Too long a message is ignored without an answer, and there is no meaning in binary ones.
            _ => Ok(()),
        }
    }

    fn count_message(&mut self) -> Result<(), End> {
        let now = Instant::now();
        self.messages.push_back(now);
        while self.messages.front().is_some_and(|at| now - *at >= Duration::from_secs(1)) {
            self.messages.pop_front();
        }
        if self.messages.len() > limits::MESSAGES_A_SECOND {
            self.exchange.counters().closed_for_too_many_messages += 1;
            return Err(End::Close(CloseCode::Policy, "Too many requests"));
        }
        Ok(())
    }

    async fn reply(&mut self, reply: control::Reply) -> Result<(), End> {
        self.socket.send(Message::text(reply.text)).await.map_err(gone)?;
        if reply.then_close { Err(End::Close(CloseCode::Policy, "Invalid request")) } else { Ok(()) }
    }

    async fn end(mut self, end: End) {
        match end {
            End::Close(code, reason) => {
                let frame = CloseFrame { code, reason: reason.into() };
                // Whether the client still listens makes no difference any more.
                let _ = tokio::time::timeout(limits::CLOSING, async {
                    self.socket.close(Some(frame)).await.ok()?;
                    while let Some(Ok(_)) = self.socket.next().await {}
                    Some(())
                })
                .await;
            }
            End::Drop { reset: true } => self.socket.get_mut().reset(),
            End::Drop { reset: false } => {}
        }
    }
}

/// The connection is broken or over; nobody is there to be told.
fn gone(_: Error) -> End {
    End::Drop { reset: false }
}
