//! Processes end, by kindness or not, and nothing is lost that does not come back.

use crate::harness::{START, Session, Stage, Stop, check_ledger, signal, until};
use crate::storm::compiler_of;
use std::path::Path;
use std::time::{Duration, Instant};
use vyx_sim::Kind;

fn stage(name: &str) -> Stage {
    stage_with(name, &[])
}

fn stage_with(name: &str, settings: &[(&str, &str)]) -> Stage {
    let basic = [("vyx.intervals", "1m,5m"), ("vyx.evaluate_worker", "off")];
    Stage::start(name, &["BTCUSDT", "ETHUSDT", "ACAUSDT"], Stage::speed(60.0), &[&basic, settings].concat())
}

fn ingest(session: &Session) -> Option<i32> {
    session.one("SELECT ingest_pid FROM vyx_health()", &[])
}

#[test]
fn a_terminated_ingest_is_back_within_seconds_and_keeps_its_rings() {
    let stage = stage("terminate");
    let session = stage.cluster.session();
    stage.settle(&session);
    let first: i32 = ingest(&session).expect("it runs");
    let held: i64 = session.one("SELECT sum(klines)::bigint FROM vyx_series()", &[]);
    signal(first, libc::SIGTERM);
    let start = Instant::now();
    until("another ingest reports", || ingest(&session).filter(|pid| *pid != first));
    assert!(start.elapsed() < Duration::from_secs(8), "it took {:?}", start.elapsed());
    let now: i64 = session.one("SELECT sum(klines)::bigint FROM vyx_series()", &[]);
    assert!(now >= held, "rings were emptied: {held} klines, then {now}");
    stage.settle(&session);
    stage.check(&session);
}

#[test]
fn a_killed_process_is_a_crash_after_which_workers_and_rings_are_back_within_seconds() {
    let stage = stage_with("kill", &[("vyx.evaluate_worker", "on"), ("vyx.snapshot_interval", "0")]);
    for victim in ["ingest_pid", "evaluate_pid", "pg_backend_pid()"] {
        let session = stage.cluster.session();
        stage.settle(&session);
        let workers = || -> Option<[i32; 2]> {
            let rows = session.try_rows("SELECT ingest_pid, evaluate_pid FROM vyx_health()", &[]).ok()?;
            Some([rows[0].get::<_, Option<i32>>(0)?, rows[0].get::<_, Option<i32>>(1)?])
        };
        let before = until("both workers report", workers);
        let pid = session.one(&format!("SELECT {victim} FROM vyx_health()"), &[]);
        let start = Instant::now();
        signal(pid, libc::SIGKILL);
        until("the server restarts its processes", || session.try_rows("SELECT 1", &[]).is_err().then_some(()));
        let session = stage.cluster.session();
        let both = "SELECT ingest_pid <> ALL ($1) AND evaluate_pid <> ALL ($1) FROM vyx_health()";
        until(&format!("{victim}: both workers are back"), || {
            session.one::<Option<bool>>(both, &[&&before[..]]).filter(|back| *back)
        });
        assert!(start.elapsed() < Duration::from_secs(10), "{victim}: it took {:?}", start.elapsed());
        stage.settle(&session);
        stage.check(&session);
        check_ledger(&session);
    }
}

#[test]
fn a_killed_compiler_costs_one_save_and_nobody_else_anything() {
    let stage = stage_with("compiler", &[("vyx.evaluate_worker", "on")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    let pids = "SELECT format('%s %s %s', ingest_pid, evaluate_pid, pg_postmaster_start_time()) FROM vyx_health()";
    let before: String = session.one(pids, &[]);
    let saver: i32 = session.one("SELECT pg_backend_pid()", &[]);
    let save = "INSERT INTO vyx.traders (user_id, name, script) VALUES (NULL, 'saved', 'close > ema(close, 20)')";
    let (mut saved, mut refused) = (0, None);
    // One that is killed may have given its answer already.
    while refused.is_none() {
        std::thread::scope(|scope| {
            let killer = scope.spawn(|| signal(until("a compiler", || compiler_of(saver)), libc::SIGKILL));
            while refused.is_none() && !killer.is_finished() {
                match session.try_run(save) {
                    Ok(()) => saved += 1,
                    Err(error) => refused = Some(error),
                }
            }
        });
    }
    let refused = refused.as_ref().and_then(|error| error.as_db_error()).expect("the server says why");
    assert_eq!(refused.code().code(), "54000", "{refused:?}");
    assert!(refused.message().contains("vyx-compiler ended without an answer"), "{refused:?}");
    session.run(save);
    let count: i64 = session.one("SELECT count(*) FROM vyx.traders", &[]);
    assert_eq!(count, saved + 1);
    assert_eq!(session.one::<String>(pids, &[]), before);
}

#[test]
fn a_server_stops_fast_while_evaluation_waits_for_a_lock() {
    let mut stage = stage_with("lock", &[("vyx.evaluate_worker", "on")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    session
        .run("INSERT INTO vyx.traders (user_id, name, script, state) VALUES (NULL, 'up', 'close > open', 'running')");
    until("signals", || session.one::<bool>("SELECT count(*) > 0 FROM vyx.signals", &[]).then_some(()));
    session.run("BEGIN; LOCK TABLE vyx.signals IN ACCESS EXCLUSIVE MODE");
    stage.reach(&session, stage.exchange.market_time() + 180_000);
    // Who ingests does not mind.
    stage.settle(&session);
    stage.check(&session);
    let took = stage.cluster.stop(Stop::Fast);
    assert!(took < Duration::from_secs(2), "the server took {took:?} to stop");
}

#[test]
fn a_restart_takes_two_seconds_to_stop_and_the_rings_fill_again() {
    let mut stage = stage("restart");
    let session = stage.cluster.session();
    stage.settle(&session);
    let took = stage.cluster.stop(Stop::Fast);
    assert!(took < Duration::from_secs(2), "the server took {took:?} to stop");
    stage.cluster.run().expect("the server starts again");
    let session = stage.cluster.session();
    stage.settle(&session);
    stage.check(&session);
}

#[test]
fn another_database_is_dropped_within_a_second_while_the_workers_run() {
    let stage = stage("drop-database");
    let session = stage.cluster.session();
    stage.cluster.session().run("CREATE DATABASE other");
    stage.settle(&session);
    let start = Instant::now();
    session.run("DROP DATABASE other");
    assert!(start.elapsed() < Duration::from_secs(1), "it took {:?}", start.elapsed());
}

fn runs(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// An ingest that is told to end does so at once, and the next one reports soon.
fn ends_and_comes_back(stage: &Stage, session: &Session, doing: &str) {
    let first = ingest(session).unwrap_or_else(|| panic!("{doing}: nobody ingests"));
    signal(first, libc::SIGTERM);
    let start = Instant::now();
    until(&format!("{doing}: it ends"), || (!runs(first)).then_some(()));
    assert!(start.elapsed() < Duration::from_secs(1), "{doing}: the end took {:?}", start.elapsed());
    until(&format!("{doing}: another one reports"), || ingest(session).filter(|pid| *pid != first));
    assert!(start.elapsed() < Duration::from_secs(6), "{doing}: it was away for {:?}", start.elapsed());
    assert!(!stage.cluster.log().contains("reinitializing"), "{doing}: that was a crash");
}

#[test]
fn an_ingest_ends_within_a_second_whatever_it_is_doing() {
    let stage = stage_with("busy", &[("vyx.snapshot_interval", "1")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    ends_and_comes_back(&stage, &session, "following");

    // A page of history on its way, of a symbol that is new.
    stage.settle(&session);
    stage.inject(Kind::SlowBytes, |fault| {
        (fault.by_ms, fault.path) = (Some(100), Some("/api/v3/klines".to_owned()));
    });
    session.reload(&[("vyx.symbols", "BTCUSDT,ETHUSDT,ACAUSDT,LTCUSDT")]);
    until("history is on its way", || {
        session.one::<bool>("SELECT reason LIKE 'history is being filled%' FROM vyx_health()", &[]).then_some(())
    });
    ends_and_comes_back(&stage, &session, "filling history");
    stage.exchange.clear(None);

    // Bytes that trickle from the first one on.
    stage.settle(&session);
    stage.inject(Kind::SlowBytes, |fault| fault.by_ms = Some(300));
    stage.inject(Kind::Drop, |_| ());
    std::thread::sleep(Duration::from_millis(1_500));
    ends_and_comes_back(&stage, &session, "shaking hands with somebody slow");
    stage.exchange.clear(None);

    stage.settle(&session);
    stage.vanish(&session);
    ends_and_comes_back(&stage, &session, "looking for the exchange");
    stage.exchange.clear(None);

    // A round begins each second, wherever in it the signal comes.
    for _ in 0..3 {
        stage.settle(&session);
        ends_and_comes_back(&stage, &session, "writing its snapshot");
    }
    stage.settle(&session);
    stage.reach(&session, stage.exchange.market_time() + 120_000);
    stage.settle(&session);
    stage.check(&session);
    check_ledger(&session);
}

#[test]
fn a_killed_postmaster_takes_its_workers_along_and_the_next_starts_at_once() {
    let mut stage = Stage::start("postmaster", &["BTCUSDT", "ETHUSDT"], Stage::speed(60.0), &[("vyx.intervals", "1m")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    let workers = until("both workers report", || {
        let row = &session.rows("SELECT ingest_pid, evaluate_pid FROM vyx_health()", &[])[0];
        Some([row.get::<_, Option<i32>>(0)?, row.get::<_, Option<i32>>(1)?])
    });
    drop(session);
    stage.cluster.kill();
    let start = Instant::now();
    until("the workers are gone", || workers.iter().all(|pid| !runs(*pid)).then_some(()));
    // A few turns of a tenth of a second, and room for a machine that is busy with other tests.
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
    stage.cluster.run().expect("the server starts again");
    let session = stage.cluster.session();
    stage.settle(&session);
    stage.check(&session);
    check_ledger(&session);
}

#[test]
fn an_ingest_that_reads_slow_bytes_ends_within_a_second_and_the_server_within_two() {
    let exchange = vyx_sim::Settings { start: Some(START), ..Stage::speed(1.0) };
    let mut stage = Stage::start("slow", &["BTCUSDT", "ETHUSDT"], exchange, &[("vyx.intervals", "1m")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    // Whatever is said from now on takes minutes.
    stage.inject(Kind::SlowBytes, |fault| fault.by_ms = Some(500));
    std::thread::sleep(Duration::from_secs(1));
    ends_and_comes_back(&stage, &session, "reading slow bytes");
    let took = stage.cluster.stop(Stop::Fast);
    assert!(took < Duration::from_secs(2), "the server took {took:?} to stop");
}
