//! Who may do what, as the catalog of a fresh installation has it and as README.md says it: `make readme` writes it anew.

use crate::attacks::Town;
use crate::harness::Session;
use std::path::Path;

const BEGIN: &str = "<!-- rights: written by `make readme` -->\n";
const END: &str = "<!-- end of rights -->\n";

/// The roles that the page has columns for. Another grantee would make a column of its own, and the test fail.
const ROLES: [&str; 4] = ["PUBLIC", "vyx_user", "vyx_operator", "pg_monitor"];

/// Each function with those who may call it, but for its owner.
const FUNCTIONS: &str = "
    SELECT p.oid::regproc::text, coalesce(array_agg(DISTINCT g.who) FILTER (WHERE g.who IS NOT NULL), '{}')
    FROM pg_proc p
    JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
    LEFT JOIN LATERAL (
        SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS who
        FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee <> p.proowner
    ) AS g ON true
    GROUP BY p.oid::regproc::text ORDER BY p.oid::regproc::text COLLATE \"C\"";

/// Each table with whose rows a tenant sees, and each role with its verbs and, where these are given one by one, columns.
const TABLES: &str = "
    WITH things AS (
        SELECT c.oid, c.relkind, c.relowner, c.oid::regclass::text AS name, c.relacl
        FROM pg_class c WHERE c.relnamespace = 'vyx'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p', 'f', 'S')
    ), grants AS (
        SELECT t.oid, a.grantee, a.privilege_type AS verb, a.is_grantable, NULL::name AS col, 0 AS place
        FROM things t, aclexplode(coalesce(t.relacl, acldefault('r', t.relowner))) a WHERE a.grantee <> t.relowner
        UNION ALL
        SELECT t.oid, a.grantee, a.privilege_type, a.is_grantable, c.attname, c.attnum
        FROM things t JOIN pg_attribute c ON c.attrelid = t.oid, aclexplode(c.attacl) a WHERE a.grantee <> t.relowner
    ), verbs AS (
        SELECT g.oid, CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END AS who,
               g.verb || CASE WHEN bool_or(g.is_grantable) THEN ' WITH GRANT OPTION' ELSE '' END
                   || coalesce(' (' || string_agg(g.col, ', ' ORDER BY g.place) || ')', '') AS verb
        FROM grants g GROUP BY g.oid, g.grantee, g.verb
    )
    SELECT t.name,
           CASE WHEN t.relkind = 'v' THEN 'as the view says'
                ELSE (SELECT CASE WHEN bool_or(p.policyname = 'everybody') THEN 'all' WHEN bool_or(p.qual LIKE '%IS NULL%') THEN 'own and nobody''s' WHEN count(*) > 0 THEN 'own' ELSE 'none' END
                      FROM pg_policies p WHERE format('%I.%I', p.schemaname, p.tablename) = t.name AND p.roles = '{public}') END,
           coalesce((SELECT array_agg(DISTINCT v.who) FROM verbs v WHERE v.oid = t.oid), '{}'),
           coalesce((SELECT array_agg(w.verbs ORDER BY w.who) FROM (
               SELECT v.who, string_agg(v.verb, '; ' ORDER BY array_position('{SELECT,DELETE,INSERT,UPDATE}', split_part(v.verb, ' ', 1)), v.verb) AS verbs
               FROM verbs v WHERE v.oid = t.oid GROUP BY v.who) AS w), '{}')
    FROM things t ORDER BY t.name COLLATE \"C\"";

/// Schema and row types: one line each, as they are no table's.
const OTHERS: &str = "
    SELECT format('%s on schema vyx: %s', a.privilege_type,
                  string_agg(CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, ', ' ORDER BY a.grantee::regrole::text COLLATE \"C\"))
    FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'vyx' AND a.grantee <> n.nspowner GROUP BY a.privilege_type
    UNION ALL
    SELECT format('%s on type %s: %s', a.privilege_type, t.oid::regtype, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
    FROM pg_type t, aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) a
    WHERE t.typnamespace = 'vyx'::regnamespace AND t.typelem = 0 AND a.grantee <> t.typowner
    ORDER BY 1";

/// The page's tables, from the catalog.
pub fn catalog(session: &Session) -> String {
    let heads = |first: &str| {
        let roles: Vec<&str> = ROLES.iter().map(|role| if *role == "PUBLIC" { "everybody" } else { role }).collect();
        format!("| {first} | {} |\n|---|{}\n", roles.join(" | "), "---|".repeat(ROLES.len()))
    };
    let mut page = heads("function");
    let mut inner = Vec::new();
    let mut foreign: Vec<String> = Vec::new();
    for row in session.rows(FUNCTIONS, &[]) {
        let (name, who): (String, Vec<String>) = (row.get(0), row.get(1));
        foreign.extend(who.iter().filter(|who| !ROLES.contains(&&who[..])).map(|who| format!("{who} calls {name}")));
        if who.is_empty() {
            inner.push(format!("`{name}`"));
            continue;
        }
        let marks = ROLES.map(|role| if who.iter().any(|who| who == role) { "✓" } else { "" });
        page.push_str(&format!("| `{name}` | {} |\n", marks.join(" | ")));
    }
    page.push_str(&format!("\nNobody but `vyx_owner` and superusers may call {}.\n\n", inner.join(", ")));
    page.push_str(&heads("table, and the rows of it that a tenant sees"));
    for row in session.rows(TABLES, &[]) {
        let (name, rows, who, verbs): (String, String, Vec<String>, Vec<String>) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        foreign.extend(who.iter().filter(|who| !ROLES.contains(&&who[..])).map(|who| format!("{who} has {name}")));
        let cell =
            |role: &str| who.iter().zip(&verbs).find(|(who, _)| *who == role).map_or("", |(_, verbs)| verbs).to_owned();
        page.push_str(&format!("| `{name}`: {rows} | {} |\n", ROLES.map(cell).join(" | ")));
    }
    let others: Vec<String> = session.rows(OTHERS, &[]).iter().map(|row| row.get(0)).collect();
    page.push_str(&format!("\n{}.\n", others.join("; ")));
    assert_eq!(foreign, Vec::<String>::new(), "a role that the page does not know");
    page
}

#[test]
fn the_rights_in_the_readme_are_those_of_a_fresh_installation() {
    let town = Town::get();
    let wanted = catalog(&town.admin());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let page = std::fs::read_to_string(&path).expect("there is a README.md");
    let (before, rest) = page.split_once(BEGIN).expect("the README has a place for the rights");
    let (list, after) = rest.split_once(END).expect("the list ends");
    if std::env::var_os("VYX_WRITE_README").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).expect("the README can be written");
        return;
    }
    assert!(list == wanted, "the README's rights are not those of the catalog: run `make readme`\n{wanted}");
}
