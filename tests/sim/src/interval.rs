//! The exchange's sixteen intervals and their calendar, written for the simulator alone: what it shared with
//! the client under test could not be found wrong.
//!
//! Times are milliseconds since the epoch, UTC. Weeks open on Monday and months on the first. The alignment
//! of `3d` is undocumented; it is counted from 1970-01-01 here.

use chrono::{DateTime, Datelike, Months, NaiveDate};

/// One second, minute, hour, day in milliseconds.
pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
/// 1970-01-05, a Monday.
const FIRST_MONDAY: i64 = 4 * DAY;

/// How time is cut into klines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// Multiples of a length, counted from an origin.
    Every {
        length: i64,
        origin: i64,
    },
    Month,
}

/// The length of a kline, by its place in the table of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interval(u8);

const TABLE: [(&str, Cut); 16] = {
    const fn every(length: i64) -> Cut {
        Cut::Every { length, origin: 0 }
    }
    [
        ("1s", every(SECOND)),
        ("1m", every(MINUTE)),
        ("3m", every(3 * MINUTE)),
        ("5m", every(5 * MINUTE)),
        ("15m", every(15 * MINUTE)),
        ("30m", every(30 * MINUTE)),
        ("1h", every(HOUR)),
        ("2h", every(2 * HOUR)),
        ("4h", every(4 * HOUR)),
        ("6h", every(6 * HOUR)),
        ("8h", every(8 * HOUR)),
        ("12h", every(12 * HOUR)),
        ("1d", every(DAY)),
        ("3d", every(3 * DAY)),
        ("1w", Cut::Every { length: 7 * DAY, origin: FIRST_MONDAY }),
        ("1M", Cut::Month),
    ]
};

impl Interval {
    pub const COUNT: usize = TABLE.len();
    pub const S1: Interval = Interval(0);
    pub const M1: Interval = Interval(1);
    pub const M5: Interval = Interval(3);
    pub const H1: Interval = Interval(6);
    pub const D1: Interval = Interval(12);
    pub const W1: Interval = Interval(14);
    pub const MO1: Interval = Interval(15);

    /// All intervals, shortest first.
    pub fn all() -> impl Iterator<Item = Interval> {
        (0..TABLE.len() as u8).map(Interval)
    }

    /// The interval of this name. Names are case-sensitive: `1m` is a minute, `1M` a month.
    pub fn parse(name: &str) -> Option<Interval> {
        Interval::all().find(|interval| interval.name() == name)
    }

    pub fn name(self) -> &'static str {
        TABLE[self.index()].0
    }

    /// The position among all intervals, for tables.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The open time of the kline that contains `time`.
    pub fn floor(self, time: i64) -> i64 {
        match TABLE[self.index()].1 {
            Cut::Every { length, origin } => time - (time - origin).rem_euclid(length),
            Cut::Month => month_start(time, 0),
        }
    }

    /// The open time of the kline after the one that opens at `open`.
    pub fn next(self, open: i64) -> i64 {
        match TABLE[self.index()].1 {
            Cut::Every { length, .. } => open + length,
            Cut::Month => month_start(open, 1),
        }
    }

    /// The open time of the kline before the one that opens at `open`.
    pub fn previous(self, open: i64) -> i64 {
        self.floor(open - 1)
    }

    /// Whether every kline of this interval is made of whole klines of `smaller`.
    pub fn holds_whole(self, smaller: Interval) -> bool {
        if self == smaller {
            return true;
        }
        match (TABLE[self.index()].1, TABLE[smaller.index()].1) {
            (Cut::Every { length, origin: 0 }, Cut::Every { length: part, origin: 0 }) => length % part == 0,
            // Weeks and months begin at midnight, on no other common grid.
            (_, Cut::Every { length: part, origin: 0 }) => DAY % part == 0,
            _ => false,
        }
    }
}

/// Midnight of the first day of the month of `time`, `later` months on. Outside the calendar's 262,000 years
/// the epoch stands in, which no market reaches.
fn month_start(time: i64, later: u32) -> i64 {
    DateTime::from_timestamp_millis(time)
        .and_then(|moment| NaiveDate::from_ymd_opt(moment.year(), moment.month(), 1))
        .and_then(|first| first.checked_add_months(Months::new(later)))
        .and_then(|first| first.and_hms_opt(0, 0, 0))
        .map_or(0, |midnight| midnight.and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    #[test]
    fn weeks_open_on_monday_and_months_on_the_first() {
        let friday = at("2026-11-20T22:02:41Z");
        assert_eq!(Interval::W1.floor(friday), at("2026-11-16T00:00:00Z"));
        assert_eq!(Interval::MO1.floor(friday), at("2026-11-01T00:00:00Z"));
        assert_eq!(Interval::MO1.next(at("2026-12-01T00:00:00Z")), at("2027-01-01T00:00:00Z"));
        assert_eq!(Interval::MO1.previous(at("2024-03-01T00:00:00Z")), at("2024-02-01T00:00:00Z"));
    }

    #[test]
    fn only_exact_multiples_hold_whole_klines() {
        let of = |name| Interval::parse(name).unwrap();
        assert!(of("15m").holds_whole(of("5m")) && of("1M").holds_whole(of("1h")) && of("1w").holds_whole(of("1d")));
        assert!(!of("5m").holds_whole(of("3m")) && !of("1w").holds_whole(of("3d")) && !of("1m").holds_whole(of("5m")));
        assert!(!of("1M").holds_whole(of("1w")));
    }
}
