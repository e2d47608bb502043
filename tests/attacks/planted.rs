//! Objects that lie where vyx might take them for Postgres' own or for its own: in front of pg_catalog, on its tables, and
//! in the place where it is about to be installed.

use super::Town;
use super::fuzz::{self, Function};
use crate::harness::{Session, Stage, until, until_within};
use std::time::Duration;

/// Fails whoever is made to run it, and counts that, which no rollback takes back.
const TRAP: &str = "
    CREATE SEQUENCE public.sprung; GRANT ALL ON SEQUENCE public.sprung TO PUBLIC;
    CREATE FUNCTION public.trap() RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_catalog.nextval('public.sprung'); RAISE EXCEPTION 'trap sprung by %', current_user; END $$;
    CREATE FUNCTION public.spring(anyelement) RETURNS boolean LANGUAGE sql AS 'SELECT public.trap()';
";

/// Tables, types, functions and operators that look like Postgres' own, in the schema that comes first.
fn decoys(schema: &str) -> String {
    let mut sql = String::new();
    for table in [
        "pg_class",
        "pg_proc",
        "pg_extension",
        "pg_roles",
        "pg_settings",
        "pg_stat_activity",
        "pg_available_extensions",
    ] {
        let view =
            format!("CREATE VIEW {schema}.{table} AS SELECT 'x'::pg_catalog.text AS name, public.trap() AS sprung;");
        sql.push_str(&view);
    }
    for of in [
        "text",
        "uuid",
        "jsonb",
        "json",
        "timestamptz",
        "float8",
        "boolean",
        "bigint",
        "integer",
        "interval",
        "record_",
        "int4",
        "int8",
    ] {
        // A domain's check is run by every cast to it.
        let base = match of {
            "boolean" => "bool",
            "bigint" => "int8",
            "integer" => "int4",
            "record_" => "text",
            same => same,
        };
        sql.push_str(&format!("CREATE DOMAIN {schema}.\"{of}\" AS pg_catalog.{base} CHECK (public.trap());"));
    }
    for (name, arguments, returns) in [
        ("now", "", "pg_catalog.timestamptz"),
        ("clock_timestamp", "", "pg_catalog.timestamptz"),
        ("transaction_timestamp", "", "pg_catalog.timestamptz"),
        ("current_database", "", "pg_catalog.name"),
        ("pg_control_system", "", "pg_catalog.int8"),
        ("gen_random_uuid", "", "pg_catalog.uuid"),
        ("count", "", "pg_catalog.int8"),
        ("upper", "pg_catalog.text", "pg_catalog.text"),
        ("length", "pg_catalog.text", "pg_catalog.int4"),
        ("octet_length", "pg_catalog.text", "pg_catalog.int4"),
        ("cardinality", "pg_catalog.text[]", "pg_catalog.int4"),
        ("array_length", "pg_catalog.text[], pg_catalog.int4", "pg_catalog.int4"),
        ("current_setting", "pg_catalog.text", "pg_catalog.text"),
        ("current_setting", "pg_catalog.text, pg_catalog.bool", "pg_catalog.text"),
        ("set_config", "pg_catalog.text, pg_catalog.text, pg_catalog.bool", "pg_catalog.text"),
        ("format", "pg_catalog.text, pg_catalog.text", "pg_catalog.text"),
        ("jsonb_array_length", "pg_catalog.jsonb", "pg_catalog.int4"),
        ("pg_notify", "pg_catalog.text, pg_catalog.text", "pg_catalog.text"),
        ("pg_sleep", "pg_catalog.float8", "pg_catalog.text"),
        ("to_jsonb", "pg_catalog.text[]", "pg_catalog.jsonb"),
    ] {
        sql.push_str(&format!(
            "CREATE FUNCTION {schema}.{name}({arguments}) RETURNS {returns} LANGUAGE plpgsql AS 'BEGIN PERFORM public.trap(); END';"
        ));
    }
    for (operator, of) in [
        ("=", "uuid"),
        ("=", "text"),
        ("<>", "text"),
        ("=", "int8"),
        ("<>", "int8"),
        ("=", "int4"),
        ("<", "int4"),
        (">", "int4"),
        ("=", "timestamptz"),
        (">=", "timestamptz"),
        ("<=", "timestamptz"),
        ("<", "timestamptz"),
        ("-", "timestamptz"),
        (">", "int8"),
        ("~", "text"),
        ("!~", "text"),
        ("||", "text"),
        (">", "float8"),
        (">=", "float8"),
        ("<=", "interval"),
        (">", "interval"),
        ("=", "bool"),
    ] {
        sql.push_str(&format!(
            "CREATE FUNCTION {schema}.sprung_{n}(pg_catalog.{of}, pg_catalog.{of}) RETURNS pg_catalog.bool LANGUAGE plpgsql AS 'BEGIN RETURN public.trap(); END';
             CREATE OPERATOR {schema}.{operator} (LEFTARG = pg_catalog.{of}, RIGHTARG = pg_catalog.{of}, FUNCTION = {schema}.sprung_{n});",
            n = operator.bytes().map(|byte| byte.to_string()).collect::<String>() + of,
        ));
    }
    sql
}

/// Each call with what it needs to get far; every name in it is qualified, so that the caller's own words spring nothing.
const CALLS: [&str; 24] = [
    "SELECT f IS NOT NULL FROM public.vyx_klines('BTCUSDT', '1m', 5) f",
    "SELECT public.vyx_closes('BTCUSDT', '1m', 5) IS NOT NULL",
    "SELECT f IS NOT NULL FROM public.vyx_columns('BTCUSDT', '1m', 5) f",
    "SELECT f IS NOT NULL FROM public.vyx_snapshot('1m') f",
    "SELECT f IS NOT NULL FROM public.vyx_tickers() f",
    "SELECT f IS NOT NULL FROM public.vyx_series() f",
    "SELECT f IS NOT NULL FROM public.vyx_gaps() f",
    "SELECT f IS NOT NULL FROM public.vyx_validate('close > 0', '1m') f",
    "SELECT f IS NOT NULL FROM public.vyx_values('BTCUSDT', '1m', 5, 'close') f",
    "SELECT f IS NOT NULL FROM public.vyx_screen('1m', 'close > 0') f",
    "SELECT f IS NOT NULL FROM public.vyx_backtest('{BTCUSDT}', '1m', 5, 'close > 0') f",
    "SELECT f IS NOT NULL FROM public.vyx_backtest_summary('{BTCUSDT}', '1m', 5, 'close > 0') f",
    "INSERT INTO vyx.traders (name, script, \"interval\", symbols, cooldown, max_lag, min_quote_volume_24h) VALUES ('decoy', 'close > 0', '1m', '{btcusdt}', '1 minute', '1 hour', 1)",
    "UPDATE vyx.traders SET script = 'close > 1', state = 'running'",
    "SELECT public.vyx_start_trader(t.id) IS NOT NULL FROM vyx.traders t",
    "SELECT f IS NOT NULL FROM vyx.traders t CROSS JOIN LATERAL public.vyx_trader_status(t.id) f",
    "SELECT f IS NOT NULL FROM vyx.traders t CROSS JOIN LATERAL public.vyx_explain(t.id, 'BTCUSDT') f",
    "SELECT f IS NOT NULL FROM vyx.traders t CROSS JOIN LATERAL public.vyx_matching(t.id) f",
    "SELECT s.id IS NOT NULL FROM vyx.signals s",
    "SELECT f.id IS NOT NULL FROM vyx.builtin_traders f",
    "SELECT vyx.uid() IS NOT NULL",
    "SELECT public.vyx_stop_trader(t.id) IS NOT NULL FROM vyx.traders t",
    "DELETE FROM vyx.traders",
    "CALL public.vyx_evaluate()",
];

/// An argument whose own type is no decoy: the caller's words spring nothing.
fn argument(name: &str, of: &str, id: &str) -> String {
    let is_name = ["text", "uuid", "json", "jsonb", "name", "text[]", "date"].contains(&of);
    format!("({})::{}{of}", fuzz::plain(name, of, id), if is_name { "pg_catalog." } else { "" })
}

fn sprung(admin: &Session) -> bool {
    admin.one("SELECT is_called FROM public.sprung", &[])
}

#[test]
fn decoys_in_front_of_pg_catalog_are_never_taken_for_postgres_own() {
    let settings =
        [("shared_preload_libraries", "pg_cron,vyx"), ("vyx.intervals", "1m"), ("vyx.evaluate_worker", "off")];
    let stage = Stage::start("decoys", &["BTCUSDT"], Stage::speed(60.0), &settings);
    let admin = stage.cluster.session();
    stage.settle(&admin);
    admin.run("CREATE EXTENSION pg_cron; CREATE ROLE mallory LOGIN; GRANT vyx_user, vyx_operator TO mallory; GRANT USAGE ON SCHEMA cron TO mallory");
    admin.run("INSERT INTO vyx.tenants (user_id, role_name) VALUES (gen_random_uuid(), 'mallory'); GRANT CREATE ON SCHEMA public TO mallory");
    admin.run("INSERT INTO vyx.traders (user_id, name, script, fire_on, state) VALUES (NULL, 'house rule', 'close > 0', 'match', 'running')");
    admin.run(TRAP);
    let mallory = stage.cluster.session_as("mallory");
    mallory.run(&decoys("public"));
    mallory.run(&decoys("pg_temp"));
    // They do work: what is not qualified springs them.
    mallory.run("SET search_path = pg_temp, public, pg_catalog");
    assert!(mallory.refusal("SELECT now()").message().contains("trap sprung by mallory"));
    assert!(sprung(&admin));
    admin.run("SELECT pg_catalog.setval('public.sprung', 1, false)");

    // The caller's own session, decoys in its temporary schema and in public.
    for call in CALLS {
        if let Err(error) = mallory.try_run(call) {
            panic!("{call}\n{error:?}");
        }
        assert!(!sprung(&admin), "{call}");
    }
    // And whatever else there is, as far as it gets.
    mallory.run("INSERT INTO vyx.traders (name, script, state) VALUES ('decoy', 'close > 0', 'running')");
    let id: String = admin.one("SELECT id::text FROM vyx.traders WHERE name = 'decoy'", &[]);
    for Function { verb, name, arguments } in fuzz::functions(&admin) {
        let arguments: Vec<String> = arguments.iter().map(|(name, of)| argument(name, of, &id)).collect();
        let schema = if name.contains('.') { "" } else { "public." };
        let call = format!("{verb} {schema}{name}({})", arguments.join(", "));
        let outcome = mallory.try_run(&call);
        assert!(!sprung(&admin), "{call}: {outcome:?}");
    }
    // Sessions of others, by the settings of a role and of the database, as a careless administrator may leave them.
    admin.run("ALTER DATABASE postgres SET search_path = public, pg_catalog; ALTER ROLE mallory SET search_path = public, pg_catalog");
    let careless = stage.cluster.session();
    for call in CALLS {
        // Not the rows of everybody: an administrator sees all of them.
        if call.starts_with("DELETE") || call.starts_with("UPDATE") || call.contains("vyx.traders t") {
            continue;
        }
        if let Err(error) = careless.try_run(call) {
            panic!("an administrator: {call}\n{error:?}");
        }
        assert!(!sprung(&admin), "an administrator: {call}");
    }
    // pg_cron's sessions begin with these settings; so does the worker, which is started now.
    let job: i64 = mallory.one("SELECT public.vyx_schedule()", &[]);
    until_within(Duration::from_secs(100), "the job has run and written", || {
        let running = "SELECT count(*)::pg_catalog.int4 FROM cron.job_run_details WHERE jobid OPERATOR(pg_catalog.=) $1 AND status OPERATOR(pg_catalog.=) 'running'::pg_catalog.text";
        (admin.one::<i32>(running, &[&job]) > 0).then_some(())
    });
    let seen: i64 = admin.one("SELECT count(*) FROM vyx.signals", &[]);
    until("pg_cron's session evaluates", || {
        admin.one::<bool>("SELECT count(*) > $1 FROM vyx.signals", &[&seen]).then_some(())
    });
    assert!(!sprung(&admin), "pg_cron");
    assert!(mallory.one::<bool>("SELECT public.vyx_unschedule()", &[]));
    admin.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pg_cron%' OR query LIKE 'CALL%vyx_evaluate%' AND pid <> pg_backend_pid()");
    stage.start_worker(&admin);
    let last: i64 = admin.one("SELECT count(*) FROM vyx.cycles WHERE evaluated_by = 'worker'", &[]);
    until("the worker evaluates", || {
        admin
            .one::<bool>("SELECT count(*) > $1::bigint + 1 FROM vyx.cycles WHERE evaluated_by = 'worker'", &[&last])
            .then_some(())
    });
    assert!(!sprung(&admin), "the worker");
    // What looks at the server after the test is no subject of it.
    admin.run("ALTER DATABASE postgres RESET search_path");
}

#[test]
fn what_hangs_on_vyx_tables_runs_with_the_owners_rights_and_not_with_a_superusers() {
    let stage = Stage::start("tap", &["BTCUSDT"], Stage::speed(60.0), &[("vyx.intervals", "1m")]);
    let admin = stage.cluster.session();
    stage.settle(&admin);
    admin.run("INSERT INTO vyx.traders (user_id, name, script, fire_on, state) VALUES (NULL, 'x', 'close > 0', 'match', 'running')");
    // An administrator may; a tenant may not, see tests/attacks/power.rs. So this is the second line of defence.
    admin.run(
        "CREATE SCHEMA tap; GRANT USAGE ON SCHEMA tap TO PUBLIC;
         CREATE TABLE tap.ran (at text, who text, super boolean); GRANT INSERT ON tap.ran TO PUBLIC;
         CREATE FUNCTION tap.ran() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO tap.ran SELECT TG_NAME, current_user, r.rolsuper FROM pg_roles r WHERE r.rolname = current_user;
             RETURN NEW;
         END $$;
         CREATE TRIGGER before_signal BEFORE INSERT ON vyx.signals FOR EACH ROW EXECUTE FUNCTION tap.ran();
         CREATE TRIGGER after_signal AFTER INSERT ON vyx.signals FOR EACH ROW EXECUTE FUNCTION tap.ran();
         CREATE TRIGGER after_watermark AFTER UPDATE ON vyx.watermarks FOR EACH STATEMENT EXECUTE FUNCTION tap.ran()",
    );
    until("all three have run", || admin.one::<bool>("SELECT count(DISTINCT at) = 3 FROM tap.ran", &[]).then_some(()));
    // A deferred one would run when the worker commits, as its login user, who is a superuser: it is refused before.
    admin.run(
        "CREATE CONSTRAINT TRIGGER deferred_signal AFTER INSERT ON vyx.signals DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION tap.ran()",
    );
    until("it is refused, and somebody is told", || {
        let told = "SELECT EXISTS (SELECT FROM vyx.failures WHERE message LIKE '%deferred trigger%')
                        OR (SELECT reason LIKE '%deferred trigger%' FROM vyx_health())";
        admin.one::<bool>(told, &[]).then_some(())
    });
    let who = admin.rows("SELECT DISTINCT at, who, super FROM tap.ran ORDER BY 1", &[]);
    assert_eq!(who.len(), 3, "the deferred one has not run");
    for row in who {
        let (at, who, is_super): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
        assert_eq!((&who[..], is_super), ("vyx_owner", false), "{at}");
    }
}

#[test]
fn what_was_planted_before_the_installation_fails_it_and_is_not_adopted() {
    let town = Town::get();
    let admin = town.admin();
    admin.run("CREATE ROLE planter LOGIN CREATEROLE");
    for (n, (plant, words)) in [
        ("CREATE SCHEMA vyx AUTHORIZATION planter", "schema \"vyx\" already exists"),
        (
            "CREATE FUNCTION public.vyx_version() RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
            "function \"vyx_version\" already exists",
        ),
        (
            "CREATE FUNCTION public.vyx_adopt() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
            "function \"vyx_adopt\" already exists",
        ),
        (
            "CREATE FUNCTION public.vyx_stop_trader(id uuid) RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
            "function \"vyx_stop_trader\" already exists",
        ),
        (
            "CREATE PROCEDURE public.vyx_evaluate(\"interval\" text, stay interval) LANGUAGE sql AS 'SELECT 1'",
            "function \"vyx_evaluate\" already exists",
        ),
        // Of another signature: it would be preferred to ours by a call whose arguments are unknown literals.
        (
            "CREATE FUNCTION public.vyx_stop_trader(id text) RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
            "vyx_stop_trader(text)",
        ),
        ("CREATE AGGREGATE public.vyx_klines(text) (sfunc = textcat, stype = text)", "vyx_klines(text)"),
    ]
    .into_iter()
    .enumerate()
    {
        let database = format!("planted_{n}");
        admin.run(&format!("CREATE DATABASE {database}"));
        let there = town.cluster.session_in(&database);
        there.run(plant);
        let own = planted(&there);
        let Err(error) = there.try_run("CREATE EXTENSION vyx") else { panic!("installed in spite of {plant}") };
        let error = error.as_db_error().expect("the server refuses").clone();
        assert!(error.message().contains(words), "{plant}: {error:?}");
        assert_eq!(planted(&there), own, "{plant}: nothing else is there, and that is as it was");
        drop(there);
        admin.run(&format!("DROP DATABASE {database}"));
    }
    // Roles are the cluster's, so this is never committed: who looks at them meanwhile finds them as they were. The owner's
    // rights are those of every function that runs as it.
    admin.run("CREATE DATABASE planted");
    let there = town.cluster.session_in("planted");
    for plant in [
        "GRANT vyx_owner TO planter",
        "GRANT planter TO vyx_owner",
        "GRANT pg_read_server_files TO vyx_owner",
        "ALTER ROLE vyx_owner LOGIN",
        "ALTER ROLE vyx_owner CREATEROLE",
        "ALTER ROLE vyx_owner CREATEDB",
        "ALTER ROLE vyx_owner REPLICATION",
        "ALTER ROLE vyx_owner BYPASSRLS",
        "ALTER ROLE vyx_owner SUPERUSER",
    ] {
        there.run("BEGIN");
        there.run(plant);
        let outcome = there.try_run("CREATE EXTENSION vyx");
        there.run("ROLLBACK");
        let Err(error) = outcome else { panic!("installed in spite of {plant}") };
        let error = error.as_db_error().expect("the server refuses").clone();
        assert_eq!(error.code().code(), "55000", "{plant}: {error:?}");
        assert!(
            error.message().contains("vyx_owner") && error.hint().is_some_and(|hint| !hint.is_empty()),
            "{plant}: {error:?}"
        );
    }
    drop(there);
    admin.run("DROP DATABASE planted");
    // Whatever this database gives away by default, as Supabase's do, is not given of vyx.
    admin.run("CREATE DATABASE generous");
    let there = town.cluster.session_in("generous");
    there.run(
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon, PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO anon;
         ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO anon, PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO anon;
         ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO anon; ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon",
    );
    there.run("CREATE EXTENSION vyx");
    let generous = crate::grants::catalog(&there);
    assert_eq!(generous, crate::grants::catalog(&admin));
    drop(there);
    admin.run("DROP DATABASE generous");
}

/// Everything in public and in a schema vyx, with its owner.
fn planted(session: &Session) -> Vec<String> {
    let rows = session.rows(
        "SELECT format('%s %s %s', p.oid::regprocedure, p.proowner::regrole, md5(p.prosrc)) FROM pg_proc p
         JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname IN ('public', 'vyx')
         UNION ALL SELECT format('%s %s', c.relname, c.relowner::regrole) FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('public', 'vyx')
         UNION ALL SELECT format('%s %s', n.nspname, n.nspowner::regrole) FROM pg_namespace n
         UNION ALL SELECT e.extname FROM pg_extension e ORDER BY 1",
        &[],
    );
    rows.iter().map(|row| row.get(0)).collect()
}
