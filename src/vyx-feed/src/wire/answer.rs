//! Answers of the REST interface.

use super::{Checked, RawKline, Unreadable, decimal, millis, unreadable};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use vyx_core::{Interval, Kline, Millis, Provenance, Symbol, SymbolInfo, SymbolStatus};

/// What the feed reads of `GET /api/v3/exchangeInfo`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExchangeInfo {
    pub server_time: Millis,
    /// The pairs for spot trading, whatever their status.
    pub symbols: Vec<SymbolInfo>,
    /// The pairs that are for something else, or not for trading any more.
    pub others: Vec<SymbolInfo>,
    /// Rows that could not be read.
    pub dropped: usize,
    /// REST weight allowed in a minute, where it is announced.
    pub weight_limit: Option<u32>,
}

/// One page of `GET /api/v3/klines`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Oldest first, all marked closed: the caller asks for settled klines only.
    pub klines: Vec<Kline>,
    /// Rows off the calendar or with impossible numbers.
    pub dropped: usize,
}

impl History {
    /// The exchange had no row at all, not even one that was dropped.
    pub fn is_empty(&self) -> bool {
        self.klines.is_empty() && self.dropped == 0
    }
}

/// The body of an error answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    pub code: i64,
    #[serde(rename = "msg", default)]
    pub message: String,
}

#[derive(Deserialize)]
struct ServerTime {
    #[serde(rename = "serverTime")]
    server_time: i64,
}

#[derive(Deserialize)]
struct RawExchangeInfo<'a> {
    #[serde(rename = "serverTime")]
    server_time: i64,
    #[serde(borrow)]
    symbols: Vec<&'a RawValue>,
    #[serde(rename = "rateLimits", borrow, default)]
    rate_limits: Vec<RateLimit<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RateLimit<'a> {
    #[serde(borrow)]
    rate_limit_type: Cow<'a, str>,
    #[serde(borrow)]
    interval: Cow<'a, str>,
    interval_num: u32,
    limit: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSymbol<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    base_asset: Cow<'a, str>,
    #[serde(borrow)]
    quote_asset: Cow<'a, str>,
    is_spot_trading_allowed: bool,
    #[serde(borrow, default)]
    filters: Vec<Filter<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter<'a> {
    #[serde(borrow)]
    filter_type: Cow<'a, str>,
    #[serde(borrow)]
    tick_size: Option<Cow<'a, str>>,
    #[serde(borrow)]
    step_size: Option<Cow<'a, str>>,
}

/// Reads `GET /api/v3/time`.
///
/// # Errors
/// There is no time in it.
pub fn server_time(body: &[u8]) -> Result<Millis, Unreadable> {
    millis(serde_json::from_slice::<ServerTime>(body)?.server_time)
}

/// Reads the body of an error answer; `None` when it is something else, such as a firewall's page.
pub fn refusal(body: &[u8]) -> Option<Refusal> {
    serde_json::from_slice(body).ok()
}

/// Reads `GET /api/v3/exchangeInfo`, with the field sets of 2021 and of today. A row that cannot be read
/// costs that symbol, not the list.
///
/// # Errors
/// There is no list in it.
pub fn exchange_info(body: &[u8]) -> Result<ExchangeInfo, Unreadable> {
    let raw: RawExchangeInfo = serde_json::from_slice(body)?;
    let mut info = ExchangeInfo {
        server_time: millis(raw.server_time)?,
        symbols: Vec::with_capacity(raw.symbols.len()),
        others: Vec::new(),
        dropped: 0,
        weight_limit: raw
            .rate_limits
            .iter()
            .find(|r| r.rate_limit_type == "REQUEST_WEIGHT" && r.interval == "MINUTE" && r.interval_num == 1)
            .map(|r| r.limit),
    };
    for row in raw.symbols {
        match symbol_info(row.get()) {
            Ok((symbol, true)) => info.symbols.push(symbol),
            Ok((symbol, false)) => info.others.push(symbol),
            Err(_) => info.dropped += 1,
        }
    }
    Ok(info)
}

/// A pair, and whether it is for spot trading.
fn symbol_info(row: &str) -> Result<(SymbolInfo, bool), Unreadable> {
    let raw: RawSymbol = serde_json::from_str(row)?;
    let name = |text: &str| Symbol::new(text).or_else(|error| unreadable(error.to_string()));
    let step = |filter: &str, of: fn(&Filter<'_>) -> Option<f64>| {
        raw.filters.iter().filter(|f| f.filter_type == filter).find_map(of).unwrap_or(0.0)
    };
    let info = SymbolInfo {
        symbol: name(&raw.symbol)?,
        base: name(&raw.base_asset)?,
        quote: name(&raw.quote_asset)?,
        status: SymbolStatus::from_exchange(&raw.status),
        tick_size: step("PRICE_FILTER", |f| decimal(f.tick_size.as_ref()?).ok()),
        step_size: step("LOT_SIZE", |f| decimal(f.step_size.as_ref()?).ok()),
    };
    Ok((info, raw.is_spot_trading_allowed))
}

/// Reads `GET /api/v3/klines`.
///
/// # Errors
/// The body is no array of rows, a field is malformed, or the rows do not ascend: such a page says nothing, not even that
/// the rest of it is right.
pub fn history(body: &[u8], interval: Interval) -> Result<History, Unreadable> {
    let rows: Vec<Row> = serde_json::from_slice(body)?;
    if !rows.is_sorted_by(|a, b| a.0.open_time < b.0.open_time) {
        return unreadable("the klines do not ascend");
    }
    let mut page = History { klines: Vec::with_capacity(rows.len()), dropped: 0 };
    for Row(row) in rows {
        match row.check(interval, true, Provenance::History)? {
            Checked::Good(kline) => page.klines.push(kline),
            Checked::Impossible(_) => page.dropped += 1,
        }
    }
    Ok(page)
}

/// A kline as an array: open time, open, high, low, close, volume, close time, quote volume, trades, taker's base and
/// quote volume, and whatever the exchange appends one day.
struct Row<'a>(RawKline<'a>);

impl<'de> Deserialize<'de> for Row<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Row<'de>, D::Error> {
        deserializer.deserialize_seq(RowVisitor)
    }
}

struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = Row<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("a kline of at least 11 columns")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<Row<'de>, A::Error> {
        fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(row: &mut A) -> Result<T, A::Error> {
            row.next_element()?.ok_or_else(|| A::Error::custom("too few columns in a kline"))
        }
        let open_time = next(&mut row)?;
        let (open, high, low, close, volume) =
            (next(&mut row)?, next(&mut row)?, next(&mut row)?, next(&mut row)?, next(&mut row)?);
        let (close_time, quote_volume, trades) = (next(&mut row)?, next(&mut row)?, next(&mut row)?);
        let (taker_buy_volume, taker_buy_quote_volume) = (next(&mut row)?, next(&mut row)?);
        while row.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Row(RawKline {
            open_time,
            close_time,
            open,
            high,
            low,
            close,
            volume,
            quote_volume,
            trades,
            taker_buy_volume,
            taker_buy_quote_volume,
        }))
    }
}

#[cfg(test)]
mod tests;
