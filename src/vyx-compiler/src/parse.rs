//! Text to syntax tree, by Rhai's own parser. Nothing of Rhai runs a script: the tree is walked by [`crate::trace`],
//! so that all of Rhai's functions, and all ways to waste memory and time with them, do not exist here.

use crate::habits;
use crate::recover;
use crate::tokens::{self, Seen};
use rhai::{AST, ASTNode, Engine, ImmutableString, OptimizationLevel, Position, Stmt};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use vyx_engine::wire::{MAX_PROBLEMS, MAX_SCRIPT_BYTES};

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

/// What became of a text.
#[derive(Default)]
pub struct Parsed {
    /// What could be read of it; `None` if that is nothing.
    pub script: Option<Script>,
    /// What is no syntax, in the order in which it was found, in words for people who come from Pine.
    pub errors: Vec<SyntaxError>,
    /// Names that nothing is known of any more, since they stood in what could not be read.
    pub lost: BTreeSet<String>,
    /// Whether the end could not be read, and the result with it.
    pub result_lost: bool,
}

/// Most texts that are tried: one for each statement that cannot be read or has no end.
const MAX_TRIES: usize = 64;

/// Parses a script, and what is left of it where a statement is no syntax.
pub fn parse(script: &str) -> Parsed {
    let mut parsed = Parsed::default();
    if script.len() > MAX_SCRIPT_BYTES {
        let message = format!("the script has {} bytes, at most {MAX_SCRIPT_BYTES} are allowed", script.len());
        parsed.tell(SyntaxError { at: Position::NONE, message, hint: None });
        return parsed;
    }
    let mut text = script.to_owned();
    let mut unended = 0;
    for _ in 0..MAX_TRIES {
        let seen = Rc::<RefCell<Seen>>::default();
        let read = engine(seen.clone()).compile(&text);
        let Seen { problems, lost, .. } = seen.take();
        problems.into_iter().for_each(|problem| parsed.tell(problem));
        parsed.lost.extend(lost);
        let error = match read {
            Ok(ast) => {
                if text.contains("/*") && !comments_are_closed(&text) {
                    let hint = Some("\"*/\" ends it".to_owned());
                    parsed.tell(SyntaxError { at: Position::NONE, message: "a comment is not closed".into(), hint });
                    parsed.result_lost = true;
                }
                match functions_of(&ast) {
                    Ok(script) => parsed.script = Some(script),
                    Err(error) => parsed.tell(error),
                }
                break;
            }
            Err(error) => error,
        };
        let at = error.1.line().map(|line| (line, error.1.position().unwrap_or(1)));
        let told = habits::explain(script, &error);
        let ends = habits::lacks_semicolon(&error);
        if let Some(next) = at.filter(|_| ends).and_then(|at| recover::end_statement(&text, at)) {
            unended += 1;
            if unended == 1 {
                parsed.tell(SyntaxError {
                    hint: Some("a statement ends with \";\", a line end does not end it".into()),
                    ..told
                });
            }
            text = next;
            continue;
        }
        let (hopeless, block) = (habits::is_hopeless(&error), habits::opens_block(script, &error));
        parsed.tell(told);
        let Some(mended) = (!hopeless).then(|| recover::leave_out(&text, at, block)).flatten() else { break };
        text = mended.text;
        parsed.lost.extend(mended.lost);
        parsed.result_lost |= mended.result_lost;
        if parsed.errors.len() > MAX_PROBLEMS {
            break;
        }
    }
    parsed
}

impl Parsed {
    /// One problem a place.
    fn tell(&mut self, error: SyntaxError) {
        if self.errors.iter().all(|told| told.at != error.at || told.at.is_none() && told.message != error.message) {
            self.errors.push(error);
        }
    }
}

/// The statements and functions of what was parsed.
fn functions_of(ast: &AST) -> Result<Script, SyntaxError> {
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
    let seen = Rc::<RefCell<Seen>>::default();
    let parsed = engine(seen.clone()).compile(format!("{script}\n;"));
    let line = seen.borrow().furthest.and_then(|furthest| furthest.line());
    parsed.is_err() || line == Some(script.split('\n').count() + 1)
}

/// The parser; what its tokens say is written to `seen`.
fn engine(seen: Rc<RefCell<Seen>>) -> Engine {
    let mut engine = Engine::new_raw();
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_max_expr_depths(MAX_DEPTH, MAX_FUNCTION_DEPTH);
    engine.set_max_functions(MAX_FUNCTIONS);
    engine.set_max_string_size(vyx_engine::program::MAX_TEXT_BYTES);
    engine.set_allow_anonymous_fn(false);
    let watch = tokens::watch(seen);
    // Marked as deprecated only to say that it may change; the version is pinned.
    #[allow(deprecated)]
    engine.on_parse_token(move |token, at, _| watch(token, at));
    engine
}
