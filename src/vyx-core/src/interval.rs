//! The sixteen intervals of the exchange and their calendar.
//!
//! Klines of one interval are numbered by *ordinals*: consecutive integers, one a kline, whether it exists
//! or not. The ordinal of a fixed interval is `open_time / length`; weeks are counted from Monday
//! 1970-01-05 and months from January 1970. Alignment as the exchange documents it: UTC, weeks open on
//! Monday, months on the first; `3d` is undocumented and assumed to be counted from 1970-01-01.

use crate::time::Millis;
use chrono::{DateTime, Datelike, NaiveDate};
use std::fmt;
use std::str::FromStr;

/// The length in time of one kline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Interval {
    S1,
    M1,
    M3,
    M5,
    M15,
    M30,
    H1,
    H2,
    H4,
    H6,
    H8,
    H12,
    D1,
    D3,
    W1,
    Mo1,
}

/// The text is none of the sixteen intervals. Intervals are case-sensitive: `1m` is a minute, `1M` a month.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown interval \"{0}\"")]
pub struct UnknownInterval(pub String);

/// 1970-01-05, the first Monday.
const FIRST_MONDAY: i64 = 4 * Millis::DAY.0;
const WEEK: i64 = 7 * Millis::DAY.0;

impl Interval {
    /// All intervals, shortest first.
    pub const ALL: [Interval; 16] = {
        use Interval::*;
        [S1, M1, M3, M5, M15, M30, H1, H2, H4, H6, H8, H12, D1, D3, W1, Mo1]
    };

    /// The exchange's name, e.g. `1m`.
    pub const fn as_str(self) -> &'static str {
        use Interval::*;
        match self {
            S1 => "1s",
            M1 => "1m",
            M3 => "3m",
            M5 => "5m",
            M15 => "15m",
            M30 => "30m",
            H1 => "1h",
            H2 => "2h",
            H4 => "4h",
            H6 => "6h",
            H8 => "8h",
            H12 => "12h",
            D1 => "1d",
            D3 => "3d",
            W1 => "1w",
            Mo1 => "1M",
        }
    }

    /// The interval with this number in [`Interval::ALL`].
    pub fn from_index(index: u8) -> Option<Interval> {
        Self::ALL.get(usize::from(index)).copied()
    }

    /// Its length; a month counts as its shortest, 28 days.
    pub const fn shortest(self) -> Millis {
        use Interval::*;
        Millis(match self {
            S1 => 1_000,
            M1 => 60_000,
            M3 => 180_000,
            M5 => 300_000,
            M15 => 900_000,
            M30 => 1_800_000,
            H1 => 3_600_000,
            H2 => 7_200_000,
            H4 => 14_400_000,
            H6 => 21_600_000,
            H8 => 28_800_000,
            H12 => 43_200_000,
            D1 => 86_400_000,
            D3 => 259_200_000,
            W1 => WEEK,
            Mo1 => 28 * 86_400_000,
        })
    }

    /// The ordinal of the kline that holds this moment. Moments before 1970 have negative ordinals.
    pub fn ordinal(self, at: Millis) -> i64 {
        match self {
            Interval::W1 => at.0.saturating_sub(FIRST_MONDAY).div_euclid(WEEK),
            Interval::Mo1 => {
                let date = DateTime::from_timestamp_millis(at.0)
                    .unwrap_or(if at.0 < 0 {
                        DateTime::<chrono::Utc>::MIN_UTC
                    } else {
                        DateTime::<chrono::Utc>::MAX_UTC
                    })
                    .date_naive();
                (i64::from(date.year()) - 1970) * 12 + i64::from(date.month0())
            }
            _ => at.0.div_euclid(self.shortest().0),
        }
    }

    /// The open time of the kline with this ordinal.
    pub fn open_time(self, ordinal: i64) -> Millis {
        match self {
            Interval::W1 => Millis(ordinal.saturating_mul(WEEK).saturating_add(FIRST_MONDAY)),
            Interval::Mo1 => {
                let year = i32::try_from(1970 + ordinal.div_euclid(12)).unwrap_or(i32::MAX);
                let month = u32::try_from(ordinal.rem_euclid(12)).unwrap_or(0) + 1;
                let first = NaiveDate::from_ymd_opt(year, month, 1).unwrap_or(NaiveDate::MAX);
                Millis(first.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis())
            }
            _ => Millis(ordinal.saturating_mul(self.shortest().0)),
        }
    }

    /// The close time of the kline with this ordinal: the last millisecond inside it, as the exchange has it.
    pub fn close_time(self, ordinal: i64) -> Millis {
        Millis(self.open_time(ordinal.saturating_add(1)).0.saturating_sub(1))
    }

    /// The ordinal of the kline that closes at `close_time`, or `None` where no kline does.
    pub fn closing_at(self, close_time: Millis) -> Option<i64> {
        let ordinal = self.ordinal(close_time);
        (self.close_time(ordinal) == close_time).then_some(ordinal)
    }

    /// The ordinal of the newest kline that is closed at `at`, i.e. whose close time is `at` or earlier.
    pub fn last_closed(self, at: Millis) -> i64 {
        self.ordinal(Millis(at.0.saturating_add(1))) - 1
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Interval {
    type Err = UnknownInterval;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|i| i.as_str() == text).ok_or_else(|| UnknownInterval(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Millis {
        Millis(DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
    }

    #[track_caller]
    fn check(interval: Interval, moment: &str, opens: &str, closes: &str) {
        let ordinal = interval.ordinal(at(moment));
        assert_eq!(interval.open_time(ordinal), at(opens), "open of {interval} at {moment}");
        assert_eq!(interval.close_time(ordinal), at(closes), "close of {interval} at {moment}");
    }

    #[test]
    fn klines_open_where_the_exchange_opens_them() {
        check(Interval::M1, "2026-11-20T12:34:56Z", "2026-11-20T12:34:00Z", "2026-11-20T12:34:59.999Z");
        check(Interval::H4, "2026-11-20T12:34:56Z", "2026-11-20T12:00:00Z", "2026-11-20T15:59:59.999Z");
        check(Interval::W1, "2026-11-20T12:34:56Z", "2026-11-16T00:00:00Z", "2026-11-22T23:59:59.999Z");
        check(Interval::Mo1, "2028-02-29T23:59:59Z", "2028-02-01T00:00:00Z", "2028-02-29T23:59:59.999Z");
        check(Interval::Mo1, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2026-12-31T23:59:59.999Z");
    }

    #[test]
    fn names_are_read_back_and_case_matters() {
        for interval in Interval::ALL {
            assert_eq!(interval.as_str().parse(), Ok(interval));
            assert_eq!(Interval::from_index(interval as u8), Some(interval));
        }
        assert_eq!("1D".parse::<Interval>(), Err(UnknownInterval("1D".into())));
    }

    #[test]
    fn a_kline_counts_as_closed_from_its_last_millisecond() {
        let close = at("2026-11-20T12:34:59.999Z");
        assert_eq!(Interval::M1.closing_at(close), Some(Interval::M1.ordinal(close)));
        assert_eq!(Interval::M5.closing_at(close), Some(Interval::M5.ordinal(close)));
        assert_eq!(Interval::H1.closing_at(close), None);
        assert_eq!(Interval::M1.last_closed(close), Interval::M1.ordinal(close));
        assert_eq!(Interval::M1.last_closed(close - Millis(1)), Interval::M1.ordinal(close) - 1);
    }

    #[test]
    fn times_that_no_exchange_sends_do_no_harm() {
        for interval in Interval::ALL {
            for extreme in [i64::MIN, i64::MAX] {
                let ordinal = interval.ordinal(Millis(extreme));
                assert_eq!(ordinal < 0, extreme < 0, "{interval}");
                assert_eq!(interval.last_closed(Millis(extreme)) < 0, extreme < 0, "{interval}");
                interval.close_time(ordinal);
                interval.close_time(extreme);
            }
        }
    }

    proptest! {
        #[test]
        fn every_moment_lies_in_exactly_one_kline(index in 0u8..16, moment in -9_000_000_000_000i64..9_000_000_000_000) {
            let interval = Interval::from_index(index).unwrap();
            let ordinal = interval.ordinal(Millis(moment));
            prop_assert!(interval.open_time(ordinal).0 <= moment);
            prop_assert!(interval.close_time(ordinal).0 >= moment);
            prop_assert_eq!(interval.ordinal(interval.open_time(ordinal)), ordinal);
        }
    }
}
