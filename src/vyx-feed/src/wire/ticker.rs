//! 24 h statistics: the array stream `!miniTicker@arr` and the REST seed carry the same numbers under other names.

use super::{Unreadable, decimal, millis, unreadable};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use vyx_core::{Symbol, Ticker};

/// The readable elements of an array of tickers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tickers {
    pub tickers: Vec<(Symbol, Ticker)>,
    /// Elements that were dropped as unreadable.
    pub dropped: usize,
}

/// One element; the first name is the stream's, the alias the one of `GET /api/v3/ticker/24hr`.
#[derive(Deserialize)]
struct RawTicker<'a> {
    #[serde(rename = "E", alias = "closeTime")]
    event_time: i64,
    #[serde(rename = "s", alias = "symbol", borrow)]
    symbol: Cow<'a, str>,
    #[serde(rename = "c", alias = "lastPrice")]
    last_price: &'a str,
    #[serde(rename = "o", alias = "openPrice")]
    open_price: &'a str,
    #[serde(rename = "h", alias = "highPrice")]
    high_price: &'a str,
    #[serde(rename = "l", alias = "lowPrice")]
    low_price: &'a str,
    #[serde(rename = "v", alias = "volume")]
    volume: &'a str,
    #[serde(rename = "q", alias = "quoteVolume")]
    quote_volume: &'a str,
}

/// Reads an array of tickers. An element that cannot be read costs that symbol's news, not the array.
///
/// # Errors
/// The bytes are no JSON array.
pub fn tickers(bytes: &[u8]) -> Result<Tickers, Unreadable> {
    let elements: Vec<&RawValue> = serde_json::from_slice(bytes)?;
    let mut read = Tickers { tickers: Vec::with_capacity(elements.len()), dropped: 0 };
    for element in elements {
        match ticker(element.get()) {
            Ok(ticker) => read.tickers.push(ticker),
            Err(_) => read.dropped += 1,
        }
    }
    Ok(read)
}

fn ticker(element: &str) -> Result<(Symbol, Ticker), Unreadable> {
    let raw: RawTicker = serde_json::from_str(element)?;
    let symbol = Symbol::new(&raw.symbol).or_else(|error| unreadable(error.to_string()))?;
    let ticker = Ticker {
        last_price: decimal(raw.last_price)?,
        open_price: decimal(raw.open_price)?,
        high_price: decimal(raw.high_price)?,
        low_price: decimal(raw.low_price)?,
        volume: decimal(raw.volume)?,
        quote_volume: decimal(raw.quote_volume)?,
        event_time: millis(raw.event_time)?,
    };
    Ok((symbol, ticker))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vyx_core::Millis;

    #[test]
    fn stream_and_seed_read_alike() {
        let stream = br#"[{"e":"24hrMiniTicker","E":1795176001015,"s":"BTCUSDT","c":"91260.5","o":"90000.0","h":"92100.0","l":"89500.1","v":"18345.12","q":"1668123456.78"}]"#;
        let seed = br#"[{"symbol":"BTCUSDT","openPrice":"90000.0","highPrice":"92100.0","lowPrice":"89500.1","lastPrice":"91260.5","volume":"18345.12","quoteVolume":"1668123456.78","openTime":1795089601015,"closeTime":1795176001015,"firstId":1,"lastId":2,"count":2}]"#;
        let read = tickers(stream).unwrap();
        assert_eq!(read, tickers(seed).unwrap());
        assert_eq!((read.tickers.len(), read.dropped), (1, 0));
        let (symbol, ticker) = read.tickers[0];
        assert_eq!(symbol.as_str(), "BTCUSDT");
        assert_eq!((ticker.last_price, ticker.open_price), (91260.5, 90000.0));
        assert_eq!((ticker.high_price, ticker.low_price), (92100.0, 89500.1));
        assert_eq!((ticker.volume, ticker.quote_volume), (18345.12, 1668123456.78));
        assert_eq!(ticker.event_time, Millis(1795176001015));
    }

    #[test]
    fn a_bad_element_does_not_cost_the_others() {
        let read = tickers(
            r#"[{"E":1,"s":"币安人生USDT","c":"1","o":"0","h":"1","l":"1","v":"0","q":"0"},
                {"E":1,"s":"AUSDT","c":"NaN","o":"1","h":"1","l":"1","v":"0","q":"0"},
                {"E":1,"s":"BUSDT","c":"1","o":"1","h":"1","l":"1","v":"-3","q":"0"},
                {"E":1,"s":"A/B","c":"1","o":"1","h":"1","l":"1","v":"0","q":"0"}, 7]"#
                .as_bytes(),
        )
        .unwrap();
        assert_eq!((read.tickers.len(), read.dropped), (1, 4));
    }
}
