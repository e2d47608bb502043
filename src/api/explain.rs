//! Why a trader fired, or did not, at one candle: the verdict in words, then every step of its program with its value.
//!
//! Values are computed now, from the candles as they are now; what was decided then is read from the tables, as the caller
//! may see them.

mod facts;
mod verdict;

use self::facts::{Facts, Trader};
use self::verdict::Verdict;
use super::traders::compiled;
use super::{Asked, parse_symbol, required, timestamp};
use crate::error::Error;
use crate::evaluate::market::StoreMarket;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::sync::Arc;
use uuid::Uuid;
use vyx_core::store::ReadError;
use vyx_core::{Kline, Millis, Symbol};
use vyx_engine::market::anchor;
use vyx_engine::print::{self, Step};
use vyx_engine::{Candles, Checked, Kind, Market, NodeId, NotReady, Outcome, Replay, Value};

/// Operands longer than this are shown as the number of their step.
const LONGEST_OPERAND: usize = 48;

/// A row: step, expression, value, kind, outcome, note.
type Line = (i32, String, Option<String>, Option<String>, Option<String>, Option<String>);

/// What a program says of a candle and of the existing one before it, and the values of its steps.
struct Said {
    now: Outcome,
    /// The candle before, and what was said of it; `None` where the candle's history has none.
    before: Option<(Kline, Outcome)>,
    steps: Vec<Step>,
    values: Vec<Value>,
}

/// Why a trader fired, or did not, on a symbol: at the newest candle that had closed at the given time, or now. The first
/// rows, of step 0, say the verdict in words; then comes a row for each step of the script as it was in force then, with its
/// value. `#3` in an expression stands for step 3. Owners see their own traders.
#[pg_extern(stable)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn vyx_explain(
    trader_id: Option<pgrx::Uuid>,
    symbol: Option<&str>,
    at: default!(Option<TimestampWithTimeZone>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(step, i32),
            name!(expression, String),
            name!(value, Option<String>),
            name!(kind, Option<String>),
            name!(outcome, Option<String>),
            name!(note, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let id = Uuid::from_bytes(*required("trader_id", trader_id)?);
    let symbol = parse_symbol(required("symbol", symbol)?)?;
    let at = at.map(super::millis);
    let trader = Trader::read(id).ok_or(Error::UnknownTrader(id))?;
    let interval = trader.interval(at);
    let asked = Asked::new(Some(symbol.as_str()), Some(interval.as_str()))?;
    let market = StoreMarket::new(asked.store);
    let ordinal = match at {
        Some(at) => interval.last_closed(at),
        None => {
            let newest = asked.store.last(asked.series, 1, false, None).map_err(|error| asked.error(error))?;
            let newest = newest.first().ok_or_else(|| asked.error(ReadError::NeverFilled))?;
            interval.ordinal(newest.open_time)
        }
    };
    let close_time = interval.close_time(ordinal);
    let version = trader.in_force(interval, close_time);
    let facts = Facts::read(id, version.map(|version| version.version), &symbol, interval, close_time);
    // Where no version was in force, what it says as it is now, or was last.
    let program = facts.program(&trader)?;
    let klines = asked.store.last(asked.series, 2, false, Some(interval.open_time(ordinal + 1)));
    let mut klines = klines.map_err(|error| asked.error(error))?;
    let kline = klines.pop_if(|kline| interval.ordinal(kline.open_time) == ordinal);
    let said = kline.map(|kline| say(&program, &market, &symbol, &kline, klines.last()));
    if market.take_failed() {
        return Err(Error::Busy(symbol.to_string(), interval).into());
    }
    let verdict = Verdict {
        trader: &trader,
        version,
        facts: &facts,
        program: &program,
        market: &market,
        symbol,
        interval,
        ordinal,
        kline: kline.as_ref(),
        said: said.as_ref(),
    };
    let mut rows = verdict.lines();
    if let Some(said) = &said {
        rows.extend(lines(&program, said, &|node| missing_bars(&program, &market, &symbol, close_time, node)));
    }
    Ok(TableIterator::new(rows))
}

fn say(program: &Arc<Checked>, market: &StoreMarket, symbol: &Symbol, kline: &Kline, before: Option<&Kline>) -> Said {
    let interval = program.interval();
    let steps = print::steps(program, LONGEST_OPERAND);
    let nodes: Vec<NodeId> = steps.iter().map(|step| step.node).collect();
    let open = Arc::new(program.inspected(&nodes));
    let ordinal = interval.ordinal(kline.open_time);
    let before = before.filter(|before| interval.ordinal(before.open_time) >= anchor(symbol, interval, ordinal));
    let from = before.map_or(ordinal, |before| interval.ordinal(before.open_time));
    let series = Replay::new(&open).series(market, symbol, from, ordinal, &mut || {
        pgrx::check_for_interrupts!();
    });
    let place = |ordinal: i64| series.ordinals.binary_search(&ordinal).ok();
    let said = |ordinal: i64| place(ordinal).map_or(Outcome::Absent, |place| series.outcomes[place]);
    let value = |column: &Vec<Value>| match place(ordinal) {
        Some(place) => column[place].clone(),
        None => Value::NotReady(NotReady::HistoryMissing),
    };
    Said {
        now: said(ordinal),
        before: before.map(|before| (*before, said(from))),
        values: series.fields.iter().map(value).collect(),
        steps,
    }
}

/// A row for each step. `missing` says what a node waits for.
fn lines(program: &Checked, said: &Said, missing: &dyn Fn(NodeId) -> String) -> Vec<Line> {
    let value = |node: NodeId| {
        let place = said.steps.binary_search_by_key(&node, |step| step.node).ok()?;
        Some(&said.values[place])
    };
    let deciding = program.why(|node| match value(node) {
        Some(Value::Bool(value)) => Some(*value),
        Some(Value::NotReady(_)) => None,
        Some(Value::Number(_) | Value::Text(_)) => Some(true),
        None => constant(program, node, &value),
    });
    let shown = |(index, (step, value)): (usize, (&Step, &Value))| {
        let is_deciding = deciding.contains(&step.node);
        let (text, outcome) = shown(value);
        let note = match value {
            Value::NotReady(NotReady::Warming) if is_deciding => Some(missing(step.node)),
            Value::NotReady(NotReady::Undefined) if is_deciding => {
                Some("there is no such number here: 0/0, or since what has not happened".to_owned())
            }
            Value::Bool(value) if is_deciding => Some(format!("decides: {value}")),
            _ => None,
        };
        let kind = match program.kinds()[usize::from(step.node)] {
            Kind::Number => "number",
            Kind::Bool => "bool",
            Kind::Text => "text",
        };
        (index as i32 + 1, step.expression.clone(), text, Some(kind.to_owned()), Some(outcome.to_owned()), note)
    };
    said.steps.iter().zip(&said.values).enumerate().map(shown).collect()
}

/// Of a node that is no step: a constant, or another clock's node at the trader's candles.
fn constant<'a>(program: &Checked, node: NodeId, value: &dyn Fn(NodeId) -> Option<&'a Value>) -> Option<bool> {
    use vyx_engine::Op;
    match &program.program().nodes[usize::from(node)].op {
        Op::Bool(value) => Some(*value),
        Op::Na => None,
        Op::Align(other) => match value(*other) {
            Some(Value::Bool(value)) => Some(*value),
            Some(Value::NotReady(_)) => None,
            _ => Some(true),
        },
        _ => Some(true),
    }
}

fn shown(value: &Value) -> (Option<String>, &'static str) {
    match value {
        Value::Number(number) => (Some(number.to_string()), "value"),
        Value::Bool(value) => (Some(value.to_string()), "value"),
        Value::Text(text) => (Some(text.to_string()), "value"),
        Value::NotReady(NotReady::Warming) => (None, "warming"),
        Value::NotReady(NotReady::Undefined) => (None, "undefined"),
        Value::NotReady(NotReady::HistoryMissing) => (None, "history_missing"),
    }
}

/// How many candles a node that has no value yet needs, and how many there are.
fn missing_bars(program: &Checked, market: &StoreMarket, symbol: &Symbol, close_time: Millis, node: NodeId) -> String {
    let clock = program.clocks()[usize::from(program.program().nodes[usize::from(node)].clock)];
    let (symbol, interval) = (clock.symbol.unwrap_or(*symbol), clock.interval);
    let need = program.first_valid()[usize::from(node)] + 1;
    let through = interval.last_closed(close_time);
    let start = market.held(&symbol, interval).and_then(|held| held.start(&symbol, interval, through));
    let mut candles = Candles::default();
    if let Some(start) = start {
        market.closed(&symbol, interval, start, through, &mut candles);
    }
    let have = candles.len();
    match need.checked_sub(have) {
        Some(missing) if missing > 0 => {
            format!("needs {need} candles of {symbol} {interval}, its history has {have}: {missing} more")
        }
        _ => format!("needs up to {need} candles with a value, the history of {symbol} {interval} has {have}"),
    }
}

/// A moment as notes show it.
fn moment(at: Millis) -> String {
    timestamp(at).map_or_else(|| at.0.to_string(), |at| at.to_iso_string())
}
