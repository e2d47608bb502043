//! Syntax errors in words that help: most scripts that do not parse were written by somebody who thinks in Pine.

use crate::parse::SyntaxError;
use rhai::{LexError, ParseError, ParseErrorType};

/// What Rhai's parser objects to, and what to write instead.
pub fn explain(script: &str, error: &ParseError) -> SyntaxError {
    let ParseError(kind, at) = error;
    let line = at.line().and_then(|line| script.split('\n').nth(line - 1)).unwrap_or("");
    let after = script.split('\n').skip(at.line().unwrap_or(usize::MAX)).all(|line| line.trim().is_empty());
    let ends = after && line.chars().skip(at.position().unwrap_or(1) - 1).all(char::is_whitespace);
    // What Rhai misses at the end of the text is rarely what is missing.
    let kind = if ends && lacks(kind, ";") { &ParseErrorType::UnexpectedEOF } else { kind };
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
        "=>" => told("\"=>\" does not define a function", "write fn name(a, b) { … }"),
        "|" if rest.starts_with('|') => {
            told("functions without a name are not in the language", "write fn name(a, b) { … }")
        }
        "++" | "--" => told("\"++\" and \"--\" are not in the language", "write x += 1"),
        _ if rest.starts_with("cross") && lacks(kind, ";") => told(
            "two values that cross are not written in words",
            "write crossover(a, b) for from below, crossunder(a, b) for from above, cross(a, b) for both",
        ),
        _ if lacks(kind, "{") => told("a block stands in braces", "write if condition { … } else { … }"),
        _ if lacks(kind, ";") && begins_with_type(line) => {
            told("a name is defined without its type", "write let x = …")
        }
        _ if matches!(kind, ParseErrorType::AssignmentToInvalidLHS(_)) && line.trim_start().starts_with('[') => told(
            "\"[a, b] = …\" is not in the language",
            "keep the record and take its fields: let m = macd(close, 12, 26, 9); m.macd > m.signal",
        ),
        _ => None,
    }
}

/// `float x = …`, `var float x = …`
fn begins_with_type(line: &str) -> bool {
    let mut words = line.split_whitespace().skip_while(|word| ["var", "varip", "let"].contains(word));
    words.next().is_some_and(|word| ["int", "float", "bool", "string", "color"].contains(&word))
}

fn lacks(kind: &ParseErrorType, token: &str) -> bool {
    matches!(kind, ParseErrorType::MissingToken(missing, _) if missing == token)
}

/// Whether two statements meet without what ends the first.
pub fn lacks_semicolon(error: &ParseError) -> bool {
    lacks(&error.0, ";")
}

/// Whether nothing is gained by leaving out one statement.
pub fn is_hopeless(error: &ParseError) -> bool {
    matches!(*error.0, ParseErrorType::TooManyFunctions)
}

/// Whether the lines below belong to what is wrong, since Pine has blocks by indent.
pub fn opens_block(script: &str, error: &ParseError) -> bool {
    let line = error.1.line().and_then(|line| script.split('\n').nth(line - 1)).unwrap_or("");
    lacks(&error.0, "{") || line.contains("=>")
}

/// A sign that looks like one of the language, or cannot be seen at all.
fn foreign(sign: &str) -> (String, String) {
    let c = sign.chars().next().unwrap_or_default();
    let write = match c {
        '“' | '”' | '„' | '«' | '»' | '‘' | '’' => "write \"text\"",
        '−' | '–' | '—' => "write -",
        '≤' => "write <=",
        '≥' => "write >=",
        '≠' => "write !=",
        '×' => "write *",
        '÷' => "write /",
        _ if c.is_whitespace() => "write a space",
        _ => "names are made of a-z, A-Z, 0-9 and _",
    };
    let shown = if c.is_alphanumeric() || "“”„«»‘’−–—≤≥≠×÷".contains(c) {
        format!(" (\"{c}\")")
    } else {
        String::new()
    };
    (format!("the character U+{:04X}{shown} is not in the language", u32::from(c)), write.into())
}

fn plain(kind: &ParseErrorType) -> (String, String) {
    let none = String::new;
    match kind {
        ParseErrorType::ExprTooDeep => ("the expression is nested too deeply".into(), "name its parts with let".into()),
        ParseErrorType::LiteralTooLarge(_, max) | ParseErrorType::BadInput(LexError::StringTooLong(max)) => {
            (format!("a text is at most {max} bytes long"), none())
        }
        ParseErrorType::TooManyFunctions => ("too many functions are defined".into(), none()),
        ParseErrorType::UnexpectedEOF => {
            ("the script ends too early".into(), "is a bracket or a quote still open?".into())
        }
        ParseErrorType::BadInput(LexError::UnexpectedInput(sign)) if !sign.chars().all(|c| c.is_ascii_graphic()) => {
            foreign(sign)
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
