//! Answers as the exchange writes them, and as it should not.

use super::*;

const ROWS: &str = r#"[[1795175940000,"91240.0","91255.0","91231.0","91250.01","9.87654","1795175999999","901234.1",98,"5.0","456250.0","0"]]"#;

fn row(open: i64, close: i64) -> String {
    format!(r#"[{open},"91240.0","91255.0","91231.0","91250.01","9.87654",{close},"901234.1",98,"5.0","456250.0","0"]"#)
}

fn page(rows: &[String]) -> String {
    format!("[{}]", rows.join(","))
}

#[test]
fn a_row_of_history_is_a_closed_kline() {
    let text = page(&[row(1795175940000, 1795175999999)]);
    let expected = Kline {
        open_time: Millis(1795175940000),
        open: 91240.0,
        high: 91255.0,
        low: 91231.0,
        close: 91250.01,
        volume: 9.87654,
        quote_volume: 901234.1,
        trades: 98,
        taker_buy_volume: 5.0,
        taker_buy_quote_volume: 456250.0,
        closed: true,
        revision: 0,
        provenance: Provenance::History,
    };
    assert_eq!(history(text.as_bytes(), Interval::M1), Ok(History { klines: vec![expected], dropped: 0 }));
    assert_eq!(history(b"[]", Interval::M1), Ok(History::default()));
}

#[test]
fn a_column_of_tomorrow_does_no_harm_and_a_missing_one_does() {
    let good = row(1795175940000, 1795175999999);
    let longer = good.replace(r#","0"]"#, r#","0",{"new":[1]}]"#);
    assert_eq!(history(page(&[longer]).as_bytes(), Interval::M1).unwrap().klines.len(), 1);
    let shorter = good.replace(r#","456250.0","0"]"#, "]");
    assert!(history(page(&[shorter]).as_bytes(), Interval::M1).is_err());
}

#[test]
fn a_page_with_a_malformed_row_says_nothing() {
    assert!(history(ROWS.as_bytes(), Interval::M1).is_err(), "a close time in quotes");
    assert!(history(br#"{"code":-1121,"msg":"Invalid symbol."}"#, Interval::M1).is_err());
    let twice = page(&[row(1795175940000, 1795175999999), row(1795175940000, 1795175999999)]);
    assert!(history(twice.as_bytes(), Interval::M1).is_err(), "rows that do not ascend");
}

#[test]
fn rows_off_the_calendar_are_dropped_and_counted() {
    let text = page(&[row(1795175940000, 1795175999999), row(1795176000000 + 28_000, 1795176059999)]);
    let read = history(text.as_bytes(), Interval::M1).unwrap();
    assert_eq!((read.klines.len(), read.dropped), (1, 1));
}

#[test]
fn exchange_info_of_today_is_read() {
    let body = r#"{"timezone":"UTC","serverTime":1795176000123,
        "rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000},
                      {"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":300000}],
        "exchangeFilters":[],
        "symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","isSpotTradingAllowed":true,
            "filters":[{"filterType":"PRICE_FILTER","tickSize":"0.01000000"},{"filterType":"LOT_SIZE","stepSize":"0.00001000"}],
            "permissions":[],"permissionSets":[]},
           {"symbol":"OLDUSDT","status":"SOMETHING_NEW","baseAsset":"OLD","quoteAsset":"USDT","isSpotTradingAllowed":true},
           {"symbol":"LEVUSDT","status":"TRADING","baseAsset":"LEV","quoteAsset":"USDT","isSpotTradingAllowed":false,"filters":[]},
           {"symbol":"B/DUSDT","status":"TRADING","baseAsset":"B/D","quoteAsset":"USDT","isSpotTradingAllowed":true,"filters":[]},
           {"nonsense":true}]}"#;
    let info = exchange_info(body.as_bytes()).unwrap();
    assert_eq!((info.server_time, info.weight_limit, info.dropped), (Millis(1795176000123), Some(6000), 2));
    let name = |text| Symbol::new(text).unwrap();
    assert_eq!(
        info.symbols[0],
        SymbolInfo {
            symbol: name("BTCUSDT"),
            base: name("BTC"),
            quote: name("USDT"),
            status: SymbolStatus::Trading,
            tick_size: 0.01,
            step_size: 0.00001,
        }
    );
    assert_eq!((info.symbols.len(), info.symbols[1].status), (2, SymbolStatus::Unknown));
    assert_eq!(info.others.iter().map(|other| other.symbol).collect::<Vec<_>>(), [name("LEVUSDT")]);
}

#[test]
fn errors_are_read_and_pages_of_a_firewall_are_not() {
    let expected = Refusal { code: -1121, message: "Invalid symbol.".to_owned() };
    assert_eq!(refusal(br#"{"code":-1121,"msg":"Invalid symbol."}"#), Some(expected));
    assert_eq!(refusal(b"<html>403 Forbidden</html>"), None);
    assert_eq!(server_time(br#"{"serverTime":1795176000123}"#), Ok(Millis(1795176000123)));
    assert!(server_time(b"{}").is_err());
}
