//! Every SQL block of README.md works as it stands there.

use crate::harness::Stage;

/// A statement and the SQLSTATE with which the page says that it fails: `…;   -- fails: 22023`.
#[derive(Debug, PartialEq)]
struct Statement {
    line: usize,
    sql: String,
    fails: Option<String>,
}

#[test]
fn every_sql_block_of_the_readme_runs() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).expect("there is a README.md");
    let statements = statements(&page);
    assert!(statements.len() > 10, "only {} statements were found", statements.len());
    let settings = [("shared_preload_libraries", "pg_cron,vyx")];
    let stage = Stage::start("readme", &["BTCUSDT", "ETHUSDT", "币安人生USDT"], Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    session.run("CREATE EXTENSION pg_cron");
    stage.settle(&session);
    let mut wrong = Vec::new();
    for Statement { line, sql, fails } in &statements {
        let outcome = session.try_run(sql);
        let is = outcome.as_ref().err().map(|error| error.code().map_or("lost", |state| state.code()));
        if is != fails.as_deref() {
            wrong.push(format!(
                "README.md:{line}: {} and not {}\n{sql}\n{outcome:?}",
                word(is),
                word(fails.as_deref())
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn word(outcome: Option<&str>) -> String {
    outcome.map_or_else(|| "works".to_owned(), |state| format!("fails with {state}"))
}

/// The statements of all `sql` blocks.
fn statements(page: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let mut block = None;
    for (index, line) in page.lines().enumerate() {
        match (&mut block, line.trim()) {
            (None, "```sql") => block = Some((index + 2, String::new())),
            (Some((start, text)), "```") => {
                found.extend(split(text, *start));
                block = None;
            }
            (Some((_, text)), _) => {
                text.push_str(line);
                text.push('\n');
            }
            _ => {}
        }
    }
    assert!(block.is_none(), "the last block of README.md has no end");
    found
}

/// Cuts at semicolons outside of quotes, dollar quotes and comments. A comment after the semicolon belongs to it.
fn split(text: &str, first_line: usize) -> Vec<Statement> {
    let mut found = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        let skip =
            |open: usize, close: &str| rest[open..].find(close).map_or(rest.len(), |end| open + end + close.len());
        at += if rest.starts_with("--") {
            skip(2, "\n")
        } else if rest.starts_with('\'') {
            skip(1, "'")
        } else if rest.starts_with("$$") {
            skip(2, "$$")
        } else if rest.starts_with(';') {
            let sql = text[from..=at].trim().to_owned();
            let tail = &rest[1..skip(1, "\n").min(rest.len())];
            let fails = tail.split_once("-- fails: ").map(|(_, state)| state.trim().to_owned());
            let lead = text[from..].len() - text[from..].trim_start().len();
            let line = first_line + text[..from + lead].matches('\n').count();
            found.push(Statement { line, sql, fails });
            from = at + if tail.trim_start().starts_with("--") { 1 + tail.len() } else { 1 };
            from - at
        } else {
            rest.chars().next().map_or(1, char::len_utf8)
        };
    }
    let left: Vec<&str> =
        text[from..].lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--")).collect();
    assert!(left.is_empty(), "README.md:{first_line}: a statement without its semicolon: {left:?}");
    found
}

#[test]
fn statements_are_cut_where_they_end() {
    let page =
        "text\n```sql\nSELECT ';' -- a; b\n;  -- fails: 22023\nSELECT $$;$$; SELECT 2;\n```\n```sh\nmake;\n```\n";
    let statement =
        |line, sql: &str, fails: Option<&str>| Statement { line, sql: sql.into(), fails: fails.map(str::to_owned) };
    assert_eq!(
        statements(page),
        [
            statement(3, "SELECT ';' -- a; b\n;", Some("22023")),
            statement(5, "SELECT $$;$$;", None),
            statement(5, "SELECT 2;", None),
        ]
    );
}
