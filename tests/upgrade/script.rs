//! Writes an upgrade script from two install scripts: what is new as it stands in the new one, in its order; what is
//! changed in the gentlest way there is; what is gone is dropped last.
//!
//! What two texts do not tell (a changed column, a changed row) is written by hand, in by_hand.sql; it runs before rights
//! are given.

use super::statements::{Grant, Statement, Thing, list, statements};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// What the statement that gives rights says; it comes last, and is said again.
const RIGHTS: &str = "REVOKE ALL ON %s %s FROM %s";
/// The declarations of functions in Rust cannot say their comments and rows; the statement that does is said again.
const SAYINGS_OF_FUNCTIONS: &str = "COMMENT ON FUNCTION %s IS %L";

/// The script, and what somebody has to write by hand.
pub fn write(old: &str, new: &str, by_hand: &str) -> (String, Vec<String>) {
    let (old, mut new) = (statements(old), statements(new));
    sort_functions_in_rust(&mut new);
    let known: BTreeSet<String> = old.iter().map(Statement::key).collect();
    let before = things(&old);
    let after = things(&new);
    let granted: BTreeSet<Grant> = old.iter().filter_map(Statement::grants).flatten().collect();
    let mut script = Script::default();
    let mut made_anew = BTreeSet::new();

    // First what stands in the way: a function whose declaration changed cannot be replaced.
    script.path = Some("SET LOCAL search_path = pg_catalog, pg_temp;".to_owned());
    for statement in &new {
        let Thing::Function(name) = &statement.thing else { continue };
        if let Some(was) =
            before.get(&statement.thing).filter(|was| declaration(&was.text) != declaration(&statement.text))
        {
            script.say(&format!("DROP {} {};", kind(&was.text), qualified(name)));
            made_anew.insert(name.clone());
        }
    }

    let (rights, rest): (Vec<&Statement>, Vec<&Statement>) = {
        let at = new.iter().position(|statement| statement.text.contains(RIGHTS)).expect("rights are given somewhere");
        // Policies and views stand before the rights in the same file; grants of tables after them.
        (new[at..].iter().collect(), new[..at].iter().collect())
    };
    for part in [rest, rights] {
        for statement in part {
            if statement.text.contains(RIGHTS) && !by_hand.trim().is_empty() {
                script.path = Some("SET LOCAL search_path = pg_catalog, pg_temp;".to_owned());
                script.say(by_hand.trim_end());
            }
            if statement.thing == Thing::Path {
                script.path = Some(statement.text.clone());
                continue;
            }
            let same = known.contains(&statement.key());
            let again = statement.text.contains(RIGHTS) || statement.text.contains(SAYINGS_OF_FUNCTIONS);
            let lost = matches!(&statement.thing, Thing::Comment(of) if made_anew.iter().any(|name| is_of(of, name)));
            let anew = matches!(&statement.thing, Thing::Function(name) if made_anew.contains(name));
            if same && !again && !lost && !anew {
                continue;
            }
            if let Some(news) = statement.grants().filter(|_| statement.thing == Thing::Saying) {
                grant(&mut script, &granted, news);
                continue;
            }
            change(&mut script, statement, before.get(&statement.thing).copied().filter(|_| !anew));
        }
    }
    script.path = Some("SET LOCAL search_path = pg_catalog, pg_temp;".to_owned());
    for was in old.iter().rev() {
        if after.contains_key(&was.thing) {
            continue;
        }
        match &was.thing {
            Thing::Function(name) => script.say(&format!("DROP {} {};", kind(&was.text), qualified(name))),
            Thing::View(name) => script.say(&format!("DROP VIEW {name};")),
            Thing::Index(name) => script.say(&format!("DROP INDEX vyx.{name};")),
            Thing::Trigger(name) => script.say(&format!("DROP TRIGGER {name};")),
            Thing::Policy(name) => script.say(&format!("DROP POLICY {name};")),
            Thing::Table(name) => script.by_hand.push(format!("table {name} is no longer there")),
            _ => {}
        }
    }
    script.path = Some("SET LOCAL search_path = @extschema@, pg_temp;".to_owned());
    script.say("");
    (script.text.trim_end().to_owned() + "\n", script.by_hand)
}

/// Those that cargo-pgrx declares, with its two spaces: their order is its own and may change with any build.
fn sort_functions_in_rust(script: &mut [Statement]) {
    let places: Vec<usize> =
        (0..script.len()).filter(|place| script[*place].text.starts_with("CREATE  FUNCTION")).collect();
    let mut functions: Vec<Statement> = places.iter().map(|place| script[*place].clone()).collect();
    functions.sort_by(|one, other| one.thing.cmp(&other.thing));
    for (place, function) in places.into_iter().zip(functions) {
        script[place] = function;
    }
}

#[derive(Default)]
struct Script {
    text: String,
    /// The search path that the next statement is to run with, where it is another.
    path: Option<String>,
    current: String,
    by_hand: Vec<String>,
}

impl Script {
    fn say(&mut self, statement: &str) {
        if let Some(path) = self.path.take().filter(|path| *path != self.current) {
            let _ = writeln!(self.text, "{path}\n");
            self.current = path;
        }
        let _ = writeln!(self.text, "{statement}\n");
    }
}

fn things(script: &[Statement]) -> BTreeMap<&Thing, &Statement> {
    let mut found = BTreeMap::new();
    for statement in script {
        let named = !matches!(statement.thing, Thing::Path | Thing::Do | Thing::Saying | Thing::Other | Thing::Rows(_));
        let twice = found.insert(&statement.thing, statement).is_some();
        assert!(!named || !twice, "two of one name: {:?}", statement.thing);
    }
    found
}

/// Brings one thing from what it was to what it is.
fn change(script: &mut Script, statement: &Statement, was: Option<&Statement>) {
    let text = format!("{}{}", statement.lead, statement.text);
    match (&statement.thing, was) {
        (Thing::Function(_), Some(_)) => {
            // A member of the extension keeps its owner, its rights and what depends on it; anything else of that name
            // makes this an error.
            script.say(&text.replacen("CREATE ", "CREATE OR REPLACE ", 1));
        }
        (Thing::View(_), Some(_)) => script.say(&text.replacen("CREATE ", "CREATE OR REPLACE ", 1)),
        (Thing::Index(name), Some(_)) => script.say(&format!("DROP INDEX vyx.{name};\n{text}")),
        (Thing::Trigger(name), Some(_)) => script.say(&format!("DROP TRIGGER {name};\n{text}")),
        (Thing::Policy(name), Some(_)) => script.say(&format!("DROP POLICY {name};\n{text}")),
        (Thing::Table(name), Some(was)) => columns(script, name, &was.text, &statement.text),
        (Thing::Rows(name), Some(_)) => script.by_hand.push(format!("rows of {name}: {}", statement.text)),
        _ => script.say(&text),
    }
}

/// Only what was not granted before: what an update grants counts as the extension's own, and with it all that an
/// administrator has granted on the same object since, which pg_dump would leave out from then on.
fn grant(script: &mut Script, granted: &BTreeSet<Grant>, news: Vec<Grant>) {
    for Grant { what, on, to } in news.iter().filter(|grant| !granted.contains(grant)) {
        script.say(&format!("GRANT {what} ON {on} TO {to};"));
    }
}

/// Adds the columns and constraints that are new to a table, and drops columns that are gone.
fn columns(script: &mut Script, table: &str, was: &str, is: &str) {
    let ((old, old_tail), (new, tail)) = (list(was), list(is));
    if old_tail.split_whitespace().ne(tail.split_whitespace()) {
        script.by_hand.push(format!("table {table}:{tail}"));
    }
    let column = |part: &String| -> Option<String> {
        let word = part.split_whitespace().next()?.to_owned();
        (!["PRIMARY", "UNIQUE", "CHECK", "CONSTRAINT", "FOREIGN", "EXCLUDE"].contains(&&*word)).then_some(word)
    };
    let mut actions = Vec::new();
    for part in new.iter().filter(|part| !old.contains(part)) {
        match column(part) {
            Some(name) if old.iter().any(|other| column(other).as_ref() == Some(&name)) => {
                script.by_hand.push(format!("column {table}.{name}: {part}"));
            }
            Some(_) => actions.push(format!("ADD COLUMN {part}")),
            None => actions.push(format!("ADD {part}")),
        }
    }
    for part in old.iter().filter(|part| !new.contains(part)) {
        match column(part) {
            Some(name) if new.iter().any(|other| column(other).as_ref() == Some(&name)) => {}
            Some(name) => actions.push(format!("DROP COLUMN {name}")),
            // The only constraint whose name follows from the table's.
            None if part.starts_with("PRIMARY KEY") => {
                let name = table.rsplit('.').next().unwrap_or(table);
                actions.push(format!("DROP CONSTRAINT {name}_pkey"));
            }
            None => script.by_hand.push(format!("constraint of {table} that is no longer there: {part}")),
        }
    }
    if !actions.is_empty() {
        script.say(&format!("ALTER TABLE {table}\n    {};", actions.join(",\n    ")));
    }
}

/// Arguments and results of a function, which CREATE OR REPLACE cannot change.
fn declaration(text: &str) -> String {
    let (arguments, rest) = list(text);
    let ends = [
        "LANGUAGE",
        "STABLE",
        "IMMUTABLE",
        "VOLATILE",
        "STRICT",
        "PARALLEL",
        "SECURITY",
        "SET",
        "COST",
        "ROWS",
        "AS",
        "BEGIN",
        "RETURN",
    ];
    let result: Vec<&str> = rest.split_whitespace().take_while(|word| !ends.contains(word)).collect();
    // What pgrx writes beside an argument says where it stands in Rust, which `list` has left out.
    format!("({}) {}", arguments.join(", "), comments_cut(&result.join(" ")))
}

fn comments_cut(text: &str) -> String {
    text.split("/*")
        .map(|part| part.split_once("*/").map_or(part, |(_, after)| after))
        .collect::<String>()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

fn kind(text: &str) -> &'static str {
    if text.starts_with("CREATE PROCEDURE") { "PROCEDURE" } else { "FUNCTION" }
}

/// Functions in Rust are declared without a schema: they go where the extension goes.
fn qualified(name: &str) -> String {
    if name.contains('.') { name.to_owned() } else { format!("@extschema@.{name}") }
}

fn is_of(comment: &str, name: &str) -> bool {
    let (_, signature) = comment.split_once(" ON ").unwrap_or_default();
    signature
        .split_once(' ')
        .is_some_and(|(_, of)| of.trim_start_matches("@extschema@.").starts_with(&format!("{name}(")))
}

#[test]
fn an_upgrade_says_what_is_new_replaces_what_changed_and_drops_what_is_gone() {
    const OLD: &str = "SET LOCAL search_path = pg_catalog, pg_temp;
        CREATE FUNCTION v.same() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;
        CREATE FUNCTION v.body() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
        CREATE FUNCTION \"head\"(\"a\" TEXT) RETURNS INT AS 'MODULE_PATHNAME', 'head_wrapper';
        CREATE FUNCTION v.gone() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
        CREATE TABLE v.t (a int CHECK (a > 0), b text, c int, PRIMARY KEY (a), UNIQUE (c));
        INSERT INTO v.t VALUES (1);
        CREATE POLICY own ON v.t USING (a = 1);
        DO $$ REVOKE ALL ON %s %s FROM %s $$;
        GRANT SELECT ON v.t TO x, y;";
    const NEW: &str = "SET LOCAL search_path = pg_catalog, pg_temp;
        CREATE FUNCTION v.same() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;
        CREATE FUNCTION v.body() RETURNS int LANGUAGE sql AS $$ SELECT 2 $$;
        COMMENT ON FUNCTION @extschema@.head(text) IS 'the same words';
        CREATE FUNCTION \"head\"(\"a\" TEXT, \"b\" INT) RETURNS INT AS 'MODULE_PATHNAME', 'head_wrapper';
        CREATE TABLE v.t (a int CHECK (a > 0), b text NOT NULL, d text DEFAULT 'x, y', PRIMARY KEY (a, d), CHECK (d <> ''));
        INSERT INTO v.t VALUES (2);
        CREATE POLICY own ON v.t USING (a = 2);
        DO $$ REVOKE ALL ON %s %s FROM %s $$;
        GRANT SELECT ON v.t, v.u TO x, y;";
    let (script, by_hand) = write(OLD, NEW, "UPDATE v.t SET d = 'z';");
    let said: Vec<String> = statements(&script).iter().map(Statement::key).collect();
    assert_eq!(
        said,
        [
            "SET LOCAL search_path = pg_catalog, pg_temp;",
            "DROP FUNCTION @extschema@.head;",
            "CREATE OR REPLACE FUNCTION v.body() RETURNS int LANGUAGE sql AS $$ SELECT 2 $$;",
            "COMMENT ON FUNCTION @extschema@.head(text) IS 'the same words';",
            "CREATE FUNCTION \"head\"(\"a\" TEXT, \"b\" INT) RETURNS INT AS 'MODULE_PATHNAME', 'head_wrapper';",
            "ALTER TABLE v.t ADD COLUMN d text DEFAULT 'x, y', ADD PRIMARY KEY (a, d), ADD CHECK (d <> ''), DROP COLUMN c, DROP CONSTRAINT t_pkey;",
            "DROP POLICY own ON v.t;",
            "CREATE POLICY own ON v.t USING (a = 2);",
            "UPDATE v.t SET d = 'z';",
            "DO $$ REVOKE ALL ON %s %s FROM %s $$;",
            "GRANT SELECT ON v.u TO x;",
            "GRANT SELECT ON v.u TO y;",
            "DROP FUNCTION v.gone;",
            "SET LOCAL search_path = @extschema@, pg_temp;",
        ]
    );
    assert_eq!(
        by_hand,
        [
            "column v.t.b: b text NOT NULL",
            "constraint of v.t that is no longer there: UNIQUE (c)",
            "rows of v.t: INSERT INTO v.t VALUES (2);"
        ]
    );
}
