//! Frames of the combined streams.

use super::{Checked, RawKline, Tickers, Unreadable, millis, tickers, unreadable};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use serde_json::value::RawValue;
use std::borrow::Cow;
use vyx_core::{Interval, Kline, Millis, Provenance, Symbol};

/// What one text frame says.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    Kline {
        symbol: Symbol,
        interval: Interval,
        event_time: Millis,
        kline: Kline,
    },
    Tickers(Tickers),
    /// The server is about to close this connection.
    Shutdown,
    Reply(Reply),
    /// Well-formed, and nothing the feed asked for.
    Unknown,
}

/// The answer to a control message. It is never wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The id of the request, missing when the exchange could not read it.
    pub id: Option<u64>,
    /// `None` is an acknowledgement, which proves nothing but that the request was read.
    pub error: Option<ReplyError>,
}

/// A refused control message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyError {
    pub code: i64,
    pub message: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    stream: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "is_there")]
    result: bool,
    #[serde(borrow)]
    error: Option<ErrorBody<'a>>,
    code: Option<i64>,
    #[serde(borrow)]
    msg: Option<Cow<'a, str>>,
    #[serde(borrow)]
    e: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
}

/// An event that is wrapped as the WebSocket API does it.
#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow)]
    e: Cow<'a, str>,
}

#[derive(Deserialize)]
struct ErrorBody<'a> {
    code: Option<i64>,
    #[serde(borrow)]
    msg: Option<Cow<'a, str>>,
}

/// The usual frame: with a field more, it could be something else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KlineFrame<'a> {
    stream: &'a str,
    #[serde(borrow)]
    data: KlineEvent<'a>,
}

#[derive(Deserialize)]
struct KlineEvent<'a> {
    #[serde(rename = "E")]
    event_time: i64,
    #[serde(rename = "s", borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    k: KlineFields<'a>,
}

#[derive(Deserialize)]
struct KlineFields<'a> {
    #[serde(rename = "t")]
    open_time: i64,
    #[serde(rename = "T")]
    close_time: i64,
    i: &'a str,
    o: &'a str,
    h: &'a str,
    l: &'a str,
    c: &'a str,
    v: &'a str,
    q: &'a str,
    n: u64,
    x: bool,
    #[serde(rename = "V")]
    taker_buy_volume: &'a str,
    #[serde(rename = "Q")]
    taker_buy_quote_volume: &'a str,
}

/// `"result": null` is an answer and a missing `result` is none; `Option` cannot tell them apart.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Reads one text frame of a combined stream.
///
/// # Errors
/// The frame is no JSON object, or it belongs to a stream the feed knows and cannot be taken.
pub fn frame(bytes: &[u8]) -> Result<Frame, Unreadable> {
    kline_frame(bytes).unwrap_or_else(|| any_frame(bytes))
}

/// The usual frame of a kline, in one pass over its bytes; `None` where it takes a closer look to say what the frame is.
/// Of each frame that is taken here, [`any_frame`] would say the same after a second pass over the event.
fn kline_frame(bytes: &[u8]) -> Option<Result<Frame, Unreadable>> {
    // Of a slice, serde does not look at the letters in fields that nobody wants.
    let text = std::str::from_utf8(bytes).ok()?;
    // Serde would take an array for a struct, field by field.
    let frame: KlineFrame = text.starts_with('{').then(|| serde_json::from_str(text).ok())??;
    let (_, kind) = frame.stream.split_once('@')?;
    let interval = kind.strip_prefix("kline_")?;
    (!interval.contains('@')).then(|| kline(frame.data, interval))
}

fn any_frame(bytes: &[u8]) -> Result<Frame, Unreadable> {
    // Serde would take an array for a struct, field by field.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return unreadable("not a JSON object");
    }
    let envelope: Envelope = serde_json::from_slice(bytes)?;
    match (&envelope.stream, envelope.data) {
        (Some(stream), Some(data)) => combined(stream, data.get()),
        (Some(_), None) => unreadable("a stream without data"),
        (None, _) if envelope.e.as_deref() == Some("serverShutdown") => Ok(Frame::Shutdown),
        (None, _) if envelope.event.is_some_and(is_shutdown) => Ok(Frame::Shutdown),
        (None, _) => Ok(reply(&envelope).map_or(Frame::Unknown, Frame::Reply)),
    }
}

fn is_shutdown(event: &RawValue) -> bool {
    serde_json::from_str::<Wrapped>(event.get()).is_ok_and(|event| event.e == "serverShutdown")
}

fn combined(stream: &str, data: &str) -> Result<Frame, Unreadable> {
    if let Some((_, interval)) = stream.split_once("@kline_") {
        // Klines of another time zone (`@kline_1d@+08:00`) are told apart by this name alone.
        if interval.contains('@') {
            return Ok(Frame::Unknown);
        }
        return kline(serde_json::from_str(data)?, interval);
    }
    match stream {
        "!miniTicker@arr" => tickers(data.as_bytes()).map(Frame::Tickers),
        "!serverShutdown" => Ok(Frame::Shutdown),
        _ => Ok(Frame::Unknown),
    }
}

/// How far a kline's open time may lie ahead of the event that brings it. The exchange's machines differ by milliseconds on
/// a good day; should the clock that stamps events once be minutes behind, klines are still taken. A kline pushes out as
/// many old ones as it is ahead, and a bogus one could be ahead of market time by this and the hour an event may claim:
/// 70 klines of a minute, of a ring of some thousands.
const LARGEST_LEAD: Millis = Millis(10 * 60_000);

fn kline(event: KlineEvent, interval_of_stream: &str) -> Result<Frame, Unreadable> {
    let KlineEvent { event_time, symbol, k } = event;
    if k.i != interval_of_stream {
        return unreadable("the kline is not of the stream's interval");
    }
    let interval: Interval = k.i.parse().or_else(|error| unreadable(format!("{error}")))?;
    let symbol = Symbol::new(&symbol).or_else(|error| unreadable(error.to_string()))?;
    let raw = RawKline {
        open_time: k.open_time,
        close_time: k.close_time,
        open: k.o,
        high: k.h,
        low: k.l,
        close: k.c,
        volume: k.v,
        quote_volume: k.q,
        trades: k.n,
        taker_buy_volume: k.taker_buy_volume,
        taker_buy_quote_volume: k.taker_buy_quote_volume,
    };
    let event_time = millis(event_time)?;
    match raw.check(interval, k.x, Provenance::Stream)? {
        Checked::Good(kline) if kline.open_time - event_time > LARGEST_LEAD => {
            unreadable("the kline opens after its own event")
        }
        Checked::Good(kline) => Ok(Frame::Kline { symbol, interval, event_time, kline }),
        Checked::Impossible(why) => unreadable(why),
    }
}

/// Errors are documented flat and were seen nested, with the id missing or null: both are taken.
fn reply(envelope: &Envelope) -> Option<Reply> {
    let id = envelope.id.and_then(|id| id.get().parse().ok());
    let (nested, flat) = (&envelope.error, envelope.code);
    let error = match (nested, flat) {
        (Some(body), _) => Some((body.code, &body.msg)),
        (None, Some(code)) => Some((Some(code), &envelope.msg)),
        (None, None) => None,
    };
    let error = error.map(|(code, message)| ReplyError {
        code: code.unwrap_or_default(),
        message: message.as_deref().unwrap_or_default().to_owned(),
    });
    (error.is_some() || envelope.result || envelope.id.is_some()).then_some(Reply { id, error })
}

#[cfg(test)]
mod tests;
