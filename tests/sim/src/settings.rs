//! What can be set about a simulator.

use crate::symbols::{self, Symbol};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

/// The exchange's limits on what a client may do.
pub mod limits {
    use std::time::Duration;

    /// Streams of one connection.
    pub const STREAMS: usize = 1_024;
    /// Messages, pings and pongs that a connection may send within a second.
    pub const MESSAGES_A_SECOND: usize = 5;
    /// A longer control message gets no answer and does nothing, as observed on the exchange.
    pub const CONTROL_BYTES: usize = 4_096;
    /// Rows of a klines answer, and without a `limit` parameter.
    pub const KLINES: usize = 1_000;
    pub const KLINES_DEFAULT: usize = 500;
    /// Frames that wait for a connection that does not read (65,536 klines are about 30 MB), by
    /// [`super::Settings::waiting_frames`].
    pub const WAITING_FRAMES: usize = 65_536;
    /// Request weight of a minute, by [`super::Settings::weight_limit`].
    pub const WEIGHT: u64 = 6_000;
    /// A body sent to the control endpoint.
    pub const CONTROL_BODY: usize = 1 << 20;
    /// How long a client is waited for to answer a close frame.
    pub const CLOSING: Duration = Duration::from_millis(500);
}

/// Settings of a simulator; the defaults are those of the exchange, at real speed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// 0 picks a free one.
    pub port: u16,
    pub seed: u64,
    pub symbols: Vec<Symbol>,
    /// Candles from files, by symbol. A symbol that is not in `symbols` is added.
    pub files: HashMap<String, (String, PathBuf)>,
    /// Symbols that are not there at the start; the fault `status` lists them later.
    pub unlisted: Vec<String>,
    /// The market time of the start, in milliseconds since the epoch; without one, the wall's.
    pub start: Option<i64>,
    /// Market time per real time.
    pub speed: f64,
    /// Where the market clock is kept; what is there already comes before `start`.
    pub clock_file: Option<PathBuf>,
    /// Real time between pings, until a missing pong ends a connection, and until any connection is cut.
    pub ping_every: Duration,
    pub pong_within: Duration,
    pub lifetime: Duration,
    /// The least real time between two updates of a stream. Closing events do not wait for it. It keeps a fast
    /// market from flooding: at speed 60 the exchange's 2 s would be 33 ms.
    pub update_floor: Duration,
    /// Request weight of a minute of wall time.
    pub weight_limit: u64,
    /// Frames that wait for a connection that does not read: more, and it is cut and counted.
    pub waiting_frames: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            port: 0,
            seed: 1,
            symbols: symbols::demonstration(),
            files: HashMap::new(),
            unlisted: Vec::new(),
            start: None,
            speed: 1.0,
            clock_file: None,
            ping_every: Duration::from_secs(20),
            pong_within: Duration::from_secs(60),
            lifetime: Duration::from_secs(24 * 3_600),
            update_floor: Duration::from_millis(100),
            weight_limit: limits::WEIGHT,
            waiting_frames: limits::WAITING_FRAMES,
        }
    }
}
