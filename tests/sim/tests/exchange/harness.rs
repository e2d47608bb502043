//! A client for the tests: one REST request a connection, and WebSocket frames as JSON.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use vyx_sim::{Fault, Interval, Kind, Kline, Settings, Simulator, decimal};

/// No answer takes longer on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// 2026-11-20 22:02:41 UTC.
pub const START: i64 = 1_795_212_161_000;

/// A simulator of the demonstration's market at this speed.
pub fn simulator(speed: f64) -> Simulator {
    start(Settings { speed, ..Settings::default() })
}

pub fn start(settings: Settings) -> Simulator {
    Simulator::start(Settings { start: Some(START), ..settings }).unwrap()
}

pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub text: String,
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

pub fn get(simulator: &Simulator, path: &str) -> Response {
    request(simulator, "GET", path, "", "")
}

pub fn post(simulator: &Simulator, path: &str, body: Value) -> Response {
    request(simulator, "POST", path, "", &body.to_string())
}

/// Sends one request and reads the answer to its end.
pub fn request(simulator: &Simulator, method: &str, path: &str, header: &str, body: &str) -> Response {
    let mut tcp = TcpStream::connect(simulator.address()).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(
        tcp,
        "{method} {path} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n{header}Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    tcp.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    Response {
        status,
        headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
        text: body.to_owned(),
    }
}

/// The rows of a klines request.
pub fn rows(simulator: &Simulator, query: &str) -> Vec<Value> {
    let answer = get(simulator, &format!("/api/v3/klines?{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json().as_array().unwrap().clone()
}

/// How the truth looks as a row of history.
pub fn row_of(kline: &Kline) -> Value {
    let [open, high, low, close] = kline.price_strings();
    json!([
        kline.open_time,
        open,
        high,
        low,
        close,
        decimal(kline.volume),
        kline.close_time,
        decimal(kline.quote_volume),
        kline.trades,
        decimal(kline.taker_buy_volume),
        decimal(kline.taker_buy_quote_volume),
        "0"
    ])
}

/// How the truth looks as the `k` of an event.
pub fn k_of(symbol: &str, kline: &Kline) -> Value {
    let [open, high, low, close] = kline.price_strings();
    json!({
        "t": kline.open_time, "T": kline.close_time, "s": symbol, "i": kline.interval.name(),
        "f": kline.first_id, "L": kline.last_id, "o": open, "c": close, "h": high, "l": low,
        "v": decimal(kline.volume), "n": kline.trades, "x": kline.closed, "q": decimal(kline.quote_volume),
        "V": decimal(kline.taker_buy_volume), "Q": decimal(kline.taker_buy_quote_volume), "B": "0"
    })
}

/// The truth that an event must show: its kline at its event time.
pub fn truth_of(simulator: &Simulator, event: &Value) -> Value {
    let k = &event["k"];
    let (symbol, interval) = (k["s"].as_str().unwrap(), Interval::parse(k["i"].as_str().unwrap()).unwrap());
    let at = event["E"].as_i64().unwrap();
    k_of(symbol, &simulator.market().kline(symbol, interval, k["t"].as_i64().unwrap(), at).unwrap())
}

/// A WebSocket connection.
pub struct Client {
    pub socket: WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>,
}

impl Client {
    pub async fn connect(simulator: &Simulator, path: &str) -> Client {
        Client::try_connect(simulator, path).await.unwrap()
    }

    pub async fn try_connect(simulator: &Simulator, path: &str) -> Result<Client, Error> {
        let (socket, _) = connect_async(format!("ws://{}{path}", simulator.address())).await?;
        Ok(Client { socket })
    }

    pub async fn send(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message of any kind; `None` at the end.
    pub async fn message(&mut self) -> Option<Result<Message, Error>> {
        tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("a message in time")
    }

    /// The text of the next text frame.
    pub async fn text(&mut self) -> String {
        loop {
            match self.message().await.expect("the connection is open").unwrap() {
                Message::Text(text) => return text.to_string(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    pub async fn json(&mut self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The next event of a combined connection's stream, past all others.
    pub async fn event(&mut self, stream: &str) -> Value {
        loop {
            let mut frame = self.json().await;
            if frame["stream"] == stream {
                return frame["data"].take();
            }
        }
    }

    /// The answer to a control message, past all events.
    pub async fn reply(&mut self, message: Value) -> Value {
        self.send(message).await;
        loop {
            let frame = self.json().await;
            if frame.get("id").is_some() {
                return frame;
            }
        }
    }

    /// Reads to the end and returns the close frame's code and reason; `None` if there was none.
    pub async fn end(&mut self) -> Option<(u16, String)> {
        loop {
            match self.message().await {
                Some(Ok(Message::Close(frame))) => {
                    return frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Whether nothing but pings comes for this long.
    pub async fn is_silent_for(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.text()).await.is_err()
    }
}

/// A fault of this kind, with the fields to set.
pub fn fault(kind: Kind, set: impl FnOnce(&mut Fault)) -> Fault {
    let mut fault = Fault::new(kind);
    set(&mut fault);
    fault
}
