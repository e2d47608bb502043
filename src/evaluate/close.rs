//! One close: which symbols are due, and what stands in a version's way.

use super::market::StoreMarket;
use super::ready::{self, Ready};
use super::tables::Tables;
use super::version::{InForce, Key, Version};
use super::work::Line;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use vyx_core::{Interval, Kline, Millis, Symbol};
use vyx_engine::ClockKey;

/// How long, by market time since it is tracked, the backfill of another symbol's series is waited for, even where a candle
/// is overdue: enough for the histories of 500 symbols within the exchange's limits, and short enough that a series that
/// never comes holds up nobody for long.
const BACKFILL_GRACE: Millis = Millis(600_000);

/// What a version waits for whose program is of another format.
const TO_BE_COMPILED: &str = "its script to be compiled again";

/// A symbol that is due.
pub struct Candidate<'a> {
    pub line: &'a mut Line,
    /// `None`: the exchange confirmed that there is no such candle.
    pub kline: Option<Kline>,
    /// What was traded in 24 hours, where a version asks for it.
    pub volume: Option<Result<f64, &'static str>>,
    /// Intervals of its own that will never be held far enough back.
    pub never: Vec<(Interval, &'static str)>,
}

impl Candidate<'_> {
    /// Whether a version looks at the symbol, and enough is traded in it; one that cannot know looks.
    pub fn is_wanted_by(&self, version: &Version) -> bool {
        let enough = match (version.min_quote_volume_24h, self.volume) {
            (Some(least), Some(Ok(volume))) => volume >= least,
            _ => true,
        };
        enough && version.covers(&self.line.symbol)
    }
}

/// Why a version is not evaluated at a candle.
#[derive(Clone, Debug, PartialEq)]
pub enum Obstacle {
    /// Another symbol's data is still missing: the series, by name; or its program, in words.
    Waiting(String),
    /// It never will be: cause and message.
    Failed(&'static str, String),
    /// It failed again and again, and is left alone for a while.
    Resting,
}

/// A close with the versions in force.
pub struct Close<'a> {
    market: &'a StoreMarket<'a>,
    pub interval: Interval,
    pub ordinal: i64,
    /// Close times of the candle and the one before.
    times: [Millis; 2],
    versions: &'a [&'a InForce],
    /// Intervals that some version reads of the symbol itself.
    own: Vec<Interval>,
    /// Other symbols' series that some version reads.
    foreign: HashMap<ClockKey, Ready>,
    /// All of these are there.
    clear: bool,
    /// Those of them that are waited for, even where the candle is overdue.
    patient: HashSet<ClockKey>,
    /// Some version asks for the volume of 24 hours.
    wants_volume: bool,
    /// Versions that rest.
    resting: HashSet<Key>,
}

impl<'a> Close<'a> {
    pub fn new(
        market: &'a StoreMarket,
        tables: &Tables,
        interval: Interval,
        ordinal: i64,
        versions: &'a [&'a InForce],
    ) -> Close<'a> {
        let times = [ordinal, ordinal - 1].map(|ordinal| interval.close_time(ordinal));
        let (mut own, mut foreign) = (vec![interval], HashMap::new());
        for clock in versions.iter().flat_map(|version| clocks(&version.version)) {
            match clock.symbol {
                None if !own.contains(&clock.interval) => own.push(clock.interval),
                None => {}
                Some(symbol) => {
                    foreign.entry(*clock).or_insert_with(|| ready::history(market, &symbol, clock.interval, times));
                }
            }
        }
        let clear = foreign.values().all(|ready| *ready == Ready::Yes);
        let wants_volume = versions.iter().any(|version| version.version.min_quote_volume_24h.is_some());
        // Right after a start every candle that was missed would be put off for them otherwise.
        let is_new = |symbol| {
            let entry = market.store().find(symbol).and_then(|id| market.store().symbol(id));
            entry.is_some_and(|entry| market.store().market_time() - entry.since < BACKFILL_GRACE)
        };
        let patient = foreign
            .iter()
            .filter(|(clock, ready)| **ready == Ready::Backfilling && clock.symbol.as_ref().is_some_and(is_new))
            .map(|(clock, _)| *clock)
            .collect();
        let now = market.store().market_time();
        let resting = tables.resting.iter().filter(|(_, rest)| rest.lasts(now)).map(|(key, _)| *key).collect();
        Close { market, interval, ordinal, times, versions, own, foreign, clear, patient, wants_volume, resting }
    }

    /// Whether a series' candle is due; stops the line if it must wait.
    pub fn candidate<'l>(&self, line: &'l mut Line, overdue: bool, waiting: &mut bool) -> Option<Candidate<'l>> {
        let symbol = line.symbol;
        line.stopped = true; // unless everything is there
        if !ready::is_settled(self.market, &symbol, self.times[0]) {
            return None;
        }
        let mut never = Vec::new();
        for interval in &self.own {
            match ready::history(self.market, &symbol, *interval, self.times) {
                Ready::Yes => {}
                Ready::Waiting | Ready::Backfilling => return None,
                Ready::Never(why) => never.push((*interval, why)),
            }
        }
        let own = self.own.iter().map(|interval| (symbol, *interval));
        if ready::is_before_backfilling(self.market, &symbol, self.interval, self.ordinal, own).ok()? {
            return None;
        }
        let volume = match self.wants_volume.then(|| self.volume(&symbol)) {
            Some(Err(Ready::Waiting | Ready::Backfilling)) => return None,
            Some(Err(Ready::Never(why))) => Some(Err(why)),
            Some(Ok(volume)) => Some(Ok(volume)),
            Some(Err(Ready::Yes)) | None => None,
        };
        let holds_up = |clock: &ClockKey| !overdue || self.patient.contains(clock);
        if !self.clear && self.versions().any(|version| version.covers(&symbol) && self.missing(version).any(holds_up))
        {
            *waiting = true;
            return None;
        }
        let series = self.market.series(&symbol, self.interval)?;
        let kline = self.market.kline(series, self.ordinal).ok()?;
        line.stopped = false;
        Some(Candidate { line, kline, volume, never })
    }

    fn volume(&self, symbol: &Symbol) -> Result<f64, Ready> {
        let interval = ready::volume_interval(self.market)
            .ok_or(Ready::Never("cannot be summed: no interval up to 1h is tracked"))?;
        ready::quote_volume(self.market, symbol, interval, self.times[0])
    }

    /// Versions in force.
    pub fn versions(&self) -> impl Iterator<Item = &'a Rc<Version>> {
        self.versions.iter().map(|version| &version.version)
    }

    /// Other symbols' series that a version waits for.
    fn missing<'v>(&self, version: &'v Version) -> impl Iterator<Item = &'v ClockKey> {
        let is_missing = |clock| matches!(self.foreign.get(clock), Some(Ready::Waiting | Ready::Backfilling));
        clocks(version).iter().filter(move |clock| is_missing(*clock))
    }

    /// Whether no other symbol's data and no history is missing, whatever a version reads.
    pub fn is_free_of_obstacles(&self, candle: &Candidate) -> bool {
        self.clear && candle.never.is_empty()
    }

    pub fn rests(&self, version: &Version) -> bool {
        self.resting.contains(&version.key)
    }

    /// What stands in the way of evaluating a version for a symbol.
    pub fn obstacle(&self, version: &Version, candle: &Candidate) -> Option<Obstacle> {
        if self.rests(version) {
            return Some(Obstacle::Resting);
        }
        if version.is_outdated() {
            return Some(Obstacle::Waiting(TO_BE_COMPILED.to_owned()));
        }
        if let Err(why) = version.program() {
            return Some(Obstacle::Failed("program", why.to_owned()));
        }
        if let (Some(_), Some(Err(why))) = (version.min_quote_volume_24h, candle.volume) {
            return Some(Obstacle::Failed("volume", format!("the volume of 24 hours {why}")));
        }
        if self.is_free_of_obstacles(candle) {
            return None;
        }
        for clock in clocks(version) {
            let own = || candle.never.iter().find(|(interval, _)| *interval == clock.interval).map(|(_, why)| *why);
            let why = match (clock.symbol, self.foreign.get(clock)) {
                (None, _) => own(),
                (Some(_), Some(Ready::Never(why))) => Some(*why),
                (Some(_), _) => None,
            };
            if let Some(why) = why {
                let symbol = clock.symbol.unwrap_or(candle.line.symbol);
                return Some(Obstacle::Failed("history", format!("{symbol} {} {why}", clock.interval)));
            }
        }
        let clock = self.missing(version).next()?;
        Some(Obstacle::Waiting(format!("{} {}", clock.symbol?, clock.interval)))
    }
}

/// The series a version reads; none if it has no program.
pub fn clocks(version: &Version) -> &[ClockKey] {
    version.program().map_or(&[], |program| program.clocks())
}
