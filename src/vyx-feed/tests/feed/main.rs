//! The feed over real sockets, against a small scripted exchange: what is asserted here is what the feed sends and when,
//! and what reaches the sink. `simulator` then lets it meet the whole simulator, with faults, and asserts the truth alone.

mod exchange;
mod follows;
mod links;
mod memory;
mod refusals;
mod replay;
mod secure;
mod simulator;

use exchange::Exchange;
use memory::Memory;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use vyx_core::{Interval, Symbol};
use vyx_feed::{Dial, Event, Settings, Tcp, run_over};

/// Longer than anything here takes on a busy machine, and still an end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a test has at hand.
struct Stage {
    exchange: Exchange,
    memory: Memory,
    settings: watch::Sender<Settings>,
}

impl Stage {
    /// Waits until `condition` holds.
    async fn until(&self, what: &str, condition: impl Fn(&Stage) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}\nlog: {:#?}", self.memory.lines());
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until every series holds what the exchange has, up to now.
    async fn until_complete(&self) {
        self.until("every series is complete", |stage| stage.is_complete()).await;
    }

    /// Waits until the exchange has acknowledged the streams: only then is there a connection that can be told something.
    async fn until_subscribed(&self) {
        let all = |s: &Stage| s.memory.count(|e| matches!(e, Event::Streams { subscribed: 1.., .. })) > 0;
        self.until("streams are acknowledged", all).await;
    }

    fn is_complete(&self) -> bool {
        let settings = self.settings.borrow();
        self.memory.followed().len() == self.exchange.symbols().len()
            && self
                .memory
                .followed()
                .iter()
                .all(|symbol| settings.intervals.iter().all(|interval| self.holds_everything(symbol, *interval)))
    }

    fn holds_everything(&self, symbol: &Symbol, interval: Interval) -> bool {
        let truth = |ordinal| self.exchange.truth(symbol.as_str(), interval, ordinal);
        self.memory.holds_everything(symbol, interval, self.exchange.market_time(), truth)
    }

    fn change(&self, change: impl FnOnce(&mut Settings)) {
        self.settings.send_modify(change);
    }
}

/// Runs the feed against a fresh exchange until `test` is through. Market time runs `speed` times as fast as ours.
fn play(symbols: &[&str], intervals: &[Interval], speed: i64, test: impl AsyncFnOnce(&Stage)) {
    play_over(&Tcp, symbols, intervals, speed, test);
}

/// As [`play`], through this door.
fn play_over(door: &dyn Dial, symbols: &[&str], intervals: &[Interval], speed: i64, test: impl AsyncFnOnce(&Stage)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let exchange = Exchange::start(symbols, speed).await;
        let settings = settings_for(&exchange, intervals);
        let (settings, receiver) = watch::channel(settings);
        let stage = Stage { exchange, memory: Memory::default(), settings };
        tokio::select! {
            never = run_over(receiver, &stage.memory, door) => match never {},
            () = test(&stage) => {}
        }
    });
}

fn settings_for(exchange: &Exchange, intervals: &[Interval]) -> Settings {
    Settings {
        stream_url: exchange.stream_url(),
        rest_url: exchange.rest_url(),
        intervals: intervals.to_vec(),
        stale_after: Duration::from_secs(10),
        ..Settings::default()
    }
}

fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}
