//! An install script as its statements, and what each of them makes.

/// What a statement makes or says, by which the same thing is found in another script.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thing {
    Function(String),
    Table(String),
    View(String),
    Index(String),
    /// `name ON table`, as for policies.
    Trigger(String),
    Policy(String),
    Comment(String),
    /// Sets the search path for what follows.
    Path,
    Do,
    /// Rows that a fresh installation begins with, by their table.
    Rows(String),
    /// Whatever does the same when it is said again: rights, row level security, tables that a dump holds.
    Saying,
    Other,
}

#[derive(Clone, Debug)]
pub struct Statement {
    /// Without the comments before it, with its semicolon.
    pub text: String,
    /// Lines of comment right before it.
    pub lead: String,
    pub thing: Thing,
}

/// One right of one role on one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    pub what: String,
    pub on: String,
    pub to: String,
}

impl Statement {
    /// What it grants, where it grants anything.
    pub fn grants(&self) -> Option<Vec<Grant>> {
        let text = self.key();
        let (what, rest) = text.strip_prefix("GRANT ")?.trim_end_matches(';').split_once(" ON ")?;
        let (on, to) = rest.split_once(" TO ")?;
        let names = |list: &str| list.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>();
        let pairs = names(to).into_iter().flat_map(|to| names(on).into_iter().map(move |on| (on, to.clone())));
        Some(pairs.map(|(on, to)| Grant { what: what.to_owned(), on, to }).collect())
    }

    /// The same for texts that differ in white space alone.
    pub fn key(&self) -> String {
        self.text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Cuts at semicolons outside of quotes, comments and bodies in standard SQL.
pub fn statements(script: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < script.len() {
        at = match script[at..].strip_prefix(';') {
            None => skip(script, at),
            Some(_) if is_open_body(&script[from..at]) => at + 1,
            Some(_) => {
                found.push(statement(&script[from..=at]));
                from = at + 1;
                from
            }
        };
    }
    let rest = bare(&script[from..]).0;
    assert!(rest.is_empty(), "a statement without its end: {rest}");
    found
}

/// The place after the quoted text, comment or letter that begins here.
fn skip(script: &str, at: usize) -> usize {
    let rest = &script[at..];
    let after =
        |open: usize, close: &str| at + rest[open..].find(close).map_or(rest.len(), |end| open + end + close.len());
    if rest.starts_with("--") {
        return after(2, "\n");
    }
    if rest.starts_with("/*") {
        return after(2, "*/");
    }
    if rest.starts_with('\'') || rest.starts_with('"') {
        return after(1, &rest[..1]);
    }
    if let Some(tag) = dollar_tag(rest) {
        return after(tag.len(), tag);
    }
    at + rest.chars().next().map_or(1, char::len_utf8)
}

/// `$$` or `$name$` at the beginning.
fn dollar_tag(rest: &str) -> Option<&str> {
    let name = rest.strip_prefix('$')?;
    let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
    (name[end..].starts_with('$') && !name.starts_with(|letter: char| letter.is_ascii_digit()))
        .then(|| &rest[..end + 2])
}

fn is_open_body(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(2).any(|pair| pair == ["BEGIN", "ATOMIC"]) && words.last() != Some(&"END")
}

/// A text without the comments it begins with, and its own lines of them, those that a generator wrote left out.
fn bare(text: &str) -> (&str, String) {
    let mut rest = text.trim_start();
    let mut lead: Vec<&str> = Vec::new();
    loop {
        if rest.starts_with("--") {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            lead.push(line.trim_end());
            // An empty line ends what belongs to the statement.
            let blank = after.split_once('\n').is_some_and(|(next, _)| next.trim().is_empty());
            if blank {
                lead.clear();
            }
            rest = after.trim_start();
        } else if rest.starts_with("/*") {
            rest = rest.split_once("*/").map_or("", |(_, after)| after).trim_start();
            lead.clear();
        } else {
            let generated = |line: &&str| !line.contains("src/") && !line.contains("::") && *line != "--";
            return (rest, lead.into_iter().filter(generated).map(|line| format!("{line}\n")).collect());
        }
    }
}

fn statement(text: &str) -> Statement {
    let (text, lead) = bare(text);
    // What cargo-pgrx says before a function is of no use to a reader.
    let lead = if text.contains("'MODULE_PATHNAME'") { String::new() } else { lead };
    Statement { text: text.trim_end().to_owned(), lead, thing: thing(text) }
}

fn thing(text: &str) -> Thing {
    let words: Vec<&str> = text.split_whitespace().take(16).collect();
    let name = |place: usize| {
        let word: &str = words.get(place).copied().unwrap_or_default();
        let word = word.split('(').next().unwrap_or_default().trim_end_matches(';').replace('"', "");
        word.trim_start_matches("@extschema@.").to_owned()
    };
    let on = |place: usize| {
        let at = words.iter().position(|word| *word == "ON").map_or(0, |at| at + 1);
        format!("{} ON {}", name(place), name(at))
    };
    match words[..] {
        ["CREATE", "FUNCTION" | "PROCEDURE", ..] => Thing::Function(name(2)),
        ["CREATE", "TABLE", ..] => Thing::Table(name(2)),
        ["CREATE", "VIEW", ..] => Thing::View(name(2)),
        ["CREATE", "INDEX", ..] => Thing::Index(name(2)),
        ["CREATE", "UNIQUE", "INDEX", ..] => Thing::Index(name(3)),
        ["CREATE", "TRIGGER", ..] => Thing::Trigger(on(2)),
        ["CREATE", "POLICY", ..] => Thing::Policy(on(2)),
        ["COMMENT", "ON", ..] => Thing::Comment(
            text.split(" IS ").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "),
        ),
        ["SET", "LOCAL", "search_path", ..] => Thing::Path,
        ["DO", ..] => Thing::Do,
        ["INSERT", "INTO", ..] => Thing::Rows(name(2)),
        ["GRANT" | "REVOKE" | "ALTER" | "SELECT", ..] => Thing::Saying,
        _ => Thing::Other,
    }
}

/// The parts of a list in the parentheses that open first, cut at its own commas; and what follows them.
pub fn list(text: &str) -> (Vec<String>, &str) {
    let open = text.find('(').expect("a list in parentheses");
    let (mut parts, mut from, mut depth, mut at) = (Vec::new(), open + 1, 0, open);
    loop {
        assert!(at < text.len(), "parentheses that do not close: {text}");
        let letter = text.as_bytes()[at];
        match letter {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 || depth == 1 && letter == b',' {
            parts.push(without_comments(&text[from..at]));
            from = at + 1;
        }
        if depth == 0 {
            parts.retain(|part| !part.is_empty());
            return (parts, &text[at + 1..]);
        }
        at = if matches!(letter, b'(' | b')' | b'[' | b']' | b',') { at + 1 } else { skip(text, at) };
    }
}

/// On one line.
fn without_comments(text: &str) -> String {
    let (mut out, mut at) = (String::new(), 0);
    while at < text.len() {
        let next = skip(text, at);
        if !text[at..].starts_with("--") && !text[at..].starts_with("/*") {
            out.push_str(&text[at..next]);
        }
        at = next;
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn an_install_script_is_cut_where_its_statements_end() {
    let script = "-- a; b\n\n/* begin; */\n-- src/api/x.rs:1\n-- why\nCREATE FUNCTION \"f\"(\"a\" text DEFAULT ';') RETURNS int\nAS $b$ ; $b$;\n\
                  CREATE FUNCTION v.g() RETURNS void BEGIN ATOMIC SELECT 1; SELECT 2; END;\nCREATE TABLE v.t (\n a int CHECK (a IN (1, 2)), -- no, not\n b text[]\n) WITH (x = 1);";
    let found = statements(script);
    let things: Vec<&Thing> = found.iter().map(|statement| &statement.thing).collect();
    assert_eq!(things, [&Thing::Function("f".into()), &Thing::Function("v.g".into()), &Thing::Table("v.t".into())]);
    assert_eq!(found[0].lead, "-- why\n");
    assert_eq!(list(&found[2].text), (vec!["a int CHECK (a IN (1, 2))".into(), "b text[]".into()], " WITH (x = 1);"));
    assert_eq!(list(&found[0].text).0, ["\"a\" text DEFAULT ';'"]);
}
