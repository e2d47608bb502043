//! What an extension whose tables hold several tenants' rows must be like, read from the catalog of an installation, a line
//! a test: what is added later is held to it too.

use crate::attacks::Town;

/// The extension's functions.
const FUNCTIONS: &str = "pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' \
                         JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'";
/// Its tables.
const TABLES: &str = "pg_class c WHERE c.relnamespace = 'vyx'::regnamespace AND c.relkind IN ('r', 'p')";

/// What a query lists, one text a row.
#[track_caller]
fn check(query: &str, expected: &[&str]) {
    let town = Town::get();
    let listed: Vec<String> = town.admin().rows(query, &[]).iter().map(|row| row.get(0)).collect();
    assert_eq!(listed, expected, "{query}");
}

#[test]
fn the_extension_is_neither_trusted_nor_relocatable_and_a_superusers_to_install() {
    check(
        "SELECT name FROM pg_available_extension_versions WHERE name = 'vyx' AND (trusted OR relocatable OR NOT superuser)",
        &[],
    );
    check("SELECT DISTINCT name FROM pg_available_extension_versions WHERE name = 'vyx'", &["vyx"]);
}

/// Either the function says where names are looked up, or its body was resolved when it was made.
#[test]
fn every_function_that_runs_sql_pins_its_search_path() {
    check(
        &format!(
            "SELECT p.oid::regproc::text FROM {FUNCTIONS} JOIN pg_language l ON l.oid = p.prolang
             WHERE l.lanname <> 'c' AND p.prosqlbody IS NULL
               AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false) ORDER BY 1"
        ),
        // A procedure that commits can have no SET clause: it sets the path itself, anew in each transaction.
        &["vyx_evaluate"],
    );
    // In C those that read tables; the others run no SQL.
    check(
        &format!(
            "SELECT p.proname::text FROM {FUNCTIONS} JOIN pg_language l ON l.oid = p.prolang
             WHERE l.lanname = 'c' AND 'search_path=pg_catalog, pg_temp' = ANY (p.proconfig) ORDER BY p.proname COLLATE \"C\""
        ),
        &["_evaluate_batch", "vyx_explain", "vyx_matching"],
    );
    // Of the languages there are, and no search_path of another kind.
    check(
        &format!(
            "SELECT p.oid::regproc::text FROM {FUNCTIONS} JOIN pg_language l ON l.oid = p.prolang
             WHERE l.lanname NOT IN ('c', 'sql', 'plpgsql')
                OR EXISTS (SELECT FROM unnest(p.proconfig) s WHERE s LIKE 'search_path=%' AND s <> 'search_path=pg_catalog, pg_temp')"
        ),
        &[],
    );
}

/// The doors to the owner's rights, each with those who may go through: what is added here is looked at twice. Behind
/// them are functions of the owner that nobody else may call.
#[test]
fn functions_that_run_as_the_owner_for_somebody_else_are_exactly_these() {
    check(
        &format!(
            "SELECT format('%s: %s', p.oid::regproc, string_agg(g.who, ', ' ORDER BY g.who)) FROM {FUNCTIONS}
             CROSS JOIN LATERAL (
                 SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END COLLATE \"C\" AS who
                 FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee <> p.proowner) AS g
             WHERE p.prosecdef GROUP BY p.oid::regproc ORDER BY p.oid::regproc::text COLLATE \"C\""
        ),
        &[
            "vyx.begin_shadow: vyx_user",
            "vyx.behind: pg_monitor",
            "vyx.end_shadow: vyx_user",
            "vyx.evaluate_once: vyx_operator",
            "vyx.evaluation_state: pg_monitor",
            "vyx.forget_publication: vyx_operator",
            "vyx.maintain: vyx_operator",
            "vyx.publish_as_owner: vyx_operator",
            "vyx.read_cursor: vyx_user",
            "vyx.remember_publication: vyx_operator",
            "vyx.settle_versions: vyx_operator",
            "vyx.uid: PUBLIC",
            "vyx.unpublish_as_owner: vyx_operator",
            "vyx.unpublished: pg_monitor, vyx_operator",
            "vyx.upgrade_programs: vyx_operator",
            "vyx_active_traders: vyx_operator, vyx_user",
            "vyx_adopt: vyx_operator",
            "vyx_forget_user: vyx_operator",
            "vyx_published: pg_monitor, vyx_operator",
            "vyx_retry: vyx_operator, vyx_user",
            "vyx_trader_status: vyx_operator, vyx_user",
            "vyx_usage: vyx_operator, vyx_user",
        ],
    );
    check(
        &format!(
            "SELECT p.oid::regproc::text FROM {FUNCTIONS} WHERE p.prosecdef AND p.proowner <> 'vyx_owner'::regrole"
        ),
        &[],
    );
    check(
        "SELECT rolname::text FROM pg_roles WHERE rolname IN ('vyx_owner', 'vyx_user', 'vyx_operator')
           AND (rolsuper OR rolcanlogin OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)",
        &[],
    );
    check(
        "SELECT m.member::regrole::text FROM pg_auth_members m WHERE 'vyx_owner'::regrole IN (m.roleid, m.member)",
        &[],
    );
}

#[test]
fn nobody_is_given_trigger_references_or_truncate_or_may_pass_on_what_he_has() {
    check(
        "SELECT format('%s on %s to %s', a.privilege_type, c.oid::regclass, a.grantee) FROM pg_class c, aclexplode(c.relacl) a
         WHERE c.relnamespace = 'vyx'::regnamespace AND a.grantee <> c.relowner
           AND (a.privilege_type IN ('TRIGGER', 'REFERENCES', 'TRUNCATE') OR a.is_grantable)",
        &[],
    );
    check(
        "SELECT format('%s on %s.%s', x.privilege_type, a.attrelid::regclass, a.attname) FROM pg_class c
         JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) x
         WHERE c.relnamespace = 'vyx'::regnamespace AND (x.privilege_type = 'REFERENCES' OR x.is_grantable)",
        &[],
    );
    check(
        &format!(
            "SELECT p.oid::regproc::text FROM {FUNCTIONS}, aclexplode(p.proacl) a WHERE a.is_grantable AND a.grantee <> p.proowner"
        ),
        &[],
    );
}

#[test]
fn row_level_security_is_enabled_and_forced_on_every_table() {
    check(&format!("SELECT c.relname::text FROM {TABLES} AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"), &[]);
    check(&format!("SELECT c.relname::text FROM {TABLES} AND c.relowner <> 'vyx_owner'::regrole"), &[]);
    check(
        &format!(
            "SELECT c.relname::text FROM {TABLES} AND NOT EXISTS (
                 SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'owner' AND p.polroles = ARRAY['vyx_owner'::regrole::oid])"
        ),
        &[],
    );
    // Whoever is not the owner is bound by a policy on what it writes as well.
    check(
        "SELECT format('%s on %s', policyname, tablename) FROM pg_policies
         WHERE schemaname = 'vyx' AND policyname <> 'owner' AND cmd <> 'SELECT' AND with_check IS NULL",
        &[],
    );
    // The tenant is asked for once a statement, not once a row.
    check(
        "SELECT format('%s on %s', policyname, tablename) FROM pg_policies
         WHERE schemaname = 'vyx' AND concat(qual, with_check) LIKE '%uid()%' AND concat(qual, with_check) NOT LIKE '%( SELECT vyx.uid() AS uid)%'",
        &[],
    );
}

#[test]
fn views_show_what_their_reader_may_see() {
    check(
        "SELECT c.relname::text FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
         JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
         WHERE c.relkind IN ('v', 'm') AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)
           AND EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner) ORDER BY 1",
        // Shows of rows that nobody may see what everybody may know; its conditions come before its readers'.
        &["builtin_traders"],
    );
    check(
        "SELECT c.relname::text FROM pg_class c WHERE c.relname = 'builtin_traders' AND NOT coalesce('security_barrier=true' = ANY (c.reloptions), false)",
        &[],
    );
    check(
        "SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = 'vyx.builtin_traders'::regclass AND a.attnum > 0
           AND a.attname IN ('script', 'program', 'last_error', 'user_id')",
        &[],
    );
}

/// Else a refused insert would tell of a row of another tenant.
#[test]
fn no_tenant_writes_a_column_that_must_be_unique() {
    check(
        "SELECT format('%s.%s', i.indrelid::regclass, a.attname) FROM pg_index i
         JOIN pg_class c ON c.oid = i.indrelid AND c.relnamespace = 'vyx'::regnamespace
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
         CROSS JOIN (VALUES ('vyx_user'), ('vyx_operator'), ('pg_monitor'), ('public')) AS r(role)
         WHERE (i.indisunique OR i.indisexclusion)
           AND (has_column_privilege(r.role, i.indrelid, a.attnum, 'INSERT') OR has_column_privilege(r.role, i.indrelid, a.attnum, 'UPDATE'))",
        &[],
    );
    // Nor is there a foreign key that a tenant's row could point along.
    check(
        "SELECT conname::text FROM pg_constraint WHERE connamespace = 'vyx'::regnamespace AND contype = 'f'
           AND (has_table_privilege('vyx_user', conrelid, 'INSERT') OR has_any_column_privilege('vyx_user', conrelid, 'INSERT'))",
        &[],
    );
}

#[test]
fn settings_are_of_the_server_and_their_prefix_is_taken() {
    check(
        "SELECT name FROM pg_settings WHERE name LIKE 'vyx.%' AND context NOT IN ('postmaster', 'sighup', 'superuser')",
        &[],
    );
    check(
        "SELECT DISTINCT 'x' FROM pg_settings WHERE name LIKE 'vyx.%' AND (short_desc = '' OR source = 'session')",
        &[],
    );
    let town = Town::get();
    town.admin().refuses("42602", &["vyx.anything"], "SET vyx.anything = 1");
}

/// A function in C that is given a null pointer for what it takes for a text ends the server.
#[test]
fn a_null_for_any_argument_of_a_function_in_c_is_an_answer_or_an_error() {
    let town = Town::get();
    let admin = town.admin();
    let calls = admin.rows(
        &format!(
            "SELECT format('SELECT %s(%s)', p.oid::regproc, (
                 SELECT string_agg(format('(%s)::%s', CASE WHEN t.n = k.n THEN 'NULL'
                     WHEN t.t = 'text'::regtype THEN CASE coalesce(p.proargnames[t.n], '') WHEN 'symbol' THEN '''BTCUSDT''' WHEN 'interval' THEN '''1m''' ELSE '''close''' END
                     WHEN t.t IN ('int4'::regtype, 'int8'::regtype) THEN '1' WHEN t.t = 'uuid'::regtype THEN 'gen_random_uuid()'
                     WHEN t.t = 'text[]'::regtype THEN '''{{BTCUSDT}}''' WHEN t.t = 'bool'::regtype THEN 'true' ELSE 'NULL' END, format_type(t.t, NULL)), ', ' ORDER BY t.n)
                 FROM unnest(p.proargtypes) WITH ORDINALITY AS t(t, n)))
             FROM {FUNCTIONS} JOIN pg_language l ON l.oid = p.prolang, generate_series(1, p.pronargs) AS k(n)
             WHERE l.lanname = 'c' ORDER BY 1"
        ),
        &[],
    );
    assert!(calls.len() > 20);
    for call in calls {
        let call: String = call.get(0);
        if let Err(error) = admin.try_run(&call) {
            let code = error.code().map_or("lost", |code| code.code());
            assert!(["22004", "42704", "22023", "42601", "53000"].contains(&code), "{call}: {error:?}");
        }
    }
    town.is_unharmed();
}

#[test]
fn everything_has_a_comment() {
    check(
        "SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
         WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
           AND d.classid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_namespace'::regclass)
           AND obj_description(d.objid, (SELECT relname FROM pg_class WHERE oid = d.classid)) IS NULL
           AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = d.objid AND c.relkind IN ('i', 't')) ORDER BY 1",
        &[],
    );
}

#[test]
fn every_table_is_kept_by_a_dump() {
    check(
        &format!(
            "SELECT c.relname::text FROM {TABLES} AND NOT c.oid = ANY (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'vyx') ORDER BY 1"
        ),
        &[],
    );
}
