//! The symbols of the simulated exchange: which there are, what they cost, how they trade.

use crate::interval::DAY;
use crate::noise;
use serde::{Deserialize, Serialize};

/// Ten to the eighth: prices and quantities are integers of 1e-8, as the exchange prints eight decimals.
pub const UNIT: i64 = 100_000_000;

/// The exchange's word for what a symbol is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    Trading,
    EndOfDay,
    Halt,
    Break,
    CancelOnly,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::Trading => "TRADING",
            Status::EndOfDay => "END_OF_DAY",
            Status::Halt => "HALT",
            Status::Break => "BREAK",
            Status::CancelOnly => "CANCEL_ONLY",
        }
    }

    pub fn parse(name: &str) -> Option<Status> {
        use Status::*;
        [Trading, EndOfDay, Halt, Break, CancelOnly].into_iter().find(|status| status.name() == name)
    }

    /// Whether klines are still pushed. `CANCEL_ONLY` has market data except klines.
    pub fn pushes_klines(self) -> bool {
        matches!(self, Status::Trading | Status::Halt | Status::EndOfDay)
    }

    /// Whether tickers are still pushed.
    pub fn pushes_tickers(self) -> bool {
        self != Status::Break
    }
}

/// One symbol and the character of its market.
#[derive(Clone, Debug, PartialEq)]
pub struct Symbol {
    pub name: String,
    pub base: String,
    pub quote: String,
    pub status: Status,
    /// Whether it belongs to the permission `SPOT`; if not, to `LEVERAGED`.
    pub spot: bool,
    /// The smallest steps of price and quantity, in 1e-8.
    pub tick: i64,
    pub step: i64,
    /// About where the price is, in 1e-8 of the quote asset. It wanders within about a fifth and five times that.
    pub price: i64,
    /// The typical range of a day as a part of the price.
    pub volatility: f64,
    /// Trades of a typical day, at least [`Symbol::FEWEST_TRADES`].
    pub trades_a_day: u64,
    /// Quote volume of a typical day, in whole units of the quote asset.
    pub quote_volume_a_day: f64,
    /// Midnight of the first day with trades, and of the first day without any more.
    pub listed: i64,
    pub delisted: Option<i64>,
}

impl Symbol {
    /// Below that a day could come out with too few trades to have an open, high, low and close.
    pub const FEWEST_TRADES: u64 = 20;

    /// A symbol of the usual kind. `price` is in whole units of the quote asset; tick and step follow from it as on
    /// the exchange: five to six significant digits but no coarser than a cent, and lots worth ten cents at least.
    pub fn new(base: &str, quote: &str, price: f64, volatility: f64, trades_a_day: u64) -> Symbol {
        let mut tick = 1;
        while tick < UNIT / 100 && (tick as f64) * 100_000.0 < price * UNIT as f64 {
            tick *= 10;
        }
        let mut step = 1_000;
        while step < UNIT && (step as f64 / UNIT as f64) * price < 0.1 {
            step *= 10;
        }
        Symbol {
            name: format!("{base}{quote}"),
            base: base.to_owned(),
            quote: quote.to_owned(),
            status: Status::Trading,
            spot: true,
            tick,
            step,
            price: (price * UNIT as f64) as i64,
            volatility,
            trades_a_day: trades_a_day.max(Symbol::FEWEST_TRADES),
            quote_volume_a_day: trades_a_day as f64 * 400.0,
            listed: day("2019-01-01"),
            delisted: None,
        }
    }

    /// The same, first traded on this day (`YYYY-MM-DD`).
    pub fn listed_on(mut self, date: &str) -> Symbol {
        self.listed = day(date);
        self
    }

    /// Taken off the exchange on this day: no more trades, status `BREAK`.
    pub fn delisted_on(mut self, date: &str) -> Symbol {
        (self.delisted, self.status) = (Some(day(date)), Status::Break);
        self
    }

    /// The name in stream names: only ASCII letters are lowered.
    pub fn stream_name(&self) -> String {
        self.name.to_ascii_lowercase()
    }
}

/// Midnight of a date. Only literals of this file and of tests come here, so a wrong one is a bug.
fn day(date: &str) -> i64 {
    let date: chrono::NaiveDate = date.parse().expect("a date as YYYY-MM-DD");
    i64::from(date.signed_duration_since(chrono::NaiveDate::default()).num_days() as i32) * DAY
}

/// The symbols of a demonstration: twenty USDT pairs to track, then some that must be left alone.
pub fn demonstration() -> Vec<Symbol> {
    let mut symbols = tracked();
    symbols.extend(left_alone());
    symbols
}

fn tracked() -> Vec<Symbol> {
    let usdt = |base, price, volatility, trades| Symbol::new(base, "USDT", price, volatility, trades);
    vec![
        usdt("BTC", 91_250.0, 0.028, 3_200_000).listed_on("2017-08-17"),
        usdt("ETH", 3_010.0, 0.036, 2_600_000).listed_on("2017-08-17"),
        usdt("BNB", 905.0, 0.030, 900_000).listed_on("2017-11-06"),
        usdt("SOL", 140.0, 0.048, 1_300_000).listed_on("2020-08-11"),
        usdt("XRP", 2.12, 0.045, 1_100_000).listed_on("2018-05-04"),
        usdt("ADA", 0.46, 0.050, 300_000).listed_on("2018-04-17"),
        usdt("DOGE", 0.155, 0.055, 600_000).listed_on("2019-07-05"),
        usdt("LTC", 92.0, 0.042, 160_000).listed_on("2017-12-13"),
        usdt("LINK", 13.4, 0.048, 180_000).listed_on("2019-01-16"),
        usdt("AVAX", 14.2, 0.052, 150_000).listed_on("2020-09-22"),
        usdt("DOT", 2.75, 0.048, 90_000).listed_on("2020-08-18"),
        usdt("TRX", 0.28, 0.022, 120_000).listed_on("2018-06-11"),
        usdt("SHIB", 0.000_008_9, 0.055, 110_000).listed_on("2021-05-10"),
        usdt("PEPE", 0.000_004_7, 0.070, 220_000).listed_on("2023-05-05"),
        usdt("1000SATS", 0.000_018_5, 0.065, 9_000).listed_on("2023-12-12"),
        usdt("UNI", 7.3, 0.055, 80_000).listed_on("2020-09-17"),
        usdt("USDC", 0.999_8, 0.000_25, 70_000).listed_on("2018-12-15"),
        usdt("币安人生", 0.118, 0.120, 60_000).listed_on("2025-10-07"),
        // Quiet: minutes without a trade are common.
        usdt("ACA", 0.023, 0.060, 1_100).listed_on("2022-01-25"),
        usdt("PHA", 0.061, 0.055, 2_400).listed_on("2022-03-31"),
    ]
}

fn left_alone() -> Vec<Symbol> {
    vec![
        Symbol::new("ETH", "BTC", 0.033, 0.020, 120_000).listed_on("2017-07-14"),
        Symbol::new("BNB", "BTC", 0.009_9, 0.022, 40_000).listed_on("2017-07-14"),
        Symbol::new("BTC", "EUR", 78_900.0, 0.028, 70_000).listed_on("2020-01-03"),
        Symbol::new("BTC", "FDUSD", 91_260.0, 0.028, 400_000).listed_on("2023-08-04"),
        Symbol::new("USDT", "TRY", 42.3, 0.004, 60_000).listed_on("2019-11-18"),
        // Off the exchange, but still in exchangeInfo.
        Symbol::new("LUNA", "USDT", 64.0, 0.080, 900_000).listed_on("2020-08-21").delisted_on("2022-05-13"),
        Symbol::new("WAVES", "USDT", 1.1, 0.060, 60_000).listed_on("2019-01-18").delisted_on("2024-06-17"),
        // Klines are not pushed in this state.
        Symbol { status: Status::CancelOnly, ..Symbol::new("PERP", "USDT", 0.31, 0.06, 9_000) },
        // A leveraged token: trading, but not with the permission SPOT.
        Symbol { spot: false, ..Symbol::new("BTCUP", "USDT", 22.0, 0.09, 20_000) },
    ]
}

/// `count` USDT pairs to track (those of the demonstration first, then invented ones), then those to leave alone.
pub fn universe(count: usize) -> Vec<Symbol> {
    let mut symbols = tracked();
    symbols.truncate(count);
    for number in symbols.len()..count {
        let mut noise = noise::Noise::at(noise::name("universe"), 0, number as i64);
        // Six decades of price, most symbols quiet, a few busy.
        let price = (0..noise.below(7)).fold(0.000_1 * (1.0 + 8.0 * noise.unit()), |price, _| price * 10.0);
        let bustle = noise.unit();
        let trades = 1_000 + (bustle * bustle * bustle * 300_000.0) as u64;
        let volatility = 0.02 + 0.06 * noise.unit();
        let listed = day("2019-01-01") + noise.below(6 * 365) as i64 * DAY;
        let symbol = Symbol::new(&format!("SIM{number}"), "USDT", price, volatility, trades);
        symbols.push(Symbol { listed, ..symbol });
    }
    symbols.extend(left_alone());
    symbols
}
