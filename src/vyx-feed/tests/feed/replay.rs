//! The same market, the same trouble and the same seed: the same run, to the millisecond. Nothing here takes real time.

use crate::exchange::{Command, Did, Pipes};
use crate::memory::Memory;
use crate::{Exchange, settings_for};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use vyx_core::Interval;
use vyx_feed::{Event, Settings, run_over};

/// What the feed did and when, and what it told, in a quarter of an hour with all sorts of trouble.
fn run(seed: u64) -> (Vec<(Duration, Did)>, Vec<Event>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let start = Instant::now();
        let exchange = Exchange::start(&["BTCUSDT", "ETHUSDT", "NEWUSDT", "HOLEUSDT"], 1).await;
        let intervals = [Interval::M1, Interval::M5];
        let settings = Settings {
            rotate_after: Duration::from_secs(200),
            refresh_symbols_after: Duration::from_secs(20),
            ..settings_for(&exchange, &intervals)
        };
        let (settings, receiver) = watch::channel(settings);
        let memory = Memory::default();
        let door = Pipes { exchange: exchange.clone(), seed };
        let trouble = async {
            for round in 0..12 {
                sleep(Duration::from_secs(60)).await;
                match round {
                    0 | 3 | 7 => exchange.command(Command::Cut),
                    1 => exchange.faults().silent.set(Some("btcusdt@kline_1m")),
                    2 => exchange.halt("ETHUSDT", "HALT"),
                    4 => exchange.faults().no_closes.set(true),
                    5 => exchange.faults().no_closes.set(false),
                    6 => exchange.list("LATEUSDT"),
                    _ => {}
                }
            }
            sleep(Duration::from_secs(60)).await;
        };
        tokio::select! {
            biased;
            never = run_over(receiver, &memory, &door) => match never {},
            () = trouble => {}
        }
        let now = exchange.market_time();
        for name in ["BTCUSDT", "NEWUSDT", "HOLEUSDT", "LATEUSDT"].map(crate::symbol) {
            for interval in settings.borrow().intervals.iter().copied() {
                let truth = |ordinal| exchange.truth(name.as_str(), interval, ordinal);
                assert!(memory.holds_everything(&name, interval, now, truth), "{name} {interval}");
            }
        }
        let did = exchange.did().into_iter().map(|(at, did)| (at - start, did)).collect();
        (did, memory.events())
    })
}

#[test]
fn a_run_over_the_same_door_with_the_same_seed_is_the_same_run() {
    let (did, events) = run(7);
    assert!(did.iter().filter(|(_, did)| matches!(did, Did::Connected(_))).count() >= 6, "three cuts, two rotations");
    assert!(events.contains(&Event::Resubscribed));
    let (again, events_again) = run(7);
    let first = did.iter().zip(&again).find(|(a, b)| a != b);
    assert_eq!(first, None);
    assert!(did.len() == again.len() && events == events_again);
    assert!(run(8).0 != did, "the jitter is another");
}
