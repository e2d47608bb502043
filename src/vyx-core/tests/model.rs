//! The ring against a map that says the same in the most obvious way: whatever comes in whatever order, both
//! give the same answers.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use vyx_core::kline::{Merge, merge};
use vyx_core::store::{Columns, ORDINAL_LIMIT, ReadError, Series, Shape, Store, Writer};
use vyx_core::sync::AtomicU64;
use vyx_core::{Interval, Kline, Millis, Provenance, Symbol, SymbolInfo, SymbolStatus};

#[derive(Clone, Debug)]
enum Step {
    Put { ordinal: i64, trades: u64, closed: bool },
    Confirm { from: i64, through: i64 },
    FirstEver { ordinal: i64 },
}

/// What a slot can hold; `None` is "history says it does not exist".
type Held = Option<Kline>;

struct Model {
    capacity: i64,
    head: Option<i64>,
    first_ever: Option<i64>,
    slots: BTreeMap<i64, Held>,
}

impl Model {
    fn oldest(&self) -> i64 {
        self.head.map_or(i64::MIN, |head| head - self.capacity + 1)
    }

    fn raise(&mut self, ordinal: i64) {
        self.head = self.head.max(Some(ordinal));
        self.slots = self.slots.split_off(&self.oldest());
    }

    fn put(&mut self, ordinal: i64, kline: &Kline) -> Merge {
        if !(-ORDINAL_LIMIT..ORDINAL_LIMIT).contains(&ordinal) {
            return Merge::Refused;
        }
        if ordinal < self.oldest() {
            return Merge::TooOld;
        }
        let outcome = match self.slots.get(&ordinal) {
            Some(None) if !kline.closed => return Merge::LateOpen,
            Some(None) | None => merge(None, kline),
            Some(Some(held)) => merge(Some(held), kline),
        };
        if outcome.accepted() {
            let mut kline = *kline;
            if outcome == Merge::Corrected {
                kline.revision = self.slots[&ordinal].expect("only a kline is corrected").revision + 1;
            }
            self.raise(ordinal);
            self.slots.insert(ordinal, Some(kline));
            self.first_ever = self.first_ever.map(|first| first.min(ordinal));
        }
        outcome
    }

    fn confirm(&mut self, from: i64, through: i64) -> u64 {
        let oldest = self.oldest().max(through - self.capacity + 1);
        let range = from.max(oldest).max(self.first_ever.unwrap_or(i64::MIN))..=through;
        if range.is_empty() {
            return 0;
        }
        self.raise(through);
        let absent: Vec<i64> = range.filter(|o| !self.is_settled(*o)).collect();
        self.slots.extend(absent.iter().map(|o| (*o, None)));
        absent.len() as u64
    }

    fn is_settled(&self, ordinal: i64) -> bool {
        self.slots.get(&ordinal).is_some_and(|held| held.is_none_or(|kline| kline.closed))
    }

    fn klines(&self, include_open: bool) -> Vec<Kline> {
        self.slots.values().flatten().filter(|k| k.closed || include_open).copied().collect()
    }

    /// Unsettled runs among the last `depth` closed at `last`.
    fn gaps(&self, last: i64, depth: i64) -> Vec<RangeInclusive<i64>> {
        let lowest = (last - depth + 1).max(self.oldest()).max(self.first_ever.unwrap_or(i64::MIN));
        let mut gaps: Vec<RangeInclusive<i64>> = Vec::new();
        for ordinal in (lowest..=last).filter(|o| !self.is_settled(*o)) {
            match gaps.last_mut() {
                Some(gap) if *gap.end() == ordinal - 1 => *gap = *gap.start()..=ordinal,
                _ => gaps.push(ordinal..=ordinal),
            }
        }
        gaps
    }
}

/// Steps around `base`, mostly near each other, now and then with a jump.
fn steps(base: i64) -> impl Strategy<Value = Vec<Step>> {
    let near = prop_oneof![9 => -6_i64..12, 1 => 0_i64..60].prop_map(move |offset| base + offset);
    let step = prop_oneof![
        8 => (near.clone(), 0_u64..4, any::<bool>())
            .prop_map(|(ordinal, trades, closed)| Step::Put { ordinal, trades, closed }),
        2 => (near.clone(), 0_i64..5).prop_map(|(from, more)| Step::Confirm { from, through: from + more }),
        1 => near.prop_map(|ordinal| Step::FirstEver { ordinal }),
    ];
    prop::collection::vec(step, 1..60)
}

/// Ordinals around zero, of today's seconds, and near both ends of what fits.
fn bases() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => Just(0_i64),
        1 => Just(29_000_000),
        1 => Just(ORDINAL_LIMIT - 8),
        1 => Just(6 - ORDINAL_LIMIT),
    ]
}

fn kline(ordinal: i64, trades: u64, closed: bool) -> Kline {
    let n = (ordinal.rem_euclid(1_000) * 10) as f64 + trades as f64;
    Kline {
        open_time: Interval::M1.open_time(ordinal),
        open: n + 1.0,
        high: n + 2.0,
        low: n + 0.5,
        close: n + 1.5,
        volume: n + 3.0,
        quote_volume: n + 4.0,
        trades,
        taker_buy_volume: n + 5.0,
        taker_buy_quote_volume: n + 6.0,
        closed,
        revision: 0,
        provenance: Provenance::Stream,
    }
}

fn compare(model: &Model, store: &Store, series: Series) -> Result<(), TestCaseError> {
    for include_open in [true, false] {
        let klines = model.klines(include_open);
        match store.last(series, usize::MAX, include_open, None) {
            Ok(read) => prop_assert_eq!(&read, &klines),
            Err(error) => {
                prop_assert_eq!(error, ReadError::NeverFilled);
                prop_assert!(klines.is_empty());
            }
        }
        let (Some(middle), Ok(read)) = (klines.get(klines.len() / 2), store.last(series, 2, include_open, None)) else {
            continue;
        };
        prop_assert_eq!(&read, &klines[klines.len().saturating_sub(2)..]);
        let older: Vec<Kline> = klines.iter().filter(|k| k.open_time < middle.open_time).copied().collect();
        prop_assert_eq!(store.last(series, usize::MAX, include_open, Some(middle.open_time)).unwrap(), older);
    }
    let Some(head) = model.head else { return Ok(()) };
    let closed = model.klines(false);
    if let Ok(read) = store.closed(series, head - 3, head - 1) {
        let wanted = |k: &&Kline| (head - 3..head).contains(&Interval::M1.ordinal(k.open_time));
        prop_assert_eq!(read, closed.iter().filter(wanted).copied().collect::<Vec<_>>());
        prop_assert_eq!(store.closes(series, usize::MAX).unwrap(), closed.iter().map(|k| k.close).collect::<Vec<_>>());
        let mut columns = Columns::default();
        store.closed_into(series, i64::MIN..=i64::MAX, &mut columns).unwrap();
        prop_assert_eq!(&columns.close, &closed.iter().map(|k| k.close).collect::<Vec<_>>());
        prop_assert_eq!(&columns.trades, &closed.iter().map(|k| k.trades as f64).collect::<Vec<_>>());
        prop_assert_eq!(&columns.revision, &closed.iter().map(|k| k.revision).collect::<Vec<_>>());
    }
    compare_completeness(model, store, series, head)
}

fn compare_completeness(model: &Model, store: &Store, series: Series, head: i64) -> Result<(), TestCaseError> {
    let settled = (model.oldest()..=head).filter(|o| model.is_settled(*o)).count();
    let status = store.status(series).unwrap();
    prop_assert_eq!(status.held, model.klines(true).len());
    prop_assert_eq!(status.first_ever, model.first_ever);
    match (status.complete_from, status.complete_through) {
        (Some(from), Some(through)) => {
            prop_assert!((from..=through).all(|o| model.is_settled(o)), "{from}..={through}");
            prop_assert!(!model.is_settled(from - 1) && !model.is_settled(through + 1), "{from}..={through} can grow");
        }
        range => prop_assert_eq!((range, settled), ((None, None), 0)),
    }
    for last in [head - 1, head] {
        let at = Interval::M1.close_time(last);
        if at.0 > 0 {
            let depth = i64::from(store.depth(series)).min(5);
            prop_assert_eq!(store.gaps(series, at, 5).unwrap(), model.gaps(last, depth));
        }
    }
    let oldest = model.oldest();
    for (from, through) in [(head, head), (head - 2, head - 1), (oldest - 1, head), (oldest - 4, oldest - 2)] {
        let first = model.first_ever.unwrap_or(i64::MIN);
        let expected = (from..=through).filter(|o| *o >= first).all(|o| model.is_settled(o));
        prop_assert_eq!(store.is_settled(series, from, through).unwrap(), expected, "{}..={}", from, through);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]
    #[test]
    fn the_ring_is_a_map_with_a_window(
        (steps, capacity) in (bases().prop_flat_map(steps), 1_u32..10),
    ) {
        let shape = Shape::new(1, &[(Interval::M1, capacity)]).unwrap();
        let words: Vec<AtomicU64> = (0..shape.words()).map(|_| AtomicU64::new(u64::MAX)).collect();
        let store = Store::initialize(&words, &shape).unwrap();
        let writer = Writer::attach(store);
        let symbol = Symbol::new("A").unwrap();
        let status = SymbolStatus::Trading;
        let info = SymbolInfo { symbol, base: symbol, quote: symbol, status, tick_size: 0.0, step_size: 0.0 };
        let id = writer.put_symbol(&info, Millis(1)).unwrap();
        let series = store.series(id, Interval::M1).unwrap();
        let mut model = Model { capacity: i64::from(capacity), head: None, first_ever: None, slots: BTreeMap::new() };
        for step in steps {
            match step {
                Step::Put { ordinal, trades, closed } => {
                    let kline = kline(ordinal, trades, closed);
                    prop_assert_eq!(writer.put_kline(series, &kline), model.put(ordinal, &kline), "{:?}", kline);
                }
                Step::Confirm { from, through } => {
                    let through = through.min(ORDINAL_LIMIT - 1);
                    prop_assert_eq!(writer.confirm(series, from, through), model.confirm(from, through));
                }
                Step::FirstEver { ordinal } => {
                    writer.set_first_ever(series, ordinal);
                    model.first_ever = Some(ordinal);
                }
            }
            compare(&model, &store, series)?;
        }
    }
}
