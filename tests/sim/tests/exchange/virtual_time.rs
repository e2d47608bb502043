//! The simulator in memory and in virtual time: the same exchange, hours in moments, the same every time.

use crate::harness::{START, fault};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use vyx_sim::{Interval, Kind, Settings, Virtual, universe};

const HOUR: Duration = Duration::from_secs(3_600);
const STREAMS: &str =
    "btcusdt@kline_1m/btcusdt@kline_5m/ethusdt@kline_1m/ethusdt@kline_5m/bnbusdt@kline_1m/bnbusdt@kline_5m";

fn start(seed: u64) -> Virtual {
    Virtual::start(Settings { seed, symbols: universe(3), start: Some(START), ..Settings::default() }).unwrap()
}

async fn connect(simulator: &Virtual, path: &str) -> WebSocketStream<DuplexStream> {
    client_async(format!("ws://exchange{path}"), simulator.dial()).await.unwrap().0
}

async fn get(simulator: &Virtual, path: &str) -> String {
    let mut pipe = simulator.dial();
    let request = format!("GET /api/v3/{path} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\r\n");
    pipe.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    pipe.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Everything that a client sees within this time, and after how long.
async fn watch(client: &mut WebSocketStream<DuplexStream>, time: Duration) -> Vec<(Duration, Message)> {
    let began = Instant::now();
    let mut seen = Vec::new();
    while let Ok(message) = timeout(time.saturating_sub(began.elapsed()), client.next()).await {
        seen.push((began.elapsed(), message.expect("the connection is open").unwrap()));
    }
    seen
}

/// An hour with a few faults, told to the last frame.
async fn hour(seed: u64) -> Vec<(Duration, Message)> {
    let simulator = start(seed);
    let mut client = connect(&simulator, &format!("/stream?streams={STREAMS}/!miniTicker@arr")).await;
    let mut seen = watch(&mut client, HOUR / 4).await;
    simulator.inject(fault(Kind::Delay, |fault| (fault.by_ms, fault.for_ms) = (Some(700), Some(60_000)))).unwrap();
    simulator.inject(fault(Kind::Correction, |fault| fault.count = Some(20))).unwrap();
    simulator.inject(fault(Kind::SlowBytes, |fault| (fault.by_ms, fault.count) = (Some(3), Some(2_000)))).unwrap();
    client.send(Message::text(r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#)).await.unwrap();
    seen.extend(watch(&mut client, HOUR * 3 / 4).await);
    seen.push((Duration::ZERO, Message::text(get(&simulator, "klines?symbol=BTCUSDT&interval=1m").await)));
    seen.push((Duration::ZERO, Message::text(serde_json::to_string(&simulator.state()).unwrap())));
    seen
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test)
}

#[test]
fn an_hour_is_the_same_every_time_and_another_with_another_seed() {
    let (first, second) = (run(hour(1)), run(hour(1)));
    assert!(first.len() > 10_000, "{} frames", first.len());
    for (index, (a, b)) in first.iter().zip(&second).enumerate() {
        assert_eq!(a, b, "frame {index}");
    }
    assert_eq!(first.len(), second.len());
    assert_ne!(first, run(hour(2)));
}

#[tokio::test(start_paused = true)]
async fn events_of_a_virtual_hour_are_the_truth_and_come_in_time() {
    let simulator = start(1);
    let mut client = connect(&simulator, "/stream?streams=btcusdt@kline_1m").await;
    let mut closed = 0;
    for (after, message) in watch(&mut client, HOUR).await {
        let Message::Text(text) = message else { continue };
        let event = serde_json::from_str::<Value>(&text).unwrap()["data"].take();
        let (at, k) = (event["E"].as_i64().unwrap(), &event["k"]);
        let late = after.as_millis() as i64 - (at - START);
        assert!((0..25).contains(&late), "{late} ms late: {event}");
        let truth = simulator.market().kline("BTCUSDT", Interval::M1, k["t"].as_i64().unwrap(), at).unwrap();
        assert_eq!((&k["n"], &k["x"]), (&json!(truth.trades), &json!(truth.closed)));
        closed += u32::from(truth.closed);
    }
    assert_eq!(closed, 60);
    assert_eq!(simulator.market_time(), START + HOUR.as_millis() as i64);
    assert_eq!(simulator.state().connections.len(), 1, "pings were answered all the while");
}

#[tokio::test(start_paused = true)]
async fn a_day_ends_a_connection_and_a_minute_renews_the_weight() {
    let simulator = start(1);
    let mut client = connect(&simulator, "/stream").await;
    let seen = async { while let Some(Ok(_)) = client.next().await {} };
    timeout(Duration::from_secs(24 * 3_600 + 1), seen).await.expect("it is cut after a day");
    let refused = async |simulator: &Virtual| get(simulator, "exchangeInfo").await.starts_with("HTTP/1.1 429");
    let mut asked = 0;
    while !refused(&simulator).await {
        asked += 1;
    }
    assert_eq!(asked, 300);
    sleep(Duration::from_secs(60)).await;
    assert!(!refused(&simulator).await);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_simulator_ends_every_connection() {
    let simulator = start(1);
    let mut client = connect(&simulator, &format!("/stream?streams={STREAMS}")).await;
    let mut idle = simulator.dial();
    watch(&mut client, Duration::from_secs(5)).await;
    drop(simulator);
    while let Some(Ok(_)) = client.next().await {}
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap(), 0);
}

#[test]
#[ignore = "a measurement, not a check"]
fn cost_of_a_virtual_hour() {
    for (what, path) in [("nobody", None), ("one client", Some(format!("/stream?streams={STREAMS}")))] {
        let began = std::time::Instant::now();
        let frames = run(async {
            let simulator = start(1);
            let mut seen = 0;
            match path {
                Some(path) => seen = watch(&mut connect(&simulator, &path).await, HOUR).await.len(),
                None => sleep(HOUR).await,
            }
            seen
        });
        eprintln!("a virtual hour, 3 symbols, {what}: {:?}, {frames} frames", began.elapsed());
    }
}

#[test]
fn without_a_runtime_or_with_a_clock_file_it_does_not_start() {
    assert!(Virtual::start(Settings::default()).is_err());
    let settings = Settings { clock_file: Some("clock".into()), ..Settings::default() };
    assert!(run(async { Virtual::start(settings).is_err() }));
}
