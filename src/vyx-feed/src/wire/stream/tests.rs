//! Frames as the exchange sends them, and as it should not.

use super::*;
use proptest::prelude::*;

const KLINE: &str = r#"{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1795176042011,"s":"BTCUSDT","k":{"t":1795176000000,"T":1795176059999,"s":"BTCUSDT","i":"1m","f":6912345001,"L":6912345120,"o":"91250.01000000","c":"91260.50000000","h":"91262.00000000","l":"91249.99000000","v":"12.34567000","n":120,"x":false,"q":"1126587.12345678","V":"7.10000000","Q":"647901.00000000","B":"0"}}}"#;

#[test]
fn every_field_of_a_kline_lands_where_it_belongs() {
    let expected = Kline {
        open_time: Millis(1795176000000),
        open: 91250.01,
        high: 91262.0,
        low: 91249.99,
        close: 91260.5,
        volume: 12.34567,
        quote_volume: 1126587.12345678,
        trades: 120,
        taker_buy_volume: 7.1,
        taker_buy_quote_volume: 647901.0,
        closed: false,
        revision: 0,
        provenance: Provenance::Stream,
    };
    assert_eq!(
        frame(KLINE.as_bytes()),
        Ok(Frame::Kline {
            symbol: Symbol::new("BTCUSDT").unwrap(),
            interval: Interval::M1,
            event_time: Millis(1795176042011),
            kline: expected,
        })
    );
    let closing = KLINE.replace(r#""x":false"#, r#""x":true"#);
    assert!(matches!(frame(closing.as_bytes()), Ok(Frame::Kline { kline: Kline { closed: true, .. }, .. })));
}

#[test]
fn an_exchange_whose_clock_is_five_minutes_behind_is_understood() {
    let late = KLINE.replace("1795176042011", "1795175742011");
    assert!(matches!(frame(late.as_bytes()), Ok(Frame::Kline { .. })));
}

#[test]
fn a_kline_without_trades_is_a_kline() {
    let flat = KLINE
        .replace(r#""n":120"#, r#""n":0"#)
        .replace(r#""f":6912345001,"L":6912345120"#, r#""f":-1,"L":-1"#)
        .replace("91250.01000000", "91260.50000000")
        .replace("91262.00000000", "91260.50000000")
        .replace("91249.99000000", "91260.50000000")
        .replace(r#""v":"12.34567000""#, r#""v":"0.00000000""#);
    assert!(matches!(frame(flat.as_bytes()), Ok(Frame::Kline { kline: Kline { trades: 0, .. }, .. })));
}

#[test]
fn a_symbol_of_another_script_is_read_plain_and_escaped() {
    for name in ["币安人生USDT", r"\u5e01\u5b89\u4eba\u751fUSDT"] {
        let text = KLINE.replace("BTCUSDT", name);
        let Ok(Frame::Kline { symbol, .. }) = frame(text.as_bytes()) else { panic!("{text}") };
        assert_eq!(symbol.as_str(), "币安人生USDT");
    }
}

/// Each row spoils the good kline in one place.
#[test]
fn what_is_no_kline_is_refused() {
    let rows = [
        ("truncated", r#""B":"0"}}}"#, r#""B":"0"}"#),
        ("missing field", r#""q":"1126587.12345678","#, ""),
        ("wrong type", r#""n":120"#, r#""n":"120""#),
        ("negative trades", r#""n":120"#, r#""n":-1"#),
        ("trades beyond 64 bits", r#""n":120"#, r#""n":99999999999999999999"#),
        ("number for a decimal", r#""o":"91250.01000000""#, r#""o":91250.01"#),
        ("NaN", "91250.01000000", "NaN"),
        ("infinity", "91250.01000000", "1e999"),
        ("negative zero", r#""v":"12.34567000""#, r#""v":"-0""#),
        ("negative volume", r#""v":"12.34567000""#, r#""v":"-1.0""#),
        ("price of zero", "91249.99000000", "0.00000000"),
        ("high below close", "91262.00000000", "91255.00000000"),
        ("low above open", "91249.99000000", "91251.00000000"),
        ("open time off the grid", "1795176000000", "1795176000001"),
        ("close time off the grid", "1795176059999", "1795176060000"),
        ("microseconds", "1795176042011", "1795176042011000"),
        ("an event long before the open", "1795176042011", "1795175399999"),
        ("another interval than the stream's", r#""i":"1m""#, r#""i":"5m""#),
        ("unknown interval", r#"1m"#, r#"1D"#),
        ("no symbol", r#""s":"BTCUSDT","k""#, r#""s":"","k""#),
        ("symbol with a slash", r#""s":"BTCUSDT","k""#, r#""s":"BTC/USDT","k""#),
        ("escape cut short", r#""s":"BTCUSDT","k""#, r#""s":"\u12","k""#),
    ];
    for (what, from, to) in rows {
        let spoiled = KLINE.replace(from, to);
        assert_ne!(spoiled, KLINE, "{what}: nothing was replaced");
        assert!(frame(spoiled.as_bytes()).is_err(), "{what}");
    }
    assert!(frame(&KLINE.as_bytes()[..KLINE.len() - 100]).is_err());
    let mut bad_utf8 = KLINE.as_bytes().to_vec();
    bad_utf8[12] = 0xff;
    assert!(frame(&bad_utf8).is_err());
    for text in [
        "",
        "null",
        "1",
        "[]",
        "[1]",
        "{",
        r#"{"stream":"btcusdt@kline_1m"}"#,
        r#"{"stream":"btcusdt@kline_1m","data":null}"#,
    ] {
        assert!(frame(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn what_nobody_asked_for_is_unknown_and_no_error() {
    for text in [
        "{}",
        r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade"}}"#,
        r#"{"stream":"btcusdt@kline_1d@+08:00","data":{"e":"kline"}}"#,
        r#"{"stream":"btcusdt@kind_of_tomorrow","data":[1,2]}"#,
        r#"{"e":"somethingNew","E":1}"#,
        r#"{"event":{"e":"somethingNew"}}"#,
        r#"{"event":7}"#,
    ] {
        assert_eq!(frame(text.as_bytes()), Ok(Frame::Unknown), "{text}");
    }
}

#[test]
fn a_shutdown_is_heard_in_every_form() {
    for text in [
        r#"{"event":{"e":"serverShutdown","E":1795176000123}}"#,
        r#"{"e":"serverShutdown","E":1795176000123}"#,
        r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1795176000123}}"#,
    ] {
        assert_eq!(frame(text.as_bytes()), Ok(Frame::Shutdown));
    }
}

#[test]
fn replies_are_read_flat_and_nested() {
    let check = |text: &str, id: Option<u64>, error: Option<(i64, &str)>| {
        let error = error.map(|(code, message)| ReplyError { code, message: message.to_owned() });
        assert_eq!(frame(text.as_bytes()), Ok(Frame::Reply(Reply { id, error })), "{text}");
    };
    check(r#"{"result":null,"id":1}"#, Some(1), None);
    check(r#"{"result":["btcusdt@kline_1m"],"id":3}"#, Some(3), None);
    check(r#"{"result":null,"id":null}"#, None, None);
    check(
        r#"{"code":2,"msg":"Invalid request: too many parameters","id":7}"#,
        Some(7),
        Some((2, "Invalid request: too many parameters")),
    );
    check(
        r#"{"error":{"code":4,"msg":"Too many subscriptions"},"id":8}"#,
        Some(8),
        Some((4, "Too many subscriptions")),
    );
    check(r#"{"error":{"code":3,"msg":"Invalid JSON"},"id":null}"#, None, Some((3, "Invalid JSON")));
    check(r#"{"code":3,"msg":"Invalid JSON"}"#, None, Some((3, "Invalid JSON")));
}

#[test]
fn the_ticker_stream_is_read() {
    let text = r#"{"stream":"!miniTicker@arr","data":[{"e":"24hrMiniTicker","E":1795176001015,"s":"BTCUSDT","c":"91260.5","o":"90000.0","h":"92100.0","l":"89500.1","v":"18345.12","q":"1668123456.78"}]}"#;
    let Ok(Frame::Tickers(read)) = frame(text.as_bytes()) else { panic!("not taken") };
    assert_eq!((read.tickers.len(), read.dropped), (1, 0));
}

/// The members of an object in some order, now and then one twice or not at all.
fn members(of: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    (Just(of.to_vec()).prop_shuffle(), 0..of.len() + 3, prop::sample::select(of)).prop_map(|(mut members, at, more)| {
        // Most frames stay whole: the others are refused soon.
        if at == members.len() {
            members.pop();
        } else if at > members.len() {
            members.push(more);
        }
        members
    })
}

const OUTER: &[&str] = &[r#""stream":"btcusdt@kline_1m""#, "DATA"];
const MORE: &[&str] = &[
    r#""id":1"#,
    r#""result":null"#,
    r#""code":"x""#,
    r#""e":"serverShutdown""#,
    r#""new":[1]"#,
    r#""stream":"!serverShutdown""#,
    r#""data":7"#,
];
const EVENT: &[&str] =
    &[r#""e":"kline""#, r#""E":1795176042011"#, r#""s":"BTCUSDT""#, r#""new":{"a":["\u12ff",1e99]}"#, "K"];
const FIELDS: &[&str] = &[
    r#""t":1795176000000"#,
    r#""T":1795176059999"#,
    r#""s":"BTCUSDT""#,
    r#""i":"1m""#,
    r#""f":-1"#,
    r#""o":"91250.01000000""#,
    r#""c":"91260.50000000""#,
    r#""h":"91262.00000000""#,
    r#""l":"91249.99000000""#,
    r#""v":"12.34567000""#,
    r#""n":120"#,
    r#""x":false"#,
    r#""q":"1126587.12345678""#,
    r#""V":"7.10000000""#,
    r#""Q":"647901.00000000""#,
];

/// Frames of klines with their members in any order, and others beside them.
fn shuffled() -> impl Strategy<Value = String> {
    let more = prop::option::weighted(0.3, prop::sample::select(MORE));
    (members(OUTER), more, members(EVENT), members(FIELDS)).prop_map(|(mut outer, more, event, fields)| {
        outer.extend(more);
        let fields = format!(r#""k":{{{}}}"#, fields.join(","));
        let event = format!(r#""data":{{{}}}"#, event.join(",").replace('K', &fields));
        format!("{{{}}}", outer.join(",").replace("DATA", &event))
    })
}

/// Cuts out bytes of a text and puts others there.
fn spoiled(text: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let words: &[&[u8]] = &[
        b"",
        b" ",
        b"\n",
        b"\\",
        b"\\u0041",
        b"\"",
        b"@",
        b"\xff",
        b"\x01",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b"null",
        b"1e5",
        b"-0",
        b"9223372036854775808",
        b"\"id\":1,",
        b"\"k\":1,",
        b"\xe5\xb8\x81",
    ];
    let edit = (any::<prop::sample::Index>(), 0..6_usize, prop::sample::select(words));
    (text, prop::collection::vec(edit, 0..3)).prop_map(|(text, edits)| {
        let mut bytes = text.into_bytes();
        for (at, count, word) in edits {
            let at = at.index(bytes.len() + 1);
            let end = bytes.len().min(at + count);
            bytes.splice(at..end, word.iter().copied());
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_one_pass_over_a_frame_says_two_passes_say_too(
        bytes in spoiled(prop_oneof![shuffled(), Just(KLINE.to_owned())])
    ) {
        if let Some(said) = kline_frame(&bytes) {
            prop_assert_eq!(said, any_frame(&bytes), "{}", String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn the_usual_frame_of_a_kline_is_read_in_one_pass() {
    assert!(matches!(kline_frame(KLINE.as_bytes()), Some(Ok(Frame::Kline { .. }))));
}
