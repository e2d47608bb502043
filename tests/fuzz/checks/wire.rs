//! Whatever bytes come from the exchange: nothing panics, and what is taken can be that of a market.

use vyx_core::{Interval, Kline, Millis, Provenance, Symbol, Ticker};
use vyx_feed::wire::{self, Frame, Tickers};

pub fn check_frame(bytes: &[u8]) {
    let said = wire::frame(bytes);
    // With a space before it, no frame is read the short way.
    let at_length = wire::frame(&[b" ", bytes].concat());
    match (&said, &at_length) {
        (Ok(short), Ok(long)) => assert_eq!(short, long),
        (Err(_), Err(_)) => {}
        _ => panic!("{said:?} and {at_length:?}"),
    }
    match said {
        Ok(Frame::Kline { symbol, interval, event_time, kline }) => {
            check_symbol(&symbol);
            check_time(event_time);
            check_kline(&kline, interval, Provenance::Stream);
        }
        Ok(Frame::Tickers(read)) => check_tickers(&read, bytes),
        Ok(Frame::Reply(reply)) => {
            let words = reply.error.map_or(0, |error| error.message.len());
            assert!(words <= bytes.len(), "no more words than bytes");
        }
        Ok(Frame::Shutdown | Frame::Unknown) => {}
        Err(unreadable) => assert!(unreadable.to_string().len() <= 200 + 10 * bytes.len(), "{unreadable}"),
    }
}

pub fn check_rest(bytes: &[u8]) {
    for interval in [Interval::S1, Interval::M1, Interval::H1, Interval::D3, Interval::W1, Interval::Mo1] {
        if let Ok(page) = wire::history(bytes, interval) {
            assert!(page.klines.len() + page.dropped <= bytes.len());
            assert!(page.klines.is_sorted_by(|a, b| a.open_time < b.open_time));
            for kline in &page.klines {
                assert!(kline.closed);
                check_kline(kline, interval, Provenance::History);
            }
        }
    }
    if let Ok(read) = wire::tickers(bytes) {
        check_tickers(&read, bytes);
    }
    if let Ok(info) = wire::exchange_info(bytes) {
        check_time(info.server_time);
        assert!(info.symbols.len() + info.dropped <= bytes.len());
        for row in &info.symbols {
            [row.symbol, row.base, row.quote].iter().for_each(check_symbol);
            assert!([row.tick_size, row.step_size].into_iter().all(is_amount));
        }
    }
    if let Ok(time) = wire::server_time(bytes) {
        check_time(time);
    }
    if let Some(refusal) = wire::refusal(bytes) {
        assert!(refusal.message.len() <= bytes.len());
    }
}

fn check_tickers(read: &Tickers, bytes: &[u8]) {
    // Each element takes a byte and a comma.
    assert!(2 * (read.tickers.len() + read.dropped) <= bytes.len());
    for (symbol, ticker) in &read.tickers {
        check_symbol(symbol);
        check_time(ticker.event_time);
        let Ticker { last_price, open_price, high_price, low_price, volume, quote_volume, event_time: _ } = *ticker;
        let numbers = [last_price, open_price, high_price, low_price, volume, quote_volume];
        assert!(numbers.into_iter().all(is_amount), "{ticker:?}");
    }
}

fn check_kline(kline: &Kline, interval: Interval, provenance: Provenance) {
    check_time(kline.open_time);
    assert!(kline.is_plausible(), "{kline:?}");
    assert_eq!(interval.open_time(interval.ordinal(kline.open_time)), kline.open_time, "{interval}");
    assert_eq!((kline.provenance, kline.revision), (provenance, 0));
}

fn check_symbol(symbol: &Symbol) {
    assert_eq!(Symbol::new(symbol.as_str()), Ok(*symbol));
    assert!(!symbol.as_str().contains(|c: char| c.is_ascii_lowercase() || c.is_whitespace()), "{symbol}");
}

fn check_time(time: Millis) {
    assert!((0..100_000_000_000_000).contains(&time.0), "{time}");
}

fn is_amount(number: f64) -> bool {
    number.is_finite() && number.is_sign_positive()
}
