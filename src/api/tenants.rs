//! What sql/ must know of the server to tell who is speaking, and what a trader costs and waits for.

use crate::evaluate::market::StoreMarket;
use crate::{guc, shmem};
use pgrx::prelude::*;
use vyx_core::Symbol;
use vyx_engine::{Checked, ClockKey, Market};

/// The setting `vyx.jwt_logins`; NULL where vyx is not preloaded: there it is no setting but a name that any session can
/// give a value.
#[pg_extern(stable, parallel_safe, schema = "vyx", requires = ["schema"])]
fn _jwt_logins() -> Option<String> {
    shmem::store().is_ok().then(guc::jwt_logins)
}

/// How many symbols are tracked, for the cost of a trader that looks at all of them.
#[pg_extern(stable, parallel_safe, schema = "vyx", requires = ["schema"])]
fn _tracked_symbols() -> i32 {
    shmem::store().map_or(0, |store| store.symbols().count() as i32)
}

/// Of how many of these symbols, or of all, some series that a stored program reads has fewer candles than it needs before
/// it is decided. Candles that do not exist count as there: reading them all would take long, and a status is asked for often.
/// NULL where vyx is not preloaded or the program cannot be read.
#[pg_extern(stable, parallel_safe, schema = "vyx", requires = ["schema"])]
fn _warming(program: Option<&str>, symbols: Option<Vec<Option<String>>>) -> Option<i32> {
    let store = shmem::store().ok()?;
    let program = Checked::decode(program?.as_bytes()).ok()?;
    let market = StoreMarket::new(store);
    let needs: Vec<(ClockKey, usize)> = program.clocks().iter().copied().zip(program.warm_up()).collect();
    let lacks = |symbol: &Symbol| {
        needs.iter().any(|(clock, bars)| held(&market, clock.symbol.as_ref().unwrap_or(symbol), clock) < *bars as i64)
    };
    let covered: Vec<Option<Symbol>> = match symbols {
        Some(named) => named.into_iter().flatten().map(|name| Symbol::new(&name).ok()).collect(),
        None => store.symbols().map(|id| store.symbol(id).map(|entry| entry.info.symbol)).collect(),
    };
    Some(covered.iter().filter(|symbol| symbol.as_ref().is_none_or(&lacks)).count() as i32)
}

/// How long the history of a series is at its newest candle.
fn held(market: &StoreMarket, symbol: &Symbol, clock: &ClockKey) -> i64 {
    let Some(held) = market.held(symbol, clock.interval).filter(|held| held.from <= held.through) else { return 0 };
    let through = held.through.min(clock.interval.last_closed(market.store().market_time()));
    held.start(symbol, clock.interval, through).map_or(0, |start| through - start + 1)
}
