//! Through bytes and back; and bytes that are no snapshot.

use super::record::{Record, SeriesHead};
use super::*;
use crate::store::tests::{info, kline, store};
use crate::store::{Counter, ReadError, Series, Store, Writer};
use crate::{Gap, GapReason, GapResolution, Interval, Kline, Millis, Provenance, Ticker};

const OURS: Header = Header { system: 7, exchange: 9 };

fn series(store: Store, symbol: &str, interval: Interval) -> Series {
    store.series(store.find(&info(symbol).symbol).unwrap(), interval).unwrap()
}

/// A market with everything in it that a snapshot keeps.
fn market() -> Writer<'static> {
    let writer = Writer::attach(store(3, &[(Interval::M1, 1_200), (Interval::M5, 8)]));
    let store = writer.store();
    store.raise_market_time(Interval::M1.close_time(2_000) + Millis(15_000));
    for name in ["BTCUSDT", "币安人生USDT"] {
        let id = writer.put_symbol(&info(name), Millis(77)).unwrap();
        writer.note_event(id, Millis(123));
        let minutes = store.series(id, Interval::M1).unwrap();
        writer.set_first_ever(minutes, 900);
        for ordinal in (900..1_500).chain(1_505..=1_995) {
            writer.put_kline(minutes, &kline(ordinal, 5, true));
        }
        writer.put_kline(minutes, &kline(1_400, 6, true)); // corrected
        writer.missing(minutes, Interval::M1.close_time(2_000), GapReason::Disconnect);
        writer.confirm(minutes, 1_500, 1_502);
        writer.put_kline(minutes, &kline(2_001, 1, false)); // open: not kept
        let ticker = Ticker {
            last_price: 3.0,
            open_price: 2.0,
            high_price: 5.0,
            low_price: 1.0,
            volume: 10.0,
            quote_volume: 30.0,
            event_time: Millis(99),
        };
        writer.put_ticker(id, &ticker);
    }
    writer
}

fn take(writer: &Writer, mut encoder: Encoder, full: bool) -> Vec<u8> {
    let mut round = Round::new(full);
    while !round.step(writer, &mut encoder) {}
    encoder.take()
}

fn put(bytes: &[u8], into: &Writer) -> u64 {
    let extent = scan(bytes, OURS, &mut || true).unwrap();
    restore(into, bytes, OURS, &extent, &mut || true).unwrap()
}

fn empty() -> Writer<'static> {
    Writer::attach(store(3, &[(Interval::M1, 1_200), (Interval::M5, 8)]))
}

/// Everything of two stores that a snapshot keeps is the same.
#[track_caller]
fn check_same(is: Store, should: Store) {
    assert_eq!(is.market_time(), should.market_time());
    assert_eq!(is.gap_ledger(), should.gap_ledger());
    for id in should.symbols() {
        let entry = should.symbol(id).unwrap();
        let there = is.find(&entry.info.symbol).unwrap();
        let restored = is.symbol(there).unwrap();
        assert_eq!(
            (restored.info, restored.since, restored.last_event_time),
            (entry.info.clone(), entry.since, entry.last_event_time)
        );
        assert_eq!(is.ticker(there), should.ticker(id));
        for interval in should.intervals() {
            let (old, new) = (should.series(id, interval).unwrap(), is.series(there, interval).unwrap());
            assert_eq!(is.completeness(new), should.completeness(old));
            let (new_status, old_status) = (is.status(new).unwrap(), should.status(old).unwrap());
            assert_eq!((new_status.gaps, new_status.repaired), (old_status.gaps, old_status.repaired));
            assert_eq!(
                (new_status.confirmed_absent, new_status.corrected),
                (old_status.confirmed_absent, old_status.corrected)
            );
            let said: Result<Vec<Kline>, ReadError> = should.last(old, 9_999, false, None);
            let snapshot = |k: &Kline| Kline { provenance: Provenance::Snapshot, ..*k };
            let said = said.map(|klines| klines.iter().map(snapshot).collect::<Vec<_>>());
            assert_eq!(is.last(new, 9_999, false, None), said);
        }
    }
    assert_eq!(is.symbols().count(), should.symbols().count());
}

#[test]
fn what_was_taken_is_brought_back_with_revisions_and_says_where_it_is_from() {
    let old = market();
    // The head is an open kline, which a snapshot does not keep: closed, it is the same on both sides.
    for symbol in ["BTCUSDT", "币安人生USDT"] {
        let minutes = series(old.store(), symbol, Interval::M1);
        old.put_kline(minutes, &kline(2_001, 3, true));
    }
    let new = empty();
    let restored = put(&take(&old, Encoder::begin(OURS), true), &new);
    check_same(new.store(), old.store());
    assert_eq!(new.store().count(Counter::Restored), restored);
    assert!(!new.has_changes(), "nothing is new");
    let corrected = new.store().closed(series(new.store(), "BTCUSDT", Interval::M1), 1_400, 1_400).unwrap()[0];
    assert_eq!((corrected.revision, corrected.trades), (1, 6));
}

#[test]
fn later_rounds_hold_what_changed_and_all_together_are_the_whole() {
    let old = market();
    let mut bytes = take(&old, Encoder::begin(OURS), true);
    let first = bytes.len();
    assert!(!old.has_changes());
    let btc = series(old.store(), "BTCUSDT", Interval::M1);
    old.put_kline(btc, &kline(2_001, 3, true));
    old.put_kline(btc, &kline(1_503, 1, true));
    assert!(old.has_changes());
    old.remove_symbol(series(old.store(), "币安人生USDT", Interval::M1).symbol());
    old.put_symbol(&info("ETHUSDT"), Millis(5)).unwrap();
    let eth = series(old.store(), "ETHUSDT", Interval::M5);
    old.put_kline(eth, &Kline { open_time: Interval::M5.open_time(400), ..kline(400, 1, true) });
    let extent = scan(&bytes[..], OURS, &mut || true).unwrap();
    assert_eq!((extent.bytes as usize, extent.rounds, extent.has_rest), (first, 1, false));
    bytes.extend(take(&old, Encoder::go_on(&extent), false));
    assert!(bytes.len() - first < first / 2, "{} of {first}", bytes.len() - first);
    let new = empty();
    put(&bytes, &new);
    check_same(new.store(), old.store());
}

#[test]
fn a_gap_that_was_mended_after_the_first_round_is_not_open_after_a_restart() {
    let old = market();
    let mut bytes = take(&old, Encoder::begin(OURS), true);
    let btc = series(old.store(), "BTCUSDT", Interval::M1);
    for ordinal in [1_503, 1_504, 1_996, 1_997, 1_998, 1_999, 2_000] {
        old.put_kline(btc, &kline(ordinal, 1, true));
    }
    let extent = scan(&bytes[..], OURS, &mut || true).unwrap();
    bytes.extend(take(&old, Encoder::go_on(&extent), false));
    let new = empty();
    put(&bytes, &new);
    let open: Vec<_> = new.store().gap_ledger().into_iter().filter(|gap| gap.resolved.is_none()).collect();
    assert!(open.iter().all(|gap| gap.symbol != info("BTCUSDT").symbol), "{open:?}");
    assert!(!open.is_empty(), "the other symbol still has its own");
    let absent = |gap: &crate::Gap| gap.resolved.is_some_and(|(how, _)| how == GapResolution::ConfirmedAbsent);
    assert!(new.store().gap_ledger().iter().any(absent));
}

#[test]
fn bytes_that_are_no_snapshot_of_ours_are_refused_with_the_reason() {
    let good = take(&market(), Encoder::begin(OURS), true);
    let refused = |bytes: &[u8], expected: Header| scan(bytes, expected, &mut || true).unwrap_err();
    assert!(matches!(refused(b"", OURS), BadSnapshot::NotASnapshot));
    assert!(matches!(refused(&[0; 4_096], OURS), BadSnapshot::NotASnapshot));
    assert!(matches!(refused(&good, Header { system: 8, ..OURS }), BadSnapshot::OtherSystem));
    assert!(matches!(refused(&good, Header { exchange: 8, ..OURS }), BadSnapshot::OtherExchange));
    let mut future = OURS.to_bytes();
    future[8] = 2;
    let checksum = crc32fast::hash(&future[..32]);
    future[32..].copy_from_slice(&checksum.to_le_bytes());
    assert!(matches!(refused(&future, OURS), BadSnapshot::OtherVersion(2)));
    let broken_off = scan(&good[..], OURS, &mut || false).unwrap_err();
    assert!(matches!(broken_off, BadSnapshot::BrokenOff));
}

#[test]
fn a_damaged_or_cut_file_is_taken_through_its_last_whole_round_or_not_at_all() {
    let old = market();
    let mut bytes = take(&old, Encoder::begin(OURS), true);
    let first = bytes.len();
    old.put_kline(series(old.store(), "BTCUSDT", Interval::M1), &kline(2_001, 3, true));
    bytes.extend(take(&old, Encoder::go_on(&scan(&bytes[..], OURS, &mut || true).unwrap()), false));
    for at in (36..first).step_by(997).chain([36, 37, first - 1]) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(matches!(scan(&damaged[..], OURS, &mut || true), Err(BadSnapshot::Damaged)), "{at}");
        let cut = scan(&bytes[..at], OURS, &mut || true);
        assert!(matches!(cut, Err(BadSnapshot::Damaged)), "{at}");
    }
    for at in first + 1..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        for rest in [&damaged[..], &bytes[..at]] {
            let extent = scan(rest, OURS, &mut || true).unwrap();
            assert_eq!((extent.bytes as usize, extent.rounds, extent.has_rest), (first, 1, true), "{at}");
        }
    }
    assert_eq!(scan(&bytes[..], OURS, &mut || true).unwrap().rounds, 2);
}

#[test]
fn numbers_that_no_store_has_are_not_taken_though_their_checksum_is_right() {
    let head = SeriesHead {
        symbol: info("BTCUSDT").symbol,
        interval: Interval::M1,
        first_ever: Some(1),
        first_streamed: None,
        repaired: 1,
        confirmed_absent: 1,
        corrected: 1,
        rewritten: 1,
    };
    let gap = Gap {
        symbol: info("BTCUSDT").symbol,
        interval: Interval::Mo1,
        from: -853,
        through: 682,
        reason: GapReason::Restart,
        detected_at: Millis(0),
        resolved: None,
    };
    let taken = |record: Record| {
        let mut encoder = Encoder::begin(OURS);
        encoder.put(&record);
        encoder.put(&Record::Commit { market_time: Millis(0) });
        scan(&encoder.take()[..], OURS, &mut || true).is_ok()
    };
    assert!(taken(Record::Series(head.clone())));
    assert!(taken(Record::Gap { number: 1, gap: gap.clone() }), "months before 1970 may be missing");
    assert!(!taken(Record::Series(SeriesHead { first_ever: Some(1 << 40), ..head.clone() })));
    assert!(!taken(Record::Series(SeriesHead { corrected: u64::MAX, ..head })));
    assert!(!taken(Record::Gap { number: u64::MAX, gap: gap.clone() }));
    assert!(!taken(Record::Gap { number: 1, gap: Gap { through: i64::MAX, ..gap.clone() } }));
    assert!(!taken(Record::Gap { number: 1, gap: Gap { detected_at: Millis(-1), ..gap } }));
    assert!(!taken(Record::Commit { market_time: Millis(i64::MAX) }));
}

#[test]
fn a_store_of_another_shape_takes_what_it_has_room_for() {
    let bytes = take(&market(), Encoder::begin(OURS), true);
    let small = Writer::attach(store(1, &[(Interval::M1, 16), (Interval::H1, 4)]));
    assert!(put(&bytes, &small) > 0);
    let held = small.store().last(series(small.store(), "BTCUSDT", Interval::M1), 99, false, None).unwrap();
    assert_eq!(held.last().unwrap().open_time, Interval::M1.open_time(1_995));
    assert!(held.len() <= 16);
    assert_eq!(small.store().symbols().count(), 1);
    let large = Writer::attach(store(9, &[(Interval::M1, 4_000)]));
    assert_eq!(put(&bytes, &large), 2 * (600 + 491));
}
