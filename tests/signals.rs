//! A signal for every (trader, candle) that the rules written in the test expect, and none else, whoever evaluates and
//! whatever ends in the middle.

use crate::harness::{
    Cluster, MIXED, OWN, Rule, Session, Stage, Stop, check_signals, millis, save, until, until_within,
};
use std::time::{Duration, SystemTime};
use vyx_sim::Kind;

/// One with a name beyond ASCII.
pub const SYMBOLS: [&str; 4] = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "币安人生USDT"];
const MINUTE: i64 = 60_000;
/// pg_cron starts jobs on the minute, of this machine's clock.
const CRON: Duration = Duration::from_secs(100);

/// Who evaluates.
#[derive(Clone, Copy)]
struct By {
    cron: bool,
    worker: bool,
    /// Sessions that call `vyx_evaluate` at once.
    callers: usize,
    /// How the server ends in the middle.
    stop: Stop,
}

#[test]
fn pg_cron_alone_gives_every_signal_once() {
    play("by-cron", By { cron: true, worker: false, callers: 0, stop: Stop::Fast });
}

#[test]
fn the_worker_alone_gives_every_signal_once() {
    play("by-worker", By { cron: false, worker: true, callers: 0, stop: Stop::Immediate });
}

#[test]
fn all_at_once_give_every_signal_once() {
    play("by-all", By { cron: true, worker: true, callers: 10, stop: Stop::Fast });
}

#[test]
fn what_waits_for_another_symbol_is_put_off_and_finished_when_that_comes() {
    let settings = [("vyx.intervals", "1m,5m"), ("vyx.evaluate_worker", "off"), ("vyx.close_grace", "100ms")];
    let stage = Stage::start("pending", &SYMBOLS, Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    let rules: Vec<&Rule> = OWN.iter().chain(&MIXED).collect();
    save(&session, &rules);
    stage.start_worker(&session);
    until("signals", || session.one::<bool>("SELECT count(*) > 5 FROM vyx.signals", &[]).then_some(()));
    // The leader's candles do not close, and history does not say why.
    stage.inject(Kind::RefuseRest, |fault| {
        (fault.status, fault.path) = (Some(503), Some("/api/v3/klines".to_owned()));
    });
    stage.inject(Kind::MissingClose, |fault| fault.symbol = Some("BTCUSDT".to_owned()));
    until("what looks at it is put off", || {
        let others = "SELECT count(DISTINCT symbol) = 3 AND bool_and(waiting_for LIKE 'BTCUSDT 1m%') FROM vyx.pending";
        session.one::<Option<bool>>(others, &[]).unwrap_or(false).then_some(())
    });
    let waiting: i64 = session.one("SELECT sum(waiting)::bigint FROM vyx.cycles", &[]);
    assert!(waiting > 0, "cycles tell what waits");
    let last: SystemTime =
        session.one("SELECT max(evaluated_through) FROM vyx.watermarks WHERE symbol = 'ETHUSDT'", &[]);
    until("the others go on meanwhile", || {
        let on = "SELECT max(evaluated_through) > $1 FROM vyx.watermarks WHERE symbol = 'ETHUSDT'";
        session.one::<bool>(on, &[&last]).then_some(())
    });
    stage.exchange.clear(None);
    finish(&stage, &session, &rules);
}

fn play(name: &str, by: By) {
    let settings =
        [("shared_preload_libraries", "pg_cron,vyx"), ("vyx.intervals", "1m,5m"), ("vyx.evaluate_worker", "off")];
    let mut stage = Stage::start(name, &SYMBOLS, Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    let rules: Vec<&Rule> = OWN.iter().chain(&MIXED).collect();
    save(&session, &rules);
    if by.worker {
        stage.start_worker(&session);
    }
    if by.cron {
        session.run("CREATE EXTENSION pg_cron");
        session.run("SELECT vyx_schedule()");
    }
    call(&stage.cluster, by.callers);
    until_within(if by.worker { crate::harness::PATIENCE } else { CRON }, "the first signals", || {
        session.one::<bool>("SELECT count(*) > 5 FROM vyx.signals", &[]).then_some(())
    });
    let early = watermarks(&session);

    stage.inject(Kind::Drop, |_| ());
    for pid in evaluators(&session, by) {
        session.terminate(pid);
    }
    call(&stage.cluster, by.callers);
    if by.worker {
        let seen: i64 = session.one("SELECT count(*) FROM vyx.signals", &[]);
        until("signals go on", || session.one::<bool>("SELECT count(*) > $1 FROM vyx.signals", &[&seen]).then_some(()));
    }
    stage.cluster.stop(by.stop);
    stage.cluster.run().expect("the server starts again");
    let session = stage.cluster.session();
    stage.settle(&session);
    call(&stage.cluster, by.callers);

    finish(&stage, &session, &rules);
    let late = watermarks(&session);
    assert!(early.iter().all(|(series, then)| late.iter().any(|(same, now)| same == series && now >= then)));
}

/// Waits until some more candles have been evaluated, and compares everything through them.
pub fn finish(stage: &Stage, session: &Session, rules: &[&Rule]) {
    let target = stage.exchange.market_time() + 12 * MINUTE;
    let through = target - target.rem_euclid(5 * MINUTE) - 1;
    until_within(CRON, "everything due has been evaluated", || {
        let due = "SELECT count(*) = $2 AND min(evaluated_through) >= vyx.at($1) FROM vyx.watermarks";
        let waits = "SELECT EXISTS (SELECT FROM vyx.pending WHERE close_time <= vyx.at($1))";
        let series = 2 * SYMBOLS.len() as i64;
        let done = session.one(due, &[&through, &series]) && !session.one::<bool>(waits, &[&through]);
        done.then_some(())
    });
    let count = check_signals(session, &stage.truth, rules, &SYMBOLS, through);
    assert!(count > 20, "{count} signals are too few to prove anything");
    check_accounts(session, through);
}

/// Has so many sessions evaluate at the same time.
fn call(cluster: &Cluster, sessions: usize) {
    std::thread::scope(|scope| {
        for _ in 0..sessions {
            scope.spawn(|| cluster.session().run("CALL vyx_evaluate()"));
        }
    });
}

/// The processes that evaluate: the worker, and sessions of pg_cron.
fn evaluators(session: &Session, by: By) -> Vec<i32> {
    until("somebody evaluates", || {
        let worker: Option<i32> = session.one("SELECT evaluate_pid FROM vyx_health()", &[]);
        let calls =
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL%vyx_evaluate%' AND pid <> pg_backend_pid()";
        let mut pids: Vec<i32> = session.rows(calls, &[]).iter().map(|row| row.get(0)).collect();
        pids.extend(worker.filter(|_| by.worker));
        (!pids.is_empty()).then_some(pids)
    })
}

fn watermarks(session: &Session) -> Vec<(String, i64)> {
    let rows = session.rows("SELECT symbol || ' ' || \"interval\", evaluated_through FROM vyx.watermarks", &[]);
    rows.iter().map(|row| (row.get(0), millis(row.get::<_, SystemTime>(1)))).collect()
}

/// What the tables say of themselves adds up.
pub fn check_accounts(session: &Session, through: i64) {
    let wrong = session.rows(
        "SELECT c::text FROM vyx.cycles c
         WHERE close_time <= vyx.at($1)
           AND (evaluated <> matched + unmatched + not_ready OR fired > matched OR failed > 0 OR duplicates > 0 OR waiting <> 0
                OR not_ready > 0 OR series <> expected OR fired <> (
                    SELECT count(*) FROM vyx.signals s WHERE s.\"interval\" = c.\"interval\" AND s.close_time = c.close_time))",
        &[&through],
    );
    assert!(wrong.is_empty(), "{:?}", wrong.iter().map(|row| row.get(0)).collect::<Vec<String>>());
    // Every close has its cycle, none is skipped, seq is drawn once for each.
    for question in [
        "SELECT count(*) = 0 FROM (
             SELECT close_time - lag(close_time) OVER (PARTITION BY \"interval\" ORDER BY close_time) AS step,
                    CASE \"interval\" WHEN '1m' THEN interval '1 minute' ELSE interval '5 minutes' END AS length
             FROM vyx.cycles) AS c WHERE step <> length",
        "SELECT sum(skipped) = 0 FROM vyx.watermarks",
        "SELECT count(DISTINCT seq) = count(*) AND count(DISTINCT id) = count(*) FROM vyx.signals",
        "SELECT max(s.seq) = w.seq FROM vyx.signals s, vyx.writer w GROUP BY w.seq",
        "SELECT count(*) = 0 FROM vyx.failures",
        "SELECT count(*) = 0 FROM vyx.signals s JOIN vyx.traders t ON t.id = s.trader_id
         WHERE s.metadata <> CASE t.name WHEN 'dip' THEN '{\"side\": \"long\", \"note\": \"dip\"}'::jsonb ELSE '{}' END",
    ] {
        assert!(session.one::<bool>(question, &[]), "{question}");
    }
}
