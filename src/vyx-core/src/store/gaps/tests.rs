//! The ledger, finding by finding.

use super::*;
use crate::store::tests::{info, kline, one_series};
use crate::store::{CLOSE_ALLOWANCE, Store};
use crate::{Kline, Provenance};

/// What the ledger says, without names: range, reason, resolution.
fn rows(store: Store) -> Vec<(i64, i64, GapReason, Option<GapResolution>)> {
    let row = |gap: Gap| (gap.from, gap.through, gap.reason, gap.resolved.map(|resolved| resolved.0));
    store.gap_ledger().into_iter().map(row).collect()
}

fn close(writer: &Writer, series: Series, ordinals: impl IntoIterator<Item = i64>) {
    for ordinal in ordinals {
        assert!(writer.put_kline(series, &kline(ordinal, 1, true)).accepted(), "{ordinal}");
    }
}

fn look(writer: &Writer, series: Series, closed: i64, reason: GapReason) -> Option<(RangeInclusive<i64>, u64)> {
    writer.store().raise_market_time(Interval::M1.close_time(closed) + CLOSE_ALLOWANCE);
    writer.missing(series, Interval::M1.close_time(closed), reason)
}

use GapReason::*;
use GapResolution::*;

#[test]
fn a_gap_is_noted_once_and_ends_as_repaired_or_confirmed_absent() {
    let (writer, series) = one_series(16);
    let store = writer.store();
    close(&writer, series, (1..=3).chain([9]));
    writer.set_first_ever(series, 1);
    assert_eq!(look(&writer, series, 9, Disconnect), Some((4..=8, 5)));
    assert_eq!(look(&writer, series, 9, Overdue), Some((4..=8, 5)));
    assert_eq!(rows(store), [(4, 8, Disconnect, None)]);
    close(&writer, series, [4, 6]);
    assert_eq!(look(&writer, series, 9, Overdue), Some((5..=5, 3)));
    assert_eq!(writer.confirm(series, 4, 7), 2);
    let ended = [(4, 4, Repaired), (6, 6, Repaired), (5, 5, ConfirmedAbsent), (7, 7, ConfirmedAbsent)];
    let mut expected = vec![(8, 8, Disconnect, None)];
    expected.extend(ended.map(|(from, through, how)| (from, through, Disconnect, Some(how))));
    let mut is = rows(store);
    is.sort_unstable_by_key(|row| (row.3, row.0));
    assert_eq!(is, expected);
    close(&writer, series, [8]);
    assert_eq!(look(&writer, series, 9, Overdue), None);
    assert!(rows(store).iter().all(|row| row.3.is_some()));
    assert_eq!(store.gap_ledger()[0].detected_at, Interval::M1.close_time(9) + CLOSE_ALLOWANCE);
}

#[test]
fn a_page_of_history_is_one_row_and_the_first_klines_that_leave_the_window_are_nobodys_loss() {
    let (writer, series) = one_series(16);
    let store = writer.store();
    assert_eq!(look(&writer, series, 20, Restart), Some((6..=20, 15)));
    assert_eq!(rows(store), [(6, 20, SymbolAdded, None)], "it never held anything");
    assert_eq!(look(&writer, series, 22, Overdue), Some((8..=22, 15)));
    close(&writer, series, 8..=22);
    assert_eq!(look(&writer, series, 22, Overdue), None);
    let ended = |from, through, reason| (from, through, reason, Some(Repaired));
    assert_eq!(rows(store), [ended(8, 20, SymbolAdded), ended(21, 22, Overdue)]);
}

#[test]
fn what_leaves_the_window_unanswered_is_too_old_and_what_leaves_the_directory_untracked() {
    let (writer, series) = one_series(8);
    let store = writer.store();
    close(&writer, series, 1..=3);
    writer.set_first_ever(series, 1);
    look(&writer, series, 6, Disconnect);
    close(&writer, series, [12]);
    assert_eq!(look(&writer, series, 12, Overdue), Some((6..=11, 6)));
    let too_old = (4, 5, Disconnect, Some(TooOld));
    assert_eq!(rows(store), [(6, 6, Disconnect, None), too_old, (7, 11, Overdue, None)]);
    writer.remove_symbol(series.symbol());
    let untracked = |from, through, reason| (from, through, reason, Some(Untracked));
    assert_eq!(rows(store), [too_old, untracked(6, 6, Disconnect), untracked(7, 11, Overdue)]);
    // Whoever gets the place has an account of its own.
    let other = writer.put_symbol(&info("ETHUSDT"), Millis(1)).unwrap();
    let other = store.series(other, Interval::M1).unwrap();
    assert!(look(&writer, other, 12, Overdue).is_some());
    assert_eq!(store.gap_ledger().last().unwrap().symbol, info("ETHUSDT").symbol);
}

#[test]
fn what_lies_before_the_first_kline_ever_is_absent() {
    let (writer, series) = one_series(8);
    look(&writer, series, 9, Restart);
    close(&writer, series, 7..=9);
    writer.set_first_ever(series, 7);
    assert_eq!(look(&writer, series, 9, Overdue), None);
    let expected = [(7, 9, SymbolAdded, Some(Repaired)), (3, 6, SymbolAdded, Some(ConfirmedAbsent))];
    assert_eq!(rows(writer.store()), expected);
}

#[test]
fn a_kline_that_history_denied_and_the_stream_brought_is_repaired_after_all() {
    let (writer, series) = one_series(16);
    let store = writer.store();
    close(&writer, series, [1]);
    writer.set_first_ever(series, 1);
    look(&writer, series, 5, Overdue);
    writer.confirm(series, 2, 5);
    assert_eq!(rows(store), [(2, 5, Overdue, Some(ConfirmedAbsent))]);
    let late = Kline { provenance: Provenance::Stream, ..kline(3, 1, true) };
    assert!(writer.put_kline(series, &late).accepted());
    let mut is = rows(store);
    is.sort_unstable();
    let absent = |from, through| (from, through, Overdue, Some(ConfirmedAbsent));
    assert_eq!(is, [absent(2, 2), (3, 3, Overdue, Some(Repaired)), absent(4, 5)]);
    assert_eq!(store.status(series).unwrap().confirmed_absent, 3);
}

#[test]
fn a_full_ledger_forgets_what_ended_first_and_counts_it() {
    let (writer, series) = one_series(64);
    let store = writer.store();
    let capacity = store.shape().gap_rows() as i64;
    close(&writer, series, [0]);
    writer.set_first_ever(series, 0);
    for n in 1..=capacity + 5 {
        let odd = 2 * n;
        close(&writer, series, [odd]);
        look(&writer, series, odd, MissedClose);
        close(&writer, series, [odd - 1]);
    }
    assert_eq!(store.gap_ledger().len() as i64, capacity);
    assert!(store.count(Counter::GapsForgotten) >= 5);
    assert_eq!(store.count(Counter::GapsUnlisted), 0);
    assert_eq!(store.gap_ledger().last().unwrap().from, 2 * (capacity + 5) - 1);
}

#[test]
fn the_next_writer_goes_on_with_the_rows_and_ends_what_was_not_ended() {
    let (writer, series) = one_series(16);
    let store = writer.store();
    close(&writer, series, [1, 8]);
    writer.set_first_ever(series, 1);
    look(&writer, series, 8, Disconnect);
    // It died before it told the ledger that 3 has come, and in the midst of another row.
    let ring = store.ring_of(series).unwrap();
    ring.store(crate::store::ring::Tag::of(3, &kline(3, 1, true), 0), &kline(3, 1, true));
    store.row_words(1)[0].fetch_add(1, Ordering::Relaxed);
    drop(writer);
    let writer = Writer::attach(store);
    let mut is = rows(store);
    is.sort_unstable();
    let open = |from, through| (from, through, Disconnect, None);
    assert_eq!(is, [open(2, 2), (3, 3, Disconnect, Some(Repaired)), open(4, 7)]);
    close(&writer, series, [2, 4, 5, 6, 7]);
    assert!(rows(store).iter().all(|row| row.3 == Some(Repaired)), "{:?}", rows(store));
}
