//! `GET /api/v3/klines`.
//!
//! Bounds are inclusive and compare the open time. Without a start the newest rows up to the end are given, with
//! one the oldest from there; always in ascending order, the open kline included.

use super::parameters::place;
use super::{Call, Refusal};
use crate::event::TimeUnit;
use crate::fault::Kind;
use crate::interval::Interval;
use crate::market::{Kline, ReaderMemory, decimal};
use crate::settings::limits;
use std::fmt::Write;

/// From this on a time in a request is taken for microseconds.
const MICROSECONDS_FROM: i64 = 100_000_000_000_000;

pub fn answer(call: &Call) -> Result<String, Refusal> {
    let parameters = &call.parameters;
    let place = place(call.exchange, "symbol", parameters.needed("symbol")?)?;
    let interval = parameters.needed("interval")?;
    let interval = Interval::parse(interval).ok_or_else(|| Refusal::new(-1120, "Invalid interval."))?;
    let start = parameters.number("startTime")?.map(millis);
    let end = parameters.number("endTime")?.map(millis);
    let limit = match parameters.get("limit") {
        None => limits::KLINES_DEFAULT,
        Some(text) => match text.parse::<i64>() {
            Ok(limit) if limit > 0 => (limit as usize).min(limits::KLINES),
            _ => return Err(Refusal::new(-1130, "Data sent for parameter 'limit' is not valid.")),
        },
    };
    parameters.only(&["symbol", "interval", "startTime", "endTime", "limit"])?;

    let mut memory = ReaderMemory::default();
    let mut reader = call.exchange.market.reader(place, &mut memory);
    let (from, to) = (start.unwrap_or(i64::MIN), end.unwrap_or(i64::MAX));
    let mut rows = match start {
        Some(_) => reader.forwards(interval, from, to, limit, call.now),
        None => reader.backwards(interval, from, to, limit, call.now),
    };
    rows.retain(|kline| !in_hole(call, place, kline));

    let mut text = String::with_capacity(2 + rows.len() * 180);
    text.push('[');
    for (index, kline) in rows.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        row(kline, call.unit, &mut text);
    }
    text.push(']');
    Ok(text)
}

/// Whether the fault `hole` takes this kline out of history. A page with holes is shorter, as if fewer existed.
fn in_hole(call: &Call, place: usize, kline: &Kline) -> bool {
    let symbol = &call.exchange.market.symbols()[place].name;
    let mut faults = call.exchange.faults();
    let hole = faults.act(Kind::Hole, |hole| {
        hole.symbol.as_deref() == Some(symbol)
            && hole.interval.as_deref() == Some(kline.interval.name())
            && hole.from.is_some_and(|from| from <= kline.open_time)
            && hole.to.is_some_and(|to| kline.open_time <= to)
    });
    hole.is_some()
}

/// Times may be given in milliseconds or microseconds.
fn millis(time: i64) -> i64 {
    if time >= MICROSECONDS_FROM { time / 1_000 } else { time }
}

fn row(kline: &Kline, unit: TimeUnit, text: &mut String) {
    let [open, high, low, close] = kline.price_strings();
    let _ = write!(
        text,
        r#"[{},"{open}","{high}","{low}","{close}","{}",{},"{}",{},"{}","{}","0"]"#,
        unit.moment(kline.open_time),
        decimal(kline.volume),
        unit.last_moment(kline.close_time),
        decimal(kline.quote_volume),
        kline.trades,
        decimal(kline.taker_buy_volume),
        decimal(kline.taker_buy_quote_volume),
    );
}
