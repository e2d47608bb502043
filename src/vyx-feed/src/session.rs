//! One WebSocket connection, from the attempt to its end.

use crate::door::Transport;
use crate::outlet::Topic;
use crate::plan::Streams;
use crate::rest::{advised_pause, with_causes};
use crate::sink::{Disconnect, Event, Level};
use crate::subscriptions::{CONTROL_INTERVAL, Outcome, REFUSED_PAUSE, Subscriptions};
use crate::url::StreamUrl;
use crate::wire::{self, Frame};
use crate::{Feed, changed};
use futures_util::{SinkExt, StreamExt};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

/// TCP, TLS and the handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A server that does not read our few small frames for so long is no server.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// A farewell is a courtesy, not worth a delay.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// The largest frame is `!miniTicker@arr`: 160 bytes a symbol, 240 KB for all 1,400 pairs. What is larger than this is
/// an attack or a mistake, and must not grow a Postgres process.
const LARGEST_MESSAGE: usize = 1 << 20;
/// Allocated at once for each connection; holds some 170 kline frames.
const READ_BUFFER: usize = 64 << 10;
/// Connections of one plan grow this fraction of a lifetime less old than the one before them, half a lifetime at most, so
/// that they are not all replaced at once: seven minutes of 23 hours.
const LIFETIME_STAGGER: u32 = 200;
/// More unreadable frames than this in so short a time, and the connection itself is doubted.
const BAD_FRAMES: u32 = 1_000;
const BAD_FRAMES_WINDOW: Duration = Duration::from_secs(10);
/// How much of an unreadable frame the log shows, in characters.
const EXCERPT: usize = 200;

type Socket = WebSocketStream<MaybeTlsStream<Box<dyn Transport>>>;

/// What a session tells whoever holds it, once each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Everything that was wanted is acknowledged, which proves nothing yet.
    Settled,
    /// After that, data has come.
    Delivers,
    /// The connection will end soon, but still delivers: time for a successor.
    Leaving,
}

/// What a session is given.
pub struct Assignment {
    /// Distinguishes the sessions of one feed.
    pub id: u64,
    /// Position of the connection in the plan.
    pub index: usize,
    pub wanted: watch::Receiver<Rc<Streams>>,
    pub news: mpsc::UnboundedSender<(u64, News)>,
    /// Here the session says when data came last.
    pub data_at: Rc<Cell<Option<Instant>>>,
    /// Told when the session has to end, and why.
    pub leave: oneshot::Receiver<Disconnect>,
}

/// Connects and delivers until something ends it, which is returned.
pub async fn run(feed: &Feed<'_>, assignment: Assignment) -> Disconnect {
    let url = feed.settings.borrow().stream_url.clone();
    let index = assignment.index;
    let socket = match connect(feed, &url).await {
        Ok(socket) => socket,
        Err(reason) => {
            feed.outlet.event(Event::ConnectFailed { reason: reason.clone() });
            let level = if reason.is_terminal() { Level::Error } else { Level::Warning };
            feed.outlet.log(Topic::ConnectFailed, level, || format!("connection {index} to {url}: {reason}"));
            return reason;
        }
    };
    feed.connected(assignment.id);
    feed.outlet.log(Topic::Connected, Level::Info, || format!("connection {index} to {url} is open"));
    let id = assignment.id;
    let reason = Session::new(feed, url.clone(), assignment).deliver(socket).await;
    feed.disconnected(id, reason.clone());
    let level = if reason.is_planned() { Level::Info } else { Level::Warning };
    feed.outlet.log(Topic::Disconnected, level, || format!("connection {index} to {url} ended: {reason}"));
    reason
}

async fn connect(feed: &Feed<'_>, url: &str) -> Result<Socket, Disconnect> {
    let url = StreamUrl::parse(url).map_err(|error| Disconnect::Unreachable(error.to_string()))?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE));
    // Named explicitly: left to itself the library would look for a crypto provider that nobody installed.
    let connector = Connector::Rustls(feed.tls.clone());
    let connection = async {
        let (host, port) = url.address();
        let transport = feed.door.dial(&host, port).await?;
        client_async_tls_with_config(url.combined(), transport, Some(config), Some(connector)).await
    };
    match timeout(CONNECT_TIMEOUT, connection).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(tungstenite::Error::Http(response))) => {
            let retry_after = advised_pause(response.headers());
            Err(Disconnect::Refused { status: response.status().as_u16(), retry_after })
        }
        Ok(Err(error)) => Err(Disconnect::Unreachable(with_causes(&error))),
        Err(_) => Err(Disconnect::Unreachable(format!("no handshake within {CONNECT_TIMEOUT:?}"))),
    }
}

struct Session<'f, 's> {
    feed: &'f Feed<'s>,
    url: String,
    assignment: Assignment,
    subscriptions: Subscriptions,
    heard_at: Instant,
    looks_silent: bool,
    opened_at: Instant,
    wanted_again_at: Instant,
    bad_frames: u32,
    bad_frames_since: Instant,
    settled: bool,
    delivers: bool,
    leaving: bool,
}

impl<'f, 's> Session<'f, 's> {
    fn new(feed: &'f Feed<'s>, url: String, assignment: Assignment) -> Session<'f, 's> {
        let now = Instant::now();
        Session {
            feed,
            url,
            assignment,
            subscriptions: Subscriptions::default(),
            heard_at: now,
            looks_silent: false,
            opened_at: now,
            wanted_again_at: now,
            bad_frames: 0,
            bad_frames_since: now,
            settled: false,
            delivers: false,
            leaving: false,
        }
    }

    /// Reads and writes until the end. The pong to a ping is queued by the library and leaves with the next read, which
    /// follows at once.
    async fn deliver(mut self, mut socket: Socket) -> Disconnect {
        let mut wanted = self.assignment.wanted.clone();
        // All that is timed hangs on one tick, so that a message costs no timer; and at most one control frame
        // goes out in a tick.
        let mut tick = interval(CONTROL_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // The messages come last, as there may always be one.
            let end = tokio::select! {
                biased;
                Ok(reason) = &mut self.assignment.leave => Err(reason),
                () = changed(&mut wanted) => {
                    self.wanted_again_at = Instant::now();
                    Ok(())
                }
                _ = tick.tick() => self.tick(&mut socket).await,
                message = socket.next() => self.message(message),
            };
            if let Err(reason) = end {
                let session = self.assignment.id;
                self.subscriptions.acknowledged().iter().for_each(|stream| self.feed.released(stream, session));
                // On a link that is broken already this fails at once, or in vain.
                let _ = timeout(CLOSE_TIMEOUT, socket.close(None)).await;
                return reason;
            }
        }
    }

    async fn tick(&mut self, socket: &mut Socket) -> Result<(), Disconnect> {
        let now = Instant::now();
        let lifetime = {
            let settings = self.feed.settings.borrow();
            if settings.stream_url != self.url || self.assignment.wanted.borrow().is_empty() {
                return Err(Disconnect::NotWanted);
            }
            let is_silent = now.duration_since(self.heard_at) >= settings.stale_after;
            // After a standstill of this very process it looks silent too, until what has arrived meanwhile is read, which
            // comes before the next tick.
            if is_silent && self.looks_silent {
                return Err(Disconnect::Silent);
            }
            self.looks_silent = is_silent;
            let stagger = settings.rotate_after / LIFETIME_STAGGER * u32::try_from(self.assignment.index).unwrap_or(1);
            settings.rotate_after - stagger.min(settings.rotate_after / 2)
        };
        if now.duration_since(self.opened_at) >= lifetime {
            self.leave();
        }
        if now >= self.wanted_again_at {
            // What was refused is asked for again some time after the pause, even if nothing changes.
            self.wanted_again_at = now + REFUSED_PAUSE;
            let wanted = self.assignment.wanted.borrow().clone();
            let session = self.assignment.id;
            self.subscriptions.want(&wanted, now).iter().for_each(|stream| self.feed.released(stream, session));
            // A series that was gone for a moment is a new one, and its stream has been there all along.
            self.subscriptions.acknowledged().iter().for_each(|stream| self.feed.acknowledged(stream, session));
        }
        for stream in self.feed.take_deaf(self.subscriptions.acknowledged()) {
            self.feed.outlet.event(Event::Resubscribed);
            self.feed.outlet.log(Topic::Deaf, Level::Warning, || {
                format!("the stream {stream} is acknowledged and says nothing; it is asked for anew")
            });
            self.subscriptions.renew(stream);
        }
        let frame = self.subscriptions.next_frame(now).map_err(|_| Disconnect::NoAcknowledgement)?;
        let Some(frame) = frame else { return Ok(()) };
        match timeout(SEND_TIMEOUT, socket.send(Message::text(frame))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Disconnect::Lost(with_causes(&error))),
            Err(_) => Err(Disconnect::Lost(format!("nothing could be sent for {SEND_TIMEOUT:?}"))),
        }
    }

    fn message(&mut self, message: Option<Result<Message, tungstenite::Error>>) -> Result<(), Disconnect> {
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(Disconnect::Lost(with_causes(&error))),
            None => return Err(Disconnect::Lost("the server hung up".to_owned())),
        };
        self.heard_at = Instant::now();
        match message {
            Message::Text(text) => match wire::frame(text.as_bytes()) {
                Ok(frame) => self.frame(frame),
                Err(error) => self.bad_frame(&error, &text),
            },
            Message::Binary(_) => self.bad_frame(&"a binary frame", ""),
            Message::Close(Some(close)) => {
                Err(Disconnect::Lost(format!("the server closed it: {} {}", close.code, close.reason)))
            }
            Message::Close(None) => Err(Disconnect::Lost("the server closed it".to_owned())),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    fn frame(&mut self, frame: Frame) -> Result<(), Disconnect> {
        let feed = self.feed;
        feed.next_frame();
        match frame {
            Frame::Kline { symbol, interval, event_time, kline } => {
                // The open kline is the better clock: it cannot be over yet.
                let close_time = interval.close_time(interval.ordinal(kline.open_time));
                let at = if kline.closed { event_time } else { event_time.min(close_time) };
                if !feed.event_time(at) {
                    return self.bad_frame(&"the event is far ahead of market time", symbol.as_str());
                }
                self.data();
                feed.kline(&symbol, interval, event_time, &kline);
            }
            Frame::Tickers(read) => {
                self.data();
                let universe = feed.universe.borrow().clone();
                for (symbol, ticker) in read.tickers.iter().filter(|(symbol, _)| universe.contains(symbol)) {
                    if feed.event_time(ticker.event_time) {
                        feed.outlet.sink.ticker(symbol, ticker);
                    } else {
                        feed.outlet.event(Event::BadFrame);
                    }
                }
                (0..read.dropped).for_each(|_| feed.outlet.event(Event::BadFrame));
            }
            Frame::Shutdown => self.leave(),
            Frame::Reply(reply) => {
                match self.subscriptions.reply(reply.id, reply.error, Instant::now()) {
                    Outcome::Fine => {}
                    Outcome::Acknowledged { new, again } => {
                        new.iter().for_each(|stream| feed.acknowledged(stream, self.assignment.id));
                        again.iter().for_each(|stream| feed.renewed(stream));
                    }
                    Outcome::Refused { stream, error } => feed.outlet.log(Topic::RefusedStream, Level::Warning, || {
                        format!("the exchange refuses the stream {stream}: {} (code {})", error.message, error.code)
                    }),
                    Outcome::Fatal => return Err(Disconnect::Lost("too many subscriptions".to_owned())),
                }
                feed.subscribed(self.assignment.id, self.subscriptions.acknowledged().len());
                if !self.settled && self.subscriptions.is_settled() {
                    self.settled = true;
                    self.tell(News::Settled);
                }
            }
            Frame::Unknown => feed.outlet.event(Event::UnknownFrame),
        }
        Ok(())
    }

    fn bad_frame(&mut self, error: &dyn std::fmt::Display, text: &str) -> Result<(), Disconnect> {
        self.feed.outlet.event(Event::BadFrame);
        self.feed.outlet.log(Topic::BadFrame, Level::Warning, || {
            let excerpt: String = text.chars().take(EXCERPT).collect();
            format!("dropped an unreadable frame: {error}, in \"{}\"", excerpt.escape_debug())
        });
        let now = Instant::now();
        if now.duration_since(self.bad_frames_since) > BAD_FRAMES_WINDOW {
            (self.bad_frames, self.bad_frames_since) = (0, now);
        }
        self.bad_frames += 1;
        if self.bad_frames > BAD_FRAMES { Err(Disconnect::BadFrames) } else { Ok(()) }
    }

    fn data(&mut self) {
        self.feed.outlet.event(Event::Message);
        self.assignment.data_at.set(Some(self.heard_at));
        if self.settled && !self.delivers {
            self.delivers = true;
            self.tell(News::Delivers);
        }
    }

    fn leave(&mut self) {
        if !self.leaving {
            self.leaving = true;
            self.tell(News::Leaving);
        }
    }

    fn tell(&self, news: News) {
        // Whoever held this session may be gone; then nobody needs to know.
        let _ = self.assignment.news.send((self.assignment.id, news));
    }
}
