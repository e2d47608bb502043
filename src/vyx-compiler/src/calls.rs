//! Calls of functions: those made of nodes of their own, and the catalog's, checked argument by argument.

use crate::graph::Graph;
use crate::names;
use crate::operators::{self, Outcome, Refusal};
use crate::pine;
use crate::value::{Market, Record, Series, Value, plural, shown};
use std::rc::Rc;
use vyx_core::{Interval, Millis, Symbol};
use vyx_engine::catalog::{Function, Param};
use vyx_engine::market;
use vyx_engine::program::{Arithmetic, Unary};
use vyx_engine::{Kind, Op};

/// A refusal and, where one argument is to blame, its position in the call.
pub struct BadCall {
    pub refusal: Refusal,
    pub argument: Option<usize>,
}

impl From<Refusal> for BadCall {
    fn from(refusal: Refusal) -> Self {
        BadCall { refusal, argument: None }
    }
}

impl BadCall {
    fn at(argument: usize, refusal: Refusal) -> Self {
        BadCall { refusal, argument: Some(argument) }
    }
}

/// Calls one of [`names::BUILT_IN`], `tf` excepted; `None` if the name is none of them.
pub fn built_in(graph: &mut Graph, name: &str, args: &[Value]) -> Option<Result<Value, BadCall>> {
    if !names::BUILT_IN.contains(&name) || name == "tf" {
        return None;
    }
    if args.iter().any(Value::is_poison) {
        return Some(Ok(Value::Poison));
    }
    let outcome = match (name, args) {
        ("select", [c, a, b]) => operators::select(graph, c, a, b),
        ("na", [x]) => operators::is_na(graph, x),
        ("nz", [x]) => {
            let default = if x.kind() == Some(Kind::Bool) { Value::Bool(false) } else { Value::Number(0.0) };
            operators::nz(graph, x, &default)
        }
        ("nz", [x, default]) => operators::nz(graph, x, default),
        ("pow", [a, b]) => operators::arithmetic(graph, Arithmetic::Pow, "pow", a, b),
        ("min" | "max", [first, second, rest @ ..]) => {
            let larger = name == "max";
            let start = operators::extreme(graph, larger, first, second);
            rest.iter().fold(start, |best, next| best.and_then(|best| operators::extreme(graph, larger, &best, next)))
        }
        ("symbol", [Value::Text(text)]) => symbol(graph, text),
        ("symbol", [other]) => Err(Refusal::new(format!("symbol(\"BTCUSDT\") takes a text, not {}", other.describe()))),
        (_, [x]) => match unary(name) {
            Some(op) => operators::function(graph, op, name, x),
            None => Err(arguments(name, args.len())),
        },
        _ => Err(arguments(name, args.len())),
    };
    Some(outcome.map_err(BadCall::from))
}

fn unary(name: &str) -> Option<Unary> {
    Some(match name {
        "abs" => Unary::Abs,
        "sqrt" => Unary::Sqrt,
        "log" => Unary::Log,
        "log10" => Unary::Log10,
        "exp" => Unary::Exp,
        "floor" => Unary::Floor,
        "ceil" => Unary::Ceil,
        "round" => Unary::Round,
        "sign" => Unary::Sign,
        _ => return None,
    })
}

fn arguments(name: &str, found: usize) -> Refusal {
    let signature = match name {
        "select" => "select(condition, a, b)".to_owned(),
        "nz" => "nz(x, default = 0)".to_owned(),
        "pow" => "pow(base, exponent)".to_owned(),
        "min" | "max" => format!("{name}(a, b, …)"),
        "symbol" => "symbol(\"BTCUSDT\")".to_owned(),
        _ => format!("{name}(x)"),
    };
    Refusal::new(format!("{name} does not take {}", counted(found))).hint(format!("write {signature}"))
}

fn counted(n: usize) -> String {
    if n == 1 { "1 argument".into() } else { format!("{n} arguments") }
}

fn symbol(graph: &mut Graph, text: &str) -> Outcome {
    let symbol = Symbol::new(text).map_err(|e| Refusal::new(e.to_string()))?;
    let interval = graph.market(0).interval;
    Ok(Value::Market(Market { symbol: Some(symbol.as_str().to_owned()), interval }))
}

/// `tf("1h")` of this symbol.
pub fn timeframe(own: Interval, symbol: Option<String>, args: &[Value]) -> Result<Market, Refusal> {
    let text = match args {
        [Value::Text(text)] => text,
        [other] => {
            return Err(Refusal::new(format!("tf takes an interval as text, not {}", other.describe()))
                .hint("write e.g. tf(\"1h\"): the interval must be known when the trader is saved"));
        }
        _ => return Err(Refusal::new("tf takes one argument").hint("write e.g. tf(\"1h\")")),
    };
    let interval: Interval = text.parse().map_err(|_| {
        let all: Vec<&str> = Interval::ALL.iter().map(|i| i.as_str()).collect();
        let meant = pine_interval(text).map(|i| format!("write \"{i}\"; "));
        Refusal::new(format!("unknown interval \"{text}\"")).hint(format!(
            "{}the intervals are {}",
            meant.unwrap_or_default(),
            all.join(" ")
        ))
    })?;
    if interval < own {
        return Err(Refusal::new(format!("\"{interval}\" is shorter than the trader's own interval, \"{own}\""))
            .hint(format!("read \"{own}\" or longer, or save the trader with the interval \"{interval}\"")));
    }
    Ok(Market { symbol, interval })
}

/// The interval that Pine writes as a number of minutes or a capital letter.
fn pine_interval(text: &str) -> Option<Interval> {
    let name = match text {
        "1" | "3" | "5" | "15" | "30" => format!("{text}m"),
        "60" | "120" | "240" | "360" | "480" | "720" => format!("{}h", text.parse::<u32>().ok()? / 60),
        "D" | "1D" => "1d".into(),
        "W" | "1W" => "1w".into(),
        "M" => "1M".into(),
        "S" | "1S" => "1s".into(),
        "60m" | "60min" => "1h".into(),
        other => other.to_lowercase(),
    };
    name.parse().ok()
}

/// Calls a function of the catalog. `on` is the timeframe it is a method of.
pub fn catalog(
    graph: &mut Graph,
    function: &'static Function,
    args: &[Value],
    on: Option<u8>,
) -> Result<Value, BadCall> {
    if args.iter().any(Value::is_poison) {
        return Ok(Value::Poison);
    }
    reads_itself(function, args)?;
    let given = given_inputs(function, args)?;
    let skipped = function.inputs.len() - given;
    let mut inputs = Vec::new();
    for (i, (input, value)) in function.inputs[skipped..].iter().zip(args).enumerate() {
        inputs.push(series_argument(graph, function, input.name, input.kind, value).map_err(|r| BadCall::at(i, r))?);
    }
    let clock = match (graph.align_all(&mut inputs), on) {
        (Some(clock), Some(on)) if clock != on => {
            let wanted = graph.market(on).interval;
            return Err(Refusal::new(format!("{} of \"{wanted}\" is given a series of other candles", function.name))
                .hint(format!("write {}(…) without the timeframe before it", function.name))
                .into());
        }
        (clock, on) => clock.or(on).unwrap_or(0),
    };
    let interval = graph.market(clock).interval;
    if function.session && !holds_a_day(interval) {
        let message = format!("{} starts anew each day, which candles of \"{interval}\" cannot show", function.name);
        return Err(Refusal::new(message).hint("its intervals are 1m to 12h").into());
    }
    let params = parameters(function, &args[given..])
        .map_err(|bad| BadCall { argument: bad.argument.map(|i| i + given), ..bad })?;
    let defaults = function.inputs[..skipped].iter().filter_map(|input| input.default);
    let mut operands: Vec<_> = defaults.map(|field| graph.candle(field, clock).node).collect();
    operands.extend(inputs.iter().map(|series| series.node));
    operands.extend(function.candle.iter().map(|field| graph.candle(*field, clock).node));
    let outputs: Vec<Series> = (0u8..)
        .zip(function.outputs)
        .map(|(output, _)| {
            let op =
                Op::Call { function: function.name.into(), inputs: operands.clone(), params: params.clone(), output };
            graph.node(op, function.kind, Some(clock))
        })
        .collect();
    Ok(match outputs[..] {
        [single] => Value::Series(single),
        _ => Value::Record(Rc::new(Record { function, outputs })),
    })
}

/// Whether a day of candles, several of them, lies in every history: a candle of a day would be its own average, and of
/// 1s candles a history has a quarter of an hour.
fn holds_a_day(interval: Interval) -> bool {
    let in_a_day = Millis::DAY.0 / interval.shortest().0;
    (2..=market::history_blocks(interval) * market::BLOCK).contains(&in_a_day)
}

/// Pine's functions are given series that ours read from the candle.
fn reads_itself(function: &Function, args: &[Value]) -> Result<(), BadCall> {
    let series = args.iter().take_while(|arg| matches!(arg, Value::Series(_))).count();
    let constants = args[series..].iter().map(|arg| match arg {
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    });
    let most = function.inputs.len();
    let Some(constants) = constants.collect::<Option<Vec<_>>>() else { return Ok(()) };
    if series <= most || function.candle.is_empty() {
        return Ok(());
    }
    let fields: Vec<String> = function.candle.iter().map(|field| format!("{field:?}").to_lowercase()).collect();
    let takes = if most == 0 { "no series".to_owned() } else { format!("{most} series") };
    let message = format!("{} takes {takes}: it reads {} by itself", function.name, fields.join(" "));
    let fits = most == 0 && constants.len() <= function.params.len();
    let write = if fits { pine::shape(function.name, &constants) } else { function.signature() };
    Err(Refusal::new(message).hint(format!("write {write}")).into())
}

/// How many of the arguments are series: all inputs, or those without the leading defaults, as in `rsi(14)` and
/// `anchored_vwap(condition)`.
fn given_inputs(function: &Function, args: &[Value]) -> Result<usize, Refusal> {
    let all = function.inputs.len();
    let defaults = function.inputs.iter().take_while(|input| input.default.is_some()).count();
    let starts_with_constant = args.first().is_none_or(|first| matches!(first, Value::Number(_)));
    let fits_without = args.len() <= all - defaults + function.params.len();
    let without = fits_without && (starts_with_constant || args.len() < all);
    let given = if without { all - defaults } else { all };
    let required = given + function.params.iter().filter(|param| param.default.is_none()).count();
    let most = given + function.params.len();
    if args.len() < required || args.len() > most {
        let counted = counted(args.len());
        return Err(Refusal::new(format!("{} does not take {counted}", function.name))
            .hint(format!("write {}", function.signature())));
    }
    Ok(given)
}

fn series_argument(
    graph: &mut Graph,
    function: &Function,
    name: &str,
    kind: Kind,
    value: &Value,
) -> Result<Series, Refusal> {
    let wanted = format!("\"{name}\" of {} takes {}", function.name, plural(kind));
    match value.kind() {
        Some(found) if found == kind => Ok(graph.series(value).expect("a plain value")),
        Some(Kind::Bool) => {
            Err(Refusal::new(format!("{wanted}, not {}", value.describe())).hint(if function.name == "sum" {
                "write count(condition, length)"
            } else {
                "select(condition, 1, 0) makes a number of a bool"
            }))
        }
        Some(_) => Err(Refusal::new(format!("{wanted}, not {}", value.describe())).hint(function.signature())),
        None => Err(operators::not_plain(value, &wanted)),
    }
}

fn parameters(function: &Function, args: &[Value]) -> Result<Vec<f64>, BadCall> {
    let mut params = Vec::with_capacity(function.params.len());
    for (i, param) in function.params.iter().enumerate() {
        match args.get(i) {
            Some(value) => params.push(parameter(function, param, value).map_err(|r| BadCall::at(i, r))?),
            None => params.extend(param.default),
        }
    }
    Ok(params)
}

fn parameter(function: &Function, param: &Param, value: &Value) -> Result<f64, Refusal> {
    let name = format!("\"{}\" of {}", param.name, function.name);
    let Value::Number(n) = value else {
        let refusal = Refusal::new(format!("{name} must be a constant number, not {}", value.describe()));
        return Err(refusal.hint(function.signature()));
    };
    let whole = !param.whole || n.fract() == 0.0;
    if whole && *n >= param.min && *n <= param.max {
        return Ok(*n);
    }
    let kind = if param.whole { "a whole number" } else { "a number" };
    let (min, max, n) = (shown(param.min), shown(param.max), shown(*n));
    Err(Refusal::new(format!("{name} must be {kind} from {min} to {max}, not {n}")))
}
