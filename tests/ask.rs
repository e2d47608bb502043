//! What is asked of the past and of one candle agrees with what was evaluated live.

use crate::harness::{MIXED, OWN, Rule, Session, Stage, Stop, millis, save, until};
use std::time::{Duration, Instant, SystemTime};

const SYMBOLS: [&str; 3] = ["BTCUSDT", "ETHUSDT", "币安人生USDT"];

fn stage(name: &str) -> (Stage, Session) {
    let stage = Stage::start(name, &SYMBOLS, Stage::speed(60.0), &[("vyx.intervals", "1m,5m")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    (stage, session)
}

/// Through which close, in milliseconds, every series of both intervals has been evaluated.
fn through(session: &Session) -> i64 {
    let all = "SELECT min(evaluated_through) FROM vyx.watermarks HAVING count(*) = $1";
    let series = 2 * SYMBOLS.len() as i64;
    session
        .try_rows(all, &[&series])
        .ok()
        .and_then(|rows| rows.first().map(|row| millis(row.get::<_, SystemTime>(0))))
        .unwrap_or(0)
}

#[test]
fn a_backtest_gives_the_signals_that_were_given_live_and_explain_knows_them() {
    let (_stage, session) = stage("backtest");
    let rules: Vec<&Rule> = OWN.iter().chain(&MIXED).collect();
    save(&session, &rules);
    until("signals of most rules", || {
        session
            .one::<bool>("SELECT count(DISTINCT trader_id) >= 5 AND count(*) > 60 FROM vyx.signals", &[])
            .then_some(())
    });
    let end = through(&session);
    // Each hit with the signal of the same candle, from when on the rule was in force.
    let compared = "
        SELECT t.name, count(*) FILTER (WHERE c.hit = c.signalled), count(*)
        FROM vyx.traders t JOIN vyx.trader_versions v ON v.trader_id = t.id
        CROSS JOIN LATERAL (
            SELECT h.symbol AS hit, s.symbol AS signalled
            FROM (SELECT * FROM vyx_backtest(NULL, t.\"interval\", 256, t.script, t.fire_on) b
                  WHERE b.open_time + CASE t.\"interval\" WHEN '1m' THEN interval '1 minute' ELSE interval '5 minutes' END
                        BETWEEN v.effective_from + interval '1 ms' AND vyx.at($1) + interval '1 ms') AS h
            FULL JOIN (SELECT * FROM vyx.signals s WHERE s.trader_id = t.id AND s.close_time <= vyx.at($1)) AS s
                ON (h.symbol, h.open_time, h.price, h.metadata) = (s.symbol, s.open_time, s.price, s.metadata)) AS c
        GROUP BY t.name";
    let rows = session.rows(compared, &[&end]);
    let mut all = 0;
    for row in &rows {
        let (name, both, either): (String, i64, i64) = (row.get(0), row.get(1), row.get(2));
        assert_eq!(both, either, "{name}: hits of the backtest and signals differ");
        all += both;
    }
    assert!(rows.len() >= 5 && all > 40, "{all} signals of {} rules are too few to prove anything", rows.len());

    // Of the newest candles explain says `fired` where there is a signal, and has the values that decided.
    let explained = "
        SELECT count(*), count(*) FILTER (WHERE (e.outcome = 'fired') <> (s.id IS NOT NULL)),
               count(*) FILTER (WHERE e.outcome IN ('unexplained', 'waiting', 'history missing', 'failed')),
               count(*) FILTER (WHERE e.outcome = 'fired' AND e.value IS DISTINCT FROM 'true')
        FROM vyx.traders t JOIN vyx.trader_versions v ON v.trader_id = t.id
        CROSS JOIN LATERAL (SELECT DISTINCT symbol FROM vyx.watermarks) AS w
        CROSS JOIN LATERAL (SELECT k.close_time FROM vyx_klines(w.symbol, t.\"interval\", 40, false) k
                            WHERE k.close_time >= v.effective_from AND k.close_time <= vyx.at($1)) AS k
        CROSS JOIN LATERAL (SELECT * FROM vyx_explain(t.id, w.symbol, k.close_time) LIMIT 1) AS e
        LEFT JOIN vyx.signals s ON s.trader_id = t.id AND s.symbol = w.symbol AND s.close_time = k.close_time";
    let row = &session.rows(explained, &[&end])[0];
    let [asked, wrong, unknown, unlike] = [0, 1, 2, 3].map(|column| row.get::<_, i64>(column));
    assert!(asked > 100, "{asked} candles are too few to prove anything");
    assert_eq!((wrong, unknown, unlike), (0, 0, 0), "of {asked}");
}

#[test]
fn a_long_question_is_cancelled_at_once() {
    // The twenty symbols of the demonstration.
    let settings = [("vyx.intervals", "1m"), ("vyx.symbols", ""), ("vyx.quote_assets", "USDT")];
    let stage = Stage::start("cancelled-questions", &[], Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    // As many nodes as there may be, over all that the rings hold.
    let script: Vec<String> = (100..162).map(|n| format!("alma(close, {n}) > ema(close, {n})")).collect();
    let script = script.join(" || ");
    for question in ["vyx_backtest(NULL, '1m', 2000, $1)", "vyx_backtest_summary(NULL, '1m', 2000, $1)"] {
        let sql = format!("SELECT count(*) FROM {question}");
        let began = Instant::now();
        session.rows(&sql, &[&script]);
        let whole = began.elapsed();
        assert!(whole > Duration::from_millis(500), "{whole:?} are too short to be cancelled");
        session.run("SET statement_timeout = '200ms'");
        // A tenth of a second, and half as much again; the best of some, since others use the machine too.
        let tries = (0..5).map(|_| {
            let began = Instant::now();
            let error = session.try_rows(&sql, &[&script]).expect_err("is cancelled");
            assert_eq!(error.code().map(|state| state.code()), Some("57014"), "{error:?}");
            began.elapsed()
        });
        let took = tries.min().expect("some tries");
        assert!(took < Duration::from_millis(350), "{took:?}");
        session.run("RESET statement_timeout");
    }
}

#[test]
fn programs_of_an_older_server_are_compiled_again_and_go_on() {
    let (mut stage, session) = stage("older-format");
    session.run(
        "INSERT INTO vyx.traders (user_id, name, script, fire_on, state) VALUES
             (NULL, 'well', 'close > 0', 'match', 'running'), (NULL, 'ill', 'close > 1', 'match', 'running')",
    );
    let signals = |session: &Session, name: &str| -> i64 {
        session.one(
            "SELECT count(*) FROM vyx.signals s JOIN vyx.traders t ON t.id = s.trader_id WHERE t.name = $1",
            &[&name],
        )
    };
    until("both fire", || (signals(&session, "well") > 3 && signals(&session, "ill") > 3).then_some(()));
    // As a server wrote them whose programs were of another format, and whose language had another function.
    session.run(
        "UPDATE vyx.trader_versions SET program = '{\"format\": 1, \"interval\": \"1m\", \"nodes\": [\"of old\"]}';
         UPDATE vyx.trader_versions v SET script = 'old_function(close) > 0' FROM vyx.traders t WHERE t.id = v.trader_id AND t.name = 'ill'",
    );
    stage.cluster.stop(Stop::Fast);
    stage.cluster.run().expect("the server starts again");
    let session = stage.cluster.session();
    let seen = signals(&session, "well");
    until("it goes on", || (signals(&session, "well") > seen + 6).then_some(()));
    let format = "SELECT bool_and(program ->> 'format' = vyx._format()::text) FROM vyx.trader_versions";
    assert!(session.one::<bool>(format, &[]));
    // Nothing between the first signal and the last is left out.
    let row = &session.rows(
        "SELECT count(*), $1 * (extract(epoch FROM max(s.close_time) - min(s.close_time)) / 60 + 1)::bigint
         FROM vyx.signals s JOIN vyx.traders t ON t.id = s.trader_id
         WHERE t.name = 'well' AND s.close_time <= (SELECT min(evaluated_through) FROM vyx.watermarks WHERE \"interval\" = '1m')",
        &[&(SYMBOLS.len() as i64)],
    )[0];
    assert_eq!(row.get::<_, i64>(0), row.get::<_, i64>(1));
    until("its owner is told of the other", || {
        let told = "SELECT last_error LIKE '%does not compile: 1:1: unknown %old_function%' FROM vyx.traders WHERE name = 'ill'";
        session.one::<Option<bool>>(told, &[]).unwrap_or(false).then_some(())
    });
    // A change of the script, and all is well again.
    let seen = signals(&session, "ill");
    session.run("UPDATE vyx.traders SET script = 'close > 2' WHERE name = 'ill'");
    until("the other goes on", || (signals(&session, "ill") > seen).then_some(()));
}
