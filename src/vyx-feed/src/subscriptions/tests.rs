//! Control messages and replies, hand over hand: frames within the limits, repetition, refusals.

use super::*;

fn names(range: std::ops::Range<usize>) -> Streams {
    range.map(|i| format!("s{i:05}usdt@kline_15m")).collect()
}

/// Sends everything there is to send and returns method, names and id of each frame.
fn drain(subscriptions: &mut Subscriptions, now: Instant) -> Vec<(String, Vec<String>, u64)> {
    let mut sent = Vec::new();
    while let Some(text) = subscriptions.next_frame(now).unwrap() {
        assert!(text.len() <= LARGEST_FRAME, "{} bytes", text.len());
        let frame: serde_json::Value = serde_json::from_str(&text).unwrap();
        let params = frame["params"].as_array().unwrap().iter().map(|p| p.as_str().unwrap().to_owned()).collect();
        sent.push((frame["method"].as_str().unwrap().to_owned(), params, frame["id"].as_u64().unwrap()));
    }
    sent
}

fn refusal(code: i64) -> Option<ReplyError> {
    Some(ReplyError { code, message: "Invalid request: invalid stream".to_owned() })
}

#[test]
fn a_thousand_streams_are_asked_for_once_each_in_small_frames() {
    let (mut subscriptions, now) = (Subscriptions::default(), Instant::now());
    subscriptions.want(&names(0..1_000), now);
    let sent = drain(&mut subscriptions, now);
    assert!(sent.len() <= 10, "{} frames", sent.len());
    assert_eq!(sent.iter().flat_map(|(_, names, _)| names.clone()).collect::<Streams>(), names(0..1_000));
    assert_eq!(sent.iter().map(|(_, names, _)| names.len()).sum::<usize>(), 1_000);
    assert!(!subscriptions.is_settled());
    for (_, names, id) in sent {
        assert_eq!(subscriptions.reply(Some(id), None, now), Outcome::Acknowledged { new: names, again: vec![] });
    }
    assert!(subscriptions.is_settled());
    assert_eq!(subscriptions.acknowledged().len(), 1_000);
}

#[test]
fn a_name_of_another_script_stays_within_the_frame() {
    let (mut subscriptions, now) = (Subscriptions::default(), Instant::now());
    let long: Streams = (0..200).map(|i| format!("{}{i:03}@kline_15m", "币".repeat(20))).collect();
    subscriptions.want(&long, now);
    assert_eq!(drain(&mut subscriptions, now).iter().map(|(_, names, _)| names.len()).sum::<usize>(), 200);
}

#[test]
fn a_change_sends_the_difference_and_leaves_first() {
    let (mut subscriptions, now) = (Subscriptions::default(), Instant::now());
    subscriptions.want(&names(0..3), now);
    for (_, _, id) in drain(&mut subscriptions, now) {
        subscriptions.reply(Some(id), None, now);
    }
    assert_eq!(subscriptions.want(&names(1..5), now), names(0..1).into_iter().collect::<Vec<_>>());
    assert_eq!(subscriptions.acknowledged().len(), 2);
    let sent = drain(&mut subscriptions, now);
    let list = |range| names(range).into_iter().collect::<Vec<_>>();
    assert_eq!(sent[0].0, "UNSUBSCRIBE");
    assert_eq!(sent[0].1, list(0..1));
    assert_eq!(sent[1].0, "SUBSCRIBE");
    assert_eq!(sent[1].1, list(3..5));
    subscriptions.want(&names(1..5), now);
    assert!(drain(&mut subscriptions, now).is_empty());
}

#[test]
fn an_unanswered_request_is_repeated_and_then_given_up() {
    let (mut subscriptions, mut now) = (Subscriptions::default(), Instant::now());
    subscriptions.want(&names(0..1), now);
    for _ in 0..ATTEMPTS {
        assert_eq!(drain(&mut subscriptions, now).len(), 1);
        now += REPLY_TIMEOUT - Duration::from_millis(1);
        assert!(drain(&mut subscriptions, now).is_empty());
        now += Duration::from_millis(1);
    }
    assert_eq!(subscriptions.next_frame(now), Err(Unanswered));
}

#[test]
fn a_deaf_stream_is_left_and_asked_for_anew() {
    let (mut subscriptions, now) = (Subscriptions::default(), Instant::now());
    subscriptions.want(&names(0..3), now);
    let (_, _, id) = drain(&mut subscriptions, now).remove(0);
    subscriptions.reply(Some(id), None, now);
    let deaf = names(1..2).pop_first().unwrap();
    subscriptions.renew(deaf.clone());
    let sent = drain(&mut subscriptions, now);
    let methods: Vec<(&str, &[String])> = sent.iter().map(|(method, names, _)| (&**method, &**names)).collect();
    let only = std::slice::from_ref(&deaf);
    assert_eq!(methods, [("UNSUBSCRIBE", only), ("SUBSCRIBE", only)]);
    assert_eq!(subscriptions.reply(Some(sent[0].2), None, now), Outcome::Fine);
    let again = Outcome::Acknowledged { new: vec![], again: vec![deaf] };
    assert_eq!(subscriptions.reply(Some(sent[1].2), None, now), again);
    assert_eq!(subscriptions.acknowledged().len(), 3);
}

#[test]
fn who_answers_nothing_is_asked_no_further() {
    let (mut subscriptions, mut now) = (Subscriptions::default(), Instant::now());
    (1..=20).for_each(|number| {
        subscriptions.want(&names(0..number), now);
    });
    let sent = drain(&mut subscriptions, now);
    assert_eq!(sent.len(), MOST_UNANSWERED);
    subscriptions.reply(Some(sent[3].2), None, now);
    assert_eq!(drain(&mut subscriptions, now).len(), 1);
    // The oldest is repeated, not added to.
    now += REPLY_TIMEOUT;
    assert_eq!(drain(&mut subscriptions, now).len(), MOST_UNANSWERED);
}

#[test]
fn a_bad_name_is_found_and_parked_and_costs_no_other() {
    let (mut subscriptions, mut now) = (Subscriptions::default(), Instant::now());
    let bad = names(4..5).pop_first().unwrap();
    subscriptions.want(&names(0..9), now);
    let mut refused = Vec::new();
    for _ in 0..20 {
        for (_, streams, id) in drain(&mut subscriptions, now) {
            let error = streams.contains(&bad).then(|| refusal(2)).flatten();
            if let Outcome::Refused { stream, .. } = subscriptions.reply(Some(id), error, now) {
                refused.push(stream);
            }
        }
    }
    assert_eq!(refused, std::slice::from_ref(&bad));
    assert_eq!(subscriptions.acknowledged().len(), 8);
    subscriptions.want(&names(0..9), now);
    assert!(drain(&mut subscriptions, now).is_empty(), "asked again at once");
    now += REFUSED_PAUSE;
    subscriptions.want(&names(0..9), now);
    assert_eq!(drain(&mut subscriptions, now)[0].1, [bad]);
}

#[test]
fn too_many_subscriptions_end_the_connection() {
    let (mut subscriptions, now) = (Subscriptions::default(), Instant::now());
    subscriptions.want(&names(0..1), now);
    let (_, _, id) = drain(&mut subscriptions, now).remove(0);
    assert_eq!(subscriptions.reply(Some(id), refusal(4), now), Outcome::Fatal);
}

#[test]
fn a_reply_to_nothing_is_ignored_and_one_without_id_finds_its_request() {
    let (mut subscriptions, now) = (Subscriptions::default(), Instant::now());
    assert_eq!(subscriptions.reply(Some(99), refusal(2), now), Outcome::Fine);
    assert_eq!(subscriptions.reply(None, refusal(3), now), Outcome::Fine);
    subscriptions.want(&names(0..1), now);
    drain(&mut subscriptions, now);
    assert!(matches!(subscriptions.reply(None, refusal(3), now), Outcome::Refused { .. }));
}
