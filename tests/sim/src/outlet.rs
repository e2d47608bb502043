//! The way of an event from the publisher to the hub, where faults repeat it, swap it or hold it back.

use crate::event::{Event, Stream};
use crate::exchange::Exchange;
use crate::fault::Kind;
use crate::interval::Interval;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::time::Instant;

/// Events on their way.
pub struct Outlet {
    exchange: Arc<Exchange>,
    /// Events held back by the fault `reorder`, until the next one of the stream.
    held: HashMap<Stream, Event>,
    /// Events held back by the fault `delay`, in the order of their orders.
    delayed: VecDeque<(Instant, Event)>,
    /// Closing events that the faults `late_close` and `correction` send later, and at what market time.
    late: Vec<(i64, Event)>,
}

impl Outlet {
    pub fn new(exchange: Arc<Exchange>) -> Outlet {
        Outlet { exchange, held: HashMap::new(), delayed: VecDeque::new(), late: Vec::new() }
    }

    /// Sends an event at a later market time, which is then its event time.
    pub fn send_at(&mut self, moment: i64, event: Event) {
        self.late.push((moment, event));
    }

    /// The market time of the next such event.
    pub fn next_late(&self) -> Option<i64> {
        self.late.iter().map(|(moment, _)| *moment).min()
    }

    /// When the next event held back by `delay` leaves.
    pub fn next_delayed(&self) -> Option<Instant> {
        self.delayed.iter().map(|(at, _)| *at).min()
    }

    /// Sends an event, or does to it what a fault demands.
    pub fn send(&mut self, mut event: Event) {
        let exchange = self.exchange.clone();
        let symbol = event.stream.symbol().map(|place| exchange.market.symbols()[place].name.as_str());
        let interval = event.stream.interval().map(Interval::name);
        event.time = exchange.shown_time(event.time);
        let delay = exchange.faults().act_on(Kind::Delay, symbol, interval);
        if let Some(fault) = delay {
            self.delayed.push_back((Instant::now() + fault.by(), event));
            return;
        }
        if let Some(earlier) = self.held.remove(&event.stream) {
            self.deliver(event);
            self.deliver(earlier);
        } else if exchange.faults().act_on(Kind::Reorder, symbol, interval).is_some() {
            self.held.insert(event.stream, event);
        } else {
            self.deliver(event);
        }
    }

    fn deliver(&self, mut event: Event) {
        let symbols = self.exchange.market.symbols();
        let symbol = event.stream.symbol().map(|place| symbols[place].name.as_str());
        let interval = event.stream.interval().map(Interval::name);
        let repeat = self.exchange.faults().act_on(Kind::Repeat, symbol, interval).is_some();
        let mut hub = self.exchange.hub();
        hub.deliver(&mut event, symbols);
        if repeat {
            hub.deliver(&mut event, symbols);
        }
    }

    /// Sends the events whose time has come.
    pub fn release(&mut self, market_now: i64) {
        while let Some(next) = self.next_late().filter(|next| *next <= market_now) {
            let place = self.late.iter().position(|(moment, _)| *moment == next);
            let Some((_, mut event)) = place.map(|place| self.late.remove(place)) else { break };
            event.time = market_now;
            self.send(event);
        }
        let now = Instant::now();
        // Delays may differ, so the whole queue is looked through; it is empty unless a fault is in force.
        for _ in 0..self.delayed.len() {
            match self.delayed.pop_front() {
                Some((at, event)) if at <= now => self.deliver(event),
                Some(waiting) => self.delayed.push_back(waiting),
                None => return,
            }
        }
    }
}
