//! What programs say of one candle: counted, and made a signal where it is news.

use super::batch::{Entries, Pair, Signal};
use super::signal;
use super::version::Version;
use serde_json::{Map, Value};
use vyx_core::{Interval, Kline, Millis, Symbol};
use vyx_engine::program::FORMAT;
use vyx_engine::{NotReady, Outcome, Outcomes};

/// What programs say of one symbol's candle.
pub struct Said<'a> {
    pub outcomes: &'a Outcomes<'a>,
    /// The symbol's place among the outcomes.
    pub symbol: usize,
    pub name: Symbol,
    pub kline: Kline,
    pub interval: Interval,
}

impl Said<'_> {
    /// Counts what one program says, and signals if that is news.
    pub fn enter(&self, entries: &mut Entries, version: &Version, program: usize) {
        let outcome = self.outcomes.now(program, self.symbol);
        let before = self.outcomes.before(program, self.symbol);
        let is_before_lost = before == Outcome::NotReady(NotReady::HistoryMissing);
        if version.edge && outcome == Outcome::Match && is_before_lost {
            // Whether the match begins here nobody can know; a replay, which has all the history, may say so.
            let why = format!("the history of the candle before of {} is not held", self.name);
            return entries.fail(self.pair(version), "history", why);
        }
        let cycle = &mut *entries.cycle;
        match outcome {
            Outcome::Match => cycle.matched += 1,
            Outcome::NoMatch => cycle.unmatched += 1,
            Outcome::NotReady(NotReady::Warming | NotReady::Undefined) => cycle.not_ready += 1,
            Outcome::NotReady(NotReady::HistoryMissing) | Outcome::Absent => {
                // All that is read was there a moment ago: the market was reset meanwhile.
                let why = format!("the history of {} was lost while it was evaluated", self.name);
                return entries.fail(self.pair(version), "history", why);
            }
        }
        cycle.evaluated += 1;
        // Where nothing can be said of the candle before, there is no edge.
        let news = outcome == Outcome::Match && (!version.edge || before == Outcome::NoMatch);
        if !news {
            return;
        }
        cycle.fired += 1;
        let (trader, number) = version.key;
        entries.signals.push(Signal {
            id: signal::id(trader, number, self.close_time(), self.interval, &self.name),
            pair: self.pair(version),
            open_time: self.kline.open_time.0,
            price: self.kline.close,
            metadata: self.metadata(program),
            kline_revision: self.kline.revision,
            engine: FORMAT,
        });
    }

    fn close_time(&self) -> Millis {
        self.interval.close_time(self.interval.ordinal(self.kline.open_time))
    }

    /// The names of a version at this candle.
    pub fn pair(&self, version: &Version) -> Pair {
        Pair::new(version.key, &self.name, self.interval, self.close_time())
    }

    fn metadata(&self, program: usize) -> Map<String, Value> {
        let fields = self.outcomes.fields(program, self.symbol);
        fields.map(|(key, value)| (key.to_owned(), value.into())).collect()
    }
}
