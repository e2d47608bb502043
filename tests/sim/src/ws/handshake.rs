//! From an HTTP request to a WebSocket connection, or to a refusal.

use super::session;
use crate::event::{Stream, TimeUnit};
use crate::exchange::Exchange;
use crate::fault::Kind;
use crate::line::{Line, Transport};
use crate::rest::{Answer, refusal};
use crate::settings::limits;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// What the path asks for.
#[derive(Debug, PartialEq)]
pub struct Wish {
    pub combined: bool,
    pub unit: TimeUnit,
    pub streams: Vec<String>,
}

pub fn is_upgrade(request: &Request<Incoming>) -> bool {
    request.headers().get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Answers an upgrade request; the connection then lives in a task of its own. An error means that the TCP
/// connection ends without an answer.
pub fn answer<T: Transport>(
    exchange: &Arc<Exchange>,
    mut request: Request<Incoming>,
) -> Result<Answer, ConnectionRefused> {
    let refused = exchange.faults().act(Kind::RefuseConnections, |_| true);
    if let Some(fault) = refused {
        let status = fault.status.and_then(|status| StatusCode::from_u16(status).ok()).ok_or(ConnectionRefused)?;
        return Ok(refusal(status, None));
    }
    let wish = Wish::parse(request.uri().path(), request.uri().query().unwrap_or(""));
    let key = request.headers().get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let (Some(wish), Some(key)) = (wish, key) else { return Ok(refusal(StatusCode::BAD_REQUEST, None)) };
    let shared = exchange.clone();
    let upgrade = hyper::upgrade::on(&mut request);
    exchange.spawn(async move {
        // A client that leaves during the handshake is nobody's loss.
        let Ok(upgraded) = upgrade.await else { return };
        let parts = upgraded.downcast::<TokioIo<Line<T>>>().expect("the server serves nothing else");
        let (line, read) = (parts.io.into_inner(), parts.read_buf.to_vec());
        let socket = WebSocketStream::from_partially_read(line, read, Role::Server, None).await;
        session::run(shared, socket, wish).await;
    });
    let mut response = Response::new(Default::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, "websocket".parse().expect("a header value"));
    headers.insert(CONNECTION, "Upgrade".parse().expect("a header value"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, key.parse().expect("base64 is a header value"));
    Ok(response)
}

/// A fault wants the connection to end without an answer.
#[derive(Debug)]
pub struct ConnectionRefused;

impl std::fmt::Display for ConnectionRefused {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("connection refused on request")
    }
}

impl std::error::Error for ConnectionRefused {}

impl Wish {
    /// `None` for a path that is no stream endpoint, and for an empty list of streams.
    fn parse(path: &str, query: &str) -> Option<Wish> {
        let names =
            |list: &str| -> Vec<String> { list.split('/').filter(|name| !name.is_empty()).map(decoded).collect() };
        let mut wish = Wish { combined: false, unit: TimeUnit::Millisecond, streams: Vec::new() };
        if path == "/stream" {
            wish.combined = true;
        } else {
            let rest = path.strip_prefix("/ws")?;
            if !rest.is_empty() && !rest.starts_with('/') {
                return None;
            }
            wish.streams = names(rest);
        }
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "streams" if wish.combined => {
                    wish.streams = names(&decoded(value));
                    if wish.streams.is_empty() {
                        return None;
                    }
                }
                "timeUnit" => wish.unit = TimeUnit::parse(value)?,
                // The exchange's gateways ignore what they do not know.
                _ => {}
            }
        }
        // One over the limit is enough for the session to refuse it as it refuses a message.
        wish.streams.truncate(limits::STREAMS + 1);
        Some(wish)
    }
}

/// A stream by name, as this exchange knows it.
pub fn known_stream(exchange: &Exchange, name: &str) -> Option<Stream> {
    Stream::parse(name, |symbol| {
        // Stream names are lower case; an upper-case one is acknowledged and delivers nothing.
        let upper = symbol.to_ascii_uppercase();
        if symbol.bytes().any(|byte| byte.is_ascii_uppercase()) { None } else { exchange.market.find(&upper) }
    })
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, query: &str, expected: Option<(bool, &[&str])>) {
        let wish = Wish::parse(path, query);
        let seen = wish.as_ref().map(|wish| (wish.combined, wish.streams.iter().map(String::as_str).collect()));
        let expected: Option<(bool, Vec<&str>)> = expected.map(|(combined, streams)| (combined, streams.to_vec()));
        assert_eq!(seen, expected, "{path}?{query}");
    }

    #[test]
    fn paths_and_queries_are_read_as_documented() {
        check("/stream", "streams=a@b/c@d", Some((true, &["a@b", "c@d"])));
        check("/stream", "streams=a@b%2Fc@d&timeUnit=MICROSECOND", Some((true, &["a@b", "c@d"])));
        check("/stream", "streams=%E5%B8%81usdt@kline_1m", Some((true, &["币usdt@kline_1m"])));
        check("/stream", "", Some((true, &[])));
        check("/ws", "", Some((false, &[])));
        check("/ws/a@b/c@d", "", Some((false, &["a@b", "c@d"])));
        check("/stream", "streams=", None);
        check("/stream", "timeUnit=YEAR", None);
        check("/wsx", "", None);
        check("/api", "", None);
    }
}
