//! Binance spot market data, from the socket to a [`Sink`].
//!
//! ```text
//!   directory ── time, exchangeInfo ──► Sink::universe ──► who is followed
//!   streams ── plan ──► session (one WebSocket each) ── wire ──► Sink::kline, Sink::ticker
//!   backfill ── Sink::missing ──► rest ── wire ──► Sink::history, Sink::begins
//!   seed ── ticker/24hr ──► rest ── wire ──► Sink::ticker
//! ```
//! Everything runs as futures of one task on a current-thread tokio runtime; nothing is spawned but hyper's connection
//! drivers. The crate knows no Postgres and reads no wall clock: *market time* is the largest time the exchange has
//! mentioned, and everything that concerns the transport (pings, staleness, backoff, budgets) goes by tokio's monotonic
//! clock. So a simulator may run the market at any speed.
//!
//! Rooms without I/O: [`wire`] (bytes to words), `plan` (streams to connections), `subscriptions` (control messages),
//! `backoff`, `pace` (what may be sent when), `clock` (market time), `suspects` (missed closes).
#![forbid(unsafe_code)]

mod backfill;
mod backoff;
mod clock;
mod directory;
mod outlet;
mod pace;
mod plan;
mod rest;
mod seed;
mod session;
mod settings;
mod sink;
mod streams;
mod subscriptions;
mod suspects;
mod tls;
mod url;
pub mod wire;

pub use settings::{BadSettings, MIN_WEIGHT_BUDGET, Settings};
pub use sink::{Disconnect, Event, Level, Sink};
pub use url::{BadUrl, RestUrl, StreamUrl};

use clock::{MarketClock, Step};
use directory::Universe;
use outlet::{Outlet, Topic};
use pace::ConnectBudget;
use rest::Rest;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use suspects::{SETTLING, Suspects};
use tokio::sync::{Notify, watch};
use vyx_core::Millis;

/// Follows the market until it is dropped, which closes every connection and leaves nothing behind.
///
/// Needs a current-thread tokio runtime with time and I/O enabled; the future is not `Send`. Settings that fail
/// [`Settings::check`] are named in the log; the feed goes on with the ones before, or waits for its first. A dropped
/// sender of the settings means that they will not change any more.
pub async fn run(mut settings: watch::Receiver<Settings>, sink: &dyn Sink) -> Infallible {
    let outlet = Rc::new(Outlet::new(sink));
    let first = next_usable(&mut settings, &outlet).await;
    let (sender, usable) = watch::channel(first);
    let feed = Feed::new(usable, outlet.clone());
    tokio::select! {
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
    tls: Arc<rustls::ClientConfig>,
    rest: Rest<'s>,
    connects: RefCell<ConnectBudget>,
    clock: MarketClock,
    /// Who is followed; empty until the exchange was heard.
    universe: watch::Sender<Rc<Universe>>,
    suspects: RefCell<Suspects>,
    /// One of the suspects can be asked about.
    suspected: Notify,
    /// Something may be missing anywhere.
    look_everywhere: Notify,
    reconnection: Cell<Reconnection>,
    /// The tickers, and market time, are to be read by REST.
    seed_wanted: Notify,
    links: RefCell<Links>,
}

/// Whether streams are whole anew, and what closed before that is still to be looked for. That has to wait for the first
/// event: until then market time is that of before the outage, by which nothing is missing.
#[derive(Clone, Copy, Default)]
enum Reconnection {
    #[default]
    LookedAfter,
    /// The streams are there, and nothing was heard on them yet.
    Silent,
    /// At this market time all that closed before the first event is settled.
    Due(Millis),
}

/// The open connections, for the gauges.
#[derive(Default)]
struct Links {
    last_id: u64,
    /// Acknowledged streams of each open connection.
    open: HashMap<u64, usize>,
    wanted: usize,
}

impl<'s> Feed<'s> {
    fn new(settings: watch::Receiver<Settings>, outlet: Rc<Outlet<'s>>) -> Feed<'s> {
        let tls = tls::config();
        Feed {
            rest: Rest::new(settings.clone(), outlet.clone(), &tls),
            settings,
            outlet,
            tls,
            connects: RefCell::default(),
            clock: MarketClock::default(),
            universe: watch::channel(Rc::default()).0,
            suspects: RefCell::default(),
            suspected: Notify::new(),
            look_everywhere: Notify::new(),
            reconnection: Cell::default(),
            seed_wanted: Notify::new(),
            links: RefCell::default(),
        }
    }

    /// Takes the exchange's own clock.
    fn server_time(&self, at: Millis) {
        if self.clock.server(at) == Step::Advanced {
            self.advanced(at);
        }
    }

    /// Takes the time of an event; `false` when it cannot be believed and the event should be dropped.
    fn event_time(&self, at: Millis) -> bool {
        match self.clock.event(at) {
            Step::Advanced => self.advanced(at),
            Step::NotNewer => {}
            Step::Unbelievable => {
                self.seed_wanted.notify_one();
                return false;
            }
        }
        true
    }

    fn advanced(&self, at: Millis) {
        self.outlet.sink.market_time(at);
        match self.reconnection.get() {
            Reconnection::Silent => self.reconnection.set(Reconnection::Due(at + SETTLING)),
            Reconnection::Due(due) if due <= at => {
                self.reconnection.set(Reconnection::LookedAfter);
                self.look_everywhere.notify_one();
            }
            Reconnection::Due(_) | Reconnection::LookedAfter => {}
        }
        if self.suspects.borrow().are_due(at) {
            self.suspected.notify_one();
        }
    }

    /// A connection has all its streams: what closed while nobody listened is to be found.
    fn settled(&self) {
        self.reconnection.set(Reconnection::Silent);
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
