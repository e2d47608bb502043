//! Scripts: compiled where a trader is saved, checked on request; the functions they can call.

use super::{parse_interval, required};
use crate::compile::{self, Compiled, Failure};
use crate::error::{Error, place};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::{JsonB, PgSqlErrorCode};
use vyx_core::Interval;
use vyx_engine::listing;
use vyx_engine::program::FORMAT;
use vyx_engine::wire::{Mode, Problem};

/// The program of a trader's script as JSON, to be stored; a script that does not compile is an error with its place.
/// The text is declared as json, which has the same form in memory: a JSON value in between could change its numbers.
#[pg_extern(
    requires = ["schema"],
    sql = r#"
CREATE FUNCTION vyx._compile(script text, "interval" text) RETURNS json
STRICT LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
COMMENT ON FUNCTION vyx._compile(text, text) IS 'The program of a trader''s script; 42601 where it does not compile.';
"#
)]
fn compile_trader(script: &str, interval: &str) -> Result<String, ErrorReport> {
    let Compiled { program, warnings, .. } = compiled(script, parse_interval(interval)?, Mode::Trader)?;
    warnings.iter().for_each(notice);
    Ok(program.program().encode().map_err(|error| Error::Compile(Failure::BadProgram(error)))?)
}

/// The format of programs that this server writes and reads.
#[pg_extern(immutable, parallel_safe, schema = "vyx", requires = ["schema"])]
fn _format() -> i32 {
    FORMAT.into()
}

pub(super) fn compiled(script: &str, interval: Interval, mode: Mode) -> Result<Compiled, Error> {
    compile::compile(script, interval, mode).map_err(Error::Compile)
}

/// Tells the client of what is allowed and can hardly be meant. No WARNING: the server's log is not the place for what
/// tenants write.
pub(super) fn notice(warning: &Problem) {
    let report = ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, place(warning), "vyx");
    match &warning.hint {
        Some(hint) => report.set_hint(hint.clone()),
        None => report,
    }
    .report(PgLogLevel::NOTICE);
}

/// One row of `vyx_validate`, in the order of its columns.
type Remark =
    (bool, Option<i32>, Option<i32>, Option<String>, Option<String>, Option<JsonB>, Option<i32>, Option<String>);

fn remark(ok: bool, problem: Problem) -> Remark {
    let source = problem.source();
    let Problem { line, col, message, hint, .. } = problem;
    let place = |number: u32| i32::try_from(number).ok().filter(|number| *number > 0);
    (ok, place(line), place(col), Some(message), hint, None, None, source)
}

/// Whether a script compiles, without storing it. Where it does not, a row for each problem, with the line of
/// the script and a caret beneath. Where it does, one row with
/// what it reads, how many candles of each it needs before it is decided, and its number of nodes; then a row for each
/// warning. A place is null where the remark concerns the line or the script as a whole.
#[pg_extern(stable)]
#[allow(clippy::type_complexity)]
fn vyx_validate(
    script: Option<&str>,
    interval: default!(Option<&str>, "'1m'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(ok, bool),
            name!(line_no, Option<i32>),
            name!(col, Option<i32>),
            name!(message, Option<String>),
            name!(hint, Option<String>),
            name!(timeframes, Option<JsonB>),
            name!(nodes, Option<i32>),
            name!(source, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let script = required("script", script)?;
    let interval = parse_interval(required("interval", interval)?)?;
    let rows: Vec<Remark> = match compile::compile(script, interval, Mode::Trader) {
        Ok(Compiled { program, timeframes, warnings }) => {
            let timeframes = serde_json::to_value(timeframes).expect("names and numbers are always JSON");
            let nodes = program.program().nodes.len() as i32;
            let verdict = (true, None, None, None, None, Some(JsonB(timeframes)), Some(nodes), None);
            std::iter::once(verdict).chain(warnings.into_iter().map(|warning| remark(true, warning))).collect()
        }
        Err(Failure::Refused(problems)) => problems.into_iter().map(|problem| remark(false, problem)).collect(),
        Err(failure) => return Err(Error::Compile(failure).into()),
    };
    Ok(TableIterator::new(rows))
}

/// The functions of scripts that look back. `first_valid_bar` is how many candles pass before there is a value, with the
/// defaults, and with 20 where a constant has none.
#[pg_extern(immutable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn vyx_indicators() -> TableIterator<
    'static,
    (
        name!(name, String),
        name!(aliases, Vec<String>),
        name!(signature, String),
        name!(outputs, Vec<String>),
        name!(first_valid_bar, i32),
        name!(doc, String),
    ),
> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    TableIterator::new(listing::functions().map(move |function| {
        (
            function.name.to_owned(),
            owned(function.aliases),
            function.signature,
            owned(function.outputs),
            function.first_valid_bar as i32,
            function.doc.to_owned(),
        )
    }))
}
