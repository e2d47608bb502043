//! The life of a trader while the market goes on.

use crate::harness::{Session, Stage, until};

fn stage(name: &str) -> (Stage, Session) {
    let stage = Stage::start(name, &["BTCUSDT", "ETHUSDT"], Stage::speed(60.0), &[("vyx.intervals", "1m,5m")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    (stage, session)
}

#[test]
fn a_script_that_does_not_compile_is_not_stored() {
    let (_stage, session) = stage("refused-scripts");
    for (script, line, col, words) in [
        ("rsi(clsoe, 14) < 30", 1, 5, "clsoe"),
        ("let a = 1;\nclose >", 2, 8, ""),
        ("1 + 1", 1, 1, ""),
        ("eval(\"1\")", 1, 1, ""),
    ] {
        let error = session.refusal(&format!(
            "INSERT INTO vyx.traders (user_id, name, script) VALUES (NULL, 'bad', $script${script}$script$)"
        ));
        assert_eq!(error.code().code(), "42601", "{script}: {error:?}");
        let detail: serde_json::Value = serde_json::from_str(error.detail().unwrap_or(""))
            .unwrap_or_else(|why| panic!("{script}: {why}: {error:?}"));
        assert_eq!(detail["line"], line, "{script}: {error:?}");
        assert!(detail["col"].as_i64().is_some_and(|is| col == is || words.is_empty()), "{script}: {error:?}");
        assert!(error.message().contains(words), "{script}: {error:?}");
        assert!(error.hint().is_some(), "{script}: {error:?}");
    }
    assert_eq!(session.one::<i64>("SELECT count(*) FROM vyx.traders", &[]), 0);
}

#[test]
fn a_trader_starts_changes_stops_and_leaves_at_market_time() {
    let (_stage, session) = stage("life");
    session.notices();
    let id: String = session.one(
        "INSERT INTO vyx.traders (user_id, name, script, fire_on) VALUES (NULL, 'life', 'close > 0', 'match') RETURNING id::text",
        &[],
    );
    let notices = session.notices();
    assert!(
        notices
            .iter()
            .any(|notice| notice.hint().is_some_and(|hint| hint.contains("vyx_start_trader") && hint.contains(&id))),
        "{notices:?}"
    );
    let state = || -> String { session.one("SELECT state FROM vyx_trader_status($1::text::uuid)", &[&id]) };
    assert_eq!(state(), "stopped");
    let started: String = session.one("SELECT vyx_start_trader($1::text::uuid)", &[&id]);
    assert!(started == "starting" || started == "running", "{started}");
    until("it runs", || (state() == "running").then_some(()));
    let signals = |version: i64| -> i64 {
        session.one(
            "SELECT count(*) FROM vyx.signals WHERE trader_id = $1::text::uuid AND trader_version = $2",
            &[&id, &version],
        )
    };
    until("it fires on both symbols, candle after candle", || (signals(1) >= 6).then_some(()));

    // A change that does not compile leaves the old one in force; one that does is another version.
    session.refuses("42601", &[], "UPDATE vyx.traders SET script = 'close >'");
    session.run("UPDATE vyx.traders SET script = 'close > 0 && high >= low'");
    until("the new version fires", || (signals(2) >= 4).then_some(()));
    let stopped: String = session.one("SELECT vyx_stop_trader($1::text::uuid)", &[&id]);
    assert!(stopped == "stopping" || stopped == "stopped", "{stopped}");
    until("it is stopped", || (state() == "stopped").then_some(()));

    // Each candle belongs to exactly one version, and none between the first and the last is left out.
    let account = &session.rows(
        "SELECT count(*), count(DISTINCT (symbol, close_time)),
                2 * (extract(epoch FROM max(close_time) - min(close_time)) / 60 + 1)::bigint
         FROM vyx.signals",
        &[],
    )[0];
    let [all, candles, span] = [0, 1, 2].map(|column| account.get::<_, i64>(column));
    assert!(all == candles && all == span, "{all} signals of {candles} candles in a span of {span}");
    session.run("DELETE FROM vyx.traders");
    assert_eq!(session.one::<i64>("SELECT count(*) FROM vyx.signals", &[]), all, "signals outlive their trader");
}

#[test]
fn a_trader_whose_transaction_stays_open_over_closes_counts_from_its_commit() {
    let (stage, session) = stage("late-commit");
    let save = |session: &Session, name: &str| {
        session.rows(
            "INSERT INTO vyx.traders (user_id, name, script, fire_on, state) VALUES (NULL, $1, 'close > 0', 'match', 'running')",
            &[&name],
        );
    };
    save(&session, "early");
    let through = |session: &Session| -> i64 {
        session.one("SELECT coalesce(extract(epoch FROM max(evaluated_through)), 0)::bigint FROM vyx.watermarks", &[])
    };
    until("candles are evaluated", || (through(&session) > 0).then_some(()));

    // The statement runs now; the evaluator cannot see it before the commit, some closes later.
    let other = stage.cluster.session();
    other.run("BEGIN");
    save(&other, "late");
    let before = through(&session);
    until("three closes pass", || (through(&session) >= before + 180).then_some(()));
    other.run("COMMIT");
    let signals = |name: &str| -> i64 {
        session.one(
            "SELECT count(*) FROM vyx.signals s JOIN vyx.traders t ON t.id = s.trader_id WHERE t.name = $1",
            &[&name],
        )
    };
    until("the late one fires", || (signals("late") >= 4).then_some(()));
    session.run("UPDATE vyx.traders SET state = 'stopped'");
    let settled = "SELECT bool_and(effective_to IS NOT NULL) FROM vyx.trader_versions";
    until("both are stopped", || session.one::<bool>(settled, &[]).then_some(()));

    // Of every candle inside its time in force there is a signal, of none outside: nothing is left out in silence.
    let rows = session.rows(
        "SELECT t.name, v.asked_from < v.effective_from,
                count(s.*) FILTER (WHERE s.close_time < v.effective_from OR s.close_time >= v.effective_to),
                count(s.*),
                2 * (SELECT count(*) FROM vyx.cycles c WHERE c.\"interval\" = '1m'
                     AND c.close_time >= v.effective_from AND c.close_time < v.effective_to)
         FROM vyx.trader_versions v JOIN vyx.traders t ON t.id = v.trader_id
         LEFT JOIN vyx.signals s ON s.trader_id = v.trader_id AND s.trader_version = v.version
         GROUP BY t.name, v.asked_from, v.effective_from, v.effective_to ORDER BY t.name",
        &[],
    );
    assert_eq!(rows.len(), 2);
    for row in &rows {
        let (name, moved, outside, written, due): (String, bool, i64, i64, i64) =
            (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4));
        assert_eq!((outside, written), (0, due), "{name}");
        assert_eq!(moved, name == "late", "only the late one's time was moved");
    }
}
