//! Texts that are more than they seem where somebody pastes them into something: stored as they are, or refused.

use super::{ALICE, Town};
use crate::harness::until;
use serde_json::Value;

/// What may stand in any text of Postgres.
const TEXTS: [&str; 22] = [
    "'; DROP TABLE vyx.signals; --",
    "' OR '1'='1",
    "\"; DROP SCHEMA vyx CASCADE; --",
    "%s%s%n%d",
    "%I %L %1$s %",
    "$$",
    "$script$ $1 ${x} {{x}}",
    "\\",
    "\\'; SELECT 1; --",
    "E'\\x00'",
    "\\u0000 \\ud800",
    "line\nbreak\r\nand\ttab",
    "\u{1}\u{7}\u{1b}[31mred\u{1b}[0m\u{7f}",
    "\u{202e}desrever\u{202c}",
    "\u{feff}bom\u{200b}zero width",
    "👩‍👩‍👧‍👦🏴‍☠️",
    "Z̸̡̢a̷l̶g̵o̴",
    "ﷺ𝕏𐍈\u{10ffff}",
    "</script><script>alert(1)</script>",
    "../../etc/passwd",
    "btcusdt@kline_1m/../",
    "a\r\nHost: evil.example\r\n\r\n",
];

#[test]
fn texts_are_stored_as_they_are_or_refused() {
    let town = Town::get();
    let admin = town.admin();
    let mallory = town.cluster.session_as("mallory");
    for text in TEXTS {
        // A script holds it as a comment, line by line, so that any text compiles.
        let script: String =
            text.split(['\n', '\r']).map(|line| format!("// {line}\n")).collect::<String>() + "close < 0";
        let insert = "INSERT INTO vyx.traders (name, description, script) VALUES ($1, $2, $3) RETURNING id::text, name, description, script";
        let row = &mallory.rows(insert, &[&text, &text, &script])[0];
        let stored: [String; 3] = [row.get(1), row.get(2), row.get(3)];
        assert_eq!(stored, [text, text, &script]);
        // By its name and with its notice; state and status go by the id.
        let id: String = row.get(0);
        let name: String = mallory.one("SELECT name FROM vyx_trader_status($1::text::uuid)", &[&id]);
        assert_eq!(name, text);
        // As a script, a symbol, an interval it is nonsense, and told so as an error of the one who sent it.
        for (sql, codes) in [
            ("INSERT INTO vyx.traders (name, script) VALUES ('nonsense', $1)", &["42601"][..]),
            ("INSERT INTO vyx.traders (name, script, \"interval\") VALUES ('nonsense', 'close > 0', $1)", &["22023"]),
            ("INSERT INTO vyx.traders (name, script, fire_on) VALUES ('nonsense', 'close > 0', $1)", &["23514"]),
            ("INSERT INTO vyx.traders (name, script, state) VALUES ('nonsense', 'close > 0', $1)", &["23514"]),
            ("SELECT * FROM vyx_klines($1, '1m')", &["22023"]),
            ("SELECT * FROM vyx_klines('BTCUSDT', $1)", &["22023"]),
            ("SELECT vyx_closes($1, '1m', 5)", &["22023"]),
            ("SELECT * FROM vyx_ticker($1)", &["22023"]),
            ("SELECT * FROM vyx_values($1, '1m', 5, 'close')", &["22023"]),
            ("SELECT * FROM vyx_values('BTCUSDT', '1m', 5, $1)", &["42601"]),
            ("SELECT * FROM vyx_screen('1m', $1)", &["42601"]),
            ("SELECT * FROM vyx_backtest(ARRAY[$1], '1m', 5, 'close > 0')", &["22023", "42704"]),
            ("SELECT * FROM vyx_backtest_summary(NULL, '1m', 5, 'close > 0', $1)", &["22023"]),
            ("SELECT * FROM vyx_explain(gen_random_uuid(), $1)", &["22023"]),
        ] {
            let error = mallory.try_rows(sql, &[&text]).err().unwrap_or_else(|| panic!("{sql} takes {text:?}"));
            let code = error.code().map_or("lost", |code| code.code());
            assert!(codes.contains(&code), "{sql} of {text:?}: {error:?}");
        }
        // In a list of symbols, one beyond ASCII may yet be listed.
        let insert = "INSERT INTO vyx.traders (name, description, script, symbols) VALUES ('wish', 'wish', 'close > 0', ARRAY[$1]) RETURNING symbols[1]";
        match mallory.try_rows(insert, &[&text]) {
            Ok(rows) => assert_eq!(rows[0].get::<_, String>(0), text.to_ascii_uppercase()),
            Err(error) => assert_eq!(error.code().map(|code| code.code()), Some("23514"), "a symbol {text:?}"),
        }
        let validated: bool = mallory.one("SELECT bool_and(NOT ok) FROM vyx_validate($1)", &[&text]);
        assert!(validated, "{text:?} is no script");
        // No symbol or interval of the settings either, from which addresses of the exchange are made.
        for setting in ["vyx.symbols", "vyx.exclude_symbols", "vyx.quote_assets", "vyx.intervals"] {
            let sql =
                format!("ALTER SYSTEM SET {setting} = {}", admin.one::<String>("SELECT quote_literal($1)", &[&text]));
            assert_eq!(admin.refusal(&sql).code().code(), "22023", "{sql}");
        }
    }
    assert_eq!(admin.one::<i64>("SELECT count(*) FROM vyx.traders WHERE name = 'nonsense'", &[]), 0);
    // What is no text at all does not reach vyx.
    for (sql, code) in [
        ("SELECT * FROM vyx_klines(E'a\\000b', '1m')", "22021"),
        ("SELECT * FROM vyx_klines(E'\\xff', '1m')", "22021"),
        ("SELECT * FROM vyx_klines(U&'\\D800', '1m')", "42601"),
        ("SELECT * FROM vyx_klines(chr(0), '1m')", "54000"),
    ] {
        assert_eq!(mallory.refusal(sql).code().code(), code, "{sql}");
    }
    mallory.run("DELETE FROM vyx.traders WHERE description = name");
    town.is_unharmed();
}

fn json(text: String) -> Value {
    serde_json::from_str(&text).expect("jsonb is JSON")
}

/// The text as a script writes it.
fn literal(text: &str) -> String {
    let escaped = text.chars().flat_map(|c| match c {
        '"' | '\\' => vec!['\\', c],
        c if c.is_control() => format!("\\u{:04x}", c as u32).chars().collect(),
        c => vec![c],
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[test]
fn metadata_is_delivered_as_the_script_says_it() {
    let town = Town::get();
    let mallory = town.cluster.session_as("mallory");
    let fields: Vec<String> = TEXTS.iter().enumerate().map(|(n, text)| format!("t{n}: {}", literal(text))).collect();
    let script = format!(
        "#{{ fire: close > 0, least: -9007199254740991, most: 1e308, tiny: 5e-324, zero: -0.0, {} }}",
        fields.join(", ")
    );
    mallory.rows(
        "INSERT INTO vyx.traders (name, script, fire_on, state, symbols) VALUES ('herald', $1, 'match', 'running', '{BTCUSDT}')",
        &[&script],
    );
    let signals = "SELECT s.metadata::text FROM vyx.signals s JOIN vyx.traders t ON t.id = s.trader_id WHERE t.name = 'herald' LIMIT 1";
    let metadata = until("a signal", || mallory.rows(signals, &[]).first().map(|row| json(row.get(0))));
    for (n, text) in TEXTS.iter().enumerate() {
        assert_eq!(metadata[format!("t{n}")], *text, "{metadata}");
    }
    assert_eq!(metadata["least"].as_f64(), Some(-9007199254740991.0));
    assert_eq!((metadata["most"].as_f64(), metadata["tiny"].as_f64()), (Some(1e308), Some(5e-324)));
    assert_eq!(metadata["zero"].as_f64(), Some(0.0));
    // What it would be without a script: the same, asked at once.
    let asked = mallory.one("SELECT metadata::text FROM vyx_backtest('{BTCUSDT}', '1m', 1, $1, 'match')", &[&script]);
    assert_eq!(json(asked), metadata);
    mallory.run("DELETE FROM vyx.traders WHERE name = 'herald'");
}

#[test]
fn metadata_that_cannot_be_delivered_is_refused_or_left_undecided() {
    let town = Town::get();
    let mallory = town.cluster.session_as("mallory");
    // Refused when it is saved.
    let long = format!("#{{ fire: close > 0, note: \"{}\" }}", "x".repeat(9_000));
    let many =
        format!("#{{ fire: close > 0, {} }}", (0..2_000).map(|n| format!("k{n}: 1")).collect::<Vec<_>>().join(", "));
    let deep = format!("#{{ fire: close > 0, a: {}1{} }}", "#{ a: ".repeat(60), " }".repeat(60));
    for script in [
        &long[..],
        &many,
        &deep,
        "#{ fire: close > 0, a: \"\\u0000\" }",
        "#{ fire: close > 0, a: \"\\ud800\" }",
        "#{ fire: close > 0, a: [1, 2] }",
        "#{ fire: close > 0, a: #{ b: 1 } }",
        "#{ fire: close > 0, a: () }",
        "#{ fire: close > 0, a: 'c' }",
        "#{ fire: close > 0, a: |x| x }",
        "#{ fire: close > 0, fire: close < 0 }",
        "#{ fire: 1 }",
        "#{ fire: () }",
        "#{ fire: \"yes\" }",
        "#{ side: \"long\" }",
    ] {
        let error = mallory.try_rows("INSERT INTO vyx.traders (name, script) VALUES ('mute', $1)", &[&script]);
        let code = error.err().and_then(|error| error.code().map(|code| code.code().to_owned()));
        assert_eq!(code.as_deref(), Some("42601"), "{}", &script[..script.len().min(80)]);
    }
    // What is no number is not written as one, whatever it is.
    for number in ["close / 0", "0.0 / 0.0", "log(-close)", "1e308 * 10 * close", "sqrt(-1.0)", "-1.0 / 0.0"] {
        let script = format!("#{{ fire: close > 0, a: {number}, b: 1 }}");
        let rows =
            mallory.try_rows("SELECT metadata::text FROM vyx_backtest('{BTCUSDT}', '1m', 3, $1, 'match')", &[&script]);
        match rows {
            Ok(rows) => {
                for row in rows {
                    let metadata = json(row.get(0));
                    assert!(metadata.get("a").is_none_or(Value::is_null), "{number}: {metadata}");
                    assert_eq!(metadata["b"].as_f64(), Some(1.0));
                }
            }
            Err(error) => assert_eq!(error.code().map(|code| code.code()), Some("42601"), "{number}: {error:?}"),
        }
    }
    let admin = town.admin();
    let odd = "SELECT count(*) FROM vyx.signals WHERE metadata @? '$.* ? (@ == \"NaN\" || @ == \"Infinity\")'
               OR price = 'NaN' OR octet_length(metadata::text) > 8192";
    assert_eq!(admin.one::<i64>(odd, &[]), 0);
    assert!(admin.one::<bool>(&format!("SELECT count(*) > 0 FROM vyx.signals WHERE user_id = '{ALICE}'"), &[]));
}
