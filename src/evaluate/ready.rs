//! Whether what an evaluation reads is all there.

use super::market::StoreMarket;
use vyx_core::store::{Columns, Completeness};
use vyx_core::{Interval, Millis, Symbol};
use vyx_engine::market::{BLOCK, anchor, history_blocks};

/// What can be said of one series' history at a candle.
#[derive(Clone, Debug, PartialEq)]
pub enum Ready {
    Yes,
    /// It is being fetched.
    Waiting,
    /// It will never be there, in words.
    Never(&'static str),
}

const UNTRACKED: &str = "is not tracked";
const TOO_OLD: &str = "is older than what is kept in memory";

/// Whether a series' history is there for the candles that were the newest at each of these times: that of the candle that is
/// evaluated and of the one before it, with which an edge compares.
pub fn history(market: &StoreMarket, symbol: &Symbol, interval: Interval, times: [Millis; 2]) -> Ready {
    let Some(series) = market.series(symbol, interval) else { return Ready::Never(UNTRACKED) };
    let Some(known) = market.completeness(series) else { return Ready::Waiting };
    let mut ready = Ready::Yes;
    for ordinal in times.map(|time| interval.last_closed(time)) {
        let start = known.first_ever.unwrap_or(i64::MIN).max(anchor(symbol, interval, ordinal));
        if start > ordinal {
            continue; // before the first candle ever there is nothing to wait for
        }
        if start < known.oldest {
            return Ready::Never(TOO_OLD);
        }
        if known.from > start || known.through < ordinal {
            ready = Ready::Waiting;
        }
    }
    ready
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
    [M5, M3, M1, M15, M30, H1].into_iter().find(|interval| market.store().shape().slots(*interval) != 0)
}

/// What was traded in a symbol, in its quote asset, in the 24 hours up to a close: the sum over the closed candles of an
/// interval, oldest first, so that it is the same number whenever it is asked for.
///
/// # Errors
/// The candles are not all there.
pub fn quote_volume(market: &StoreMarket, symbol: &Symbol, interval: Interval, time: Millis) -> Result<f64, Ready> {
    let series = market.series(symbol, interval).ok_or(Ready::Never(UNTRACKED))?;
    let known = market.completeness(series).ok_or(Ready::Waiting)?;
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
    market.store().closed_into(series, from..=through, &mut columns).map_err(|_| Ready::Waiting)?;
    Ok(columns.quote_volume.iter().sum())
}

/// Whether all tracked series of a symbol whose candle closes then are settled.
pub fn is_settled(market: &StoreMarket, symbol: &Symbol, close_time: Millis) -> bool {
    market.store().shape().intervals().all(|interval| {
        let Some(ordinal) = interval.closing_at(close_time) else { return true };
        let Some(series) = market.series(symbol, interval) else { return false };
        market.store().is_settled(series, ordinal, ordinal).unwrap_or(false)
    })
}
