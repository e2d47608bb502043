//! One fault after the other on one server, each with what the ledger may say of it.

use super::ledger::{Gap, check_ledger, count, gaps, metrics};
use super::session::Session;
use super::stage::Stage;
use super::truth::market_time;
use super::until;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use vyx_sim::{Kind, Settings};

pub const MINUTE: i64 = 60_000;
/// Of all kinds: busy ones, and a name that is not ASCII.
pub const SYMBOLS: [&str; 3] = ["BTCUSDT", "ETHUSDT", "币安人生USDT"];

/// One fault and what it leads to.
pub struct Row {
    pub name: &'static str,
    /// Makes it happen, and waits for what shows that it did.
    pub happens: fn(&Play),
    /// The ledger gets a row with one of these reasons.
    pub reasons: &'static [&'static str],
    /// It may also get rows with these. At sixty times the usual speed a busy machine misses a close now and then.
    pub other_reasons: &'static [&'static str],
    pub resolutions: &'static [&'static str],
    /// Counters that rise, and those that stay.
    pub rise: &'static [&'static str],
    pub stay: &'static [&'static str],
}

/// A row of which nothing needs to be seen.
pub const HARMLESS: Row = Row {
    name: "",
    happens: |_| (),
    reasons: &[],
    other_reasons: &["missed close", "overdue"],
    resolutions: &["repaired"],
    rise: &[],
    stay: &["gaps_unlisted", "gaps_forgotten", "refused_klines", "damaged_slots", "log_lines_dropped"],
};

/// One that costs a connection.
pub const INTERRUPTION: Row =
    Row { reasons: &["disconnect"], rise: &["reconnects"], other_reasons: &["missed close", "overdue"], ..HARMLESS };

/// A server on which rows happen one after the other.
pub struct Play {
    pub stage: Stage,
    pub session: Session,
}

impl Play {
    pub fn start(name: &str, exchange: Settings, settings: &[(&str, &str)]) -> Play {
        let basic = [("vyx.intervals", "1m,5m"), ("vyx.ring_size", "240"), ("vyx.stale_after", "5s")];
        // Pings keep a connection alive over which nothing else comes.
        let exchange = Settings { ping_every: Duration::from_secs(1), ..exchange };
        let stage = Stage::start(name, &SYMBOLS, exchange, &[&basic, settings].concat());
        let session = stage.cluster.session();
        let play = Play { stage, session };
        play.stage.settle(&play.session);
        // So that every stream has spoken: what is missing from there on is no part of the first history.
        play.goes_on(2);
        play
    }

    /// Plays all of them, whatever becomes of each.
    pub fn rows(&self, rows: &[Row]) {
        let failed = rows.iter().filter(|row| catch_unwind(AssertUnwindSafe(|| self.row(row))).is_err());
        let failed: Vec<&str> = failed.map(|row| row.name).collect();
        assert!(failed.is_empty(), "failed: {failed:?}");
        // However it went, the exchange's rules were kept.
        let state = self.stage.exchange.state();
        assert_eq!((state.closed_for_too_many_messages, state.closed_without_pong), (0, 0));
    }

    fn row(&self, row: &Row) {
        eprintln!("---- {} ----", row.name);
        self.stage.exchange.clear(None);
        self.stage.settle(&self.session);
        let (before, begin) = (metrics(&self.session), market_time(&self.session));
        (row.happens)(self);
        // Candles beyond what happened, so that what was lost has been noticed.
        self.goes_on(4);
        let ledger = self.whole();
        let found: Vec<&Gap> = ledger.iter().filter(|gap| gap.detected_at >= begin).collect();
        for gap in &found {
            let may = [row.reasons, row.other_reasons].concat().contains(&&*gap.reason);
            let ended = gap.resolution.as_deref().is_some_and(|how| row.resolutions.contains(&how));
            assert!(may && ended, "{}: not expected: {gap:?}", row.name);
        }
        let expected = found.iter().any(|gap| row.reasons.contains(&&*gap.reason));
        assert!(expected || row.reasons.is_empty(), "{}: none of {:?} in {found:#?}", row.name, row.reasons);
        let after = metrics(&self.session);
        for (names, rises) in [(row.rise, true), (row.stay, false)] {
            for name in names {
                let (before, after) = (&before[&format!("vyx_{name}_total")], &after[&format!("vyx_{name}_total")]);
                assert_eq!(after > before, rises, "{}: {name} was {before} and is {after}", row.name);
            }
        }
    }

    /// Everything is there and true. Gives the ledger.
    fn whole(&self) -> Vec<Gap> {
        self.stage.settle(&self.session);
        self.stage.check(&self.session);
        check_ledger(&self.session)
    }

    #[track_caller]
    pub fn goes_on(&self, minutes: i64) {
        self.stage.reach(&self.session, self.stage.exchange.market_time() + minutes * MINUTE);
    }

    /// Waits until a counter has risen by so much since the row began to count.
    #[track_caller]
    pub fn rises(&self, name: &str, from: i64) {
        until(&format!("{name} rises"), || (count(&self.session, name) > from).then_some(()));
    }

    /// The only connection, by the exchange's number.
    pub fn connection(&self) -> u64 {
        until("a connection", || self.stage.exchange.state().connections.last().map(|connection| connection.id))
    }

    /// Nothing comes for some minutes of the market.
    pub fn outage(&self, reset: bool) {
        let reconnects = count(&self.session, "reconnects");
        let refused = self.stage.inject(Kind::RefuseConnections, |_| ());
        self.stage.inject(Kind::Drop, |fault| fault.reset = Some(reset));
        self.rises("reconnects", reconnects);
        self.passes(3);
        self.stage.exchange.clear(refused);
    }

    /// Waits for the exchange's clock alone.
    #[track_caller]
    pub fn passes(&self, minutes: i64) {
        let end = self.stage.exchange.market_time() + minutes * MINUTE;
        until("time passes at the exchange", || (self.stage.exchange.market_time() >= end).then_some(()));
    }

    fn requests(&self) -> u64 {
        self.stage.exchange.state().requests.values().flat_map(|by_status| by_status.values()).sum()
    }

    /// Requests that were answered with this status.
    fn answered(&self, status: u16) -> u64 {
        self.stage.exchange.state().requests.values().filter_map(|by_status| by_status.get(&status)).sum()
    }

    /// History is wanted and refused once with this status; from then on nothing may be sent for so long, while the
    /// streams go on.
    #[track_caller]
    pub fn refused(&self, status: u16, retry_after_s: Option<u64>, silence: Duration) {
        let before = self.answered(status);
        let refusal = self.stage.inject(Kind::RefuseRest, |fault| {
            (fault.status, fault.retry_after_s) = (Some(status), retry_after_s);
        });
        self.stage.inject(Kind::MissingClose, |fault| fault.count = Some(2));
        until("history is refused", || (self.answered(status) > before).then_some(()));
        let start = Instant::now();
        self.stage.exchange.clear(refusal);
        // What was under way arrives yet.
        std::thread::sleep(Duration::from_millis(300));
        let (requests, messages) = (self.requests(), count(&self.session, "messages"));
        let mut open = 0;
        while start.elapsed() + Duration::from_millis(200) < silence {
            assert_eq!(self.requests(), requests, "sent {:?} after the refusal", start.elapsed());
            open = open.max(gaps(&self.session).iter().filter(|gap| gap.resolution.is_none()).count());
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(count(&self.session, "messages") > messages + 20, "streams go on");
        assert!(open > 0, "what cannot be fetched is in the ledger meanwhile");
    }

    /// The exchange under the other name that this machine has for itself: another host, which owes no pause.
    pub fn go_to(&self, host: &str) {
        let port = self.stage.exchange.address().port();
        let (stream, rest) = (format!("ws://{host}:{port}"), format!("http://{host}:{port}"));
        self.session.reload(&[("vyx.stream_url", &stream), ("vyx.rest_url", &rest)]);
    }

    pub fn ingest(&self) -> i32 {
        self.session.one("SELECT ingest_pid FROM vyx_health()", &[])
    }
}
