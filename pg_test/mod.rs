//! SQL types, SQLSTATEs and rights inside one session of a real server; one file per file of `src/api`.
//!
//! The server of `cargo pgrx test` has no exchange: its feed is pointed at a port where nobody listens, so the ring
//! holds what a test writes into it.

mod backtest;
mod delivery;
mod evaluate;
mod explain;
mod market;
mod matching;
mod metrics;
mod rights;
mod support;
mod tenants;
mod traders;
mod worker;
mod writer;

/// Required by `cargo pgrx test`: nothing to prepare.
#[cfg(test)]
pub fn setup(_options: Vec<&str>) {}

/// Required by `cargo pgrx test`: the settings of its server.
#[cfg(test)]
#[must_use]
pub fn postgresql_conf_options() -> Vec<&'static str> {
    vec![
        "shared_preload_libraries = 'vyx'",
        "vyx.stream_url = 'ws://127.0.0.1:9'",
        "vyx.rest_url = 'http://127.0.0.1:9'",
        "vyx.symbols = 'BTCUSDT'",
        "vyx.intervals = '1m,1h'",
        "vyx.max_symbols = 96",
        "vyx.evaluate_worker = off",
    ]
}
