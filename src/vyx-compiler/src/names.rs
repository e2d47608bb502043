//! The names a script may use, and the nearest one when it uses another.

use crate::graph::Graph;
use crate::value::{Market, Series, Value};
use vyx_core::Interval;
use vyx_engine::catalog;
use vyx_engine::program::{Arithmetic, Field};
use vyx_engine::{Kind, NodeId, Op};

/// The series of candles, as scripts name them.
pub const SERIES: [&str; 22] = [
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trades",
    "buy_volume",
    "sell_volume",
    "volume_delta",
    "hl2",
    "hlc3",
    "ohlc4",
    "ha_open",
    "ha_high",
    "ha_low",
    "ha_close",
    "time",
    "hour",
    "dayofweek",
    "change_24h",
    "quote_volume_24h",
];

/// Functions that are made of nodes of their own; all others are in the catalog.
pub const BUILT_IN: [&str; 17] = [
    "select", "abs", "min", "max", "na", "nz", "sqrt", "log", "log10", "exp", "floor", "ceil", "round", "sign", "pow",
    "tf", "symbol",
];

/// Prefixes that Pine's functions carry.
pub const NAMESPACES: [&str; 2] = ["ta", "math"];

/// Whether a script may not give this name to something of its own.
pub fn taken(name: &str) -> bool {
    SERIES.contains(&name) || BUILT_IN.contains(&name) || NAMESPACES.contains(&name) || catalog::find(name).is_some()
}

/// The series of this name on these candles; `None` for any other name.
pub fn series(graph: &mut Graph, market: &Market, name: &str) -> Option<Series> {
    let clock = graph.clock(market);
    let field = match name {
        "open" => Field::Open,
        "high" => Field::High,
        "low" => Field::Low,
        "close" => Field::Close,
        "volume" => Field::Volume,
        "quote_volume" => Field::QuoteVolume,
        "trades" => Field::Trades,
        "buy_volume" => Field::BuyVolume,
        "hl2" => Field::Hl2,
        "hlc3" => Field::Hlc3,
        "ohlc4" => Field::Ohlc4,
        "time" => Field::Time,
        "hour" => Field::Hour,
        "dayofweek" => Field::Dayofweek,
        _ => return derived(graph, market, clock, name),
    };
    Some(graph.candle(field, clock))
}

/// Series that are arithmetic on others.
fn derived(graph: &mut Graph, market: &Market, clock: u8, name: &str) -> Option<Series> {
    use Arithmetic::{Div, Mul, Sub};
    Some(match name {
        "ha_open" | "ha_high" | "ha_low" | "ha_close" => heikin_ashi(graph, clock, &name["ha_".len()..])?,
        "sell_volume" => {
            let [all, bought] = [Field::Volume, Field::BuyVolume].map(|f| graph.candle(f, clock));
            math(graph, Sub, all, bought)
        }
        "volume_delta" => {
            let sold = derived(graph, market, clock, "sell_volume")?;
            let bought = graph.candle(Field::BuyVolume, clock);
            math(graph, Sub, bought, sold)
        }
        "change_24h" => {
            // In percent of the first open of the last 288 closed five-minute candles.
            let day = five_minutes(graph, market);
            let [first, last] = [Field::Open, Field::Close].map(|f| graph.candle(f, day));
            let first = graph.node(Op::Lag(first.node, DAY - 1), Kind::Number, Some(day));
            let change = math(graph, Sub, last, first);
            let share = math(graph, Div, change, first);
            let hundred = graph.series(&Value::Number(100.0))?;
            let percent = math(graph, Mul, share, hundred);
            graph.aligned(percent)
        }
        "quote_volume_24h" => {
            let day = five_minutes(graph, market);
            let volume = graph.candle(Field::QuoteVolume, day);
            let total = call(graph, day, "sum", 0, vec![volume.node], vec![f64::from(DAY)]);
            graph.aligned(total)
        }
        _ => return None,
    })
}

/// Five-minute candles in a day.
const DAY: u16 = 288;

fn five_minutes(graph: &mut Graph, market: &Market) -> u8 {
    graph.clock(&Market { symbol: market.symbol.clone(), interval: Interval::M5 })
}

fn heikin_ashi(graph: &mut Graph, clock: u8, field: &str) -> Option<Series> {
    let function = catalog::find("heikin_ashi")?;
    let output = function.outputs.iter().position(|o| *o == field)?;
    let inputs = function.candle.iter().map(|f| graph.candle(*f, clock).node).collect();
    Some(call(graph, clock, function.name, output, inputs, Vec::new()))
}

fn call(graph: &mut Graph, clock: u8, function: &str, output: usize, inputs: Vec<NodeId>, params: Vec<f64>) -> Series {
    let output = u8::try_from(output).expect("few outputs");
    graph.node(Op::Call { function: function.into(), inputs, params, output }, Kind::Number, Some(clock))
}

/// On operands of one clock, or constants.
fn math(graph: &mut Graph, op: Arithmetic, a: Series, b: Series) -> Series {
    graph.node(Op::Arithmetic(op, a.node, b.node), Kind::Number, a.clock.or(b.clock))
}

/// "did you mean …?" with the candidate that is fewest edits away, if that is near enough to be a slip.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let lower = name.to_lowercase();
    let allowed = (lower.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, candidate)| (*edits, candidate.len()))
        .map(|(_, candidate)| format!("did you mean \"{candidate}\"?"))
}

/// Edits from one word to the other: a letter more, less, changed, or swapped with its neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(40).collect(), b.chars().take(40).collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut edits = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                edits = edits.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = edits;
        }
    }
    rows[a.len()][b.len()]
}
