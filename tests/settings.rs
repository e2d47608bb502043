//! Settings: refused when wrong, followed without a restart where they can be.

use crate::harness::{Gap, Session, Stage, check_ledger, market_time, until};
use std::time::Duration;

#[test]
fn wrong_settings_are_refused_when_they_are_set() {
    let stage = Stage::start("settings", &["BTCUSDT"], Stage::speed(60.0), &[("vyx.intervals", "1m")]);
    let session = stage.cluster.session();
    for (setting, value, words) in [
        ("vyx.symbols", "BTC/USDT", "BTC/USDT"),
        ("vyx.exclude_symbols", "a b", "a b"),
        ("vyx.intervals", "1m,7m", "7m"),
        ("vyx.intervals", "", "at least one interval"),
        ("vyx.max_symbols", "0", "outside the valid range"),
        ("vyx.stale_after", "1s", "outside the valid range"),
        ("vyx.evaluate_worker", "perhaps", "Boolean"),
    ] {
        session.refuses("22023", &[words], &format!("ALTER SYSTEM SET {setting} = '{value}'"));
    }
    // The prefix is reserved: a mistyped name is a mistake and not a new setting.
    session.refuses("42602", &["vyx.simbols"], "SET vyx.simbols = 'BTCUSDT'");
    for setting in ["vyx.symbols", "vyx.stream_url"] {
        session.refuses("55P02", &["cannot be changed now"], &format!("SET {setting} = 'BTCUSDT'"));
    }
}

#[test]
fn a_reload_changes_what_is_tracked() {
    let stage = Stage::start("reload", &["BTCUSDT", "ACAUSDT"], Stage::speed(60.0), &[("vyx.intervals", "1m,5m")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    let tracked = || -> Vec<String> {
        session.one("SELECT array_agg(symbol ORDER BY symbol COLLATE \"C\") FROM vyx_symbols()", &[])
    };
    assert_eq!(tracked(), ["ACAUSDT", "BTCUSDT"]);
    for symbols in [&["BTCUSDT", "ETHUSDT", "币安人生USDT"][..], &["BTCUSDT"]] {
        session.run(&format!("ALTER SYSTEM SET vyx.symbols = '{}'", symbols.join(", ")));
        session.run("SELECT pg_reload_conf()");
        until("the symbols have changed", || (tracked() == symbols).then_some(()));
        stage.settle(&session);
        stage.check(&session);
    }
    session.refuses("42704", &["ETHUSDT"], "SELECT * FROM vyx_klines('ETHUSDT', '1m')");
    let reconnects: i64 = session.one("SELECT reconnects FROM vyx_health()", &[]);
    assert_eq!(reconnects, 0, "a change of symbols is a change of subscriptions");
}

/// The tracked symbols, in order.
fn tracked(session: &Session) -> Vec<String> {
    let all = "SELECT coalesce(array_agg(symbol ORDER BY symbol COLLATE \"C\"), '{}') FROM vyx_symbols()";
    session.one(all, &[])
}

#[test]
fn quote_assets_and_exclusions_change_by_a_reload_and_what_stays_is_not_fetched_again() {
    let settings = [("vyx.intervals", "1m,5m"), ("vyx.ring_size", "240"), ("vyx.quote_assets", "BTC")];
    let stage = Stage::start("reload-quotes", &[], Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    assert_eq!(tracked(&session), ["BNBBTC", "ETHBTC"]);
    for (setting, value, expected) in [
        ("vyx.quote_assets", "BTC, EUR", &["BNBBTC", "BTCEUR", "ETHBTC"][..]),
        ("vyx.exclude_symbols", "BNBBTC", &["BTCEUR", "ETHBTC"]),
        ("vyx.quote_assets", "BTC", &["ETHBTC"]),
    ] {
        let begin = market_time(&session);
        session.reload(&[(setting, value)]);
        until("the symbols have changed", || (tracked(&session) == expected).then_some(()));
        stage.settle(&session);
        stage.reach(&session, stage.exchange.market_time() + 60_000);
        stage.settle(&session);
        stage.check(&session);
        let ledger = check_ledger(&session);
        let again = |gap: &&Gap| gap.symbol == "ETHBTC" && gap.detected_at >= begin && gap.klines > 5;
        assert_eq!(ledger.iter().find(again), None, "{setting} = {value}");
    }
    let reconnects: i64 = session.one("SELECT reconnects FROM vyx_health()", &[]);
    assert_eq!(reconnects, 0, "a change of symbols is a change of subscriptions");
}

#[test]
fn intervals_change_by_a_reload_as_far_as_there_is_room() {
    let settings = [("vyx.intervals", "1m,5m"), ("vyx.ring_size", "240"), ("vyx.max_intervals", "3")];
    let stage = Stage::start("reload-intervals", &["BTCUSDT", "币安人生USDT"], Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    let intervals = || -> Vec<String> {
        let each = "SELECT DISTINCT \"interval\" FROM vyx_series() ORDER BY 1";
        session.rows(each, &[]).iter().map(|row| row.get(0)).collect()
    };
    let health = || -> String { session.one("SELECT status || ': ' || reason FROM vyx_health()", &[]) };
    let klines =
        || -> i64 { session.one("SELECT sum(klines)::bigint FROM vyx_series() WHERE \"interval\" = '1m'", &[]) };
    for (value, expected, left_out) in [
        ("1m,15m", &["15m", "1m"][..], 0),
        ("1m,5m,15m", &["15m", "1m", "5m"], 0),
        ("1m,5m,15m,1h", &["15m", "1m", "5m"], 1),
        ("1m,1h", &["1h", "1m"], 0),
    ] {
        let (begin, held) = (market_time(&session), klines());
        session.reload(&[("vyx.intervals", value)]);
        until(&format!("{value} is followed"), || (intervals() == expected).then_some(()));
        assert!(klines() >= held - 2, "{value}: 1m lost klines");
        stage.settle(&session);
        stage.reach(&session, stage.exchange.market_time() + 60_000);
        stage.settle(&session);
        stage.check(&session);
        let ledger = check_ledger(&session);
        let new: Vec<&Gap> = ledger.iter().filter(|gap| gap.detected_at >= begin && gap.klines > 5).collect();
        assert!(new.iter().all(|gap| gap.interval != "1m"), "{value}: {new:#?}");
        assert!(new.iter().all(|gap| gap.reason == "interval added"), "{value}: {new:#?}");
        let words = match left_out {
            0 => "ok: ",
            _ => "degraded: no memory was reserved for 1 of vyx.intervals: raise vyx.max_intervals",
        };
        until(&format!("{value}: {words}"), || health().starts_with(words).then_some(()));
    }
    let told =
        stage.cluster.log().lines().filter(|line| line.contains("no memory was reserved for interval 1h")).count();
    assert_eq!(told, 1);
    session.refuses("22023", &["vyx.intervals"], "SELECT * FROM vyx_klines('BTCUSDT', '5m')");
}

#[test]
fn a_wrong_value_in_the_file_is_told_in_the_log_and_the_old_one_stays() {
    let settings = [("vyx.intervals", "1m"), ("vyx.ring_size", "240"), ("vyx.max_intervals", "2")];
    let stage = Stage::start("reload-wrong", &["BTCUSDT"], Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    for (line, words) in [
        ("vyx.symbols = 'BTC/USDT'", "invalid value for parameter \"vyx.symbols\""),
        ("vyx.intervals = '7m'", "invalid value for parameter \"vyx.intervals\""),
        ("vyx.stale_after = '1s'", "vyx.stale_after"),
        ("vyx.max_symbols = 7", "\"vyx.max_symbols\" cannot be changed without restarting the server"),
    ] {
        stage.cluster.append_setting(line);
        session.reload(&[]);
        until(&format!("the log says {words}"), || stage.cluster.log().contains(words).then_some(()));
    }
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(tracked(&session), ["BTCUSDT"]);
    stage.settle(&session);
    stage.check(&session);
    // What is right is followed again, within two seconds.
    for line in ["vyx.symbols = 'BTCUSDT,ETHUSDT'", "vyx.intervals = '1m,5m'", "vyx.stale_after = '20s'"] {
        stage.cluster.append_setting(line);
    }
    session.reload(&[]);
    let start = std::time::Instant::now();
    until("both symbols are followed", || (tracked(&session) == ["BTCUSDT", "ETHUSDT"]).then_some(()));
    assert!(start.elapsed() < Duration::from_secs(2), "it took {:?}", start.elapsed());
    stage.settle(&session);
    stage.check(&session);
}
