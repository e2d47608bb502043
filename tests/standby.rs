//! A streaming standby answers readers and evaluates nothing; promoted, it goes on where the primary ended, and no signal is
//! lost or written twice.

use crate::harness::{
    Client, MIXED, OWN, Rule, Session, Stage, Stop, check_signals, market_time, millis, save, until, until_within,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};
use tokio_postgres::Row;

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
    let second = stage.cluster.standby("second");
    let reader = second.session();
    stage.settle(&reader);
    readers_work(&stage, &reader);
    session.reload(&[("synchronous_standby_names", "*")]);
    until("the standby is synchronous", || {
        session
            .one::<bool>("SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')", &[])
            .then_some(())
    });
    let mut client = Client::at("start");
    client.read(&session);
    go_on(&session, 6);
    let seen = seq(&session);
    until("and more", || (seq(&session) > seen).then_some(()));
    client.read(&session);
    drop(session);
    stage.cluster.stop(Stop::Immediate);
    promote(&reader);
    assert!(seq(&reader) > seen, "what was seen on the primary is here");
    go_on(&reader, 6);
    let after_sync = finish(&stage, &reader, &rules);
    client.read(&reader);
    check_seen(&reader, &client);

    // One that is cut off and promoted while its primary lives: what it never got is evaluated again, and both say the same.
    let mut third = second.standby("third");
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
    let lost: i64 = session.one("SELECT count(*) FROM vyx.signals WHERE seq > $1", &[&common]);
    assert!(lost > 3, "{lost} signals that only the primary has are too few to prove anything");
    client.read(&session);
    assert!(client.seq() > common, "whoever has read that has a cursor that is beyond the other's end");
    promote(&reader);
    client.read(&reader);
    go_on(&reader, 3);
    finish(&stage, &reader, &rules);
    client.read(&reader);
    check_seen(&reader, &client);
    assert!(finish(&stage, &session, &rules) > after_sync);
    let (ours, theirs) = (signals(&session), signals(&reader));
    let both: Vec<_> = ours.keys().filter(|id| theirs.contains_key(*id)).collect();
    assert!(both.iter().all(|id| ours[*id] == theirs[*id]), "the same signal has the same id");
    let through = |signals: &BTreeMap<String, Said>| signals.values().map(|said| said.2).max().unwrap_or_default();
    let through = through(&ours).min(through(&theirs));
    let of = |signals: &BTreeMap<String, Said>| signals.values().filter(|said| said.2 < through).count();
    let shared = both.iter().filter(|id| ours[**id].2 < through).count();
    assert_eq!((of(&ours), of(&theirs)), (shared, shared), "neither has one that the other has not");
    third.stop(Stop::Fast);
}

/// There is no signal that it has not seen.
#[track_caller]
fn check_seen(session: &Session, client: &Client) {
    let all: Vec<String> = session
        .rows("SELECT id::text FROM vyx.signals WHERE seq <= $1", &[&client.seq()])
        .iter()
        .map(|row| row.get(0))
        .collect();
    let missed: Vec<_> = all.iter().filter(|id| !client.seen.contains(id)).collect();
    assert!(all.len() > 5 && missed.is_empty(), "of {} signals were missed: {missed:?}", all.len());
}

/// Trader, series, close time and price of a signal.
type Said = (String, String, i64, f64);

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
        "SELECT count(*) = 5 FROM vyx_values('BTCUSDT', '1m', 5, 'rsi(close, 14)')",
        "SELECT evaluated > 0 FROM vyx_backtest_summary(NULL, '1m', 10, 'close > open')",
        "SELECT bool_and(ok) FROM vyx_validate('close > 1')",
        "SELECT count(*) > 1 FROM vyx.traders t, vyx_explain(t.id, 'BTCUSDT') WHERE t.name = 'rising'",
        "SELECT count(m) >= 0 FROM vyx.traders t, vyx_matching(t.id) AS m WHERE t.name = 'rising'",
        "SELECT count(s) = 6 FROM vyx.traders t, vyx_trader_status(t.id) AS s",
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

/// By id.
fn signals(session: &Session) -> BTreeMap<String, Said> {
    let all = "SELECT id::text, trader_id::text, symbol || \"interval\", close_time, price FROM vyx.signals";
    let said = |row: &Row| (row.get(1), row.get(2), millis(row.get::<_, SystemTime>(3)), row.get(4));
    session.rows(all, &[]).iter().map(|row| (row.get(0), said(row))).collect()
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
