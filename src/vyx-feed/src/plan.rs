//! Which stream goes over which connection. Pure.

use crate::tails::Series;
use std::collections::BTreeSet;
use vyx_core::{Interval, Symbol};

/// The exchange closes a connection with more than 1,024 streams, and with it all of them are lost.
pub const STREAMS_PER_CONNECTION: usize = 1_000;
/// The 24 h statistics of every symbol that changed, each second.
pub const TICKERS: &str = "!miniTicker@arr";

/// Names of streams.
pub type Streams = BTreeSet<String>;

/// The streams of a universe: the tickers, and a kline stream a series.
pub fn wanted(symbols: &[Symbol], intervals: &[Interval]) -> Streams {
    let mut streams = Streams::new();
    if symbols.is_empty() {
        return streams;
    }
    streams.insert(TICKERS.to_owned());
    for symbol in symbols {
        streams.extend(intervals.iter().map(|interval| kline_stream(symbol, *interval)));
    }
    streams
}

/// The stream of a series.
pub fn kline_stream(symbol: &Symbol, interval: Interval) -> String {
    format!("{}@kline_{interval}", symbol.to_stream_name())
}

/// The series of a kline stream; `None` for a stream of something else.
pub fn series(stream: &str) -> Option<Series> {
    let (symbol, interval) = stream.split_once("@kline_")?;
    Some((Symbol::new(symbol).ok()?, interval.parse().ok()?))
}

/// The assignment of streams to connections.
#[derive(Debug, Default)]
pub struct Plan {
    connections: Vec<Streams>,
}

impl Plan {
    /// Moves to another set of streams. What stays wanted stays where it is, so that nothing which works is
    /// disturbed; what is new fills the connections from the first on, and opens another one only when all are full.
    pub fn change(&mut self, wanted: &Streams) {
        let mut new = wanted.clone();
        for streams in &mut self.connections {
            streams.retain(|name| new.remove(name));
        }
        let mut new = new.into_iter().peekable();
        for index in 0.. {
            if new.peek().is_none() {
                break;
            }
            if index == self.connections.len() {
                self.connections.push(Streams::new());
            }
            let free = STREAMS_PER_CONNECTION - self.connections[index].len();
            self.connections[index].extend(new.by_ref().take(free));
        }
    }

    /// The streams of each connection. A connection may have become empty.
    pub fn connections(&self) -> &[Streams] {
        &self.connections
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(range: std::ops::Range<usize>) -> Streams {
        range.map(|i| format!("s{i:05}@kline_1m")).collect()
    }

    #[track_caller]
    fn check_sizes(plan: &Plan, sizes: &[usize]) {
        assert_eq!(plan.connections().iter().map(Streams::len).collect::<Vec<_>>(), sizes);
    }

    #[test]
    fn the_streams_of_a_universe() {
        let symbols = [Symbol::new("BTCUSDT").unwrap(), Symbol::new("币安人生USDT").unwrap()];
        let streams: Vec<String> = wanted(&symbols, &[Interval::M1, Interval::Mo1]).into_iter().collect();
        let expected = [
            "!miniTicker@arr",
            "btcusdt@kline_1M",
            "btcusdt@kline_1m",
            "币安人生usdt@kline_1M",
            "币安人生usdt@kline_1m",
        ];
        assert_eq!(streams, expected);
        assert!(wanted(&[], &[Interval::M1]).is_empty());
    }

    #[test]
    fn a_stream_names_its_series() {
        let series_of = |symbol: &str, interval| Some((Symbol::new(symbol).unwrap(), interval));
        assert_eq!(series("币安人生usdt@kline_1M"), series_of("币安人生USDT", Interval::Mo1));
        assert_eq!(series("btcusdt@kline_1m"), series_of("BTCUSDT", Interval::M1));
        assert_eq!([TICKERS, "btcusdt@kline_1D", "@kline_1m"].map(series), [None; 3]);
    }

    #[test]
    fn connections_are_opened_as_they_fill() {
        for (streams, sizes) in
            [(0, vec![]), (1_000, vec![1_000]), (1_001, vec![1_000, 1]), (3_001, vec![1_000, 1_000, 1_000, 1])]
        {
            let mut plan = Plan::default();
            plan.change(&names(0..streams));
            check_sizes(&plan, &sizes);
        }
    }

    #[test]
    fn what_stays_wanted_stays_where_it_is() {
        let mut plan = Plan::default();
        plan.change(&names(0..1_500));
        let second = plan.connections()[1].clone();
        plan.change(&names(300..1_700));
        assert_eq!(plan.connections()[1], second);
        check_sizes(&plan, &[900, 500]);
        plan.change(&names(1_000..1_001));
        check_sizes(&plan, &[0, 1]);
    }
}
