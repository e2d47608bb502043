//! What the store costs: `cargo bench -p vyx-core`.
//!
//! Klines are spread over the series as the exchange sends them, so most writes and reads meet cold memory.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use vyx_core::store::{Columns, ReadError, Series, Shape, Store, Writer};
use vyx_core::sync::AtomicU64;
use vyx_core::{Interval, Kline, Millis, Provenance, Symbol, SymbolInfo, SymbolStatus};

/// Klines that are read and looked at while the writer never rests, unless that takes longer than a minute.
const LOOKED_AT: u64 = 100_000_000;
const LOOKING: Duration = Duration::from_secs(60);

const SYMBOLS: u32 = 100;
const SLOTS: u32 = 1_536;

fn info(n: u32) -> SymbolInfo {
    let symbol = Symbol::new(&format!("S{n}USDT")).unwrap();
    SymbolInfo { symbol, base: symbol, quote: symbol, status: SymbolStatus::Trading, tick_size: 0.0, step_size: 0.0 }
}

/// Every number follows from ordinal and trades, so a torn kline gives itself away.
fn kline(ordinal: i64, trades: u64, closed: bool) -> Kline {
    let n = (ordinal as u64 * 1_009 + trades) as f64;
    Kline {
        open_time: Interval::M1.open_time(ordinal),
        open: n + 1.0,
        high: n + 3.0,
        low: n + 0.5,
        close: n + 2.0,
        volume: n + 4.0,
        quote_volume: n + 5.0,
        trades,
        taker_buy_volume: n + 6.0,
        taker_buy_quote_volume: n + 7.0,
        closed,
        revision: 0,
        provenance: Provenance::Stream,
    }
}

/// A store whose rings are full.
fn full_store() -> (Store<'static>, Vec<Series>) {
    let shape = Shape::new(SYMBOLS, &[(Interval::M1, SLOTS)]).unwrap();
    let words: Vec<AtomicU64> = (0..shape.words()).map(|_| AtomicU64::new(0)).collect();
    let store = Store::initialize(Vec::leak(words), &shape).unwrap();
    let writer = Writer::attach(store);
    let series: Vec<Series> = (0..SYMBOLS)
        .map(|n| store.series(writer.put_symbol(&info(n), Millis(1)).unwrap(), Interval::M1).unwrap())
        .collect();
    for series in &series {
        (0..i64::from(SLOTS))
            .for_each(|ordinal| assert!(writer.put_kline(*series, &kline(ordinal, 4, true)).accepted()));
    }
    (store, series)
}

/// The next message of an endless stream: four states of each kline of each series, the last one closed.
fn message(series: &[Series], n: u64) -> (Series, Kline) {
    let (turn, symbol) = (n / series.len() as u64, n % series.len() as u64);
    let (ordinal, trades) = ((turn / 4) as i64 + i64::from(SLOTS), turn % 4 + 1);
    (series[symbol as usize], kline(ordinal, trades, trades == 4))
}

fn writes(c: &mut Criterion) {
    let (store, series) = full_store();
    let writer = Writer::attach(store);
    let mut n = 0;
    let mut group = c.benchmark_group("write");
    group.throughput(Throughput::Elements(1));
    group.bench_function("put_kline", |b| {
        b.iter(|| {
            let (series, kline) = message(&series, n);
            n += 1;
            assert!(writer.put_kline(series, &kline).accepted());
        });
    });
    group.finish();
}

fn read_all(c: &mut Criterion, group: &str, store: Store, series: &[Series]) {
    // Not in their order, or the reader would run into the writer at the same series again and again.
    let mut next = series.iter().rev().cycle();
    let mut columns = Columns::default();
    let mut reads = 0_u64;
    let mut group = c.benchmark_group(group);
    group.bench_function("last(100)", |b| {
        b.iter(|| {
            let read = store.last(*next.next().unwrap(), 100, true, None);
            reads += 1;
            if reads.is_multiple_of(64) {
                check(&read)
            }
            read
        });
    });
    group.bench_function("closes(100)", |b| {
        b.iter(|| black_box(store.closes(*next.next().unwrap(), 100).map_err(busy)))
    });
    group.bench_function("closed_into(all)", |b| {
        b.iter(|| black_box(store.closed_into(*next.next().unwrap(), 0..=i64::MAX, &mut columns).map_err(busy)));
    });
    group.bench_function("find", |b| {
        let names: Vec<Symbol> = (0..SYMBOLS).map(|n| info(n).symbol).collect();
        let mut next = names.iter().cycle();
        b.iter(|| black_box(store.find(next.next().unwrap()).expect("all are there")));
    });
    group.finish();
}

/// Reads that found the writer in their way at every try.
static BUSY: AtomicU64 = AtomicU64::new(0);

/// Counts a busy read; nothing else may happen.
fn busy(error: ReadError) {
    assert_eq!(error, ReadError::Busy);
    BUSY.fetch_add(1, Ordering::Relaxed);
}

/// Stops the benchmark at a torn kline.
fn check(read: &Result<Vec<Kline>, ReadError>) {
    match read {
        Ok(klines) => klines.iter().for_each(|k| {
            assert_eq!(*k, kline(Interval::M1.ordinal(k.open_time), k.trades, k.closed), "torn");
        }),
        Err(error) => busy(*error),
    }
}

fn reads(c: &mut Criterion) {
    let (store, series) = full_store();
    read_all(c, "read", store, &series);
}

fn reads_under_a_writer(c: &mut Criterion) {
    let (store, series) = full_store();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let written = scope.spawn(|| write_until(&stop, store, &series));
        read_all(c, "read under a writer at full rate", store, &series);
        stop.store(true, Ordering::Relaxed);
        println!(
            "meanwhile {:.0} klines/s were written; torn klines read: 0; reads that gave up: {}",
            written.join().unwrap(),
            BUSY.swap(0, Ordering::Relaxed),
        );
    });
}

/// Writes without a pause; how many klines a second that were.
fn write_until(stop: &AtomicBool, store: Store, series: &[Series]) -> f64 {
    let (writer, begun, mut n) = (Writer::attach(store), Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) {
        let (series, kline) = message(series, n);
        assert!(writer.put_kline(series, &kline).accepted());
        n += 1;
    }
    n as f64 / begun.elapsed().as_secs_f64()
}

/// Looks at every kline of very many reads, on all processors but the writer's.
fn torn(_: &mut Criterion) {
    let (store, series) = full_store();
    let stop = AtomicBool::new(false);
    let readers = std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1).max(1));
    let (mut times, written) = std::thread::scope(|scope| {
        let written = scope.spawn(|| write_until(&stop, store, &series));
        let readers: Vec<_> = (0..readers)
            .map(|number| {
                let series = &series;
                scope.spawn(move || look(store, series, number, LOOKED_AT / readers as u64))
            })
            .collect();
        let times: Vec<Duration> = readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect();
        stop.store(true, Ordering::Relaxed);
        (times, written.join().unwrap())
    });
    times.sort_unstable();
    println!(
        "{} klines read by {readers} threads, each looked at; torn: 0; reads that gave up: {}; meanwhile {written:.0} klines/s were written",
        times.len() * 100,
        BUSY.swap(0, Ordering::Relaxed),
    );
    let percentile = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e6;
    println!("a read of 100: p50 {:.2} µs, p99 {:.2} µs", percentile(50), percentile(99));
}

/// Reads 100 klines of one series after the other, until it has seen so many; how long each read took.
fn look(store: Store, series: &[Series], first: usize, klines: u64) -> Vec<Duration> {
    let begun = Instant::now();
    let mut times = Vec::new();
    let mut next = series.iter().rev().cycle().skip(first * series.len() / 2);
    while (times.len() as u64) * 100 < klines && begun.elapsed() < LOOKING {
        let series = *next.next().unwrap();
        let start = Instant::now();
        let read = store.last(series, 100, true, None);
        let took = start.elapsed();
        check(&read);
        if let Ok(klines) = &read {
            assert_eq!(klines.len(), 100);
            times.push(took);
        }
    }
    times
}

criterion_group!(benches, writes, reads, reads_under_a_writer, torn);
criterion_main!(benches);
