//! Everything that is counted and measured, a row a number, or as Prometheus reads it.

mod evaluation;
pub mod text;

use super::{counts, health};
use crate::shmem;
use crate::worker::wall_time;
use pgrx::JsonB;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::borrow::Cow;
use vyx_core::store::{BUCKETS, Counter, Gauge, Histogram, Store, WorkerKind};

/// One number. No label grows with symbols or tenants.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: Cow<'static, str>,
    pub labels: Vec<(&'static str, Cow<'static, str>)>,
    pub value: f64,
    /// `counter`, which rises from 0 at server start, `gauge`, or `histogram`.
    pub kind: &'static str,
    pub help: &'static str,
}

impl Sample {
    fn gauge(name: &'static str, value: f64, help: &'static str) -> Sample {
        Sample { name: name.into(), labels: Vec::new(), value, kind: "gauge", help }
    }

    fn with(mut self, key: &'static str, value: impl Into<Cow<'static, str>>) -> Sample {
        self.labels.push((key, value.into()));
        self
    }
}

/// All of them; those of one name stand together.
fn samples() -> Result<Vec<Sample>, ErrorReport> {
    let store = shmem::store()?;
    let version = "The version of the library that is loaded.";
    let mut all = vec![Sample::gauge("vyx_info", 1.0, version).with("version", env!("CARGO_PKG_VERSION"))];
    all.extend(state(&store));
    all.extend(workers(&store));
    all.extend(Counter::ALL.iter().map(|counter| counted(&store, *counter)));
    all.extend(Gauge::ALL.iter().map(|gauge| {
        let name = format!("vyx_{}", gauge.name()).into();
        let value = store.gauge(*gauge) as f64 * gauge.scale();
        Sample { name, labels: Vec::new(), value, kind: "gauge", help: gauge.help() }
    }));
    all.extend(Histogram::ALL.iter().flat_map(|histogram| buckets(&store, *histogram)));
    all.extend(evaluation::samples(&store));
    let queue = "How full the queue of notifications of all databases is, of 1.";
    all.push(Sample::gauge("vyx_notification_queue_ratio", counts::notification_queue_usage(), queue));
    all.push(Sample::gauge("vyx_symbols", store.symbols().count() as f64, "Symbols that are tracked."));
    all.push(Sample::gauge("vyx_open_gaps", store.open_gaps() as f64, "Runs of klines that are missing."));
    Ok(all)
}

fn counted(store: &Store<'static>, counter: Counter) -> Sample {
    let labels = counter.label().map(|(key, value)| (key, value.into())).into_iter().collect();
    let name = format!("vyx_{}_total", counter.name()).into();
    Sample { name, labels, value: store.count(counter) as f64, kind: "counter", help: counter.help() }
}

/// The same as `vyx_health()` says, one of the three being 1.
fn state(store: &Store<'static>) -> impl Iterator<Item = Sample> {
    let (now, _) = health::assess(store, wall_time());
    ["ok", "degraded", "down"].into_iter().map(move |status| {
        let value = f64::from(u8::from(status == now));
        Sample::gauge("vyx_health", value, "The state of the whole: 1 for the one that it is in.")
            .with("status", status)
    })
}

fn workers(store: &Store<'static>) -> impl Iterator<Item = Sample> {
    [
        ("ingest", WorkerKind::Ingest),
        ("evaluate", WorkerKind::Evaluate),
        ("evaluate patient", WorkerKind::EvaluatePatient),
    ]
    .map(|(name, kind)| {
        let heartbeat = store.worker(kind).status().map_or(0.0, |worker| worker.heartbeat.0 as f64 / 1e3);
        let help = "Local time at which the worker last reported; 0 where it does not run.";
        Sample::gauge("vyx_worker_heartbeat_timestamp_seconds", heartbeat, help).with("worker", name)
    })
    .into_iter()
}

/// As Prometheus has them: each bucket counts the ones below it too.
fn buckets(store: &Store<'static>, histogram: Histogram) -> Vec<Sample> {
    let counts = store.histogram(histogram);
    let sample = |suffix: &str, value| Sample {
        name: format!("vyx_{}{suffix}", histogram.name()).into(),
        labels: Vec::new(),
        value,
        kind: "histogram",
        help: histogram.help(),
    };
    let bounds = BUCKETS.iter().map(|ms| (*ms as f64 / 1e3).to_string()).chain(["+Inf".to_owned()]);
    let mut below = 0;
    let mut all: Vec<Sample> = bounds
        .zip(counts.buckets)
        .map(|(bound, count)| {
            below += count;
            sample("_bucket", below as f64).with("le", bound)
        })
        .collect();
    all.push(sample("_sum", counts.sum.as_secs_f64()));
    all.push(sample("_count", below as f64));
    all
}

/// The counters, which rise from 0 at server start, the gauges, which say what is so now, and the histograms.
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
    let rows = samples()?.into_iter().map(|sample| {
        let text = |text: Cow<'static, str>| serde_json::Value::String(text.into_owned());
        let labels = sample.labels.into_iter().map(|(key, value)| (key.to_owned(), text(value)));
        (sample.name.into_owned(), JsonB(labels.collect()), sample.value, sample.kind, sample.help)
    });
    Ok(TableIterator::new(rows.collect::<Vec<_>>()))
}

/// The same in Prometheus' text format, version 0.0.4.
#[pg_extern(stable, parallel_safe)]
fn vyx_metrics_text() -> Result<String, ErrorReport> {
    Ok(text::exposition(&samples()?))
}
