//! What was put off for want of another symbol's data, finished when it is there.

use super::batch::{Batch, Count, Pair, Tally};
use super::close::clocks;
use super::evaluator::{Evaluator, Warm};
use super::isolate;
use super::market::StoreMarket;
use super::ready::{self, Ready};
use super::said::Said;
use super::tables::{PendingRow, Tables};
use super::version::Version;
use std::collections::BTreeMap;
use std::rc::Rc;
use vyx_core::{Interval, Millis, Symbol};

/// A version at a symbol.
type Asked = (Rc<Version>, Symbol);

/// Most rows finished in one batch: each symbol of them runs its history.
const MOST_FINISHED: usize = 200;

impl Evaluator {
    /// Evaluates what is pending and complete now, by engines of their own: going back would make the others start anew.
    pub(super) fn finish_pending(&mut self, market: &StoreMarket, tables: &Tables, batch: &mut Batch) {
        let mut complete: BTreeMap<(i64, Interval), Vec<Asked>> = BTreeMap::new();
        for row in &tables.pending {
            if batch.finished.len() + complete.values().map(Vec::len).sum::<usize>() >= MOST_FINISHED {
                break;
            }
            let Some(version) = self.versions.get(&row.key) else { continue };
            match is_ready(market, version, row) {
                Ok(true) => {
                    complete.entry((row.close_time.0, row.interval)).or_default().push((Rc::clone(version), row.symbol))
                }
                Ok(false) => {}
                Err((cause, message)) => {
                    let pair = Pair::new(row.key, &row.symbol, row.interval, row.close_time);
                    let mut entries = batch.at(row.interval, row.close_time);
                    entries.finish(pair.clone());
                    entries.fail(pair, cause, message);
                }
            }
        }
        self.waiting |= market.take_failed();
        for ((close_time, interval), pairs) in complete {
            pgrx::check_for_interrupts!();
            finish(market, interval, Millis(close_time), pairs, batch);
            self.waiting |= market.take_failed();
        }
    }
}

/// Whether all that a version reads is there.
///
/// # Errors
/// It never will be evaluated: cause and message.
fn is_ready(market: &StoreMarket, version: &Version, row: &PendingRow) -> Result<bool, (&'static str, String)> {
    if version.is_outdated() {
        return Ok(false);
    }
    version.program().map_err(|why| ("program", why.to_owned()))?;
    let ordinal = row.interval.last_closed(row.close_time);
    let before = row.interval.close_time(ordinal - 1);
    let series = || clocks(version).iter().map(|clock| (clock.symbol.unwrap_or(row.symbol), clock.interval));
    let mut all = true;
    for (symbol, interval) in series() {
        match ready::history(market, &symbol, interval, [row.close_time, before]) {
            Ready::Yes => {}
            Ready::Waiting | Ready::Backfilling => all = false,
            Ready::Never(why) => return Err(("history", format!("{symbol} {interval} {why}"))),
        }
    }
    let backfilling = ready::is_before_backfilling(market, &row.symbol, row.interval, ordinal, series());
    Ok(all && backfilling.is_ok_and(|backfilling| !backfilling))
}

fn finish(market: &StoreMarket, interval: Interval, close_time: Millis, pairs: Vec<Asked>, batch: &mut Batch) {
    let ordinal = interval.last_closed(close_time);
    let mut symbols: Vec<Symbol> = pairs.iter().map(|(_, symbol)| *symbol).collect();
    symbols.sort_unstable();
    symbols.dedup();
    let mut versions: Vec<&Rc<Version>> = pairs.iter().map(|(version, _)| version).collect();
    versions.sort_unstable_by_key(|version| version.key);
    versions.dedup_by_key(|version| version.key);
    let mut warm = Warm::new(interval);
    warm.set(versions.into_iter().map(Rc::clone));
    isolate::evaluate(&mut warm, market, &symbols, ordinal);
    let Warm { mut engine, places, .. } = warm;
    let outcomes = engine.evaluate(market, &symbols, ordinal);
    if market.has_failed() {
        return;
    }
    let mut traders = Vec::with_capacity(pairs.len());
    for (version, symbol) in &pairs {
        let place = symbols.binary_search(symbol).expect("every symbol is among them");
        let kline = market.series(symbol, interval).and_then(|series| market.kline(series, ordinal).ok().flatten());
        let (Some(kline), Some(program)) = (kline, places.get(&version.key)) else { continue };
        let said = Said { outcomes: &outcomes, symbol: place, name: *symbol, kline, interval };
        let mut entries = batch.at(interval, close_time);
        entries.finish(said.pair(version));
        said.enter(&mut entries, version, *program);
        traders.push(version.key.0);
    }
    let counts = vec![Count { evaluated: 1, failed: 0, traders }];
    batch.tallies.push(Tally { interval: interval.as_str(), close_time: close_time.0, counts });
}
