//! The kill switches: what is paused does nothing, through whatever happens to the server, and nothing is lost by it.

use crate::harness::{MINUTE, MIXED, OWN, Rule, Session, Stage, Stop, check_ledger, count, save, signal, until};
use crate::signals::{SYMBOLS, finish};

/// The health in one line, once it holds these words.
#[track_caller]
fn says(session: &Session, words: &str) -> String {
    until(&format!("the health says \"{words}\""), || {
        let health: String = session.one("SELECT status || ': ' || reason FROM vyx_health()", &[]);
        health.contains(words).then_some(health)
    })
}

fn signals(session: &Session) -> i64 {
    session.one("SELECT count(*) FROM vyx.signals", &[])
}

#[test]
fn what_closes_while_evaluation_is_paused_is_caught_up_each_once() {
    let settings = [("vyx.intervals", "1m,5m"), ("vyx.evaluate_worker", "off")];
    let mut stage = Stage::start("paused-evaluate", &SYMBOLS, Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    let rules: Vec<&Rule> = OWN.iter().chain(&MIXED).collect();
    save(&session, &rules);
    stage.start_worker(&session);
    until("signals", || (signals(&session) > 5).then_some(()));

    let worker: i32 = session.one("SELECT evaluate_pid FROM vyx_health()", &[]);
    session.run("BEGIN");
    assert!(session.one::<bool>("SELECT vyx_pause('evaluate')", &[]));
    session.run("ROLLBACK");
    assert!(!session.one::<bool>("SELECT vyx_pause('evaluate')", &[]), "a rollback does not undo it");
    let paused = says(&session, "degraded: evaluation is paused since ");
    assert!(paused.contains("SELECT vyx_resume('evaluate')"), "{paused}");
    until("the worker waits without a connection", || {
        let pid: Option<i32> = session.one("SELECT evaluate_pid FROM vyx_health()", &[]);
        pid.filter(|pid| *pid != worker)
    });
    let written = signals(&session);
    let nothing_happens = |session: &Session| {
        stage.reach(session, stage.exchange.market_time() + 3 * MINUTE);
        session.notices();
        session.run("CALL vyx_evaluate(stay => '1 s')");
        let notices = session.notices();
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(notices[0].message().starts_with("evaluation is paused since "), "{notices:?}");
        assert_eq!(session.one::<String>("SELECT vyx.evaluate_once(NULL)", &[]), "idle");
        assert_eq!(signals(session), written);
        assert_eq!(says(session, "paused"), paused);
    };
    nothing_happens(&session);
    let copy = stage.cluster.base_backup("paused-copy");
    assert!(copy.join("vyx.evaluate.paused").exists(), "a copy is paused too");
    std::fs::remove_dir_all(copy).expect("it is ours");
    // Memory is made anew: by a crash, and by a start.
    signal(session.one("SELECT pg_backend_pid()", &[]), libc::SIGKILL);
    until("the server restarts its processes", || session.try_rows("SELECT 1", &[]).is_err().then_some(()));
    nothing_happens(&stage.cluster.session());
    stage.cluster.stop(Stop::Fast);
    stage.cluster.run().expect("the server starts again");
    let session = stage.cluster.session();
    assert_eq!(signals(&session), written);
    assert_eq!(says(&session, "paused"), paused);

    stage.settle(&session);
    assert!(session.one::<bool>("SELECT vyx_resume('evaluate')", &[]));
    assert!(!session.one::<bool>("SELECT vyx_resume('evaluate')", &[]));
    until("the worker is back", || (signals(&session) > written).then_some(()));
    says(&session, "ok: ");
    finish(&stage, &session, &rules);
}

#[test]
fn paused_ingest_is_silent_and_what_closed_meanwhile_is_repaired() {
    let settings = [("vyx.intervals", "1m"), ("vyx.evaluate_worker", "off"), ("vyx.snapshot_interval", "1")];
    let mut stage = Stage::start("paused-ingest", &["BTCUSDT", "ETHUSDT"], Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    session.refuses("22023", &["\"both\"", "ingest, evaluate"], "SELECT vyx_pause('both')");
    session.refuses("22023", &["ingest, evaluate"], "SELECT vyx_resume('')");
    session.refuses("22004", &["worker"], "SELECT vyx_pause(NULL)");
    session.run("CREATE ROLE olga; GRANT vyx_operator TO olga; CREATE ROLE mallory; GRANT vyx_user TO mallory");
    session.run("SET ROLE mallory");
    for call in ["vyx_pause('ingest')", "vyx_resume('ingest')", "vyx._paused_since('ingest')"] {
        assert_eq!(session.refusal(&format!("SELECT {call}")).code().code(), "42501", "{call}");
    }
    session.run("SET ROLE olga");
    assert!(session.one::<bool>("SELECT vyx_pause('ingest')", &[]));
    session.run("RESET ROLE");
    let paused = says(&session, "down: market data is paused since ");
    assert!(paused.contains("SELECT vyx_resume('ingest')"), "{paused}");
    until("the exchange has nobody", || stage.exchange.state().connections.is_empty().then_some(()));
    let requests = |stage: &Stage| -> u64 {
        stage.exchange.state().requests.values().flat_map(|by_status| by_status.values()).sum()
    };
    let asked = requests(&stage);
    let held: i64 = session.one("SELECT sum(klines)::bigint FROM vyx_series()", &[]);
    assert!(held > 4_000, "{held} klines are held");
    let passes = |minutes: i64| {
        let end = stage.exchange.market_time() + minutes * MINUTE;
        until("time passes at the exchange", || (stage.exchange.market_time() >= end).then_some(()));
    };
    passes(3);
    assert!(session.one::<bool>("SELECT bool_and(state = 'stale') FROM vyx_series()", &[]));
    stage.cluster.stop(Stop::Fast);
    stage.cluster.run().expect("the server starts again");
    let session = stage.cluster.session();
    until("the rings are warm from the snapshot", || {
        let now: Option<i64> = session.one("SELECT sum(klines)::bigint FROM vyx_series()", &[]);
        now.filter(|now| *now >= held - 2) // the open ones are left out
    });
    assert_eq!(says(&session, "paused"), paused);
    assert_eq!((requests(&stage), stage.exchange.state().connections.len()), (asked, 0), "it asked nothing");
    assert_eq!(count(&session, "connects"), 0);

    assert!(session.one::<bool>("SELECT vyx_resume('ingest')", &[]));
    stage.settle(&session);
    stage.check(&session);
    let ledger = check_ledger(&session);
    assert!(ledger.iter().any(|gap| gap.reason == "restart"), "what closed meanwhile was missing: {ledger:?}");
    says(&session, "ok: ");
}
