//! Events as the streams carry them: what, when, and the JSON of it.

use crate::interval::Interval;
use crate::market::{Kline, Ticker, decimal};
use crate::symbols::Symbol;
use std::fmt::Write;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// The unit of all times a client is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeUnit {
    #[default]
    Millisecond,
    Microsecond,
}

impl TimeUnit {
    /// The unit of this name; the exchange takes it in upper or lower case.
    pub fn parse(name: &str) -> Option<TimeUnit> {
        match name {
            "MILLISECOND" | "millisecond" => Some(TimeUnit::Millisecond),
            "MICROSECOND" | "microsecond" => Some(TimeUnit::Microsecond),
            _ => None,
        }
    }

    /// A moment, given in milliseconds.
    pub fn moment(self, millis: i64) -> i64 {
        match self {
            TimeUnit::Millisecond => millis,
            TimeUnit::Microsecond => millis * 1_000,
        }
    }

    /// The end of a span, given as its last millisecond: in microseconds it ends in 999.
    pub fn last_moment(self, millis: i64) -> i64 {
        match self {
            TimeUnit::Millisecond => millis,
            TimeUnit::Microsecond => millis * 1_000 + 999,
        }
    }
}

/// A stream that exists. Symbols are known by their place in the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    Kline(usize, Interval),
    MiniTicker(usize),
    Ticker(usize),
    AllMiniTickers,
}

/// Streams of one symbol: its klines, mini ticker and ticker.
const STREAMS_A_SYMBOL: usize = Interval::COUNT + 2;

impl Stream {
    /// The stream of this name; `None` for what the exchange acknowledges and never delivers.
    pub fn parse(name: &str, find: impl Fn(&str) -> Option<usize>) -> Option<Stream> {
        if name == "!miniTicker@arr" {
            return Some(Stream::AllMiniTickers);
        }
        let (symbol, kind) = name.split_once('@')?;
        let place = find(symbol)?;
        match kind {
            "miniTicker" => Some(Stream::MiniTicker(place)),
            "ticker" => Some(Stream::Ticker(place)),
            _ => Some(Stream::Kline(place, Interval::parse(kind.strip_prefix("kline_")?)?)),
        }
    }

    pub fn name(self, symbols: &[Symbol]) -> String {
        match self {
            Stream::Kline(place, interval) => format!("{}@kline_{}", symbols[place].stream_name(), interval.name()),
            Stream::MiniTicker(place) => format!("{}@miniTicker", symbols[place].stream_name()),
            Stream::Ticker(place) => format!("{}@ticker", symbols[place].stream_name()),
            Stream::AllMiniTickers => "!miniTicker@arr".to_owned(),
        }
    }

    pub fn symbol(self) -> Option<usize> {
        match self {
            Stream::Kline(place, _) | Stream::MiniTicker(place) | Stream::Ticker(place) => Some(place),
            Stream::AllMiniTickers => None,
        }
    }

    pub fn interval(self) -> Option<Interval> {
        match self {
            Stream::Kline(_, interval) => Some(interval),
            _ => None,
        }
    }

    /// A number for tables of all streams.
    pub fn index(self) -> usize {
        match self {
            Stream::AllMiniTickers => 0,
            Stream::Kline(place, interval) => 1 + place * STREAMS_A_SYMBOL + interval.index(),
            Stream::MiniTicker(place) => 1 + place * STREAMS_A_SYMBOL + Interval::COUNT,
            Stream::Ticker(place) => 1 + place * STREAMS_A_SYMBOL + Interval::COUNT + 1,
        }
    }

    /// How many streams a market of so many symbols has.
    pub fn count(symbols: usize) -> usize {
        1 + symbols * STREAMS_A_SYMBOL
    }
}

/// What an event says.
#[derive(Clone, Debug)]
pub enum Body {
    Kline(Kline),
    MiniTicker(Ticker),
    Ticker(Ticker),
    /// Mini tickers of the symbols at these places.
    MiniTickers(Vec<(usize, Ticker)>),
}

/// One event. Its JSON is made once for each form that somebody wants and the bytes are shared.
#[derive(Clone, Debug)]
pub struct Event {
    pub stream: Stream,
    /// `E`, in milliseconds of market time.
    pub time: i64,
    pub body: Body,
    forms: [Option<Utf8Bytes>; 4],
}

impl Event {
    pub fn new(stream: Stream, time: i64, body: Body) -> Event {
        Event { stream, time, body, forms: Default::default() }
    }

    /// The frame, wrapped with the stream's name for combined connections.
    pub fn frame(&mut self, symbols: &[Symbol], combined: bool, unit: TimeUnit) -> Utf8Bytes {
        let form = usize::from(combined) + 2 * usize::from(unit == TimeUnit::Microsecond);
        if self.forms[form].is_none() {
            let mut text = String::with_capacity(480);
            if combined {
                let _ = write!(text, r#"{{"stream":"{}","data":"#, self.stream.name(symbols));
            }
            self.data(symbols, unit, &mut text);
            if combined {
                text.push('}');
            }
            self.forms[form] = Some(text.into());
        }
        self.forms[form].clone().expect("made above")
    }

    fn data(&self, symbols: &[Symbol], unit: TimeUnit, text: &mut String) {
        let name = || self.stream.symbol().map_or("", |place| symbols[place].name.as_str());
        match &self.body {
            Body::Kline(kline) => kline_json(name(), kline, self.time, unit, text),
            Body::MiniTicker(ticker) => mini_ticker_json(name(), ticker, self.time, unit, text),
            Body::Ticker(ticker) => {
                let tick = self.stream.symbol().map_or(1, |place| symbols[place].tick);
                ticker_json(name(), tick, ticker, self.time, unit, text);
            }
            Body::MiniTickers(tickers) => {
                for (index, (place, ticker)) in tickers.iter().enumerate() {
                    text.push(if index == 0 { '[' } else { ',' });
                    mini_ticker_json(&symbols[*place].name, ticker, self.time, unit, text);
                }
                text.push(']');
            }
        }
    }
}

fn kline_json(symbol: &str, kline: &Kline, time: i64, unit: TimeUnit, text: &mut String) {
    let [open, high, low, close] = kline.price_strings();
    let _ = write!(
        text,
        concat!(
            r#"{{"e":"kline","E":{},"s":"{symbol}","k":{{"t":{},"T":{},"s":"{symbol}","i":"{}","f":{},"L":{},"#,
            r#""o":"{}","c":"{}","h":"{}","l":"{}","v":"{}","n":{},"x":{},"q":"{}","V":"{}","Q":"{}","B":"0"}}}}"#
        ),
        unit.moment(time),
        unit.moment(kline.open_time),
        unit.last_moment(kline.close_time),
        kline.interval.name(),
        kline.first_id,
        kline.last_id,
        open,
        close,
        high,
        low,
        decimal(kline.volume),
        kline.trades,
        kline.closed,
        decimal(kline.quote_volume),
        decimal(kline.taker_buy_volume),
        decimal(kline.taker_buy_quote_volume),
        symbol = symbol,
    );
}

fn mini_ticker_json(symbol: &str, ticker: &Ticker, time: i64, unit: TimeUnit, text: &mut String) {
    let _ = write!(
        text,
        r#"{{"e":"24hrMiniTicker","E":{},"s":"{symbol}","c":"{}","o":"{}","h":"{}","l":"{}","v":"{}","q":"{}"}}"#,
        unit.moment(time),
        decimal(ticker.last as u128),
        decimal(ticker.open as u128),
        decimal(ticker.high as u128),
        decimal(ticker.low as u128),
        decimal(ticker.volume),
        decimal(ticker.quote_volume),
    );
}

fn ticker_json(symbol: &str, tick: i64, ticker: &Ticker, time: i64, unit: TimeUnit, text: &mut String) {
    let book = Book::around(ticker, tick);
    let _ = write!(
        text,
        concat!(
            r#"{{"e":"24hrTicker","E":{},"s":"{}","p":"{}","P":"{}","w":"{}","x":"{}","c":"{}","Q":"{qty}","#,
            r#""b":"{}","B":"{qty}","a":"{}","A":"{qty}","o":"{}","h":"{}","l":"{}","v":"{}","q":"{}","#,
            r#""O":{},"C":{},"F":{},"L":{},"n":{}}}"#
        ),
        unit.moment(time),
        symbol,
        signed_decimal(ticker.change()),
        percent(ticker),
        decimal(ticker.weighted_average()),
        decimal(ticker.before as u128),
        decimal(ticker.last as u128),
        decimal(book.bid as u128),
        decimal(book.ask as u128),
        decimal(ticker.open as u128),
        decimal(ticker.high as u128),
        decimal(ticker.low as u128),
        decimal(ticker.volume),
        decimal(ticker.quote_volume),
        unit.moment(ticker.open_time),
        unit.moment(ticker.close_time),
        ticker.first_id,
        ticker.last_id,
        ticker.trades,
        qty = book.quantity,
    );
}

/// Best bid and ask. There is no order book: they are the last price and the tick below it, with a quantity of one.
pub struct Book {
    pub bid: i64,
    pub ask: i64,
    pub quantity: &'static str,
}

impl Book {
    /// Zeros where nothing traded, as the exchange shows for dead pairs.
    pub fn around(ticker: &Ticker, tick: i64) -> Book {
        match ticker.trades {
            0 => Book { bid: 0, ask: 0, quantity: "0.00000000" },
            _ => Book { bid: ticker.last - tick, ask: ticker.last, quantity: "1.00000000" },
        }
    }
}

/// [`decimal`] with a sign.
pub fn signed_decimal(units: i64) -> String {
    format!("{}{}", if units < 0 { "-" } else { "" }, decimal(units.unsigned_abs().into()))
}

/// The change in percent with three decimals.
pub fn percent(ticker: &Ticker) -> String {
    let thousandths = ticker.change_millipercent();
    let (whole, part) = (thousandths.unsigned_abs() / 1_000, thousandths.unsigned_abs() % 1_000);
    format!("{}{whole}.{part:03}", if thousandths < 0 { "-" } else { "" })
}
