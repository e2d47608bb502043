//! What an installation of the extension consists of, object by object, as pg_dump tells it for pg_upgrade: there the
//! members of an extension are dumped one by one, with owner, rights and comments.

use crate::harness::{Cluster, Session, succeed};
use std::collections::BTreeMap;
use std::fmt::Write;

/// An object's name and the statements that make it.
pub type Catalog = BTreeMap<String, String>;

pub fn read(cluster: &Cluster, database: &str) -> Catalog {
    let mut dump = cluster.client("pg_dump");
    let text = succeed(dump.args(["--binary-upgrade", "--schema-only", "--dbname", database]));
    let mut catalog = Catalog::new();
    let (mut name, mut lines) = (None, Vec::new());
    for line in text.lines().chain(["-- Name: end; Type: END; Schema: -; Owner: -"]) {
        let is_head = line.starts_with("-- Name: ") && line.contains("; Type: ") && line.contains("; Owner: ");
        if is_head {
            if let Some(name) = name.replace(line.trim_start_matches("-- Name: ").to_owned()) {
                let twice = catalog.insert(name, object(&lines));
                assert!(twice.is_none(), "two objects of one name: {twice:?}");
            }
            lines.clear();
        } else {
            lines.push(line);
        }
    }
    catalog.retain(|name, _| !name.starts_with("vyx; Type: EXTENSION;"));
    rest(&cluster.session_in(database), &mut catalog);
    catalog
}

/// The statements of an object without what differs by chance: numbers of objects, and the order in which columns were
/// added or rights were given.
fn object(lines: &[&str]) -> String {
    let numbers = [
        "pg_catalog.binary_upgrade_set_next_",
        "pg_catalog.binary_upgrade_set_missing_value",
        "UPDATE pg_catalog.pg_class",
        "SET relfrozenxid = ",
        "WHERE oid = ",
    ];
    let chance = |line: &&&str| {
        !(line.is_empty()
            || line.starts_with("--")
            || line.starts_with('\\')
            || numbers.iter().any(|number| line.contains(number)))
    };
    let mut kept: Vec<&str> = lines.iter().filter(chance).copied().collect();
    if kept
        .iter()
        .any(|line| line.starts_with("CREATE TABLE ") || line.starts_with("GRANT ") || line.starts_with("REVOKE "))
    {
        kept.iter_mut().for_each(|line| *line = line.trim_end_matches(','));
        kept.sort_unstable();
    }
    kept.join("\n")
}

/// What pg_dump does not tell.
fn rest(session: &Session, catalog: &mut Catalog) {
    let rows = session.rows(
        "SELECT 'extension' AS name, e.extnamespace::regnamespace || ' ' || e.extrelocatable AS says FROM pg_extension e WHERE e.extname = 'vyx'
         UNION ALL
         SELECT 'dumped rows of ' || t.oid::regclass, coalesce(t.condition, '')
         FROM pg_extension e, unnest(e.extconfig, e.extcondition) AS t(oid, condition) WHERE e.extname = 'vyx'
         UNION ALL
         SELECT 'member ' || pg_describe_object(d.classid, d.objid, 0), d.deptype::text
         FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
         WHERE e.extname = 'vyx'
         UNION ALL
         SELECT 'rights at installation of ' || pg_describe_object(i.classoid, i.objoid, i.objsubid),
                (SELECT string_agg(a.grantee::regrole || ' ' || a.privilege_type, ', ' ORDER BY a::text) FROM aclexplode(i.initprivs) AS a
                 WHERE a.grantee <> a.grantor)
         FROM pg_init_privs i WHERE i.privtype = 'e'",
        &[],
    );
    for row in rows {
        catalog.insert(row.get(0), row.get::<_, Option<String>>(1).unwrap_or_default());
    }
    // The rows that an installation begins with. Limits that tiers had not before ask for a review, which is as it should be.
    let tables = session.rows(
        "SELECT c.oid::regclass::text FROM pg_class c
         WHERE c.relnamespace = 'vyx'::regnamespace AND c.relkind = 'r' AND c.relname <> 'reviews'",
        &[],
    );
    for table in tables.iter().map(|row| row.get::<_, String>(0)) {
        // An update deletes nothing: how long signals are kept is for the administrator to say.
        let rows: Option<String> = session.one(
            &format!(
                "SELECT string_agg((to_jsonb(t) - 'keep_signals')::text, E'\\n' ORDER BY to_jsonb(t)) FROM {table} t"
            ),
            &[],
        );
        catalog.insert(format!("rows of {table}"), rows.unwrap_or_default());
    }
}

/// What differs, with the statements of the fresh side.
pub fn difference(upgraded: &Catalog, fresh: &Catalog) -> String {
    let mut text = String::new();
    for (name, is) in fresh {
        match upgraded.get(name) {
            None => _ = writeln!(text, "\n==== missing after the upgrade: {name}\n{is}"),
            Some(was) if was != is => {
                _ = writeln!(text, "\n==== differs: {name}\n---- upgraded\n{was}\n---- fresh\n{is}")
            }
            Some(_) => {}
        }
    }
    for (name, was) in upgraded.iter().filter(|(name, _)| !fresh.contains_key(*name)) {
        _ = writeln!(text, "\n==== left over after the upgrade: {name}\n{was}");
    }
    text
}
