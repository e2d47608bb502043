//! Events: what the streams show is the truth, and closing events come for every kline.

use crate::harness::{Client, START, fault, rows, simulator, start, truth_of};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use vyx_sim::{Kind, Settings, decimal};

#[tokio::test]
async fn every_event_is_the_truth_of_its_event_time() {
    let simulator = simulator(60.0);
    let streams = "btcusdt@kline_1m/btcusdt@kline_5m/pepeusdt@kline_1h/acausdt@kline_1m/ethusdt@kline_1s";
    let mut client = Client::connect(&simulator, &format!("/stream?streams={streams}")).await;
    let mut closed: Vec<Value> = Vec::new();
    let mut open = 0;
    let mut last_time = 0;
    while closed.len() < 4 || open < 40 {
        let frame = client.json().await;
        let event = &frame["data"];
        let name =
            format!("{}@kline_{}", event["s"].as_str().unwrap().to_lowercase(), event["k"]["i"].as_str().unwrap());
        assert_eq!((frame["stream"].as_str().unwrap(), &event["e"]), (name.as_str(), &json!("kline")));
        assert_eq!(event["k"], truth_of(&simulator, event));
        if name != "btcusdt@kline_1m" {
            continue;
        }
        let time = event["E"].as_i64().unwrap();
        assert!(time > last_time, "event times ascend within a stream");
        last_time = time;
        if event["k"]["x"] == true {
            let late = time - event["k"]["T"].as_i64().unwrap();
            assert!((1..50).contains(&late), "closed {late} ms of market time after the boundary");
            closed.push(event["k"].clone());
        } else {
            open += 1;
        }
    }
    for pair in closed.windows(2) {
        assert_eq!(
            pair[1]["t"].as_i64().unwrap() - pair[0]["t"].as_i64().unwrap(),
            60_000,
            "no closing event is left out"
        );
    }
    let from = &closed[0]["t"];
    for (row, k) in rows(&simulator, &format!("symbol=BTCUSDT&interval=1m&startTime={from}")).iter().zip(&closed) {
        let event =
            json!([k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["T"], k["q"], k["n"], k["V"], k["Q"], "0"]);
        assert_eq!(*row, event, "history and closing event are the same");
    }
}

#[tokio::test]
async fn quiet_klines_close_flat_without_trades() {
    let simulator = simulator(600.0);
    let mut client = Client::connect(&simulator, "/stream?streams=acausdt@kline_1m").await;
    loop {
        let event = client.event("acausdt@kline_1m").await;
        if event["k"]["n"] == 0 {
            assert_eq!((&event["k"]["f"], &event["k"]["x"]), (&json!(-1), &json!(true)));
            assert_eq!(event["k"], truth_of(&simulator, &event));
            return;
        }
    }
}

#[tokio::test]
async fn tickers_agree_with_the_market_at_their_event_time() {
    let simulator = simulator(60.0);
    let mut client =
        Client::connect(&simulator, "/stream?streams=!miniTicker@arr/ltcusdt@miniTicker/ltcusdt@ticker").await;
    let check = |ticker: &Value| {
        let (symbol, time) = (ticker["s"].as_str().unwrap(), ticker["E"].as_i64().unwrap());
        let truth = simulator.market().ticker(symbol, time).unwrap();
        let prices = [truth.last, truth.open, truth.high, truth.low].map(|price| decimal(price as u128));
        assert_eq!([&ticker["c"], &ticker["o"], &ticker["h"], &ticker["l"]], prices.each_ref());
        assert_eq!((&ticker["v"], &ticker["q"]), (&json!(decimal(truth.volume)), &json!(decimal(truth.quote_volume))));
    };
    let (mut arrays, mut minis, mut fulls) = (0, 0, 0);
    while arrays < 3 || minis < 3 || fulls < 3 {
        let frame = client.json().await;
        match frame["stream"].as_str().unwrap() {
            "!miniTicker@arr" => {
                let list = frame["data"].as_array().unwrap();
                list.iter().for_each(check);
                assert!(list.iter().all(|ticker| ticker["s"] != "LUNAUSDT"), "no data for a symbol in BREAK");
                assert!(arrays > 0 || list.iter().any(|ticker| ticker["s"] == "币安人生USDT"));
                arrays += 1;
            }
            "ltcusdt@miniTicker" => {
                check(&frame["data"]);
                minis += 1;
            }
            _ => {
                check(&frame["data"]);
                assert_eq!(frame["data"]["e"], "24hrTicker");
                fulls += 1;
            }
        }
    }
}

#[tokio::test]
async fn updates_keep_to_the_floor_of_real_time() {
    let simulator = simulator(600.0);
    let mut client = Client::connect(&simulator, "/stream?streams=btcusdt@kline_1h").await;
    client.event("btcusdt@kline_1h").await;
    let began = Instant::now();
    let mut updates = 0;
    while began.elapsed() < Duration::from_secs(1) {
        updates += usize::from(client.event("btcusdt@kline_1h").await["k"]["x"] == false);
    }
    // Ten a second and no more; at this speed 2 s of market time are 3 ms.
    assert!((3..=12).contains(&updates), "{updates} updates in a second");
}

#[tokio::test]
async fn microseconds_are_shown_to_who_asks_for_them() {
    let simulator = simulator(60.0);
    let mut client = Client::connect(&simulator, "/stream?streams=btcusdt@kline_1m&timeUnit=MICROSECOND").await;
    let event = client.event("btcusdt@kline_1m").await;
    let k = &event["k"];
    assert!(event["E"].as_i64().unwrap() > 1_000_000_000_000_000);
    assert_eq!(k["T"].as_i64().unwrap() - k["t"].as_i64().unwrap(), 59_999_999);
}

#[tokio::test]
async fn candles_from_a_file_close_as_the_file_says_and_its_holes_do_not() {
    let minute = |index: i64| START / 60_000 * 60_000 + index * 60_000;
    let path = std::env::temp_dir().join(format!("vyx-sim-candles-{}.csv", std::process::id()));
    let rows: String = [1, 2, 4, 5].map(|index| format!("{},10.5,12,9,11,4.5\n", minute(index))).concat();
    std::fs::write(&path, format!("open_time,open,high,low,close,volume\n{rows}")).unwrap();
    let files = HashMap::from([("BTCUSDT".to_owned(), ("1m".to_owned(), path.clone()))]);
    let simulator = start(Settings { files, speed: 60.0, ..Settings::default() });
    std::fs::remove_file(path).unwrap();
    let mut client = Client::connect(&simulator, "/stream?streams=btcusdt@kline_1m/btcusdt@kline_5m").await;
    let mut closed = Vec::new();
    while closed.last() != Some(&minute(5)) {
        let event = client.event("btcusdt@kline_1m").await;
        assert_eq!(event["k"], truth_of(&simulator, &event));
        if event["k"]["x"] == true {
            assert_eq!((&event["k"]["o"], &event["k"]["c"]), (&json!("10.50000000"), &json!("11.00000000")));
            closed.push(event["k"]["t"].as_i64().unwrap());
        }
    }
    assert_eq!(closed, [1, 2, 4, 5].map(minute));
}

#[tokio::test]
async fn symbols_without_market_data_stay_silent() {
    let simulator = simulator(600.0);
    let mut client = Client::connect(&simulator, "/stream?streams=lunausdt@kline_1m/perpusdt@kline_1m").await;
    assert!(client.is_silent_for(Duration::from_millis(500)).await);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_and_others_go_on() {
    let simulator = start(Settings { waiting_frames: 64, speed: 60.0, ..Settings::default() });
    let mut client = Client::connect(&simulator, "/stream?streams=btcusdt@kline_1s").await;
    let _deaf = Client::connect(&simulator, "/stream?streams=btcusdt@kline_1s").await;
    // More than the buffers of a loopback connection hold, so that the rest waits in the simulator.
    let frames = Some(vec!["x".repeat(1 << 20); 30]);
    let deaf = simulator.state().connections[1].id;
    simulator.inject(fault(Kind::Malformed, |fault| (fault.connection, fault.frames) = (Some(deaf), frames))).unwrap();
    while simulator.state().cut_for_not_reading == 0 || simulator.state().connections.len() > 1 {
        client.event("btcusdt@kline_1s").await;
    }
    client.event("btcusdt@kline_1s").await;
    assert_eq!(simulator.state().cut_for_not_reading, 1);
}
