//! Misbehaviour on request: which kinds there are and what each takes.
//!
//! A kind is one row of [`KINDS`]; the places that act on it ask [`Faults`](crate::faults::Faults). So a new kind is a row and a
//! question at the right place.

use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Drop,
    Stall,
    Repeat,
    Reorder,
    Delay,
    Malformed,
    MissingClose,
    RefuseRest,
    RefuseConnections,
    ServerShutdown,
    Hole,
}

/// A kind, the fields it must have, the fields it may have, and whether it is done at once or stays in force.
pub struct Row {
    pub kind: Kind,
    pub needs: &'static [&'static str],
    pub takes: &'static [&'static str],
    pub lasting: bool,
}

/// Every kind. `count` is how often it acts before it ends, `for_ms` how long it stays, in real time; without
/// either it stays until cleared.
pub const KINDS: &[Row] = &[
    // Closes connections without a close frame; `reset` sends a TCP reset.
    Row { kind: Kind::Drop, needs: &[], takes: &["connection", "reset"], lasting: false },
    // Nothing is read or sent while TCP stays up; events of that time are lost to the connection.
    Row { kind: Kind::Stall, needs: &[], takes: &["connection", "for_ms"], lasting: true },
    // Every event is sent twice.
    Row { kind: Kind::Repeat, needs: &[], takes: &["symbol", "interval", "for_ms", "count"], lasting: true },
    // Neighbouring events of a stream change places.
    Row { kind: Kind::Reorder, needs: &[], takes: &["symbol", "interval", "for_ms", "count"], lasting: true },
    // Events are sent `by_ms` of real time later.
    Row { kind: Kind::Delay, needs: &["by_ms"], takes: &["symbol", "interval", "for_ms", "count"], lasting: true },
    // Sends `frames`, or one of each bad kind, to the connections.
    // They are text; the bytes are valid UTF-8, since no server would get further with others.
    Row { kind: Kind::Malformed, needs: &[], takes: &["connection", "frames"], lasting: false },
    // Closing events are not sent; history has the klines.
    Row { kind: Kind::MissingClose, needs: &[], takes: &["symbol", "interval", "for_ms", "count"], lasting: true },
    // REST answers with `status`, and a Retry-After header if given.
    Row {
        kind: Kind::RefuseRest,
        needs: &["status"],
        takes: &["retry_after_s", "path", "for_ms", "count"],
        lasting: true,
    },
    // WebSocket handshakes are answered with `status`; without one the TCP connection is closed.
    Row { kind: Kind::RefuseConnections, needs: &[], takes: &["status", "for_ms", "count"], lasting: true },
    // Announces the end to every connection and closes it `by_ms` of real time later.
    Row { kind: Kind::ServerShutdown, needs: &[], takes: &["by_ms"], lasting: false },
    // History lacks the klines with `from <= open time <= to` (milliseconds of market time).
    Row { kind: Kind::Hole, needs: &["symbol", "interval", "from", "to"], takes: &["for_ms", "count"], lasting: true },
];

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
    pub by_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
}

impl Kind {
    pub fn row(self) -> &'static Row {
        KINDS.iter().find(|row| row.kind == self).expect("every kind has a row, as a test checks")
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
            from: None,
            to: None,
        }
    }

    /// # Errors
    /// If a field is missing that the kind needs, or there is one that it does not know.
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
        if self.status.is_some_and(|status| !(400..600).contains(&status)) {
            return Err("\"status\" must be from 400 to 599".to_owned());
        }
        Ok(())
    }
}

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
        use Kind::*;
        let all = [
            Drop,
            Stall,
            Repeat,
            Reorder,
            Delay,
            Malformed,
            MissingClose,
            RefuseRest,
            RefuseConnections,
            ServerShutdown,
            Hole,
        ];
        assert_eq!(all.len(), KINDS.len());
        for kind in all {
            let row = kind.row();
            assert_eq!(Fault::new(kind).check().is_ok(), row.needs.is_empty(), "{kind:?}");
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
    }
}
