//! The sink with a conscience: no kind of message more than once a minute.

use crate::sink::{Event, Level, Sink};
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// The least time between two log lines of one kind.
pub const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// What a log line is about; lines of one kind stand for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    Settings,
    Directory,
    LeftOut,
    BadSymbols,
    Paused,
    Connected,
    Disconnected,
    ConnectFailed,
    BadFrame,
    RefusedStream,
    Deaf,
    History,
    RefusedHistory,
    Tickers,
}

struct Said {
    at: Instant,
    left_out: u64,
}

/// Where everything of the feed goes out.
pub struct Outlet<'s> {
    pub sink: &'s dyn Sink,
    said: RefCell<HashMap<Topic, Said>>,
}

impl<'s> Outlet<'s> {
    pub fn new(sink: &'s dyn Sink) -> Outlet<'s> {
        Outlet { sink, said: RefCell::default() }
    }

    pub fn event(&self, event: Event) {
        self.sink.event(event);
    }

    /// Logs what `text` makes, unless something of this topic was said within the last [`LOG_INTERVAL`].
    pub fn log(&self, topic: Topic, level: Level, text: impl FnOnce() -> String) {
        let now = Instant::now();
        let left_out = {
            let mut said = self.said.borrow_mut();
            match said.get_mut(&topic) {
                Some(last) if now.duration_since(last.at) < LOG_INTERVAL => {
                    last.left_out += 1;
                    return;
                }
                last => {
                    let left_out = last.map_or(0, |last| last.left_out);
                    said.insert(topic, Said { at: now, left_out: 0 });
                    left_out
                }
            }
        };
        let mut text = text();
        if left_out > 0 {
            text.push_str(&format!(" ({left_out} similar messages were left out)"));
        }
        self.sink.log(level, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Missing;
    use vyx_core::{GapReason, Interval, Kline, Millis, Symbol, SymbolInfo, Ticker};

    #[derive(Default)]
    struct Lines(RefCell<Vec<String>>);

    impl Sink for Lines {
        fn universe(&self, _: &[SymbolInfo]) -> Vec<Symbol> {
            Vec::new()
        }
        fn known(&self) -> Vec<SymbolInfo> {
            Vec::new()
        }
        fn kline(&self, _: &Symbol, _: Interval, _: Millis, _: &Kline) {}
        fn ticker(&self, _: &Symbol, _: &Ticker) {}
        fn history(&self, _: &Symbol, _: Interval, _: i64, _: i64, _: &[Kline]) {}
        fn begins(&self, _: &Symbol, _: Interval, _: i64) {}
        fn missing(&self, _: &Symbol, _: Interval, _: Millis, _: GapReason) -> Option<Missing> {
            None
        }
        fn subscribed(&self, _: &Symbol, _: Interval, _: bool) {}
        fn market_time(&self, _: Millis) {}
        fn event(&self, _: Event) {}
        fn log(&self, _: Level, text: String) {
            self.0.borrow_mut().push(text);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_kind_becomes_a_line_a_minute_and_says_so() {
        let lines = Lines::default();
        let outlet = Outlet::new(&lines);
        for number in 0..1_000 {
            outlet.log(Topic::BadFrame, Level::Warning, || format!("bad frame {number}"));
        }
        outlet.log(Topic::History, Level::Warning, || "another kind".to_owned());
        tokio::time::advance(LOG_INTERVAL).await;
        outlet.log(Topic::BadFrame, Level::Warning, || "again".to_owned());
        assert_eq!(*lines.0.borrow(), ["bad frame 0", "another kind", "again (999 similar messages were left out)"]);
    }
}
