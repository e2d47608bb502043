//! Settings: refused when wrong, followed without a restart where they can be.

use crate::harness::{Stage, until};

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
