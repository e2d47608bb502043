//! The order of the questions: whose turn it is, and who is left alone.

use super::*;

const PAUSE: Duration = Duration::from_secs(60);

fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}

fn missing(oldest: RangeInclusive<i64>) -> Missing {
    let count = oldest.clone().count() as u64;
    Missing { oldest, count }
}

/// Preferred in this order, and all of them lack two pages and a bit.
fn work() -> (Work, [Series; 3]) {
    let [btc, a] = [symbol("BTCUSDT"), symbol("AUSDT")];
    let mut work = Work::default();
    work.follow(&[btc, a], &[Interval::M1]);
    work.follow(&[btc, a], &[Interval::M1, Interval::H1]);
    work.is_complete((a, Interval::H1));
    let all = [(btc, Interval::M1), (a, Interval::M1), (btc, Interval::H1)];
    all.into_iter().rev().for_each(|series| work.lacks(series, &missing(1..=2_001), GapReason::Restart));
    (work, all)
}

fn order(work: &mut Work) -> Vec<Series> {
    std::iter::from_fn(|| work.next()).map(|(series, _)| series).collect()
}

#[tokio::test(start_paused = true)]
async fn small_intervals_come_first_and_a_series_gets_all_its_pages_before_the_next_gets_one() {
    let (mut work, [btc, a, hour]) = work();
    assert_eq!(work.next(), Some((btc, GapReason::Restart)));
    work.is_asked(btc, &missing(1..=2_001));
    work.is_free(btc);
    work.lacks(btc, &missing(1_001..=2_001), GapReason::Overdue);
    assert_eq!(order(&mut work), [btc, a, hour]);
}

#[tokio::test(start_paused = true)]
async fn each_new_series_has_its_reason() {
    let [btc, a] = [symbol("BTCUSDT"), symbol("AUSDT")];
    let mut work = Work::default();
    assert!(work.follow(&[], &[Interval::M1]).is_empty());
    assert_eq!(work.follow(&[btc], &[Interval::M1]), [((btc, Interval::M1), GapReason::Restart)]);
    assert_eq!(
        work.follow(&[btc, a], &[Interval::M1, Interval::M5]),
        [
            ((a, Interval::M1), GapReason::SymbolAdded),
            ((a, Interval::M5), GapReason::SymbolAdded),
            ((btc, Interval::M5), GapReason::IntervalAdded)
        ]
    );
    assert!(work.follow(&[a, btc], &[Interval::M5]).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_series_is_asked_about_once_at_a_time() {
    let (mut work, [btc, a, hour]) = work();
    work.next();
    work.is_asked(btc, &missing(0..=9));
    work.lacks(btc, &missing(0..=9), GapReason::Overdue);
    assert_eq!(order(&mut work), [a, hour]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_changes_nothing_does_not_lead_to_another_question() {
    let (mut work, [btc, ..]) = work();
    work.is_asked(btc, &missing(0..=9));
    work.is_free(btc);
    assert!(work.is_fruitless(btc, &(0..=9)));
    assert!(!work.is_fruitless(btc, &(5..=9)));
    work.is_unanswered(btc);
    assert!(!work.is_fruitless(btc, &(0..=9)), "a failed request answered nothing");
}

#[tokio::test(start_paused = true)]
async fn a_parked_series_rests_and_comes_back() {
    let (mut work, [btc, a, hour]) = work();
    order(&mut work);
    work.park(btc, PAUSE);
    [btc, a, hour].into_iter().for_each(|series| work.lacks(series, &missing(0..=9), GapReason::Overdue));
    assert_eq!(order(&mut work), [a, hour]);
    assert_eq!(work.next_release(), Some(Instant::now() + PAUSE));
    tokio::time::advance(PAUSE).await;
    assert_eq!(work.release(Instant::now()), [btc]);
    assert_eq!(work.next_release(), None);
    work.lacks(btc, &missing(0..=9), GapReason::Overdue);
    assert_eq!(order(&mut work), [btc]);
}

#[tokio::test(start_paused = true)]
async fn news_wake_who_waits_for_them_and_nobody_else() {
    let (mut work, [btc, a, hour]) = work();
    order(&mut work);
    work.park_until_news(btc, PAUSE);
    work.park(a, PAUSE);
    for series in [btc, a, hour] {
        work.has_news(&series);
        work.lacks(series, &missing(0..=9), GapReason::MissedClose);
    }
    assert_eq!(order(&mut work), [btc, hour]);
}

#[tokio::test(start_paused = true)]
async fn progress_is_told_when_it_changes_and_foretells_the_end() {
    let (mut work, [btc, a, hour]) = work();
    let none = Duration::ZERO;
    // Nine pages of two weights, at two weights a second, and the pause before them.
    assert_eq!(work.progress(120, none), Some((1, 4, 9)));
    assert_eq!(work.progress(120, Duration::from_millis(6_500)), Some((1, 4, 16)));
    work.is_complete(btc);
    work.lacks(a, &missing(0..=1_999), GapReason::Overdue);
    assert_eq!(work.progress(120, none), Some((2, 4, 5)));
    assert_eq!(work.progress(120, none), None);
    work.follow(&[btc.0, a.0, symbol("NEWUSDT")], &[Interval::M1, Interval::H1]);
    assert_eq!(work.progress(120, none), Some((2, 6, 10)), "two not looked at, the others lack 2.5 pages each");
    work.park(a, PAUSE);
    work.park(hour, PAUSE);
    assert_eq!(work.progress(120, none), Some((2, 6, 2)), "nobody knows what the parked ones will take");
    [a, hour].into_iter().for_each(|series| work.is_complete(series));
    for interval in [Interval::M1, Interval::H1] {
        work.is_complete((symbol("NEWUSDT"), interval));
    }
    assert_eq!(work.progress(120, Duration::from_secs(7)), Some((6, 6, 0)));
}
