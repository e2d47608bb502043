//! What one tenant or operator may do does not reach beyond it while the market goes on.

use crate::harness::{Cluster, Session, Stage, until};

const MATCH: &str = "INSERT INTO vyx.traders (user_id, name, script, fire_on, state) VALUES (NULL, 'match', 'close > 0', 'match', 'running')";

fn stage(name: &str, settings: &[(&str, &str)]) -> (Stage, Session) {
    let settings: Vec<_> = [("vyx.intervals", "1m")].into_iter().chain(settings.iter().copied()).collect();
    let stage = Stage::start(name, &["BTCUSDT"], Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    (stage, session)
}

/// Waits until so many more candles have been signalled.
#[track_caller]
fn signals_go_on(session: &Session, what: &str) {
    let seen: i64 = session.one("SELECT count(*) FROM vyx.signals", &[]);
    until(what, || session.one::<bool>("SELECT count(*) >= $1::bigint + 3 FROM vyx.signals", &[&seen]).then_some(()));
}

#[test]
fn what_a_tenant_locks_holds_up_nobodys_signals() {
    let (stage, session) = stage("tenant-locks", &[]);
    session.run("CREATE ROLE mallory; GRANT vyx_user TO mallory");
    session.run("INSERT INTO vyx.tenants (user_id, role_name) VALUES (gen_random_uuid(), 'mallory')");
    session.run(MATCH);
    // A trader whose program cannot be read fails at every close, and its owner is told in its row.
    let tenant = stage.cluster.session();
    tenant.run("SET ROLE mallory");
    tenant.run("INSERT INTO vyx.traders (name, script) VALUES ('fails', 'close > 0')");
    session.run(
        "BEGIN; UPDATE vyx.traders SET state = 'running' WHERE name = 'fails';
         UPDATE vyx.trader_versions SET program = json_build_object('format', vyx._format()) WHERE user_id IS NOT NULL; COMMIT",
    );
    let told = || -> bool { tenant.one("SELECT last_error IS NOT NULL FROM vyx.traders", &[]) };
    until("its owner is told", || told().then_some(()));
    let forget = "UPDATE vyx.traders SET last_error = NULL";
    let failures = || -> i64 { session.one("SELECT coalesce(sum(attempts), 0)::bigint FROM vyx.failures", &[]) };

    for lock in [
        "LOCK TABLE vyx.traders IN ACCESS EXCLUSIVE MODE",
        "SELECT FROM vyx.traders FOR UPDATE",
        "DELETE FROM vyx.traders",
    ] {
        session.run(forget);
        session.run("DELETE FROM vyx.resting"); // who fails too often is left alone
        tenant.run("BEGIN");
        tenant.run(lock);
        let before = failures();
        signals_go_on(&session, lock);
        assert!(failures() > before, "{lock}: failures are counted meanwhile");
        tenant.run("ROLLBACK");
        until("its owner is told afterwards", || told().then_some(()));
    }
    let health: String = session.one("SELECT status || ': ' || reason FROM vyx_health()", &[]);
    assert_eq!(health, "ok: every series is followed");
}

#[test]
fn an_operator_evaluates_by_hand() {
    let (stage, session) = stage("operator", &[("vyx.evaluate_worker", "off")]);
    session.run("CREATE ROLE olga; GRANT vyx_operator TO olga");
    session.run(MATCH);
    let operator = stage.cluster.session();
    operator.run("SET ROLE olga");
    operator.run("CALL vyx_evaluate(stay => '5 s')");
    assert!(session.one::<bool>("SELECT count(*) >= 3 FROM vyx.signals", &[]), "a candle closes every second");
    let forged = operator.refusal("SELECT vyx.commit_batch('{}')");
    assert_eq!(forged.code().code(), "42501", "{forged:?}");
    // Whoever holds the writer's lock is evaluating: the call leaves it to him, and is no error.
    session.run("BEGIN");
    session.run("SELECT FROM vyx.writer FOR UPDATE");
    operator.run("CALL vyx_evaluate()");
    session.run("ROLLBACK");
    operator.run("CALL vyx_evaluate('1m')");
}

#[test]
fn an_operator_schedules_with_no_more_than_the_right_to_use_pg_cron() {
    let cluster = Cluster::start(
        "operator-cron",
        &[
            ("shared_preload_libraries", "pg_cron,vyx"),
            ("vyx.stream_url", "ws://127.0.0.1:9"),
            ("vyx.rest_url", "http://127.0.0.1:9"),
        ],
    );
    let session = cluster.session();
    session.run("CREATE EXTENSION vyx; CREATE EXTENSION pg_cron; CREATE ROLE olga; GRANT vyx_operator TO olga");
    let operator = cluster.session();
    operator.run("SET ROLE olga");
    operator.refuses("42501", &["GRANT USAGE ON SCHEMA cron TO olga"], "SELECT vyx_schedule()");
    session.run("GRANT USAGE ON SCHEMA cron TO olga");
    let job: i64 = operator.one("SELECT vyx_schedule()", &[]);
    assert_eq!(operator.one::<i64>("SELECT vyx_schedule()", &[]), job, "again: nothing changes");
    assert!(operator.one::<bool>("SELECT vyx_unschedule()", &[]));
    assert!(!operator.one::<bool>("SELECT vyx_unschedule()", &[]));

    // Where pg_cron can live is a setting that an operator may not read.
    session.run("CREATE DATABASE other");
    cluster.session_in("other").run("CREATE EXTENSION vyx");
    let elsewhere = cluster.session_in("other");
    elsewhere.run("SET ROLE olga");
    elsewhere.refuses("55000", &["schedule_in_database", "cron.database_name"], "SELECT vyx_schedule()");
}
