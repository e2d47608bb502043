//! `vyx evaluate` is told to end whatever it is doing: it does so at once, and the next one goes on where it stopped.

use crate::harness::{OWN, Rule, Session, Stage, Stop, save, signal, until};
use crate::signals::{SYMBOLS, finish};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

fn worker(session: &Session) -> Option<i32> {
    session.one("SELECT evaluate_pid FROM vyx_health()", &[])
}

/// Told to end, it ends within a second, and another one runs within six.
#[track_caller]
pub fn ends(session: &Session, doing: &str) {
    let pid = until(&format!("{doing}: it runs"), || worker(session));
    signal(pid, libc::SIGTERM);
    let start = Instant::now();
    until(&format!("{doing}: it ends"), || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
    assert!(start.elapsed() < Duration::from_secs(1), "{doing}: the end took {:?}", start.elapsed());
    until(&format!("{doing}: another one runs"), || worker(session).filter(|other| *other != pid));
    assert!(start.elapsed() < Duration::from_secs(6), "{doing}: it was away for {:?}", start.elapsed());
}

/// Stops the server and starts it again.
#[track_caller]
fn restarts(stage: &mut Stage, how: Stop, doing: &str) -> Session {
    let took = stage.cluster.stop(how);
    assert!(took < Duration::from_secs(2), "{doing}: the server took {took:?} to stop");
    stage.cluster.run().expect("the server starts again");
    stage.cluster.session()
}

/// Waits until the worker waits for this.
#[track_caller]
fn waits(session: &Session, event: &str) {
    let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'vyx evaluate' AND $1 IN (wait_event_type, wait_event))";
    until(&format!("it waits: {event}"), || session.one::<bool>(waiting, &[&event]).then_some(()));
}

#[track_caller]
fn says(session: &Session, words: &str) {
    let said = "SELECT reason LIKE '%' || $1 || '%' FROM vyx_health()";
    until(&format!("the health says {words}"), || session.one::<bool>(said, &[&words]).then_some(()));
}

#[test]
fn the_worker_ends_within_a_second_and_the_server_within_two_whatever_it_is_doing() {
    let settings = [("vyx.intervals", "1m,5m"), ("vyx.evaluate_worker", "off")];
    let mut stage = Stage::start("ending", &SYMBOLS, Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    let rules: Vec<&Rule> = OWN.iter().chain(&crate::harness::MIXED).collect();
    save(&session, &rules);
    ends(&session, "off");
    stage.start_worker(&session);
    until("signals", || session.one::<bool>("SELECT count(*) > 5 FROM vyx.signals", &[]).then_some(()));
    ends(&session, "waiting for closes");
    ends(&session, "starting"); // at once, as soon as it has a number

    session.run("BEGIN; SELECT FROM vyx.writer FOR UPDATE");
    let other = stage.cluster.session();
    waits(&other, "Lock");
    ends(&other, "waiting for a lock");
    session.run("ROLLBACK");

    // It is held up between the first row of a batch and the commit.
    session.run(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(30); RETURN NEW; END $$;
         CREATE TRIGGER slow AFTER INSERT ON vyx.signals FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    waits(&session, "PgSleep");
    ends(&session, "writing");
    waits(&session, "PgSleep");
    let session = restarts(&mut stage, Stop::Fast, "writing");
    waits(&session, "PgSleep");
    let written = |session: &Session| -> (i64, SystemTime) {
        let row = &session
            .rows("SELECT (SELECT count(*) FROM vyx.signals), max(evaluated_through) FROM vyx.watermarks", &[])[0];
        (row.get(0), row.get(1))
    };
    let before = written(&session);
    let session = restarts(&mut stage, Stop::Immediate, "writing");
    assert_eq!(written(&session), before, "all or nothing");

    session.run("SELECT vyx_pause('evaluate')");
    // By itself it may leave at the same moment.
    let pid = until("it runs", || worker(&session));
    session.terminate(pid);
    says(&session, "evaluation is paused");
    session.run("DROP TRIGGER slow ON vyx.signals");
    ends(&session, "paused");
    let session = restarts(&mut stage, Stop::Fast, "paused");

    session.run("ALTER TABLE vyx.watermarks ADD CONSTRAINT never CHECK (skipped < 0) NOT VALID");
    session.run("SELECT vyx_resume('evaluate')");
    says(&session, "failed: ");
    ends(&session, "pausing after an error");
    says(&session, "failed: ");
    let session = restarts(&mut stage, Stop::Fast, "pausing after an error");
    session.run("ALTER TABLE vyx.watermarks DROP CONSTRAINT never");
    stage.settle(&session);
    finish(&stage, &session, &rules);
}

#[test]
fn the_worker_ends_within_a_second_in_the_midst_of_thousands_of_first_histories() {
    let symbols = [
        "BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "DOGEUSDT", "LTCUSDT", "LINKUSDT", "AVAXUSDT",
    ];
    let settings = [("vyx.intervals", "1m"), ("vyx.evaluate_worker", "off"), ("vyx.snapshot_interval", "1")];
    let mut stage = Stage::start("heavy", &symbols, Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    session.run(
        "INSERT INTO vyx.traders (user_id, name, state, script)
         SELECT NULL, 'heavy ' || n, 'running', format('alma(close, %s) < alma(close, %s)', 200 + n, 500 + n)
         FROM generate_series(1, 300) AS n",
    );
    stage.start_worker(&session);
    // It reports five times a second, unless it evaluates.
    let evaluates = |session: &Session| {
        until("it evaluates", || {
            let quiet = "SELECT clock_timestamp() - evaluate_heartbeat > interval '600 ms' FROM vyx_health()";
            session.one::<Option<bool>>(quiet, &[]).unwrap_or(false).then_some(())
        })
    };
    evaluates(&session);
    ends(&session, "evaluating");
    evaluates(&session);
    restarts(&mut stage, Stop::Fast, "evaluating");
}
