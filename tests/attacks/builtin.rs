//! What belongs to nobody is seen by everybody as far as it is meant to be; and ways around a policy that go by what a
//! function, a plan or a statistic tells.

use super::{HIDDEN, SECRET, Town, attempt, tells_nothing};

#[test]
fn a_builtin_trader_gives_signals_to_all_and_its_script_to_none() {
    let town = Town::get();
    let admin = town.admin();
    let house = town.trader(&admin, "house rule");
    for attacker in town.attackers() {
        let who = attacker.who;
        let known = attempt(&attacker.session, "SELECT t::text FROM vyx.builtin_traders t WHERE name = 'house rule'");
        let signals =
            attempt(&attacker.session, &format!("SELECT s::text FROM vyx.signals s WHERE trader_id = '{house}'"));
        if attacker.id.is_none() {
            let code = |outcome: Result<_, Box<tokio_postgres::error::DbError>>| {
                outcome.err().map(|error| error.code().code().to_owned())
            };
            assert_eq!((code(known).as_deref(), code(signals).as_deref()), (Some("42501"), Some("42501")), "{who}");
            continue;
        }
        let (known, signals) = (known.expect("may be read"), signals.expect("may be read"));
        assert_eq!(known.len(), 1, "{who}");
        assert!(!signals.is_empty(), "{who}");
        tells_nothing(&format!("{known:?} {signals:?}"), who);
        // As far as anybody can tell, there is no such trader: not its row, its versions, its failures, its state.
        for sql in [
            format!("SELECT id::text FROM vyx.traders WHERE id = '{house}'"),
            format!("SELECT version::text FROM vyx.trader_versions WHERE trader_id = '{house}'"),
            "SELECT message FROM vyx.failures WHERE user_id IS NULL".to_owned(),
            "SELECT waiting_for FROM vyx.pending WHERE user_id IS NULL".to_owned(),
            format!("DELETE FROM vyx.traders WHERE id = '{house}' RETURNING script"),
            format!("UPDATE vyx.traders SET script = 'close < 0' WHERE id = '{house}' RETURNING script"),
        ] {
            assert_eq!(attempt(&attacker.session, &sql).expect("runs"), Vec::<String>::new(), "{who}: {sql}");
        }
        for call in [
            "vyx_matching('{}')",
            "vyx_explain('{}', 'BTCUSDT')",
            "vyx_trader_status('{}')",
            "vyx_start_trader('{}')",
            "vyx_stop_trader('{}')",
        ] {
            let sql = format!("SELECT f::text FROM {} f", call.replace("{}", &house));
            let error = attempt(&attacker.session, &sql).expect_err(&sql);
            assert_eq!(error.code().code(), "42704", "{who}: {sql}: {error:?}");
        }
    }
    assert!(admin.one::<bool>("SELECT script LIKE '%' || $1 FROM vyx.traders WHERE name = 'house rule'", &[&HIDDEN]));
}

#[test]
fn what_a_policy_hides_no_function_operator_or_plan_tells() {
    let town = Town::get();
    let admin = town.admin();
    // Statistics hold values of the columns.
    admin.run("ANALYZE vyx.traders, vyx.trader_versions, vyx.signals, vyx.failures, vyx.pending, vyx.tenants");
    for attacker in town.attackers().into_iter().filter(|attacker| attacker.id.is_some()) {
        let session = &attacker.session;
        // Cheap, so that a planner would like to ask it before it asks the policy.
        session.run(
            "CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
                 $$ BEGIN RAISE NOTICE 'told: %', $1; RETURN true; END $$;
             CREATE OPERATOR pg_temp.~~~ (RIGHTARG = text, FUNCTION = pg_temp.tell)",
        );
        session.notices();
        for table in ["traders", "trader_versions", "signals", "failures", "pending", "tenants", "builtin_traders"] {
            for sql in [
                format!("SELECT count(*)::text FROM vyx.{table} t WHERE pg_temp.tell(t::text)"),
                format!("SELECT count(*)::text FROM vyx.{table} t WHERE OPERATOR(pg_temp.~~~) t::text"),
                format!("SELECT max(t::text) FROM vyx.{table} t GROUP BY pg_temp.tell(t::text)"),
                format!("SELECT 'x' FROM vyx.{table} t ORDER BY pg_temp.tell(t::text)"),
                format!("SELECT 'x' FROM vyx.{table} t JOIN vyx.tiers i ON pg_temp.tell(t::text)"),
                format!(
                    "SELECT 'x' FROM vyx.{table} t WHERE 1 / CASE WHEN t::text ~ '{SECRET}|{HIDDEN}' THEN 0 ELSE 1 END = 1"
                ),
                format!(
                    "SELECT 'x' FROM vyx.{table} t WHERE (t::text || 'x')::integer = 1 AND t::text ~ '{SECRET}|{HIDDEN}'"
                ),
            ] {
                match attempt(session, &sql) {
                    Ok(rows) => tells_nothing(&rows.join("\n"), &sql),
                    Err(error) => {
                        assert_ne!(error.code().code(), "22012", "{}: {sql} divides by zero: it is told", attacker.who);
                        tells_nothing(&super::said(&error), &sql);
                    }
                }
            }
        }
        let told: Vec<String> = session.notices().iter().map(|notice| notice.message().to_owned()).collect();
        assert!(told.iter().any(|told| told.starts_with("told: ")), "own rows are told");
        tells_nothing(&told.join("\n"), attacker.who);
        for sql in [
            "SELECT s::text FROM pg_stats s WHERE schemaname = 'vyx'",
            "SELECT s::text FROM pg_stats_ext s",
            "SELECT s::text FROM pg_stats_ext_exprs s",
            "SELECT a::text FROM pg_stat_activity a",
            "SELECT p::text FROM pg_prepared_statements p",
            "SELECT c::text FROM pg_cursors c",
            "SELECT l::text FROM pg_locks l",
            "SELECT s::text FROM pg_settings s",
            "SELECT c::text FROM pg_class c WHERE relnamespace = 'vyx'::regnamespace",
            "SELECT s::text FROM pg_shmem_allocations s",
            "SELECT s::text FROM pg_statistic s",
            "SELECT pg_read_file('postgresql.conf')",
            "SELECT pg_ls_dir('.')::text",
            "SELECT encode(get_raw_page('vyx.traders', 0), 'escape')",
        ] {
            match attempt(session, sql) {
                Ok(rows) => tells_nothing(&rows.join("\n"), sql),
                Err(error) => assert!(["42501", "42883"].contains(&error.code().code()), "{sql}: {error:?}"),
            }
        }
        let none = attempt(session, "SELECT s::text FROM pg_stats s WHERE schemaname = 'vyx'").expect("may be read");
        assert_eq!(none, Vec::<String>::new(), "no statistics of a table with policies");
    }
}
