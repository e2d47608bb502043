//! Names that Pine and Rhai have and the language has not, and what to write instead.

/// What is said of such a name; `None` for any other. Whatever the script or the catalog defines comes first.
pub fn advice(name: &str) -> Option<&'static str> {
    Some(match name {
        "eval" | "Fn" | "call" | "curry" | "is_def_fn" | "is_def_var" | "is_shared" | "type_of" => {
            "a rule is known in full when it is saved"
        }
        "print" | "debug" => "put what you want to see under a key of the result: #{ fire: …, seen: x }",
        "sleep" | "timestamp" | "timenow" | "exit" | "import" | "export" | "parse_json" | "rand" | "random" => {
            "a rule has its candles and nothing else"
        }
        "plot" | "plotshape" | "plotchar" | "plotarrow" | "plotcandle" | "plotbar" | "hline" | "fill" | "bgcolor"
        | "barcolor" | "label" | "line" | "box" | "table" | "color" => {
            "a rule has no chart; its result is a bool, or #{ fire: …, side: …, note: … }"
        }
        "alertcondition" | "alert" => {
            "the result is the alert: end with the condition, or #{ fire: condition, note: … }"
        }
        "strategy" => "a rule says when, not how much: end with #{ fire: condition, side: \"long\", stop: … }",
        "indicator" | "study" | "library" => "leave it out: name, interval and symbols are given when it is saved",
        "input" => "write let length = 14; the script is where a trader is set",
        "request" | "security" => "write tf(\"1h\").close, or symbol(\"BTCUSDT\").tf(\"1h\").close",
        "iff" => "write select(condition, a, b)",
        "syminfo" | "ticker" | "tickerid" => {
            "its symbols are given when a trader is saved; another one is symbol(\"BTCUSDT\")"
        }
        "timeframe" | "period" => "its interval is given when a trader is saved; a longer one is tf(\"1h\")",
        "barstate" => "a rule is asked once a candle, when that is closed",
        "bar_index" | "last_bar_index" | "n" => "candles have no number; barssince(condition) counts back to one",
        "array" | "matrix" | "map" => "a list of constants is [1, 2, 3]; a series is looked back in with x[n]",
        "str" | "tostring" => "a text is known when the rule is saved; put a series under a key of the result",
        "minute" | "second" | "month" | "year" | "dayofmonth" | "weekofyear" | "time_close" => {
            "of the candle's open there are time (in milliseconds), hour and dayofweek, in UTC"
        }
        "avg" => "write (a + b) / 2",
        "bbw" => "write bb(close, 20, 2).width",
        "kcw" => "write let k = kc(close, 20, 1.5); (k.upper - k.lower) / k.middle",
        "range" => "for a loop write for i in 0..10; of a series it is highest(x, n) - lowest(x, n)",
        "fixnan" => "write valuewhen(not na(x), x)",
        "float" | "int" | "tofloat" | "to_float" => {
            "a number is a number; floor(x), ceil(x) and round(x) make it whole"
        }
        _ => return None,
    })
}

/// How a function is called that Pine gives series which ours reads by itself.
pub fn shape(function: &str, constants: &[String]) -> String {
    match (function, constants) {
        ("stoch", [length]) => format!("stoch({length}, 1, 1).k: Pine's is not smoothed"),
        _ => format!("{function}({})", constants.join(", ")),
    }
}
