//! What the feed says, written into the store.

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};
use vyx_core::store::{Counter, Gauge, Series, Store, WorkerKind, Writer};
use vyx_core::{GapReason, Interval, Kline, Millis, Symbol, SymbolInfo, Ticker};
use vyx_feed::{Disconnect, Event, Level, Missing, Sink};

/// Log lines kept between two turns; more are dropped and counted.
const MOST_LOG_LINES: usize = 64;
/// The least time between two lines on klines about which history and stream disagree.
const DISAGREEMENT_INTERVAL: Duration = Duration::from_secs(60);

/// A line for the server's log.
pub type LogLine = (Level, String);

/// The process in which this runs.
pub trait Owner {
    /// Something was settled: whoever waits for it may look.
    fn wake(&self);
    /// Now by this machine's clock: for what people compare with their watches, never for candles.
    fn wall_time(&self) -> Millis;
}

pub struct StoreSink<'a, O> {
    store: Store<'a>,
    writer: Writer<'a>,
    owner: O,
    log: RefCell<VecDeque<LogLine>>,
    /// Why there is no connection, for the state of the worker.
    trouble: RefCell<Option<Trouble>>,
    disagreed_at: Cell<Option<Instant>>,
}

/// What is wrong, in words.
enum Trouble {
    /// A connection ended so, or was not made.
    Connection(String),
    /// Something else was said. Without a list of symbols no connection is tried, so this may be all there is.
    Said(String),
}

impl<'a, O: Owner> StoreSink<'a, O> {
    /// Becomes the store's writer.
    pub fn new(store: Store<'a>, owner: O) -> StoreSink<'a, O> {
        // What the process before this one measured says nothing about this one.
        for measured in [
            Gauge::Connections,
            Gauge::Streams,
            Gauge::StreamsWanted,
            Gauge::SymbolsLeftOut,
            Gauge::IntervalsLeftOut,
            Gauge::BackfillDone,
            Gauge::BackfillTotal,
            Gauge::BackfillSeconds,
        ] {
            store.set_gauge(measured, 0);
        }
        let sink = StoreSink {
            store,
            writer: Writer::attach(store),
            owner,
            log: RefCell::default(),
            trouble: RefCell::default(),
            disagreed_at: Cell::default(),
        };
        sink.publish_state();
        sink
    }

    pub fn writer(&self) -> &Writer<'a> {
        &self.writer
    }

    /// Tracks these intervals, each with rings of at least so many slots, and gives those for which there is memory. What
    /// found none is counted and said.
    pub fn set_intervals(&self, wanted: &[(Interval, u32)]) -> Vec<Interval> {
        let tracked = self.writer.set_intervals(wanted);
        let left_out: Vec<&str> =
            wanted.iter().filter(|(interval, _)| !tracked.contains(interval)).map(|(i, _)| i.as_str()).collect();
        self.set(Gauge::IntervalsLeftOut, left_out.len());
        if !left_out.is_empty() {
            let names = left_out.join(", ");
            self.say(
                Level::Warning,
                format!("no memory was reserved for interval {names}: raise vyx.max_intervals and restart the server"),
            );
        }
        tracked
    }

    /// The lines since this was last asked.
    pub fn take_log(&self) -> VecDeque<LogLine> {
        self.log.take()
    }

    /// Puts a line among those for the log.
    pub fn say(&self, level: Level, text: String) {
        let mut log = self.log.borrow_mut();
        if log.len() < MOST_LOG_LINES {
            log.push_back((level, text));
        } else {
            self.store.add(Counter::LogLinesDropped, 1);
        }
    }

    /// What was wrong may have been the settings: under new ones it has to show itself again.
    pub fn forget_trouble(&self) {
        *self.trouble.borrow_mut() = None;
        self.publish_state();
    }

    /// Tells in words how the feed is doing.
    fn publish_state(&self) {
        let state = match (&*self.trouble.borrow(), self.store.gauge(Gauge::Connections)) {
            (Some(Trouble::Connection(words) | Trouble::Said(words)), 0) => words.clone(),
            (None, 0) => "connecting to the exchange".to_owned(),
            (_, _) => "following the exchange".to_owned(),
        };
        self.store.worker(WorkerKind::Ingest).set_state(&state);
    }

    fn series(&self, symbol: &Symbol, interval: Interval) -> Option<Series> {
        self.store.series(self.store.find(symbol)?, interval)
    }

    fn set(&self, gauge: Gauge, value: usize) {
        self.store.set_gauge(gauge, value as i64);
    }

    /// Says, once in a while, that history's word was taken against the stream's.
    fn tell_disagreement(&self, symbol: &Symbol, interval: Interval) {
        if self.disagreed_at.get().is_none_or(|at| at.elapsed() >= DISAGREEMENT_INTERVAL) {
            self.disagreed_at.set(Some(Instant::now()));
            let all = self.store.count(Counter::Disagreements);
            let text = format!(
                "history and stream disagree on a closed kline of {symbol} {interval}, {all} so far: history's counts"
            );
            self.say(Level::Warning, text);
        }
    }
}

impl<O: Owner> Sink for StoreSink<'_, O> {
    fn universe(&self, listed: &[SymbolInfo]) -> Vec<Symbol> {
        // Who is no longer listed makes room before the new ones come.
        let kept: HashSet<Symbol> = listed.iter().map(|info| info.symbol).collect();
        for id in self.store.symbols() {
            if self.store.symbol(id).is_some_and(|entry| !kept.contains(&entry.info.symbol)) {
                self.writer.remove_symbol(id);
            }
        }
        let since = self.store.market_time();
        listed.iter().filter(|info| self.writer.put_symbol(info, since).is_ok()).map(|info| info.symbol).collect()
    }

    fn known(&self) -> Vec<SymbolInfo> {
        self.store.symbols().filter_map(|id| Some(self.store.symbol(id)?.info)).collect()
    }

    fn kline(&self, symbol: &Symbol, interval: Interval, event_time: Millis, kline: &Kline) {
        match self.series(symbol, interval) {
            Some(series) => {
                // The event's own time may be a mistake of the exchange; beyond market time it says nothing.
                let at = event_time.min(self.store.market_time());
                self.writer.note_heard(series, at);
                self.writer.note_event(series.symbol(), at);
                if self.writer.put_kline(series, kline).accepted() && kline.closed {
                    self.owner.wake();
                }
            }
            None => self.store.add(Counter::Dropped, 1),
        }
    }

    fn ticker(&self, symbol: &Symbol, ticker: &Ticker) {
        match self.store.find(symbol) {
            Some(id) => {
                self.writer.put_ticker(id, ticker);
            }
            None => self.store.add(Counter::Dropped, 1),
        }
    }

    fn history(&self, symbol: &Symbol, interval: Interval, from: i64, through: i64, klines: &[Kline]) {
        let Some(series) = self.series(symbol, interval) else {
            self.store.add(Counter::Dropped, klines.len() as u64);
            return;
        };
        let disagreements = self.store.count(Counter::Disagreements);
        for kline in klines {
            self.writer.put_kline(series, kline);
        }
        if self.store.count(Counter::Disagreements) > disagreements {
            self.tell_disagreement(symbol, interval);
        }
        self.writer.confirm(series, from, through);
        self.owner.wake();
    }

    fn begins(&self, symbol: &Symbol, interval: Interval, ordinal: i64) {
        if let Some(series) = self.series(symbol, interval) {
            self.writer.set_first_ever(series, ordinal);
        }
    }

    fn missing(&self, symbol: &Symbol, interval: Interval, settled: Millis, reason: GapReason) -> Option<Missing> {
        let (oldest, count) = self.writer.missing(self.series(symbol, interval)?, settled, reason)?;
        Some(Missing { oldest, count })
    }

    fn subscribed(&self, symbol: &Symbol, interval: Interval, subscribed: bool) {
        if let Some(series) = self.series(symbol, interval) {
            self.writer.set_subscribed(series, subscribed);
        }
    }

    fn market_time(&self, at: Millis) {
        self.store.raise_market_time(at);
        self.store.set_gauge(Gauge::SkewMs, at.0 - self.owner.wall_time().0);
    }

    fn event(&self, event: Event) {
        let add = |counter| self.store.add(counter, 1);
        match event {
            Event::Message => {
                add(Counter::Messages);
                self.store.set_gauge(Gauge::LastFrame, self.owner.wall_time().0);
            }
            Event::BadFrame | Event::BadHistoryRow => add(Counter::BadFrames),
            Event::UnknownFrame => add(Counter::UnknownFrames),
            Event::Connected { connections } => {
                add(Counter::Connects);
                *self.trouble.borrow_mut() = None;
                self.set(Gauge::Connections, connections);
                self.publish_state();
            }
            Event::Disconnected { connections, reason } => {
                add(if reason.is_planned() { Counter::Rotations } else { Counter::Reconnects });
                if reason == Disconnect::Silent {
                    add(Counter::StalledConnections);
                }
                *self.trouble.borrow_mut() = Some(Trouble::Connection(reason.to_string()));
                self.set(Gauge::Connections, connections);
                self.publish_state();
            }
            Event::ConnectFailed { reason } => {
                add(Counter::ConnectFailures);
                *self.trouble.borrow_mut() = Some(Trouble::Connection(reason.to_string()));
                self.publish_state();
            }
            Event::Streams { subscribed, wanted } => {
                self.set(Gauge::Streams, subscribed);
                self.set(Gauge::StreamsWanted, wanted);
            }
            Event::Request => add(Counter::RestRequests),
            Event::RequestFailed => add(Counter::RestFailures),
            Event::Weight(weight) => self.set(Gauge::UsedWeight, weight as usize),
            Event::Progress { done, total, seconds_left } => {
                self.set(Gauge::BackfillDone, done);
                self.set(Gauge::BackfillTotal, total);
                self.set(Gauge::BackfillSeconds, seconds_left as usize);
            }
            Event::Resubscribed => add(Counter::Resubscribed),
            Event::SymbolsLeftOut(count) => self.set(Gauge::SymbolsLeftOut, count),
        }
    }

    fn log(&self, level: Level, text: String) {
        let connection = matches!(&*self.trouble.borrow(), Some(Trouble::Connection(_)));
        if level > Level::Info && !connection && self.store.gauge(Gauge::Connections) == 0 {
            *self.trouble.borrow_mut() = Some(Trouble::Said(text.clone()));
            self.publish_state();
        }
        self.say(level, text);
    }
}
