//! The store as a whole; and what the unit tests of its parts need: a store in memory, symbols, klines.

use super::*;
use crate::kline::Merge;
use crate::{Interval, Kline, Millis, Provenance, Symbol, SymbolInfo, SymbolStatus};
use std::sync::Mutex;

/// What the tests leak on purpose: reachable from here, so that the address sanitizer sees it is no mistake.
static KEPT: Mutex<Vec<&'static [AtomicU64]>> = Mutex::new(Vec::new());

/// A store in memory that lives until the test process ends.
pub(super) fn store(max_symbols: u32, intervals: &[(Interval, u32)]) -> Store<'static> {
    let shape = Shape::new(max_symbols, intervals).unwrap();
    let words: &'static [AtomicU64] = Vec::leak((0..shape.words()).map(|_| AtomicU64::new(0)).collect());
    KEPT.lock().unwrap().push(words);
    Store::initialize(words, &shape).unwrap()
}

pub(super) fn info(symbol: &str) -> SymbolInfo {
    SymbolInfo {
        symbol: Symbol::new(symbol).unwrap(),
        base: Symbol::new(symbol.strip_suffix("USDT").unwrap_or("X")).unwrap(),
        quote: Symbol::new("USDT").unwrap(),
        status: SymbolStatus::Trading,
        tick_size: 0.01,
        step_size: 0.001,
    }
}

/// A kline at `1m` with this ordinal whose numbers say which one it is.
pub(super) fn kline(ordinal: i64, trades: u64, closed: bool) -> Kline {
    let base = 1.0 + (ordinal.unsigned_abs() % 1_000) as f64;
    Kline {
        open_time: Interval::M1.open_time(ordinal),
        open: base,
        high: base + 3.0,
        low: base - 0.5,
        close: base + 1.0,
        volume: 10.0 * base,
        quote_volume: 20.0 * base,
        trades,
        taker_buy_volume: 4.0 * base,
        taker_buy_quote_volume: 8.0 * base,
        closed,
        revision: 0,
        provenance: Provenance::Stream,
    }
}

/// A store of one `1m` series with this many slots, its writer and the series.
pub(super) fn one_series(slots: u32) -> (Writer<'static>, Series) {
    let writer = Writer::attach(store(1, &[(Interval::M1, slots)]));
    let id = writer.put_symbol(&info("BTCUSDT"), Millis(0)).unwrap();
    let series = writer.store().series(id, Interval::M1).unwrap();
    (writer, series)
}

/// The newest run of klines that are missing among the last `depth` closed at `at`.
pub(super) fn newest_gap(
    store: Store,
    series: Series,
    at: Millis,
    depth: u32,
) -> Result<Option<std::ops::RangeInclusive<i64>>, ReadError> {
    store.gaps(series, at, depth).map(|mut gaps| gaps.pop())
}

#[test]
fn a_kline_that_was_put_is_read() {
    let (writer, series) = one_series(4);
    let store = writer.store();
    assert_eq!(store.last(series, 10, true, None), Err(ReadError::NeverFilled));
    for ordinal in 100..110 {
        writer.put_kline(series, &kline(ordinal, 5, true));
    }
    writer.put_kline(series, &kline(110, 1, false));
    let expected: Vec<Kline> = (107..110).map(|n| kline(n, 5, true)).chain([kline(110, 1, false)]).collect();
    assert_eq!(store.last(series, 10, true, None).unwrap(), expected);
    assert_eq!(store.last(series, 10, false, None).unwrap(), expected[..3]);
    assert_eq!(store.last(series, 1, true, Some(Interval::M1.open_time(109))).unwrap(), expected[1..2]);
    assert_eq!(store.closes(series, 2).unwrap(), [expected[1].close, expected[2].close]);
    assert_eq!(store.newest(series).unwrap(), expected[3]);
    assert_eq!(store.closed(series, 0, 108).unwrap(), expected[..2]);
}

#[test]
fn a_store_is_found_again_with_its_shape_and_nothing_else_is_taken_for_one() {
    let shape = Shape::new(3, &[(Interval::M1, 7), (Interval::W1, 2)]).unwrap();
    let words: Vec<AtomicU64> = (0..shape.words()).map(|_| AtomicU64::new(0)).collect();
    assert_eq!(Store::attach(&words).err(), Some(LayoutError::NotAStore));
    let short = &words[..words.len() - 1];
    let too_small = LayoutError::TooSmall { needed: words.len(), given: words.len() - 1 };
    assert_eq!(Store::initialize(short, &shape).err(), Some(too_small.clone()));
    Writer::attach(Store::initialize(&words, &shape).unwrap()).put_symbol(&info("BTCUSDT"), Millis(1)).unwrap();
    let found = Store::attach(&words).unwrap();
    assert_eq!((*found.shape(), found.epoch(), found.symbols().count()), (shape, 1, 1));
    assert_eq!(Store::attach(short).err(), Some(too_small));
    assert!(matches!(Store::attach(&words[..8]).err(), Some(LayoutError::TooSmall { .. })));
    words[AT_SHAPE].store(0, Ordering::Relaxed);
    assert_eq!(Store::attach(&words).err(), Some(LayoutError::Damaged));
    words[AT_LAYOUT].fetch_add(1, Ordering::Relaxed);
    assert_eq!(Store::attach(&words).err(), Some(LayoutError::OtherVersion));
}

#[test]
fn what_is_no_kline_is_refused_and_each_outcome_is_counted() {
    let (writer, series) = one_series(2);
    let store = writer.store();
    let off_grid = Kline { open_time: Millis(61_000), ..kline(1, 1, true) };
    let impossible = Kline { high: f64::NAN, ..kline(1, 1, true) };
    let too_far = kline(ORDINAL_LIMIT, 1, true);
    let no_time = Kline { open_time: Millis(i64::MIN), ..kline(1, 1, true) };
    for bad in [off_grid, impossible, too_far, no_time] {
        assert_eq!(writer.put_kline(series, &bad), Merge::Refused, "{bad:?}");
    }
    assert_eq!(store.newest(series), Err(ReadError::NeverFilled));
    let offered = [(5, 1, true), (5, 1, true), (5, 9, false), (5, 2, true), (6, 1, false), (7, 1, false), (5, 3, true)];
    let outcomes = offered.map(|(ordinal, trades, closed)| writer.put_kline(series, &kline(ordinal, trades, closed)));
    use Merge::*;
    assert_eq!(outcomes, [Inserted, Stale, LateOpen, Corrected, Inserted, Inserted, TooOld]);
    let counted = [
        (Counter::RefusedKlines, 4),
        (Counter::Klines, 4),
        (Counter::StaleKlines, 1),
        (Counter::LateOpen, 1),
        (Counter::Corrected, 1),
        (Counter::TooOld, 1),
        (Counter::Closes, 1),
    ];
    for (counter, n) in counted {
        assert_eq!(store.count(counter), n, "{counter:?}");
    }
}

#[test]
fn closes_are_announced_once_and_corrections_are_not() {
    let (writer, series) = one_series(8);
    let store = writer.store();
    writer.put_kline(series, &kline(5, 1, false));
    assert_eq!(store.close_sequence(), 0);
    writer.put_kline(series, &kline(5, 1, true));
    writer.put_kline(series, &kline(5, 2, true));
    writer.put_kline(series, &kline(4, 1, true));
    assert_eq!(store.close_sequence(), 2);
}

#[test]
fn a_series_of_a_removed_symbol_is_gone_for_readers_and_writer() {
    let (writer, series) = one_series(4);
    let store = writer.store();
    writer.put_kline(series, &kline(5, 1, true));
    writer.remove_symbol(series.symbol());
    assert_eq!(store.last(series, 1, true, None), Err(ReadError::Gone));
    let id = writer.put_symbol(&info("ETHUSDT"), Millis(1)).unwrap();
    assert_eq!(writer.put_kline(series, &kline(6, 1, true)), Merge::Gone);
    assert_eq!(store.status(series), Err(ReadError::Gone));
    let new = store.series(id, Interval::M1).unwrap();
    assert_eq!(store.last(new, 1, true, None), Err(ReadError::NeverFilled), "its slot was emptied");
    assert_eq!(store.series(id, Interval::H1), None, "not tracked");
}

#[test]
fn a_revision_that_a_snapshot_brings_is_kept() {
    let (writer, series) = one_series(4);
    let restored = Kline { revision: 3, provenance: Provenance::Snapshot, ..kline(5, 2, true) };
    writer.put_kline(series, &restored);
    assert_eq!(writer.store().newest(series), Ok(restored));
    writer.put_kline(series, &kline(5, 3, true));
    assert_eq!(writer.store().newest(series).unwrap().revision, 4);
}

#[test]
fn a_kline_half_written_when_the_writer_died_is_lost_alone() {
    let (writer, series) = one_series(8);
    let store = writer.store();
    (1..=6).for_each(|ordinal| assert!(writer.put_kline(series, &kline(ordinal, 1, true)).accepted()));
    // The state in the middle of a correction of kline 4.
    let ring = store.ring_of(series).unwrap();
    ring.set_ordinal(ring::Field::Writing, Some(4));
    ring.sequence().fetch_add(1, Ordering::Relaxed);
    ring.store(ring::Tag::of(4, &kline(4, 1, true), 0), &kline(999, 9, true));
    assert_eq!(store.last(series, 9, true, None), Err(ReadError::Busy));

    Writer::attach(store);
    let left: Vec<Kline> = [1, 2, 3, 5, 6].map(|ordinal| kline(ordinal, 1, true)).into();
    assert_eq!(store.last(series, 9, true, None).unwrap(), left);
    let status = store.status(series).unwrap();
    assert_eq!((status.complete_from, status.complete_through), (Some(5), Some(6)));
    assert_eq!(newest_gap(store, series, Interval::M1.close_time(6), 6), Ok(Some(4..=4)));
    assert_eq!((store.epoch(), store.count(Counter::DamagedSlots)), (2, 1));
}

#[test]
fn a_sequence_at_its_end_starts_over() {
    let (writer, series) = one_series(2);
    let sequence = writer.store().ring_of(series).unwrap().sequence();
    sequence.store(u64::MAX - 3, Ordering::Relaxed);
    for ordinal in 1..5 {
        writer.put_kline(series, &kline(ordinal, 1, true));
        assert_eq!(writer.store().newest(series), Ok(kline(ordinal, 1, true)));
    }
    assert_eq!(sequence.load(Ordering::Relaxed), 4);
}

#[test]
fn completeness_is_what_a_status_says_and_counts_what_was_rewritten() {
    let (writer, series) = one_series(8);
    let store = writer.store();
    assert_eq!(store.completeness(series), Ok(None));
    (1..=4).for_each(|ordinal| assert!(writer.put_kline(series, &kline(ordinal, 1, true)).accepted()));
    writer.set_first_ever(series, 1);
    assert_eq!(writer.confirm(series, 5, 6), 2);
    let known = store.completeness(series).unwrap().unwrap();
    let expected = Completeness { from: 1, through: 6, first_ever: Some(1), oldest: -1, rewritten: 0 };
    assert_eq!(known, expected);
    let status = store.status(series).unwrap();
    assert_eq!((status.complete_from, status.complete_through), (Some(known.from), Some(known.through)));
    // A correction, and a kline that was said not to exist; a new one rewrites nothing.
    writer.put_kline(series, &kline(2, 2, true));
    writer.put_kline(series, &kline(5, 1, true));
    writer.put_kline(series, &kline(7, 1, true));
    let known = store.completeness(series).unwrap().unwrap();
    assert_eq!(known, Completeness { through: 7, oldest: 0, rewritten: 2, ..expected });
}
