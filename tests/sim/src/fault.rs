//! Misbehaviour on request: which kinds there are and what each takes.
//!
//! A kind is one row of [`KINDS`]; the places that act on it ask [`Faults`](crate::faults::Faults). So a new kind is a row and a
//! question at the right place.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A kind, the fields it must have, the fields it may have, and whether it is done at once or stays in force.
pub struct Row {
    pub kind: Kind,
    pub needs: &'static [&'static str],
    pub takes: &'static [&'static str],
    pub lasting: bool,
}

/// Makes [`Kind`] and [`KINDS`] of the same rows, so that no kind can be without one.
macro_rules! kinds {
    ($($(#[$words:meta])* $kind:ident: $when:ident, needs [$($need:literal)*], takes [$($take:literal)*];)*) => {
        /// What goes wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind {
            $($(#[$words])* $kind,)*
        }

        /// Every kind, in the order of [`Kind`].
        pub const KINDS: &[Row] = &[$(Row {
            kind: Kind::$kind,
            needs: &[$($need),*],
            takes: &[$($take),*],
            lasting: kinds!($when),
        },)*];
    };
    (at_once) => { false };
    (lasting) => { true };
}

// `count` is how often a kind acts before it ends, `for_ms` how long it stays, in real time; without either it stays
// until cleared.
kinds! {
    /// Closes connections without a close frame; `reset` sends a TCP reset.
    Drop: at_once, needs [], takes ["connection" "reset"];
    /// Nothing is read or sent while TCP stays up; events of that time are lost to the connection.
    HalfOpen: lasting, needs [], takes ["connection" "for_ms"];
    /// Events stop and are lost, while pings, pongs and control replies go on: the connection looks alive.
    Stall: lasting, needs [], takes ["connection" "for_ms"];
    /// Bytes towards the client leave one by one, `by_ms` of real time after each other: those of one WebSocket
    /// connection, or of the requests of a path (the handshake's path stays that of its connection), or all. Each byte
    /// counts as once. Answers of the control endpoint are not slowed.
    SlowBytes: lasting, needs ["by_ms"], takes ["connection" "path" "for_ms" "count"];
    /// A subscription of a connection, or of all, delivers no more, though it stays listed. A new SUBSCRIBE revives it,
    /// with or without an UNSUBSCRIBE before; what the exchange would want is unknown.
    DropStream: at_once, needs ["symbol" "interval"], takes ["connection"];
    /// Subscriptions are acknowledged and listed and deliver nothing, until they are made again.
    DeafAck: lasting, needs [], takes ["symbol" "interval" "for_ms" "count"];
    /// Every event is sent twice.
    Repeat: lasting, needs [], takes ["symbol" "interval" "for_ms" "count"];
    /// Neighbouring events of a stream change places.
    Reorder: lasting, needs [], takes ["symbol" "interval" "for_ms" "count"];
    /// Events are sent `by_ms` of real time later.
    Delay: lasting, needs ["by_ms"], takes ["symbol" "interval" "for_ms" "count"];
    /// Sends `frames`, or one of each bad kind, to the connections. They are text; the bytes are valid UTF-8, since no
    /// server would get further with others.
    Malformed: at_once, needs [], takes ["connection" "frames"];
    /// Closing events are not sent; history has the klines.
    MissingClose: lasting, needs [], takes ["symbol" "interval" "for_ms" "count"];
    /// Closing events come `by_ms` of market time late; their event time is that of sending.
    LateClose: lasting, needs ["by_ms"], takes ["symbol" "interval" "for_ms" "count"];
    /// A kline closes as it stood some time before its end, with fewer trades, and `by_ms` of market time later (1,000
    /// without it) closes once more as it is. History has the true kline at once. A kline that never had fewer trades
    /// closes as usual.
    Correction: lasting, needs [], takes ["by_ms" "symbol" "interval" "for_ms" "count"];
    /// Event times and `serverTime` are `by_ms` ahead, or behind if that is negative. Klines keep their own times.
    ClockSkew: lasting, needs ["by_ms"], takes ["for_ms"];
    /// REST answers with `status`, and a Retry-After header if given.
    RefuseRest: lasting, needs ["status"], takes ["retry_after_s" "path" "for_ms" "count"];
    /// WebSocket handshakes are answered with `status`; without one the TCP connection is closed.
    RefuseConnections: lasting, needs [], takes ["status" "for_ms" "count"];
    /// Announces the end to every connection and closes it `by_ms` of real time later (with 0
    /// the closing may overtake the words). The words have the `shape` of
    /// combined streams, of raw ones or of the WebSocket API; without one, that which the connection has.
    ServerShutdown: at_once, needs [], takes ["by_ms" "shape"];
    /// Closes connections with a close frame, as at the end of their life.
    Cut: at_once, needs [], takes ["connection"];
    /// Sends a text message of so many bytes, in one frame or in so many fragments.
    Giant: at_once, needs ["bytes"], takes ["connection" "fragments"];
    /// From now on exchangeInfo has this `word` for the status of a symbol, until another one is given. A status that is
    /// known acts as usual, any other word pushes nothing. With `ABSENT` or an empty word the symbol vanishes: no row, no
    /// events, code -1121. History stays what the market has.
    Status: at_once, needs ["symbol" "word"], takes [];
    /// History lacks the klines with `from <= open time <= to` (milliseconds of market time).
    Hole: lasting, needs ["symbol" "interval" "from" "to"], takes ["for_ms" "count"];
}

/// How a `serverShutdown` event is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    Combined,
    Raw,
    Api,
}

/// One order to misbehave; in JSON the same names. Build it with [`Fault::new`] and the fields it needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub kind: Kind,
    /// Only this symbol, interval, connection or REST path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragments: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
}

impl Kind {
    pub fn row(self) -> &'static Row {
        &KINDS[self as usize]
    }
}

impl Fault {
    pub fn new(kind: Kind) -> Fault {
        Fault {
            kind,
            symbol: None,
            interval: None,
            connection: None,
            path: None,
            for_ms: None,
            count: None,
            status: None,
            retry_after_s: None,
            by_ms: None,
            reset: None,
            frames: None,
            shape: None,
            bytes: None,
            fragments: None,
            word: None,
            from: None,
            to: None,
        }
    }

    /// Whether it is about this symbol and interval, or about all.
    pub(crate) fn concerns(&self, symbol: Option<&str>, interval: Option<&str>) -> bool {
        let suits =
            |wanted: &Option<String>, is: Option<&str>| wanted.as_deref().is_none_or(|wanted| is == Some(wanted));
        suits(&self.symbol, symbol) && suits(&self.interval, interval)
    }

    /// `by_ms` as a span of real time; none without it.
    pub(crate) fn by(&self) -> Duration {
        Duration::from_millis(self.by_ms.unwrap_or(0).unsigned_abs())
    }

    /// # Errors
    /// If a field is missing that the kind needs, there is one that it does not know, or a value makes no sense.
    pub fn check(&self) -> Result<(), String> {
        let row = self.kind.row();
        let given = serde_json::to_value(self).map_err(|error| error.to_string())?;
        let given = given.as_object().ok_or("a fault is an object")?;
        if let Some(missing) = row.needs.iter().find(|field| !given.contains_key(**field)) {
            return Err(format!("{}: \"{missing}\" is missing", given["kind"]));
        }
        let known = |field: &str| field == "kind" || row.needs.contains(&field) || row.takes.contains(&field);
        if let Some(stranger) = given.keys().find(|field| !known(field)) {
            return Err(format!("{}: \"{stranger}\" means nothing here", given["kind"]));
        }
        let least = if self.kind == Kind::ClockSkew { -LONGEST } else { 0 };
        if self.by_ms.is_some_and(|millis| !(least..=LONGEST).contains(&millis)) {
            return Err(format!("\"by_ms\" must be from {least} to {LONGEST}"));
        }
        if self.for_ms.is_some_and(|millis| millis > LONGEST as u64) {
            return Err(format!("\"for_ms\" must be at most {LONGEST}"));
        }
        if self.bytes.is_some_and(|bytes| bytes > MOST_BYTES) {
            return Err(format!("\"bytes\" must be at most {MOST_BYTES}"));
        }
        if self.fragments.is_some_and(|fragments| fragments == 0 || Some(fragments) > self.bytes) {
            return Err("\"fragments\" must be from 1 to the bytes".to_owned());
        }
        if self.status.is_some_and(|status| !(400..600).contains(&status)) {
            return Err("\"status\" must be from 400 to 599".to_owned());
        }
        Ok(())
    }
}

/// Spans of time in a fault are at most so many milliseconds (over a century), so that sums with them are times.
const LONGEST: i64 = 1 << 42;

/// The most bytes of a giant message: 256 MiB, four times the largest that a client is known to take.
const MOST_BYTES: usize = 1 << 28;

/// The malformed frames sent when none are named: one for each way in which a frame can be wrong.
pub const MALFORMED: [&str; 10] = [
    "",
    "{",
    "null",
    "[]",
    r#"{"stream":"btcusdt@kline_1m"}"#,
    r#"{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1,"s":"BTCUSDT","k":{"t":"soon"}}}"#,
    r#"{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1,"s":"BTCUSDT","k":{"t":60000,"T":119999,"s":"BTCUSDT","i":"1m","f":1,"L":1,"o":"NaN","c":"1","h":"1","l":"1","v":"1","n":1,"x":false,"q":"1","V":"1","Q":"1","B":"0"}}}"#,
    r#"{"stream":"btcusdt@kline_7m","data":{"e":"kline","E":1,"s":"BTCUSDT","k":{"t":0,"T":1,"s":"BTCUSDT","i":"7m","f":1,"L":1,"o":"1","c":"1","h":"1","l":"1","v":"1","n":1,"x":true,"q":"1","V":"1","Q":"1","B":"0"}}}"#,
    r#"{"e":"tomorrow's event","E":1}"#,
    r#"{"result":null,"id":999999999}"#,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_row_that_accepts_what_it_needs() {
        for (place, row) in KINDS.iter().enumerate() {
            assert_eq!(row.kind as usize, place);
            assert_eq!(Fault::new(row.kind).check().is_ok(), row.needs.is_empty(), "{:?}", row.kind);
            let known = serde_json::to_value(every_field(row.kind)).unwrap();
            let names = row.needs.iter().chain(row.takes);
            assert!(names.clone().all(|name| known.get(name).is_some()), "{:?} names a field that is none", row.kind);
            let mut least = known.clone();
            least.as_object_mut().unwrap().retain(|name, _| name == "kind" || row.needs.contains(&name.as_str()));
            assert_eq!(serde_json::from_value::<Fault>(least).unwrap().check(), Ok(()));
        }
    }

    fn every_field(kind: Kind) -> Fault {
        Fault {
            kind,
            symbol: Some("BTCUSDT".to_owned()),
            interval: Some("1m".to_owned()),
            connection: Some(1),
            path: Some("/api/v3/klines".to_owned()),
            for_ms: Some(1),
            count: Some(1),
            status: Some(500),
            retry_after_s: Some(1),
            by_ms: Some(1),
            reset: Some(true),
            frames: Some(Vec::new()),
            shape: Some(Shape::Api),
            bytes: Some(1),
            fragments: Some(1),
            word: Some("HALT".to_owned()),
            from: Some(0),
            to: Some(0),
        }
    }

    #[test]
    fn a_field_that_means_nothing_is_refused() {
        let fault = |text: &str| serde_json::from_str::<Fault>(text).map_err(|e| e.to_string()).and_then(|f| f.check());
        fault(r#"{"kind":"repeat","symbol":"BTCUSDT","count":3}"#).unwrap();
        assert!(fault(r#"{"kind":"repeat","status":429}"#).unwrap_err().contains("status"));
        assert!(fault(r#"{"kind":"repeat","symbl":"BTCUSDT"}"#).unwrap_err().contains("symbl"));
        assert!(fault(r#"{"kind":"refuse_rest","status":200}"#).unwrap_err().contains("400"));
        assert!(fault(r#"{"kind":"hole","symbol":"BTCUSDT"}"#).unwrap_err().contains("interval"));
        assert!(fault(r#"{"kind":"giant","bytes":3,"fragments":4}"#).unwrap_err().contains("fragments"));
        assert!(fault(r#"{"kind":"giant","bytes":1000000000}"#).unwrap_err().contains("bytes"));
        assert!(fault(r#"{"kind":"server_shutdown","shape":"round"}"#).unwrap_err().contains("round"));
        fault(r#"{"kind":"clock_skew","by_ms":-300000}"#).unwrap();
        assert!(fault(r#"{"kind":"delay","by_ms":-1}"#).unwrap_err().contains("by_ms"));
        assert!(fault(r#"{"kind":"repeat","for_ms":18446744073709551615}"#).unwrap_err().contains("for_ms"));
    }
}
