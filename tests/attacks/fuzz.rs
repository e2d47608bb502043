//! Every function of the extension, whatever it is given: an answer or an error that says what was wrong, never an
//! internal one, never a crash, and an end when it is told to end.
//!
//! `VYX_FUZZ_CALLS` makes it longer, `VYX_FUZZ_SEED` another; a failure says both and the call.

use super::{SECRET, Town};
use crate::harness::Session;
use std::time::{Duration, Instant};
use tokio_postgres::error::SqlState;

/// So many calls take a few seconds.
const CALLS: u64 = 1_500;
/// When a call is told to end.
const TIMEOUT: Duration = Duration::from_millis(100);
/// How much later it has ended on a machine that is busy.
const PATIENCE: Duration = Duration::from_millis(1_500);

pub struct Function {
    /// `SELECT * FROM` or `CALL`.
    pub verb: &'static str,
    pub name: String,
    /// Name and type.
    pub arguments: Vec<(String, String)>,
}

/// All functions of the extension.
pub fn functions(admin: &Session) -> Vec<Function> {
    let rows = admin.rows(
        "SELECT p.prokind = 'p', p.oid::regproc::text,
                ARRAY(SELECT coalesce(p.proargnames[a.n], '') FROM unnest(p.proargtypes) WITH ORDINALITY AS a(t, n) ORDER BY a.n),
                ARRAY(SELECT format_type(a.t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS a(t, n) ORDER BY a.n)
         FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
         JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx' ORDER BY 2",
        &[],
    );
    let function = |row: &tokio_postgres::Row| {
        let (names, types): (Vec<String>, Vec<String>) = (row.get(2), row.get(3));
        let verb = if row.get(0) { "CALL" } else { "SELECT * FROM" };
        Function { verb, name: row.get(1), arguments: names.into_iter().zip(types).collect() }
    };
    rows.iter().map(function).collect()
}

/// SplitMix64: a seed is a whole run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len())]
    }
}

const TEXTS: [&str; 26] = [
    "''",
    "' '",
    "'BTCUSDT'",
    "'btcusdt'",
    "'币安人生USDT'",
    "'NOSUCHUSDT'",
    "'1m'",
    "'1M'",
    "'5m'",
    "'1h'",
    "'7m'",
    "'edge'",
    "'match'",
    "'close > 0'",
    "'close'",
    "'#{ fire: rsi(close, 14) < 30, side: \"long\" }'",
    "'sma(close, 100000)'",
    "'loop {}'",
    "'NaN'",
    "'%s%n$$\\'",
    "E'\\u0001\\u202e'",
    "repeat('x', 1000000)",
    "repeat('(', 16000)",
    "repeat('close + ', 2000) || '1'",
    "'{}'",
    "'2147483648'",
];
const INT4: [&str; 9] = ["0", "1", "-1", "5", "256", "65536", "65537", "2147483647", "-2147483648"];
const INT8: [&str; 7] = ["0", "1", "-1", "999", "9223372036854775807", "-9223372036854775808", "1803859100000"];
const FLOATS: [&str; 8] = ["0", "'-0'", "1.5", "'NaN'", "'Infinity'", "'-Infinity'", "1e308", "5e-324"];
const TIMES: [&str; 8] = [
    "'infinity'",
    "'-infinity'",
    "'epoch'",
    "'4713-01-01 00:00 BC'",
    "'294276-12-31 23:59'",
    "'2027-03-01'",
    "'2027-03-01 00:00:00.000001'",
    "now()",
];
const DATES: [&str; 5] = ["'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'", "'2027-03-01'"];
const SPANS: [&str; 6] = ["'0'", "'1 microsecond'", "'-1 day'", "'178000000 years'", "'-178000000 years'", "'1 hour'"];
const ARRAYS: [&str; 9] = [
    "'{}'",
    "'{BTCUSDT}'",
    "'{btcusdt,BTCUSDT}'",
    "'{BTCUSDT,NULL}'",
    "'{NULL}'",
    "'{{BTCUSDT,A},{B,C}}'",
    "'[5:6]={BTCUSDT,A}'",
    "'{\"\",\" \"}'",
    "array_fill('BTCUSDT'::text, '{5000}')",
];
const JSONS: [&str; 12] = [
    "'{}'",
    "'[]'",
    "'null'",
    "'7'",
    "'\"x\"'",
    "'[[[[[]]]]]'",
    "'[{}]'",
    "'[null, 1, \"x\", {\"close_time\": \"never\"}]'",
    "'{\"watermarks\": [], \"finished\": [], \"pending\": [], \"signals\": [], \"failures\": [], \"cycles\": [], \"settled\": 0}'",
    "'{\"watermarks\": 1, \"finished\": {}, \"signals\": \"x\"}'",
    "'[{\"trader_id\": \"x\", \"symbol\": 7, \"interval\": \"1m\", \"close_time\": 1e300}]'",
    "('[' || repeat('[', 6000) || repeat(']', 6000) || ']')",
];

/// An argument that a function of this signature may well be given.
pub fn plain(name: &str, of: &str, id: &str) -> String {
    let value = match (of, name) {
        ("uuid", _) => return format!("'{id}'"),
        (_, "symbol") => "'BTCUSDT'",
        (_, "interval") => "'1m'",
        (_, "script") => "'close > 0'",
        (_, "expression") => "'close'",
        (_, "cursor") => "'start'",
        (_, "publication") => "'herald'",
        ("text[]", _) => "'{BTCUSDT}'",
        ("integer" | "bigint" | "double precision" | "smallint" | "numeric", _) => "5",
        ("boolean", _) => "true",
        ("json" | "jsonb", _) => "'[]'",
        ("interval", _) => "'0'",
        _ => "NULL",
    };
    value.to_owned()
}

fn odd(dice: &mut Dice, of: &str, id: &str) -> String {
    if dice.roll(6) == 0 {
        return "NULL".to_owned();
    }
    let value = match of {
        "text" | "character varying" | "name" => dice.pick(&TEXTS),
        "integer" | "smallint" => dice.pick(&INT4),
        "bigint" => dice.pick(&INT8),
        "double precision" | "real" | "numeric" => dice.pick(&FLOATS),
        "boolean" => dice.pick(&["true", "false"]),
        "timestamp with time zone" | "timestamp without time zone" => dice.pick(&TIMES),
        "date" => dice.pick(&DATES),
        "interval" => dice.pick(&SPANS),
        "text[]" => dice.pick(&ARRAYS),
        "json" | "jsonb" => dice.pick(&JSONS),
        "uuid" => {
            return [format!("'{id}'"), "'00000000-0000-0000-0000-000000000000'".into(), "gen_random_uuid()".into()]
                [dice.roll(3)]
            .clone();
        }
        // A row type, or one that is new here.
        _ => "NULL",
    };
    // What is no value of that type at all.
    if dice.roll(40) == 0 { "'x'".to_owned() } else { value.to_owned() }
}

/// Runs what stands between two calls, which the timeout of one of them may reach.
fn between(session: &Session, sql: &str) {
    let outcome = (0..5)
        .map(|_| session.try_run(sql))
        .find(|outcome| outcome.as_ref().err().and_then(|error| error.code()) != Some(&SqlState::QUERY_CANCELED));
    outcome.expect("no session is cancelled for ever").unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
}

fn from_environment(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn every_function_answers_or_refuses_whatever_it_is_given() {
    let town = Town::get();
    let admin = town.admin();
    let functions = functions(&admin);
    assert!(functions.len() > 40, "{} functions are too few", functions.len());
    let id = town.trader(&admin, &format!("{SECRET} fires"));
    let (calls, seed) = (from_environment("VYX_FUZZ_CALLS", CALLS), from_environment("VYX_FUZZ_SEED", 1));
    let mut dice = Dice(seed);
    let sessions = [
        ("a superuser", town.admin()),
        ("the tenant", town.cluster.session_as("alice")),
        ("a stranger", town.cluster.session_as("stranger")),
    ];
    for (_, session) in &sessions {
        session.run("SET client_min_messages = error");
    }
    let mut wrong = Vec::new();
    let (mut answered, mut refused, mut cancelled) = (0, 0, 0);
    for n in 0..calls {
        let function = &functions[n as usize % functions.len()];
        let (who, session) = &sessions[[0, 0, 0, 0, 1, 1, 1, 1, 1, 2][dice.roll(10)]];
        let mut arguments = Vec::new();
        for (name, of) in &function.arguments {
            let value = if dice.roll(2) == 0 { plain(name, of, &id) } else { odd(&mut dice, of, &id) };
            arguments.push(format!("({value})::{of}"));
        }
        let call = format!("{} {}({})", function.verb, function.name, arguments.join(", "));
        // Now and then in the midst of it, whatever it is doing then.
        let end = if dice.roll(4) == 0 { Duration::from_millis(1 + dice.roll(5) as u64) } else { TIMEOUT };
        between(session, &format!("SET statement_timeout = {}", end.as_millis()));
        let start = Instant::now();
        let outcome =
            if function.verb == "CALL" { session.try_run(&call) } else { session.try_run(&format!("BEGIN; {call}")) };
        let took = start.elapsed();
        if function.verb != "CALL" {
            between(session, "ROLLBACK");
        }
        let told = match outcome {
            Ok(()) => {
                answered += 1;
                None
            }
            Err(error) => match error.code().map(|code| code.code().to_owned()) {
                Some(code) if code == "57014" => {
                    cancelled += 1;
                    None
                }
                Some(code) if !code.starts_with("XX") => {
                    refused += 1;
                    None
                }
                // An internal error, or a session that was lost.
                _ => Some(format!("{error:?}")),
            },
        };
        if told.is_some() || took > TIMEOUT + PATIENCE {
            wrong.push(format!("{who}: {call}\nafter {took:?}: {told:?}"));
            assert!(told.is_none_or(|told| told.contains("XX")), "{}", wrong.join("\n\n"));
        }
    }
    eprintln!(
        "{calls} calls of {} functions, seed {seed}: {answered} answers, {refused} refusals, {cancelled} cancelled",
        functions.len()
    );
    assert!(wrong.is_empty(), "{} of {calls} calls, seed {seed}:\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(answered > calls / 20 && refused > calls / 20, "{answered} answers and {refused} refusals prove little");
    town.is_unharmed();
}
