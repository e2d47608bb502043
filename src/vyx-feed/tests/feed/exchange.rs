//! A small scripted exchange: one market, told by streams and by history, that misbehaves when it is asked to.
//! Everything it was sent is kept with the moment, so that tests can assert what the feed did and when.

mod http;

pub use http::scripted;

use futures_util::future::LocalBoxFuture;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::spawn_local;
use tokio::time::{Instant, interval};
use tokio_tungstenite::tungstenite::Message;
use vyx_core::{Interval, Kline, Millis, Provenance};
use vyx_feed::{Dial, Transport};

/// 2026-11-20T12:00:30Z, when the market of every test begins to move.
const START: Millis = Millis(1_795_176_030_000);
/// Klines of history before the start. A symbol whose name begins with `NEW` has fewer.
const HISTORY: i64 = 2_500;
const HISTORY_OF_NEW: i64 = 30;
/// A symbol whose name begins with `HOLE` has no kline at multiples of this, as real ones have none for quiet minutes.
const HOLES: i64 = 97;

/// What the feed did.
#[derive(Clone, Debug, PartialEq)]
pub enum Did {
    Connected(usize),
    Ended(usize),
    Control(usize, String),
    Pong(usize, Vec<u8>),
    Requested(String),
}

/// What every open connection is told to do.
#[derive(Clone, Debug)]
pub enum Command {
    Cut,
    Say(String),
    Ping(Vec<u8>),
}

#[derive(Default)]
pub struct Faults {
    /// Closing events are not sent.
    pub no_closes: Cell<bool>,
    /// The connection that brings no data, though everything on it is acknowledged.
    pub barren: Cell<Option<usize>>,
    /// The stream that says nothing, though it is acknowledged, until it is left.
    pub silent: Cell<Option<&'static str>>,
    /// How far the exchange's clock is ahead of its klines, in milliseconds.
    pub skew: Cell<i64>,
    /// Control messages are read and neither answered nor obeyed.
    pub deaf: Cell<bool>,
    /// Nothing at all is sent.
    pub mute: Cell<bool>,
    /// Raw answers to the next REST requests, status line and all.
    pub answers: RefCell<VecDeque<String>>,
    /// The symbol whose history is refused as unknown.
    pub refused_history: Cell<Option<&'static str>>,
    /// Raw answer to every WebSocket handshake.
    pub handshake: RefCell<Option<String>>,
}

struct Inner {
    symbols: RefCell<Vec<String>>,
    /// Pairs that do not trade, with the exchange's word for it.
    halted: RefCell<BTreeMap<String, &'static str>>,
    started: Instant,
    speed: i64,
    ports: (u16, u16),
    faults: Faults,
    did: RefCell<Vec<(Instant, Did)>>,
    commands: broadcast::Sender<Command>,
    connections: Cell<usize>,
}

#[derive(Clone)]
pub struct Exchange(Rc<Inner>);

impl Exchange {
    pub async fn start(symbols: &[&str], speed: i64) -> Exchange {
        let streams = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rest = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let exchange = Exchange(Rc::new(Inner {
            symbols: RefCell::new(symbols.iter().map(|s| (*s).to_owned()).collect()),
            halted: RefCell::default(),
            started: Instant::now(),
            speed,
            ports: (streams.local_addr().unwrap().port(), rest.local_addr().unwrap().port()),
            faults: Faults::default(),
            did: RefCell::default(),
            commands: broadcast::channel(2_048).0,
            connections: Cell::new(0),
        }));
        spawn_local(exchange.clone().serve_streams(streams));
        spawn_local(exchange.clone().serve_rest(rest));
        exchange
    }

    pub fn stream_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.0.ports.0)
    }

    pub fn rest_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.ports.1)
    }

    pub fn symbols(&self) -> Vec<String> {
        self.0.symbols.borrow().clone()
    }

    pub fn list(&self, symbol: &str) {
        self.0.symbols.borrow_mut().push(symbol.to_owned());
    }

    pub fn delist(&self, symbol: &str) {
        self.0.symbols.borrow_mut().retain(|s| s != symbol);
    }

    /// The pair is known, and does not trade any more.
    pub fn halt(&self, symbol: &str, status: &'static str) {
        self.delist(symbol);
        self.0.halted.borrow_mut().insert(symbol.to_owned(), status);
    }

    pub fn resume(&self, symbol: &str) {
        self.0.halted.borrow_mut().remove(symbol);
        self.list(symbol);
    }

    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    pub fn command(&self, command: Command) {
        // Without an open connection there is nobody to obey.
        let _ = self.0.commands.send(command);
    }

    pub fn did(&self) -> Vec<(Instant, Did)> {
        self.0.did.borrow().clone()
    }

    /// Moments at which something was done that `what` accepts.
    pub fn moments(&self, what: impl Fn(&Did) -> bool) -> Vec<Instant> {
        self.0.did.borrow().iter().filter(|(_, did)| what(did)).map(|(at, _)| *at).collect()
    }

    pub fn connections(&self) -> usize {
        self.moments(|did| matches!(did, Did::Connected(_))).len()
    }

    pub fn market_time(&self) -> Millis {
        let elapsed = i64::try_from(self.0.started.elapsed().as_micros()).unwrap();
        START + Millis(elapsed * self.0.speed / 1_000)
    }

    /// The ordinal of the first kline of a series.
    pub fn first(&self, symbol: &str, interval: Interval) -> i64 {
        interval.ordinal(START) - if symbol.starts_with("NEW") { HISTORY_OF_NEW } else { HISTORY }
    }

    /// The closed kline, if there is one.
    pub fn truth(&self, symbol: &str, interval: Interval, ordinal: i64) -> Option<Kline> {
        let hole = symbol.starts_with("HOLE") && ordinal % HOLES == 0;
        if hole || ordinal < self.first(symbol, interval) {
            return None;
        }
        let seed = symbol
            .bytes()
            .fold(ordinal as u64 * 31 + interval as u64, |h, b| h.wrapping_mul(1_099_511_628_211) ^ u64::from(b));
        let part = |shift: u32| ((seed >> shift) % 1_000) as f64;
        let open = 1_000.0 + part(0);
        let close = 1_000.0 + part(10);
        Some(Kline {
            open_time: interval.open_time(ordinal),
            open,
            high: open.max(close) + part(20),
            low: open.min(close) - part(30) / 2.0,
            close,
            volume: 10.0 + part(40),
            quote_volume: 20.0 + part(50),
            trades: 100 + (seed >> 12) % 50,
            taker_buy_volume: part(5),
            taker_buy_quote_volume: part(15),
            closed: true,
            revision: 0,
            provenance: Provenance::History,
        })
    }

    fn note(&self, did: Did) {
        self.0.did.borrow_mut().push((Instant::now(), did));
    }

    async fn serve_streams(self, listener: TcpListener) {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            spawn_local(self.clone().serve_connection(socket));
        }
    }

    async fn serve_connection(self, mut socket: impl AsyncRead + AsyncWrite + Unpin) {
        let id = self.0.connections.replace(self.0.connections.get() + 1);
        self.note(Did::Connected(id));
        let refusal = self.faults().handshake.borrow().clone();
        match refusal {
            Some(refusal) => {
                http::read_request(&mut BufReader::new(&mut socket)).await;
                let _ = socket.write_all(refusal.as_bytes()).await;
            }
            None => self.serve_stream(id, socket).await,
        }
        self.note(Did::Ended(id));
    }

    /// Returns when either side has enough; dropping the socket cuts the connection without a farewell.
    async fn serve_stream(&self, id: usize, socket: impl AsyncRead + AsyncWrite + Unpin) {
        let Ok(socket) = tokio_tungstenite::accept_async(socket).await else { return };
        let (mut out, mut input) = socket.split();
        let mut commands = self.0.commands.subscribe();
        let mut subscribed: BTreeMap<String, i64> = BTreeMap::new();
        let mut tick = interval(Duration::from_millis(20));
        for round in 0u64.. {
            let mut frames = Vec::new();
            tokio::select! {
                biased;
                message = input.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        self.note(Did::Control(id, text.to_string()));
                        if !self.faults().deaf.get() {
                            frames.push(Message::text(self.control(&text, &mut subscribed)));
                        }
                    }
                    Some(Ok(Message::Pong(payload))) => self.note(Did::Pong(id, payload.to_vec())),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                },
                Ok(command) = commands.recv() => match command {
                    Command::Cut => return,
                    Command::Say(text) => frames.push(Message::text(text)),
                    Command::Ping(payload) => frames.push(Message::Ping(payload.into())),
                },
                _ = tick.tick() => {
                    let news = self.news(&mut subscribed, round % 5 == 0);
                    if self.faults().barren.get() != Some(id) {
                        frames.extend(news.into_iter().map(Message::text));
                    }
                }
            }
            for frame in frames {
                if !self.faults().mute.get() && out.send(frame).await.is_err() {
                    return;
                }
            }
        }
    }

    fn control(&self, text: &str, subscribed: &mut BTreeMap<String, i64>) -> String {
        let request: Value = serde_json::from_str(text).unwrap();
        for stream in request["params"].as_array().unwrap() {
            let stream = stream.as_str().unwrap();
            if request["method"] == "SUBSCRIBE" {
                let now = self.series(stream).map_or(0, |(_, interval)| interval.ordinal(self.market_time()));
                subscribed.insert(stream.to_owned(), now);
            } else {
                subscribed.remove(stream);
                if self.faults().silent.get() == Some(stream) {
                    self.faults().silent.set(None);
                }
            }
        }
        json!({ "result": null, "id": request["id"] }).to_string()
    }

    fn series(&self, stream: &str) -> Option<(String, Interval)> {
        let (symbol, interval) = stream.split_once("@kline_")?;
        Some((symbol.to_ascii_uppercase(), interval.parse().unwrap()))
    }

    /// Closing events since the last call, and now and then the open klines and the tickers.
    fn news(&self, subscribed: &mut BTreeMap<String, i64>, with_open: bool) -> Vec<String> {
        let now = self.market_time();
        let mut frames = Vec::new();
        let stamp = now + Millis(self.faults().skew.get());
        for (stream, at) in subscribed {
            if self.faults().silent.get() == Some(stream) {
                *at = self.series(stream).map_or(0, |(_, interval)| interval.ordinal(now));
                continue;
            }
            let Some((symbol, interval)) = self.series(stream) else {
                if with_open {
                    frames.push(self.ticker_frame(stamp));
                }
                continue;
            };
            while *at < interval.ordinal(now) {
                if !self.faults().no_closes.get()
                    && let Some(kline) = self.truth(&symbol, interval, *at)
                {
                    frames.push(kline_frame(&symbol, interval, &kline, stamp));
                }
                *at += 1;
            }
            if with_open && let Some(kline) = self.truth(&symbol, interval, *at) {
                frames.push(kline_frame(&symbol, interval, &Kline { trades: 1, closed: false, ..kline }, stamp));
            }
        }
        frames
    }

    /// The array stream names every symbol but those that begin with `QUIET`, and one that nobody follows.
    fn ticker_frame(&self, now: Millis) -> String {
        let changed = self.symbols().into_iter().filter(|s| !s.starts_with("QUIET")).chain(["ELSEBTC".to_owned()]);
        let data: Vec<Value> = changed
            .map(|s| json!({"e":"24hrMiniTicker","E":now.0,"s":s,"c":"3.5","o":"3.0","h":"4.0","l":"2.0","v":"10.0","q":"30.0"}))
            .collect();
        json!({ "stream": "!miniTicker@arr", "data": data }).to_string()
    }
}

/// Leads to an exchange without a network. Under a paused clock a run over it depends on the seed alone.
pub struct Pipes {
    pub exchange: Exchange,
    pub seed: u64,
}

impl Dial for Pipes {
    fn dial<'a>(&'a self, _: &'a str, port: u16) -> LocalBoxFuture<'a, io::Result<Box<dyn Transport>>> {
        let (near, far) = tokio::io::duplex(64 << 10);
        let exchange = self.exchange.clone();
        if port == exchange.0.ports.0 {
            spawn_local(exchange.serve_connection(far));
        } else {
            spawn_local(exchange.serve_requests(far));
        }
        Box::pin(std::future::ready(Ok(Box::new(near) as Box<dyn Transport>)))
    }

    fn seed(&self) -> Option<u64> {
        Some(self.seed)
    }
}

fn text(number: f64) -> String {
    format!("{number:.8}")
}

fn kline_frame(symbol: &str, interval: Interval, k: &Kline, now: Millis) -> String {
    let close_time = interval.close_time(interval.ordinal(k.open_time));
    let (stream, name) = (format!("{}@kline_{interval}", symbol.to_ascii_lowercase()), interval.as_str());
    json!({"stream": stream, "data": {"e":"kline","E":now.0,"s":symbol,"k":{
        "t":k.open_time.0,"T":close_time.0,"s":symbol,"i":name,"f":-1,"L":-1,"o":text(k.open),"c":text(k.close),"h":text(k.high),
        "l":text(k.low),"v":text(k.volume),"n":k.trades,"x":k.closed,"q":text(k.quote_volume),"V":text(k.taker_buy_volume),
        "Q":text(k.taker_buy_quote_volume),"B":"0"}}})
    .to_string()
}
