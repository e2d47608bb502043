//! Symbols that halt, come, go and get names for it that nobody knows.

use crate::harness::{Client, fault, get, rows, simulator, start, truth_of};
use serde_json::{Value, json};
use std::time::Duration;
use vyx_sim::{Kind, Settings, Simulator};

const STREAM: &str = "ethusdt@kline_1m";

fn set(simulator: &Simulator, word: &str) {
    let status = |fault: &mut vyx_sim::Fault| {
        (fault.symbol, fault.word) = (Some("ETHUSDT".to_owned()), Some(word.to_owned()));
    };
    assert_eq!(simulator.inject(fault(Kind::Status, status)), Ok(None));
}

/// What exchangeInfo says of the symbol; null if it is not there.
fn status(simulator: &Simulator) -> Value {
    let info = get(simulator, "/api/v3/exchangeInfo").json();
    let symbols = info["symbols"].as_array().unwrap();
    symbols.iter().find(|symbol| symbol["symbol"] == "ETHUSDT").map_or(Value::Null, |symbol| symbol["status"].clone())
}

async fn falls_silent(client: &mut Client) -> bool {
    while !client.is_silent_for(Duration::from_millis(300)).await {}
    client.is_silent_for(Duration::from_millis(500)).await
}

#[tokio::test]
async fn a_status_is_shown_as_worded_and_acts_as_what_it_means() {
    let simulator = simulator(60.0);
    let mut client = Client::connect(&simulator, &format!("/stream?streams={STREAM}")).await;
    client.event(STREAM).await;
    for (word, pushes) in [("HALT", true), ("BREAK", false), ("AUCTION_MATCH", false), ("TRADING", true)] {
        set(&simulator, word);
        assert_eq!(status(&simulator), word);
        assert_eq!(!falls_silent_soon(&mut client).await, pushes, "{word}");
        let filtered = get(&simulator, "/api/v3/ticker/24hr?symbol=ETHUSDT&symbolStatus=TRADING");
        assert_eq!(filtered.status, if word == "TRADING" { 200 } else { 400 });
        assert!(!rows(&simulator, "symbol=ETHUSDT&interval=1m&limit=2").is_empty(), "history answers");
    }
    let event = client.event(STREAM).await;
    assert_eq!(event["k"], truth_of(&simulator, &event));
}

/// Whether nothing comes for half a second, once what was under way has come.
async fn falls_silent_soon(client: &mut Client) -> bool {
    tokio::time::timeout(Duration::from_secs(3), falls_silent(client)).await.unwrap_or(false)
}

#[tokio::test]
async fn a_delisted_symbol_vanishes_everywhere_and_comes_back() {
    let simulator = simulator(60.0);
    let mut client = Client::connect(&simulator, &format!("/stream?streams={STREAM}")).await;
    client.event(STREAM).await;
    let paths = ["klines?interval=1m&symbol=ETHUSDT", "ticker/24hr?symbol=ETHUSDT", "exchangeInfo?symbol=ETHUSDT"];
    for word in ["", "ABSENT"] {
        set(&simulator, word);
        assert_eq!(status(&simulator), Value::Null);
        for path in paths {
            let answer = get(&simulator, &format!("/api/v3/{path}"));
            assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(-1121)), "{path}");
        }
        let all = get(&simulator, "/api/v3/ticker/24hr?type=MINI").json();
        assert!(all.as_array().unwrap().iter().all(|ticker| ticker["symbol"] != "ETHUSDT"));
        assert!(falls_silent(&mut client).await);
        set(&simulator, "TRADING");
        assert_eq!(status(&simulator), "TRADING");
        client.event(STREAM).await;
    }
}

#[tokio::test]
async fn a_symbol_can_be_listed_later() {
    let simulator = start(Settings { unlisted: vec!["ETHUSDT".to_owned()], speed: 60.0, ..Settings::default() });
    assert_eq!(status(&simulator), Value::Null);
    let mut client = Client::connect(&simulator, &format!("/stream?streams={STREAM}")).await;
    assert!(client.is_silent_for(Duration::from_millis(500)).await);
    set(&simulator, "TRADING");
    assert_eq!(status(&simulator), "TRADING");
    let event = client.event(STREAM).await;
    assert_eq!(event["k"], truth_of(&simulator, &event), "the subscription made before delivers");
    let unknown = Settings { unlisted: vec!["NOSUCHUSDT".to_owned()], ..Settings::default() };
    assert!(Simulator::start(unknown).is_err_and(|error| error.to_string().contains("NOSUCHUSDT")));
}
