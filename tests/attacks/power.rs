//! More rights than one was given: others' functions, the settings, word of signals, what the log tells.

use super::{Attacker, HIDDEN, SECRET, Town, attempt, said};
use crate::harness::{Session, until};

/// Functions of the extension that this role may not call, each as a call with NULLs, which no planner can take for known:
/// a strict function would not be called at all.
fn forbidden(session: &Session) -> Vec<String> {
    let rows = session.rows(
        "SELECT format('%s %s(%s)', CASE p.prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT' END, p.oid::regproc,
                       (SELECT string_agg(format(CASE p.prokind WHEN 'p' THEN 'NULL::%s' ELSE '(SELECT NULL::%s)' END, format_type(t, NULL)), ', ' ORDER BY n)
                        FROM unnest(p.proargtypes) WITH ORDINALITY AS a(t, n)))
         FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
         JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
         WHERE NOT has_function_privilege(p.oid, 'EXECUTE')
            OR NOT has_schema_privilege(p.pronamespace, 'USAGE') ORDER BY 1",
        &[],
    );
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn functions_of_operators_and_of_the_owner_are_refused_to_everybody_else() {
    let town = Town::get();
    let cluster = &town.cluster;
    let mut everybody = town.attackers();
    for (who, login) in [("an operator", "olga"), ("a monitor", "moni")] {
        everybody.push(Attacker { who, session: cluster.session_as(login), id: None });
    }
    for Attacker { who, session, .. } in &everybody {
        let calls = forbidden(session);
        let inner = [
            "vyx.commit_batch",
            "vyx.write_signals",
            "vyx._evaluate_batch",
            "vyx._compile",
            "vyx._jwt_logins",
            "vyx.check_quota",
        ];
        for name in inner {
            assert!(calls.iter().any(|call| call.contains(&format!("{name}("))), "{who} may call {name}");
        }
        let operators = ["vyx_adopt(", "vyx_evaluate(", "vyx.evaluate_once(", "vyx_schedule(", "vyx.settle_versions("];
        for name in operators {
            assert_eq!(calls.iter().any(|call| call.contains(name)), *who != "an operator", "{who}: {name}");
        }
        for call in &calls {
            assert_eq!(session.refusal(call).code().code(), "42501", "{who}: {call}");
        }
    }
    // Around the door: by a trigger, an aggregate, a cast, an operator, a default or a policy of one's own.
    let admin = town.admin();
    admin.run("CREATE SCHEMA workshop AUTHORIZATION mallory");
    let mallory = cluster.session_as("mallory");
    mallory.run("SET search_path = workshop; CREATE TABLE t (a text, b jsonb)");
    for sql in [
        "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION vyx.before_trader()",
        "CREATE TRIGGER x AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION vyx.after_trader()",
        "CREATE OPERATOR @@@ (leftarg = text, rightarg = text, function = vyx._compile)",
        "INSERT INTO t (b) SELECT to_jsonb(vyx.commit_batch('{}'))",
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE c AS 'vyx', 'vyx_version_wrapper'",
        "ALTER FUNCTION vyx.uid() OWNER TO mallory",
        "ALTER FUNCTION vyx.uid() SECURITY INVOKER",
        "CREATE OR REPLACE FUNCTION vyx.uid() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid'",
        "CREATE FUNCTION vyx.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE vyx.mine (a integer)",
        "ALTER EXTENSION vyx UPDATE",
        "ALTER EXTENSION vyx SET SCHEMA workshop",
        "ALTER EXTENSION vyx DROP TABLE vyx.traders",
        "DROP EXTENSION vyx CASCADE",
        "DROP SCHEMA vyx CASCADE",
        "ALTER SCHEMA vyx OWNER TO mallory",
        "ALTER DEFAULT PRIVILEGES FOR ROLE vyx_owner GRANT ALL ON TABLES TO mallory",
        "REASSIGN OWNED BY vyx_owner TO mallory",
        "DROP OWNED BY vyx_owner",
        "LOAD 'vyx'",
    ] {
        let error = mallory.refusal(sql);
        assert!(["42501", "0A000", "42P17"].contains(&error.code().code()), "{sql}: {error:?}");
    }
    // GRANT of what one has without the right to pass it on is a warning and grants nothing.
    mallory.run("GRANT ALL ON vyx.traders TO stranger; GRANT EXECUTE ON FUNCTION public.vyx_validate TO stranger");
    let given = "SELECT has_table_privilege('stranger', 'vyx.traders', 'SELECT, DELETE')
                     OR has_function_privilege('stranger', 'public.vyx_validate(text, text)', 'EXECUTE')";
    assert!(!admin.one::<bool>(given, &[]));
    town.is_unharmed();
}

#[test]
fn a_tenant_attaches_nothing_to_a_table_of_vyx() {
    let town = Town::get();
    let admin = town.admin();
    admin.run("CREATE SCHEMA annex AUTHORIZATION mallory");
    let mallory = town.cluster.session_as("mallory");
    mallory.run(
        "SET search_path = annex;
         CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE FUNCTION spy_on(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1'",
    );
    let tables = admin.rows(
        "SELECT c.oid::regclass::text, c.relkind = 'v', (SELECT quote_ident(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = 1),
                (SELECT format('%s, FOREIGN KEY (%s) REFERENCES %s', string_agg(format('%I %s', a.attname, format_type(a.atttypid, NULL)), ', '),
                               string_agg(quote_ident(a.attname), ', ' ORDER BY array_position(i.indkey::smallint[], a.attnum)), c.oid::regclass)
                 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                 WHERE i.indrelid = c.oid AND i.indisprimary HAVING count(*) > 0)
         FROM pg_class c WHERE c.relnamespace = 'vyx'::regnamespace AND c.relkind IN ('r', 'v', 'p') ORDER BY 1",
        &[],
    );
    assert!(tables.len() > 9);
    for row in &tables {
        let (table, is_view, column): (String, bool, String) = (row.get(0), row.get(1), row.get(2));
        let mut attacks = vec![
            format!(
                "CREATE TRIGGER spy BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION annex.spy()"
            ),
            format!("CREATE TRIGGER spy AFTER INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION annex.spy()"),
            format!("CREATE TRIGGER spy INSTEAD OF INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION annex.spy()"),
            format!(
                "CREATE CONSTRAINT TRIGGER spy AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION annex.spy()"
            ),
            format!("CREATE RULE spy AS ON INSERT TO {table} DO ALSO SELECT 1"),
            format!("CREATE RULE \"_RETURN\" AS ON SELECT TO {table} DO INSTEAD SELECT 1"),
            format!("CREATE POLICY spy ON {table} USING (annex.spy_on('x') IS NOT NULL)"),
            format!("ALTER POLICY own ON {table} USING (true)"),
            format!("CREATE INDEX spy ON {table} ((annex.spy_on({column}::text)))"),
            format!("CREATE STATISTICS annex.spy ON ({column}::text), (annex.spy_on({column}::text)) FROM {table}"),
            format!("ALTER TABLE {table} ADD CONSTRAINT spy CHECK (annex.spy_on('x') IS NOT NULL)"),
            format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT annex.spy_on('x')"),
            format!("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"),
            format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"),
            format!("ALTER TABLE {table} OWNER TO mallory"),
            format!("ALTER TABLE {table} DISABLE TRIGGER ALL"),
            format!("COMMENT ON TABLE {table} IS 'mine'"),
            format!("DROP TABLE {table} CASCADE"),
            format!("CREATE TABLE annex.heir () INHERITS ({table})"),
            // A column of its row type would forbid to alter the table, and with it every update of the extension.
            format!("CREATE TABLE annex.lien (row {table})"),
            format!("CREATE TABLE annex.lien (rows {table}[])"),
            format!("CREATE DOMAIN annex.lien AS {table}"),
            format!("CREATE FUNCTION annex.lien({table}) RETURNS text LANGUAGE sql AS 'SELECT 1::text'"),
        ];
        if !is_view {
            // A table without a primary key has nothing to refer to.
            if let Some(child) = row.get::<_, Option<String>>(3) {
                attacks.push(format!("CREATE TABLE annex.child ({child})"));
            }
        }
        for sql in &attacks {
            let error = mallory.refusal(sql);
            // A view is the wrong object for some of these, whoever asks; a type without its USAGE is refused as 42501.
            let codes: &[&str] = if is_view { &["42501", "42809", "42704"] } else { &["42501", "42809"] };
            assert!(codes.contains(&error.code().code()), "{sql}: {error:?}");
            assert!(
                error.code().code() == "42501" || is_view || sql.contains("INSTEAD OF") || sql.contains("DOMAIN"),
                "{sql}: {error:?}"
            );
        }
    }
    let left: i64 = admin.one("SELECT count(*) FROM pg_class WHERE relnamespace = 'annex'::regnamespace", &[]);
    assert_eq!(left, 0);
}

#[test]
fn settings_are_the_administrators_alone() {
    let town = Town::get();
    let admin = town.admin();
    admin.run("CREATE ROLE tinker LOGIN; GRANT vyx_user TO tinker");
    let settings = admin.rows(
        "SELECT name, setting, vartype, coalesce(unit, '') FROM pg_settings WHERE name LIKE 'vyx.%' ORDER BY 1",
        &[],
    );
    assert!(settings.len() > 15);
    let tinker = town.cluster.session_as("tinker");
    for row in &settings {
        let (name, value): (String, String) = (row.get(0), row.get(1));
        let other = match &row.get::<_, String>(2)[..] {
            "bool" if value == "on" => "off",
            "bool" => "on",
            "integer" => "77",
            _ => "tinker",
        };
        for sql in [
            format!("SET {name} = '{other}'"),
            format!("SET LOCAL {name} = '{other}'"),
            format!("SELECT set_config('{name}', '{other}', false)"),
            format!("ALTER ROLE tinker SET {name} = '{other}'"),
            format!("ALTER ROLE tinker IN DATABASE postgres SET {name} = '{other}'"),
            format!("ALTER DATABASE postgres SET {name} = '{other}'"),
            format!("ALTER SYSTEM SET {name} = '{other}'"),
            format!("CREATE FUNCTION pg_temp.f() RETURNS integer LANGUAGE sql SET {name} = '{other}' AS 'SELECT 1'"),
            format!("GRANT SET ON PARAMETER {name} TO tinker"),
        ] {
            let code = tinker.refusal(&sql).code().code().to_owned();
            assert!(["42501", "55P02"].contains(&&code[..]), "{sql}: {code}");
        }
        let error = match town.cluster.try_session_as("tinker", &format!("-c {name}={other}")) {
            Ok(_) => panic!("PGOPTIONS set {name}"),
            Err(error) => error,
        };
        let code = error.code().map(|code| code.code());
        assert!(matches!(code, Some("42501" | "55P02")), "{name}: {error:?}");
        assert_eq!(
            tinker.one::<String>("SELECT current_setting($1)", &[&name]),
            admin.one::<String>("SELECT current_setting($1)", &[&name])
        );
    }
    // The prefix is reserved: there is no placeholder that a later version would take for its setting.
    for sql in ["SET vyx.foo = 1", "SELECT set_config('vyx.foo', '1', true)", "ALTER ROLE tinker SET vyx.foo = 1"] {
        assert_eq!(tinker.refusal(sql).code().code(), "42602", "{sql}");
    }
    let error = town.cluster.try_session_as("tinker", "-c vyx.foo=1").err().expect("refused");
    assert_eq!(error.code().map(|code| code.code()), Some("42602"), "{error:?}");
    // Settings of Postgres' own, with which a function might be made to do otherwise.
    tinker.run(
        "SET search_path = pg_temp, public; SET row_security = off;
         SET default_transaction_read_only = on; SET check_function_bodies = off; SET xmlbinary = hex; SET timezone = 'Asia/Kathmandu';
         SET datestyle = 'German'; SET intervalstyle = 'sql_standard'; SET extra_float_digits = -15; SET bytea_output = 'escape';
         SET standard_conforming_strings = off; SET transform_null_equals = on; SET array_nulls = off",
    );
    assert_eq!(tinker.refusal("SET session_replication_role = replica").code().code(), "42501");
    // With row_security off a policy is an error, not passed by.
    assert_eq!(tinker.refusal("SELECT * FROM vyx.signals").code().code(), "42501");
    tinker.run("SET row_security = on; SELECT count(*) FROM public.vyx_klines('BTCUSDT', '1m')");
}

#[test]
fn word_of_signals_can_be_forged_and_changes_nothing() {
    let town = Town::get();
    let admin = town.admin();
    let listener = town.cluster.session_as("stranger");
    listener.run("LISTEN vyx_signals");
    let mallory = town.cluster.session_as("mallory");
    let rows = |session: &Session| -> (i64, i64) {
        let row = &session.rows("SELECT (SELECT seq FROM vyx.writer), (SELECT max(seq) FROM vyx.signals)", &[])[0];
        (row.get(0), row.get(1))
    };
    // Postgres lets every role notify on every channel. So the word is a reason to look and never the news: what there
    // is stands in the table, and a number in the word of somebody else moves nothing there.
    let before = rows(&admin);
    for payload in
        ["{\"seq\": 9223372036854775807}", "{\"seq\": -1}", "{}", "no json", "'); DROP TABLE vyx.signals; --", ""]
    {
        mallory.rows("SELECT pg_notify('vyx_signals', $1)", &[&payload]);
    }
    town.is_unharmed();
    let after = rows(&admin);
    assert!(after.0 < 1_000_000 && after.0 == after.1 && after.0 > before.0, "{before:?} {after:?}");
    // What vyx itself says is the same for all: a number, and nothing of a tenant.
    let heard = listener.notifications();
    assert!(heard.iter().any(|heard| heard == "no json"), "the forgery was heard");
    let own = format!("{{\"seq\": {}}}", after.0);
    until("vyx's own word", || {
        let words = listener.notifications();
        let plain = |word: &String| {
            word.strip_prefix("{\"seq\": ")
                .and_then(|rest| rest.strip_suffix('}'))
                .is_some_and(|seq| seq.parse::<u64>().is_ok())
        };
        assert!(words.iter().all(plain), "{words:?} beside {own}");
        (!words.is_empty()).then_some(())
    });
}

#[test]
fn nothing_of_a_tenants_rules_is_in_the_log_or_in_anything_about_the_server() {
    let town = Town::get();
    let admin = town.admin();
    for login in ["olga", "moni", "stranger"] {
        let session = town.cluster.session_as(login);
        for sql in [
            "SELECT h::text FROM vyx_health() h",
            "SELECT m::text FROM vyx_metrics() m",
            "SELECT s::text FROM vyx_series() s",
            "SELECT s::text FROM vyx_symbols() s",
            "SELECT g::text FROM vyx_gaps() g",
            "SELECT c::text FROM vyx.cycles c",
            "SELECT w::text FROM vyx.watermarks w",
            "SELECT s::text FROM pg_shmem_allocations s",
            "SELECT a::text FROM pg_stat_activity a WHERE backend_type LIKE 'vyx%'",
        ] {
            match attempt(&session, sql) {
                Ok(rows) => super::tells_nothing(&rows.join("\n"), &format!("{login}: {sql}")),
                Err(error) => {
                    assert_eq!(error.code().code(), "42501", "{login}: {sql}: {error:?}");
                    super::tells_nothing(&said(&error), sql);
                }
            }
        }
    }
    // Her traders were saved, evaluated, failed and explained all the while; so were those of the house.
    let failed: i64 = admin.one("SELECT sum(attempts)::bigint FROM vyx.failures", &[]);
    assert!(failed > 0);
    let log = town.cluster.log();
    let own = |line: &&str| !line.contains("STATEMENT:") && !line.contains("ERROR:");
    for secret in [SECRET, HIDDEN] {
        let line = log.lines().filter(own).find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
}
