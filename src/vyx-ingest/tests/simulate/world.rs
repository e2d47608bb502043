//! One world: an exchange, a server's memory, feeds that come and go.

use crate::check;
use crate::faults::{self, INTERVALS, SYMBOLS};
use fastrand::Rng;
use futures_util::future::LocalBoxFuture;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use vyx_core::store::snapshot::{Encoder, Header, Round, restore, scan};
use vyx_core::store::{Counter, Shape, Store};
use vyx_core::sync::AtomicU64;
use vyx_core::{GapReason, GapResolution, Interval, Kline, Millis, Symbol, SymbolInfo, Ticker};
use vyx_feed::{Dial, Event, Level, Missing, Settings, Sink, Transport, run_over};
use vyx_ingest::{Owner, StoreSink};
use vyx_sim::{Fault, Kind, Virtual};

/// 2026-11-20T23:20:00Z: midnight comes in most worlds.
const START: i64 = 1_795_216_800_000;
/// Ring slots: small, so that rings wrap in an hour.
const SLOTS: [(Interval, u32); 3] = [(Interval::M1, 120), (Interval::M5, 40), (Interval::H1, 24)];
/// How long faults go on, and how long the world may take to mend after the last one: the longest silence that the exchange
/// can ask for here is five minutes, a pair that was not known is asked about after ten.
const TROUBLE: Duration = Duration::from_secs(45 * 60);
const MENDING: Duration = Duration::from_secs(40 * 60);
const HEADER: Header = Header { system: 1, exchange: 1 };

/// What a world came to.
#[derive(Default)]
pub struct Summary {
    worlds: u64,
    faults: BTreeMap<String, u64>,
    klines: u64,
    reconnects: u64,
    rotations: u64,
    resubscribed: u64,
    corrected: u64,
    lost_corrections: u64,
    restarts: u64,
    gaps: BTreeMap<(GapReason, GapResolution), u64>,
}

impl Summary {
    pub fn add(&mut self, other: &Summary) {
        self.worlds += other.worlds;
        other.faults.iter().for_each(|(kind, count)| *self.faults.entry(kind.clone()).or_default() += count);
        self.klines += other.klines;
        self.reconnects += other.reconnects;
        self.rotations += other.rotations;
        self.resubscribed += other.resubscribed;
        self.corrected += other.corrected;
        self.lost_corrections += other.lost_corrections;
        self.restarts += other.restarts;
        other.gaps.iter().for_each(|(end, count)| *self.gaps.entry(*end).or_default() += count);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: u64 = self.faults.values().sum();
        writeln!(
            f,
            "{} worlds, {faults} faults, {} klines taken, {} reconnects, {} rotations, {} streams asked anew, {} corrections ({} lost), {} restarts",
            self.worlds,
            self.klines,
            self.reconnects,
            self.rotations,
            self.resubscribed,
            self.corrected,
            self.lost_corrections,
            self.restarts
        )?;
        writeln!(f, "  faults: {:?}", self.faults)?;
        write!(f, "  gaps:")?;
        for ((reason, end), count) in &self.gaps {
            write!(f, " {} -> {}: {count};", reason.as_str(), end.as_str())?;
        }
        Ok(())
    }
}

/// The owner's side of a process in virtual time.
pub struct Process;

impl Owner for Process {
    fn wake(&self) {}

    fn wall_time(&self) -> Millis {
        Millis(START)
    }
}

/// Opens pipes to the exchange.
struct Pipes<'a> {
    exchange: &'a Virtual,
    seed: u64,
}

impl Dial for Pipes<'_> {
    fn dial<'a>(&'a self, _: &'a str, _: u16) -> LocalBoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async { Ok(Box::new(self.exchange.dial()) as Box<dyn Transport>) })
    }

    fn seed(&self) -> Option<u64> {
        Some(self.seed)
    }
}

/// The real sink, and beside it a count of what it was given.
pub struct Counting<'a> {
    pub sink: StoreSink<'a, Process>,
    /// Klines offered for series that are there.
    offered: &'a Cell<u64>,
    aloud: bool,
}

impl Counting<'_> {
    /// Gives the intervals memory, as the process around the feed does.
    fn track(&self, settings: &Settings) {
        let rings: Vec<_> = SLOTS.into_iter().filter(|(interval, _)| settings.intervals.contains(interval)).collect();
        assert_eq!(self.sink.set_intervals(&rings).len(), rings.len());
    }

    fn count(&self, symbol: &Symbol, interval: Interval, klines: usize) {
        let store = self.sink.writer().store();
        if store.find(symbol).is_some_and(|id| store.series(id, interval).is_some()) {
            self.offered.set(self.offered.get() + klines as u64);
        }
    }
}

impl Sink for Counting<'_> {
    fn universe(&self, listed: &[SymbolInfo]) -> Vec<Symbol> {
        self.sink.universe(listed)
    }
    fn known(&self) -> Vec<SymbolInfo> {
        self.sink.known()
    }
    fn kline(&self, symbol: &Symbol, interval: Interval, event_time: Millis, kline: &Kline) {
        self.count(symbol, interval, 1);
        self.sink.kline(symbol, interval, event_time, kline);
    }
    fn ticker(&self, symbol: &Symbol, ticker: &Ticker) {
        self.sink.ticker(symbol, ticker);
    }
    fn history(&self, symbol: &Symbol, interval: Interval, from: i64, through: i64, klines: &[Kline]) {
        self.count(symbol, interval, klines.len());
        self.sink.history(symbol, interval, from, through, klines);
    }
    fn begins(&self, symbol: &Symbol, interval: Interval, ordinal: i64) {
        self.sink.begins(symbol, interval, ordinal);
    }
    fn missing(&self, symbol: &Symbol, interval: Interval, settled: Millis, reason: GapReason) -> Option<Missing> {
        let missing = self.sink.missing(symbol, interval, settled, reason);
        if let Some(Missing { oldest, .. }) = &missing {
            assert!(interval.close_time(*oldest.end()) <= settled, "{symbol} {interval}: {oldest:?} at {settled}");
        }
        missing
    }
    fn subscribed(&self, symbol: &Symbol, interval: Interval, subscribed: bool) {
        self.sink.subscribed(symbol, interval, subscribed);
    }
    fn market_time(&self, at: Millis) {
        self.sink.market_time(at);
    }
    fn event(&self, event: Event) {
        self.sink.event(event);
    }
    fn log(&self, level: Level, text: String) {
        if self.aloud {
            println!("    {level:?}: {text}");
        }
        self.sink.log(level, text);
    }
}

/// Plays the world of a seed to its end.
///
/// # Panics
/// If something in it is not as it should be.
pub fn run(seed: u64, aloud: bool) -> Summary {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, play(seed, aloud))
}

async fn play(seed: u64, aloud: bool) -> Summary {
    let mut rng = Rng::with_seed(seed);
    let exchange = Virtual::start(vyx_sim::Settings {
        seed,
        start: Some(START + rng.i64(0..3_600_000)),
        lifetime: Duration::from_secs(rng.u64(300..7_200)),
        ..vyx_sim::Settings::default()
    })
    .unwrap();
    let door = Pipes { exchange: &exchange, seed };
    let mut world = World::new(rng, aloud);
    let started = Instant::now();
    while started.elapsed() < TROUBLE {
        let span = Duration::from_secs(world.rng.u64(60..1_200)).min(TROUBLE - started.elapsed());
        world.live(&exchange, &door, span, true).await;
        world.restart();
    }
    // From here on nothing goes wrong any more.
    exchange.clear(None);
    for symbol in SYMBOLS {
        let mut back = Fault::new(Kind::Status);
        (back.symbol, back.word) = (Some(symbol.to_owned()), Some("TRADING".to_owned()));
        exchange.inject(back).unwrap();
    }
    world.live(&exchange, &door, MENDING, false).await;
    world.finish(&exchange)
}

struct World {
    rng: Rng,
    aloud: bool,
    words: Vec<AtomicU64>,
    settings: Settings,
    offered: Cell<u64>,
    /// What is counted where the memory is new.
    base: Cell<u64>,
    summary: RefCell<Summary>,
    /// When the exchange was told to close klines wrong at first, and to correct them.
    corrections: RefCell<Vec<Correction>>,
}

/// A while of corrections. One that comes when nobody listens is lost, as is everything that the exchange says only once:
/// such klines may be held as they were first closed.
pub struct Correction {
    pub symbol: Option<String>,
    pub interval: Option<String>,
    pub from: i64,
    pub to: i64,
}

impl World {
    fn new(mut rng: Rng, aloud: bool) -> World {
        let settings = Settings {
            stream_url: "ws://127.0.0.1:1".to_owned(),
            rest_url: "http://127.0.0.1:1".to_owned(),
            symbols: Some(SYMBOLS[..3].iter().map(|name| Symbol::new(name).unwrap()).collect()),
            intervals: SLOTS.map(|(interval, _)| interval).to_vec(),
            max_symbols: 4,
            stale_after: Duration::from_secs(45),
            rotate_after: Duration::from_secs(rng.u64(60..3_000)),
            symbol_grace: Duration::from_secs(rng.u64(0..4_000)),
            refresh_symbols_after: Duration::from_secs(rng.u64(30..300)),
            ..Settings::default()
        };
        let mut world = World {
            rng,
            aloud,
            words: Vec::new(),
            settings,
            offered: Cell::new(0),
            base: Cell::new(0),
            summary: RefCell::default(),
            corrections: RefCell::default(),
        };
        world.new_memory();
        world
    }

    fn new_memory(&mut self) {
        let shape = Shape::new(4, &SLOTS).unwrap();
        self.words = (0..shape.words()).map(|_| AtomicU64::new(0)).collect();
        Store::initialize(&self.words, &shape).unwrap();
        self.offered.set(0);
        self.base.set(0);
    }

    fn store(&self) -> Store<'_> {
        Store::attach(&self.words).unwrap()
    }

    /// Lets a feed run for a while, in trouble or until everything is mended.
    async fn live(&mut self, exchange: &Virtual, door: &Pipes<'_>, span: Duration, trouble: bool) {
        let mut rng = self.rng.fork();
        let sink = Counting { sink: StoreSink::new(self.store(), Process), offered: &self.offered, aloud: self.aloud };
        sink.track(&self.settings);
        let (sender, receiver) = watch::channel(self.settings.clone());
        let (aloud, summary, corrections) = (self.aloud, &self.summary, &self.corrections);
        let settings = RefCell::new(self.settings.clone());
        let events = async {
            if !trouble {
                let mended = async {
                    loop {
                        sleep(Duration::from_secs(5)).await;
                        if check::is_mended(sink.sink.writer().store(), &settings.borrow(), exchange.market_time()) {
                            return;
                        }
                    }
                };
                let store = sink.sink.writer().store();
                if timeout(span, mended).await.is_err() {
                    panic!("not mended within {span:?} of virtual time:\n{}", check::describe(store));
                }
                return;
            }
            let end = Instant::now() + span;
            loop {
                let pause = Duration::from_millis(rng.u64(200..120_000));
                if Instant::now() + pause >= end {
                    tokio::time::sleep_until(end).await;
                    return;
                }
                sleep(pause).await;
                if rng.u32(..10) == 0 {
                    let changed = other_settings(&mut rng, &settings.borrow());
                    sink.track(&changed);
                    settings.replace(changed.clone());
                    sender.send_replace(changed);
                    continue;
                }
                let fault = faults::any(&mut rng);
                if aloud {
                    println!("{} {}", exchange.market_time(), serde(&fault));
                }
                *summary.borrow_mut().faults.entry(format!("{:?}", fault.kind)).or_default() += 1;
                if fault.kind == Kind::Correction {
                    let from = exchange.market_time();
                    let to = from + fault.for_ms.expect("it lasts for a while") as i64;
                    let (symbol, interval) = (fault.symbol.clone(), fault.interval.clone());
                    corrections.borrow_mut().push(Correction { symbol, interval, from, to });
                }
                exchange.inject(fault).unwrap();
                // A pair that was halted is back a while later, more often than not.
                if rng.bool() {
                    let mut back = Fault::new(Kind::Status);
                    let symbol = SYMBOLS[rng.usize(..SYMBOLS.len())];
                    (back.symbol, back.word) = (Some(symbol.to_owned()), Some("TRADING".to_owned()));
                    exchange.inject(back).unwrap();
                }
            }
        };
        tokio::select! {
            biased;
            () = events => {}
            never = run_over(receiver, &sink, door) => match never {},
        }
        let settings = settings.into_inner();
        drop(sink);
        self.settings = settings;
    }

    /// The process ends; what comes after it finds the memory, or a new one and perhaps a snapshot.
    fn restart(&mut self) {
        self.summary.borrow_mut().restarts += 1;
        self.check_counters();
        let snapshot = match self.rng.u32(..4) {
            0 | 1 => return,
            2 => None,
            _ => {
                let writer = vyx_core::store::Writer::attach(self.store());
                let (mut round, mut encoder) = (Round::new(true), Encoder::begin(HEADER));
                while !round.step(&writer, &mut encoder) {}
                Some(encoder.take())
            }
        };
        self.gather();
        self.new_memory();
        if let Some(bytes) = snapshot {
            let writer = vyx_core::store::Writer::attach(self.store());
            let extent = scan(&bytes[..], HEADER, &mut || true).unwrap();
            restore(&writer, &bytes[..], HEADER, &extent, &mut || true).unwrap();
        }
    }

    /// Adds what was counted in a memory that is about to go.
    fn gather(&self) {
        let store = self.store();
        let mut summary = self.summary.borrow_mut();
        summary.klines += store.count(Counter::Klines);
        summary.reconnects += store.count(Counter::Reconnects);
        summary.rotations += store.count(Counter::Rotations);
        summary.resubscribed += store.count(Counter::Resubscribed);
        summary.corrected += store.count(Counter::Corrected);
        for gap in store.gap_ledger() {
            if let Some((how, _)) = gap.resolved {
                *summary.gaps.entry((gap.reason, how)).or_default() += 1;
            }
        }
    }

    /// Every kline that was offered is in one counter.
    fn check_counters(&self) {
        let store = self.store();
        let outcomes =
            [Counter::Klines, Counter::StaleKlines, Counter::LateOpen, Counter::TooOld, Counter::RefusedKlines];
        let counted: u64 = outcomes.iter().map(|counter| store.count(*counter)).sum();
        assert_eq!(counted, self.offered.get() + self.base.get(), "klines counted and offered");
        assert_eq!(store.count(Counter::GapsUnlisted), 0);
    }

    fn finish(self, exchange: &Virtual) -> Summary {
        self.check_counters();
        let lost = check::truth(self.store(), exchange, &self.corrections.borrow());
        self.gather();
        let mut summary = self.summary.take();
        summary.lost_corrections = lost;
        summary.worlds = 1;
        summary
    }
}

/// The same settings with one thing changed.
fn other_settings(rng: &mut Rng, now: &Settings) -> Settings {
    let mut settings = now.clone();
    match rng.u32(..4) {
        0 => {
            let count = rng.usize(1..=SYMBOLS.len());
            let mut names = SYMBOLS;
            rng.shuffle(&mut names);
            settings.symbols = Some(names[..count].iter().map(|name| Symbol::new(name).unwrap()).collect());
        }
        1 => settings.exclude_symbols = rng.bool().then(|| Symbol::new("PHAUSDT").unwrap()).into_iter().collect(),
        2 => {
            let mut intervals: Vec<Interval> = INTERVALS.iter().map(|name| name.parse().unwrap()).collect();
            intervals.retain(|_| rng.u32(..3) > 0);
            if intervals.is_empty() {
                intervals.push(Interval::M1);
            }
            settings.intervals = intervals;
        }
        _ => settings.rotate_after = Duration::from_secs(rng.u64(60..3_000)),
    }
    settings
}

fn serde(fault: &Fault) -> String {
    format!(
        "{:?} {:?} {:?} for {:?} by {:?} {:?} {:?} count {:?}",
        fault.kind, fault.symbol, fault.interval, fault.for_ms, fault.by_ms, fault.status, fault.word, fault.count
    )
}

/// A range of ordinals as people read it.
pub fn range(interval: Interval, range: &RangeInclusive<i64>) -> String {
    format!("{}..={} ({})", range.start(), range.end(), interval.open_time(*range.start()))
}
