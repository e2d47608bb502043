//! A streaming standby answers readers and evaluates nothing; promoted, it goes on where the primary ended, and no signal is
//! lost or written twice.

use crate::harness::{
    MIXED, OWN, Rule, Session, Stage, Stop, check_signals, market_time, millis, save, until, until_within,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

const SYMBOLS: [&str; 3] = ["BTCUSDT", "ETHUSDT", "币安人生USDT"];
const MINUTE: i64 = 60_000;

#[test]
fn a_promoted_standby_goes_on_and_nothing_is_lost_or_written_twice() {
    let settings = [("vyx.intervals", "1m,5m"), ("vyx.evaluate_worker", "off")];
    let mut stage = Stage::start("primary", &SYMBOLS, Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    let rules: Vec<&Rule> = OWN.iter().chain(&MIXED).collect();
    save(&session, &rules);
    stage.start_worker(&session);
    until("signals", || session.one::<bool>("SELECT count(*) > 5 FROM vyx.signals", &[]).then_some(()));

    // What the primary has committed, the standby has: nothing is lost at all.
    let mut second = stage.cluster.standby("second");
    let reader = second.session();
    stage.settle(&reader);
    readers_work(&stage, &reader);
    session.reload(&[("synchronous_standby_names", "*")]);
    until("the standby is synchronous", || {
        session
            .one::<bool>("SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')", &[])
            .then_some(())
    });
    go_on(&session, 6);
    let seen = seq(&session);
    until("and more", || (seq(&session) > seen).then_some(()));
    drop(session);
    stage.cluster.stop(Stop::Immediate);
    promote(&reader);
    assert!(seq(&reader) > seen, "what was seen on the primary is here");
    go_on(&reader, 6);
    let after_sync = finish(&stage, &reader, &rules);

    // One that lags behind at the end: what it never got is evaluated again, and is the same.
    let third = second.standby("third");
    let session = reader;
    let reader = third.session();
    stage.settle(&reader);
    go_on(&session, 3);
    until("the standby follows", || {
        let position: i64 = session.one("SELECT seq FROM vyx.writer", &[]);
        (seq(&reader) >= position).then_some(())
    });
    reader.reload(&[("primary_conninfo", "")]);
    until("it follows no more", || {
        reader.one::<bool>("SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)", &[]).then_some(())
    });
    let common = seq(&reader);
    go_on(&session, 6);
    let (all, lost) = (signals(&session, 0), signals(&session, common));
    assert!(lost.len() > 3, "{} signals that only the primary has are too few to prove anything", lost.len());
    drop(session);
    second.stop(Stop::Immediate);
    promote(&reader);
    let last = all.values().map(|said| said.2).max().expect("there are some");
    until("what was lost is made again", || {
        reader.one::<bool>("SELECT min(evaluated_through) > vyx.at($1) FROM vyx.watermarks", &[&last]).then_some(())
    });
    let again = signals(&reader, 0);
    for (id, said) in &all {
        assert_eq!(again.get(id), Some(said), "the same signal has the same id");
    }
    assert!(finish(&stage, &reader, &rules) > after_sync);
}

/// Whatever answers without writing, answers; whatever would write, says that it cannot.
fn readers_work(stage: &Stage, reader: &Session) {
    stage.check(reader);
    let health = &reader.rows("SELECT status || ': ' || reason, evaluate_pid FROM vyx_health()", &[])[0];
    assert_eq!(health.get::<_, String>(0), "ok: every series is followed");
    assert_eq!(health.get::<_, Option<i32>>(1), None, "nobody evaluates here");
    for question in [
        "SELECT count(*) = 10 FROM vyx_klines('BTCUSDT', '1m', 10)",
        "SELECT cardinality(vyx_closes('BTCUSDT', '5m', 10)) = 10",
        "SELECT count(*) = 3 FROM vyx_snapshot('1m')",
        "SELECT count(*) = 6 FROM vyx_series()",
        "SELECT count(*) = 3 FROM vyx_screen('1m', 'close > open')",
        "SELECT count(*) > 0 FROM vyx_gaps()",
        "SELECT count(*) > 0 FROM vyx_metrics()",
        "SELECT count(*) > 0 FROM vyx.signals",
    ] {
        assert!(reader.one::<bool>(question, &[]), "{question}");
    }
    reader.refuses("25006", &["read-only"], "INSERT INTO vyx.traders (name, script) VALUES ('up', 'close > open')");
    reader.refuses("25006", &["read-only"], "UPDATE vyx.traders SET state = 'stopped'");
    reader.refuses("25006", &["read-only"], "CALL vyx_evaluate()");
}

fn promote(session: &Session) {
    assert!(session.one::<bool>("SELECT pg_promote()", &[]));
    let start = Instant::now();
    until("somebody evaluates", || {
        let pid: Option<i32> = session.one("SELECT evaluate_pid FROM vyx_health()", &[]);
        pid.filter(|_| session.one("SELECT status = 'ok' FROM vyx_health()", &[]))
    });
    assert!(start.elapsed() < Duration::from_secs(10), "evaluation took {:?} to begin", start.elapsed());
    // It is the same database system, so it needs nobody's leave.
    assert!(!session.one::<bool>("SELECT vyx_adopt()", &[]));
}

fn seq(session: &Session) -> i64 {
    session.one("SELECT coalesce(max(seq), 0) FROM vyx.signals", &[])
}

/// Waits until so many minutes of the market have been evaluated.
fn go_on(session: &Session, minutes: i64) {
    let to = market_time(session) + minutes * MINUTE;
    until("evaluation goes on", || {
        session.one::<bool>("SELECT max(evaluated_through) >= vyx.at($1) FROM vyx.watermarks", &[&to]).then_some(())
    });
}

/// By id, those drawn after this number: trader, symbol, close time and price.
fn signals(session: &Session, after: i64) -> BTreeMap<String, (String, String, i64, f64)> {
    let rows = session.rows(
        "SELECT id::text, trader_id::text, symbol || \"interval\", close_time, price FROM vyx.signals WHERE seq > $1",
        &[&after],
    );
    rows.iter()
        .map(|row| (row.get(0), (row.get(1), row.get(2), millis(row.get::<_, SystemTime>(3)), row.get(4))))
        .collect()
}

/// Everything through some later close is as expected; how many signals that are.
fn finish(stage: &Stage, session: &Session, rules: &[&Rule]) -> usize {
    let target = stage.exchange.market_time() + 3 * MINUTE;
    let through = target - target.rem_euclid(MINUTE) - 1;
    until_within(Duration::from_secs(60), "everything due has been evaluated", || {
        let due = "SELECT count(*) = 6 AND min(evaluated_through) > vyx.at($1::bigint - 300000) AND NOT EXISTS (SELECT FROM vyx.pending)
                   AND bool_and(evaluated_through >= vyx.at($1) OR \"interval\" = '5m') FROM vyx.watermarks";
        session.one::<bool>(due, &[&through]).then_some(())
    });
    // Through the last close of both intervals.
    let through = through + 1 - (through + 1).rem_euclid(5 * MINUTE) - 1;
    let count = check_signals(session, &stage.truth, rules, &SYMBOLS, through);
    assert!(session.one::<bool>("SELECT count(DISTINCT seq) = count(*) AND sum(w.skipped) = 0 FROM vyx.signals s, (SELECT sum(skipped) AS skipped FROM vyx.watermarks) w", &[]));
    count
}
