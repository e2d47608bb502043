//! What was put off for want of another symbol's data, finished when it is there.

use super::batch::{Batch, Pair};
use super::close::clocks;
use super::evaluator::{Evaluator, Warm};
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
            match readiness(market, version, row) {
                Ok(Ready::Yes) => {
                    complete.entry((row.close_time.0, row.interval)).or_default().push((Rc::clone(version), row.symbol))
                }
                Ok(_) => {}
                Err(message) => {
                    let pair = Pair::new(row.key, &row.symbol, row.interval, row.close_time);
                    let mut entries = batch.at(row.interval, row.close_time);
                    entries.finish(pair.clone());
                    entries.fail(pair, "history", message);
                }
            }
        }
        for ((close_time, interval), pairs) in complete {
            pgrx::check_for_interrupts!();
            finish(market, interval, Millis(close_time), pairs, batch);
        }
    }
}

/// Whether all that a version reads is there; in words, why it never will be.
fn readiness(market: &StoreMarket, version: &Version, row: &PendingRow) -> Result<Ready, String> {
    let before = row.interval.close_time(row.interval.last_closed(row.close_time) - 1);
    let mut all = Ready::Yes;
    for clock in clocks(version) {
        let symbol = clock.symbol.unwrap_or(row.symbol);
        match ready::history(market, &symbol, clock.interval, [row.close_time, before]) {
            Ready::Yes => {}
            Ready::Waiting => all = Ready::Waiting,
            Ready::Never(why) => return Err(format!("{symbol} {} {why}", clock.interval)),
        }
    }
    Ok(all)
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
    let Warm { mut engine, places, .. } = warm;
    let outcomes = engine.evaluate(market, &symbols, ordinal);
    if market.take_failed() {
        return;
    }
    for (version, symbol) in &pairs {
        let place = symbols.binary_search(symbol).expect("every symbol is among them");
        let kline = market
            .series(symbol, interval)
            .and_then(|series| market.store().closed(series, ordinal, ordinal).ok()?.pop());
        let (Some(kline), Some(program)) = (kline, places.get(&version.key)) else { continue };
        let said = Said { outcomes: &outcomes, symbol: place, name: *symbol, kline, interval };
        let mut entries = batch.at(interval, close_time);
        entries.finish(said.pair(version));
        said.enter(&mut entries, version, *program);
    }
}
