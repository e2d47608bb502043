//! Limits that hold between sessions, and the lives of traders whose tenants, administrators and market all act at once.

use crate::harness::{Session, Stage, until};
use std::sync::Barrier;
use std::thread;

fn stage(name: &str, settings: &[(&str, &str)]) -> (Stage, Session) {
    let settings: Vec<_> = [("vyx.intervals", "1m")].into_iter().chain(settings.iter().copied()).collect();
    let stage = Stage::start(name, &["BTCUSDT", "ETHUSDT"], Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    (stage, session)
}

/// Makes a role that is a tenant of a tier.
fn tenant(session: &Session, name: &str, tier: &str) {
    session.run(&format!(
        "CREATE ROLE {name}; GRANT vyx_user TO {name};
         INSERT INTO vyx.tenants (user_id, role_name, tier) VALUES (gen_random_uuid(), '{name}', '{tier}')"
    ));
}

/// A session of a tenant.
fn session_of(stage: &Stage, name: &str) -> Session {
    let session = stage.cluster.session();
    session.run(&format!("SET ROLE {name}"));
    session
}

/// Saves a trader that fires on every candle.
fn save(name: &str, state: &str) -> String {
    format!("INSERT INTO vyx.traders (name, script, fire_on, state) VALUES ('{name}', 'close > 0', 'match', '{state}')")
}

/// Runs statements in so many sessions at the same moment. Gives the SQLSTATE of those that failed, at the statement or at
/// the end of its transaction.
fn at_once(stage: &Stage, sessions: &[(String, String)]) -> Vec<Option<String>> {
    let barrier = Barrier::new(sessions.len());
    let run = |session: Session, sql: &str| {
        session.run("BEGIN");
        barrier.wait();
        let outcome = session.try_run(sql).and_then(|()| session.try_run("COMMIT"));
        outcome.err().and_then(|error| error.code().map(|state| state.code().to_owned()))
    };
    let run = &run;
    let sessions: Vec<_> = sessions.iter().map(|(role, sql)| (session_of(stage, role), sql)).collect();
    thread::scope(|scope| {
        let threads: Vec<_> =
            sessions.into_iter().map(|(session, sql)| scope.spawn(move || run(session, sql))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread ends")).collect()
    })
}

fn refused(outcomes: &[Option<String>]) -> usize {
    outcomes.iter().flatten().inspect(|state| assert_eq!(*state, "42501")).count()
}

#[test]
fn no_limit_is_passed_by_many_sessions_at_once() {
    let (stage, session) = stage("raced-limits", &[]);
    tenant(&session, "racer", "free");
    session.run("UPDATE vyx.tiers SET max_traders = 6 WHERE tier = 'free'");

    // Of one tenant: two run, six are stored, ten are started or stopped within the minute.
    let starts: Vec<_> = (0..8).map(|n| ("racer".to_owned(), save(&format!("run{n}"), "running"))).collect();
    assert_eq!(refused(&at_once(&stage, &starts)), 6);
    let saves: Vec<_> = (0..8).map(|n| ("racer".to_owned(), save(&format!("idle{n}"), "stopped"))).collect();
    assert_eq!(refused(&at_once(&stage, &saves)), 4);
    let kept = "SELECT count(*) FILTER (WHERE state = 'running') || ' of ' || count(*) FROM vyx.traders";
    assert_eq!(session.one::<String>(kept, &[]), "2 of 6");
    let switch =
        "UPDATE vyx.traders SET state = CASE state WHEN 'running' THEN 'stopped' ELSE 'running' END WHERE name = (
                      SELECT name FROM vyx.traders WHERE name LIKE 'run%' ORDER BY name LIMIT 1)";
    let switches: Vec<_> = (0..8).map(|_| ("racer".to_owned(), switch.to_owned())).collect();
    let refusals = refused(&at_once(&stage, &switches)) + refused(&at_once(&stage, &switches));
    assert_eq!(refusals, 8, "two starts and eight switches are ten");
    let error = session_of(&stage, "racer").refusal(switch);
    let detail: serde_json::Value = serde_json::from_str(error.detail().unwrap_or("")).expect("is JSON");
    assert_eq!((&detail["limit"], &detail["tier"]), (&10.into(), &"free".into()), "{error:?}");
    let wait = detail["wait"].as_i64().expect("seconds to wait");
    assert!(
        (1..=60).contains(&wait) && error.hint().is_some_and(|hint| hint.contains(&format!("{wait} s"))),
        "{error:?}"
    );

    // Of the server: tenants do not wait for one another, and what is too many never sees a candle.
    session.run("DELETE FROM vyx.traders");
    session.reload(&[("vyx.max_running_traders", "3")]);
    let names: Vec<String> = (0..8).map(|n| format!("tenant{n}")).collect();
    names.iter().for_each(|name| tenant(&session, name, "free"));
    until("the limit is read", || {
        session.one::<bool>("SELECT current_setting('vyx.max_running_traders') = '3'", &[]).then_some(())
    });
    // None of them sees another, and none waits: all are open before the first is committed.
    let open: Vec<Session> = names.iter().map(|name| session_of(&stage, name)).collect();
    for (session, name) in open.iter().zip(&names) {
        session.run("BEGIN");
        session.run(&save(name, "running"));
    }
    open.iter().for_each(|session| session.run("COMMIT"));
    let states = "SELECT count(*) FILTER (WHERE t.state = 'running') || ' ' ||
                         count(*) FILTER (WHERE t.last_error LIKE 'stopped: this server runs 3 %') FROM vyx.traders t";
    until("the surplus is stopped", || (session.one::<String>(states, &[]) == "3 5").then_some(()));
    until("the others run", || {
        session
            .one::<bool>(
                "SELECT count(DISTINCT trader_id) >= 3 FROM vyx.signals s JOIN vyx.traders t ON t.id = s.trader_id",
                &[],
            )
            .then_some(())
    });
    let surplus =
        "SELECT count(*) FROM vyx.signals s JOIN vyx.traders t ON t.id = s.trader_id WHERE t.state = 'stopped'";
    assert_eq!(session.one::<i64>(surplus, &[]), 0);
    let late = session_of(&stage, "tenant7");
    late.refuses("42501", &["limit of 3 running traders of this server", "{\"limit\":3}"], &save("late", "running"));
}

#[test]
fn a_tenant_that_locks_its_rows_holds_up_neither_others_nor_its_own_downgrade() {
    let (stage, session) = stage("locked-limits", &[]);
    tenant(&session, "mallory", "pro");
    tenant(&session, "alice", "pro");
    let mallory = session_of(&stage, "mallory");
    for name in ["first", "second", "third"] {
        mallory.run(&save(name, "running"));
    }
    let signals = |name: &str| -> i64 {
        session.one(
            "SELECT count(*) FROM vyx.signals s JOIN vyx.traders t ON t.id = s.trader_id WHERE t.name = $1",
            &[&name],
        )
    };
    until("all fire", || ["first", "second", "third"].iter().all(|name| signals(name) > 0).then_some(()));
    let third: String = session.one("SELECT id::text FROM vyx.traders WHERE name = 'third'", &[]);

    for lock in ["UPDATE vyx.traders SET description = 'mine'", "LOCK TABLE vyx.traders IN ACCESS EXCLUSIVE MODE"] {
        mallory.run("BEGIN");
        mallory.run(lock);
        session.run("UPDATE vyx.tiers SET max_running_traders = 2 WHERE tier = 'pro'");
        let over = "SELECT coalesce(bool_and(effective_to IS NOT NULL), false) FROM vyx.trader_versions WHERE trader_id = $1::text::uuid";
        until("the surplus is over", || session.one::<bool>(over, &[&third]).then_some(()));
        if lock.starts_with("UPDATE") {
            // Another tenant's start waits for none of it.
            let alice = session_of(&stage, "alice");
            alice.run("SET lock_timeout = '1s'");
            alice.run(&save("alices", "running"));
            alice.run("SELECT vyx_stop_trader(id) FROM vyx.traders; DELETE FROM vyx.traders");
        }
        mallory.run("ROLLBACK");
        let told = "SELECT state = 'stopped' AND last_error = 'stopped: tier \"pro\" allows 2 running traders' FROM vyx.traders WHERE name = 'third'";
        until("its owner is told", || {
            session.run("SELECT vyx.maintain()");
            session.one::<bool>(told, &[]).then_some(())
        });
        let running: i64 = session.one("SELECT count(*) FROM vyx.traders WHERE state = 'running'", &[]);
        assert_eq!(running, 2);
        session.run("UPDATE vyx.tiers SET max_running_traders = 10 WHERE tier = 'pro'");
        mallory.run("SELECT vyx_start_trader(id) FROM vyx.traders WHERE name = 'third'");
        until("it runs again", || {
            mallory
                .one::<bool>("SELECT state = 'running' FROM vyx_active_traders() WHERE name = 'third'", &[])
                .then_some(())
        });
    }
}

#[test]
fn a_trader_whose_signals_are_refused_rests_and_says_them_all_when_it_is_tried_again() {
    let (stage, session) = stage("retried", &[]);
    tenant(&session, "writer", "pro");
    let writer = session_of(&stage, "writer");
    writer.run(&save("refused", "running"));
    let id: String = writer.one("SELECT id::text FROM vyx.traders", &[]);
    let state = || -> String { writer.one("SELECT state FROM vyx_trader_status($1::text::uuid)", &[&id]) };
    until("it runs", || (state() == "running").then_some(()));
    let evaluations = || -> i64 { writer.one("SELECT evaluations FROM vyx_active_traders()", &[]) };
    until("evaluations are counted", || (evaluations() >= 4).then_some(()));

    session.run("ALTER TABLE vyx.signals ADD CONSTRAINT none_today CHECK (price < 0) NOT VALID");
    until("it rests", || (state() == "error").then_some(()));
    let rests: bool = writer.one(
        "SELECT retry_at > since AND last_error LIKE '%none_today%' AND failures > 0 FROM vyx_trader_status($1::text::uuid)",
        &[&id],
    );
    assert!(rests, "its owner sees why, and until when");
    session.run("ALTER TABLE vyx.signals DROP CONSTRAINT none_today");
    session.run("CREATE TABLE candles AS SELECT c ->> 0 AS symbol, (c ->> 1)::bigint AS close_time FROM vyx.failures, jsonb_array_elements(candles) c");
    let tried: i64 = writer.one("SELECT vyx_retry($1::text::uuid)", &[&id]);
    assert_eq!(tried, session.one::<i64>("SELECT count(*) FROM candles", &[]));
    assert!(tried >= 5);
    until("it runs again", || (state() == "running").then_some(()));
    let said = "SELECT count(*) = count(DISTINCT (s.symbol, s.close_time)) AND count(*) = $1
                FROM vyx.signals s JOIN candles c USING (symbol) WHERE s.close_time = vyx.at(c.close_time)";
    until("what was refused is said, once", || session.one::<bool>(said, &[&tried]).then_some(()));
    let accounted = "SELECT sum(fired) - sum(failed) = (SELECT count(*) FROM vyx.signals) FROM vyx.cycles";
    assert!(session.one::<bool>(accounted, &[]), "nor is anything counted twice");
    let clean = "SELECT last_error IS NULL AND failures = 0 AND waiting = 0 FROM vyx_trader_status($1::text::uuid)";
    until("nothing is left of it", || writer.one::<bool>(clean, &[&id]).then_some(()));

    // Time goes by, and what is old goes with it, but not from the bill.
    let said = || -> i64 { writer.one("SELECT signals FROM vyx_trader_status($1::text::uuid)", &[&id]) };
    let before = said();
    session.run("UPDATE vyx.tiers SET keep_signals = '3 minutes' WHERE tier = 'pro'");
    let kept = "SELECT min(close_time) > (SELECT vyx.at(max(close_time)) FROM candles) FROM vyx.signals";
    until("old signals are dropped", || {
        session.run("SELECT vyx.maintain()");
        session.one::<Option<bool>>(kept, &[]).unwrap_or(false).then_some(())
    });
    assert!(said() >= before);
    let billed: i64 = writer.one("SELECT sum(signals)::bigint FROM vyx_usage()", &[]);
    assert!(billed >= before, "{billed} of {before}");

    // Of whoever is forgotten nothing is left, while the market goes on.
    session.run("SELECT * FROM vyx_forget_user((SELECT user_id FROM vyx.tenants WHERE role_name = 'writer'))");
    let left = "SELECT count(*) FROM (SELECT trader_id FROM vyx.trader_versions UNION ALL SELECT trader_id FROM vyx.signals
                                      UNION ALL SELECT trader_id FROM vyx.usage UNION ALL SELECT id FROM vyx.traders) AS of";
    until("nothing is left of a person", || (session.one::<i64>(left, &[]) == 0).then_some(()));
}
