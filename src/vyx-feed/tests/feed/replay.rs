//! Over pipes and under a paused clock, where nothing takes real time: the same market, the same trouble and the same seed
//! are the same run, to the millisecond; and a server that is slow beyond measure is given up in time.

use crate::exchange::{Command, Did, Pipes};
use crate::memory::Memory;
use crate::{Exchange, settings_for};
use futures_util::future::LocalBoxFuture;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};
use vyx_core::Interval;
use vyx_feed::{Dial, Disconnect, Event, Settings, Transport, run_over};

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

/// Leads to a server that says the beginning of what it should, a byte a second.
struct Drip;

impl Dial for Drip {
    fn dial<'a>(&'a self, _: &'a str, port: u16) -> LocalBoxFuture<'a, io::Result<Box<dyn Transport>>> {
        let (near, mut far) = tokio::io::duplex(1 << 10);
        let answer: &[u8] =
            if port == 1 { b"HTTP/1.1 101 Switching" } else { b"HTTP/1.1 200 OK\r\ncontent-length: 99" };
        spawn_local(async move {
            for byte in answer.iter().chain(std::iter::repeat(&b' ')) {
                sleep(Duration::from_secs(1)).await;
                if far.write_all(&[*byte]).await.is_err() {
                    return;
                }
            }
        });
        Box::pin(std::future::ready(Ok(Box::new(near) as Box<dyn Transport>)))
    }
}

#[test]
fn a_server_of_a_byte_a_second_is_given_up_in_time() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let exchange = Exchange::start(&["BTCUSDT"], 1).await;
        let settings = Settings { stream_url: "ws://127.0.0.1:1".to_owned(), ..settings_for(&exchange, &[Interval::M1]) };
        let (settings, receiver) = watch::channel(settings);
        let memory = Memory::default();
        // The list of symbols is read from a good server; without it no stream is wanted.
        let door = Mixed(Pipes { exchange, seed: 1 });
        let test = async {
            let start = Instant::now();
            let slow = |event: &Event| {
                matches!(event, Event::ConnectFailed { reason: Disconnect::Unreachable(why) } if why.contains("within 10s"))
            };
            while memory.count(slow) == 0 {
                sleep(Duration::from_millis(10)).await;
            }
            assert!(start.elapsed() < Duration::from_secs(11), "{:?}", start.elapsed());
            settings.send_modify(|s| s.rest_url = "http://127.0.0.1:2".to_owned());
            let start = Instant::now();
            while !memory.said("no answer within 30s") {
                sleep(Duration::from_millis(10)).await;
            }
            assert!(start.elapsed() < Duration::from_secs(41), "{:?}", start.elapsed());
        };
        tokio::select! {
            never = run_over(receiver, &memory, &door) => match never {},
            () = test => {}
        }
    });
}

/// Ports 1 and 2 are slow, the others lead to the exchange.
struct Mixed(Pipes);

impl Dial for Mixed {
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> LocalBoxFuture<'a, io::Result<Box<dyn Transport>>> {
        if port < 3 { Drip.dial(host, port) } else { self.0.dial(host, port) }
    }
}
