//! The REST half of the scripted exchange.

use super::{Did, Exchange, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::spawn_local;
use vyx_core::{Interval, Kline, Millis};

impl Exchange {
    pub(super) async fn serve_rest(self, listener: TcpListener) {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            spawn_local(self.clone().serve_requests(socket));
        }
    }

    pub(super) async fn serve_requests(self, socket: impl AsyncRead + AsyncWrite + Unpin) {
        let mut socket = BufReader::new(socket);
        while let Some(target) = read_request(&mut socket).await {
            self.note(Did::Requested(target.clone()));
            let scripted = self.faults().answers.borrow_mut().pop_front();
            let refused = self.faults().refused_history.get();
            let answer = match (scripted, refused) {
                (Some(answer), _) => answer,
                (None, Some(symbol)) if target.contains(&format!("klines?symbol={symbol}&")) => scripted_refusal(),
                (None, _) => self.answer(&target).map_or_else(|refusal| refusal, |body| ok(&body)),
            };
            if socket.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    /// The answer, or a refusal.
    fn answer(&self, target: &str) -> Result<Value, String> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let now = self.market_time();
        let stamp = now.0 + self.faults().skew.get();
        Ok(match path {
            "/api/v3/time" => json!({ "serverTime": stamp }),
            "/api/v3/exchangeInfo" => {
                let row = |(s, status): (&String, &str)| json!({"symbol":s,"status":status,"baseAsset":s.trim_end_matches("USDT"),"quoteAsset":"USDT","isSpotTradingAllowed":true,"filters":[]});
                let (symbols, halted) = (self.symbols(), self.0.halted.borrow());
                let mut all: BTreeMap<&String, &str> =
                    halted.iter().map(|(symbol, status)| (symbol, *status)).collect();
                all.extend(symbols.iter().map(|symbol| (symbol, "TRADING")));
                let rows: Vec<Value> = match query.get("symbols") {
                    Some(names) => {
                        assert!(!query.contains_key("symbolStatus"), "the exchange refuses both together");
                        let names = percent_encoding::percent_decode_str(names).decode_utf8().unwrap();
                        let names: Vec<String> = serde_json::from_str(&names).unwrap();
                        if names.iter().any(|name| !all.contains_key(name)) {
                            return Err(scripted_refusal());
                        }
                        names.iter().map(|name| row((name, all[name]))).collect()
                    }
                    None => symbols.iter().map(|symbol| row((symbol, "TRADING"))).collect(),
                };
                json!({ "serverTime": stamp, "rateLimits": [], "symbols": rows })
            }
            "/api/v3/ticker/24hr" => {
                let row = |s: &String| json!({"symbol":s,"lastPrice":"2.5","openPrice":"2.0","highPrice":"3.0","lowPrice":"1.0","volume":"1.0","quoteVolume":"2.0","closeTime":stamp});
                self.symbols().iter().map(row).collect()
            }
            "/api/v3/klines" => self.klines(&query, now),
            _ => panic!("the feed asked for {target}"),
        })
    }

    /// Bounds are inclusive on the open time; the open kline is included, as on the real exchange.
    fn klines(&self, query: &BTreeMap<&str, &str>, now: Millis) -> Value {
        let interval: Interval = query["interval"].parse().unwrap();
        let symbol = percent_encoding::percent_decode_str(query["symbol"]).decode_utf8().unwrap().into_owned();
        let time = |name: &str| query.get(name).map(|text| Millis(text.parse().unwrap()));
        let limit: usize = query["limit"].parse().unwrap();
        let last = interval.ordinal(time("endTime").unwrap_or(now).min(now));
        let first = time("startTime").map(|at| {
            let ordinal = interval.ordinal(at);
            if interval.open_time(ordinal) < at { ordinal + 1 } else { ordinal }
        });
        let from = first.unwrap_or(i64::MIN).max(self.first(&symbol, interval));
        let all: Vec<Value> = (from..=last)
            .filter_map(|ordinal| self.truth(&symbol, interval, ordinal))
            .map(|k| row(interval, &k))
            .collect();
        if first.is_some() {
            all.into_iter().take(limit).collect()
        } else {
            let surplus = all.len().saturating_sub(limit);
            all.into_iter().skip(surplus).collect()
        }
    }
}

/// An answer with this status line and these headers, for [`Faults::answers`].
pub fn scripted(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn scripted_refusal() -> String {
    scripted("400 Bad Request", "", r#"{"code":-1121,"msg":"Invalid symbol."}"#)
}

fn ok(body: &Value) -> String {
    scripted("200 OK", "X-MBX-USED-WEIGHT-1M: 17\r\n", &body.to_string())
}

/// Reads one request and returns its target.
pub(super) async fn read_request<R: tokio::io::AsyncRead + Unpin>(socket: &mut BufReader<R>) -> Option<String> {
    let mut target = None;
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            return target;
        }
        target = target.or_else(|| line.split(' ').nth(1).map(str::to_owned));
    }
}

fn row(interval: Interval, k: &Kline) -> Value {
    let close_time = interval.close_time(interval.ordinal(k.open_time));
    json!([
        k.open_time.0,
        text(k.open),
        text(k.high),
        text(k.low),
        text(k.close),
        text(k.volume),
        close_time.0,
        text(k.quote_volume),
        k.trades,
        text(k.taker_buy_volume),
        text(k.taker_buy_quote_volume),
        "0"
    ])
}
