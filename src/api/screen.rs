//! Scripts asked now: one symbol's newest candles, or every symbol's newest candle. Nothing is stored.

use super::traders::{compiled, notice};
use super::{Asked, checked_limit, parse_interval, required, timestamp};
use crate::encoding;
use crate::error::Error;
use crate::evaluate::market::StoreMarket;
use crate::shmem;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::{JsonB, PgSqlErrorCode};
use serde_json::Map;
use std::sync::Arc;
use vyx_core::store::Store;
use vyx_core::{Interval, Kline, Symbol};
use vyx_engine::wire::{Mode, VALUE};
use vyx_engine::{Checked, Engine, NotReady, Op, Outcome, Replay, Value};

/// What a script says of one candle, as SQL shows it.
struct Answer {
    /// `match` or `no_match` for a bool, `value` for a number or text, else why there is none.
    outcome: &'static str,
    /// A bool is 1 or 0.
    value: Option<f64>,
    text: Option<String>,
}

impl Answer {
    fn of(value: Value) -> Answer {
        let (outcome, value, text) = match value {
            Value::Bool(true) => ("match", Some(1.0), None),
            Value::Bool(false) => ("no_match", Some(0.0), None),
            Value::Number(number) => ("value", Some(number), None),
            Value::Text(text) => ("value", None, Some(text.to_string())),
            Value::NotReady(NotReady::Warming) => ("warming", None, None),
            Value::NotReady(NotReady::Undefined) => ("undefined", None, None),
            Value::NotReady(NotReady::HistoryMissing) => ("history_missing", None, None),
        };
        Answer { outcome, value, text }
    }
}

/// A script that was given to be asked: a plain expression, or a trader's rule.
struct Question {
    program: Arc<Checked>,
    /// An expression's value is its only field; a rule's answer is whether it fires.
    plain: bool,
}

impl Question {
    fn new(script: &str, interval: Interval) -> Result<Question, Error> {
        let compiled = compiled(script, interval, Mode::Expression)?;
        compiled.warnings.iter().for_each(notice);
        let program = compiled.program.program();
        let always = matches!(program.nodes[usize::from(program.fire)].op, Op::Bool(true));
        let plain = always && matches!(&program.fields[..], [(key, _)] if key == VALUE);
        Ok(Question { program: Arc::new(compiled.program), plain })
    }

    /// `field`: the value of the first field, which a plain expression has.
    fn answer(&self, outcome: Outcome, field: impl FnOnce() -> Option<Value>) -> Answer {
        Answer::of(match (self.plain.then(field).flatten(), outcome) {
            (Some(value), _) => value,
            (None, Outcome::Match) => Value::Bool(true),
            (None, Outcome::NoMatch) => Value::Bool(false),
            (None, Outcome::NotReady(why)) => Value::NotReady(why),
            // It was there when its series was read: the ring has moved on.
            (None, Outcome::Absent) => Value::NotReady(NotReady::HistoryMissing),
        })
    }
}

/// An expression's value, or whether a rule matches, at each of the newest `limit` closed candles of a symbol, oldest
/// first. Each is what a trader would have seen at that close: computed from that candle's own history. Candles whose
/// history is no longer held have the outcome `history_missing`, and a notice says how many.
#[pg_extern(stable)]
#[allow(clippy::type_complexity)]
fn vyx_values(
    symbol: Option<&str>,
    interval: Option<&str>,
    limit: Option<i32>,
    expression: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(open_time, Option<TimestampWithTimeZone>),
            name!(value, Option<f64>),
            name!(text, Option<String>),
            name!(outcome, String),
        ),
    >,
    ErrorReport,
> {
    let expression = required("expression", expression)?;
    let limit = checked_limit(limit)?;
    let asked = Asked::new(symbol, interval)?;
    let question = Question::new(expression, asked.interval)?;
    let klines = asked.store.last(asked.series, limit, false, None).map_err(|error| asked.error(error))?;
    let [Some(first), Some(last)] = [klines.first(), klines.last()] else { return Ok(TableIterator::empty()) };
    let [from, through] = [first, last].map(|kline| asked.interval.ordinal(kline.open_time));
    let market = StoreMarket::new(asked.store);
    let mut pause = || {
        pgrx::check_for_interrupts!();
    };
    let series = Replay::new(&question.program).series(&market, &asked.symbol, from, through, &mut pause);
    if market.take_failed() {
        return Err(Error::Busy(asked.symbol.to_string(), asked.interval).into());
    }
    let missing = Outcome::NotReady(NotReady::HistoryMissing);
    let unknown = series.outcomes.iter().filter(|outcome| **outcome == missing).count();
    if unknown > 0 {
        tell_missing(unknown, series.outcomes.len());
    }
    let rows: Vec<_> = (series.ordinals.iter().zip(&series.outcomes).enumerate())
        .map(|(index, (ordinal, outcome))| {
            let answer = question.answer(*outcome, || series.fields.first().map(|values| values[index].clone()));
            (timestamp(asked.interval.open_time(*ordinal)), answer.value, answer.text, answer.outcome.to_owned())
        })
        .collect();
    Ok(TableIterator::new(rows))
}

fn tell_missing(unknown: usize, all: usize) {
    let message = format!("{unknown} of {all} candles have no value: their history is not held");
    ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, message, "vyx")
        .set_hint("Values are exact for the newest 256 candles or so; vyx.ring_size sets how many are held, vyx_gaps() shows holes.")
        .report(PgLogLevel::NOTICE);
}

/// What a trader's script or a plain expression says of every tracked symbol at its newest closed candle.
#[pg_extern(stable)]
#[allow(clippy::type_complexity)]
fn vyx_screen(
    interval: Option<&str>,
    script: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(symbol, String),
            name!(open_time, Option<TimestampWithTimeZone>),
            name!(close, Option<f64>),
            name!(outcome, String),
            name!(value, Option<f64>),
            name!(fields, JsonB),
        ),
    >,
    ErrorReport,
> {
    let script = required("script", script)?;
    let interval = parse_interval(required("interval", interval)?)?;
    let store = shmem::store()?;
    if store.slots(interval) == 0 {
        return Err(Error::UntrackedInterval(interval).into());
    }
    let question = Question::new(script, interval)?;
    let market = StoreMarket::new(store);
    let newest = newest(store, interval);
    let mut engine = Engine::new(interval);
    engine.set_programs(vec![(0, Arc::clone(&question.program))]).expect("compiled for this interval");
    let mut rows = Vec::with_capacity(newest.len());
    for (symbol, kline) in newest {
        pgrx::check_for_interrupts!();
        let (answer, fields) = match &kline {
            Some(kline) => ask(&mut engine, &market, &question, &symbol, interval.ordinal(kline.open_time)),
            None => (Answer::of(Value::NotReady(NotReady::HistoryMissing)), Map::new()),
        };
        if market.take_failed() {
            return Err(Error::Busy(symbol.to_string(), interval).into());
        }
        rows.push((
            symbol.to_string(),
            kline.and_then(|kline| timestamp(kline.open_time)),
            kline.map(|kline| kline.close),
            answer.outcome.to_owned(),
            answer.value,
            JsonB(fields.into()),
        ));
    }
    Ok(TableIterator::new(rows))
}

/// Every symbol with its newest closed candle, in the order of time, so that what all symbols read of one goes only forward.
pub(super) fn newest(store: Store<'static>, interval: Interval) -> Vec<(Symbol, Option<Kline>)> {
    let mut newest: Vec<(Symbol, Option<Kline>)> = encoding::symbols(store)
        .filter_map(|entry| {
            let klines = store.last(store.series(entry.id, interval)?, 1, false, None).unwrap_or_default();
            Some((entry.info.symbol, klines.first().copied()))
        })
        .collect();
    newest.sort_by_key(|(symbol, kline)| (kline.map(|kline| kline.open_time), *symbol));
    newest
}

/// One symbol's candle: the answer, and the fields as JSON.
fn ask(
    engine: &mut Engine,
    market: &StoreMarket,
    question: &Question,
    symbol: &Symbol,
    ordinal: i64,
) -> (Answer, Map<String, serde_json::Value>) {
    let outcomes = engine.evaluate(market, std::slice::from_ref(symbol), ordinal);
    let fields: Vec<_> = outcomes.fields(0, 0).collect();
    let answer = question.answer(outcomes.now(0, 0), || fields.first().map(|(_, value)| value.clone()));
    (answer, fields.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect())
}
