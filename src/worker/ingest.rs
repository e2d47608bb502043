//! `vyx ingest`: carries the market from the exchange into shared memory.
//!
//! Runs the feed in turns and writes what it says into the store. No database, no SQL, no parsing.

#![allow(unsafe_code)]

use super::runtime::Turns;
use super::{leave, reload_settings, wall_time};
use crate::{guc, shmem};
use pgrx::bgworkers::{BackgroundWorker, SignalWakeFlags};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use vyx_core::store::{Counter, Gauge, Series, Store, WorkerKind, Writer};
use vyx_core::{Interval, Kline, Millis, Symbol, SymbolInfo, Ticker};
use vyx_feed::{Disconnect, Event, Level, Sink};

/// How long the tasks run between two looks at signals: a shutdown waits at most this long.
const TURN: Duration = Duration::from_millis(100);
/// Log lines kept between two turns; more are dropped and counted.
const MOST_LOG_LINES: usize = 64;

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn vyx_ingest_main(_arg: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    let store = shmem::store().unwrap_or_else(|error| panic!("vyx ingest: {error:?}"));
    let worker = store.worker(WorkerKind::Ingest);
    worker.started(std::process::id() as i32, shmem::proc_number(), wall_time());

    let (settings, current) = watch::channel(guc::feed());
    let sink = Rc::new(StoreSink::new(store));
    let spoken_to = Rc::clone(&sink);
    let mut feed = Turns::of(async move { vyx_feed::run(current, &*spoken_to).await })
        .unwrap_or_else(|error| panic!("vyx ingest: no runtime: {error}"));

    while BackgroundWorker::wait_latch(Some(Duration::ZERO)) {
        if BackgroundWorker::sighup_received() {
            reload_settings();
            settings.send_replace(guc::feed());
            sink.forget_trouble();
        }
        feed.turn(TURN);
        sink.write_log();
        worker.heartbeat(wall_time());
    }
    worker.stopped();
    leave()
}

/// What the feed says, written into the store.
struct StoreSink {
    store: Store<'static>,
    writer: Writer<'static>,
    log: RefCell<VecDeque<(Level, String)>>,
    /// Why there is no connection, for the state of the worker.
    trouble: RefCell<Option<String>>,
}

impl StoreSink {
    fn new(store: Store<'static>) -> StoreSink {
        // What the process before this one measured says nothing about this one.
        for measured in [
            Gauge::Connections,
            Gauge::Streams,
            Gauge::StreamsWanted,
            Gauge::SymbolsLeftOut,
            Gauge::BackfillDone,
            Gauge::BackfillTotal,
        ] {
            store.set_gauge(measured, 0);
        }
        let sink =
            StoreSink { store, writer: Writer::attach(store), log: RefCell::default(), trouble: RefCell::default() };
        sink.publish_state();
        sink
    }

    /// Hands the feed's words to the server log: here, between turns, where Postgres may be called.
    fn write_log(&self) {
        for (level, text) in self.log.borrow_mut().drain(..) {
            match level {
                Level::Info => log!("vyx ingest: {text}"),
                Level::Warning | Level::Error => warning!("vyx ingest: {text}"),
            }
        }
    }

    /// What was wrong may have been the settings: under new ones it has to show itself again.
    fn forget_trouble(&self) {
        *self.trouble.borrow_mut() = None;
        self.publish_state();
    }

    /// Tells in words how the feed is doing.
    fn publish_state(&self) {
        let state = match (&*self.trouble.borrow(), self.store.gauge(Gauge::Connections)) {
            (Some(trouble), 0) => trouble.clone(),
            (None, 0) => "connecting to the exchange".to_owned(),
            (_, _) => "following the exchange".to_owned(),
        };
        self.store.worker(WorkerKind::Ingest).set_state(&state);
    }

    fn series(&self, symbol: &Symbol, interval: Interval) -> Option<Series> {
        self.store.series(self.store.find(symbol)?, interval)
    }

    fn offer(&self, series: Series, kline: &Kline) {
        if self.writer.put_kline(series, kline).accepted() && kline.closed {
            shmem::wake(&self.store, WorkerKind::Evaluate);
        }
    }

    fn set(&self, gauge: Gauge, value: usize) {
        self.store.set_gauge(gauge, value as i64);
    }
}

impl Sink for StoreSink {
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

    fn kline(&self, symbol: &Symbol, interval: Interval, kline: &Kline) {
        match self.series(symbol, interval) {
            Some(series) => {
                self.offer(series, kline);
                self.writer.note_event(series.symbol(), self.store.market_time());
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
        for kline in klines {
            self.writer.put_kline(series, kline);
        }
        self.writer.confirm(series, from, through);
        shmem::wake(&self.store, WorkerKind::Evaluate);
    }

    fn begins(&self, symbol: &Symbol, interval: Interval, ordinal: i64) {
        if let Some(series) = self.series(symbol, interval) {
            self.writer.set_first_ever(series, ordinal);
        }
    }

    fn missing(&self, symbol: &Symbol, interval: Interval, settled: Millis) -> Option<RangeInclusive<i64>> {
        let series = self.series(symbol, interval)?;
        self.store.missing(series, settled, self.store.depth(series)).ok().flatten()
    }

    fn market_time(&self, at: Millis) {
        self.store.raise_market_time(at);
        self.store.set_gauge(Gauge::SkewMs, at.0 - wall_time().0);
    }

    fn event(&self, event: Event) {
        let add = |counter| self.store.add(counter, 1);
        match event {
            Event::Message => {
                add(Counter::Messages);
                self.store.set_gauge(Gauge::LastFrame, wall_time().0);
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
                *self.trouble.borrow_mut() = Some(reason.to_string());
                self.set(Gauge::Connections, connections);
                self.publish_state();
            }
            Event::ConnectFailed { reason } => {
                add(Counter::ConnectFailures);
                *self.trouble.borrow_mut() = Some(reason.to_string());
                self.publish_state();
            }
            Event::Streams { subscribed, wanted } => {
                self.set(Gauge::Streams, subscribed);
                self.set(Gauge::StreamsWanted, wanted);
            }
            Event::Request => add(Counter::RestRequests),
            Event::RequestFailed => add(Counter::RestFailures),
            Event::Weight(weight) => self.set(Gauge::UsedWeight, weight as usize),
            Event::Progress { done, total } => {
                self.set(Gauge::BackfillDone, done);
                self.set(Gauge::BackfillTotal, total);
            }
            Event::SymbolsLeftOut(count) => self.set(Gauge::SymbolsLeftOut, count),
        }
    }

    fn log(&self, level: Level, text: String) {
        // Without a list of symbols no connection is tried, so the words for the log may be all there is.
        if level > Level::Info {
            *self.trouble.borrow_mut() = Some(text.clone());
            self.publish_state();
        }
        let mut log = self.log.borrow_mut();
        if log.len() < MOST_LOG_LINES {
            log.push_back((level, text));
        } else {
            self.store.add(Counter::LogLinesDropped, 1);
        }
    }
}
