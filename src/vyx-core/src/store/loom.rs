//! Interleavings of one writer and its readers, with every reordering that the memory model allows. All of
//! them for the sequence lock with one reader; up to a number of preemptions where there are more readers or
//! a whole ring, since the number of executions explodes: a kline alone is ten words, each of which a reader
//! may see old or new.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p vyx-core --release --lib loom`

use super::{Series, Shape, Store, Writer, seqlock};
use crate::kline::Merge;
use crate::sync::{AtomicU64, Ordering};
use crate::{Interval, Kline, Millis, Provenance, Symbol, SymbolInfo, SymbolStatus};
use loom::sync::Arc;
use loom::thread;

fn words(count: usize) -> Arc<Vec<AtomicU64>> {
    Arc::new((0..count).map(|_| AtomicU64::new(0)).collect())
}

fn model(preemptions: Option<usize>, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 100_000; // making a store takes thousands of steps
    builder.preemption_bound = preemptions;
    builder.check(run);
}

/// The first word is the sequence; the two others must agree.
fn check_seqlock(readers: usize, writes: u64, preemptions: Option<usize>) {
    model(preemptions, move || {
        let shared = words(3);
        let readers: Vec<_> = (0..readers)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || {
                    let copied = seqlock::read(&shared[0], || [1, 2].map(|i| shared[i].load(Ordering::Relaxed)));
                    assert!(copied.is_none_or(|[a, b]| a == b), "torn: {copied:?}");
                })
            })
            .collect();
        for n in 1..=writes {
            seqlock::write(&shared[0], || (1..3).for_each(|i| shared[i].store(n, Ordering::Relaxed)));
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn a_reader_sees_all_of_a_write_or_nothing_of_it() {
    check_seqlock(1, 2, None);
}

#[test]
fn so_do_two_readers() {
    check_seqlock(2, 1, Some(3));
}

/// The numbers of a kline follow from its number of trades.
fn kline(ordinal: i64, trades: u64) -> Kline {
    let n = trades as f64;
    Kline {
        open_time: Interval::M1.open_time(ordinal),
        open: n,
        high: n,
        low: n,
        close: n,
        volume: n,
        quote_volume: n,
        trades,
        taker_buy_volume: n,
        taker_buy_quote_volume: n,
        closed: true,
        revision: 0,
        provenance: Provenance::Stream,
    }
}

/// A ring of one slot, in which a kline takes the place of another.
fn check_ring(readers: usize, preemptions: usize, read: fn(Store, Series)) {
    model(Some(preemptions), move || {
        let shape = Shape::new(1, &[(Interval::M1, 1)]).unwrap();
        let shared = words(shape.words());
        let writer = Writer::attach(Store::initialize(&shared, &shape).unwrap());
        let name = Symbol::new("A").unwrap();
        let status = SymbolStatus::Trading;
        let info = SymbolInfo { symbol: name, base: name, quote: name, status, tick_size: 0.0, step_size: 0.0 };
        let id = writer.put_symbol(&info, Millis(1)).unwrap();
        let series = writer.store().series(id, Interval::M1).unwrap();
        writer.put_kline(series, &kline(1, 1));
        let readers: Vec<_> = (0..readers)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || read(Store::attach(&shared).unwrap(), series))
            })
            .collect();
        assert_eq!(writer.put_kline(series, &kline(2, 2)), Merge::Inserted);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn a_reader_sees_one_kline_or_the_other() {
    check_ring(1, 2, |store, series| {
        if let Ok(last) = store.last(series, 1, true, None) {
            assert!(last == [kline(1, 1)] || last == [kline(2, 2)], "torn: {last:?}");
        }
    });
}

#[test]
fn two_readers_see_one_close_or_the_other() {
    check_ring(2, 1, |store, series| {
        if let Ok(closes) = store.closes(series, 1) {
            assert!(closes == [1.0] || closes == [2.0], "torn: {closes:?}");
        }
    });
}
