//! Faults of what is said about candles and when.

use crate::harness::{Client, fault, get, rows, simulator, truth_of};
use serde_json::Value;
use vyx_sim::{Fault, Kind, Simulator};

const STREAM: &str = "btcusdt@kline_1m";
const MINUTE: i64 = 60_000;

async fn subscribed(simulator: &Simulator) -> Client {
    let mut client = Client::connect(simulator, &format!("/stream?streams={STREAM}")).await;
    client.event(STREAM).await;
    client
}

/// The next closing event.
async fn closing(client: &mut Client) -> Value {
    loop {
        let event = client.event(STREAM).await;
        if event["k"]["x"] == true {
            return event;
        }
    }
}

fn time(value: &Value) -> i64 {
    value.as_i64().unwrap()
}

#[tokio::test]
async fn a_late_close_is_true_and_comes_by_so_much_market_time_late() {
    let simulator = simulator(60.0);
    let mut client = subscribed(&simulator).await;
    let late = |fault: &mut Fault| (fault.by_ms, fault.count) = (Some(20_000), Some(1));
    simulator.inject(fault(Kind::LateClose, late)).unwrap();
    let mut next_opened = false;
    let event = loop {
        let event = client.event(STREAM).await;
        if event["k"]["x"] == true {
            break event;
        }
        next_opened |= time(&event["E"]) % MINUTE < 20_000;
    };
    assert!(next_opened, "updates of the next kline go on meanwhile");
    let delay = time(&event["E"]) - time(&event["k"]["T"]);
    assert!((20_000..60_000).contains(&delay), "{delay} ms of market time");
    assert_eq!(event["k"], truth_of(&simulator, &event));
    let event = closing(&mut client).await;
    assert!(time(&event["E"]) - time(&event["k"]["T"]) < 50, "the next one is on time");
}

#[tokio::test]
async fn a_correction_closes_a_kline_twice_and_the_second_time_truly() {
    let simulator = simulator(60.0);
    let mut client = subscribed(&simulator).await;
    let once = |fault: &mut Fault| (fault.by_ms, fault.count) = (Some(5_000), Some(1));
    simulator.inject(fault(Kind::Correction, once)).unwrap();
    let (first, second) = (closing(&mut client).await, closing(&mut client).await);
    assert_eq!(first["k"]["t"], second["k"]["t"]);
    assert!(time(&first["k"]["n"]) < time(&second["k"]["n"]) && first["k"]["v"] != second["k"]["v"]);
    assert!(time(&second["E"]) - time(&first["E"]) >= 5_000);
    assert_eq!(second["k"], truth_of(&simulator, &second));
    let open = time(&second["k"]["t"]);
    let row = &rows(&simulator, &format!("symbol=BTCUSDT&interval=1m&startTime={open}&endTime={open}"))[0];
    assert_eq!(row[5], second["k"]["v"], "history has the true one");
    let third = closing(&mut client).await;
    assert_eq!(time(&third["k"]["t"]) - open, MINUTE);
    assert!(simulator.state().faults.is_empty());
}

#[tokio::test]
async fn a_correction_leaves_klines_without_trades_alone() {
    let simulator = simulator(600.0);
    let mut client = Client::connect(&simulator, "/stream?streams=acausdt@kline_1m").await;
    simulator.inject(fault(Kind::Correction, |fault| fault.by_ms = Some(1))).unwrap();
    let mut before: Option<Value> = None;
    loop {
        let event = client.event("acausdt@kline_1m").await;
        if event["k"]["x"] == false {
            continue;
        }
        let first = before.as_ref().is_none_or(|before| before["k"]["t"] != event["k"]["t"]);
        let truth = truth_of(&simulator, &event);
        if first && truth["n"] == 0 {
            return assert_eq!(event["k"], truth, "there is nothing to correct");
        }
        assert_eq!(event["k"] == truth, !first, "the first closing is wrong and the second right");
        before = Some(event);
    }
}

#[tokio::test]
async fn a_skewed_clock_shifts_event_times_and_server_time_alone() {
    let simulator = simulator(1.0);
    for skew in [300_000, -300_000] {
        let id = simulator.inject(fault(Kind::ClockSkew, |fault| fault.by_ms = Some(skew))).unwrap();
        let mut client = subscribed(&simulator).await;
        let event = client.event(STREAM).await;
        let near = |shown: &Value| (time(shown) - skew - simulator.market_time()).abs() < 5_000;
        assert!(near(&event["E"]), "{event}");
        assert_eq!(time(&event["k"]["t"]), (time(&event["E"]) - skew) / MINUTE * MINUTE);
        assert!(near(&get(&simulator, "/api/v3/time").json()["serverTime"]));
        assert!(near(&get(&simulator, "/api/v3/exchangeInfo?symbol=BTCUSDT").json()["serverTime"]));
        simulator.clear(id);
    }
}
