//! `vyx evaluate` as a good neighbour: what others do in its database it neither hinders nor is harmed by.

use crate::ending::ends;
use crate::harness::{MINUTE, OWN, Rule, Session, Stage, check_signals, save, until, until_within};
use crate::signals::{SYMBOLS, finish};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const MATCH: &str = "INSERT INTO vyx.traders (user_id, name, script, fire_on, state)
    VALUES (NULL, 'match', 'close > 0', 'match', 'running')";

fn worker(session: &Session) -> Option<i32> {
    let rows = session.rows("SELECT pid FROM pg_stat_activity WHERE backend_type = 'vyx evaluate'", &[]);
    rows.first().map(|row| row.get(0))
}

/// Waits until so many more signals have been written.
#[track_caller]
fn signals_go_on(session: &Session, more: i64, what: &str) {
    let seen: i64 = session.one("SELECT count(*) FROM vyx.signals", &[]);
    let more = seen + more;
    until(what, || session.one::<bool>("SELECT count(*) >= $1 FROM vyx.signals", &[&more]).then_some(()));
}

#[track_caller]
fn is_well(session: &Session) {
    let mut last = String::new();
    until("the health is ok", || {
        last = session.one("SELECT status || ': ' || reason FROM vyx_health()", &[]);
        last.starts_with("ok").then_some(())
    });
}

#[test]
fn the_extension_comes_and_goes_and_the_worker_idles_without_a_word() {
    const ROUNDS: u64 = 30;
    let stage = Stage::bare("comes-and-goes", &SYMBOLS, Stage::speed(120.0), &[("vyx.intervals", "1m")]);
    let session = stage.cluster.session();
    let pid = until("the worker is connected", || worker(&session));
    let every = "SELECT array_agg(pid) FROM pg_stat_activity WHERE backend_type LIKE 'vyx evaluate%'";
    let pids: Vec<i32> = session.one(every, &[]);
    let words = || -> Vec<String> {
        let log = stage.cluster.log();
        let of_worker = |line: &&str| pids.iter().any(|pid| line.contains(&format!("[{pid}]")));
        log.lines().filter(of_worker).map(str::to_owned).collect()
    };
    // Several of its looks for tables find none, or ones that nobody else sees yet.
    session.run("BEGIN; CREATE EXTENSION vyx; SELECT pg_sleep(2.5); ROLLBACK");
    assert_eq!(words(), [""; 0]);
    session.run("CREATE EXTENSION vyx");
    stage.settle(&session);
    session.run(MATCH);
    signals_go_on(&session, 1, "it evaluates");
    let mut refused = Vec::new();
    for round in 0..ROUNDS {
        if let Err(error) = session.try_run("DROP EXTENSION vyx CASCADE") {
            refused.push(error);
            session.run("DROP EXTENSION vyx CASCADE");
        }
        session.run("CREATE EXTENSION vyx");
        session.run(MATCH);
        match round % 3 {
            0 => signals_go_on(&session, 1, "it evaluates"),
            1 => {}
            // Somewhere between two closes, half a second apart, and the insert that follows one.
            _ => std::thread::sleep(Duration::from_millis(round * 157 % 500)),
        }
    }
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(worker(&session), Some(pid), "it is still the same");
    assert_eq!(words(), [""; 0]);
    signals_go_on(&session, 5, "it goes on");
    is_well(&session);
}

#[test]
fn who_changes_or_tidies_the_tables_waits_a_second_at_most_and_no_signal_is_lost() {
    let settings = [("vyx.intervals", "1m,5m"), ("vyx.evaluate_worker", "off")];
    let stage = Stage::start("tidies", &SYMBOLS, Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    let rules: Vec<&Rule> = OWN.iter().chain(&crate::harness::MIXED).collect();
    save(&session, &rules);
    stage.start_worker(&session);
    signals_go_on(&session, 5, "signals");
    let (done, cluster) = (AtomicBool::new(false), &stage.cluster);
    std::thread::scope(|scope| {
        // Nobody of vyx is in a transaction for longer than a second, whatever happens below.
        let longest = scope.spawn(|| {
            let session = cluster.session();
            let age = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8
                       FROM pg_stat_activity WHERE backend_type = 'vyx evaluate' AND wait_event_type IS DISTINCT FROM 'Lock'";
            let mut longest = 0.0_f64;
            while !done.load(Ordering::Relaxed) {
                longest = longest.max(session.one(age, &[]));
                std::thread::sleep(Duration::from_millis(30));
            }
            longest
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tidy(&stage, &session)));
        done.store(true, Ordering::Relaxed);
        let longest = longest.join().expect("it only looks");
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert!(longest < 1.0, "a transaction of the worker took {longest} s");
    });
    finish(&stage, &session, &rules);
}

fn tidy(stage: &Stage, session: &Session) {
    const STATEMENTS: [&str; 8] = [
        "VACUUM vyx.signals",
        "VACUUM ANALYZE vyx.watermarks",
        "CREATE INDEX CONCURRENTLY tidy ON vyx.signals (symbol)",
        "REINDEX INDEX CONCURRENTLY vyx.tidy",
        "REINDEX INDEX vyx.tidy",
        "DROP INDEX CONCURRENTLY vyx.tidy",
        "ALTER TABLE vyx.signals SET (fillfactor = 90)",
        "ALTER TABLE vyx.signals RESET (fillfactor)",
    ];
    // Beside others on a busy machine the best of some rounds counts.
    let mut best = [Duration::MAX; STATEMENTS.len()];
    for _ in 0..3 {
        for (statement, best) in STATEMENTS.iter().zip(&mut best) {
            let start = Instant::now();
            session.run(statement);
            *best = start.elapsed().min(*best);
        }
    }
    for (statement, took) in STATEMENTS.iter().zip(best) {
        assert!(took < Duration::from_secs(1), "{statement}: {took:?}");
    }
    for _ in 0..20 {
        session.run("ALTER EXTENSION vyx UPDATE");
    }
    signals_go_on(session, 5, "updates to the same version do no harm");

    // Somebody holds the table for long: the market goes on, the health says why signals do not.
    session.run("BEGIN; LOCK TABLE vyx.signals IN ACCESS EXCLUSIVE MODE");
    let held: i64 = session.one("SELECT count(*) FROM vyx.signals", &[]);
    until("the health says who is locked out", || {
        session.one::<bool>("SELECT reason LIKE 'vyx evaluate: locked out: %' FROM vyx_health()", &[]).then_some(())
    });
    stage.reach(session, stage.exchange.market_time() + MINUTE);
    assert_eq!(session.one::<i64>("SELECT count(*) FROM vyx.signals", &[]), held);
    session.run("COMMIT");
    signals_go_on(session, 5, "signals go on");
    is_well(session);
    let log = stage.cluster.log();
    let lines = log.lines().filter(|line| line.contains("vyx evaluate: a table of vyx is locked")).count();
    assert!((1..=2).contains(&lines), "said once by each process that evaluates\n{log}");

    // Many evaluate at once, some of them at a level at which the server refuses what conflicts.
    let cluster = &stage.cluster;
    std::thread::scope(|scope| {
        for caller in 0..8 {
            scope.spawn(move || {
                let session = cluster.session();
                if caller % 2 == 0 {
                    session.run("SET default_transaction_isolation = 'serializable'");
                }
                for _ in 0..10 {
                    match session.try_run("CALL vyx_evaluate()") {
                        Ok(()) => {}
                        Err(error) => {
                            let state = error.code().map(|state| state.code().to_owned());
                            assert_eq!(state.as_deref(), Some("40001"), "{error:?}");
                            session.run("ROLLBACK");
                        }
                    }
                }
            });
        }
    });
}

#[test]
fn what_a_role_or_a_database_is_set_to_does_not_reach_the_worker_and_its_memory_stays_flat() {
    /// Evaluated before memory is measured, and in between.
    const CYCLES: i64 = 100;
    let settings = [("vyx.intervals", "1m"), ("vyx.evaluate_worker", "off")];
    let stage = Stage::start("settings-reach", &SYMBOLS, Stage::speed(600.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    let rules: Vec<&Rule> = OWN.iter().collect();
    save(&session, &rules);
    stage.start_worker(&session);
    signals_go_on(&session, 5, "signals");
    const HOSTILE: [&str; 10] = [
        "default_transaction_read_only = on",
        "default_transaction_isolation = 'serializable'",
        "statement_timeout = '1ms'",
        "lock_timeout = '1ms'",
        "idle_in_transaction_session_timeout = '1ms'",
        "search_path = nowhere",
        "session_replication_role = replica",
        "row_security = off",
        "extra_float_digits = -15",
        "work_mem = '64kB'",
    ];
    // This session has the values of its own.
    session.run("SET default_transaction_read_only = off; SET statement_timeout = 0; SET lock_timeout = 0");
    session.run("SET search_path = public; SET extra_float_digits = 1; SET idle_in_transaction_session_timeout = 0");
    session.run("SET default_transaction_isolation = 'read committed'; SET session_replication_role = origin; SET row_security = on");
    for target in ["SYSTEM", "DATABASE postgres", "ROLE postgres", "ROLE vyx_owner", "ROLE ALL"] {
        HOSTILE.iter().for_each(|setting| session.run(&format!("ALTER {target} SET {setting}")));
        session.run("SELECT pg_reload_conf()");
        signals_go_on(&session, 3, target);
        // Those of roles and databases are taken at the next start.
        let before = until("the worker runs", || worker(&session));
        session.terminate(before);
        until("another worker runs", || worker(&session).filter(|pid| *pid != before));
        signals_go_on(&session, 3, target);
        is_well(&session);
        session.run(&format!("ALTER {target} RESET ALL"));
        stage.start_worker(&session); // that it is on was among them
    }
    let pid = until("the worker runs", || worker(&session));
    let private = || -> i64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("Linux says so");
        line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse().ok()).expect("a number")
    };
    let evaluated = |cycles: i64| {
        let through = stage.exchange.market_time() + cycles * MINUTE;
        until_within(Duration::from_secs(90), "cycles", || {
            let all = "SELECT min(evaluated_through) >= vyx.at($1) FROM vyx.watermarks";
            session.one::<Option<bool>>(all, &[&(through - MINUTE)]).unwrap_or(false).then_some(())
        });
        through - MINUTE
    };
    evaluated(CYCLES);
    let before = private();
    let through = evaluated(CYCLES);
    let grown = private() - before;
    assert!(grown < 1_024, "its memory grew by {grown} kB in {CYCLES} cycles, from {before}");
    assert_eq!(worker(&session), Some(pid), "it is still the same");
    let through = through - through.rem_euclid(MINUTE) - 1;
    let count = check_signals(&session, &stage.truth, &rules, &SYMBOLS, through);
    assert!(count > 100, "{count} signals are too few to prove anything");
}

#[test]
fn the_database_of_the_worker_is_dropped_by_force_or_while_it_is_paused() {
    let settings = [("vyx.intervals", "1m"), ("vyx.database", "market")];
    let stage = Stage::start("own-database", &["BTCUSDT"], Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    let make = || {
        session.run("CREATE DATABASE market");
        let market = stage.cluster.session_in("market");
        market.run("CREATE EXTENSION vyx");
        market.run(MATCH);
        signals_go_on(&market, 2, "signals in the new database");
    };
    stage.settle(&session);
    make();
    let error = session.refusal("DROP DATABASE market");
    assert_eq!(error.code().code(), "55006", "{error:?}");
    let start = Instant::now();
    session.run("DROP DATABASE market WITH (FORCE)");
    assert!(start.elapsed() < Duration::from_secs(2), "by force it took {:?}", start.elapsed());
    let before = stage.cluster.log().len();
    until("the worker says that it cannot connect", || {
        session
            .one::<bool>("SELECT reason LIKE '%cannot connect to database \"market\"%' FROM vyx_health()", &[])
            .then_some(())
    });
    // Each of two processes tries after 1, 3 and 6 seconds; if its pauses did not grow, every second.
    std::thread::sleep(Duration::from_secs(4));
    let attempts = stage.cluster.log()[before..].matches("database \"market\" does not exist").count();
    assert!(attempts <= 6, "{attempts} attempts within some 4 seconds");
    ends(&session, "waiting before it tries to connect again");
    make();

    assert!(session.one::<bool>("SELECT vyx_pause('evaluate')", &[]));
    let start = Instant::now();
    until("it has left the database", || worker(&session).is_none().then_some(()));
    session.run("DROP DATABASE market");
    assert!(start.elapsed() < Duration::from_secs(2), "paused it took {:?}", start.elapsed());
    session.run("CREATE DATABASE market");
    session.run("ALTER DATABASE market RENAME TO renamed");
    session.run("CREATE DATABASE market TEMPLATE renamed");
    session.run("DROP DATABASE market");
    session.run("DROP DATABASE renamed");
    assert!(session.one::<bool>("SELECT vyx_resume('evaluate')", &[]));
    make();
    is_well(&session);
}
