//! A trader's rule over the past: the candles on which it would have fired, and what became of the price.
//!
//! The values are those of the live engine, each from its candle's own history, and what fires is decided as it is live,
//! but for what is a decision about delivery: cooldown, max_lag, volume.

use super::traders::{compiled, notice};
use super::{checked_limit, find, parse_interval, parse_symbol, required, timestamp};
use crate::encoding;
use crate::error::Error;
use crate::evaluate::market::StoreMarket;
use crate::shmem;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::{JsonB, PgSqlErrorCode};
use std::collections::VecDeque;
use std::sync::Arc;
use vyx_core::store::{ReadError, Store};
use vyx_core::{Interval, Kline, Symbol};
use vyx_engine::market::anchor;
use vyx_engine::wire::Mode;
use vyx_engine::{Checked, NotReady, Outcome, Replay, Series};

/// After how many existing candles it is told what became of the price.
const HORIZONS: [usize; 3] = [1, 5, 20];

/// A candle on which the rule would have fired.
struct Hit {
    symbol: Symbol,
    kline: Kline,
    /// By horizon, in percent of the hit's close; `None` where that candle is not there yet.
    returns: [Option<f64>; 3],
    metadata: serde_json::Map<String, serde_json::Value>,
}

/// What came of the candles so far.
#[derive(Default)]
struct Counts {
    symbols: i64,
    candles: i64,
    matched: i64,
    fired: i64,
    warming: i64,
    undefined: i64,
    history_missing: i64,
    /// Symbols of which no candle is held.
    empty: i64,
    from: Option<vyx_core::Millis>,
    to: Option<vyx_core::Millis>,
}

/// What is asked, symbol after symbol.
struct Backtest {
    store: Store<'static>,
    market: StoreMarket<'static>,
    interval: Interval,
    limit: usize,
    edge: bool,
    program: Arc<Checked>,
    replay: Replay,
    symbols: VecDeque<Symbol>,
    counts: Counts,
    told: bool,
}

impl Backtest {
    fn new(
        symbols: Option<Vec<Option<String>>>,
        interval: Option<&str>,
        limit: Option<i32>,
        script: Option<&str>,
        fire_on: Option<&str>,
    ) -> Result<Backtest, Error> {
        let script = required("script", script)?;
        let interval = parse_interval(required("interval", interval)?)?;
        let limit = checked_limit(limit)?;
        let edge = match required("fire_on", fire_on)? {
            "edge" => true,
            "match" => false,
            other => return Err(Error::UnknownFireOn(other.to_owned())),
        };
        let named: Option<Vec<Symbol>> = symbols
            .map(|names| names.into_iter().map(|name| parse_symbol(&required("symbols", name)?)).collect())
            .transpose()?;
        let store = shmem::store()?;
        if store.slots(interval) == 0 {
            return Err(Error::UntrackedInterval(interval));
        }
        let symbols = match named {
            Some(mut named) => {
                named.sort_unstable();
                named.dedup();
                for symbol in &named {
                    let series =
                        store.series(find(&store, symbol)?, interval).ok_or(Error::UntrackedInterval(interval))?;
                    // An empty answer would look like a rule that never fires.
                    if let Err(error @ ReadError::NeverFilled) = store.last(series, 1, false, None) {
                        return Err(Error::from_read(error, symbol.as_str(), interval));
                    }
                }
                named
            }
            None => encoding::symbols(store).map(|entry| entry.info.symbol).collect(),
        };
        let compiled = compiled(script, interval, Mode::Trader)?;
        compiled.warnings.iter().for_each(notice);
        let program = Arc::new(compiled.program);
        Ok(Backtest {
            store,
            market: StoreMarket::new(store),
            interval,
            limit,
            edge,
            replay: Replay::new(&program),
            program,
            symbols: symbols.into(),
            counts: Counts::default(),
            told: false,
        })
    }

    /// The hits of the next symbol, oldest first; `None` after the last, when it has been told what could not be judged.
    ///
    /// # Errors
    /// A series that cannot be read.
    fn next(&mut self) -> Result<Option<Vec<Hit>>, Error> {
        pgrx::check_for_interrupts!();
        let Some(symbol) = self.symbols.pop_front() else {
            if !std::mem::replace(&mut self.told, true) {
                self.tell();
            }
            return Ok(None);
        };
        self.counts.symbols += 1;
        let busy = || Error::Busy(symbol.to_string(), self.interval);
        let series = self.market.series(&symbol, self.interval);
        // One more, to compare the first with.
        let klines = match series.map(|series| self.store.last(series, self.limit + 1, false, None)) {
            Some(Ok(klines)) => klines,
            Some(Err(ReadError::Busy)) => return Err(busy()),
            Some(Err(ReadError::NeverFilled | ReadError::Gone)) | None => Vec::new(),
        };
        let [Some(first), Some(last)] = [klines.first(), klines.last()] else {
            self.counts.empty += 1;
            return Ok(Some(Vec::new()));
        };
        let [from, through] = [first, last].map(|kline| self.interval.ordinal(kline.open_time));
        let mut pause = || {
            pgrx::check_for_interrupts!();
        };
        let said = self.replay.series(&self.market, &symbol, from, through, &mut pause);
        if self.market.take_failed() {
            return Err(busy());
        }
        Ok(Some(self.judge(symbol, &klines, &said)))
    }

    fn judge(&mut self, symbol: Symbol, klines: &[Kline], said: &Series) -> Vec<Hit> {
        let counts = &mut self.counts;
        let asked = klines.len().saturating_sub(self.limit);
        let mut hits = Vec::new();
        for (place, kline) in klines.iter().enumerate().skip(asked) {
            counts.candles += 1;
            counts.from = Some(counts.from.map_or(kline.open_time, |from| from.min(kline.open_time)));
            counts.to = Some(counts.to.map_or(kline.open_time, |to| to.max(kline.open_time)));
            let ordinal = self.interval.ordinal(kline.open_time);
            // It may have left the ring since it was read.
            let index = said.ordinals.binary_search(&ordinal).ok();
            let outcome = index.map_or(Outcome::Absent, |index| said.outcomes[index]);
            // The one before, as far as the candle's own history reaches.
            let begin = anchor(&symbol, self.interval, ordinal);
            let before = index.and_then(|index| index.checked_sub(1)).filter(|before| said.ordinals[*before] >= begin);
            let before = before.map_or(Outcome::Absent, |before| said.outcomes[before]);
            match (outcome, before) {
                (Outcome::NoMatch, _) => continue,
                (Outcome::NotReady(NotReady::Warming), _) => counts.warming += 1,
                (Outcome::NotReady(NotReady::Undefined), _) => counts.undefined += 1,
                (Outcome::NotReady(NotReady::HistoryMissing) | Outcome::Absent, _) => counts.history_missing += 1,
                // Whether the match begins here cannot be known, as it could not live.
                (Outcome::Match, Outcome::NotReady(NotReady::HistoryMissing)) if self.edge => {
                    counts.history_missing += 1;
                }
                (Outcome::Match, before) => {
                    counts.matched += 1;
                    if self.edge && before != Outcome::NoMatch {
                        continue;
                    }
                    counts.fired += 1;
                    let keys = self.program.program().fields.iter().map(|(key, _)| key.clone());
                    let values = said.fields.iter().map(|column| column[index.expect("it matched")].clone().into());
                    let returns = HORIZONS.map(|horizon| percent(kline.close, klines.get(place + horizon)?.close));
                    hits.push(Hit { symbol, kline: *kline, returns, metadata: keys.zip(values).collect() });
                }
            }
        }
        hits
    }

    /// Says what could not be judged, where there is such.
    fn tell(&self) {
        let Counts { candles, history_missing, empty, .. } = self.counts;
        if history_missing > 0 {
            say(
                format!("{history_missing} of {candles} candles could not be judged: their history is not held"),
                "The newest 256 candles or so can; vyx.ring_size sets how many are held, vyx_gaps() shows holes.",
            );
        }
        if empty > 0 {
            say(
                format!("{empty} symbols have no candles at \"{}\" yet", self.interval),
                "SELECT * FROM vyx_series() shows what is held.",
            );
        }
    }
}

/// What a price has changed by, in percent; `None` where that is no number.
fn percent(then: f64, later: f64) -> Option<f64> {
    let change = 100.0 * (later - then) / then;
    change.is_finite().then_some(change)
}

fn say(message: String, hint: &str) {
    ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, message, "vyx")
        .set_hint(hint)
        .report(PgLogLevel::NOTICE);
}

/// A row for each candle, among the newest `limit` closed ones of each symbol, on which a trader with this script would
/// have fired; with `fire_on => 'match'` for each that matched. Symbol after symbol, oldest first. `ret_n` is what the
/// close had changed by n existing candles later, in percent; null where that candle has not closed yet. Candles whose
/// history is no longer held are counted in a notice. Cooldown and max_lag do not apply.
#[pg_extern(stable)]
#[allow(clippy::type_complexity)]
fn vyx_backtest(
    symbols: Option<Vec<Option<String>>>,
    interval: Option<&str>,
    limit: Option<i32>,
    script: Option<&str>,
    fire_on: default!(Option<&str>, "'edge'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(symbol, String),
            name!(open_time, Option<TimestampWithTimeZone>),
            name!(price, f64),
            name!(ret_1, Option<f64>),
            name!(ret_5, Option<f64>),
            name!(ret_20, Option<f64>),
            name!(metadata, JsonB),
        ),
    >,
    ErrorReport,
> {
    let mut backtest = Backtest::new(symbols, interval, limit, script, fire_on)?;
    // One symbol at a time is held in memory: `close > 0` over everything has a million hits.
    let hits = std::iter::from_fn(move || backtest.next().unwrap_or_else(raise));
    Ok(TableIterator::new(hits.flatten().map(|Hit { symbol, kline, returns: [one, five, twenty], metadata }| {
        let open_time = timestamp(kline.open_time);
        (symbol.to_string(), open_time, kline.close, one, five, twenty, JsonB(metadata.into()))
    })))
}

fn raise<T>(error: Error) -> T {
    ErrorReport::from(error).report(PgLogLevel::ERROR);
    unreachable!("an error does not return")
}

/// Returns of one horizon, added up.
#[derive(Clone, Copy, Default)]
struct Returns {
    count: u32,
    sum: f64,
    gains: u32,
}

impl Returns {
    fn add(&mut self, percent: f64) {
        self.count += 1;
        self.sum += percent;
        self.gains += u32::from(percent > 0.0);
    }

    fn mean(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }

    /// In percent.
    fn win_rate(self) -> Option<f64> {
        (self.count > 0).then(|| 100.0 * f64::from(self.gains) / f64::from(self.count))
    }
}

/// [`vyx_backtest`] in one row. `candles` were asked about; `evaluated` had a history, and are matched, not matched,
/// `warming` or `undefined`. `mean_ret_n` and `win_rate_n` (how many of the hits the price rose after) are in percent,
/// over the hits after which n candles have closed.
#[pg_extern(stable)]
#[allow(clippy::type_complexity)]
fn vyx_backtest_summary(
    symbols: Option<Vec<Option<String>>>,
    interval: Option<&str>,
    limit: Option<i32>,
    script: Option<&str>,
    fire_on: default!(Option<&str>, "'edge'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(symbols, i64),
            name!(candles, i64),
            name!(evaluated, i64),
            name!(matched, i64),
            name!(fired, i64),
            name!(warming, i64),
            name!(undefined, i64),
            name!(history_missing, i64),
            name!(from_open, Option<TimestampWithTimeZone>),
            name!(to_open, Option<TimestampWithTimeZone>),
            name!(mean_ret_1, Option<f64>),
            name!(mean_ret_5, Option<f64>),
            name!(mean_ret_20, Option<f64>),
            name!(win_rate_1, Option<f64>),
            name!(win_rate_5, Option<f64>),
            name!(win_rate_20, Option<f64>),
        ),
    >,
    ErrorReport,
> {
    let mut backtest = Backtest::new(symbols, interval, limit, script, fire_on)?;
    let mut returns = [Returns::default(); 3];
    while let Some(hits) = backtest.next()? {
        for (sum, percent) in hits.iter().flat_map(|hit| hit.returns.into_iter().enumerate()) {
            if let Some(percent) = percent {
                returns[sum].add(percent);
            }
        }
    }
    let Counts { symbols, candles, matched, fired, warming, undefined, history_missing, from, to, .. } =
        backtest.counts;
    let [mean_1, mean_5, mean_20] = returns.map(Returns::mean);
    let [won_1, won_5, won_20] = returns.map(Returns::win_rate);
    let evaluated = candles - history_missing;
    let [from, to] = [from, to].map(|at| at.and_then(timestamp));
    Ok(TableIterator::once((
        symbols,
        candles,
        evaluated,
        matched,
        fired,
        warming,
        undefined,
        history_missing,
        from,
        to,
        mean_1,
        mean_5,
        mean_20,
        won_1,
        won_5,
        won_20,
    )))
}
