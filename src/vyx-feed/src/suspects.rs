//! Where klines may be missing, and from when on history can be asked about it. Pure.

use std::collections::{BTreeSet, HashMap};
use vyx_core::{Interval, Kline, Millis, Symbol};

/// So long after its close, in market time, a kline of history is final; before that the exchange may still be writing it.
pub const SETTLING: Millis = Millis(2_000);

/// One symbol at one interval.
pub type Series = (Symbol, Interval);

/// The newest news of a series from the stream.
#[derive(Clone, Copy, Debug)]
struct Tail {
    ordinal: i64,
    closed: bool,
}

/// Series in which something may be missing.
#[derive(Debug, Default)]
pub struct Suspects {
    tails: HashMap<Series, Tail>,
    /// With the market time from which on the missing kline is settled.
    due: BTreeSet<(Millis, Series)>,
}

impl Suspects {
    /// Takes note of a kline from the stream. When a newer kline arrives while its predecessor was never
    /// closed, a close was missed and the series becomes suspect.
    pub fn saw(&mut self, symbol: &Symbol, interval: Interval, kline: &Kline) {
        let series = (*symbol, interval);
        let new = Tail { ordinal: interval.ordinal(kline.open_time), closed: kline.closed };
        let Some(tail) = self.tails.get_mut(&series) else {
            self.tails.insert(series, new);
            return;
        };
        if new.ordinal < tail.ordinal {
            return;
        }
        if new.ordinal == tail.ordinal {
            tail.closed |= new.closed;
            return;
        }
        let unbroken = tail.closed && new.ordinal == tail.ordinal + 1;
        *tail = new;
        if !unbroken {
            self.due.insert((interval.close_time(new.ordinal - 1) + SETTLING, series));
        }
    }

    /// Whether history can be asked about any suspect at this market time.
    pub fn are_due(&self, at: Millis) -> bool {
        self.due.first().is_some_and(|(due, _)| *due <= at)
    }

    /// Takes out the series about which history can be asked at this market time.
    pub fn take_due(&mut self, at: Millis) -> Vec<Series> {
        let mut series = Vec::new();
        while self.are_due(at) {
            series.extend(self.due.pop_first().map(|(_, series)| series));
        }
        series
    }

    /// Forgets the series that are not followed any more.
    pub fn retain(&mut self, followed: impl Fn(&Series) -> bool) {
        self.tails.retain(|series, _| followed(series));
        self.due.retain(|(_, series)| followed(series));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vyx_core::Provenance;

    fn kline(ordinal: i64, closed: bool) -> Kline {
        let one = 1.0;
        Kline {
            open_time: Interval::M1.open_time(ordinal),
            open: one,
            high: one,
            low: one,
            close: one,
            volume: one,
            quote_volume: one,
            trades: 1,
            taker_buy_volume: one,
            taker_buy_quote_volume: one,
            closed,
            revision: 0,
            provenance: Provenance::Stream,
        }
    }

    /// Shows the klines to fresh suspects and tells from when on the series is due, in ms after the first open.
    #[track_caller]
    fn check(klines: &[(i64, bool)], expected: Option<i64>) {
        let mut suspects = Suspects::default();
        let symbol = Symbol::new("BTCUSDT").unwrap();
        for (ordinal, closed) in klines {
            suspects.saw(&symbol, Interval::M1, &kline(*ordinal, *closed));
        }
        let due = suspects.due.first().map(|(at, _)| at.0);
        assert_eq!(due, expected, "{klines:?}");
        if let Some(due) = due {
            assert!(suspects.take_due(Millis(due - 1)).is_empty(), "asked before it is settled");
            assert_eq!(suspects.take_due(Millis(due)), [(symbol, Interval::M1)]);
            assert!(!suspects.are_due(Millis(i64::MAX)));
        }
    }

    #[test]
    fn a_missed_close_makes_a_suspect_two_seconds_after_it() {
        check(&[(0, false), (0, true), (1, false), (1, true), (2, false)], None);
        check(&[(0, false), (1, false)], Some(59_999 + 2_000));
        check(&[(0, true), (2, false)], Some(119_999 + 2_000));
        check(&[(0, true), (0, false), (1, false)], None);
        check(&[(0, true), (1, true), (0, false), (2, true)], None);
        check(&[(5, false)], None);
    }

    #[test]
    fn what_is_not_followed_is_forgotten() {
        let mut suspects = Suspects::default();
        let symbol = Symbol::new("BTCUSDT").unwrap();
        suspects.saw(&symbol, Interval::M1, &kline(0, false));
        suspects.saw(&symbol, Interval::M1, &kline(1, false));
        suspects.retain(|_| false);
        assert!(suspects.due.is_empty() && suspects.tails.is_empty());
    }
}
