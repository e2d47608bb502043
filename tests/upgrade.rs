//! An installation of an earlier version becomes the present one, keeps its rows and goes on; until that is done, a newer
//! library does no harm to it.

mod catalog;
mod script;
mod statements;

use crate::harness::{Cluster, Install, MIXED, OWN, Rule, Session, Stage, check_signals, save, succeed, until};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// The version whose install script is kept.
const FIRST: &str = "0.1.0";
const PRESENT: &str = env!("CARGO_PKG_VERSION");
const HERE: &str = env!("CARGO_MANIFEST_DIR");
const SYMBOLS: [&str; 3] = ["BTCUSDT", "ETHUSDT", "SOLUSDT"];

/// Where the server under test finds scripts of extensions.
fn scripts() -> PathBuf {
    PathBuf::from(succeed(Install::get().program("pg_config").arg("--sharedir")).trim()).join("extension")
}

/// Puts the first version's install script where CREATE EXTENSION finds it. Renamed, because another test may be reading.
fn offer_first_version() {
    let (name, to) = (format!("vyx--{FIRST}.sql"), scripts());
    let new = to.join(format!("{name}.{:?}", std::thread::current().id()).replace(['(', ')'], ""));
    fs::copy(format!("{HERE}/upgrade/{name}"), &new).expect("the scripts' directory can be written");
    fs::rename(new, to.join(name)).expect("it is the same directory");
}

fn read(path: impl Into<PathBuf>) -> String {
    let path = path.into();
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// With VYX_WRITE_UPGRADE set it is written anew, and installed.
#[test]
fn the_upgrade_script_is_written_from_the_two_install_scripts() {
    let name = format!("vyx--{FIRST}--{PRESENT}.sql");
    let old = read(format!("{HERE}/upgrade/vyx--{FIRST}.sql"));
    let new = read(scripts().join(format!("vyx--{PRESENT}.sql")));
    let (text, by_hand) = script::write(&old, &new, &read(format!("{HERE}/upgrade/by_hand.sql")));
    let head = format!(
        "-- Brings an installation of vyx {FIRST} to {PRESENT}. Written by `make upgrade` from the install scripts of both and from\n\
         -- tests/upgrade/by_hand.sql; a test compares what comes of it with a fresh installation.\n\n"
    );
    let text = head + &text;
    let path = format!("{HERE}/../sql/{name}");
    if std::env::var_os("VYX_WRITE_UPGRADE").is_some() {
        fs::write(&path, &text).expect("the checkout can be written");
        fs::copy(&path, scripts().join(&name)).expect("the scripts' directory can be written");
        for what in by_hand {
            println!("to be brought about by tests/upgrade/by_hand.sql: {what}");
        }
        return;
    }
    assert!(read(&path) == text, "sql/{name} is not up to date: run `make upgrade`");
}

/// By what they call in the library: the function, the types of its arguments, names and types of its columns.
fn declarations(session: &Session) -> BTreeMap<String, (String, Vec<String>, Vec<String>)> {
    let rows = session.rows(
        "SELECT p.prosrc, p.oid::regprocedure::text, ARRAY(SELECT t::regtype::text FROM unnest(p.proargtypes) AS t),
                coalesce(ARRAY(SELECT a.name || ' ' || a.type::regtype FROM unnest(p.proallargtypes, p.proargmodes, p.proargnames) AS a(type, mode, name)
                               WHERE a.mode <> 'i'), '{}') || CASE WHEN p.proallargtypes IS NULL THEN ARRAY[p.prorettype::regtype::text] ELSE '{}' END
         FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
         JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
         JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx' WHERE l.lanname = 'c'",
        &[],
    );
    rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2), row.get(3)))).collect()
}

#[test]
fn an_upgraded_installation_is_the_same_as_a_fresh_one() {
    offer_first_version();
    let cluster = Cluster::start(
        "upgrade-catalog",
        &[
            ("shared_preload_libraries", "vyx"),
            ("vyx.evaluate_worker", "off"),
            ("vyx.stream_url", "ws://127.0.0.1:9"),
            ("vyx.rest_url", "http://127.0.0.1:9"),
        ],
    );
    let session = cluster.session();
    session.run("CREATE DATABASE upgraded");
    session.run("CREATE DATABASE fresh");
    cluster.session_in("fresh").run("CREATE EXTENSION vyx");
    let upgraded = cluster.session_in("upgraded");
    upgraded.run(&format!("CREATE EXTENSION vyx VERSION '{FIRST}'"));
    let old = declarations(&upgraded);
    // What an administrator granted is kept, as the administrator's: a dump holds it, and the role can be dropped.
    upgraded.run(
        "CREATE ROLE analyst; GRANT SELECT ON vyx.signals, vyx.cycles TO analyst; GRANT EXECUTE ON FUNCTION vyx_screen(text, text) TO analyst",
    );
    upgraded.run("ALTER EXTENSION vyx UPDATE");
    for right in [
        "has_table_privilege('analyst', 'vyx.signals', 'SELECT')",
        "has_table_privilege('analyst', 'vyx.cycles', 'SELECT')",
        "has_function_privilege('analyst', 'vyx_screen(text, text)', 'EXECUTE')",
    ] {
        assert!(upgraded.one::<bool>(&format!("SELECT {right}"), &[]), "{right}");
    }
    upgraded.run("DROP OWNED BY analyst; DROP ROLE analyst");
    let new = declarations(&upgraded);
    for (symbol, (name, arguments, columns)) in &old {
        let Some((_, now_arguments, now_columns)) = new.get(symbol) else { continue };
        assert!(
            arguments == now_arguments && now_columns.starts_with(columns),
            "{name} as {FIRST} declared it reads what is not there, which may crash the server: new columns come last, and a \
             function with other arguments is another function of Rust (with #[pg_extern(name = ...)])"
        );
    }
    let difference = catalog::difference(&catalog::read(&cluster, "upgraded"), &catalog::read(&cluster, "fresh"));
    assert!(
        difference.is_empty(),
        "run `make upgrade`; what two install scripts do not tell belongs into tests/upgrade/by_hand.sql\n{difference}"
    );
}

/// What 0.1.0 left behind: limits, tenants, a trader of before with a signal and a failure, and how far it had come.
fn leave_behind(session: &Session) {
    let tenant = "00000000-0000-0000-0000-000000000001";
    session.run(&format!(
        "INSERT INTO vyx.tiers VALUES ('house', 77);
         INSERT INTO vyx.tenants (user_id, role_name, tier) VALUES ('{tenant}', 'tina', 'house');
         INSERT INTO vyx.traders (user_id, name, script, state) VALUES ('{tenant}', 'relic', 'close > open', 'running');
         SELECT vyx.settle_versions();"
    ));
    let outcome: String = session.one(
        "WITH facts AS (
             SELECT v.trader_id, v.version, w.settled,
                    (extract(epoch FROM date_trunc('minute', vyx._market_time())) * 1000)::bigint - 1 AS minute,
                    (extract(epoch FROM date_bin('5 minutes', vyx._market_time(), 'epoch')) * 1000)::bigint - 1 AS five
             FROM vyx.trader_versions v, vyx.writer w
         ), batch AS (
             SELECT jsonb_build_object('by', 'worker', 'evaluated_at', f.minute + 1, 'evaluate_ms', 1, 'settled', f.settled, 'finished', '[]'::jsonb, 'pending', '[]'::jsonb,
                 'watermarks', (SELECT jsonb_agg(jsonb_build_object('symbol', s.symbol, 'interval', s.\"interval\",
                                    'through', CASE s.\"interval\" WHEN '1m' THEN f.minute ELSE f.five END)) FROM vyx_series() s),
                 'signals', jsonb_build_array(jsonb_build_object('id', gen_random_uuid(), 'trader_id', f.trader_id, 'trader_version', f.version,
                     'symbol', 'BTCUSDT', 'interval', '1m', 'open_time', f.minute - 59999, 'close_time', f.minute, 'price', 1.5,
                     'metadata', jsonb_build_object('side', 'long'), 'kline_revision', 0, 'engine', 1)),
                 'failures', jsonb_build_array(jsonb_build_object('trader_id', f.trader_id, 'trader_version', f.version, 'cause', 'program',
                     'message', 'cannot be loaded', 'symbol', 'ETHUSDT', 'interval', '1m', 'close_time', f.minute)),
                 'cycles', jsonb_build_array(jsonb_build_object('interval', '1m', 'close_time', f.minute, 'expected', 3, 'series', 3, 'late', 0, 'absent', 0,
                     'traders', 1, 'evaluated', 3, 'matched', 1, 'unmatched', 2, 'not_ready', 0, 'waiting', 0, 'failed', 1, 'fired', 1))) AS said
             FROM facts f)
         SELECT c.outcome FROM batch b, vyx.commit_batch(b.said) c",
        &[],
    );
    assert_eq!(outcome, "written");
    session.run("DELETE FROM vyx.traders WHERE name = 'relic'");
}

/// The rows of a table as they are kept for ever.
fn rows(session: &Session, table: &str) -> Vec<String> {
    let moving = "ARRAY['program', 'effective_from', 'effective_to', 'asked_to']";
    let all = session.rows(&format!("SELECT (to_jsonb(t) - {moving})::text FROM vyx.{table} t ORDER BY 1"), &[]);
    all.iter().map(|row| row.get(0)).collect()
}

const KEPT: [&str; 6] = ["tiers", "tenants", "traders", "trader_versions", "signals", "failures"];

#[test]
fn an_installation_of_the_first_version_waits_for_its_update_and_then_goes_on() {
    offer_first_version();
    let settings = [("vyx.intervals", "1m,5m"), ("vyx.evaluate_worker", "off")];
    let stage = Stage::start("upgrade", &SYMBOLS, Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    session.run(&format!("DROP EXTENSION vyx; CREATE EXTENSION vyx VERSION '{FIRST}'"));
    leave_behind(&session);
    let rules: Vec<&Rule> = OWN.iter().chain(&MIXED).collect();
    save(&session, &rules);
    session.run("SELECT vyx.settle_versions()");
    // Programs of another format, as that version wrote them.
    session.run("UPDATE vyx.trader_versions SET program = jsonb_set(program::jsonb, '{format}', '1')::json");
    let kept: Vec<Vec<String>> = KEPT.iter().map(|table| rows(&session, table)).collect();
    assert!(kept.iter().all(|rows| !rows.is_empty()));

    // The library is there, its SQL is not yet.
    stage.start_worker(&session);
    let advice = format!(
        "the extension is of version {FIRST} in this database and of {PRESENT} in the server: ALTER EXTENSION vyx UPDATE"
    );
    let health = || -> String { session.one("SELECT status || ': ' || reason FROM vyx_health()", &[]) };
    until("it says what to do", || (health() == format!("degraded: vyx evaluate: waiting: {advice}")).then_some(()));
    let worker: i32 = session.one("SELECT evaluate_pid FROM vyx_health()", &[]);
    session.refuses("55000", &[&advice], "CALL vyx_evaluate()");
    // Whoever reads the market is served by the declarations of before.
    for question in [
        "SELECT count(*) = 10 FROM vyx_klines('BTCUSDT', '1m', 10)",
        "SELECT cardinality(vyx_closes('BTCUSDT', '5m', 10)) = 10",
        "SELECT bool_and(cardinality(c) = 10) FROM vyx_columns('BTCUSDT', '5m', 10)",
        "SELECT count(*) = 3 FROM vyx_snapshot('1m')",
        "SELECT count(*) = 3 FROM vyx_tickers()",
        "SELECT count(*) = 1 FROM vyx_ticker('BTCUSDT')",
        "SELECT count(*) = 3 FROM vyx_symbols()",
        "SELECT count(*) = 6 AND bool_and(state = 'live') FROM vyx_series()",
        "SELECT market_time > '2027-01-01' AND messages > 0 AND bad_frames = 0 AND evaluate_pid > 0 AND evaluate_heartbeat > now() - interval '1 minute' FROM vyx_health()",
        "SELECT ok AND nodes = 3 AND timeframes IS NOT NULL FROM vyx_validate('close > open')",
        "SELECT ok = false AND line_no = 1 AND message IS NOT NULL FROM vyx_validate('clsoe')",
        "SELECT count(*) = 5 FROM vyx_values('BTCUSDT', '1m', 5, 'close')",
        "SELECT count(*) = 3 FROM vyx_screen('1m', 'close > open')",
        "SELECT count(*) > 50 FROM vyx_indicators()",
    ] {
        assert!(session.one::<bool>(question, &[]), "{question}");
    }
    // What an old declaration names and a library has not is Postgres' own error.
    session.run("UPDATE pg_proc SET prosrc = 'vyx_of_another_time' WHERE proname = 'vyx_tickers'");
    stage.cluster.session().refuses("42883", &["vyx_of_another_time"], "SELECT * FROM vyx_tickers()");
    stage.reach(&session, stage.exchange.market_time() + 180_000);
    assert_eq!(
        session.one::<i32>("SELECT evaluate_pid FROM vyx_health()", &[]),
        worker,
        "it waits, and is not started again and again"
    );
    let log = stage.cluster.log();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("WARNING") && line.contains(&advice)).collect();
    // A line of the log has the process in brackets.
    let by: BTreeSet<&str> = said.iter().filter_map(|line| line.split(['[', ']']).nth(1)).collect();
    assert_eq!(said.len(), by.len(), "each worker says it once: {said:#?}");
    assert!(!said.is_empty());
    assert!(!log.contains("reinitializing"), "nothing crashed");

    session.run("ALTER EXTENSION vyx UPDATE");
    assert_eq!(session.one::<String>("SELECT extversion FROM pg_extension WHERE extname = 'vyx'", &[]), PRESENT);
    for (table, kept) in KEPT.iter().zip(&kept) {
        for row in kept {
            let is_there = format!("SELECT EXISTS (SELECT FROM vyx.{table} t WHERE to_jsonb(t) @> $1::text::jsonb)");
            assert!(session.one::<bool>(&is_there, &[row]), "{table}: {row}");
        }
    }
    let target = stage.exchange.market_time() + 7 * 60_000;
    let through = target - target.rem_euclid(300_000) - 1;
    until("everything due has been evaluated", || {
        let due =
            "SELECT min(evaluated_through) >= vyx.at($1) AND NOT EXISTS (SELECT FROM vyx.pending) FROM vyx.watermarks";
        session.one::<bool>(due, &[&through]).then_some(())
    });
    let signals = check_signals(&session, &stage.truth, &rules, &SYMBOLS, through);
    assert!(signals > 10, "{signals} signals are too few to prove anything");
    for (what, holds) in [
        (
            "numbers are counted on",
            "SELECT min(s.seq) = 1 AND count(DISTINCT s.seq) = count(*) AND max(s.seq) = max(w.seq) FROM vyx.signals s, vyx.writer w",
        ),
        (
            "programs in force are of this format",
            "SELECT bool_and((program ->> 'format')::int = vyx._format()) FROM vyx.trader_versions WHERE effective_to IS NULL",
        ),
        ("nothing was skipped", "SELECT sum(skipped) = 0 FROM vyx.watermarks"),
        ("nothing failed", "SELECT count(*) = 1 FROM vyx.failures"),
    ] {
        assert!(session.one::<bool>(holds, &[]), "{what}");
    }
    until("it is well", || (health() == "ok: every series is followed").then_some(()));
}
