//! Syntax errors in words that help: most scripts that do not parse were written by somebody who thinks in Pine.

use crate::parse::SyntaxError;
use rhai::{LexError, ParseError, ParseErrorType};

/// What Rhai's parser objects to, and what to write instead.
pub fn explain(script: &str, error: &ParseError) -> SyntaxError {
    let ParseError(kind, at) = error;
    let line = at.line().and_then(|line| script.split('\n').nth(line - 1)).unwrap_or("");
    let (message, hint) = habit(kind, line, at.position().unwrap_or(0)).unwrap_or_else(|| plain(kind));
    SyntaxError { at: *at, message, hint: (!hint.is_empty()).then_some(hint) }
}

/// Errors whose cause is known from what stopped the parser, in column `col` of this line.
fn habit(kind: &ParseErrorType, line: &str, col: usize) -> Option<(String, String)> {
    let rest = line.chars().skip(col.saturating_sub(1)).collect::<String>();
    let stopped_at = match kind {
        ParseErrorType::Reserved(symbol) | ParseErrorType::UnknownOperator(symbol) => symbol.as_str(),
        ParseErrorType::BadInput(LexError::UnexpectedInput(symbol) | LexError::ImproperSymbol(symbol, _)) => symbol,
        ParseErrorType::MissingToken(..) if rest.starts_with("=>") => "=>",
        _ => "",
    };
    let told = |message: &str, hint: &str| Some((message.to_owned(), hint.to_owned()));
    match stopped_at {
        "?" => told("\"a ? b : c\" is not in the language", "write select(a, b, c)"),
        "var" => told("\"var\" is not in the language", "write let x = …; a value of the candle before is x[1]"),
        ":=" => told("\":=\" is not in the language", "write x = …, or let x = … for a new name"),
        "=>" => told("\"=>\" does not define a function", "write fn name(a, b) { … }"),
        "|" if rest.starts_with('|') => {
            told("functions without a name are not in the language", "write fn name(a, b) { … }")
        }
        "++" | "--" => told("\"++\" and \"--\" are not in the language", "write x += 1"),
        _ if matches!(kind, ParseErrorType::AssignmentToInvalidLHS(_)) && line.trim_start().starts_with('[') => told(
            "\"[a, b] = …\" is not in the language",
            "keep the record and take its fields: let m = macd(close, 12, 26, 9); m.macd > m.signal",
        ),
        _ => None,
    }
}

fn plain(kind: &ParseErrorType) -> (String, String) {
    let none = String::new;
    match kind {
        ParseErrorType::ExprTooDeep => ("the expression is nested too deeply".into(), "name its parts with let".into()),
        ParseErrorType::TooManyFunctions => ("too many functions are defined".into(), none()),
        ParseErrorType::UnexpectedEOF => {
            ("the script ends too early".into(), "is a bracket or a quote still open?".into())
        }
        ParseErrorType::BadInput(LexError::MalformedChar(_)) => {
            ("a text stands in double quotes".into(), "write \"text\"".into())
        }
        ParseErrorType::Reserved(word) => (format!("\"{word}\" is not in the language"), none()),
        other => {
            let text = other.to_string();
            let mut letters = text.chars();
            let lower = letters.next().map(|c| c.to_lowercase().collect::<String>() + letters.as_str());
            (lower.unwrap_or_default().replace('\'', "\""), none())
        }
    }
}

/// What is said of a name that Rhai has and the language has not.
pub fn disabled(name: &str) -> Option<&'static str> {
    Some(match name {
        "eval" | "Fn" | "call" | "curry" | "is_def_fn" | "is_def_var" | "is_shared" | "type_of" => {
            "a rule is known in full when it is saved"
        }
        "print" | "debug" => "put what you want to see under a key of the result: #{ fire: …, seen: x }",
        "sleep" | "timestamp" | "exit" | "import" | "export" | "parse_json" | "rand" => {
            "a rule has its candles and nothing else"
        }
        "plot" | "plotshape" | "alertcondition" | "strategy" | "indicator" | "study" => {
            "a rule has no chart; its result is a bool, or #{ fire: …, side: …, note: … }"
        }
        _ => return None,
    })
}
