//! When the klines of an interval have to be there: a while after each of its closes. Pure.

use crate::tails::ALLOWANCE;
use std::collections::BTreeMap;
use vyx_core::{Interval, Millis};

/// The next moment of each followed interval at which all its series are looked at.
#[derive(Debug, Default)]
pub struct Calendar {
    next: BTreeMap<Interval, Millis>,
}

impl Calendar {
    /// Takes over the intervals; those that stay keep their moment.
    pub fn follow(&mut self, intervals: &[Interval], market: Millis) {
        self.next.retain(|interval, _| intervals.contains(interval));
        for interval in intervals {
            self.next.entry(*interval).or_insert_with(|| after(*interval, market));
        }
    }

    /// Whether a kline of any interval is overdue at this market time, should it not be there.
    pub fn is_due(&self, market: Millis) -> bool {
        self.next.values().any(|next| *next <= market)
    }

    /// Takes out the intervals of which that is so; each comes again after its next close.
    pub fn take_due(&mut self, market: Millis) -> Vec<Interval> {
        let due: Vec<Interval> = self.next.iter().filter(|(_, next)| **next <= market).map(|(i, _)| *i).collect();
        for interval in &due {
            self.next.insert(*interval, after(*interval, market));
        }
        due
    }
}

/// The first close whose allowance is not over yet, and the allowance.
fn after(interval: Interval, market: Millis) -> Millis {
    interval.close_time(interval.last_closed(market - ALLOWANCE) + 1) + ALLOWANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_close_is_looked_after_once_ten_seconds_later() {
        let (minute, hour) = (Interval::M1, Interval::H1);
        let mut calendar = Calendar::default();
        calendar.follow(&[minute, hour], hour.open_time(1));
        assert!(!calendar.is_due(hour.close_time(0) + Millis(9_999)));
        let due = hour.close_time(0) + ALLOWANCE;
        assert!(calendar.is_due(due));
        assert_eq!(calendar.take_due(due), [minute, hour]);
        assert!(calendar.take_due(due + Millis(59_999)).is_empty());
        assert_eq!(calendar.take_due(due + Millis(60_000)), [minute]);
        // After a leap of market time one look is enough.
        assert_eq!(calendar.take_due(due + Millis::DAY), [minute, hour]);
        assert!(!calendar.is_due(due + Millis::DAY));
        calendar.follow(&[hour], due + Millis::DAY);
        assert_eq!(calendar.take_due(due + Millis::DAY + Millis::HOUR), [hour]);
    }
}
