//! Two lanes: what a tenant runs beyond its share is evaluated by another process, and no worse.

use crate::harness::{SYMBOLS, Stage, until};

const RULE: &str = "close > open && rsi(close, 14) > 40";

#[test]
fn what_is_beyond_a_tenants_share_is_evaluated_after_everybody_elses_and_as_well() {
    let settings = [("vyx.intervals", "1m,5m"), ("vyx.prompt_cost", "1")];
    let stage = Stage::start("lanes", &SYMBOLS, Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    session.run("INSERT INTO vyx.tenants (user_id, tier) VALUES (gen_random_uuid(), 'elite')");
    session.run(&format!(
        "INSERT INTO vyx.traders (user_id, name, script, fire_on, state)
         SELECT NULL, 'prompt', '{RULE}', 'match', 'running'
         UNION ALL SELECT user_id, 'patient', '{RULE}', 'match', 'running' FROM vyx.tenants"
    ));
    let lanes: Vec<(String, i16)> = session
        .rows(
            "SELECT t.name, v.lane FROM vyx.traders t JOIN vyx.trader_versions v ON v.trader_id = t.id ORDER BY 1",
            &[],
        )
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    assert_eq!(lanes, [("patient".to_owned(), 1), ("prompt".to_owned(), 0)]);
    let patient = || -> Option<i32> {
        let sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'vyx evaluate patient'";
        session.rows(sql, &[]).first().map(|row| row.get(0))
    };
    let first = until("the second process is there", patient);
    closes_pass(&stage, 5);
    session.terminate(first);
    until("it is back", || patient().filter(|pid| *pid != first));
    closes_pass(&stage, 5);
    // From one lane to the other at a change: no candle is evaluated by both.
    session.reload(&[("vyx.prompt_cost", "1000000000")]);
    session.run("UPDATE vyx.traders SET script = script || ' && true' WHERE name = 'patient'");
    closes_pass(&stage, 5);
    session.run("UPDATE vyx.traders SET state = 'stopped'");
    until("both have stopped", || {
        // The last candle that a version evaluates closes within a minute before its end.
        let sql = "SELECT count(*) FILTER (WHERE v.effective_to IS NULL) = 0
                      AND bool_and(w.evaluated_through >= v.effective_to - interval '1 minute')
                   FROM vyx.trader_versions v JOIN vyx.watermarks w ON w.lane = v.lane AND w.\"interval\" = v.\"interval\"";
        session.one::<Option<bool>>(sql, &[]).filter(|all| *all)
    });
    // Of the same rule, where both were in force: the same signals, each once.
    let differ = "WITH common AS (
            SELECT max(v.effective_from) AS from_time, min(v.effective_to) AS to_time FROM (
                SELECT trader_id, min(effective_from) AS effective_from, max(effective_to) AS effective_to
                FROM vyx.trader_versions GROUP BY trader_id) AS v
        ), said AS (
            SELECT t.name, s.symbol, s.close_time FROM vyx.signals s JOIN vyx.traders t ON t.id = s.trader_id
            CROSS JOIN common b WHERE s.close_time >= b.from_time AND s.close_time < b.to_time
        )
        SELECT count(*) FILTER (WHERE name = 'prompt'), count(*) FILTER (WHERE name = 'patient'),
               count(DISTINCT (symbol, close_time)) FROM said";
    let row = &session.rows(differ, &[])[0];
    let (prompt, patient, distinct): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    assert!(prompt > 5, "{prompt} signals are too few to compare");
    assert_eq!((prompt, distinct), (patient, prompt));
    let lanes: Vec<i16> = session
        .rows("SELECT DISTINCT lane FROM vyx.cycles WHERE evaluated > 0 ORDER BY 1", &[])
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(lanes, [0, 1]);
}

fn closes_pass(stage: &Stage, minutes: i64) {
    let session = stage.cluster.session();
    stage.reach(&session, stage.exchange.market_time() + minutes * 60_000);
}
