//! Bytes of the exchange into words of vyx-core, and nothing else: no socket, no state, no clock.
//!
//! Field names follow <https://github.com/binance/binance-spot-api-docs>. Keys differ only by case (`t` and `T`), unknown
//! fields and unknown events are normal, and decimals come as strings. What is taken is checked: times against the
//! interval's calendar, numbers for being those of a real market.

mod answer;
mod stream;
mod ticker;

pub use answer::{ExchangeInfo, History, Refusal, exchange_info, history, refusal, server_time};
pub use stream::{Frame, Reply, ReplyError, frame};
pub use ticker::{Tickers, tickers};

use vyx_core::{Interval, Kline, Millis, Provenance};

/// Bytes that cannot be taken, with the reason. Whoever meets one drops it, counts it and goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Unreadable {
        Unreadable(error.to_string())
    }
}

pub(crate) fn unreadable<T>(reason: impl Into<String>) -> Result<T, Unreadable> {
    Err(Unreadable(reason.into()))
}

/// A decimal as the exchange writes it: digits with at most one point. Rust's own parser would also take
/// `NaN`, `inf`, `-0` and exponents, none of which belongs into a market.
///
/// Nearly all are read in one pass: a quotient of two integers that a float holds exactly is rounded once, to the float
/// that is nearest to the decimal (Clinger, "How to read floating point numbers accurately", 1990).
fn decimal(text: &str) -> Result<f64, Unreadable> {
    let (mut integer, mut point) = (0_u64, None);
    for (at, byte) in text.bytes().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            integer = integer.wrapping_mul(10).wrapping_add(u64::from(digit));
        } else if byte == b'.' && at > 0 && point.is_none() {
            point = Some(at);
        } else {
            return not_decimal(text);
        }
    }
    let digits = text.len() - usize::from(point.is_some());
    let decimals = point.map_or(0, |at| digits - at);
    match POWERS_OF_TEN.get(decimals) {
        // 19 digits do not overflow.
        Some(power) if (1..=19).contains(&digits) && integer <= 1 << f64::MANTISSA_DIGITS => Ok(integer as f64 / power),
        _ => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => not_decimal(text),
        },
    }
}

#[cold]
fn not_decimal(text: &str) -> Result<f64, Unreadable> {
    unreadable(format!("\"{}\" is no decimal number", text.escape_debug()))
}

/// Those that a float holds exactly.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// A time in milliseconds. From 10^14 on it would be the year 5138, and certainly is microseconds.
fn millis(number: i64) -> Result<Millis, Unreadable> {
    if (0..100_000_000_000_000).contains(&number) {
        Ok(Millis(number))
    } else {
        unreadable(format!("{number} is no time in milliseconds"))
    }
}

/// The fields of a kline as both stream and history spell them, unchecked.
struct RawKline<'a> {
    open_time: i64,
    close_time: i64,
    open: &'a str,
    high: &'a str,
    low: &'a str,
    close: &'a str,
    volume: &'a str,
    quote_volume: &'a str,
    trades: u64,
    taker_buy_volume: &'a str,
    taker_buy_quote_volume: &'a str,
}

/// What a well-formed kline may still turn out to be.
enum Checked {
    Good(Kline),
    /// Its times are not those of the interval, as for some klines after the outage of 2018-02-08, or its numbers
    /// contradict each other.
    Impossible(&'static str),
}

impl RawKline<'_> {
    fn check(&self, interval: Interval, closed: bool, provenance: Provenance) -> Result<Checked, Unreadable> {
        let (open_time, close_time) = (millis(self.open_time)?, millis(self.close_time)?);
        let ordinal = interval.ordinal(open_time);
        let kline = Kline {
            open_time,
            open: decimal(self.open)?,
            high: decimal(self.high)?,
            low: decimal(self.low)?,
            close: decimal(self.close)?,
            volume: decimal(self.volume)?,
            quote_volume: decimal(self.quote_volume)?,
            trades: self.trades,
            taker_buy_volume: decimal(self.taker_buy_volume)?,
            taker_buy_quote_volume: decimal(self.taker_buy_quote_volume)?,
            closed,
            revision: 0,
            provenance,
        };
        Ok(if interval.open_time(ordinal) != open_time || interval.close_time(ordinal) != close_time {
            Checked::Impossible("open and close time are not those of the interval")
        } else if !kline.is_plausible() {
            Checked::Impossible("the numbers are not those of a kline")
        } else {
            Checked::Good(kline)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_decimal_is_digits_and_a_point() {
        assert_eq!(decimal("91250.01000000"), Ok(91250.01));
        assert_eq!(decimal("0"), Ok(0.0));
        assert_eq!(decimal("1."), Ok(1.0));
        // Integers up to 2^53 and powers up to 10^22 are exact; each row lies at one of these edges.
        for edge in [
            "9007199254740992",
            "9007199254740993",
            "9007199254740.993",
            "18446744073709551617",
            "0.0000000000000000000001",
            "0.00000000000000000000001",
            "1.0000000000000000000",
        ] {
            assert_eq!(decimal(edge), Ok(edge.parse().unwrap()), "{edge}");
        }
        let too_long = "9".repeat(400);
        for bad in ["", ".", ".5", "NaN", "inf", "1e999", "1e5", "-0", "-1.0", "+1", "1.2.3", " 1", "1_0", &too_long] {
            assert!(decimal(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_time_in_microseconds_is_refused() {
        assert_eq!(millis(1_795_176_042_011), Ok(Millis(1_795_176_042_011)));
        assert!(millis(1_795_176_042_011_000).is_err());
        assert!(millis(-1).is_err());
        assert!(millis(i64::MIN).is_err());
    }

    /// JSON-like noise around the real field names reaches deeper than random bytes do.
    fn noise() -> impl Strategy<Value = Vec<u8>> {
        let word = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "null",
            "true",
            "1",
            "-1",
            "9223372036854775807",
            "1e999",
            "\"stream\"",
            "\"data\"",
            "\"btcusdt@kline_1m\"",
            "\"!miniTicker@arr\"",
            "\"e\"",
            "\"E\"",
            "\"k\"",
            "\"t\"",
            "\"id\"",
            "\"error\"",
            "\"symbols\"",
            "\"code\"",
            "\"serverTime\"",
            "\u{5e01}",
            "\\u12",
        ]);
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            prop::collection::vec(word, 0..40).prop_map(|words| words.concat().into_bytes()),
        ]
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in noise()) {
            let _ = frame(&bytes);
            let _ = tickers(&bytes);
            let _ = exchange_info(&bytes);
            let _ = server_time(&bytes);
            let _ = refusal(&bytes);
            for interval in Interval::ALL {
                let _ = history(&bytes, interval);
            }
        }

        #[test]
        fn no_times_make_the_calendar_panic(t in any::<i64>(), span in any::<i64>(), index in 0u8..16) {
            let interval = Interval::from_index(index).unwrap();
            let end = t.wrapping_add(span);
            let body = format!(r#"[[{t},"1","1","1","1","1",{end},"1",1,"1","1","0"]]"#);
            let _ = history(body.as_bytes(), interval);
        }

        #[test]
        fn a_decimal_is_read_to_the_last_bit(text in "[0-9]{1,24}(\\.[0-9]{0,26})?") {
            let read = decimal(&text).map(f64::to_bits);
            prop_assert_eq!(read, Ok(text.parse::<f64>().unwrap().to_bits()));
        }

        #[test]
        fn what_is_a_decimal_is_as_the_first_reading_of_it_had_it(text in "[0-9.]{0,12}[-+eE_ x0-9.]{0,3}[0-9.]{0,12}") {
            let begins = text.starts_with(|c: char| c.is_ascii_digit());
            let is_decimal = begins && !text.contains(|c: char| !c.is_ascii_digit() && c != '.');
            let slowly = text.parse::<f64>().ok().filter(|_| is_decimal);
            prop_assert_eq!(decimal(&text).ok(), slowly);
        }
    }
}
