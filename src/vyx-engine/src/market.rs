//! What the engine sees of the market: columns of closed candles, and how far back a candle's history goes.

use crate::program::Field;
use vyx_core::{Interval, Kline, Millis, Symbol};

/// Ordinals in a block of the anchor grid.
pub const BLOCK: i64 = 256;

/// How many whole blocks of history lie before the block of the candle that is evaluated. Six for `1m`, since a day's
/// session (1,440 candles) must fit; four for the others.
pub const fn history_blocks(interval: Interval) -> i64 {
    match interval {
        Interval::M1 => 6,
        _ => 4,
    }
}

/// The ordinal at which the history of a candle starts.
///
/// The grid is fixed and staggered by a hash of the symbol, so that not all symbols start anew in the same minute. From
/// the anchor to the candle lie 1,536 to 1,791 ordinals for `1m` and 1,024 to 1,279 for the others.
pub fn anchor(symbol: &Symbol, interval: Interval, ordinal: i64) -> i64 {
    let stagger = (symbol.stable_hash() % BLOCK.unsigned_abs()) as i64;
    let block = (ordinal + stagger).div_euclid(BLOCK);
    (block - history_blocks(interval)) * BLOCK - stagger
}

/// Closed candles of one series, oldest first, one column a number. Holes are absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candles {
    pub ordinal: Vec<i64>,
    pub open: Vec<f64>,
    pub high: Vec<f64>,
    pub low: Vec<f64>,
    pub close: Vec<f64>,
    pub volume: Vec<f64>,
    pub quote_volume: Vec<f64>,
    pub trades: Vec<f64>,
    pub buy_volume: Vec<f64>,
}

impl Candles {
    pub fn push(&mut self, ordinal: i64, kline: &Kline) {
        self.ordinal.push(ordinal);
        self.open.push(kline.open);
        self.high.push(kline.high);
        self.low.push(kline.low);
        self.close.push(kline.close);
        self.volume.push(kline.volume);
        self.quote_volume.push(kline.quote_volume);
        self.trades.push(kline.trades as f64);
        self.buy_volume.push(kline.taker_buy_volume);
    }

    pub fn clear(&mut self) {
        self.ordinal.clear();
        self.columns_mut().into_iter().for_each(Vec::clear);
    }

    /// The number that a script reads of candle `index`.
    pub(crate) fn field(&self, interval: Interval, field: Field, index: usize) -> f64 {
        let open_time = || interval.open_time(self.ordinal[index]).0;
        match field {
            Field::Open => self.open[index],
            Field::High => self.high[index],
            Field::Low => self.low[index],
            Field::Close => self.close[index],
            Field::Volume => self.volume[index],
            Field::QuoteVolume => self.quote_volume[index],
            Field::Trades => self.trades[index],
            Field::BuyVolume => self.buy_volume[index],
            Field::Hl2 => (self.high[index] + self.low[index]) / 2.0,
            Field::Hlc3 => (self.high[index] + self.low[index] + self.close[index]) / 3.0,
            Field::Ohlc4 => (self.open[index] + self.high[index] + self.low[index] + self.close[index]) / 4.0,
            Field::Time => open_time() as f64,
            Field::Hour => (open_time().div_euclid(Millis::HOUR.0)).rem_euclid(24) as f64,
            // 1970-01-01 was a Thursday, the fifth day of a week that begins with Sunday as the first.
            Field::Dayofweek => ((open_time().div_euclid(Millis::DAY.0) + 4).rem_euclid(7) + 1) as f64,
        }
    }

    /// Appends candle `index` of `other`.
    pub(crate) fn take(&mut self, other: &Candles, index: usize) {
        self.ordinal.push(other.ordinal[index]);
        self.columns_mut().into_iter().zip(other.columns()).for_each(|(mine, theirs)| mine.push(theirs[index]));
    }

    fn columns(&self) -> [&Vec<f64>; 8] {
        let Candles { open, high, low, close, volume, quote_volume, trades, buy_volume, .. } = self;
        [open, high, low, close, volume, quote_volume, trades, buy_volume]
    }

    fn columns_mut(&mut self) -> [&mut Vec<f64>; 8] {
        let Candles { open, high, low, close, volume, quote_volume, trades, buy_volume, .. } = self;
        [open, high, low, close, volume, quote_volume, trades, buy_volume]
    }

    pub fn len(&self) -> usize {
        self.ordinal.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ordinal.is_empty()
    }
}

/// What is held of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Of every ordinal from here through `through` it is known whether a candle exists, and the candle is held.
    pub from: i64,
    pub through: i64,
    /// The first candle the symbol ever had, where it is known: nothing exists before it.
    pub first_ever: Option<i64>,
    /// Changes with every change that is not a new candle after the newest: a correction, a filled hole, older
    /// history, a reset. States that were built on another generation are built anew.
    pub generation: u64,
}

impl Held {
    /// The ordinal at which a candle's history starts, or `None` where the history is not all there.
    pub fn start(&self, symbol: &Symbol, interval: Interval, ordinal: i64) -> Option<i64> {
        let anchor = anchor(symbol, interval, ordinal);
        let start = self.first_ever.map_or(anchor, |first| first.max(anchor));
        (self.from <= start && self.through >= ordinal).then_some(start)
    }
}

/// Closed candles, wherever they are kept.
pub trait Market {
    /// What is held of a series; `None` if it is not tracked.
    fn held(&self, symbol: &Symbol, interval: Interval) -> Option<Held>;

    /// Appends the closed candles with ordinals `from..=through` to `into`, oldest first, holes absent. Nothing for a
    /// series that is not tracked.
    fn closed(&self, symbol: &Symbol, interval: Interval, from: i64, through: i64, into: &mut Candles);
}
