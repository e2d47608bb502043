//! Each fault does what its row says, and nothing else changes.

use crate::harness::{Client, fault, get, post, rows, simulator, start, truth_of};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Error;
use vyx_sim::{KINDS, Kind, MALFORMED, Settings, Shape, Simulator};

const STREAM: &str = "btcusdt@kline_1m";

async fn subscribed(simulator: &Simulator) -> Client {
    let mut client = Client::connect(simulator, &format!("/stream?streams={STREAM}")).await;
    client.event(STREAM).await;
    client
}

#[tokio::test]
async fn drop_ends_connections_without_a_close_frame() {
    let simulator = simulator(60.0);
    for reset in [false, true] {
        let mut clients = [subscribed(&simulator).await, subscribed(&simulator).await];
        simulator.inject(fault(Kind::Drop, |fault| fault.reset = Some(reset))).unwrap();
        for client in &mut clients {
            assert_eq!(client.end().await, None);
        }
    }
    subscribed(&simulator).await;
}

#[tokio::test]
async fn half_open_silences_a_connection_for_its_time_and_keeps_it() {
    let simulator = simulator(60.0);
    let mut client = subscribed(&simulator).await;
    let id = simulator.state().connections[0].id;
    let mut other = subscribed(&simulator).await;
    let half_open = |fault: &mut vyx_sim::Fault| (fault.connection, fault.for_ms) = (Some(id), Some(1_500));
    simulator.inject(fault(Kind::HalfOpen, half_open)).unwrap();
    client.send(json!({"method": "LIST_SUBSCRIPTIONS", "id": 7})).await;
    // What was under way when it began.
    while !client.is_silent_for(Duration::from_millis(300)).await {}
    assert!(client.is_silent_for(Duration::from_millis(500)).await);
    assert_eq!(simulator.state().control_messages, 0, "nothing is read");
    other.event(STREAM).await;
    let event = client.event(STREAM).await;
    assert_eq!(event["k"], truth_of(&simulator, &event), "it goes on with the present");
    assert!(simulator.state().withheld > 0);
}

#[tokio::test]
async fn a_stall_stops_events_while_the_connection_looks_alive() {
    let ping_every = Duration::from_millis(400);
    let simulator = start(Settings { ping_every, speed: 60.0, ..Settings::default() });
    let mut client = subscribed(&simulator).await;
    simulator.inject(fault(Kind::Stall, |fault| fault.for_ms = Some(3_000))).unwrap();
    while !client.is_silent_for(Duration::from_millis(300)).await {}
    let list = client.reply(json!({"method": "LIST_SUBSCRIPTIONS", "id": 1})).await;
    assert_eq!(list["result"], json!([STREAM]));
    assert!(client.message().await.unwrap().unwrap().is_ping());
    client.event(STREAM).await;
    assert!(simulator.state().withheld > 0);
    assert_eq!(simulator.state().accepted, 1);
}

#[tokio::test]
async fn a_dropped_stream_stays_listed_and_is_silent_until_subscribed_again() {
    let simulator = simulator(60.0);
    let both = json!([STREAM, "ethusdt@kline_1m"]);
    let mut client = subscribed(&simulator).await;
    let subscribe = json!({"method": "SUBSCRIBE", "params": both, "id": 1});
    client.reply(subscribe.clone()).await;
    let drop = json!({"kind": "drop_stream", "symbol": "BTCUSDT", "interval": "1m"});
    for again in [false, true] {
        assert_eq!(post(&simulator, "/control/fault", drop.clone()).json(), json!({"id": null}));
        let list = client.reply(json!({"method": "LIST_SUBSCRIPTIONS", "id": 2})).await;
        assert_eq!(list["result"], both);
        for _ in 0..10 {
            assert_eq!(client.json().await["stream"], "ethusdt@kline_1m");
        }
        if again {
            client.reply(json!({"method": "UNSUBSCRIBE", "params": both, "id": 3})).await;
        }
        client.reply(subscribe.clone()).await;
        client.event(STREAM).await;
    }
}

#[tokio::test]
async fn a_deaf_acknowledgement_delivers_nothing_until_made_again() {
    let simulator = simulator(60.0);
    let mut client = Client::connect(&simulator, "/stream").await;
    simulator.inject(fault(Kind::DeafAck, |fault| fault.symbol = Some("BTCUSDT".into()))).unwrap();
    let subscribe = json!({"method": "SUBSCRIBE", "params": [STREAM, "ethusdt@kline_1m"], "id": 1});
    assert_eq!(client.reply(subscribe.clone()).await["result"], Value::Null);
    assert_eq!(simulator.state().streams, 2);
    for _ in 0..10 {
        assert_eq!(client.json().await["stream"], "ethusdt@kline_1m");
    }
    assert_eq!(simulator.clear(None), 1);
    client.reply(subscribe).await;
    client.event(STREAM).await;
}

#[tokio::test]
async fn cut_closes_one_connection_as_at_the_end_of_its_life() {
    let simulator = simulator(60.0);
    let mut client = subscribed(&simulator).await;
    let id = simulator.state().connections[0].id;
    let mut other = subscribed(&simulator).await;
    simulator.inject(fault(Kind::Cut, |fault| fault.connection = Some(id))).unwrap();
    assert_eq!(client.end().await, Some((1001, String::new())));
    other.event(STREAM).await;
}

#[tokio::test]
async fn a_giant_comes_whole_or_in_fragments_between_good_messages() {
    let simulator = simulator(60.0);
    let mut client = subscribed(&simulator).await;
    for fragments in [None, Some(7), Some(1_000)] {
        simulator
            .inject(fault(Kind::Giant, |fault| (fault.bytes, fault.fragments) = (Some(300_001), fragments)))
            .unwrap();
        // A reply that is ready at the same time must not come between the fragments.
        client.send(json!({"method": "LIST_SUBSCRIPTIONS", "id": 1})).await;
        let mut lengths = Vec::new();
        while lengths.last() != Some(&300_001) {
            lengths.push(client.text().await.len());
        }
        client.event(STREAM).await;
    }
}

#[tokio::test]
async fn slow_bytes_trickle_to_one_connection_or_from_one_path() {
    let simulator = simulator(1.0);
    let began = Instant::now();
    simulator
        .inject(fault(Kind::SlowBytes, |fault| (fault.by_ms, fault.path) = (Some(2), Some("/api/v3/time".into()))))
        .unwrap();
    let length = get(&simulator, "/api/v3/time").text.len() as u32;
    assert!(began.elapsed() >= Duration::from_millis(2) * length, "a pause after each byte");
    let mut slow = Client::connect(&simulator, "/ws").await;
    let mut fast = Client::connect(&simulator, "/ws").await;
    assert_eq!(simulator.clear(None), 1);
    let id = simulator.state().connections[0].id;
    let trickle = |fault: &mut vyx_sim::Fault| {
        (fault.by_ms, fault.connection, fault.count) = (Some(20), Some(id), Some(15));
    };
    simulator.inject(fault(Kind::SlowBytes, trickle)).unwrap();
    let list = json!({"method": "LIST_SUBSCRIPTIONS", "id": 1});
    let mut answered = [Duration::ZERO; 2];
    for (client, answered) in [&mut slow, &mut fast].into_iter().zip(&mut answered) {
        let began = Instant::now();
        assert_eq!(client.reply(list.clone()).await["id"], 1);
        *answered = began.elapsed();
    }
    assert!(answered[0] >= Duration::from_millis(280) && answered[1] < answered[0], "{answered:?}");
    assert!(simulator.state().faults.is_empty(), "its fifteen bytes are used up");
    simulator.inject(fault(Kind::SlowBytes, |fault| fault.by_ms = Some(1_000))).unwrap();
    let connecting = tokio::time::timeout(Duration::from_millis(500), Client::try_connect(&simulator, "/stream"));
    assert!(connecting.await.is_err(), "the handshake's answer trickles too");
    assert_eq!(get(&simulator, "/control/state").status, 200);
}

#[tokio::test]
async fn repeat_sends_every_event_twice() {
    let simulator = simulator(60.0);
    let mut client = subscribed(&simulator).await;
    simulator.inject(fault(Kind::Repeat, |fault| fault.count = Some(4))).unwrap();
    let mut texts = Vec::new();
    while texts.len() < 20 {
        texts.push(client.text().await);
    }
    let repeated = texts.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!(repeated, 4);
    assert!(simulator.state().faults.is_empty(), "its count is used up");
}

#[tokio::test]
async fn reorder_swaps_neighbours_of_a_stream() {
    let simulator = simulator(60.0);
    let mut client = subscribed(&simulator).await;
    simulator.inject(fault(Kind::Reorder, |fault| fault.count = Some(3))).unwrap();
    let mut times = Vec::new();
    while times.len() < 20 {
        times.push(client.event(STREAM).await["E"].as_i64().unwrap());
    }
    assert_eq!(times.windows(2).filter(|pair| pair[0] > pair[1]).count(), 3);
    let mut sorted = times.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), times.len(), "nothing is lost or doubled");
}

#[tokio::test]
async fn delay_sends_events_later() {
    let simulator = simulator(60.0);
    let mut client = subscribed(&simulator).await;
    let delay = |fault: &mut vyx_sim::Fault| fault.by_ms = Some(600);
    simulator.inject(fault(Kind::Delay, delay)).unwrap();
    while !client.is_silent_for(Duration::from_millis(300)).await {}
    for _ in 0..3 {
        let event = client.event(STREAM).await;
        let late = simulator.market_time() - event["E"].as_i64().unwrap();
        assert!(late >= 600 * 60, "{late} ms of market time");
        assert_eq!(event["k"], truth_of(&simulator, &event));
    }
}

#[tokio::test]
async fn malformed_frames_come_between_good_ones() {
    let simulator = simulator(60.0);
    let mut client = subscribed(&simulator).await;
    simulator.inject(fault(Kind::Malformed, |_| {})).unwrap();
    let mut bad = Vec::new();
    while bad.len() < MALFORMED.len() {
        let text = client.text().await;
        if MALFORMED.contains(&text.as_str()) {
            bad.push(text);
        }
    }
    assert_eq!(bad, MALFORMED);
    simulator.inject(fault(Kind::Malformed, |fault| fault.frames = Some(vec!["moo".to_owned()]))).unwrap();
    while client.text().await != "moo" {}
    client.event(STREAM).await;
}

#[tokio::test]
async fn a_missing_close_is_in_history_all_the_same() {
    let simulator = simulator(60.0);
    let mut client = subscribed(&simulator).await;
    let next_close = async |client: &mut Client| loop {
        let event = client.event(STREAM).await;
        if event["k"]["x"] == true {
            return event["k"]["t"].as_i64().unwrap();
        }
    };
    let before = next_close(&mut client).await;
    let one = |fault: &mut vyx_sim::Fault| {
        (fault.symbol, fault.interval, fault.count) = (Some("BTCUSDT".into()), Some("1m".into()), Some(1));
    };
    simulator.inject(fault(Kind::MissingClose, one)).unwrap();
    let after = next_close(&mut client).await;
    assert_eq!(after - before, 120_000);
    let missed = before + 60_000;
    assert_eq!(rows(&simulator, &format!("symbol=BTCUSDT&interval=1m&startTime={missed}&endTime={missed}")).len(), 1);
    assert_eq!(simulator.state().withheld, 1);
}

#[test]
fn rest_is_refused_with_the_status_asked_for() {
    let simulator = simulator(1.0);
    for (status, code) in [(429, Some(-1003)), (418, Some(-1003)), (403, None), (451, Some(0)), (500, None)] {
        let refuse =
            json!({"kind": "refuse_rest", "status": status, "retry_after_s": 7, "path": "/api/v3/klines", "count": 2});
        assert_eq!(post(&simulator, "/control/fault", refuse).status, 200);
        for _ in 0..2 {
            let answer = get(&simulator, "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1");
            assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (status, "7"));
            if let Some(code) = code {
                assert_eq!(answer.json()["code"], code);
            }
            assert_eq!(get(&simulator, "/api/v3/time").status, 200, "other paths answer");
        }
        rows(&simulator, "symbol=BTCUSDT&interval=1m&limit=1");
    }
}

#[tokio::test]
async fn connections_are_refused_with_a_status_or_closed() {
    let simulator = simulator(1.0);
    simulator
        .inject(fault(Kind::RefuseConnections, |fault| (fault.status, fault.count) = (Some(451), Some(1))))
        .unwrap();
    match Client::try_connect(&simulator, "/stream").await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 451),
        _ => panic!("was not refused"),
    }
    simulator.inject(fault(Kind::RefuseConnections, |fault| fault.count = Some(1))).unwrap();
    assert!(!matches!(Client::try_connect(&simulator, "/stream").await, Ok(_) | Err(Error::Http(_))));
    Client::connect(&simulator, "/stream").await;
}

#[tokio::test]
async fn a_shutdown_is_announced_to_all_and_then_happens() {
    let simulator = simulator(1.0);
    let mut combined = Client::connect(&simulator, "/stream").await;
    let mut raw = Client::connect(&simulator, "/ws").await;
    assert_eq!(post(&simulator, "/control/fault", json!({"kind": "server_shutdown", "by_ms": 400})).status, 200);
    assert_eq!(combined.event("!serverShutdown").await["e"], "serverShutdown");
    assert_eq!(raw.json().await["e"], "serverShutdown");
    let mut replacement = Client::connect(&simulator, "/stream").await;
    assert!(combined.end().await.is_some() && raw.end().await.is_some());
    assert!(replacement.reply(json!({"method": "LIST_SUBSCRIPTIONS", "id": 1})).await["result"].is_array());
}

#[tokio::test]
async fn a_shutdown_is_worded_as_asked() {
    let simulator = simulator(1.0);
    for shape in [Shape::Combined, Shape::Raw, Shape::Api] {
        let mut client = Client::connect(&simulator, "/stream").await;
        client.reply(json!({"method": "LIST_SUBSCRIPTIONS", "id": 1})).await;
        simulator
            .inject(fault(Kind::ServerShutdown, |fault| (fault.shape, fault.by_ms) = (Some(shape), Some(200))))
            .unwrap();
        let words = client.json().await;
        let event = match shape {
            Shape::Combined => &words["data"],
            Shape::Raw => &words,
            Shape::Api => &words["event"],
        };
        assert_eq!(event["e"], "serverShutdown", "{words}");
        assert!(event["E"].is_i64() && client.end().await.is_some());
    }
}

#[test]
fn a_hole_takes_klines_out_of_history() {
    let simulator = simulator(1.0);
    let times = |rows: Vec<Value>| -> Vec<i64> { rows.iter().map(|row| row[0].as_i64().unwrap()).collect() };
    let all = times(rows(&simulator, "symbol=BTCUSDT&interval=1m&limit=10"));
    let hole = json!({"kind": "hole", "symbol": "BTCUSDT", "interval": "1m", "from": all[3], "to": all[5]});
    let id = post(&simulator, "/control/fault", hole).json()["id"].clone();
    let query = format!("symbol=BTCUSDT&interval=1m&startTime={}&endTime={}", all[0], all[9]);
    assert_eq!(times(rows(&simulator, &query)), [&all[..3], &all[6..]].concat());
    assert_eq!(post(&simulator, "/control/clear", json!({"id": id})).json(), json!({"cleared": 1}));
    assert_eq!(times(rows(&simulator, &query)), all);
}

#[tokio::test]
async fn the_control_endpoint_tells_and_refuses() {
    let simulator = simulator(60.0);
    let _client = subscribed(&simulator).await;
    post(&simulator, "/control/fault", json!({"kind": "repeat", "symbol": "ETHUSDT"}));
    let state = get(&simulator, "/control/state").json();
    assert_eq!((&state["streams"], &state["connections"][0]["streams"]), (&json!(1), &json!(1)));
    assert!(state["frames_sent"].as_u64().unwrap() >= 1);
    assert!(state["market_time"].as_i64().unwrap() > crate::harness::START);
    assert_eq!(state["faults"][0]["fault"], json!({"kind": "repeat", "symbol": "ETHUSDT"}));
    assert_eq!(post(&simulator, "/control/clear", json!({})).json(), json!({"cleared": 1}));
    for wrong in [
        json!({"kind": "explode"}),
        json!({"kind": "delay"}),
        json!({"kind": "drop", "status": 500}),
        json!({"kind": "repeat", "symbol": "NOSUCHUSDT"}),
        json!({"kind": "repeat", "interval": "7m"}),
    ] {
        let answer = post(&simulator, "/control/fault", wrong);
        assert_eq!(answer.status, 400);
        assert!(answer.json()["error"].is_string());
    }
    assert_eq!(get(&simulator, "/control/nothing").status, 404);
    assert_eq!(get(&simulator, "/control/kinds").json().as_array().unwrap().len(), KINDS.len());
}
