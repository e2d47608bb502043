//! The ledger of gaps as SQL shows it, and whether it says the same as the rings.

use super::session::{Session, millis};
use super::truth::klines;
use super::until;
use std::collections::{BTreeMap, HashSet};
use std::time::SystemTime;
use vyx_sim::Interval;

/// A row of `vyx_gaps()`; times in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Gap {
    pub symbol: String,
    pub interval: String,
    pub from: i64,
    pub to: i64,
    pub klines: i64,
    pub reason: String,
    pub detected_at: i64,
    pub resolution: Option<String>,
}

impl Gap {
    /// Open times of its klines.
    fn open_times(&self) -> Vec<i64> {
        let interval = Interval::parse(&self.interval).expect("the server knows no others");
        std::iter::successors(Some(self.from), |open| Some(interval.next(*open)))
            .take_while(|open| *open <= self.to)
            .collect()
    }
}

/// The ledger as it is.
pub fn gaps(session: &Session) -> Vec<Gap> {
    let rows = session.rows("SELECT * FROM vyx_gaps()", &[]);
    let time = |row: &tokio_postgres::Row, name: &str| millis(row.get::<_, SystemTime>(name));
    rows.iter()
        .map(|row| Gap {
            symbol: row.get("symbol"),
            interval: row.get("interval"),
            from: time(row, "from_open"),
            to: time(row, "to_open"),
            klines: row.get("klines"),
            reason: row.get("reason"),
            detected_at: time(row, "detected_at"),
            resolution: row.get("resolution"),
        })
        .collect()
}

/// Waits until no row is open, and gives the ledger of that moment, which says what the rings say: what is repaired is
/// held closed as far as the window goes, what is confirmed absent is not there, and of a series no kline is told twice.
#[track_caller]
pub fn check_ledger(session: &Session) -> Vec<Gap> {
    let mut last = Vec::new();
    let settled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until("no row of the ledger is open", || {
            last = gaps(session);
            last.iter().all(|gap| gap.resolution.is_some()).then_some(())
        })
    }));
    if settled.is_err() {
        let open: Vec<_> = last.iter().filter(|gap| gap.resolution.is_none()).collect();
        panic!("these stay open: {open:#?}");
    }
    let since = session
        .rows("SELECT s.symbol, s.\"interval\", y.since FROM vyx_series() s JOIN vyx_symbols() y USING (symbol)", &[]);
    for row in since {
        let (symbol, interval): (String, String) = (row.get(0), row.get(1));
        let of_series = |gap: &&Gap| (&gap.symbol, &gap.interval) == (&symbol, &interval);
        // What was there when it was followed before is another story.
        let added = last.iter().filter(of_series).filter(|gap| gap.reason == "interval added");
        let since = added.map(|gap| gap.detected_at).fold(millis(row.get::<_, SystemTime>(2)), i64::max);
        let recent = |gap: &&Gap| gap.detected_at >= since;
        check_series(session, &symbol, &interval, last.iter().filter(of_series).filter(recent));
    }
    last
}

#[track_caller]
fn check_series<'a>(session: &Session, symbol: &str, interval: &str, gaps: impl Iterator<Item = &'a Gap>) {
    // Read after the ledger: what was held then has at most left the window.
    let held = klines(session, symbol, interval);
    let oldest = held.first().map_or(i64::MAX, |kline| kline.open_time);
    let present: HashSet<i64> = held.iter().map(|kline| kline.open_time).collect();
    let closed: HashSet<i64> = held.iter().filter(|kline| kline.closed).map(|kline| kline.open_time).collect();
    let mut told: BTreeMap<i64, &Gap> = BTreeMap::new();
    for gap in gaps {
        let open_times = gap.open_times();
        assert_eq!(open_times.len() as i64, gap.klines, "{gap:?}");
        for open_time in open_times {
            if let Some(other) = told.insert(open_time, gap) {
                // What was repaired after its series was written to the snapshot is missing once more after a restart.
                let (first, again) = if other.detected_at <= gap.detected_at { (other, gap) } else { (gap, other) };
                let lost = again.reason == "restart" && first.resolution.as_deref() == Some("repaired");
                assert!(lost, "two rows tell of one kline:\n{first:?}\n{again:?}");
            }
            match gap.resolution.as_deref() {
                Some("repaired") if open_time >= oldest => {
                    assert!(closed.contains(&open_time), "repaired and not there: {open_time} of {gap:?}")
                }
                Some("confirmed_absent") => {
                    assert!(!present.contains(&open_time), "absent and there: {open_time} of {gap:?}")
                }
                _ => {}
            }
        }
    }
}

/// Every counter and gauge by its name.
pub fn metrics(session: &Session) -> BTreeMap<String, i64> {
    let rows = session.rows("SELECT name, value FROM vyx_metrics()", &[]);
    rows.iter().map(|row| (row.get(0), row.get::<_, f64>(1) as i64)).collect()
}

/// One counter, by its name without prefix and suffix.
#[track_caller]
pub fn count(session: &Session, name: &str) -> i64 {
    let name = format!("vyx_{name}_total");
    *metrics(session).get(&name).unwrap_or_else(|| panic!("nothing is called {name}"))
}
