//! The simplest owner: keeps everything in maps.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use vyx_core::kline::{Merge, merge};
use vyx_core::{GapReason, Interval, Kline, Millis, Symbol, SymbolInfo, SymbolStatus, Ticker};
use vyx_feed::{Event, Level, Missing, Sink};

/// Klines wanted of every series: two pages and a bit.
pub const DEPTH: i64 = 2_048;

#[derive(Default)]
struct Held {
    klines: BTreeMap<i64, Kline>,
    absent: BTreeSet<i64>,
    begins: Option<i64>,
    /// What was ever noted as missing, with its reason.
    noted: BTreeMap<i64, GapReason>,
    subscribed: Vec<bool>,
}

#[derive(Default)]
pub struct Memory {
    listed: RefCell<Vec<SymbolInfo>>,
    series: RefCell<HashMap<(Symbol, Interval), Held>>,
    tickers: RefCell<HashMap<Symbol, Ticker>>,
    market_time: Cell<Option<Millis>>,
    events: RefCell<Vec<Event>>,
    lines: RefCell<Vec<(Level, String)>>,
    /// Answers about klines that may have closed less than 2 s of market time before.
    pub hasty_answers: Cell<usize>,
    /// Held from before.
    pub known: RefCell<Vec<SymbolInfo>>,
}

impl Memory {
    pub fn followed(&self) -> Vec<Symbol> {
        self.listed.borrow().iter().map(|info| info.symbol).collect()
    }

    /// The followed symbols and their status, as they were listed last.
    pub fn listed(&self) -> Vec<(Symbol, SymbolStatus)> {
        self.listed.borrow().iter().map(|info| (info.symbol, info.status)).collect()
    }

    /// Why this kline was once missing.
    pub fn noted(&self, symbol: &Symbol, interval: Interval, ordinal: i64) -> Option<GapReason> {
        self.series.borrow().get(&(*symbol, interval))?.noted.get(&ordinal).copied()
    }

    /// Every reason for which anything was ever missing.
    pub fn reasons(&self) -> BTreeSet<GapReason> {
        self.series.borrow().values().flat_map(|held| held.noted.values().copied()).collect()
    }

    /// What was said about the stream of a series, in this order.
    pub fn subscribed(&self, symbol: &Symbol, interval: Interval) -> Vec<bool> {
        self.series.borrow().get(&(*symbol, interval)).map(|held| held.subscribed.clone()).unwrap_or_default()
    }

    pub fn ticker(&self, symbol: &Symbol) -> Option<Ticker> {
        self.tickers.borrow().get(symbol).copied()
    }

    pub fn begins(&self, symbol: &Symbol, interval: Interval) -> Option<i64> {
        self.series.borrow().get(&(*symbol, interval)).and_then(|held| held.begins)
    }

    pub fn kline(&self, symbol: &Symbol, interval: Interval, ordinal: i64) -> Option<Kline> {
        self.series.borrow().get(&(*symbol, interval))?.klines.get(&ordinal).copied()
    }

    /// The kline is held closed, or known to be absent.
    pub fn is_settled(&self, symbol: &Symbol, interval: Interval, ordinal: i64) -> bool {
        let series = self.series.borrow();
        let Some(held) = series.get(&(*symbol, interval)) else { return false };
        held.absent.contains(&ordinal) || held.klines.get(&ordinal).is_some_and(|kline| kline.closed)
    }

    pub fn count(&self, event: impl Fn(&Event) -> bool) -> usize {
        self.events.borrow().iter().filter(|e| event(e)).count()
    }

    pub fn market_time(&self) -> Option<Millis> {
        self.market_time.get()
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.borrow().clone()
    }

    /// Series complete and followed, by the last word about it.
    pub fn progress(&self) -> (usize, usize) {
        let told = self.events.borrow().iter().rev().find_map(|event| match event {
            Event::Progress { done, total, .. } => Some((*done, *total)),
            _ => None,
        });
        told.unwrap_or_default()
    }

    pub fn lines(&self) -> Vec<(Level, String)> {
        self.lines.borrow().clone()
    }

    pub fn said(&self, words: &str) -> bool {
        self.lines.borrow().iter().any(|(_, line)| line.contains(words))
    }

    /// Every kline of a series that `truth` knows and that closed a while before `now` is held with these numbers, down to
    /// [`DEPTH`]; and none is held that does not exist.
    pub fn holds_everything(
        &self,
        symbol: &Symbol,
        interval: Interval,
        now: Millis,
        mut truth: impl FnMut(i64) -> Option<Kline>,
    ) -> bool {
        let series = self.series.borrow();
        let Some(held) = series.get(&(*symbol, interval)) else { return false };
        let newest = interval.last_closed(now - Millis(10_000));
        // What was wanted at the start is wanted no more when market time has moved on: hence the slack.
        (newest - DEPTH + 100..=newest).all(|ordinal| {
            let kline = held.klines.get(&ordinal).filter(|kline| kline.closed);
            if kline.is_none() && !held.absent.contains(&ordinal) && held.begins.is_none_or(|begins| ordinal >= begins)
            {
                return false;
            }
            match (kline, truth(ordinal)) {
                (Some(kline), Some(truth)) => {
                    assert!(same(kline, &truth), "{symbol} {interval} {ordinal}: {kline:?} is not {truth:?}")
                }
                (Some(kline), None) => panic!("{symbol} {interval} {ordinal}: {kline:?} does not exist"),
                (None, Some(truth)) => panic!("{symbol} {interval} {ordinal}: taken for absent, and it is {truth:?}"),
                (None, None) => {}
            }
            true
        })
    }
}

fn same(a: &Kline, b: &Kline) -> bool {
    Kline { provenance: b.provenance, ..*a } == *b
}

impl Sink for Memory {
    fn universe(&self, listed: &[SymbolInfo]) -> Vec<Symbol> {
        *self.listed.borrow_mut() = listed.to_vec();
        self.followed()
    }

    fn known(&self) -> Vec<SymbolInfo> {
        self.known.borrow().clone()
    }

    fn kline(&self, symbol: &Symbol, interval: Interval, _: Millis, kline: &Kline) {
        let mut series = self.series.borrow_mut();
        let klines = &mut series.entry((*symbol, interval)).or_default().klines;
        let ordinal = interval.ordinal(kline.open_time);
        if merge(klines.get(&ordinal), kline).accepted() {
            klines.insert(ordinal, *kline);
        }
    }

    fn ticker(&self, symbol: &Symbol, ticker: &Ticker) {
        let mut tickers = self.tickers.borrow_mut();
        if tickers.get(symbol).is_none_or(|old| old.event_time <= ticker.event_time) {
            tickers.insert(*symbol, *ticker);
        }
    }

    fn history(&self, symbol: &Symbol, interval: Interval, from: i64, through: i64, klines: &[Kline]) {
        if interval.close_time(through) + Millis(2_000) > self.market_time.get().expect("time comes first") {
            self.hasty_answers.set(self.hasty_answers.get() + 1);
        }
        let mut series = self.series.borrow_mut();
        let held = series.entry((*symbol, interval)).or_default();
        held.absent.extend(from..=through);
        for kline in klines {
            let ordinal = interval.ordinal(kline.open_time);
            assert!((from..=through).contains(&ordinal) && kline.closed);
            held.absent.remove(&ordinal);
            if merge(held.klines.get(&ordinal), kline) != Merge::Stale {
                held.klines.insert(ordinal, *kline);
            }
        }
    }

    fn begins(&self, symbol: &Symbol, interval: Interval, ordinal: i64) {
        self.series.borrow_mut().entry((*symbol, interval)).or_default().begins = Some(ordinal);
    }

    fn missing(&self, symbol: &Symbol, interval: Interval, settled: Millis, reason: GapReason) -> Option<Missing> {
        let mut series = self.series.borrow_mut();
        let held = series.entry((*symbol, interval)).or_default();
        let newest = interval.last_closed(settled);
        let oldest = (newest - DEPTH + 1).max(held.begins.unwrap_or(i64::MIN));
        let lacks = |ordinal: &i64| {
            !held.absent.contains(ordinal) && held.klines.get(ordinal).is_none_or(|kline| !kline.closed)
        };
        let lacking: Vec<i64> = (oldest..=newest).filter(lacks).collect();
        for ordinal in &lacking {
            held.noted.entry(*ordinal).or_insert(reason);
        }
        let start = *lacking.first()?;
        let end = (start..).zip(&lacking).take_while(|(ordinal, lacking)| ordinal == *lacking).last()?.0;
        Some(Missing { oldest: start..=end, count: lacking.len() as u64 })
    }

    fn subscribed(&self, symbol: &Symbol, interval: Interval, subscribed: bool) {
        self.series.borrow_mut().entry((*symbol, interval)).or_default().subscribed.push(subscribed);
    }

    fn market_time(&self, at: Millis) {
        assert!(self.market_time.get() < Some(at), "market time never goes back");
        self.market_time.set(Some(at));
    }

    fn event(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    fn log(&self, level: Level, text: String) {
        self.lines.borrow_mut().push((level, text));
    }
}
