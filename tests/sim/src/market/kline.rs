//! What the market says about a span, in the exchange's terms.

use super::node::Node;
use crate::interval::Interval;
use crate::symbols::{Symbol, UNIT};

/// One kline. Prices are in 1e-8 of the quote asset, volumes in 1e-8 of base or quote, times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kline {
    pub interval: Interval,
    pub open_time: i64,
    /// The last millisecond of the kline.
    pub close_time: i64,
    pub open: i64,
    pub high: i64,
    pub low: i64,
    pub close: i64,
    pub volume: u128,
    pub quote_volume: u128,
    pub taker_buy_volume: u128,
    pub taker_buy_quote_volume: u128,
    pub trades: u64,
    /// First and last trade id, or -1 without trades.
    pub first_id: i64,
    pub last_id: i64,
    /// Whether the kline had closed.
    pub closed: bool,
}

impl Kline {
    pub(super) fn new(symbol: &Symbol, interval: Interval, open: i64, next: i64, closed: bool, node: &Node) -> Kline {
        let amounts = Amounts::of(symbol, node);
        Kline {
            interval,
            open_time: open,
            close_time: next - 1,
            open: node.open * symbol.tick,
            high: node.high * symbol.tick,
            low: node.low * symbol.tick,
            close: node.close * symbol.tick,
            volume: amounts.volume,
            quote_volume: amounts.quote_volume,
            taker_buy_volume: u128::from(node.buy) * symbol.step as u128,
            taker_buy_quote_volume: node.buy_quote,
            trades: node.trades,
            first_id: amounts.first_id,
            last_id: amounts.last_id,
            closed,
        }
    }

    /// Open, high, low, close as the exchange prints them.
    pub fn price_strings(&self) -> [String; 4] {
        [self.open, self.high, self.low, self.close].map(|price| decimal(price as u128))
    }

    /// Open, high, low, close, volume, quote volume, taker-buy volume, taker-buy quote volume, as the nearest floats
    /// to what the exchange prints.
    pub fn floats(&self) -> [f64; 8] {
        [
            self.open as u128,
            self.high as u128,
            self.low as u128,
            self.close as u128,
            self.volume,
            self.quote_volume,
            self.taker_buy_volume,
            self.taker_buy_quote_volume,
        ]
        // By way of the text: a division of the integer by 1e8 would round twice.
        .map(|units| decimal(units).parse().expect("a decimal is a float"))
    }
}

/// Statistics of 24 hours. Units as in [`Kline`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticker {
    pub open_time: i64,
    pub close_time: i64,
    /// The last price before the window.
    pub before: i64,
    pub open: i64,
    pub high: i64,
    pub low: i64,
    pub last: i64,
    pub volume: u128,
    pub quote_volume: u128,
    pub trades: u64,
    pub first_id: i64,
    pub last_id: i64,
}

impl Ticker {
    pub(super) fn new(symbol: &Symbol, open_time: i64, close_time: i64, node: &Node) -> Ticker {
        let amounts = Amounts::of(symbol, node);
        // Without trades in the window the exchange shows zeros.
        let price = |ticks: i64| if node.trades == 0 { 0 } else { ticks * symbol.tick };
        Ticker {
            open_time,
            close_time,
            before: price(node.before),
            open: price(node.open),
            high: price(node.high),
            low: price(node.low),
            last: price(node.close),
            volume: amounts.volume,
            quote_volume: amounts.quote_volume,
            trades: node.trades,
            first_id: amounts.first_id,
            last_id: amounts.last_id,
        }
    }

    /// Last price minus open.
    pub fn change(&self) -> i64 {
        self.last - self.open
    }

    /// The change in thousandths of a percent of the open, cut off; 0 without an open.
    pub fn change_millipercent(&self) -> i64 {
        if self.open == 0 { 0 } else { (i128::from(self.change()) * 100_000 / i128::from(self.open)) as i64 }
    }

    /// Quote volume over volume, rounded down; 0 without volume.
    pub fn weighted_average(&self) -> u128 {
        (self.quote_volume * UNIT as u128).checked_div(self.volume).unwrap_or(0)
    }
}

struct Amounts {
    volume: u128,
    quote_volume: u128,
    first_id: i64,
    last_id: i64,
}

impl Amounts {
    fn of(symbol: &Symbol, node: &Node) -> Amounts {
        let (first_id, last_id) = match node.trades {
            0 => (-1, -1),
            trades => (node.first_id as i64, (node.first_id + trades - 1) as i64),
        };
        Amounts {
            volume: u128::from(node.buy + node.sell) * symbol.step as u128,
            quote_volume: node.buy_quote + node.sell_quote,
            first_id,
            last_id,
        }
    }
}

/// An amount in 1e-8 with its eight decimals, as in every payload of the exchange.
pub fn decimal(units: u128) -> String {
    let unit = UNIT as u128;
    format!("{}.{:08}", units / unit, units % unit)
}
