//! The publisher: one task that turns the passing of market time into events.
//!
//! A kline stream has an update every 2 s of market time (`1s` and tickers every 1 s) while something changes, but
//! not more often than [`Settings::update_floor`](crate::Settings) of real time, and a closing event at every
//! boundary. Symbols have their updates at different phases, so the load is even. Only what has subscribers is made.

use crate::event::{Body, Event, Stream};
use crate::exchange::Exchange;
use crate::fault::{Fault, Kind};
use crate::interval::{Interval, SECOND};
use crate::market::{Kline, ReaderMemory};
use crate::noise;
use crate::outlet::Outlet;
use crate::wanted::{RHYTHMS, Rhythm, Wanted};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Closing events of all symbols are sent this long after the boundary, in milliseconds of market time, and say
/// that they happened somewhere between.
const CLOSING_WITHIN: i64 = 20;
/// The longest sleep, when nothing is wanted. A new subscription ends it.
const IDLE: Duration = Duration::from_secs(3_600);
/// The shortest sleep; at high speed there is always something due.
const BREATH: Duration = Duration::from_millis(2);

/// The state of the publisher between turns.
pub struct Publisher {
    exchange: Arc<Exchange>,
    memories: Vec<ReaderMemory>,
    /// By symbol and rhythm: market time of the next update.
    due: Vec<[i64; RHYTHMS.len()]>,
    all_due: i64,
    /// By [`Stream::index`]: what the last update showed, so that only changes are sent.
    shown: Vec<(i64, i64)>,
    /// By symbol: the last trade id in `!miniTicker@arr`.
    shown_to_all: Vec<i64>,
    /// By interval: the boundary whose closing events come next.
    next_close: [i64; Interval::COUNT],
    wanted: Wanted,
    outlet: Outlet,
}

impl Publisher {
    pub fn new(exchange: Arc<Exchange>) -> Publisher {
        let now = exchange.clock.now();
        let count = exchange.market.symbols().len();
        let mut next_close = [0; Interval::COUNT];
        Interval::all().for_each(|interval| next_close[interval.index()] = interval.next(interval.floor(now)));
        let due = exchange
            .market
            .symbols()
            .iter()
            .map(|symbol| RHYTHMS.map(|(_, period)| now + (noise::name(&symbol.name) % period as u64) as i64))
            .collect();
        Publisher {
            memories: (0..count).map(|_| ReaderMemory::default()).collect(),
            due,
            all_due: now,
            shown: vec![(0, 0); Stream::count(count)],
            shown_to_all: vec![-1; count],
            next_close,
            wanted: Wanted::nothing(count),
            outlet: Outlet::new(exchange.clone()),
            exchange,
        }
    }

    /// Publishes until the task is dropped.
    pub async fn run(mut self) {
        let changed = self.exchange.hub().changed();
        loop {
            let now = self.exchange.clock.now();
            self.look_about(now);
            self.close(now);
            self.update(now);
            self.outlet.release(now);
            tokio::select! {
                biased;
                () = tokio::time::sleep(self.pause()) => {}
                () = changed.notified() => {}
            }
        }
    }

    /// Takes note of changed subscriptions. What begins to be wanted begins with its next round, at the phase it always
    /// had; rounds that nobody wanted are not made up for.
    fn look_about(&mut self, now: i64) {
        let wanted = {
            let hub = self.exchange.hub();
            if hub.changes() == self.wanted.changes {
                return;
            }
            Wanted::of(&hub, self.memories.len())
        };
        for (place, rhythms) in wanted.rhythms.iter().enumerate() {
            for (index, (_, period)) in RHYTHMS.into_iter().enumerate() {
                if rhythms[index] && !self.wanted.rhythms[place][index] {
                    self.due[place][index] = self.round_after(self.due[place][index], period, now);
                }
            }
        }
        if wanted.all_mini_tickers && !self.wanted.all_mini_tickers {
            self.all_due = self.round_after(self.all_due, SECOND, now);
        }
        for interval in Interval::all() {
            if wanted.closings[interval.index()] && !self.wanted.closings[interval.index()] {
                self.next_close[interval.index()] = interval.next(interval.floor(now - CLOSING_WITHIN));
            }
        }
        self.wanted = wanted;
    }

    /// The first round after `now`, of those that one is due of.
    fn round_after(&self, due: i64, period: i64, now: i64) -> i64 {
        let period = period.max(self.exchange.clock.market_millis(self.exchange.settings.update_floor));
        if due > now { due } else { due + ((now - due) / period + 1) * period }
    }

    /// How long there is nothing to do.
    fn pause(&self) -> Duration {
        let closings = self.next_close.iter().zip(self.wanted.closings).filter(|(_, wanted)| *wanted);
        let closings = closings.map(|(boundary, _)| boundary + CLOSING_WITHIN);
        let updates = self.due.iter().flatten().zip(self.wanted.rhythms.iter().flatten());
        let updates = updates.filter(|(_, wanted)| **wanted).map(|(due, _)| *due);
        let all = self.wanted.all_mini_tickers.then_some(self.all_due);
        let next = closings.chain(updates).chain(all).chain(self.outlet.next_late()).min();
        let pause = next.map_or(IDLE, |next| self.exchange.clock.until(next));
        let delayed = self.outlet.next_delayed().map_or(IDLE, |at| at.saturating_duration_since(Instant::now()));
        pause.min(delayed).clamp(BREATH, IDLE)
    }

    /// Sends the closing events of every boundary that has passed, the earliest first.
    fn close(&mut self, now: i64) {
        loop {
            let passed = Interval::all().filter(|interval| {
                self.wanted.closings[interval.index()] && self.next_close[interval.index()] + CLOSING_WITHIN <= now
            });
            let Some(interval) = passed.min_by_key(|interval| self.next_close[interval.index()]) else { return };
            let boundary = self.next_close[interval.index()];
            self.next_close[interval.index()] = interval.next(boundary);
            for place in 0..self.memories.len() {
                self.close_one(place, interval, boundary);
            }
            self.exchange.counters().closed(interval, boundary);
        }
    }

    fn close_one(&mut self, place: usize, interval: Interval, boundary: i64) {
        let stream = Stream::Kline(place, interval);
        let exchange = self.exchange.clone();
        let symbol = &exchange.market.symbols()[place];
        if !exchange.standing(place).pushes_klines() || !exchange.hub().is_wanted(stream) {
            return;
        }
        let mut reader = exchange.market.reader(place, &mut self.memories[place]);
        let Some(kline) = reader.kline(interval, interval.previous(boundary), boundary) else { return };
        if exchange.faults().act_on(Kind::MissingClose, Some(&symbol.name), Some(interval.name())).is_some() {
            exchange.counters().withheld += 1;
            return;
        }
        let on_time = boundary + 2 + (noise::mix(boundary as u64 ^ place as u64) % (CLOSING_WITHIN as u64 - 2)) as i64;
        let (name, interval) = (Some(symbol.name.as_str()), Some(interval.name()));
        let late = exchange.faults().act_on(Kind::LateClose, name, interval).and_then(|fault| fault.by_ms);
        let moment = on_time + late.unwrap_or(0);
        let closing = Event::new(stream, moment, Body::Kline(kline));
        if let Some((first, after)) = self.correction(place, &kline) {
            self.close_at(moment, late, Event::new(stream, moment, Body::Kline(first)));
            self.outlet.send_at(moment + after, closing);
        } else {
            self.close_at(moment, late, closing);
        }
    }

    fn close_at(&mut self, moment: i64, late: Option<i64>, event: Event) {
        match late {
            Some(_) => self.outlet.send_at(moment, event),
            None => self.outlet.send(event),
        }
    }

    /// What the fault `correction` closes a kline with first, and how long after that the true one follows.
    fn correction(&mut self, place: usize, kline: &Kline) -> Option<(Kline, i64)> {
        let exchange = self.exchange.clone();
        let (symbol, interval) = (&exchange.market.symbols()[place].name, kline.interval.name());
        let concerns = |fault: &Fault| fault.concerns(Some(symbol), Some(interval));
        exchange.faults().find(Kind::Correction, concerns)?;
        let mut reader = exchange.market.reader(place, &mut self.memories[place]);
        // As short a time before the end as shows a difference: a second, two, four; at most the whole kline.
        let whole = kline.close_time - kline.open_time;
        let times = (0..).map(|power| (SECOND << power).min(whole)).take_while(|time| *time < whole).chain([whole]);
        let states = times.filter_map(|time| reader.kline(kline.interval, kline.open_time, kline.close_time - time));
        let earlier = states.into_iter().find(|state| state.trades < kline.trades)?;
        let fault = exchange.faults().act(Kind::Correction, concerns)?;
        Some((Kline { closed: true, ..earlier }, fault.by_ms.unwrap_or(SECOND)))
    }

    /// Sends the updates that are due.
    fn update(&mut self, now: i64) {
        for place in 0..self.memories.len() {
            for (index, (rhythm, period)) in RHYTHMS.into_iter().enumerate() {
                if !self.wanted.rhythms[place][index] || self.due[place][index] > now {
                    continue;
                }
                // Skipped rounds are not made up for: an update shows the present.
                self.due[place][index] = self.round_after(self.due[place][index], period, now);
                match rhythm {
                    Rhythm::Tickers => self.update_tickers(place, now),
                    Rhythm::Seconds => self.update_kline(place, Interval::S1, now),
                    Rhythm::Klines => Interval::all()
                        .filter(|interval| *interval != Interval::S1)
                        .for_each(|interval| self.update_kline(place, interval, now)),
                }
            }
        }
        if self.wanted.all_mini_tickers && self.all_due <= now {
            self.all_due = self.round_after(self.all_due, SECOND, now);
            self.update_all(now);
        }
    }

    fn update_kline(&mut self, place: usize, interval: Interval, now: i64) {
        let stream = Stream::Kline(place, interval);
        // Past a boundary the closing event comes first.
        if now >= self.next_close[interval.index()] {
            return;
        }
        let exchange = self.exchange.clone();
        if !exchange.standing(place).pushes_klines() || !exchange.hub().is_wanted(stream) {
            return;
        }
        let mut reader = exchange.market.reader(place, &mut self.memories[place]);
        let Some(kline) = reader.kline(interval, interval.floor(now), now) else { return };
        // A kline without trades is shown only when it closes.
        let shows = (kline.open_time, kline.trades as i64);
        if kline.trades > 0 && std::mem::replace(&mut self.shown[stream.index()], shows) != shows {
            self.outlet.send(Event::new(stream, now, Body::Kline(kline)));
        }
    }

    fn update_tickers(&mut self, place: usize, now: i64) {
        let exchange = self.exchange.clone();
        if !exchange.standing(place).pushes_tickers() {
            return;
        }
        for stream in [Stream::MiniTicker(place), Stream::Ticker(place)] {
            if !exchange.hub().is_wanted(stream) {
                continue;
            }
            let Some(ticker) = exchange.market.reader(place, &mut self.memories[place]).ticker(now) else { return };
            let shows = (0, ticker.last_id);
            if std::mem::replace(&mut self.shown[stream.index()], shows) == shows {
                continue;
            }
            let full = matches!(stream, Stream::Ticker(_));
            let body = if full { Body::Ticker(ticker) } else { Body::MiniTicker(ticker) };
            self.outlet.send(Event::new(stream, now, body));
        }
    }

    /// The array of all mini tickers that have changed since the last one.
    fn update_all(&mut self, now: i64) {
        let exchange = self.exchange.clone();
        let mut changed = Vec::new();
        for place in 0..exchange.market.symbols().len() {
            if !exchange.standing(place).pushes_tickers() {
                continue;
            }
            let Some(ticker) = exchange.market.reader(place, &mut self.memories[place]).ticker(now) else { continue };
            if std::mem::replace(&mut self.shown_to_all[place], ticker.last_id) != ticker.last_id {
                changed.push((place, ticker));
            }
        }
        if !changed.is_empty() {
            self.outlet.send(Event::new(Stream::AllMiniTickers, now, Body::MiniTickers(changed)));
        }
    }
}
