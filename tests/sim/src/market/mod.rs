//! The market: every kline and ticker of every symbol, past and present, as a pure function of the seed (or the
//! files), the symbol and the time. It knows no clock; "now" comes in as an argument.

mod csv;
mod kline;
mod node;
mod seeded;
#[cfg(test)]
mod tests;

pub use csv::Csv;
pub use kline::{Kline, Ticker, decimal};

use crate::interval::{DAY, Interval};
use crate::symbols::Symbol;
use node::Node;
use seeded::{Memory, Seeded};
use std::collections::HashMap;

/// All symbols and where their trades come from.
pub struct Market {
    symbols: Vec<Symbol>,
    sources: Vec<Source>,
    by_name: HashMap<String, usize>,
}

enum Source {
    Seeded(Seeded),
    Csv(Csv),
}

/// Reads one symbol's market and remembers the latest steps, which makes neighbouring questions cheap.
pub struct Reader<'a> {
    symbol: &'a Symbol,
    source: &'a Source,
    memory: &'a mut Memory,
}

/// What [`Reader`] remembers between questions about the same symbol.
#[derive(Default)]
pub struct ReaderMemory(Memory);

impl Market {
    /// A market of the given symbols. A symbol of `files` takes its candles, tick and step from there.
    pub fn new(seed: u64, symbols: Vec<Symbol>, mut files: HashMap<String, Csv>) -> Market {
        let mut market = Market { symbols: Vec::new(), sources: Vec::new(), by_name: HashMap::new() };
        for mut symbol in symbols {
            let source = match files.remove(&symbol.name) {
                Some(csv) => {
                    (symbol.tick, symbol.step) = (csv.tick, csv.step);
                    symbol.price = csv.last_price() * csv.tick;
                    symbol.listed = csv.reach().map_or(0, |(first, _)| first);
                    Source::Csv(csv)
                }
                None => Source::Seeded(Seeded::new(seed, symbol.clone())),
            };
            market.by_name.insert(symbol.name.clone(), market.symbols.len());
            market.symbols.push(symbol);
            market.sources.push(source);
        }
        market
    }

    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// The place of a symbol in [`Market::symbols`]; names are upper case as on the exchange.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// A reader of the symbol at this place.
    pub fn reader<'a>(&'a self, place: usize, memory: &'a mut ReaderMemory) -> Reader<'a> {
        Reader { symbol: &self.symbols[place], source: &self.sources[place], memory: &mut memory.0 }
    }

    /// The kline that opens at `open_time` (milliseconds, on the interval's grid) as the exchange would have shown it
    /// at market time `at`: with every trade up to and including that millisecond. `None` if there is no such
    /// kline (unknown or unlisted symbol, a hole, the future).
    pub fn kline(&self, symbol: &str, interval: Interval, open_time: i64, at: i64) -> Option<Kline> {
        self.reader(self.find(symbol)?, &mut ReaderMemory::default()).kline(interval, open_time, at)
    }

    /// The newest `limit` klines at market time `at`, oldest first, the open one included.
    pub fn newest(&self, symbol: &str, interval: Interval, limit: usize, at: i64) -> Vec<Kline> {
        let Some(place) = self.find(symbol) else { return Vec::new() };
        self.reader(place, &mut ReaderMemory::default()).backwards(interval, i64::MIN, at, limit, at)
    }

    /// The statistics of the 24 hours up to `at`, or `None` if the symbol has never traded by then.
    pub fn ticker(&self, symbol: &str, at: i64) -> Option<Ticker> {
        self.reader(self.find(symbol)?, &mut ReaderMemory::default()).ticker(at)
    }
}

impl Reader<'_> {
    /// See [`Market::kline`].
    pub fn kline(&mut self, interval: Interval, open_time: i64, at: i64) -> Option<Kline> {
        if interval.floor(open_time) != open_time || open_time > at {
            return None;
        }
        let next = interval.next(open_time);
        // Up to and including the millisecond `at`.
        let node = match self.source {
            Source::Seeded(seeded) => seeded.span(open_time, next.min(at.saturating_add(1)), &mut *self.memory)?,
            Source::Csv(csv) if interval.holds_whole(csv.interval) => {
                csv.span(open_time, next, at.saturating_add(1))?
            }
            Source::Csv(_) => return None,
        };
        Some(Kline::new(self.symbol, interval, open_time, next, at >= next, &node))
    }

    /// Klines with `from <= open_time <= to`, oldest first, the first `limit` of them.
    pub fn forwards(&mut self, interval: Interval, from: i64, to: i64, limit: usize, at: i64) -> Vec<Kline> {
        let (first, last) = self.reach(interval, from, to, at);
        let mut open = if interval.floor(first) < first { interval.next(interval.floor(first)) } else { first };
        let mut klines = Vec::new();
        while open <= last && klines.len() < limit {
            klines.extend(self.kline(interval, open, at));
            open = interval.next(open);
        }
        klines
    }

    /// Klines with `from <= open_time <= to`, oldest first, the last `limit` of them.
    pub fn backwards(&mut self, interval: Interval, from: i64, to: i64, limit: usize, at: i64) -> Vec<Kline> {
        let (first, last) = self.reach(interval, from, to, at);
        let mut open = interval.floor(last);
        let mut klines = Vec::new();
        while open >= first && klines.len() < limit {
            klines.extend(self.kline(interval, open, at));
            open = interval.previous(open);
        }
        klines.reverse();
        klines
    }

    /// The open times that can exist between the bounds, so that a search through nothing ends.
    fn reach(&self, interval: Interval, from: i64, to: i64, at: i64) -> (i64, i64) {
        let (first, end) = match self.source {
            Source::Seeded(_) => (self.symbol.listed, self.symbol.delisted.map_or(i64::MAX, |end| end - 1)),
            Source::Csv(csv) => csv.reach().unwrap_or((0, -1)),
        };
        (from.max(interval.floor(first)), to.min(at).min(end))
    }

    /// See [`Market::ticker`]. For a delisted symbol the window ends with its last day.
    pub fn ticker(&mut self, at: i64) -> Option<Ticker> {
        let closes = self.symbol.delisted.map_or(at, |end| at.min(end - 1));
        let opens = closes - DAY;
        let node = match self.source {
            Source::Seeded(seeded) => seeded.span(opens + 1, closes + 1, &mut *self.memory)?,
            Source::Csv(csv) => self.csv_window(csv, opens, at)?,
        };
        Some(Ticker::new(self.symbol, opens, closes, &node))
    }

    /// The rows that open within the window; flat at the last price where there are none.
    fn csv_window(&self, csv: &Csv, opens: i64, at: i64) -> Option<Node> {
        let (first, last) = csv.reach()?;
        if at < first {
            return None;
        }
        let within = csv.span(opens + 1, i64::MAX, at.saturating_add(1));
        within.or_else(|| csv.span(last, i64::MAX, at).map(|row| Node::empty(row.close, row.first_id + row.trades)))
    }
}
