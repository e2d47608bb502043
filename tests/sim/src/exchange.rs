//! The exchange as all its parts see it: market, clock, connections, faults and counters.

use crate::clock::Clock;
use crate::event::Stream;
use crate::fault::{Fault, Kind, MALFORMED, Shape};
use crate::faults::Faults;
use crate::hub::{Hub, Order, Outgoing};
use crate::interval::{Interval, MINUTE};
use crate::market::Market;
use crate::settings::Settings;
use crate::standing::Standing;
use crate::symbols::Symbol;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;

/// Shared by the tasks of a simulator and its handle. No lock is held over an await.
pub struct Exchange {
    pub market: Market,
    pub clock: Clock,
    /// Wall time, by which the minutes of request weight are told.
    wall: Clock,
    pub settings: Settings,
    hub: Mutex<Hub>,
    faults: Mutex<Faults>,
    counters: Mutex<Counters>,
    /// How each symbol of the market stands.
    standings: Mutex<Vec<Standing>>,
    /// The tasks that serve clients.
    tasks: Mutex<JoinSet<()>>,
}

/// Boundaries that are remembered.
const CLOSINGS: usize = 256;

/// When the closing events of a boundary of an interval had been handed to their connections.
#[derive(Clone, Copy, Debug)]
pub struct Closing {
    pub interval: Interval,
    /// Milliseconds of market time.
    pub boundary: i64,
    /// By this machine's clock, in microseconds since the epoch.
    pub done: i64,
}

/// What has happened since the start.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// REST requests by path and status.
    pub requests: BTreeMap<(String, u16), u64>,
    pub accepted: u64,
    pub control_messages: u64,
    pub closed_for_too_many_messages: u64,
    pub closed_without_pong: u64,
    /// Events that a fault kept back: missing closes, and frames of half-open and stalled connections.
    pub withheld: u64,
    /// The newest boundaries whose closing events were all handed to their connections, oldest first.
    pub closings: VecDeque<Closing>,
    /// Request weight used in the minute of wall time of this number.
    weight_minute: i64,
    weight_used: u64,
}

impl Counters {
    pub fn closed(&mut self, interval: Interval, boundary: i64) {
        let done = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
        if self.closings.len() == CLOSINGS {
            self.closings.pop_front();
        }
        self.closings.push_back(Closing { interval, boundary, done });
    }
}

impl Exchange {
    pub fn new(market: Market, clock: Clock, wall: Clock, settings: Settings) -> Exchange {
        let hub = Mutex::new(Hub::new(market.symbols().len()));
        let unlisted = |symbol: &Symbol| settings.unlisted.contains(&symbol.name);
        let standing = |symbol| if unlisted(symbol) { Standing::Absent } else { Standing::Listed(symbol.status) };
        let standings = Mutex::new(market.symbols().iter().map(standing).collect());
        Exchange {
            market,
            clock,
            wall,
            settings,
            hub,
            standings,
            faults: Mutex::default(),
            counters: Mutex::default(),
            tasks: Mutex::default(),
        }
    }

    pub fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().expect(NO_PANIC)
    }

    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().expect(NO_PANIC)
    }

    pub fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().expect(NO_PANIC)
    }

    /// Runs a task in the current runtime, until it ends or [`Exchange::abort`] is called.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().expect(NO_PANIC);
        // Those that have ended, so that the set does not grow with every connection there ever was.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Ends all tasks at their next step.
    pub fn abort(&self) {
        self.tasks.lock().expect(NO_PANIC).abort_all();
    }

    /// How the symbol at this place of the market stands.
    pub fn standing(&self, place: usize) -> Standing {
        self.standings.lock().expect(NO_PANIC)[place].clone()
    }

    /// Misbehaves. Returns the number of a lasting fault.
    ///
    /// # Errors
    /// If the fault lacks a field, has one too many, or names what does not exist.
    pub fn inject(&self, fault: Fault) -> Result<Option<u64>, String> {
        fault.check()?;
        self.check_names(&fault)?;
        match fault.kind {
            Kind::Drop => self.hub().order(fault.connection, Order::Drop { reset: fault.reset.unwrap_or(false) }),
            Kind::Malformed => {
                let usual = || MALFORMED.map(str::to_owned).to_vec();
                for frame in fault.frames.clone().unwrap_or_else(usual) {
                    self.hub().broadcast(fault.connection, |_| Outgoing::Text(frame.as_str().into()));
                }
            }
            Kind::ServerShutdown => self.announce_shutdown(fault.by(), fault.shape),
            Kind::Cut => self.hub().order(fault.connection, Order::Close { after: Duration::ZERO }),
            Kind::Giant => {
                let giant = Outgoing::giant(fault.bytes.unwrap_or(0), fault.fragments.unwrap_or(1));
                self.hub().broadcast(fault.connection, |_| giant.clone());
            }
            Kind::DropStream => {
                let interval = fault.interval.as_deref().and_then(Interval::parse);
                if let (Some(place), Some(interval)) = (self.place_of(&fault), interval) {
                    self.hub().deafen(fault.connection, Stream::Kline(place, interval));
                }
            }
            Kind::Status => {
                if let (Some(place), Some(word)) = (self.place_of(&fault), &fault.word) {
                    self.standings.lock().expect(NO_PANIC)[place] = Standing::parse(word);
                }
            }
            _ => {}
        }
        if !fault.kind.row().lasting {
            return Ok(None);
        }
        let (kind, connection) = (fault.kind, fault.connection);
        let id = self.faults().add(fault);
        if kind == Kind::HalfOpen {
            // From this moment on: a connection that waits for a message must not answer the next one first.
            self.hub().order(connection, Order::Look);
        }
        Ok(Some(id))
    }

    fn place_of(&self, fault: &Fault) -> Option<usize> {
        self.market.find(fault.symbol.as_deref()?)
    }

    /// A symbol or interval that does not exist would make a fault that never acts.
    fn check_names(&self, fault: &Fault) -> Result<(), String> {
        if let Some(symbol) = &fault.symbol
            && self.market.find(symbol).is_none()
        {
            return Err(format!("there is no symbol \"{symbol}\""));
        }
        match &fault.interval {
            Some(interval) if Interval::parse(interval).is_none() => {
                Err(format!("there is no interval \"{interval}\""))
            }
            _ => Ok(()),
        }
    }

    /// Tells every connection, subscribed or not, and closes it after the notice.
    fn announce_shutdown(&self, notice: Duration, shape: Option<Shape>) {
        let now = self.shown_time(self.clock.now());
        let mut hub = self.hub();
        hub.broadcast(None, |connection| {
            let event = format!(r#"{{"e":"serverShutdown","E":{}}}"#, connection.unit.moment(now));
            let usual = if connection.combined { Shape::Combined } else { Shape::Raw };
            let text = match shape.unwrap_or(usual) {
                Shape::Combined => format!(r#"{{"stream":"!serverShutdown","data":{event}}}"#),
                Shape::Raw => event,
                Shape::Api => format!(r#"{{"event":{event}}}"#),
            };
            Outgoing::Text(text.into())
        });
        hub.order(None, Order::Close { after: notice });
    }

    /// The time that clients are shown at this market time: another one under the fault `clock_skew`.
    pub fn shown_time(&self, now: i64) -> i64 {
        now + self.faults().find(Kind::ClockSkew, |_| true).and_then(|fault| fault.by_ms).unwrap_or(0)
    }

    /// Takes the weight of a request. Returns the weight used in this minute and, if that is too much, the
    /// seconds until the next. Refused requests count too.
    pub fn take_weight(&self, weight: u64) -> (u64, Option<u64>) {
        let now = self.wall.now();
        let minute = now.div_euclid(MINUTE);
        let mut counters = self.counters();
        if counters.weight_minute != minute {
            (counters.weight_minute, counters.weight_used) = (minute, 0);
        }
        counters.weight_used += weight;
        let over = counters.weight_used > self.settings.weight_limit;
        let rest = ((minute + 1) * MINUTE - now).div_euclid(1_000) + 1;
        (counters.weight_used, over.then_some(rest as u64))
    }
}

const NO_PANIC: &str = "no task panics while it holds this lock";
