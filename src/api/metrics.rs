//! Everything that is counted and measured, a row a number.

use crate::shmem;
use pgrx::JsonB;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use vyx_core::store::{Counter, Gauge};

/// The counters, which rise from 0 at server start, and the gauges, which say what is so now.
#[pg_extern(stable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn vyx_metrics() -> Result<
    TableIterator<
        'static,
        (
            name!(name, String),
            name!(labels, JsonB),
            name!(value, f64),
            name!(type, &'static str),
            name!(help, &'static str),
        ),
    >,
    ErrorReport,
> {
    let store = shmem::store()?;
    let none = || JsonB(serde_json::Value::Object(serde_json::Map::new()));
    let counter =
        |c: &Counter| (format!("vyx_{}_total", c.name()), none(), store.count(*c) as f64, "counter", c.help());
    let gauge = |g: &Gauge| (format!("vyx_{}", g.name()), none(), store.gauge(*g) as f64, "gauge", g.help());
    let rows: Vec<_> = Counter::ALL.iter().map(counter).chain(Gauge::ALL.iter().map(gauge)).collect();
    Ok(TableIterator::new(rows))
}
