//! What several of these tests need: a statement's value or failure, a symbol with klines of the test's own.

use crate::shmem;
use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use vyx_core::store::{SymbolId, Writer};
use vyx_core::{Interval, Kline, Millis, Provenance, Symbol, SymbolInfo, SymbolStatus};

extension_sql!(
    r#"
CREATE SCHEMA vyx_test;
-- Runs a statement that must fail and gives its SQLSTATE, message, hint and detail.
CREATE FUNCTION vyx_test.failure(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE message text; hint text; detail text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT, detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' | ', SQLSTATE, message, hint, detail);
END $$;
"#,
    name = "vyx_test"
);

/// Open time of kline number 0: 2026-11-20 12:00 UTC. Number `n` is `n` minutes later.
pub const FIRST: i64 = 1_795_176_000_000;

/// A 1m kline that opens at `price` and closes 1 above.
pub fn kline(n: i64, price: f64, closed: bool) -> Kline {
    Kline {
        open_time: Millis(FIRST + n * 60_000),
        open: price,
        high: price + 2.0,
        low: price - 1.0,
        close: price + 1.0,
        volume: 10.0,
        quote_volume: 1_000.0,
        trades: 7,
        taker_buy_volume: 4.0,
        taker_buy_quote_volume: 400.0,
        closed,
        revision: 0,
        provenance: Provenance::Stream,
    }
}

/// Puts a symbol into the directory. Until its transaction ends the test is the only writer, as a store must have:
/// tests run beside each other.
pub fn symbol(name: &str) -> (Writer<'static>, SymbolId) {
    Spi::run("SELECT pg_advisory_xact_lock(7679, 1)").expect("waits for other tests");
    let writer = Writer::attach(shmem::store().expect("preloaded"));
    let asset = |text| Symbol::new(text).expect("a symbol");
    let info = SymbolInfo {
        symbol: asset(name),
        base: asset("AAA"),
        quote: asset("USDT"),
        status: SymbolStatus::Trading,
        tick_size: 0.01,
        step_size: 0.0,
    };
    let id = writer.put_symbol(&info, Millis(FIRST)).expect("room for the symbols of all tests");
    (writer, id)
}

/// Puts klines 0 to `count` − 1 into a 1m series, opening at whole prices from 100 to 122 in a jumble. `whole`: there was
/// nothing before.
pub fn fill(name: &str, count: i64, whole: bool) {
    let (writer, id) = symbol(name);
    let series = writer.store().series(id, Interval::M1).expect("1m is tracked");
    for n in 0..count {
        writer.put_kline(series, &kline(n, 100.0 + (n * 37 % 23) as f64, true));
    }
    if whole {
        writer.set_first_ever(series, Interval::M1.ordinal(Millis(FIRST)));
    }
}

/// The one value of a statement.
#[track_caller]
pub fn one<T: FromDatum + IntoDatum>(sql: &str) -> T {
    Spi::get_one(sql).expect("runs").expect("is not null")
}

/// Runs a statement that must fail with this SQLSTATE; the words must be in its message, hint or detail.
#[track_caller]
pub fn check_failure(statement: &str, sqlstate: &str, words: &[&str]) {
    let args = [DatumWithOid::from(statement)];
    let failure: String =
        Spi::get_one_with_args("SELECT vyx_test.failure($1)", &args).expect("runs").expect("is not null");
    assert!(failure.starts_with(sqlstate), "{statement}: {failure}");
    for word in words {
        assert!(failure.contains(word), "{statement}: {failure:?} lacks {word:?}");
    }
}
