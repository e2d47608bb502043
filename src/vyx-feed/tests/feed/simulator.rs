//! The feed against the simulator, which shares no code with it and knows the truth: whatever goes wrong on the way,
//! what is held in the end is the truth.

use crate::memory::Memory;
use crate::{PATIENCE, symbol};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use vyx_core::{Interval, Kline, Millis, Provenance, Symbol};
use vyx_feed::{Disconnect, Event, Settings, run};
use vyx_sim::{Fault, Kind, ReaderMemory, Simulator};

const SIX: [Interval; 6] = [Interval::M1, Interval::M5, Interval::M15, Interval::H1, Interval::H4, Interval::D1];
/// 2026-11-20T11:58:20Z: an hour ends soon, so that several intervals close together.
const START: i64 = 1_795_175_900_000;

struct Stage {
    simulator: Simulator,
    memory: Memory,
    settings: watch::Receiver<Settings>,
}

impl Stage {
    async fn until(&self, what: &str, condition: impl Fn(&Stage) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}\nlog: {:#?}", self.memory.lines());
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn inject(&self, kind: Kind, change: impl FnOnce(&mut Fault)) {
        let mut fault = Fault::new(kind);
        change(&mut fault);
        self.simulator.inject(fault).unwrap();
    }

    /// The kline as the simulator knows it after its close.
    fn truth(&self, of: &Symbol, interval: Interval, memory: &mut ReaderMemory, ordinal: i64) -> Option<Kline> {
        let market = self.simulator.market();
        let (open_time, next) = (interval.open_time(ordinal), interval.open_time(ordinal + 1));
        let theirs = vyx_sim::Interval::parse(interval.as_str())?;
        let kline = market.reader(market.find(of.as_str())?, memory).kline(theirs, open_time.0, next.0)?;
        let [open, high, low, close, volume, quote_volume, taker_buy_volume, taker_buy_quote_volume] = kline.floats();
        Some(Kline {
            open_time,
            open,
            high,
            low,
            close,
            volume,
            quote_volume,
            trades: kline.trades,
            taker_buy_volume,
            taker_buy_quote_volume,
            closed: true,
            revision: 0,
            provenance: Provenance::History,
        })
    }

    fn is_complete(&self) -> bool {
        let followed = self.memory.followed();
        let now = Millis(self.simulator.market_time());
        !followed.is_empty()
            && followed.iter().all(|symbol| {
                self.settings.borrow().intervals.iter().all(|interval| {
                    let mut memory = ReaderMemory::default();
                    let truth = |ordinal| self.truth(symbol, *interval, &mut memory, ordinal);
                    self.memory.holds_everything(symbol, *interval, now, truth)
                })
            })
    }
}

/// Runs the feed against a fresh simulator at a minute a second until `test` is through.
fn play(symbols: usize, intervals: &[Interval], test: impl AsyncFnOnce(&Stage)) {
    let symbols = vyx_sim::universe(symbols);
    let simulator =
        Simulator::start(vyx_sim::Settings { symbols, start: Some(START), speed: 60.0, ..Default::default() }).unwrap();
    let settings = Settings {
        stream_url: format!("ws://{}", simulator.address()),
        rest_url: format!("http://{}", simulator.address()),
        intervals: intervals.to_vec(),
        stale_after: Duration::from_secs(2),
        ..Settings::default()
    };
    let (_sender, receiver) = watch::channel(settings);
    let stage = Stage { simulator, memory: Memory::default(), settings: receiver.clone() };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        tokio::select! {
            never = run(receiver, &stage.memory) => match never {},
            () = test(&stage) => {}
        }
    });
}

#[test]
fn twenty_symbols_and_six_intervals_are_the_truth() {
    play(20, &SIX, async |stage| {
        let all = |s: &Stage| {
            let (done, total) = s.memory.progress();
            total > 0 && done == total
        };
        stage.until("history is complete", all).await;
        // Past the full hour.
        sleep(Duration::from_secs(3)).await;
        stage.until("every kline is the truth", Stage::is_complete).await;
        assert_eq!(stage.memory.hasty_answers.get(), 0);
        assert_eq!(
            stage.memory.count(|e| matches!(e, Event::BadFrame | Event::Disconnected { .. } | Event::RequestFailed)),
            0
        );
    });
}

#[test]
fn what_goes_wrong_on_the_line_is_mended() {
    play(3, &[Interval::M1, Interval::M5], async |stage| {
        stage.until("every kline is the truth", Stage::is_complete).await;
        stage.inject(Kind::Repeat, |f| f.for_ms = Some(2_000));
        stage.inject(Kind::Reorder, |f| f.for_ms = Some(2_000));
        stage.inject(Kind::Delay, |f| (f.by_ms, f.for_ms) = (Some(300), Some(2_000)));
        stage.inject(Kind::MissingClose, |f| f.for_ms = Some(2_000));
        stage.inject(Kind::Malformed, |_| ());
        sleep(Duration::from_millis(2_500)).await;
        stage.inject(Kind::Drop, |f| f.reset = Some(true));
        stage.inject(Kind::RefuseConnections, |f| f.for_ms = Some(1_500));
        stage.inject(Kind::RefuseRest, |f| (f.status, f.count) = (Some(503), Some(3)));
        sleep(Duration::from_millis(2_000)).await;
        stage.until("every kline is the truth again", Stage::is_complete).await;
        assert_eq!(stage.memory.hasty_answers.get(), 0);
        assert!(stage.memory.count(|e| *e == Event::BadFrame) > 0);
        assert!(stage.memory.count(|e| matches!(e, Event::Disconnected { .. })) >= 1);
    });
}

#[test]
fn a_stalled_connection_is_noticed_and_its_gap_refilled() {
    play(3, &[Interval::M1], async |stage| {
        stage.until("every kline is the truth", Stage::is_complete).await;
        let connection = stage.simulator.state().connections[0].id;
        stage.inject(Kind::HalfOpen, |f| (f.connection, f.for_ms) = (Some(connection), Some(30_000)));
        let silent =
            |s: &Stage| s.memory.count(|e| matches!(e, Event::Disconnected { reason: Disconnect::Silent, .. })) > 0;
        stage.until("the silence is noticed", silent).await;
        stage.until("every kline is the truth again", Stage::is_complete).await;
    });
}

#[test]
fn a_shutdown_of_the_server_costs_no_kline() {
    play(3, &[Interval::M1], async |stage| {
        stage.until("every kline is the truth", Stage::is_complete).await;
        stage.inject(Kind::ServerShutdown, |f| f.by_ms = Some(3_000));
        let replaced =
            |s: &Stage| s.memory.count(|e| matches!(e, Event::Disconnected { reason: Disconnect::Replaced, .. })) > 0;
        stage.until("the connection is replaced", replaced).await;
        stage.until("every kline is the truth", Stage::is_complete).await;
    });
}

#[test]
fn tickers_are_those_of_the_simulator() {
    play(3, &[Interval::M1], async |stage| {
        stage.until("every kline is the truth", Stage::is_complete).await;
        for name in stage.memory.followed() {
            let ticker = stage.memory.ticker(&symbol(name.as_str())).expect("it was seeded");
            let truth = stage.simulator.market().ticker(name.as_str(), ticker.event_time.0).unwrap();
            let float = |units: u128| vyx_sim::decimal(units).parse::<f64>().unwrap();
            assert_eq!(ticker.last_price, float(truth.last as u128), "{name}");
            assert_eq!(
                (ticker.volume, ticker.quote_volume),
                (float(truth.volume), float(truth.quote_volume)),
                "{name}"
            );
        }
    });
}
