//! vyx moves to another cluster by pg_dump or pg_upgrade: everything comes along, nothing is done meanwhile, and evaluation
//! goes on where it ended, once somebody says so.

use crate::harness::{
    Cluster, Install, MIXED, OWN, Rule, Session, Stage, Stop, check_signals, market_time, save, succeed, until,
    until_within,
};
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

const SYMBOLS: [&str; 3] = ["BTCUSDT", "ETHUSDT", "币安人生USDT"];
const MINUTE: i64 = 60_000;
const SILENT: &str = "silent: this cluster is a copy; SELECT vyx_adopt() lets it alert";

/// What an installation holds beside rules that work: limits, tenants, a trader that fails, one whose script nobody could
/// compile again, and something put off.
const REST: &str = "
    CREATE ROLE tina; GRANT vyx_user TO tina;
    UPDATE vyx.tiers SET max_running_traders = 1 WHERE tier = 'free';
    INSERT INTO vyx.tiers (tier, max_running_traders) VALUES ('house', 77);
    INSERT INTO vyx.tenants (user_id, role_name, tier) VALUES ('00000000-0000-0000-0000-000000000001', 'tina', 'house');
    INSERT INTO vyx.traders (user_id, name, script, symbols, cooldown)
        VALUES ('00000000-0000-0000-0000-000000000001', 'tina''s', 'rsi(close, 14) < 20', '{BTCUSDT}', '1 hour');
    SET session_replication_role = replica;
    INSERT INTO vyx.traders (name, script, version, state) VALUES ('of another language', 'if close { fire }', 3, 'stopped');
    RESET session_replication_role;
    BEGIN;
    INSERT INTO vyx.traders (name, script, state) VALUES ('fails', 'close > 0', 'running');
    UPDATE vyx.trader_versions SET program = json_build_object('format', vyx._format())
        WHERE trader_id = (SELECT id FROM vyx.traders WHERE name = 'fails');
    COMMIT;";
const PUT_OFF: &str = "
    WITH put_off AS (
        INSERT INTO vyx.pending SELECT v.trader_id, v.version, v.user_id, w.symbol, w.\"interval\", w.evaluated_through, 'BTCUSDT 1m', now()
        FROM vyx.trader_versions v JOIN vyx.traders t ON t.id = v.trader_id AND t.name = 'rising'
        JOIN vyx.watermarks w ON w.\"interval\" = v.\"interval\" AND w.lane = v.lane LIMIT 2
        RETURNING \"interval\", close_time
    )
    UPDATE vyx.cycles c SET waiting = c.waiting + p.pairs
    FROM (SELECT o.\"interval\", o.close_time, count(*) AS pairs FROM put_off o GROUP BY 1, 2) AS p
    WHERE c.\"interval\" = p.\"interval\" AND c.close_time = p.close_time AND c.lane = 0";

#[test]
fn a_restored_dump_is_silent_until_it_is_adopted_and_then_goes_on() {
    let settings = [("vyx.intervals", "1m,5m"), ("vyx.evaluate_worker", "off")];
    let mut stage = Stage::start("dumped", &SYMBOLS, Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    let rules: Vec<&Rule> = OWN.iter().chain(&MIXED).collect();
    session.run(REST);
    save(&session, &rules);
    stage.start_worker(&session);
    until("signals and failures", || {
        let both = "SELECT count(*) > 10 AND EXISTS (SELECT FROM vyx.failures) FROM vyx.signals";
        session.one::<bool>(both, &[]).then_some(())
    });
    comes_to_rest(&stage, &session);
    session.run(PUT_OFF);
    let kept = contents(&session);
    for table in [
        "tiers",
        "tenants",
        "traders",
        "trader_versions",
        "signals",
        "watermarks",
        "cycles",
        "pending",
        "failures",
        "writer",
    ] {
        assert!(!kept[&format!("vyx.{table}")].is_empty(), "{table} has rows to be kept");
    }
    let old_seq: i64 = session.one("SELECT max(seq) FROM vyx.signals", &[]);

    // Another cluster, whose worker is awake all the time.
    let restored = stage.cluster.stranger("restored");
    let session = restored.session();
    session.reload(&[("vyx.evaluate_worker", "on")]);
    restore(&stage.cluster, &restored);
    assert_eq!(contents(&session), kept);
    for database in ["custom", "data"] {
        assert_eq!(contents(&restored.session_in(database)), kept, "{database}");
    }
    stage.cluster.stop(Stop::Fast);

    stage.settle(&session);
    is_silent(&session);
    stage.reach(&session, market_time(&session) + 3 * MINUTE);
    session.refuses("55000", &["copy", "vyx_adopt"], "CALL vyx_evaluate()");
    assert_eq!(contents(&session), kept, "nothing is evaluated before somebody says so");
    // Who changes something meanwhile finds it in force afterwards.
    session
        .run("INSERT INTO vyx.traders (name, script, fire_on, state) VALUES ('new', 'close > 0', 'match', 'running')");

    session.run("CREATE ROLE olga; GRANT vyx_operator TO olga; SET ROLE olga");
    assert!(session.one::<bool>("SELECT vyx_adopt()", &[]));
    assert!(!session.one::<bool>("SELECT vyx_adopt()", &[]), "once is enough");
    session.run("RESET ROLE");
    let through = goes_on(&stage, &session);
    for (what, holds) in [
        (
            "new traders run",
            "SELECT count(*) > 3 FROM vyx.signals s JOIN vyx.traders t ON t.id = s.trader_id WHERE t.name = 'new'",
        ),
        ("numbers are drawn once", "SELECT count(DISTINCT seq) = count(*) FROM vyx.signals"),
        ("and counted on", "SELECT w.seq = (SELECT max(seq) FROM vyx.signals) AND w.epoch = 2 FROM vyx.writer w"),
        ("nothing was too old", "SELECT sum(skipped) = 0 FROM vyx.watermarks"),
        ("a tenant's role is the tenant's still", "SELECT pg_has_role('tina', 'vyx_user', 'member')"),
        ("quotas hold", "SELECT max_running_traders = 1 FROM vyx.tiers WHERE tier = 'free'"),
    ] {
        assert!(session.one::<bool>(holds, &[]), "{what}");
    }
    let later: i64 = session.one("SELECT count(*) FROM vyx.signals WHERE seq > $1", &[&old_seq]);
    assert!(later > 10, "{later} signals after the move are too few to prove anything");
    session.run("DELETE FROM vyx.traders WHERE name = 'new'");
    check_signals(&session, &stage.truth, &rules, &SYMBOLS, through);
}

#[test]
fn pg_upgrade_takes_everything_along_and_the_new_cluster_is_silent_until_it_is_adopted() {
    let settings = [("vyx.intervals", "1m,5m"), ("vyx.evaluate_worker", "off")];
    let mut stage = Stage::start("before", &SYMBOLS, Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    let rules: Vec<&Rule> = OWN.iter().chain(&MIXED).collect();
    session.run(REST);
    session.run("SELECT vyx_publish('mine')");
    save(&session, &rules);
    stage.start_worker(&session);
    until("signals", || session.one::<bool>("SELECT count(*) > 10 FROM vyx.signals", &[]).then_some(()));
    comes_to_rest(&stage, &session);
    let kept = contents(&session);
    let old_seq: i64 = session.one("SELECT max(seq) FROM vyx.signals", &[]);
    // From the next start on, which is pg_upgrade's: what its servers evaluated would be lost, and more with it.
    session.run("ALTER SYSTEM SET vyx.evaluate_worker = on");
    drop(session);
    stage.cluster.stop(Stop::Fast);

    let upgraded = stage.cluster.upgraded("after");
    let session = upgraded.session();
    assert_eq!(contents(&session), kept);
    let published = "SELECT count(*) FROM pg_publication_tables WHERE pubname = 'mine' AND tablename = 'signals'";
    assert_eq!(session.one::<i64>(published, &[]), 1);
    session.reload(&[("vyx.evaluate_worker", "on")]);
    stage.settle(&session);
    is_silent(&session);
    assert_eq!(contents(&session), kept);
    assert!(session.one::<bool>("SELECT vyx_adopt()", &[]));
    let through = goes_on(&stage, &session);
    let later: i64 = session.one("SELECT count(*) FROM vyx.signals WHERE seq > $1", &[&old_seq]);
    assert!(later > 10, "{later} signals after the move are too few to prove anything");
    check_signals(&session, &stage.truth, &rules, &SYMBOLS, through);
}

/// Ends evaluation, and waits until the tables stand still.
fn comes_to_rest(stage: &Stage, session: &Session) {
    session.reload(&[("vyx.evaluate_worker", "off")]);
    until("nobody evaluates", || session.one::<bool>("SELECT status = 'ok' FROM vyx_health()", &[]).then_some(()));
    until("nothing changes any more", || {
        let before = contents(session);
        stage.reach(session, market_time(session) + MINUTE);
        (contents(session) == before).then_some(())
    });
}

fn is_silent(session: &Session) {
    until("it says that it is silent", || {
        session.one::<bool>("SELECT reason LIKE $1 FROM vyx_health()", &[&format!("%{SILENT}")]).then_some(())
    });
}

/// Waits until evaluation has gone on for some minutes; through which close.
fn goes_on(stage: &Stage, session: &Session) -> i64 {
    let target = stage.exchange.market_time() + 7 * MINUTE;
    let through = target - target.rem_euclid(5 * MINUTE) - 1;
    until_within(Duration::from_secs(60), "everything due has been evaluated", || {
        let due =
            "SELECT min(evaluated_through) >= vyx.at($1) AND NOT EXISTS (SELECT FROM vyx.pending) FROM vyx.watermarks";
        session.one::<bool>(due, &[&through]).then_some(())
    });
    through
}

/// By the ways there are, roles first: a plain dump into the same database of the other cluster, and another one into new
/// databases, as a whole and into an extension that is there already.
fn restore(from: &Cluster, to: &Cluster) {
    let file = |name: &str| Install::get().directory(name);
    let (roles, plain, custom) = (file("roles.sql"), file("dump.sql"), file("dump.custom"));
    succeed(from.client("pg_dumpall").arg("--roles-only").arg("--file").arg(&roles));
    succeed(from.client("pg_dump").arg("--file").arg(&plain));
    succeed(from.client("pg_dump").arg("--format=custom").arg("--file").arg(&custom));
    // The administrator is there already, which is an error and no harm.
    succeed(to.client("psql").args(["-X", "-q", "-f"]).arg(&roles));
    succeed(to.client("psql").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(&plain));
    succeed(to.client("createdb").arg("custom"));
    succeed(to.client("pg_restore").args(["--exit-on-error", "--dbname", "custom"]).arg(&custom));
    succeed(to.client("createdb").arg("data"));
    succeed(to.client("psql").args(["-X", "-q", "--dbname", "data", "--command", "CREATE EXTENSION vyx"]));
    succeed(to.client("pg_restore").args(["--exit-on-error", "--data-only", "--dbname", "data"]).arg(&custom));
    for file in [roles, plain, custom] {
        fs::remove_file(file).expect("it is ours");
    }
}

/// The rows of every table of vyx, in a fixed order, but for what is asked of whoever evaluates next: limits that come along
/// are looked at once more.
fn contents(session: &Session) -> BTreeMap<String, String> {
    let tables = "SELECT t.oid::regclass::text FROM pg_extension e, unnest(e.extconfig) AS t(oid)
                  WHERE e.extname = 'vyx' AND t.oid <> 'vyx.reviews'::regclass";
    let rows = |table: &str| {
        let all = format!("SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM {table} t");
        session.one(&all, &[])
    };
    session
        .rows(tables, &[])
        .iter()
        .map(|row| row.get::<_, String>(0))
        .map(|table| (table.clone(), rows(&table)))
        .collect()
}
