//! How far each series is evaluated, and may be.

use super::batch::Watermark;
use super::market::StoreMarket;
use super::ready;
use super::tables::Tables;
use super::version::InForce;
use vyx_core::store::SymbolEntry;
use vyx_core::{Interval, Millis, Symbol};

/// What is to be done at one interval.
pub struct Work {
    pub interval: Interval,
    pub versions: Vec<InForce>,
    pub lines: Vec<Line>,
}

impl Work {
    /// `None` where no version may evaluate anything.
    pub fn new(
        market: &StoreMarket,
        tables: &Tables,
        interval: Interval,
        symbols: &[SymbolEntry],
        now: Millis,
    ) -> Option<Work> {
        let versions: Vec<&InForce> =
            tables.versions.iter().filter(|version| version.version.interval == interval).collect();
        let (ended, open): (Vec<&InForce>, Vec<&InForce>) = versions.iter().partition(|version| version.to.is_some());
        let begins = open.iter().map(|version| version.from).min();
        let lines: Vec<Line> = symbols
            .iter()
            .filter_map(|symbol| {
                let read = tables.watermarks.get(&(symbol.info.symbol, interval)).copied();
                let ended = ended.iter().filter(|version| read.is_none_or(|read| version.after(read)));
                let first = ended.map(|version| version.from).chain(begins).min()?;
                Some(Line::new(market, symbol, interval, read, first, now))
            })
            .collect();
        let oldest = lines.iter().map(|line| interval.close_time(line.through)).min()?;
        let versions = versions.into_iter().filter(|version| version.after(oldest)).cloned().collect();
        Some(Work { interval, versions, lines })
    }

    /// The oldest candle at which something may be due.
    pub fn next(&self) -> Option<i64> {
        self.lines.iter().filter(|line| !line.stopped && line.through < line.last).map(|line| line.through + 1).min()
    }

    pub fn watermarks(&self) -> impl Iterator<Item = Watermark> + use<'_> {
        let interval = self.interval;
        self.lines.iter().filter(|line| line.moved()).map(move |line| Watermark {
            symbol: line.symbol.to_string(),
            interval: interval.as_str(),
            read: line.read.map(|read| read.0),
            through: interval.close_time(line.through).0,
            skipped: line.skipped,
        })
    }
}

/// One series.
pub struct Line {
    pub symbol: Symbol,
    interval: Interval,
    /// The watermark as it was read.
    read: Option<Millis>,
    /// The ordinal through which it is evaluated.
    pub through: i64,
    /// The newest ordinal that is closed.
    last: i64,
    /// Candles that versions in force should have seen, and that are too old now.
    skipped: i64,
    /// It goes no further in this batch.
    pub stopped: bool,
}

impl Line {
    /// `first` is the time from which any version evaluates.
    fn new(
        market: &StoreMarket,
        symbol: &SymbolEntry,
        interval: Interval,
        read: Option<Millis>,
        first: Millis,
        now: Millis,
    ) -> Line {
        let name = symbol.info.symbol;
        let read_now = market.series(&name, interval).map_or(Ok(None), |series| market.completeness(series));
        // Where it cannot be read now, what is too old is not known: another turn looks again.
        let stopped = read_now.is_err();
        let known = read_now.unwrap_or_default();
        // A kline may be closed a moment before the word of its time has been noted.
        let closed = interval.last_closed(now);
        let last = known.map_or(closed, |known| known.through.max(closed));
        let begin = match read {
            Some(read) => interval.last_closed(read),
            // Before the first word from the exchange nothing can be said of when it was tracked.
            None if symbol.since.0 <= 0 => last,
            None => interval.last_closed(symbol.since),
        };
        // Nobody evaluates what closes before.
        let idle = interval.last_closed(first - Millis(1)).min(last);
        let mut line = Line { symbol: name, interval, read, through: begin.max(idle), last, skipped: 0, stopped };
        if let Some(known) = known {
            let lost = (ready::first_exact(&name, interval, &known) - 1).min(last);
            line.skipped = (lost - line.through).max(0);
            line.through = line.through.max(lost);
        }
        line
    }

    pub fn stands_before(&self, ordinal: i64) -> bool {
        !self.stopped && self.through + 1 == ordinal
    }

    /// Whether there is something to write: a new watermark is, since it says from where on the series is evaluated.
    fn moved(&self) -> bool {
        self.read.is_none_or(|read| self.interval.close_time(self.through) > read)
    }
}
