//! Turns what is due into batches. Keeps, between batches, programs and what makes the next candle cheap.

use super::batch::{Batch, Count, Entries, Tally};
use super::close::{Candidate, Close, Obstacle};
use super::isolate;
use super::market::StoreMarket;
use super::said::Said;
use super::tables::Tables;
use super::version::{InForce, Key, Lane, Version};
use super::work::Work;
use crate::encoding;
use pgrx::spi::SpiResult;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;
use vyx_core::store::{Store, SymbolEntry};
use vyx_core::{Interval, Symbol};
use vyx_engine::{Engine, Outcomes};

/// Most candles of a batch, so that its transaction stays short: a close of 500 symbols fits whole.
const MOST_CANDLES: usize = 600;
/// Signals after which a batch takes no further candle: some 5 MB of batch, a fraction of a second to write.
const MOST_SIGNALS: usize = 5_000;
/// Symbols that are evaluated before the first look for interrupts: a fifth of a second where each runs its history for
/// a thousand programs (measured: 10 ms a symbol).
const FIRST_PIECE: usize = 16;
/// Pieces that take less may grow.
const SHORT_PIECE: Duration = Duration::from_millis(20);
/// When a close was first seen is forgotten after this.
const REMEMBER: Duration = Duration::from_secs(3_600);

/// Evaluates, batch after batch. One lives in each process that does.
#[derive(Default)]
pub struct Evaluator {
    pub(super) versions: HashMap<Key, Rc<Version>>,
    engines: HashMap<Interval, Warm>,
    /// When, by transport time, a close was first seen: what `vyx.close_grace` is counted from.
    first_seen: HashMap<(Interval, i64), Instant>,
    /// Something waits that time alone makes due.
    pub(super) waiting: bool,
    /// What the tables say, if nobody else has written since.
    known: Option<Tables>,
}

/// Who asks for what.
#[derive(Clone, Copy)]
pub struct Request {
    pub store: Store<'static>,
    /// `None`: all intervals.
    pub only: Option<Interval>,
    /// `worker` or `sql`.
    pub by: &'static str,
    pub lane: Lane,
    /// How long a candle waits for another symbol's data.
    pub grace: Duration,
}

/// An engine with the versions it was given, in its order.
pub(super) struct Warm {
    interval: Interval,
    pub engine: Engine,
    pub versions: Vec<Rc<Version>>,
    /// Each version's place in the engine.
    pub places: HashMap<Key, usize>,
}

impl Warm {
    pub fn new(interval: Interval) -> Warm {
        Warm {
            interval,
            engine: Engine::new(interval).stopped_when(crate::worker::must_stop),
            versions: Vec::new(),
            places: HashMap::new(),
        }
    }

    pub fn interval(&self) -> Interval {
        self.interval
    }

    /// Evaluates these versions from now on: those of them that have a program.
    pub fn set(&mut self, versions: impl Iterator<Item = Rc<Version>>) {
        let versions: Vec<_> = versions.filter(|version| version.program().is_ok()).collect();
        if versions.len() == self.versions.len() && versions.iter().zip(&self.versions).all(|(a, b)| Rc::ptr_eq(a, b)) {
            return;
        }
        let programs = versions.iter().enumerate().filter_map(|(place, version)| {
            let program = version.program().ok()?;
            Some((place as u64, Arc::clone(program)))
        });
        self.engine.set_programs(programs.collect()).expect("versions are sorted by their program's interval");
        self.places = versions.iter().enumerate().map(|(place, version)| (version.key, place)).collect();
        self.versions = versions;
    }
}

impl Evaluator {
    /// Reads what the tables say, in the caller's transaction.
    ///
    /// # Errors
    /// Those of SPI.
    pub fn read(&mut self, request: Request) -> SpiResult<Tables> {
        if let Some(mut known) = self.known.take()
            && !self.is_outdated()
            && known.refresh(request.lane, request.only)?
        {
            return Ok(known);
        }
        let market = StoreMarket::new(request.store);
        Tables::read(&mut self.versions, request.lane, request.only, |symbol, interval| {
            market.series(symbol, interval).is_some()
        })
    }

    /// Tells that a batch was written, so that the tables need not be read anew; or that there was nothing to write.
    pub fn written(&mut self, mut tables: Tables, batch: Option<&Batch>) {
        batch.into_iter().for_each(|batch| tables.advance(batch));
        self.known = Some(tables);
    }

    /// Evaluates what is due, oldest first, up to a batch. `None` if nothing is.
    pub fn evaluate(&mut self, request: Request, tables: &Tables) -> Option<Batch> {
        let began = Instant::now();
        let now = request.store.market_time();
        let symbols: Vec<SymbolEntry> = encoding::symbols(request.store).collect();
        if now.0 <= 0 || symbols.is_empty() {
            return None;
        }
        let market = StoreMarket::new(request.store);
        let mut batch = Batch::new(request.by, request.lane, tables.settled);
        self.waiting = false;
        self.first_seen.retain(|_, seen| seen.elapsed() < REMEMBER);
        self.finish_pending(&market, tables, &mut batch);
        let intervals = request.store.intervals();
        let mut works: Vec<Work> = intervals
            .filter(|interval| request.only.is_none_or(|only| only == *interval))
            .filter_map(|interval| Work::new(&market, tables, interval, &symbols, now))
            .collect();
        for work in &works {
            self.seen(work.interval, work.interval.last_closed(now));
        }
        let mut candles = 0;
        while candles < MOST_CANDLES && batch.signals.len() < MOST_SIGNALS {
            pgrx::check_for_interrupts!();
            let next = works.iter_mut().filter_map(|work| Some((work.next()?, work)));
            let Some((ordinal, work)) = next.min_by_key(|(ordinal, work)| work.interval.close_time(*ordinal)) else {
                break;
            };
            candles += self.close(&market, request, tables, work, ordinal, symbols.len(), &mut batch);
        }
        self.waiting |= market.take_failed();
        batch.watermarks = works.iter().flat_map(Work::watermarks).collect();
        let newest = batch.cycles.keys().map(|(close_time, _)| *close_time).max().unwrap_or(0);
        batch.evaluated_at = request.store.market_time().0.max(newest);
        batch.evaluate_ms = began.elapsed().as_secs_f64() * 1e3;
        (!batch.is_empty()).then_some(batch)
    }

    /// Runs the histories that the next candles will need, for about so long; whether there may be more of them.
    pub fn prepare(&mut self, store: Store<'static>, budget: Duration) -> bool {
        let began = Instant::now();
        let market = StoreMarket::new(store);
        let symbols: Vec<Symbol> = encoding::symbols(store).map(|entry| entry.info.symbol).collect();
        let mut lost = Vec::new();
        for (interval, warm) in &mut self.engines {
            let next = interval.last_closed(store.market_time()) + 1;
            while isolate::prepare(warm, &market, &symbols, next) {
                pgrx::check_for_interrupts!();
                if began.elapsed() >= budget {
                    break;
                }
            }
            if market.take_failed() {
                lost.push(*interval);
            }
        }
        lost.iter().for_each(|interval| drop(self.engines.remove(interval)));
        began.elapsed() >= budget
    }

    /// Whether some version that was read has a program of another format.
    pub fn is_outdated(&self) -> bool {
        self.versions.values().any(|version| version.is_outdated())
    }

    /// Whether something waits that time alone makes due.
    pub fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// How long ago this process first saw that a candle must be closed.
    fn seen(&mut self, interval: Interval, ordinal: i64) -> Duration {
        self.first_seen.entry((interval, ordinal)).or_insert_with(Instant::now).elapsed()
    }

    /// One close of one interval: all its lines that stand right before it. Gives how many candles it looked at.
    #[expect(clippy::too_many_arguments, reason = "what is asked for, what is known, and where it is entered")]
    fn close(
        &mut self,
        market: &StoreMarket,
        request: Request,
        tables: &Tables,
        work: &mut Work,
        ordinal: i64,
        expected: usize,
        batch: &mut Batch,
    ) -> usize {
        let interval = work.interval;
        let close_time = interval.close_time(ordinal);
        let covering: Vec<&InForce> = work.versions.iter().filter(|version| version.at(close_time)).collect();
        let group = work.lines.iter_mut().filter(|line| line.stands_before(ordinal));
        if covering.is_empty() {
            return group.map(|line| line.through = ordinal).count();
        }
        let waited = self.seen(interval, ordinal);
        let overdue = waited >= request.grace;
        let close = Close::new(market, tables, interval, ordinal, &covering);
        let mut looked_at = 0;
        let mut due = Vec::new();
        for line in group {
            looked_at += 1;
            due.extend(close.candidate(line, overdue, &mut self.waiting));
        }
        if due.is_empty() {
            return looked_at;
        }
        let warm = self.engines.entry(interval).or_insert_with(|| Warm::new(interval));
        warm.set(work.versions.iter().map(|version| Rc::clone(&version.version)));
        let asked: Vec<Symbol> =
            due.iter().filter(|candle| candle.kline.is_some()).map(|candle| candle.line.symbol).collect();
        self.waiting |= market.take_failed();
        in_pieces(warm, market, &asked, ordinal);
        let Warm { engine, places, .. } = warm;
        // What was evaluated once is not evaluated again.
        let outcomes = engine.evaluate(market, &asked, ordinal);
        if market.take_failed() {
            self.waiting = true;
            due.into_iter().for_each(|candle| candle.line.stopped = true);
            self.engines.remove(&interval);
            return looked_at;
        }
        let mut entries = batch.at(interval, close_time);
        entries.cycle.expected = expected;
        entries.cycle.traders = covering.len();
        entries.cycle.wait_ms = entries.cycle.wait_ms.max(waited.as_secs_f64() * 1e3);
        let counts = enter(&close, due, &outcomes, places, overdue, &mut entries);
        let succeeded = close.versions().filter(|version| version.program().is_ok() && !close.rests(version));
        let failed = |version: &&Rc<Version>| tables.resting.get(&version.key).is_some_and(|rest| rest.is_of_program);
        batch.recovered.extend(succeeded.filter(failed).map(|version| version.key.0));
        batch.tallies.push(Tally { interval: interval.as_str(), close_time: close_time.0, counts });
        looked_at
    }
}

/// Evaluates as [`isolate::evaluate`] does, but looks for interrupts on the way: where many histories have to be run, as
/// after a start, that takes seconds.
fn in_pieces(warm: &mut Warm, market: &StoreMarket, symbols: &[Symbol], ordinal: i64) {
    let (mut rest, mut size) = (symbols, FIRST_PIECE);
    while !rest.is_empty() {
        let began = Instant::now();
        let (piece, after) = rest.split_at(size.min(rest.len()));
        isolate::evaluate(warm, market, piece, ordinal);
        pgrx::check_for_interrupts!();
        if began.elapsed() < SHORT_PIECE {
            size *= 4; // wide columns are cheaper
        }
        rest = after;
    }
}

/// Enters what came out for symbols that are due, as far as the batch has room; gives what was evaluated for whom. `places`
/// are those of the programs in the engine; a version without a program has none.
fn enter(
    close: &Close,
    due: Vec<Candidate>,
    outcomes: &Outcomes,
    places: &HashMap<Key, usize>,
    overdue: bool,
    entries: &mut Entries,
) -> Vec<Count> {
    // A plain version looks at every symbol, and nothing but other symbols' data can stand in its way.
    let is_plain = |version: &Version| version.program().is_ok() && version.covers_all() && !close.rests(version);
    let placed: Vec<_> = close.versions().map(|version| (version, places.get(&version.key))).collect();
    let (plain, special): (Vec<usize>, Vec<usize>) =
        (0..placed.len()).partition(|n| placed[*n].1.is_some() && is_plain(placed[*n].0));
    let programs: Vec<usize> = plain.iter().filter_map(|n| placed[*n].1.copied()).collect();
    let sifted = outcomes.sift(&programs);
    // Candles of which what plain versions say was counted as a whole, but for what each has said by itself.
    let mut whole = 0;
    let mut by_itself = vec![0; placed.len()];
    let mut tallied = vec![(0, 0); placed.len()];
    let mut symbol = 0;
    for candle in due {
        if entries.signals.len() >= MOST_SIGNALS {
            candle.line.stopped = true; // its outcomes are kept by the engine for the next batch
            continue;
        }
        candle.line.through = close.ordinal;
        entries.cycle.series += 1;
        entries.cycle.late += usize::from(overdue);
        let Some(kline) = candle.kline else {
            entries.cycle.absent += 1;
            continue;
        };
        let said = Said { outcomes, symbol, name: candle.line.symbol, kline, interval: close.interval };
        let sifted = &sifted[symbol];
        symbol += 1;
        let mut one = |n: usize| {
            let (version, program) = placed[n];
            if !candle.is_wanted_by(version) {
                return;
            }
            let before = (entries.cycle.evaluated, entries.cycle.failed);
            match (close.obstacle(version, &candle), program) {
                (None, Some(program)) => said.enter(entries, version, *program),
                (None, None) => unreachable!("a version without a program has that for an obstacle"),
                (Some(Obstacle::Waiting(series)), _) => entries.put_off(said.pair(version), series),
                (Some(Obstacle::Failed(cause, why)), _) => entries.fail(said.pair(version), cause, why),
                (Some(Obstacle::Resting), _) => entries.cycle.resting += 1,
            }
            tallied[n].0 += entries.cycle.evaluated - before.0;
            tallied[n].1 += entries.cycle.failed - before.1;
        };
        special.iter().for_each(|n| one(*n));
        if !close.is_free_of_obstacles(&candle) {
            plain.iter().for_each(|n| one(*n));
            continue;
        }
        for nth in &sifted.rest {
            one(plain[*nth]);
            by_itself[plain[*nth]] += 1;
        }
        whole += 1;
        entries.cycle.unmatched += sifted.no_match as usize;
        entries.cycle.not_ready += sifted.not_ready as usize;
        entries.cycle.evaluated += (sifted.no_match + sifted.not_ready) as usize;
    }
    plain.iter().for_each(|n| tallied[*n].0 += whole - by_itself[*n]);
    let mut counts: BTreeMap<(usize, usize), Vec<Uuid>> = BTreeMap::new();
    for ((version, ..), count) in placed.iter().zip(tallied).filter(|(_, count)| *count != (0, 0)) {
        counts.entry(count).or_default().push(version.key.0);
    }
    counts.into_iter().map(|((evaluated, failed), traders)| Count { evaluated, failed, traders }).collect()
}
