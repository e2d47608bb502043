//! From settings to an exchange: the market they describe, and which settings make no sense.

use crate::clock::Clock;
use crate::exchange::Exchange;
use crate::interval::Interval;
use crate::market::{Csv, Market};
use crate::settings::Settings;
use crate::symbols::{Status, Symbol};
use std::collections::{BTreeMap, HashMap};
use std::io;

/// An exchange whose market clock shows `start` now, and whose weight minutes count from `wall`; both in milliseconds
/// since the epoch.
///
/// # Errors
/// If a file of candles cannot be read, or the settings make no sense.
pub fn exchange(settings: Settings, start: i64, wall: i64) -> io::Result<Exchange> {
    let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidInput, error);
    if !(settings.speed > 0.0 && settings.speed <= 100_000.0) {
        return Err(invalid(format!("speed must be above 0 and at most 100000, not {}", settings.speed)));
    }
    let market = market(&settings).map_err(invalid)?;
    Ok(Exchange::new(market, Clock::new(start, settings.speed), Clock::new(wall, 1.0), settings))
}

/// The market that the settings describe.
fn market(settings: &Settings) -> Result<Market, String> {
    let mut symbols = settings.symbols.clone();
    let mut files = HashMap::new();
    // By name: symbols of files alone come into the market in the same order every time.
    for (name, (interval, path)) in settings.files.iter().collect::<BTreeMap<_, _>>() {
        let interval = Interval::parse(interval).ok_or_else(|| format!("{name}: unknown interval \"{interval}\""))?;
        files.insert(name.clone(), Csv::read(path, interval)?);
        match symbols.iter_mut().find(|symbol| symbol.name == *name) {
            Some(symbol) => (symbol.status, symbol.delisted) = (Status::Trading, None),
            None => symbols.push(named(name)?),
        }
    }
    if let Some(stranger) = settings.unlisted.iter().find(|name| symbols.iter().all(|symbol| symbol.name != **name)) {
        return Err(format!("{stranger}: cannot be unlisted, there is no such symbol"));
    }
    Ok(Market::new(settings.seed, symbols, files))
}

/// A symbol known by name only; base and quote are told apart by the usual quotes.
fn named(name: &str) -> Result<Symbol, String> {
    const QUOTES: [&str; 8] = ["USDT", "FDUSD", "USDC", "BTC", "ETH", "BNB", "EUR", "TRY"];
    let split = QUOTES.iter().find_map(|quote| Some((name.strip_suffix(quote)?, quote)));
    match split {
        Some((base, quote)) if !base.is_empty() => Ok(Symbol::new(base, quote, 1.0, 0.0, 0)),
        _ => Err(format!("{name}: the quote asset is none of {}", QUOTES.join(" "))),
    }
}
