//! Whether what an evaluation reads is all there.

use super::market::StoreMarket;
use vyx_core::store::{Columns, Completeness, ReadError};
use vyx_core::{Interval, Millis, Symbol};
use vyx_engine::market::{BLOCK, anchor, history_blocks};

/// What can be said of one series' history at a candle.
#[derive(Clone, Debug, PartialEq)]
pub enum Ready {
    Yes,
    /// Its newest candles are still to come.
    Waiting,
    /// Its newest candle is there, what lies before is still being fetched.
    Backfilling,
    /// It will never be there, in words.
    Never(&'static str),
}

const UNTRACKED: &str = "is not tracked";
const TOO_OLD: &str = "is older than what is kept in memory";

/// Whether a series' history is there for the candles that were the newest at each of these times: that of the candle that is
/// evaluated and of the one before it, with which an edge compares.
pub fn history(market: &StoreMarket, symbol: &Symbol, interval: Interval, times: [Millis; 2]) -> Ready {
    let Some(series) = market.series(symbol, interval) else { return Ready::Never(UNTRACKED) };
    let Ok(known) = market.completeness(series) else { return Ready::Waiting };
    let Some(known) = known else { return Ready::Backfilling };
    let mut ready = Ready::Yes;
    for ordinal in times.map(|time| interval.last_closed(time)) {
        let start = known.first_ever.unwrap_or(i64::MIN).max(anchor(symbol, interval, ordinal));
        if start > ordinal {
            continue; // before the first candle ever there is nothing to wait for
        }
        if start < known.oldest {
            return Ready::Never(TOO_OLD);
        }
        if known.through < ordinal {
            ready = Ready::Waiting;
        } else if known.from > start && ready == Ready::Yes {
            ready = Ready::Backfilling;
        }
    }
    ready
}

/// Whether some of these series of a symbol lack history, and it is being fetched, of the candle that an edge compares
/// with: the one before that exists. After a hole its history may begin a block before that of the ordinal before, of which
/// [`history`] tells. What will never be there is not waited for.
pub fn is_before_backfilling(
    market: &StoreMarket,
    symbol: &Symbol,
    interval: Interval,
    ordinal: i64,
    read: impl Iterator<Item = (Symbol, Interval)>,
) -> Result<bool, ReadError> {
    let Some(series) = market.series(symbol, interval) else { return Ok(false) };
    let before = market.newest(series, ordinal - 1)?;
    let Some(before) = before.filter(|before| *before >= anchor(symbol, interval, ordinal)) else { return Ok(false) };
    for (symbol, other) in read {
        let Some(series) = market.series(&symbol, other) else { continue };
        let Some(known) = market.completeness(series)? else { continue };
        let least = known.first_ever.map_or(known.oldest, |first| first.max(known.oldest));
        if known.from <= least {
            continue; // nothing older will ever come
        }
        let newest = market.newest(series, other.last_closed(interval.close_time(before)))?;
        let start = newest.map(|newest| anchor(&symbol, other, newest).max(known.first_ever.unwrap_or(i64::MIN)));
        if start.is_some_and(|start| start >= known.oldest && start < known.from) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The first ordinal of a series whose history, and that of the candle before it, the ring still has room for.
pub fn first_exact(symbol: &Symbol, interval: Interval, known: &Completeness) -> i64 {
    match known.first_ever {
        Some(first) if first >= known.oldest => first,
        _ => {
            // The anchor of an ordinal is the begin of its block, some blocks back: the least block whose anchor is not
            // too old, and in it the second ordinal, since the one before must have this anchor too.
            let stagger = anchor(symbol, interval, 0).rem_euclid(BLOCK);
            let block = (known.oldest - stagger).div_euclid(BLOCK)
                + i64::from((known.oldest - stagger).rem_euclid(BLOCK) != 0)
                + history_blocks(interval);
            block * BLOCK + stagger + 1
        }
    }
}

/// The interval from whose closed candles the volume of 24 hours is summed: 5m, or the next that is tracked.
pub fn volume_interval(market: &StoreMarket) -> Option<Interval> {
    use Interval::{H1, M1, M3, M5, M15, M30};
    [M5, M3, M1, M15, M30, H1].into_iter().find(|interval| market.store().slots(*interval) != 0)
}

/// What was traded in a symbol, in its quote asset, in the 24 hours up to a close: the sum over the closed candles of an
/// interval, oldest first, so that it is the same number whenever it is asked for.
///
/// # Errors
/// The candles are not all there.
pub fn quote_volume(market: &StoreMarket, symbol: &Symbol, interval: Interval, time: Millis) -> Result<f64, Ready> {
    let series = market.series(symbol, interval).ok_or(Ready::Never(UNTRACKED))?;
    let known = market.completeness(series).ok().flatten().ok_or(Ready::Waiting)?;
    let through = interval.last_closed(time);
    let day = interval.last_closed(time - Millis::DAY) + 1;
    let from = known.first_ever.map_or(day, |first| first.max(day));
    if from > through {
        return Ok(0.0);
    }
    if from < known.oldest {
        return Err(Ready::Never(TOO_OLD));
    }
    if known.from > from || known.through < through {
        return Err(Ready::Waiting);
    }
    let mut columns = Columns::default();
    market.columns(series, from, through, &mut columns).map_err(|_| Ready::Waiting)?;
    Ok(columns.quote_volume.iter().sum())
}

/// Whether all tracked series of a symbol whose candle closes then are settled.
pub fn is_settled(market: &StoreMarket, symbol: &Symbol, close_time: Millis) -> bool {
    market.store().intervals().all(|interval| {
        let Some(ordinal) = interval.closing_at(close_time) else { return true };
        let Some(series) = market.series(symbol, interval) else { return false };
        market.is_settled(series, ordinal)
    })
}
