//! Connections: paths, control messages, limits, pings, age.

use crate::harness::{Client, simulator, start};
use futures_util::SinkExt;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::{Error, Message};
use vyx_sim::{Settings, limits};

#[tokio::test]
async fn subscriptions_are_made_listed_and_ended_by_message() {
    let simulator = simulator(60.0);
    let mut client = Client::connect(&simulator, "/stream").await;
    let names = json!(["btcusdt@kline_1m", "币安人生usdt@kline_1m"]);
    let done = |id: Value| json!({"result": null, "id": id});
    assert_eq!(client.reply(json!({"method": "SUBSCRIBE", "params": names, "id": 1})).await, done(json!(1)));
    let list = client.reply(json!({"method": "LIST_SUBSCRIPTIONS", "id": "second"})).await;
    assert_eq!(list, json!({"result": names, "id": "second"}));
    let event = client.event("币安人生usdt@kline_1m").await;
    assert_eq!(event["s"], "币安人生USDT");
    let ended = client.reply(json!({"method": "UNSUBSCRIBE", "params": names, "id": null})).await;
    assert_eq!(ended, done(Value::Null));
    assert!(client.is_silent_for(Duration::from_millis(400)).await);
    assert_eq!(simulator.state().streams, 0);
}

#[tokio::test]
async fn raw_paths_give_bare_events_and_combined_is_a_property() {
    let simulator = simulator(60.0);
    let mut client = Client::connect(&simulator, "/ws/btcusdt@kline_1m/ethusdt@kline_1m").await;
    assert_eq!(client.json().await["e"], "kline");
    let get = json!({"method": "GET_PROPERTY", "params": ["combined"], "id": 1});
    assert_eq!(client.reply(get.clone()).await["result"], false);
    let set = json!({"method": "SET_PROPERTY", "params": ["combined", true], "id": 2});
    assert_eq!(client.reply(set).await, json!({"result": null, "id": 2}));
    assert_eq!(client.reply(get).await["result"], true);
    assert_eq!(client.event("ethusdt@kline_1m").await["e"], "kline");
}

#[tokio::test]
async fn streams_that_do_not_exist_are_acknowledged_and_silent() {
    let simulator = simulator(600.0);
    let mut client = Client::connect(&simulator, "/stream").await;
    let names = json!(["nosuchusdt@kline_1m", "BTCUSDT@kline_1m", "btcusdt@kline_7m", "!ticker@arr", "btcusdt@dream"]);
    let reply = client.reply(json!({"method": "SUBSCRIBE", "params": names, "id": 5})).await;
    assert_eq!(reply, json!({"result": null, "id": 5}));
    let list = client.reply(json!({"method": "LIST_SUBSCRIPTIONS", "id": 6})).await;
    assert_eq!(list["result"], names);
    assert!(client.is_silent_for(Duration::from_millis(400)).await);
}

#[tokio::test]
async fn wrong_messages_get_the_documented_codes() {
    let simulator = simulator(1.0);
    let check = async |text: &str, code: i64, id: Value| {
        let mut client = Client::connect(&simulator, "/stream").await;
        client.socket.send(Message::text(text)).await.unwrap();
        let reply = client.json().await;
        assert_eq!((&reply["error"]["code"], &reply["id"]), (&json!(code), &id), "{text}: {reply}");
        assert!(reply["error"]["msg"].is_string());
    };
    check("{", 3, Value::Null).await;
    check("[]", 2, Value::Null).await;
    check(r#"{"id":1}"#, 2, json!(1)).await;
    check(r#"{"method":"SING","id":1}"#, 2, json!(1)).await;
    check(r#"{"method":"SUBSCRIBE","params":["a@b"],"id":1.5}"#, 2, Value::Null).await;
    check(r#"{"method":"SUBSCRIBE","params":["a b@kline_1m"],"id":2}"#, 2, json!(2)).await;
    check(r#"{"method":"SUBSCRIBE","params":["btcusdt"],"id":2}"#, 2, json!(2)).await;
    check(r#"{"method":"SUBSCRIBE","params":[],"id":2}"#, 2, json!(2)).await;
    check(r#"{"method":"GET_PROPERTY","params":["colour"],"id":3}"#, 0, json!(3)).await;
    check(r#"{"method":"GET_PROPERTY","params":[7],"id":3}"#, 2, json!(3)).await;
    check(r#"{"method":"GET_PROPERTY","params":["combined",1],"id":3}"#, 2, json!(3)).await;
    check(r#"{"method":"SET_PROPERTY","params":["combined","yes"],"id":4}"#, 1, json!(4)).await;
}

#[tokio::test]
async fn an_empty_list_in_the_url_is_refused() {
    let simulator = simulator(1.0);
    for path in ["/stream?streams=", "/elsewhere"] {
        match Client::try_connect(&simulator, path).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 400),
            _ => panic!("{path} was not refused"),
        }
    }
}

#[tokio::test]
async fn more_than_1024_streams_cost_the_connection() {
    let simulator = simulator(1.0);
    let mut client = Client::connect(&simulator, "/stream").await;
    let mut subscribe = async |from: usize, count: usize| {
        let names: Vec<String> = (from..from + count).map(|number| format!("s{number}@kline_1m")).collect();
        client.reply(json!({"method": "SUBSCRIBE", "params": names, "id": from})).await
    };
    // Four messages, of at most 4 KB each, so the limit of messages is not met.
    for from in 0..4 {
        assert_eq!(subscribe(from * 210, 210).await["result"], Value::Null);
    }
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(subscribe(840, 184).await["result"], Value::Null);
    assert_eq!(subscribe(1_024, 1).await["error"]["code"], 4);
    assert_eq!(client.end().await, Some((1008, "Invalid request".to_owned())));
}

#[tokio::test]
async fn too_long_a_control_message_is_ignored_without_an_answer() {
    let simulator = simulator(1.0);
    let mut client = Client::connect(&simulator, "/stream").await;
    let message = |bytes: usize| {
        let frame = r#"{"method":"SUBSCRIBE","params":["@kline_1m"],"id":1}"#;
        frame.replace("@kline", &format!("{}@kline", "x".repeat(bytes - frame.len())))
    };
    client.socket.send(Message::text(message(limits::CONTROL_BYTES + 1))).await.unwrap();
    assert!(client.is_silent_for(Duration::from_millis(300)).await);
    assert_eq!(simulator.state().streams, 0);
    client.socket.send(Message::text(message(limits::CONTROL_BYTES))).await.unwrap();
    assert_eq!(client.json().await["result"], Value::Null);
}

#[tokio::test]
async fn the_sixth_message_within_a_second_ends_the_connection() {
    let simulator = simulator(1.0);
    let mut client = Client::connect(&simulator, "/stream").await;
    for id in 0..3 {
        client.send(json!({"method": "LIST_SUBSCRIPTIONS", "id": id})).await;
        client.socket.send(Message::Ping("".into())).await.unwrap();
    }
    assert_eq!(client.end().await, Some((1008, "Too many requests".to_owned())));
    assert_eq!(simulator.state().closed_for_too_many_messages, 1);
}

#[tokio::test]
async fn pings_carry_a_payload_and_a_missing_pong_ends_the_connection() {
    let settings = Settings {
        ping_every: Duration::from_millis(400),
        pong_within: Duration::from_millis(900),
        ..Settings::default()
    };
    let simulator = start(settings);
    let mut answering = Client::connect(&simulator, "/stream").await;
    let began = Instant::now();
    let mut pings = 0;
    while began.elapsed() < Duration::from_millis(2_000) {
        // Reading answers the pings.
        if let Ok(Some(Ok(Message::Ping(payload)))) =
            tokio::time::timeout(Duration::from_millis(600), futures_util::StreamExt::next(&mut answering.socket)).await
        {
            assert!(!payload.is_empty());
            pings += 1;
        }
    }
    assert!(pings >= 3, "{pings} pings");
    assert_eq!(simulator.state().connections.len(), 1, "pongs keep it alive");
    // Nobody reads any more, so nobody answers.
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    assert_eq!(simulator.state().closed_without_pong, 1);
    assert_eq!(simulator.state().connections.len(), 0);
}

#[tokio::test]
async fn a_connection_is_cut_at_the_end_of_its_life() {
    let simulator = start(Settings { lifetime: Duration::from_millis(300), ..Settings::default() });
    let began = Instant::now();
    let mut client = Client::connect(&simulator, "/stream").await;
    assert!(client.end().await.is_some());
    assert!(began.elapsed() >= Duration::from_millis(300));
}
