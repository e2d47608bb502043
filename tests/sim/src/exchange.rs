//! The exchange as all its parts see it: market, clock, connections, faults and counters.

use crate::clock::{Clock, wall_millis};
use crate::fault::{Fault, Kind, MALFORMED};
use crate::faults::Faults;
use crate::hub::{Hub, Order};
use crate::interval::MINUTE;
use crate::market::Market;
use crate::settings::Settings;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// Shared by the tasks of a simulator and its handle. No lock is held over an await.
pub struct Exchange {
    pub market: Market,
    pub clock: Clock,
    pub settings: Settings,
    hub: Mutex<Hub>,
    faults: Mutex<Faults>,
    counters: Mutex<Counters>,
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
    /// Events that a fault kept back: missing closes, and frames of half-open connections.
    pub withheld: u64,
    /// Request weight used in the minute of wall time of this number.
    weight_minute: i64,
    weight_used: u64,
}

impl Exchange {
    pub fn new(market: Market, clock: Clock, settings: Settings) -> Exchange {
        let hub = Mutex::new(Hub::new(market.symbols().len()));
        Exchange { market, clock, settings, hub, faults: Mutex::default(), counters: Mutex::default() }
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

    /// Misbehaves. Returns the number of a lasting fault.
    ///
    /// # Errors
    /// If the fault lacks a field or has one too many.
    pub fn inject(&self, fault: Fault) -> Result<Option<u64>, String> {
        fault.check()?;
        match fault.kind {
            Kind::Drop => self.hub().order(fault.connection, Order::Drop { reset: fault.reset.unwrap_or(false) }),
            Kind::Malformed => {
                let usual = || MALFORMED.map(str::to_owned).to_vec();
                for frame in fault.frames.clone().unwrap_or_else(usual) {
                    self.hub().broadcast(fault.connection, |_| frame.clone());
                }
            }
            Kind::ServerShutdown => self.announce_shutdown(fault.by()),
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

    /// Tells every connection, subscribed or not, and closes it after the notice.
    fn announce_shutdown(&self, notice: Duration) {
        let now = self.clock.now();
        let mut hub = self.hub();
        hub.broadcast(None, |connection| {
            let event = format!(r#"{{"e":"serverShutdown","E":{}}}"#, connection.unit.moment(now));
            if connection.combined { format!(r#"{{"stream":"!serverShutdown","data":{event}}}"#) } else { event }
        });
        hub.order(None, Order::Close { after: notice });
    }

    /// Takes the weight of a request. Returns the weight used in this minute and, if that is too much, the
    /// seconds until the next. Refused requests count too.
    pub fn take_weight(&self, weight: u64) -> (u64, Option<u64>) {
        let now = wall_millis();
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
