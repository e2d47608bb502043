//! Connections: what is sent on them, how they end, and what comes after.

use crate::exchange::{Command, Did};
use crate::play;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use vyx_core::{GapReason, Interval, Millis};
use vyx_feed::{Disconnect, Event};

const SHUTDOWN: &str = r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}"#;

fn ended(stage: &crate::Stage, reason: impl Fn(&Disconnect) -> bool) -> bool {
    stage.memory.count(|event| matches!(event, Event::Disconnected { reason: r, .. } if reason(r))) > 0
}

#[test]
fn a_cut_connection_is_back_within_two_seconds() {
    play(&["BTCUSDT"], &[Interval::M1], 1, async |stage| {
        stage.until("connected", |s| s.memory.count(|e| *e == Event::Streams { subscribed: 2, wanted: 2 }) > 0).await;
        let cut = Instant::now();
        stage.exchange.command(Command::Cut);
        stage.until("connected again", |s| s.exchange.connections() == 2).await;
        assert!(cut.elapsed() < Duration::from_secs(2), "{:?}", cut.elapsed());
        assert!(ended(stage, |reason| matches!(reason, Disconnect::Lost(_))));
    });
}

#[test]
fn a_silent_connection_is_given_up() {
    play(&["BTCUSDT"], &[Interval::M1], 1, async |stage| {
        stage.change(|s| s.stale_after = Duration::from_secs(1));
        stage.until("connected", |s| s.exchange.connections() == 1).await;
        stage.exchange.faults().mute.set(true);
        stage.until("the silence is noticed", |s| ended(s, |reason| *reason == Disconnect::Silent)).await;
        stage.exchange.faults().mute.set(false);
        stage.until_complete().await;
    });
}

#[test]
fn a_ping_is_answered_at_once_with_its_own_payload() {
    play(&["BTCUSDT"], &[Interval::M1], 1, async |stage| {
        // With nothing else on the line the pong must not wait for the next frame to arrive.
        stage.exchange.faults().deaf.set(true);
        let asked = |did: &Did| matches!(did, Did::Control(0, _));
        stage.until("connected", |s| !s.exchange.moments(asked).is_empty()).await;
        stage.exchange.command(Command::Ping(b"1795176042011".to_vec()));
        let sent = Instant::now();
        let pong = Did::Pong(0, b"1795176042011".to_vec());
        stage.until("the pong", |s| !s.exchange.moments(|did| *did == pong).is_empty()).await;
        assert!(sent.elapsed() < Duration::from_secs(1), "{:?}", sent.elapsed());
    });
}

#[test]
fn after_a_shutdown_notice_the_successor_is_there_before_the_old_connection_leaves() {
    play(&["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        stage.until_complete().await;
        stage.until_subscribed().await;
        stage.exchange.command(Command::Say(SHUTDOWN.to_owned()));
        stage
            .until("the old connection has left", |s| !s.exchange.moments(|did| *did == Did::Ended(0)).is_empty())
            .await;
        assert!(ended(stage, |reason| *reason == Disconnect::Replaced));
        let order: Vec<Did> = stage.exchange.did().into_iter().map(|(_, did)| did).collect();
        let position = |what: &Did| order.iter().position(|did| did == what).expect("it happened");
        let subscribed = order.iter().position(|did| matches!(did, Did::Control(1, _))).expect("it happened");
        assert!(position(&Did::Connected(1)) < subscribed && subscribed < position(&Did::Ended(0)));
        stage.until_complete().await;
    });
}

#[test]
fn an_old_connection_is_replaced_when_its_successor_delivers_and_no_earlier() {
    play(&["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        stage.until_complete().await;
        stage.until_subscribed().await;
        stage.change(|s| s.stale_after = Duration::from_secs(2));
        // The next connection acknowledges everything and brings nothing: the old one stays.
        stage.exchange.faults().barren.set(Some(1));
        stage.exchange.command(Command::Say(SHUTDOWN.to_owned()));
        stage.until("the successor is given up", |s| ended(s, |reason| *reason == Disconnect::NoData)).await;
        assert!(!stage.exchange.did().iter().any(|(_, did)| *did == Did::Ended(0)), "the old one left");
        stage
            .until("the old connection has left", |s| !s.exchange.moments(|did| *did == Did::Ended(0)).is_empty())
            .await;
        assert!(ended(stage, |reason| *reason == Disconnect::Replaced));
        assert_eq!(stage.exchange.connections(), 3);
        let btc = crate::symbol("BTCUSDT");
        assert_eq!(stage.memory.subscribed(&btc, Interval::M1), [true], "one of them always carried the stream");
        stage.until_complete().await;
        assert!(stage.memory.reasons().iter().all(|reason| *reason == GapReason::Restart));
    });
}

#[test]
fn a_connection_that_has_grown_old_is_replaced_without_a_gap() {
    play(&["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        stage.until_complete().await;
        stage.change(|s| s.rotate_after = Duration::from_secs(10));
        let replaced = |s: &crate::Stage| {
            s.memory.count(|event| matches!(event, Event::Disconnected { reason: Disconnect::Replaced, .. })) == 2
        };
        stage.until("replaced twice", replaced).await;
        stage.until_complete().await;
        assert!(stage.memory.reasons().iter().all(|reason| *reason == GapReason::Restart));
        assert!(!ended(stage, |reason| *reason != Disconnect::Replaced));
    });
}

#[test]
fn a_deaf_stream_is_asked_for_anew() {
    play(&["BTCUSDT", "ETHUSDT"], &[Interval::M1], 60, async |stage| {
        stage.until_complete().await;
        // Until it is left and asked for again.
        stage.exchange.faults().silent.set(Some("btcusdt@kline_1m"));
        stage.until("it is noticed", |s| s.memory.count(|event| *event == Event::Resubscribed) == 1).await;
        stage.until("it is mended", |s| s.exchange.faults().silent.get().is_none()).await;
        assert!(stage.memory.said("the stream btcusdt@kline_1m is acknowledged and says nothing"));
        stage.until_complete().await;
        assert_eq!(stage.exchange.connections(), 1);
    });
}

#[test]
fn thousands_of_streams_are_spread_and_asked_for_within_the_exchanges_limits() {
    let names: Vec<String> = (0..300).map(|i| format!("S{i:03}USDT")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let intervals = [Interval::M1, Interval::M5, Interval::H1, Interval::D1];
    play(&names, &intervals, 1, async |stage| {
        let all = Event::Streams { subscribed: 1_201, wanted: 1_201 };
        stage.until("all streams are acknowledged", |s| s.memory.count(|e| *e == all) > 0).await;
        assert_eq!(stage.exchange.connections(), 2);
        for connection in 0..2 {
            let did = stage.exchange.did();
            let frames: Vec<(Instant, String)> = did
                .into_iter()
                .filter_map(|(at, did)| match did {
                    Did::Control(id, text) if id == connection => Some((at, text)),
                    _ => None,
                })
                .collect();
            assert!(frames.iter().all(|(_, text)| text.len() <= 3_500));
            let a_second_later = |from: &Instant| *from + Duration::from_secs(1);
            for (index, (from, _)) in frames.iter().enumerate() {
                let within = frames[index..].iter().take_while(|(at, _)| *at < a_second_later(from)).count();
                assert!(within <= 5, "{within} control frames within a second");
            }
        }
    });
}

#[test]
fn unreadable_frames_cost_nothing_but_themselves_until_they_are_too_many() {
    play(&["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        stage.until_complete().await;
        for text in [r#"{"stream":"btcusdt@kline_1m","data":{"e":"kline"}}"#, "{", "NaN", r#"{"stream":1}"#] {
            stage.exchange.command(Command::Say(text.to_owned()));
        }
        stage.until("they are counted", |s| s.memory.count(|e| *e == Event::BadFrame) == 4).await;
        assert_eq!(stage.memory.lines().iter().filter(|(_, line)| line.contains("unreadable frame")).count(), 1);
        assert_eq!(stage.exchange.connections(), 1, "the connection was kept");
        for _ in 0..1_001 {
            stage.exchange.command(Command::Say("{".to_owned()));
        }
        stage.until("too many", |s| ended(s, |reason| *reason == Disconnect::BadFrames)).await;
        stage.until_complete().await;
    });
}

#[test]
fn an_event_from_the_far_future_does_not_move_market_time() {
    play(&["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        stage.until_complete().await;
        let frame = r#"{"stream":"!miniTicker@arr","data":[{"e":"24hrMiniTicker","E":4000000000000,"s":"BTCUSDT","c":"9","o":"9","h":"9","l":"9","v":"9","q":"9"}]}"#;
        stage.exchange.command(Command::Say(frame.to_owned()));
        stage.until("it is dropped", |s| s.memory.count(|e| *e == Event::BadFrame) == 1).await;
        // Half an hour is possible after an outage. One frame is not enough to tell.
        let soon = (stage.exchange.market_time() + Millis::HOUR).0 - 1_800_000;
        stage.exchange.command(Command::Say(frame.replace("4000000000000", &soon.to_string())));
        sleep(Duration::from_secs(2)).await;
        stage.until_complete().await;
        assert!(stage.memory.market_time() <= Some(stage.exchange.market_time()));
    });
}

#[test]
fn a_message_beyond_the_cap_ends_the_connection_and_nothing_else() {
    play(&["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        stage.until_complete().await;
        stage.until_subscribed().await;
        stage.exchange.command(Command::Say(format!(r#"{{"stream":"{}"}}"#, "x".repeat(2 << 20))));
        stage.until("it is refused", |s| ended(s, |reason| matches!(reason, Disconnect::Lost(_)))).await;
        stage.until_complete().await;
    });
}

#[test]
fn without_acknowledgement_a_subscription_is_repeated() {
    play(&["BTCUSDT"], &[Interval::M1], 1, async |stage| {
        stage.exchange.faults().deaf.set(true);
        stage.change(|s| s.stale_after = Duration::from_secs(60));
        let asked = |s: &crate::Stage| s.exchange.moments(|did| matches!(did, Did::Control(0, _))).len();
        stage.until("asked once", |s| asked(s) == 1).await;
        stage.exchange.faults().deaf.set(false);
        stage.until("asked twice", |s| asked(s) == 2).await;
        stage.until("subscribed", |s| s.memory.count(|e| *e == Event::Streams { subscribed: 2, wanted: 2 }) > 0).await;
        assert_eq!(stage.exchange.connections(), 1);
    });
}

#[test]
fn another_host_is_taken_up_at_once() {
    play(&["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        stage.until_complete().await;
        let other = crate::Exchange::start(&["BTCUSDT"], 60).await;
        stage.change(|s| s.stream_url = other.stream_url());
        stage.until("connected to the other", |_| other.connections() == 1).await;
        stage.until("left the first", |s| !s.exchange.moments(|did| *did == Did::Ended(0)).is_empty()).await;
        assert!(ended(stage, |reason| *reason == Disconnect::NotWanted));
    });
}
