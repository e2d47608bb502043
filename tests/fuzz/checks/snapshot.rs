//! Whatever bytes lie where a snapshot should: nothing panics, and a store that took them is one to live with.

use vyx_core::store::snapshot::{Encoder, Header, Round, restore, scan};
use vyx_core::store::{Shape, Store, Writer};
use vyx_core::sync::AtomicU64;
use vyx_core::{GapReason, GapResolution, Interval, Kline, Millis, Provenance, Symbol, SymbolInfo, SymbolStatus};

/// Whose snapshots the corpora hold.
const OURS: Header = Header { system: 7, exchange: 9 };
/// Between two records of a corpus' file.
const SEPARATOR: &[u8] = b"\n--\n";
/// The record that ends a round: its kind and a market time of 2026.
const COMMIT: &[u8] = &[8, 0x40, 0xd1, 0x1c, 0xf9, 0xa1, 0x01, 0, 0];

pub fn check_snapshot(bytes: &[u8]) {
    let shape = small();
    let words = words(&shape);
    let writer = Writer::attach(Store::initialize(&words, &shape).expect("the words fit"));
    let Ok(extent) = scan(bytes, OURS, &mut || true) else { return };
    assert!(extent.bytes <= bytes.len() as u64 && extent.first_round_bytes <= extent.bytes, "{extent:?}");
    let restored = restore(&writer, bytes, OURS, &extent, &mut || true).expect("the bytes that were scanned");
    // A kline takes 80 bytes.
    assert!(restored <= bytes.len() as u64 / 80);
    check_readable(writer.store(), |kline| assert_eq!(kline.provenance, Provenance::Snapshot));
    check_taken_again(&writer);
    check_writable(&writer);
    check_readable(writer.store(), |_| {});
}

/// The bytes are payloads; lengths, checksums and the commit are put around them.
pub fn check_snapshot_payload(bytes: &[u8]) {
    let mut snapshot = OURS.to_bytes().to_vec();
    let mut checksum = Encoder::begin(OURS).checksum();
    for payload in split(bytes).into_iter().chain([COMMIT]) {
        let mut hasher = crc32fast::Hasher::new_with_initial(checksum);
        let len = (payload.len() as u32).to_le_bytes();
        hasher.update(&len);
        hasher.update(payload);
        checksum = hasher.finalize();
        [&len, &checksum.to_le_bytes(), payload].into_iter().for_each(|part| snapshot.extend(part));
    }
    check_snapshot(&snapshot);
}

fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some(at) = bytes.windows(SEPARATOR.len()).position(|window| window == SEPARATOR) {
        parts.push(&bytes[..at]);
        bytes = &bytes[at + SEPARATOR.len()..];
    }
    parts.push(bytes);
    parts
}

fn small() -> Shape {
    Shape::new(3, &[(Interval::M1, 32), (Interval::H1, 4), (Interval::Mo1, 3)]).expect("a shape")
}

fn words(shape: &Shape) -> Vec<AtomicU64> {
    (0..shape.words()).map(|_| AtomicU64::new(0)).collect()
}

/// Every series with its symbol.
fn series(store: Store<'_>) -> Vec<(Symbol, Interval, vyx_core::store::Series)> {
    let mut all = Vec::new();
    for id in store.symbols() {
        let entry = store.symbol(id).expect("a symbol that is listed");
        assert_eq!(store.find(&entry.info.symbol), Some(id), "each name once");
        for interval in store.intervals() {
            all.push((entry.info.symbol, interval, store.series(id, interval).expect("an interval that is tracked")));
        }
    }
    all
}

fn check_readable(store: Store<'_>, of_each: impl Fn(&Kline)) {
    for (_, interval, series) in series(store) {
        let depth = store.depth(series);
        let klines = store.last(series, usize::MAX, true, None).unwrap_or_default();
        assert!(klines.is_sorted_by(|a, b| a.open_time < b.open_time));
        for kline in &klines {
            assert!(kline.is_plausible(), "{kline:?}");
            assert_eq!(interval.open_time(interval.ordinal(kline.open_time)), kline.open_time, "{interval}");
            of_each(kline);
        }
        let status = store.status(series).expect("a series that is there");
        assert!(klines.is_empty() || status.held > 0, "{status:?}");
        let _ = store.completeness(series);
        let _ = store.gaps(series, store.market_time(), depth);
        let _ = store.ticker(series.symbol()).map(|ticker| assert!(ticker.is_plausible(), "{ticker:?}"));
    }
    for gap in store.gap_ledger() {
        assert!(gap.from <= gap.through, "{gap:?}");
        // As SQL shows them.
        let _ = (gap.interval.open_time(gap.from), gap.interval.open_time(gap.through));
    }
}

/// A snapshot of what was restored brings the same back once more.
fn check_taken_again(writer: &Writer) {
    let (mut round, mut encoder) = (Round::new(true), Encoder::begin(OURS));
    while !round.step(writer, &mut encoder) {}
    let bytes = encoder.take();
    let extent = scan(&bytes[..], OURS, &mut || true).expect("a snapshot of our own");
    let shape = small();
    let words = words(&shape);
    let other = Writer::attach(Store::initialize(&words, &shape).expect("the words fit"));
    restore(&other, &bytes[..], OURS, &extent, &mut || true).expect("a snapshot of our own");
    let (old, new) = (writer.store(), other.store());
    assert_eq!(new.market_time(), old.market_time());
    let klines = |store: Store, symbol: &Symbol, interval| {
        store.last(store.series(store.find(symbol)?, interval)?, usize::MAX, false, None).ok()
    };
    for (symbol, interval, _) in series(old) {
        let (held, restored) = (klines(old, &symbol, interval), klines(new, &symbol, interval));
        assert_eq!(restored.unwrap_or_default(), held.unwrap_or_default());
    }
}

/// The day goes on: klines come, gaps are found and closed, symbols leave.
fn check_writable(writer: &Writer) {
    let store = writer.store();
    let name = |text| Symbol::new(text).expect("a symbol");
    let info = SymbolInfo {
        symbol: name("NEWUSDT"),
        base: name("NEW"),
        quote: name("USDT"),
        status: SymbolStatus::Trading,
        tick_size: 0.01,
        step_size: 0.01,
    };
    let now = Millis(store.market_time().0.max(1_795_176_000_000));
    let _ = writer.put_symbol(&info, now); // there may be no room
    for (_, interval, series) in series(store) {
        writer.note_event(series.symbol(), now);
        writer.note_heard(series, now);
        let newest = store.newest(series).map_or(interval.ordinal(now), |kline| interval.ordinal(kline.open_time));
        for (ordinal, trades, closed) in [(newest, 9, true), (newest + 2, 1, false), (newest + 2, 2, true)] {
            let kline = Kline {
                open_time: interval.open_time(ordinal),
                open: 2.0,
                high: 3.0,
                low: 1.0,
                close: 2.0,
                volume: 1.0,
                quote_volume: 2.0,
                trades,
                taker_buy_volume: 0.0,
                taker_buy_quote_volume: 0.0,
                closed,
                revision: 0,
                provenance: if closed { Provenance::History } else { Provenance::Stream },
            };
            writer.put_kline(series, &kline);
        }
        let missing = writer.missing(series, interval.close_time(newest + 2), GapReason::Restart);
        if let Some((run, count)) = missing {
            assert!(count >= (run.end() - run.start()) as u64, "{run:?} {count}");
            writer.set_first_ever(series, *run.start());
            writer.confirm(series, *run.start(), *run.end());
        }
    }
    if let Some(first) = store.symbols().next() {
        assert!(writer.remove_symbol(first));
        let open = store.gap_ledger().into_iter().filter(|gap| gap.resolved.is_none());
        let followed: Vec<Symbol> = series(store).into_iter().map(|(symbol, ..)| symbol).collect();
        open.for_each(|gap| {
            assert!(followed.contains(&gap.symbol), "{gap:?} should be {:?}", GapResolution::Untracked)
        });
    }
    // Another process takes over.
    let next = Writer::attach(store);
    check_readable(next.store(), |_| {});
}
