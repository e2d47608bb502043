//! What must hold in the end.

use crate::world::{Correction, range};
use std::fmt::Write;
use vyx_core::store::{SeriesState, Store};
use vyx_core::{Gap, GapResolution, Interval, Kline, Millis, Provenance, SymbolStatus};
use vyx_feed::Settings;
use vyx_sim::Virtual;

/// Everything that the settings ask for is followed, whole and up to the present, and no gap is open.
pub fn is_mended(store: Store, settings: &Settings, market_time: i64) -> bool {
    let wanted: Vec<_> = settings.symbols.iter().flatten().filter(|s| !settings.exclude_symbols.contains(s)).collect();
    let there = |symbol: &&vyx_core::Symbol| {
        let entry = store.find(symbol).and_then(|id| store.symbol(id));
        entry.is_some_and(|entry| entry.info.status == SymbolStatus::Trading)
    };
    market_time - store.market_time().0 < 10_000
        && wanted.iter().all(there)
        && store.symbols().count() == wanted.len()
        && store.gap_ledger().iter().all(|gap| gap.resolved.is_some())
        && store.symbols().all(|id| {
            settings.intervals.iter().all(|interval| {
                let status = store.series(id, *interval).and_then(|series| store.status(series).ok());
                status.is_some_and(|s| matches!(s.state, SeriesState::Live | SeriesState::Quiet) && s.gaps == 0)
            })
        })
}

/// What stands in the way, in words.
pub fn describe(store: Store) -> String {
    let mut text = format!("market time {}\n", store.market_time());
    for id in store.symbols() {
        let Some(entry) = store.symbol(id) else { continue };
        for interval in store.intervals() {
            let Some(series) = store.series(id, interval) else { continue };
            let status = store.status(series);
            let gaps = store.gaps(series, store.market_time() - Millis(10_000), store.depth(series));
            let gaps: Vec<String> = gaps.into_iter().flatten().map(|gap| range(interval, &gap)).collect();
            let status = status.map(|s| (s.state, s.gaps, s.heard));
            let _ =
                writeln!(text, "{} {interval} {:?} {status:?} missing {gaps:?}", entry.info.symbol, entry.info.status);
        }
    }
    for gap in store.gap_ledger().iter().filter(|gap| gap.resolved.is_none()) {
        let _ = writeln!(text, "open: {gap:?}");
    }
    text
}

/// Rings are the truth, to the last bit, and the ledger says of them what is so. Gives how many klines are held as the
/// exchange first closed them, since its correction was lost.
pub fn truth(store: Store, exchange: &Virtual, corrections: &[Correction]) -> u64 {
    let mut lost = 0;
    let ledger = store.gap_ledger();
    for id in store.symbols() {
        let symbol = store.symbol(id).expect("nobody writes").info.symbol;
        for interval in store.intervals() {
            let Some(series) = store.series(id, interval) else { continue };
            let Ok(Some(known)) = store.completeness(series) else { continue };
            let status = store.status(series).expect("nobody writes");
            let held = store.closed(series, known.oldest, i64::MAX >> 20).expect("nobody writes");
            let last = interval.last_closed(store.market_time() - Millis(10_000));
            let first =
                known.oldest.max(known.first_ever.unwrap_or(i64::MIN)).max(last - i64::from(store.depth(series)) + 1);
            for ordinal in first..=last {
                let is = held.iter().find(|kline| interval.ordinal(kline.open_time) == ordinal);
                let should = true_kline(exchange, symbol.as_str(), interval, ordinal);
                let was_corrected = |kline: &Kline| {
                    let at = interval.close_time(ordinal).0;
                    let suits = |c: &&Correction| {
                        c.symbol.as_deref().is_none_or(|s| s == symbol.as_str())
                            && c.interval.as_deref().is_none_or(|i| i == interval.as_str())
                            && (c.from..=c.to + 1_000).contains(&(at + 1))
                    };
                    kline.provenance != Provenance::History && corrections.iter().any(|c| suits(&c))
                };
                if let (Some(kline), Some((_, trades))) = (is, should)
                    && kline.trades < trades
                    && was_corrected(kline)
                {
                    lost += 1;
                    continue;
                }
                let (state, provenance) = (status.state, is.map(|kline| kline.provenance));
                assert_eq!(is.map(numbers), should, "{symbol} {interval} {ordinal}, {state:?}, {provenance:?}");
            }
            let rows: Vec<&Gap> =
                ledger.iter().filter(|gap| (gap.symbol, gap.interval) == (symbol, interval)).collect();
            rows.iter().for_each(|gap| check_row(store, series, gap, known.oldest, &held));
        }
    }
    lost
}

/// What a row says of klines that the ring still has room for is so.
fn check_row(store: Store, series: vyx_core::store::Series, gap: &Gap, oldest: i64, held: &[Kline]) {
    let there = |ordinal: i64| held.iter().any(|kline| gap.interval.ordinal(kline.open_time) == ordinal);
    for ordinal in gap.from.max(oldest)..=gap.through {
        match gap.resolved.map(|(how, _)| how) {
            // Taken out of the settings, a series begins anew when it comes back: what was said of it then is past.
            Some(GapResolution::Repaired) => {
                assert!(there(ordinal) || !store.is_settled(series, ordinal, ordinal).unwrap(), "{gap:?}: {ordinal}")
            }
            Some(GapResolution::ConfirmedAbsent) => assert!(!there(ordinal), "{gap:?}: {ordinal} is there"),
            Some(GapResolution::TooOld | GapResolution::Untracked) => {}
            None => panic!("open: {gap:?}"),
        }
    }
}

/// Open, high, low, close, the volumes, and trades.
type Numbers = ([u64; 8], u64);

fn numbers(kline: &Kline) -> Numbers {
    let prices = [kline.open, kline.high, kline.low, kline.close];
    let volumes = [kline.volume, kline.quote_volume, kline.taker_buy_volume, kline.taker_buy_quote_volume];
    let all = [prices, volumes].concat();
    (std::array::from_fn(|i| all[i].to_bits()), kline.trades)
}

fn true_kline(exchange: &Virtual, symbol: &str, interval: Interval, ordinal: i64) -> Option<Numbers> {
    let open = interval.open_time(ordinal).0;
    let interval = vyx_sim::Interval::parse(interval.as_str()).expect("both know it");
    let kline = exchange.market().kline(symbol, interval, open, exchange.market_time())?;
    assert!(kline.closed, "it closed a while ago");
    Some((kline.floats().map(f64::to_bits), kline.trades))
}
