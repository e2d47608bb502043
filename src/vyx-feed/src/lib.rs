//! Binance spot market data, from the socket to a [`Sink`].
//!
//! ```text
//!   directory ── Sink::known, time, exchangeInfo ──► Sink::universe ──► who is followed
//!   streams ── plan ──► session (one WebSocket each) ── wire ──► Sink::kline, Sink::ticker
//!   backfill ── Sink::missing ──► rest ── wire ──► Sink::history, Sink::begins
//!   seed ── ticker/24hr ──► rest ── wire ──► Sink::ticker
//!   session, rest ── TLS ──► door ──► the exchange, or a simulation
//! ```
//! Everything runs as futures of one task on a current-thread tokio runtime; nothing is spawned but hyper's connection
//! drivers. The crate knows no Postgres and reads no wall clock: *market time* is the largest time the exchange has
//! mentioned, and everything that concerns the transport (pings, staleness, backoff, budgets) goes by tokio's monotonic
//! clock. So a simulator may run the market at any speed.
//!
//! Rooms without I/O: [`wire`] (bytes to words), `plan` (streams to connections), `subscriptions` (control messages),
//! `backoff`, `pace` (what may be sent when), `clock` (market time), `calendar` (when klines are overdue), `tails` (what
//! each stream has said, and why klines are missing), `paused` (who no longer trades).
#![forbid(unsafe_code)]

mod backfill;
mod backoff;
mod calendar;
mod clock;
mod directory;
mod door;
mod http;
mod outlet;
mod pace;
mod paused;
mod plan;
mod rest;
mod seed;
mod session;
mod settings;
mod sink;
mod streams;
mod subscriptions;
mod tails;
mod tls;
mod url;
pub mod wire;

pub use door::{Dial, Tcp, Transport};
pub use settings::{BadSettings, MIN_WEIGHT_BUDGET, Settings};
pub use sink::{Disconnect, Event, Level, Missing, Sink};
pub use url::{BadUrl, RestUrl, StreamUrl};

use calendar::Calendar;
use clock::{MarketClock, Step};
use directory::Universe;
use http::Http;
use outlet::{Outlet, Topic};
use pace::ConnectBudget;
use plan::Streams;
use rest::Rest;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use tails::{Series, Tails};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use vyx_core::{GapReason, Interval, Kline, Millis, Symbol};

/// Follows the market until it is dropped, which closes every connection and leaves nothing behind.
///
/// Needs a current-thread tokio runtime with time and I/O enabled; the future is not `Send`. Settings that fail
/// [`Settings::check`] are named in the log; the feed goes on with the ones before, or waits for its first. A dropped
/// sender of the settings means that they will not change any more.
pub async fn run(settings: watch::Receiver<Settings>, sink: &dyn Sink) -> Infallible {
    run_over(settings, sink, &Tcp).await
}

/// Follows the market as [`run`] does, over connections that somebody else opens.
pub async fn run_over(mut settings: watch::Receiver<Settings>, sink: &dyn Sink, door: &dyn Dial) -> Infallible {
    let outlet = Rc::new(Outlet::new(sink));
    let first = next_usable(&mut settings, &outlet).await;
    let (sender, usable) = watch::channel(first);
    let feed = Feed::new(usable, outlet.clone(), door);
    tokio::select! {
        biased;
        never = directory::keep(&feed) => never,
        never = streams::keep(&feed) => never,
        never = backfill::keep(&feed) => never,
        never = seed::keep(&feed) => never,
        never = async {
            loop {
                changed(&mut settings).await;
                sender.send_replace(next_usable(&mut settings, &outlet).await);
            }
        } => never,
    }
}

/// The settings as they are now, or the next that can be used.
async fn next_usable(settings: &mut watch::Receiver<Settings>, outlet: &Outlet<'_>) -> Settings {
    loop {
        let now = settings.borrow_and_update().clone();
        match now.check() {
            Ok(()) => return now,
            Err(error) => outlet.log(Topic::Settings, Level::Error, || format!("the settings cannot be used: {error}")),
        }
        changed(settings).await;
    }
}

/// What the jobs share.
struct Feed<'s> {
    settings: watch::Receiver<Settings>,
    outlet: Rc<Outlet<'s>>,
    door: &'s dyn Dial,
    tls: Arc<rustls::ClientConfig>,
    rest: Rest<'s>,
    connects: RefCell<ConnectBudget>,
    clock: MarketClock,
    /// Who is followed; empty until the exchange was heard.
    universe: watch::Sender<Rc<Universe>>,
    /// Frames taken so far: each is one witness of the time.
    frames: Cell<u64>,
    tails: RefCell<Tails>,
    /// Of some series it is settled what they miss.
    due: Notify,
    calendar: RefCell<Calendar>,
    /// Klines of some interval have to be there.
    overdue: Notify,
    /// The tickers, and market time, are to be read by REST.
    seed_wanted: Notify,
    /// Streams that are to be asked for anew, by whichever connection has them.
    deaf: RefCell<BTreeSet<String>>,
    random: RefCell<fastrand::Rng>,
    links: RefCell<Links>,
}

/// The open connections, for the gauges.
#[derive(Default)]
struct Links {
    last_id: u64,
    /// Acknowledged streams of each open connection.
    open: BTreeMap<u64, usize>,
    wanted: usize,
}

impl<'s> Feed<'s> {
    fn new(settings: watch::Receiver<Settings>, outlet: Rc<Outlet<'s>>, door: &'s dyn Dial) -> Feed<'s> {
        let tls = tls::config(door.roots());
        Feed {
            rest: Rest::new(settings.clone(), outlet.clone(), Http::new(door, tls.clone())),
            settings,
            outlet,
            door,
            tls,
            connects: RefCell::default(),
            clock: MarketClock::default(),
            universe: watch::channel(Rc::default()).0,
            frames: Cell::new(0),
            tails: RefCell::default(),
            due: Notify::new(),
            calendar: RefCell::default(),
            overdue: Notify::new(),
            seed_wanted: Notify::new(),
            deaf: RefCell::default(),
            random: RefCell::new(door.seed().map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed)),
            links: RefCell::default(),
        }
    }

    /// Takes the exchange's own clock.
    fn server_time(&self, at: Millis) {
        if let Step::Advanced(now) = self.clock.server(at) {
            self.advanced(now);
        }
    }

    /// Begins with the next frame.
    fn next_frame(&self) {
        self.frames.set(self.frames.get() + 1);
    }

    /// Takes the time of an event of the current frame; `false` when it cannot be believed and the event should be dropped.
    fn event_time(&self, at: Millis) -> bool {
        match self.clock.event(at, self.frames.get()) {
            Step::Advanced(now) => self.advanced(now),
            Step::NotNewer | Step::Claimed => {}
            Step::Unbelievable => {
                self.seed_wanted.notify_one();
                return false;
            }
        }
        true
    }

    fn advanced(&self, at: Millis) {
        self.outlet.sink.market_time(at);
        self.tails.borrow_mut().advanced(at);
        if self.tails.borrow().are_due(at) {
            self.due.notify_one();
        }
        if self.calendar.borrow().is_due(at) {
            self.overdue.notify_one();
        }
    }

    /// Hands on a kline of the stream. Where it shows that a close was missed, the gap is noted before anything else.
    fn kline(&self, symbol: &Symbol, interval: Interval, event_time: Millis, kline: &Kline) {
        let series = (*symbol, interval);
        let missed = self.tails.borrow_mut().saw(series, kline, Instant::now());
        if let Some(missed) = missed {
            let reason = self.tails.borrow().reason(&series, GapReason::MissedClose);
            self.outlet.sink.missing(symbol, interval, missed, reason);
        }
        self.outlet.sink.kline(symbol, interval, event_time, kline);
    }

    /// What is missing of a series, as far as history could know it. What was not noticed before is noted by the owner,
    /// with `otherwise` as the reason where nothing is known of an interruption.
    fn missing(&self, series: Series, otherwise: GapReason) -> Option<Missing> {
        let market = self.clock.now()?;
        let (settled, reason) = {
            let tails = self.tails.borrow();
            (tails.settled(series, market, Instant::now()), tails.reason(&series, otherwise))
        };
        let missing = self.outlet.sink.missing(&series.0, series.1, settled, reason);
        self.tails.borrow_mut().looked(&series, settled);
        // Whatever the owner wants, nobody can know more than what is settled.
        missing.filter(|missing| *missing.oldest.start() <= series.1.last_closed(settled)).map(|missing| {
            let end = (*missing.oldest.end()).min(series.1.last_closed(settled));
            Missing { oldest: *missing.oldest.start()..=end, ..missing }
        })
    }

    /// A stream is acknowledged on a session.
    fn acknowledged(&self, stream: &str, session: u64) {
        let Some(series) = plan::series(stream) else { return };
        if self.tails.borrow_mut().acknowledged(series, session) {
            self.outlet.sink.subscribed(&series.0, series.1, true);
        }
    }

    /// A stream is no longer on a session.
    fn released(&self, stream: &str, session: u64) {
        let Some(series) = plan::series(stream) else { return };
        if self.tails.borrow_mut().released(series, session) {
            self.deaf.borrow_mut().remove(stream);
            self.outlet.sink.subscribed(&series.0, series.1, false);
        }
    }

    /// A stream was asked for anew, and is acknowledged.
    fn renewed(&self, stream: &str) {
        if let Some(series) = plan::series(stream) {
            self.tails.borrow_mut().renewed(series);
        }
    }

    /// History has shown that this kline exists. Where its stream should have said so and did not, it is asked for anew.
    fn exists(&self, series: Series, kline: &Kline) {
        let Some(market) = self.clock.now() else { return };
        if self.tails.borrow_mut().is_deaf(series, kline, market, Instant::now()) {
            self.deaf.borrow_mut().insert(plan::kline_stream(&series.0, series.1));
        }
    }

    /// Those of these streams that are to be asked for anew.
    fn take_deaf(&self, streams: &Streams) -> Vec<String> {
        let mut deaf = self.deaf.borrow_mut();
        let mine: Vec<String> = deaf.iter().filter(|stream| streams.contains(*stream)).cloned().collect();
        mine.iter().for_each(|stream| _ = deaf.remove(stream));
        mine
    }

    /// From 0 to 1, for jitter.
    fn random(&self) -> f64 {
        self.random.borrow_mut().f64()
    }

    fn next_session_id(&self) -> u64 {
        let mut links = self.links.borrow_mut();
        links.last_id += 1;
        links.last_id
    }

    fn connected(&self, session: u64) {
        self.links.borrow_mut().open.insert(session, 0);
        self.outlet.event(Event::Connected { connections: self.links.borrow().open.len() });
        // While nobody listened, tickers changed and market time went on.
        self.seed_wanted.notify_one();
    }

    fn disconnected(&self, session: u64, reason: Disconnect) {
        self.links.borrow_mut().open.remove(&session);
        self.outlet.event(Event::Disconnected { connections: self.links.borrow().open.len(), reason });
        self.tell_streams();
    }

    fn subscribed(&self, session: u64, streams: usize) {
        self.links.borrow_mut().open.insert(session, streams);
        self.tell_streams();
    }

    fn wanted(&self, streams: usize) {
        self.links.borrow_mut().wanted = streams;
        self.tell_streams();
    }

    fn tell_streams(&self) {
        let (sum, wanted) = {
            let links = self.links.borrow();
            (links.open.values().sum::<usize>(), links.wanted)
        };
        // While a connection is being replaced its streams are there twice.
        self.outlet.event(Event::Streams { subscribed: sum.min(wanted), wanted });
    }
}

/// Waits for other settings; for ever when nobody can change them any more.
async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending().await
    }
}
