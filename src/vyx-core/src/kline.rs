//! One kline: open, high, low, close and volumes of one symbol over one interval.

use crate::time::Millis;

/// Who told us a kline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Provenance {
    Stream = 1,
    History = 2,
    Snapshot = 3,
}

/// The whole state of a kline at one moment. Prices are in the quote asset; `volume` and
/// `taker_buy_volume` in the base asset, `quote_volume` and `taker_buy_quote_volume` in the quote asset.
/// All numbers are finite, volumes are not negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kline {
    pub open_time: Millis,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: f64,
    pub quote_volume: f64,
    pub trades: u64,
    pub taker_buy_volume: f64,
    pub taker_buy_quote_volume: f64,
    /// The exchange has declared it final.
    pub closed: bool,
    /// How often a closed kline was corrected; 0 for the first closed state. Kept by the store, 0 on input.
    pub revision: u16,
    pub provenance: Provenance,
}

/// What became of a kline that was offered to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// The first news of this kline, open or closed.
    Inserted,
    /// An open kline got newer numbers.
    Updated,
    /// An open kline became closed.
    Closed,
    /// A closed kline got other numbers with more trades: the revision went up.
    Corrected,
    /// The same closed kline again, or an older state of an open one.
    Stale,
    /// An open state of a kline that is already closed, or confirmed absent.
    LateOpen,
    /// Older than the ring holds.
    TooOld,
    /// Not a kline: implausible numbers, or an open time at which no kline of this interval opens.
    Refused,
    /// Its symbol has left the directory.
    Gone,
}

/// Decides what `new` does to `old`, both of the same series and open time.
///
/// An absent kline is taken; an open one is replaced by a closed one or by one with at least as many trades;
/// a closed one only by a closed one with more trades, or by history's where the trades are as many and other numbers
/// are not the same: history is what everybody else will read. So the result does not depend on the order of arrival.
pub fn merge(old: Option<&Kline>, new: &Kline) -> Merge {
    match old {
        None => Merge::Inserted,
        Some(old) if !old.closed && new.closed => Merge::Closed,
        Some(old) if !old.closed && new.trades >= old.trades => Merge::Updated,
        Some(old) if !old.closed => Merge::Stale,
        Some(_) if !new.closed => Merge::LateOpen,
        Some(old) if new.trades > old.trades || new.is_historys_word_against(old) => Merge::Corrected,
        Some(_) => Merge::Stale,
    }
}

impl Merge {
    /// Whether the store now holds the offered numbers.
    pub fn accepted(self) -> bool {
        matches!(self, Merge::Inserted | Merge::Updated | Merge::Closed | Merge::Corrected)
    }
}

impl Kline {
    /// Whether history brings this one, with as many trades as the other from elsewhere, and yet other numbers.
    pub fn is_historys_word_against(&self, other: &Kline) -> bool {
        let numbers = |k: &Kline| {
            let prices = [k.open, k.high, k.low, k.close];
            let volumes = [k.volume, k.quote_volume, k.taker_buy_volume, k.taker_buy_quote_volume];
            (prices.map(f64::to_bits), volumes.map(f64::to_bits))
        };
        self.provenance == Provenance::History
            && other.provenance != Provenance::History
            && self.trades == other.trades
            && numbers(self) != numbers(other)
    }

    /// Whether the numbers can be those of a real kline: finite, prices positive, low ≤ open, close ≤ high,
    /// volumes not negative.
    pub fn is_plausible(&self) -> bool {
        let prices = [self.open, self.high, self.low, self.close];
        let volumes = [self.volume, self.quote_volume, self.taker_buy_volume, self.taker_buy_quote_volume];
        prices.iter().all(|p| p.is_finite() && *p > 0.0)
            && volumes.iter().all(|v| v.is_finite() && *v >= 0.0)
            && self.low <= self.open.min(self.close)
            && self.high >= self.open.max(self.close)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kline(trades: u64, closed: bool) -> Kline {
        Kline {
            open_time: Millis(0),
            open: 1.0,
            high: 2.0,
            low: 0.5,
            close: 1.5,
            volume: 10.0,
            quote_volume: 15.0,
            trades,
            taker_buy_volume: 4.0,
            taker_buy_quote_volume: 6.0,
            closed,
            revision: 0,
            provenance: Provenance::Stream,
        }
    }

    #[test]
    fn the_merge_rule_row_by_row() {
        assert_eq!(merge(None, &kline(1, false)), Merge::Inserted);
        assert_eq!(merge(Some(&kline(1, false)), &kline(1, false)), Merge::Updated);
        assert_eq!(merge(Some(&kline(2, false)), &kline(1, false)), Merge::Stale);
        assert_eq!(merge(Some(&kline(2, false)), &kline(1, true)), Merge::Closed);
        assert_eq!(merge(Some(&kline(2, true)), &kline(3, false)), Merge::LateOpen);
        assert_eq!(merge(Some(&kline(2, true)), &kline(2, true)), Merge::Stale);
        assert_eq!(merge(Some(&kline(2, true)), &kline(3, true)), Merge::Corrected);
    }

    #[test]
    fn where_stream_and_history_disagree_historys_word_counts_and_stays() {
        let streamed = kline(2, true);
        let history = Kline { close: 1.25, provenance: Provenance::History, ..streamed };
        assert_eq!(merge(Some(&streamed), &history), Merge::Corrected);
        assert_eq!(merge(Some(&history), &streamed), Merge::Stale);
        let same = Kline { provenance: Provenance::History, ..streamed };
        assert_eq!(merge(Some(&streamed), &same), Merge::Stale);
        let fewer = Kline { trades: 1, ..history };
        assert_eq!(merge(Some(&streamed), &fewer), Merge::Stale);
    }

    #[test]
    fn impossible_numbers_are_not_plausible() {
        let spoil = |change: fn(&mut Kline)| {
            let mut k = kline(1, true);
            change(&mut k);
            k.is_plausible()
        };
        assert!(kline(1, true).is_plausible());
        assert!(!spoil(|k| k.high = 1.0));
        assert!(!spoil(|k| k.low = 1.2));
        assert!(!spoil(|k| k.volume = -1.0));
        assert!(!spoil(|k| k.close = f64::NAN));
        assert!(!spoil(|k| k.high = f64::INFINITY));
        assert!(!spoil(|k| k.low = 0.0));
    }
}
