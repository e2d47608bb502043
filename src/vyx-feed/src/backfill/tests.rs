//! The order of the questions, without a network: whose turn it is, and who is left alone.

use super::*;
use vyx_core::{Interval, Symbol};

fn series(symbol: &str, interval: Interval) -> Series {
    (Symbol::new(symbol).unwrap(), interval)
}

fn work() -> (Work, [Series; 3]) {
    let all = [series("BTCUSDT", Interval::M1), series("AUSDT", Interval::M1), series("BTCUSDT", Interval::H1)];
    let followed = HashMap::from([(all[0], 0), (all[1], 1), (all[2], 0)]);
    (Work { followed, ..Work::default() }, all)
}

#[tokio::test(start_paused = true)]
async fn small_intervals_come_first_and_every_series_gets_its_newest_page_before_any_gets_two() {
    let (mut work, [btc, a, hour]) = work();
    work.look_everywhere();
    assert_eq!(work.next(), Some(btc));
    work.is_asked(btc, 1_001..=2_000);
    work.again(btc);
    assert_eq!([work.next(), work.next(), work.next(), work.next()], [Some(a), Some(btc), Some(hour), None]);
}

#[tokio::test(start_paused = true)]
async fn a_series_is_asked_about_once_at_a_time() {
    let (mut work, [btc, a, hour]) = work();
    work.is_asked(btc, 0..=9);
    work.look_everywhere();
    assert_eq!([work.next(), work.next(), work.next()], [Some(a), Some(hour), None]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_changes_nothing_does_not_lead_to_another_question() {
    let (mut work, [btc, ..]) = work();
    work.is_asked(btc, 0..=9);
    work.again(btc);
    assert!(work.is_fruitless(btc, &(0..=9)));
    assert!(!work.is_fruitless(btc, &(0..=8)));
    work.again_as_before(btc);
    assert!(!work.is_fruitless(btc, &(0..=9)), "a failed request answered nothing");
}

#[tokio::test(start_paused = true)]
async fn a_parked_series_rests_and_comes_back() {
    let (mut work, [btc, a, _]) = work();
    work.park(btc, FRUITLESS_PAUSE);
    work.look_everywhere();
    assert_eq!(work.next(), Some(a));
    tokio::time::advance(FRUITLESS_PAUSE).await;
    work.look_everywhere();
    assert_eq!(work.next(), Some(btc));
}

#[tokio::test(start_paused = true)]
async fn progress_is_told_when_it_changes() {
    let (mut work, [btc, a, hour]) = work();
    work.look_everywhere();
    assert_eq!(work.progress(), Some((0, 3)));
    for series in [btc, a, hour] {
        work.is_complete(series);
    }
    assert_eq!(work.progress(), Some((3, 3)));
    assert_eq!(work.progress(), None);
    work.is_asked(a, 0..=0);
    assert_eq!(work.progress(), Some((2, 3)));
}
