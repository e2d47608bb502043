//! The one door between the feed and its owner.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;
use vyx_core::{GapReason, Interval, Kline, Millis, Symbol, SymbolInfo, Ticker};

/// What the owner misses of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The oldest run of ordinals that are wanted and neither held closed nor known to be absent.
    pub oldest: RangeInclusive<i64>,
    /// How many ordinals are missing in all runs.
    pub count: u64,
}

/// What the feed tells its owner, and the questions it asks. Every method is called on the runtime's
/// thread, from inside [`run`](crate::run), and must not block.
pub trait Sink {
    /// The universe as the exchange lists it now, after the settings' filters: first the pairs that trade, then those that
    /// did and are kept for a while, with their status. Returns the symbols that have found a place with the owner; only
    /// these are followed from now on. Called at the start, after every change of the settings, and at each refresh; a
    /// symbol that is absent has left the universe.
    fn universe(&self, listed: &[SymbolInfo]) -> Vec<Symbol>;

    /// The symbols that the owner holds already, e.g. from before a restart.
    fn known(&self) -> Vec<SymbolInfo>;

    /// News of one kline from the stream, open or closed. May repeat or be older than what the owner holds:
    /// [`vyx_core::kline::merge`] decides. Just after a change of the universe the symbol may be one that lost
    /// its place. `event_time` is what the exchange says about when it sent this; it may lie ahead of market time.
    fn kline(&self, symbol: &Symbol, interval: Interval, event_time: Millis, kline: &Kline);

    /// The 24 h statistics of a followed symbol. The seed read by REST may arrive after a newer one from the
    /// stream: the later `event_time` counts.
    fn ticker(&self, symbol: &Symbol, ticker: &Ticker);

    /// A definite answer of history about the ordinals `from..=through`, all of them settled: `klines`
    /// exist, are closed and ascend; an ordinal that is not among them does not exist.
    fn history(&self, symbol: &Symbol, interval: Interval, from: i64, through: i64, klines: &[Kline]);

    /// History has nothing before this ordinal.
    fn begins(&self, symbol: &Symbol, interval: Interval, ordinal: i64);

    /// What is missing of the klines that closed at `settled` or before. What the owner finds missing and had not noted
    /// yet, it notes with this reason. Asked for every series after each of its closes, so it should cost next to nothing
    /// where nothing is missing.
    fn missing(&self, symbol: &Symbol, interval: Interval, settled: Millis, reason: GapReason) -> Option<Missing>;

    /// A stream of the series is acknowledged on a connection (`true`), or its connection is lost and no other carries
    /// it (`false`).
    fn subscribed(&self, symbol: &Symbol, interval: Interval, subscribed: bool);

    /// Market time has advanced to `at`: the largest time of the exchange seen so far. Never goes back. The
    /// owner may compare it with its own clock; the feed never reads one.
    fn market_time(&self, at: Millis);

    /// Something worth counting happened.
    fn event(&self, event: Event);

    /// Words for the log. Each kind of message comes at most once a minute and says how many were left out.
    fn log(&self, level: Level, text: String);
}

/// Severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something went right again or changed: one line a connection or setting.
    Info,
    /// Something went wrong and is being repaired.
    Warning,
    /// Nothing can be done until a human changes something.
    Error,
}

/// What the owner counts (no value, or the word `dropped`) or shows as a gauge (the value replaces the earlier one).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A frame of market data was taken.
    Message,
    /// A frame, an element of an array, or a row of the list of symbols could not be read or held impossible numbers; it
    /// was dropped.
    BadFrame,
    /// A well-formed frame nobody asked for; it was dropped.
    UnknownFrame,
    /// A kline of history was dropped: off the calendar, or impossible numbers.
    BadHistoryRow,
    /// A connection was opened. `connections` counts the open ones.
    Connected { connections: usize },
    /// A connection ended. `connections` counts those still open.
    Disconnected { connections: usize, reason: Disconnect },
    /// An attempt to connect failed.
    ConnectFailed { reason: Disconnect },
    /// Streams acknowledged by the exchange, and streams wanted, over all connections.
    Streams { subscribed: usize, wanted: usize },
    /// A REST request was sent.
    Request,
    /// A REST request failed; it will be repeated where that makes sense.
    RequestFailed,
    /// REST weight used in the exchange's current minute, as it says itself.
    Weight(u32),
    /// Series with nothing missing when last looked at, of all followed series; and how long history will take for the
    /// rest, as far as can be foreseen.
    Progress { done: usize, total: usize, seconds_left: u64 },
    /// A stream that was acknowledged and said nothing of a kline with trades was asked for anew.
    Resubscribed,
    /// Symbols that the settings ask for and that are not followed: not listed, or beyond `max_symbols`. Those that no
    /// longer trade and are kept for a while do not count.
    SymbolsLeftOut(usize),
}

/// Why a connection ended, or was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disconnect {
    /// The host could not be reached, or TLS or the handshake failed.
    Unreachable(String),
    /// The handshake was answered with this HTTP status, and perhaps with the advice to wait so long.
    Refused { status: u16, retry_after: Option<Duration> },
    /// The server closed the connection, or the link broke.
    Lost(String),
    /// No frame of any kind for `stale_after`.
    Silent,
    /// A subscription was not acknowledged, though it was repeated.
    NoAcknowledgement,
    /// Everything was acknowledged and nothing came, though the connection it should replace went on delivering.
    NoData,
    /// Too many unreadable frames in a short time.
    BadFrames,
    /// The server announced its shutdown, or the connection grew old: its successor delivers.
    Replaced,
    /// The settings name another host, or nothing is left to subscribe to.
    NotWanted,
}

impl Disconnect {
    /// The least time to wait before trying again, where the exchange asks for more than the usual backoff.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Disconnect::Refused { status, retry_after } => crate::rest::least_pause(*status, *retry_after),
            _ => None,
        }
    }

    /// Waiting does not help; a human has to change something.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Disconnect::Refused { status: 451, .. })
    }

    /// The feed itself ended the connection, and nothing is wrong.
    pub fn is_planned(&self) -> bool {
        matches!(self, Disconnect::Replaced | Disconnect::NotWanted)
    }
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Disconnect::Unreachable(why) => write!(f, "could not connect: {why}"),
            Disconnect::Refused { status: 451, .. } => f.write_str(crate::rest::LOCATION_REFUSED),
            Disconnect::Refused { status, .. } => write!(f, "the handshake was refused with HTTP status {status}"),
            Disconnect::Lost(why) => write!(f, "the connection was lost: {why}"),
            Disconnect::Silent => f.write_str("the connection fell silent"),
            Disconnect::NoAcknowledgement => f.write_str("a subscription was not acknowledged"),
            Disconnect::NoData => f.write_str("nothing came on it, though its predecessor delivered"),
            Disconnect::BadFrames => f.write_str("too many unreadable frames"),
            Disconnect::Replaced => f.write_str("replaced by a new connection"),
            Disconnect::NotWanted => f.write_str("no longer wanted by the settings"),
        }
    }
}
