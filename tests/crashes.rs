//! Processes end, by kindness or not, and nothing is lost that does not come back.

use crate::harness::{Session, Stage, Stop, signal, until};
use std::time::{Duration, Instant};

fn stage(name: &str) -> Stage {
    let settings = [("vyx.intervals", "1m,5m"), ("vyx.evaluate_worker", "off")];
    Stage::start(name, &["BTCUSDT", "ETHUSDT", "ACAUSDT"], Stage::speed(60.0), &settings)
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
fn a_killed_ingest_is_a_crash_after_which_the_rings_fill_again() {
    let stage = stage("kill");
    let session = stage.cluster.session();
    stage.settle(&session);
    let first = ingest(&session).expect("it runs");
    signal(first, libc::SIGKILL);
    until("the server restarts its processes", || session.try_rows("SELECT 1", &[]).is_err().then_some(()));
    let session = stage.cluster.session();
    until("another ingest reports", || ingest(&session).filter(|pid| *pid != first));
    stage.settle(&session);
    stage.check(&session);
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
