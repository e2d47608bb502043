//! What is said to people who think in Pine: what it is called here, and everything else that is wrong as well.

use super::{brief, refused, request};

#[track_caller]
fn wrong(script: &str, expected: &str) {
    assert_eq!(brief(&refused(&request(script))), expected, "{script}");
}

#[test]
fn signs_and_words_get_their_rewrite() {
    let select = "\"a ? b : c\" is not in the language | write select(a, b, c)";
    wrong("let x = close > open ? 1 : 2; x > 1", &format!("1:22 {select}"));
    wrong("let x = close > open ? close > 2 ? 1 : 3 : 2; x > 1", &format!("1:22 {select}\n1:34 {select}"));
    wrong("#{ fire: close > open ? true : false, note: \"x\" }", &format!("1:23 {select}"));
    let var = "\"var\" is not in the language | write let x = …; a value of the candle before is x[1]";
    wrong("var x = 1; close > x", &format!("1:1 {var}"));
    wrong("varip x = 1; close > x", &format!("1:1 {}", var.replace("var\"", "varip\"")));
    wrong("x := 1", "1:3 \":=\" is not in the language | write x = …, or let x = … for a new name");
    wrong(
        "let x = 1; x := 2; close > x",
        "1:14 \":=\" is not in the language | write x = …, or let x = … for a new name",
    );
    wrong(
        "[a, b] = macd(close, 12, 26, 9); a > b",
        "1:1 \"[a, b] = …\" is not in the language | keep the record and take its fields: let m = macd(close, 12, 26, 9); m.macd > m.signal",
    );
    wrong("f(x) => x + 1", "1:6 \"=>\" does not define a function | write fn name(a, b) { … }");
    wrong("close > 1 AND open > 1", "1:11 \"AND\" is not in the language | write and, or &&");
    wrong("close > 1 OR open > 1", "1:11 \"OR\" is not in the language | write or, or ||");
    wrong("NOT (close > 1)", "1:1 \"NOT\" is not in the language | write not, or !");
    wrong(
        "close[1] crosses open",
        "1:10 two values that cross are not written in words | write crossover(a, b) for from below, crossunder(a, b) for from above, cross(a, b) for both",
    );
    wrong("float x = 1; close > x", "1:7 a name is defined without its type | write let x = …");
    wrong("if close > open\n  true", "2:3 a block stands in braces | write if condition { … } else { … }");
    wrong("tf('1h').close > 1", "1:4 a text stands in double quotes | write \"text\"");
    wrong("ta.sma(close, length=9) > 1", "1:21 arguments have no names here | write f(a, b): the values, in order");
    wrong("x = 1; close > x", "1:1 unknown name \"x\" | write let x = … for a new name");
}

#[test]
fn names_get_their_rewrite() {
    for (script, name, advice) in [
        ("indicator(\"x\")", "indicator", "leave it out: name, interval and symbols are given when it is saved"),
        ("study(\"x\", overlay=true)", "study", "leave it out: name, interval and symbols are given when it is saved"),
        (
            "strategy(\"x\")",
            "strategy",
            "a rule says when, not how much: end with #{ fire: condition, side: \"long\", stop: … }",
        ),
        (
            "strategy.entry(\"L\", strategy.long)",
            "strategy",
            "a rule says when, not how much: end with #{ fire: condition, side: \"long\", stop: … }",
        ),
        ("plot(close)", "plot", "a rule has no chart; its result is a bool, or #{ fire: …, side: …, note: … }"),
        ("plotshape(close > 1, color.red)", "plotshape", ""),
        (
            "alertcondition(close > 1)",
            "alertcondition",
            "the result is the alert: end with the condition, or #{ fire: condition, note: … }",
        ),
        ("rsi(close, input.int(14)) > 30", "input", "write let length = 14; the script is where a trader is set"),
        ("rsi(close, input(14)) > 30", "input", "write let length = 14; the script is where a trader is set"),
        (
            "request.security(\"BTCUSDT\", \"60\", close) > 1",
            "request",
            "write tf(\"1h\").close, or symbol(\"BTCUSDT\").tf(\"1h\").close",
        ),
        (
            "security(\"BTCUSDT\", \"60\", close) > 1",
            "security",
            "write tf(\"1h\").close, or symbol(\"BTCUSDT\").tf(\"1h\").close",
        ),
        ("iff(close > 1, 1, 2) > 1", "iff", "write select(condition, a, b)"),
        (
            "syminfo.tickerid == \"x\"",
            "syminfo",
            "its symbols are given when a trader is saved; another one is symbol(\"BTCUSDT\")",
        ),
        (
            "timeframe.period == \"60\"",
            "timeframe",
            "its interval is given when a trader is saved; a longer one is tf(\"1h\")",
        ),
        ("barstate.isconfirmed", "barstate", "a rule is asked once a candle, when that is closed"),
        ("bar_index > 5", "bar_index", "candles have no number; barssince(condition) counts back to one"),
        (
            "str.tostring(close) == \"x\"",
            "str",
            "a text is known when the rule is saved; put a series under a key of the result",
        ),
        ("math.avg(high, low) > 1", "avg", "write (a + b) / 2"),
        ("ta.bbw(close, 20, 2) > 1", "bbw", "write bb(close, 20, 2).width"),
        ("ta.kcw(close, 20, 1.5) > 1", "kcw", "write let k = kc(close, 20, 1.5); (k.upper - k.lower) / k.middle"),
        ("minute > 5", "minute", "of the candle's open there are time (in milliseconds), hour and dayofweek, in UTC"),
    ] {
        let problems = refused(&request(script));
        assert_eq!(problems[0].message, format!("\"{name}\" is not in the language"), "{script}");
        assert!(problems[0].hint.as_ref().expect("advice").starts_with(advice), "{script}: {problems:?}");
    }
    // Told once, however often it stands there.
    assert_eq!(refused(&request("strategy.entry(\"L\", strategy.long);\nstrategy.close(\"L\");\nclose > 1")).len(), 1);
}

#[test]
fn names_of_pine_are_free_for_a_scripts_own_use() {
    for name in ["period", "input", "n", "avg", "line", "minute"] {
        super::compiled(&request(&format!("let {name} = 14; rsi(close, {name}) < 30")));
    }
}

#[test]
fn calls_that_pine_writes_are_taken_as_they_stand() {
    for call in [
        "ta.pivothigh(high, 5, 5)",
        "ta.pivotlow(5, 5)",
        "ta.change(close)",
        "ta.cum(volume)",
        "ta.supertrend(3, 10).direction",
        "ta.sar(0.02, 0.02, 0.2)",
        "ta.kc(close, 20, 1.5).upper",
        "ta.mfi(hlc3, 14)",
        "ta.cci(close, 20)",
        "ta.wpr(14) + 200",
        "ta.highestbars(high, 10)",
        "ta.linreg(close, 14, 0)",
        "ta.percentrank(close, 100)",
        "ta.stdev(close, 20)",
        "ta.valuewhen(close > open, close, 0)",
        "ta.alma(close, 9, 0.85, 6)",
        "ta.hma(close, 9)",
        "ta.vwma(close, 20)",
        "ta.tsi(close, 13, 25)",
        "ta.correlation(close, open, 20)",
        "math.sum(close, 5)",
        "math.abs(close - open)",
        "math.max(close, open)",
        "nz(close[1])",
    ] {
        super::compiled(&request(&format!("{call} > 1")));
    }
}

#[test]
fn na_is_asked_for_and_not_compared() {
    let never = "never finds na: what is undefined equals nothing | write";
    wrong("close[1] == na", &format!("1:10 \"==\" {never} na(x)"));
    wrong("na != close[1]", &format!("1:4 \"!=\" {never} not na(x)"));
}

#[test]
fn arguments_that_pine_passes_and_a_function_reads_by_itself_are_told() {
    wrong(
        "ta.atr(high, low, close, 14) > 1",
        "1:4 atr takes no series: it reads high low close by itself | write atr(14)",
    );
    wrong(
        "ta.stoch(close, high, low, 14) > 80",
        "1:4 stoch takes no series: it reads high low close by itself | write stoch(14, 1, 1).k: Pine's is not smoothed",
    );
    for same in ["close > ta.vwap(hlc3)", "ta.dmi(14, 14).adx > 25"] {
        super::compiled(&request(same));
    }
    wrong("close > ta.vwap", "1:12 \"ta.vwap\" is a function | call it: ta.vwap(…)");
}

#[test]
fn a_whole_script_of_pine_is_told_in_one_answer() {
    wrong(
        "//@version=5\n\
         indicator(\"dip\", overlay=true)\n\
         len = input.int(14, title=\"Length\")\n\
         var float best = 0\n\
         [m, s, h] = ta.macd(close, 12, 26, 9)\n\
         r = ta.rsi(close, len)\n\
         best := math.max(best, r)\n\
         side = r < 30 ? 1 : 0\n\
         htf = request.security(syminfo.tickerid, \"60\", close)\n\
         clse > open and m > s and r < 30\n",
        "2:1 \"indicator\" is not in the language | leave it out: name, interval and symbols are given when it is saved\n\
         2:25 arguments have no names here | write f(a, b): the values, in order\n\
         3:1 expecting \";\" to terminate this statement | a statement ends with \";\", a line end does not end it\n\
         3:1 unknown name \"len\" | write let len = … for a new name\n\
         3:7 \"input\" is not in the language | write let length = 14; the script is where a trader is set\n\
         3:26 arguments have no names here | write f(a, b): the values, in order\n\
         4:1 \"var\" is not in the language | write let x = …; a value of the candle before is x[1]\n\
         4:11 a name is defined without its type | write let x = …\n\
         5:1 \"[a, b] = …\" is not in the language | keep the record and take its fields: let m = macd(close, 12, 26, 9); m.macd > m.signal\n\
         6:1 unknown name \"r\" | write let r = … for a new name\n\
         7:6 \":=\" is not in the language | write x = …, or let x = … for a new name\n\
         8:1 unknown name \"side\" | write let side = … for a new name\n\
         8:15 \"a ? b : c\" is not in the language | write select(a, b, c)\n\
         9:1 unknown name \"htf\" | write let htf = … for a new name\n\
         9:7 \"request\" is not in the language | write tf(\"1h\").close, or symbol(\"BTCUSDT\").tf(\"1h\").close\n\
         9:24 \"syminfo\" is not in the language | its symbols are given when a trader is saved; another one is symbol(\"BTCUSDT\")\n\
         10:1 unknown name \"clse\" | did you mean \"close\"?",
    );
}

#[test]
fn one_broken_statement_does_not_hide_the_others() {
    let b_and_d =
        "2:9 unknown name \"clse\" | did you mean \"close\"?\n4:1 unknown name \"opn\" | did you mean \"open\"?";
    // What follows may need what was broken, which is not told again.
    let rest = "let b = clse > 1;\nlet c = a && b;\nopn > 1 && c";
    for (broken, told) in [
        ("let a = close > (1];", "1:19 expecting \")\" for a matching ( in this expression"),
        ("let a = close > ;", "1:17 unexpected \";\""),
        ("let a = close 1;", "1:15 expecting \";\" to terminate this statement"),
        ("let a = (close > 1; ", "1:19 expecting \")\" for a matching ( in this expression"),
        ("let a = \"unfinished;", "1:9 open string is not terminated"),
        ("if true { let a = > 1; }", "1:19 unexpected \">\""),
        ("let a = #{ b: 1, c ];", "1:20 expecting \":\" to follow the property \"c\" in this object map literal"),
        ("fn a(x, { x }", "1:9 expecting \")\" to close the parameters list of function \"a\""),
    ] {
        let problems = brief(&refused(&request(&format!("{broken}\n{rest}"))));
        assert_eq!(problems, format!("{told}\n{b_and_d}"), "{broken}");
    }
    // The result was what could not be read: nothing is said of what stands in its place.
    wrong(
        "let a = clse;\n5;\nclose >> 1 close",
        "1:9 unknown name \"clse\" | did you mean \"close\"?\n3:12 expecting \";\" to terminate this statement",
    );
    wrong("let a = close > ;\nlet b = close > );\na && b", "1:17 unexpected \";\"\n2:17 unexpected \")\"");
    wrong(
        "let a = clse > 1;\nif true {\n a > 2",
        "1:9 unknown name \"clse\" | did you mean \"close\"?\n\
         3:7 the script ends too early | is a bracket or a quote still open?",
    );
    wrong(
        "clse > 1; /* and then",
        "0:0 a comment is not closed | \"*/\" ends it\n1:1 unknown name \"clse\" | did you mean \"close\"?",
    );
    wrong(
        "fn f(x) {\n let y = clse;\n y ? 1 : 2;\n opn + }\nf(2) > clse",
        "2:10 unknown name \"clse\" | did you mean \"close\"?\n\
         3:4 \"a ? b : c\" is not in the language | write select(a, b, c)\n\
         4:8 unexpected \"}\"\n\
         5:8 unknown name \"clse\" | did you mean \"close\"?",
    );
}
