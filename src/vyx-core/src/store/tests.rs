//! Helpers of the store's unit tests.

use super::*;
use crate::{Kline, Provenance, Symbol, SymbolInfo, SymbolStatus};

/// A store in memory that lives until the test process ends.
pub(super) fn store(max_symbols: u32, intervals: &[(Interval, u32)]) -> Store<'static> {
    let shape = Shape::new(max_symbols, intervals).unwrap();
    let words: Vec<AtomicU64> = (0..shape.words()).map(|_| AtomicU64::new(0)).collect();
    Store::initialize(Vec::leak(words), &shape).unwrap()
}

pub(super) fn info(symbol: &str) -> SymbolInfo {
    SymbolInfo {
        symbol: Symbol::new(symbol).unwrap(),
        base: Symbol::new(symbol.strip_suffix("USDT").unwrap_or("X")).unwrap(),
        quote: Symbol::new("USDT").unwrap(),
        status: SymbolStatus::Trading,
        tick_size: 0.01,
        step_size: 0.001,
    }
}

/// A kline at `1m` with this ordinal whose numbers say which one it is.
pub(super) fn kline(ordinal: i64, trades: u64, closed: bool) -> Kline {
    let base = 1.0 + (ordinal.unsigned_abs() % 1_000) as f64;
    Kline {
        open_time: Interval::M1.open_time(ordinal),
        open: base,
        high: base + 3.0,
        low: base - 0.5,
        close: base + 1.0,
        volume: 10.0 * base,
        quote_volume: 20.0 * base,
        trades,
        taker_buy_volume: 4.0 * base,
        taker_buy_quote_volume: 8.0 * base,
        closed,
        revision: 0,
        provenance: Provenance::Stream,
    }
}

/// A store of one `1m` series with this many slots, its writer and the series.
pub(super) fn one_series(slots: u32) -> (Writer<'static>, Series) {
    let writer = Writer::attach(store(1, &[(Interval::M1, slots)]));
    let id = writer.put_symbol(&info("BTCUSDT"), Millis(0)).unwrap();
    let series = writer.store().series(id, Interval::M1).unwrap();
    (writer, series)
}

#[test]
fn a_kline_that_was_put_is_read() {
    let (writer, series) = one_series(4);
    let store = writer.store();
    assert_eq!(store.last(series, 10, true, None), Err(ReadError::NeverFilled));
    for ordinal in 100..110 {
        writer.put_kline(series, &kline(ordinal, 5, true));
    }
    writer.put_kline(series, &kline(110, 1, false));
    let expected: Vec<Kline> = (107..110).map(|n| kline(n, 5, true)).chain([kline(110, 1, false)]).collect();
    assert_eq!(store.last(series, 10, true, None).unwrap(), expected);
    assert_eq!(store.last(series, 10, false, None).unwrap(), expected[..3]);
    assert_eq!(store.last(series, 1, true, Some(Interval::M1.open_time(109))).unwrap(), expected[1..2]);
    assert_eq!(store.closes(series, 2).unwrap(), [expected[1].close, expected[2].close]);
    assert_eq!(store.newest(series).unwrap(), expected[3]);
    assert_eq!(store.closed(series, 0, 108).unwrap(), expected[..2]);
}
