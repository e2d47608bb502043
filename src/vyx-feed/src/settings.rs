//! What the owner may choose, with the reason for each default.

use crate::url::{BadUrl, RestUrl, StreamUrl};
use std::time::Duration;
use vyx_core::{Interval, Symbol, SymbolInfo};

/// The feed's settings. A changed value is applied while running: symbols and intervals by subscribing to
/// the difference, a changed host by reconnecting, everything else from its next use on.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Base of the streams, `wss://host[:port]`; `ws://` to a loopback address only. The default host carries
    /// market data only, needs no key, and answers where the general hosts refuse with 451.
    pub stream_url: String,
    /// Base of the REST interface, `https://host[:port]`; `http://` to a loopback address only. It must speak
    /// of the same market as `stream_url`.
    pub rest_url: String,
    /// The symbols to follow, in order of preference; `None` follows every pair that is trading against
    /// one of `quote_assets`.
    pub symbols: Option<Vec<Symbol>>,
    /// Which quote assets make a pair interesting when `symbols` is `None`.
    pub quote_assets: Vec<Symbol>,
    /// Never followed, even if listed in `symbols`.
    pub exclude_symbols: Vec<Symbol>,
    /// The intervals of every symbol; duplicates count once.
    pub intervals: Vec<Interval>,
    /// At most this many symbols are followed; what is beyond is counted and named in the log. 500 symbols ×
    /// 6 intervals are 3,000 streams on 3 connections.
    pub max_symbols: usize,
    /// A connection without any frame for so long is dead. The server pings every 20 s, so that the default
    /// of 45 s misses two pings; a whole detection stays below a minute.
    pub stale_after: Duration,
    /// A connection of this age is replaced by a new one, whose data has to flow before the old one is dropped. The
    /// exchange cuts a connection after 24 h; the default is an hour before that. Connections differ a little, so that
    /// they are not all replaced at once.
    pub rotate_after: Duration,
    /// A followed pair that no longer trades is followed for so long yet, as it may only be paused; none at all with zero.
    pub symbol_grace: Duration,
    /// How often the list of symbols is read again: listings are not pushed. Costs a weight of 20 each time.
    pub refresh_symbols_after: Duration,
    /// REST weight to spend in a minute. The exchange allows 6,000 an address; the default leaves a third to
    /// others behind the same address. What the exchange itself announces lowers it further.
    pub weight_budget_per_minute: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            stream_url: "wss://data-stream.binance.vision".to_owned(),
            rest_url: "https://data-api.binance.vision".to_owned(),
            symbols: None,
            quote_assets: vec![Symbol::new("USDT").expect("a constant that is a symbol")],
            exclude_symbols: Vec::new(),
            intervals: vec![Interval::M1, Interval::M5, Interval::M15, Interval::H1, Interval::H4, Interval::D1],
            max_symbols: 500,
            stale_after: Duration::from_secs(45),
            rotate_after: Duration::from_secs(23 * 3_600),
            symbol_grace: Duration::from_secs(24 * 3_600),
            refresh_symbols_after: Duration::from_secs(30 * 60),
            weight_budget_per_minute: 4_000,
        }
    }
}

/// Settings the feed cannot work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    #[error("stream_url: {0}")]
    StreamUrl(BadUrl),
    #[error("rest_url: {0}")]
    RestUrl(BadUrl),
    #[error("no interval is chosen")]
    NoInterval,
    #[error("weight_budget_per_minute must be at least {MIN_WEIGHT_BUDGET}, not {0}")]
    WeightBudget(u32),
    #[error("{name} must be at least {least:?}, not {value:?}")]
    TooShort { name: &'static str, least: Duration, value: Duration },
}

/// The most expensive single request, the ticker seed, has a weight of 80; with less than that it would never be sent.
pub const MIN_WEIGHT_BUDGET: u32 = 80;

/// A successor needs some seconds until its data flows; with less than this, connections would do nothing but follow each
/// other.
const SHORTEST_ROTATION: Duration = Duration::from_secs(10);

impl Settings {
    /// Checks what can be checked without a network.
    ///
    /// # Errors
    /// The first thing that is wrong. The feed says so in the log and waits for other settings.
    pub fn check(&self) -> Result<(), BadSettings> {
        StreamUrl::parse(&self.stream_url).map_err(BadSettings::StreamUrl)?;
        RestUrl::parse(&self.rest_url).map_err(BadSettings::RestUrl)?;
        if self.intervals.is_empty() {
            return Err(BadSettings::NoInterval);
        }
        if self.weight_budget_per_minute < MIN_WEIGHT_BUDGET {
            return Err(BadSettings::WeightBudget(self.weight_budget_per_minute));
        }
        let second = Duration::from_secs(1);
        for (name, value, least) in [
            ("stale_after", self.stale_after, second),
            ("refresh_symbols_after", self.refresh_symbols_after, second),
            ("rotate_after", self.rotate_after, SHORTEST_ROTATION),
        ] {
            if value < least {
                return Err(BadSettings::TooShort { name, least, value });
            }
        }
        Ok(())
    }

    /// Whether the settings want this pair, whatever its status.
    pub(crate) fn want(&self, info: &SymbolInfo) -> bool {
        let chosen = match &self.symbols {
            // The quote asset is compared, never the end of the name: 456 is a quote asset too.
            None => self.quote_assets.contains(&info.quote),
            Some(symbols) => symbols.contains(&info.symbol),
        };
        chosen && !self.exclude_symbols.contains(&info.symbol)
    }

    /// The chosen intervals, shortest first, each once.
    pub(crate) fn distinct_intervals(&self) -> Vec<Interval> {
        let mut intervals = self.intervals.clone();
        intervals.sort_unstable();
        intervals.dedup();
        intervals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_usable() {
        assert_eq!(Settings::default().check(), Ok(()));
    }

    #[test]
    fn what_cannot_work_is_named() {
        let refused = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.check().expect_err("must be refused").to_string()
        };
        assert!(refused(|s| s.stream_url = "ws://example.com".into()).starts_with("stream_url: "));
        assert!(refused(|s| s.rest_url = "wss://data-api.binance.vision".into()).starts_with("rest_url: "));
        assert!(refused(|s| s.intervals.clear()).contains("no interval"));
        assert!(refused(|s| s.weight_budget_per_minute = 79).contains("79"));
        assert!(refused(|s| s.stale_after = Duration::ZERO).contains("stale_after"));
        assert_eq!(refused(|s| s.rotate_after = Duration::from_secs(9)), "rotate_after must be at least 10s, not 9s");
        assert_eq!(Settings { symbol_grace: Duration::ZERO, ..Settings::default() }.check(), Ok(()));
    }

    #[test]
    fn intervals_are_sorted_and_distinct() {
        let settings = Settings { intervals: vec![Interval::H1, Interval::M1, Interval::H1], ..Settings::default() };
        assert_eq!(settings.distinct_intervals(), [Interval::M1, Interval::H1]);
    }
}
