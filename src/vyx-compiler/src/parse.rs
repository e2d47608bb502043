//! Text to syntax tree, by Rhai's own parser. Nothing of Rhai runs a script: the tree is walked by [`crate::trace`],
//! so that all of Rhai's functions, and all ways to waste memory and time with them, do not exist here.

use crate::habits;
use rhai::{ASTNode, Engine, ImmutableString, OptimizationLevel, Position, Stmt, Token};
use std::cell::Cell;
use std::rc::Rc;
use vyx_engine::wire::MAX_SCRIPT_BYTES;

/// Deepest nesting of expressions and blocks at the top level; each operator of a chain such as `a + b + c` counts.
/// Bounds the stack of the parser and, with [`crate::trace::MAX_CALL_DEPTH`], that of the tracer.
const MAX_DEPTH: usize = 96;
/// The same in a function.
const MAX_FUNCTION_DEPTH: usize = 32;
/// Most functions a script defines.
const MAX_FUNCTIONS: usize = 32;

/// A script as the tracer walks it.
pub struct Script {
    pub statements: Vec<Stmt>,
    pub functions: Vec<Function>,
}

/// `fn name(params) { body }`.
pub struct Function {
    pub name: String,
    pub params: Vec<ImmutableString>,
    pub body: Vec<Stmt>,
    /// Where the body begins.
    pub at: Position,
}

/// What Rhai's parser, or its limits, refuse.
pub struct SyntaxError {
    pub at: Position,
    pub message: String,
    pub hint: Option<String>,
}

/// Parses a script.
///
/// # Errors
/// The first thing that is no syntax, in words for people who come from Pine.
pub fn parse(script: &str) -> Result<Script, SyntaxError> {
    if script.len() > MAX_SCRIPT_BYTES {
        let message = format!("the script has {} bytes, at most {MAX_SCRIPT_BYTES} are allowed", script.len());
        return Err(SyntaxError { at: Position::NONE, message, hint: None });
    }
    let ast = engine(Rc::default()).compile(script).map_err(|error| habits::explain(script, &error))?;
    if script.contains("/*") && !comments_are_closed(script) {
        let hint = Some("\"*/\" ends it".to_owned());
        return Err(SyntaxError { at: Position::NONE, message: "a comment is not closed".into(), hint });
    }
    let mut functions: Vec<(Position, Function)> = Vec::new();
    for known in ast.iter_functions() {
        let definition = ast.shared_lib().get_script_fn(known.name, known.params.len());
        let Some(definition) = definition.filter(|d| d.this_type.is_none()) else {
            let message = format!("\"{}\" is a method of a type", known.name);
            let hint = Some("write fn name(a, b) { … }".to_owned());
            return Err(SyntaxError { at: Position::NONE, message, hint });
        };
        let function = Function {
            name: known.name.to_owned(),
            params: definition.params.to_vec(),
            body: Vec::new(),
            at: definition.body.start_position(),
        };
        functions.push((definition.body.end_position(), function));
    }
    functions.sort_by_key(|(_, function)| function.at);
    // The bodies themselves are private to Rhai; the walk visits them all, and each statement is told by its place.
    let top = ast.statements().to_vec();
    ast.walk(&mut |path| {
        if let [ASTNode::Stmt(statement)] = path {
            let at = statement.position();
            if let Some((_, function)) = functions.iter_mut().find(|(end, f)| f.at <= at && at <= *end) {
                function.body.push((*statement).clone());
            }
        }
        true
    });
    Ok(Script { statements: top, functions: functions.into_iter().map(|(_, function)| function).collect() })
}

/// Rhai takes the rest of the text for a comment that is not closed, in silence. Then a token after it is never seen.
fn comments_are_closed(script: &str) -> bool {
    let furthest = Rc::new(Cell::new(Position::NONE));
    let parsed = engine(furthest.clone()).compile(format!("{script}\n;"));
    parsed.is_err() || furthest.get().line() == Some(script.split('\n').count() + 1)
}

/// The parser; it notes in `furthest` where the last token stood.
fn engine(furthest: Rc<Cell<Position>>) -> Engine {
    let mut engine = Engine::new_raw();
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_max_expr_depths(MAX_DEPTH, MAX_FUNCTION_DEPTH);
    engine.set_max_functions(MAX_FUNCTIONS);
    engine.set_max_string_size(vyx_engine::program::MAX_TEXT_BYTES);
    engine.set_allow_anonymous_fn(false);
    // Marked as deprecated only to say that it may change; the version is pinned.
    #[allow(deprecated)]
    engine.on_parse_token(move |token, at, _| {
        furthest.set(furthest.get().max(at));
        match token {
            Token::Identifier(name) => match name.as_str() {
                "and" => Token::And,
                "or" => Token::Or,
                "not" => Token::Bang,
                _ => Token::Identifier(name),
            },
            other => other,
        }
    });
    engine
}
