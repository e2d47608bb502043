//! Bad conditions at the start and bad words from a caller: an error or a state that a person can act on.

use crate::harness::{Cluster, START, Session, Stage, Stop, until};
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Nobody listens on the discard port of loopback.
const NOBODY: [(&str, &str); 3] = [
    ("shared_preload_libraries", "vyx"),
    ("vyx.stream_url", "ws://127.0.0.1:9"),
    ("vyx.rest_url", "http://127.0.0.1:9"),
];

fn health(session: &Session) -> (String, String) {
    let row = &session.rows("SELECT status, reason FROM vyx_health()", &[])[0];
    (row.get(0), row.get(1))
}

/// Waits until the health is down for a reason with these words.
#[track_caller]
fn down(session: &Session, words: &[&str]) {
    let mut last = (String::new(), String::new());
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until("down, with a reason", || {
            last = health(session);
            (last.0 == "down" && words.iter().all(|word| last.1.contains(word))).then_some(())
        })
    }));
    assert!(found.is_ok(), "wanted: down with {words:?}; is: {last:?}");
}

#[test]
fn without_preloading_every_reader_says_what_to_do() {
    let cluster = Cluster::start("not-preloaded", &[]);
    let session = cluster.session();
    session.run("CREATE EXTENSION vyx");
    for call in [
        "vyx_klines('BTCUSDT', '1m')",
        "vyx_closes('BTCUSDT', '1m', 10)",
        "vyx_columns('BTCUSDT', '1m', 10)",
        "vyx_snapshot('1m')",
        "vyx_tickers()",
        "vyx_ticker('BTCUSDT')",
        "vyx_symbols()",
        "vyx_series()",
        "vyx_health()",
    ] {
        session.refuses("55000", &["shared_preload_libraries", "restart"], &format!("SELECT * FROM {call}"));
    }
    let version: String = session.one("SELECT vyx_version()", &[]);
    assert!(!version.is_empty());
    // A mistyped word is told first.
    session.refuses("22023", &["7m"], "SELECT * FROM vyx_klines('BTCUSDT', '7m')");
}

#[test]
fn without_preloading_nobody_can_make_himself_another_tenant() {
    let cluster = Cluster::start("not-preloaded-tenant", &[]);
    let session = cluster.session();
    session.run("CREATE EXTENSION vyx");
    session.run("CREATE ROLE mallory LOGIN; GRANT vyx_user TO mallory");
    session.run("SET SESSION AUTHORIZATION mallory");
    session.run("SET request.jwt.claims = '{\"sub\": \"0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a5b\"}'");
    // Nobody has reserved the name yet, so this is his own variable.
    session.run("SET vyx.jwt_logins = 'mallory'");
    assert_eq!(session.one::<Option<String>>("SELECT vyx.uid()::text", &[]), None);
}

#[test]
fn a_database_in_another_encoding_leaves_out_what_it_cannot_say_and_warns_once() {
    let settings = [("vyx.intervals", "1m"), ("vyx.database", "latin")];
    let stage = Stage::start("encoding", &["BTCUSDT", "币安人生USDT"], Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    session.run("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    let latin = stage.cluster.session_in("latin");
    latin.run("CREATE EXTENSION vyx");
    let warnings: Vec<String> =
        latin.notices().iter().filter(|said| said.severity() == "WARNING").map(|said| said.message().into()).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("not ASCII") && warnings[0].contains("LATIN1"), "{warnings:?}");
    stage.settle(&session);
    for call in ["vyx_symbols()", "vyx_tickers()", "vyx_series()", "vyx_snapshot('1m')", "vyx_screen('1m', 'close')"] {
        let names = format!("SELECT array_agg(DISTINCT symbol ORDER BY symbol) FROM {call}");
        assert_eq!(latin.one::<Vec<String>>(&names, &[]), ["BTCUSDT"], "{call}");
        assert_eq!(session.one::<Vec<String>>(&names, &[]), ["BTCUSDT", "币安人生USDT"], "{call}");
    }
    assert!(latin.one::<bool>("SELECT count(*) > 0 AND bool_and(symbol = 'BTCUSDT') FROM vyx_gaps()", &[]));
    latin.run(
        "INSERT INTO vyx.traders (user_id, name, fire_on, state, script) VALUES (NULL, 'all', 'match', 'running', 'close > 0')",
    );
    until("signals", || latin.one::<bool>("SELECT count(*) > 3 FROM vyx.signals", &[]).then_some(()));
    assert_eq!(latin.one::<Vec<String>>("SELECT array_agg(DISTINCT symbol) FROM vyx.signals", &[]), ["BTCUSDT"]);
    assert_eq!(latin.one::<i64>("SELECT count(*) FROM vyx.failures", &[]), 0);
}

#[test]
fn an_unreachable_exchange_is_down_in_words_and_the_server_still_stops_fast() {
    let mut cluster = Cluster::start("unreachable", &NOBODY);
    let session = cluster.session();
    session.run("CREATE EXTENSION vyx");
    down(&session, &["no connection to the exchange: ", "127.0.0.1:9", "refused"]);
    session.refuses("42704", &["BTCUSDT", "vyx_symbols"], "SELECT * FROM vyx_klines('BTCUSDT', '1m')");
    session.run("SELECT * FROM vyx_klines('BTCUSDT', '1m', missing_ok => true)");
    let took = cluster.stop(Stop::Fast);
    assert!(took < Duration::from_secs(2), "the server took {took:?} to stop");
}

#[test]
fn what_speaks_nonsense_on_the_port_is_no_exchange() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let done = Arc::new(AtomicBool::new(false));
    let server = std::thread::spawn({
        let done = done.clone();
        move || {
            for stream in listener.incoming().flatten() {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                let mut stream = stream;
                let _ = stream.write_all(b"220 mail.example.org ESMTP\r\n\x00\xff\xfe{]\r\n");
            }
        }
    });
    let urls = [format!("ws://{address}"), format!("http://{address}")];
    let cluster = Cluster::start(
        "nonsense",
        &[("shared_preload_libraries", "vyx"), ("vyx.stream_url", &urls[0]), ("vyx.rest_url", &urls[1])],
    );
    let session = cluster.session();
    session.run("CREATE EXTENSION vyx");
    down(&session, &["no connection to the exchange: ", &address.to_string()]);
    assert!(!cluster.log().contains("panicked"), "{}", cluster.log());
    done.store(true, Ordering::Relaxed);
    drop(std::net::TcpStream::connect(address));
    server.join().expect("it only reads and writes");
}

#[test]
fn an_unencrypted_address_elsewhere_is_refused_in_words() {
    let cluster = Cluster::start(
        "unencrypted",
        &[
            ("shared_preload_libraries", "vyx"),
            ("vyx.stream_url", "ws://exchange.example.org"),
            ("vyx.rest_url", "http://exchange.example.org"),
        ],
    );
    let session = cluster.session();
    session.run("CREATE EXTENSION vyx");
    down(&session, &["no connection to the exchange: ", "loopback"]);
}

#[test]
fn a_series_that_was_never_filled_is_an_error_and_not_an_empty_set() {
    let stage = Stage::start("empty-ring", &["BTCUSDT"], Stage::speed(1.0), &[("vyx.intervals", "1m")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    // Its symbols are known, its history is not, and its streams are silent.
    stage.inject(vyx_sim::Kind::RefuseRest, |fault| {
        (fault.status, fault.path) = (Some(503), Some("/api/v3/klines".to_owned()))
    });
    stage.inject(vyx_sim::Kind::RefuseConnections, |_| ());
    session.run("ALTER SYSTEM SET vyx.symbols = 'BTCUSDT, ETHUSDT'");
    session.run("SELECT pg_reload_conf()");
    until("the new symbol is tracked", || {
        session.one::<bool>("SELECT count(*) = 2 FROM vyx_symbols()", &[]).then_some(())
    });
    stage.inject(vyx_sim::Kind::Drop, |_| ());
    session.refuses("53000", &["ETHUSDT", "vyx_health"], "SELECT * FROM vyx_klines('ETHUSDT', '1m')");
    session.refuses("53000", &["ETHUSDT"], "SELECT vyx_closes('ETHUSDT', '1m', 10)");
    let rows: i64 = session.one("SELECT count(*) FROM vyx_klines('BTCUSDT', '1m', 10)", &[]);
    assert_eq!(rows, 10, "what was there stays");
    // The next attempt works.
    stage.exchange.clear(None);
    stage.settle(&session);
    stage.check(&session);
}

#[test]
fn bad_words_are_errors_that_name_the_remedy() {
    let exchange = vyx_sim::Settings { start: Some(START), ..Stage::speed(1.0) };
    let stage = Stage::start("words", &["BTCUSDT"], exchange, &[("vyx.intervals", "1m,1h")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    let long = "A".repeat(200);
    for (sqlstate, words, call) in [
        ("22023", "1M a month", "vyx_klines('BTCUSDT', '7m')".to_owned()),
        ("22023", "1M a month", "vyx_klines('BTCUSDT', '')".to_owned()),
        ("22023", "vyx.intervals", "vyx_klines('BTCUSDT', '5m')".to_owned()),
        ("22023", "vyx.intervals", "vyx_snapshot('1M')".to_owned()),
        ("42704", "NOSUCHUSDT", "vyx_klines('NOSUCHUSDT', '1m')".to_owned()),
        ("42704", "NOSUCHUSDT", "vyx_ticker('NOSUCHUSDT')".to_owned()),
        ("22023", "malformed symbol", format!("vyx_klines('{long}', '1m')")),
        ("22023", "malformed symbol", "vyx_klines('BTC/USDT', '1m')".to_owned()),
        ("22023", "malformed symbol", "vyx_klines('', '1m')".to_owned()),
        ("22023", "limit 0", "vyx_klines('BTCUSDT', '1m', 0)".to_owned()),
        ("22023", "limit -1", "vyx_closes('BTCUSDT', '1m', -1)".to_owned()),
        ("22023", "65536", "vyx_columns('BTCUSDT', '1m', 2147483647)".to_owned()),
        ("22004", "symbol", "vyx_klines(NULL, '1m')".to_owned()),
        ("22004", "interval", "vyx_klines('BTCUSDT', NULL)".to_owned()),
        ("22004", "limit", "vyx_klines('BTCUSDT', '1m', NULL)".to_owned()),
        ("22004", "include_open", "vyx_columns('BTCUSDT', '1m', 1, NULL)".to_owned()),
        ("22004", "interval", "vyx_snapshot(NULL)".to_owned()),
        ("22004", "symbol", "vyx_ticker(NULL)".to_owned()),
    ] {
        session.refuses(sqlstate, &[words], &format!("SELECT * FROM {call}"));
    }
    stage.check(&session);
}

#[test]
fn a_database_that_is_not_there_holds_up_evaluation_alone_until_it_is() {
    let settings = [("vyx.intervals", "1m"), ("vyx.database", "later")];
    let stage = Stage::start("no-database", &["BTCUSDT"], Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    until("the worker says why", || {
        let (status, reason) = health(&session);
        (status == "degraded" && reason.contains("cannot connect to database \"later\"")).then_some(())
    });
    stage.check(&session);
    session.run("CREATE DATABASE later");
    let later = stage.cluster.session_in("later");
    later.run("CREATE EXTENSION vyx");
    later
        .run("INSERT INTO vyx.traders (user_id, name, script, state) VALUES (NULL, 'late', 'close > open', 'running')");
    until("signals", || later.one::<bool>("SELECT count(*) > 0 FROM vyx.signals", &[]).then_some(()));
    // The other lane's process waits out a pause of its own before it tries again.
    until("both processes are well", || {
        (health(&session) == ("ok".to_owned(), "every series is followed".to_owned())).then_some(())
    });
}

#[test]
fn without_pg_cron_the_schedule_says_how_to_get_it() {
    let cluster = Cluster::start("no-cron", &NOBODY);
    let session = cluster.session();
    session.run("CREATE EXTENSION vyx");
    for call in ["vyx_schedule()", "vyx_unschedule()"] {
        session.refuses("55000", &["pg_cron", "shared_preload_libraries"], &format!("SELECT {call}"));
    }
}

#[test]
fn too_few_worker_processes_are_told_by_the_health_and_the_server_runs() {
    let says = |session: &Session, state: &str, who: &str| {
        until("the health says who is missing and why", || {
            let (status, reason) = health(session);
            (status == state && reason.contains(who) && reason.contains("max_worker_processes")).then_some(())
        })
    };
    // The server's own launcher of logical replication takes the first place.
    let cluster = Cluster::start("no-workers", &[&NOBODY[..], &[("max_worker_processes", "1")]].concat());
    let session = cluster.session();
    session.run("CREATE EXTENSION vyx");
    says(&session, "down", "vyx ingest is not running");
    drop((session, cluster));
    let settings = [("vyx.intervals", "1m"), ("max_worker_processes", "2")];
    let stage = Stage::start("few-workers", &["BTCUSDT"], Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    says(&session, "degraded", "vyx evaluate is not running");
    stage.check(&session);
}

#[test]
fn memory_that_is_not_there_ends_the_start_with_a_word() {
    let all = "1s,1m,3m,5m,15m,30m,1h,2h,4h,6h,8h,12h,1d,3d,1w,1M";
    let most = [("vyx.max_symbols", "4096"), ("vyx.ring_size", "65536"), ("vyx.intervals", all)];
    let mut cluster = Cluster::create("too-much-memory", &[&NOBODY[..], &most].concat());
    match cluster.run() {
        Err(_) => {
            let log = cluster.log();
            assert!(log.contains("FATAL") && log.contains("memory"), "{log}");
        }
        // A machine that has it, or says so.
        Ok(()) => cluster.session().run("SELECT 1"),
    }
}

#[test]
fn more_symbols_than_places_are_counted_and_those_that_have_one_are_whole() {
    let symbols = ["BTCUSDT", "ETHUSDT", "LTCUSDT", "ACAUSDT", "币安人生USDT"];
    let settings = [("vyx.intervals", "1m"), ("vyx.max_symbols", "2"), ("vyx.ring_size", "240")];
    let stage = Stage::start("full", &symbols, Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    until("the health counts the others", || {
        let (status, reason) = health(&session);
        let said = reason.starts_with("3 symbols found no place") && reason.contains("vyx.max_symbols");
        (status == "degraded" && said).then_some(())
    });
    let tracked: Vec<String> = session.one("SELECT array_agg(symbol ORDER BY symbol) FROM vyx_symbols()", &[]);
    assert_eq!(tracked, symbols[..2], "the first of the list have them");
    stage.reach(&session, stage.exchange.market_time() + 120_000);
    stage.settle(&session);
    stage.check(&session);
}

#[test]
fn the_smallest_rings_hold_what_they_have_places_for() {
    for slots in ["1", "2", "3"] {
        let settings = [("vyx.intervals", "1m,5m"), ("vyx.ring_size", slots)];
        let stage = Stage::start(&format!("ring-{slots}"), &["BTCUSDT", "ACAUSDT"], Stage::speed(60.0), &settings);
        let session = stage.cluster.session();
        // One place is the open kline's, so with one alone nothing closed can be held for long.
        if slots != "1" {
            stage.settle(&session);
        }
        stage.reach(&session, stage.exchange.market_time() + 5 * 60_000);
        if slots != "1" {
            stage.settle(&session);
            stage.check(&session);
        }
        let most: i64 = session.one("SELECT max(klines) FROM vyx_series()", &[]);
        assert!((1..=slots.parse().expect("a number")).contains(&most), "{slots} places hold {most} klines");
        assert!(!stage.cluster.log().contains("panicked"), "{slots}");
    }
}
