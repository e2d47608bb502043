//! Statistics of a symbol over the last 24 hours.

use crate::time::Millis;

/// The rolling 24 h statistics of one symbol. Changes are derived from open and last, never stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ticker {
    pub last_price: f64,
    pub open_price: f64,
    pub high_price: f64,
    pub low_price: f64,
    /// In the base asset.
    pub volume: f64,
    /// In the quote asset.
    pub quote_volume: f64,
    pub event_time: Millis,
}

impl Ticker {
    pub fn price_change(&self) -> f64 {
        self.last_price - self.open_price
    }

    /// In percent of the open price; 0 where there is none, as for a symbol without trades in the window.
    pub fn price_change_percent(&self) -> f64 {
        if self.open_price == 0.0 { 0.0 } else { self.price_change() / self.open_price * 100.0 }
    }

    /// Prices (last, open, high, low), then volumes (base, quote): the order in which they are stored.
    pub(crate) fn numbers(&self) -> [f64; 6] {
        [self.last_price, self.open_price, self.high_price, self.low_price, self.volume, self.quote_volume]
    }

    /// Finite and not negative. A symbol without trades in the window has zero prices.
    pub fn is_plausible(&self) -> bool {
        self.numbers().iter().all(|x| x.is_finite() && *x >= 0.0)
    }
}
