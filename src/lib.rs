//! vyx: a live crypto market and its signal engine inside Postgres.
//!
//! ```text
//!  exchange ──ws/http──▶ vyx-feed ──Sink──▶ vyx-ingest ──▶ vyx-core::Store (shared memory) ◀──▶ snapshot file
//!                                                                │            │
//!                                              closed candles    │            │  klines, tickers
//!                                                                ▼            ▼
//!  script ─▶ vyx-compiler ─▶ program ─▶ vyx.traders ─▶ evaluate (vyx-engine)  api ─▶ SQL readers
//!            (own process)                               │
//!                                                        ▼
//!                                       vyx.commit_batch: signals + watermarks, one transaction
//! ```
//!
//! Data goes one way: exchange → wire → [`Sink`](vyx_feed::Sink) → ring → columns → programs → outcomes → table.
//! What is missing on the way is noticed by the feed, noted in the ledger of gaps beside the rings, and ended there.
//! A script goes its own way once: text → compiler → program → table. Control goes the other way, as settings
//! read at the top of a loop.
//!
//! The rooms, and what each must not know:
//!
//! | room | what it is for | what it must not know |
//! |---|---|---|
//! | `vyx-core` | vocabulary; the store: rings, tickers, directory, counters over a slice of atomic words | Postgres, clocks, I/O |
//! | `vyx-feed` | the exchange: streams, history, reconnection | Postgres, the store |
//! | `vyx-ingest` | what the feed says into the store; the snapshot file | Postgres |
//! | `vyx-engine` | programs, indicators, evaluation as columns | scripts, rings, Postgres |
//! | `vyx-compiler` | script text to program, in a confined process of its own | Postgres; it is not linked here |
//! | [`guc`] | the settings | |
//! | [`pause`] | the kill switches | who obeys them |
//! | [`shmem`] | the one place where references are made from Postgres' shared memory | SQL |
//! | [`worker`] | the processes `vyx ingest`, `vyx evaluate` and `vyx evaluate patient` | parsing, arithmetic |
//! | [`compile`] | starts the compiler, feeds it, reaps it | the language |
//! | [`evaluate`] | what is due, its outcomes, the batch that is written | who called it |
//! | [`api`] | SQL functions: check the words, ask the room, hand over rows | arithmetic |
//! | [`templates`] | rules to begin with: data | who shows them |
//! | [`error`] | the one map from errors to SQLSTATE | |
//! | [`installed`] | whether the extension's SQL is of the library's version | |
//! | [`encoding`] | which symbols this session's database can name | |
//! | `sql/` | tables, row level security, grants, the one writer | |
//! | `pg_test/`, `tests/` | tests inside one session; tests of a real cluster against the simulator | `tests/`: everything but SQL |
//! | `tests/sim` | the simulator of the exchange | the feed: a shared mistake would cancel itself out |
//! | `tests/demo` | what `make` runs: set-up, private cluster, demo | |
//!
//! Invariants: one writer a series; readers take no lock; no transaction is open while the network is awaited; no
//! script runs in a Postgres process; a signal and its watermark move in one transaction; the ring is a cache, the
//! tables are the truth about what was evaluated.

#![deny(unsafe_code)]

mod api;
mod compile;
mod encoding;
mod error;
mod evaluate;
mod guc;
mod installed;
mod pause;
mod shmem;
mod templates;
mod worker;

#[cfg(any(test, feature = "pg_test"))]
#[path = "../pg_test/mod.rs"]
pub mod pg_test;

use pgrx::prelude::*;

::pgrx::pg_module_magic!(name, version);

// The tables come first and the rights last, over everything. Each file requires the one before it, so that the install
// script is the same wherever it is made: the upgrade script is compared with it.
extension_sql_file!("../sql/schema.sql", name = "schema", bootstrap);
extension_sql_file!("../sql/tenants.sql", name = "tenants", requires = ["schema"]);
extension_sql_file!("../sql/usage.sql", name = "usage", requires = ["tenants"]);
extension_sql_file!("../sql/traders.sql", name = "traders", requires = ["usage"]);
extension_sql_file!("../sql/status.sql", name = "status", requires = ["traders"]);
extension_sql_file!("../sql/retry.sql", name = "retry", requires = ["status"]);
extension_sql_file!("../sql/forget.sql", name = "forget", requires = ["retry"]);
extension_sql_file!("../sql/upkeep.sql", name = "upkeep", requires = ["forget"]);
extension_sql_file!("../sql/evaluate.sql", name = "evaluate", requires = ["upkeep"]);
extension_sql_file!("../sql/shadow.sql", name = "shadow", requires = ["evaluate"]);
extension_sql_file!("../sql/cron.sql", name = "cron", requires = ["shadow"]);
extension_sql_file!("../sql/resume.sql", name = "resume", requires = ["cron"]);
extension_sql_file!("../sql/publish.sql", name = "publish", requires = ["resume"]);
extension_sql_file!("../sql/metrics.sql", name = "metrics", requires = ["publish"]);
extension_sql_file!(
    "../sql/functions.sql",
    name = "functions",
    requires = [
        "metrics",
        vyx_klines,
        vyx_closes,
        vyx_columns,
        vyx_snapshot,
        vyx_tickers,
        vyx_ticker,
        vyx_symbols,
        vyx_series,
        vyx_gaps,
        vyx_health,
        vyx_pause,
        vyx_resume,
        _paused_since,
        vyx_metrics,
        vyx_metrics_text,
        vyx_version,
        vyx_validate,
        vyx_values,
        vyx_screen,
        vyx_explain,
        vyx_matching,
        vyx_backtest,
        vyx_backtest_summary,
        vyx_indicators,
        _format,
        vyx_templates,
        _tracked_symbols,
        _warming,
        _jwt_logins,
        _market_time,
        _evaluate_batch
    ]
);
extension_sql_file!("../sql/security.sql", name = "security", finalize);

/// Tells pgrx, which wants to know every schema, of the one that sql/schema.sql makes.
#[pg_schema]
mod vyx {}

/// Called by Postgres when the library is loaded.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    // Without preloading there is neither shared memory nor a worker; the SQL functions say so. A server that runs
    // for pg_upgrade must not fetch or evaluate anything.
    if !shmem::preloading() {
        return;
    }
    guc::define();
    compile::open();
    shmem::reserve();
    worker::register();
}
