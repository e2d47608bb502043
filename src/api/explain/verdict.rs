//! The verdict in words: what came of a candle, and what it lay at.

use super::facts::{Facts, Trader, Version};
use super::{Line, Said, moment};
use crate::evaluate::market::StoreMarket;
use crate::evaluate::ready::{self, Ready};
use std::sync::Arc;
use vyx_core::{Interval, Kline, Millis, Symbol};
use vyx_engine::{Checked, NotReady, Outcome};

/// All that a verdict is made of.
pub struct Verdict<'a> {
    pub trader: &'a Trader,
    /// In force at the candle.
    pub version: Option<&'a Version>,
    pub facts: &'a Facts,
    pub program: &'a Arc<Checked>,
    pub market: &'a StoreMarket<'a>,
    pub symbol: Symbol,
    pub interval: Interval,
    pub ordinal: i64,
    pub kline: Option<&'a Kline>,
    pub said: Option<&'a Said>,
}

impl Verdict<'_> {
    /// The rows of step 0: the verdict, then the candle.
    pub fn lines(&self) -> Vec<Line> {
        let (word, note) = self.judge();
        let name = self.trader.now().map_or("deleted trader", |now| &now.name);
        let version = self.version.map(|version| format!(", version {}", version.version)).unwrap_or_default();
        let rule = format!("{name}{version} on {} {}", self.symbol, self.interval);
        let fires = self.said.map(|said| said.now == Outcome::Match).filter(|_| self.is_decided());
        let mut lines = vec![(0, rule, fires.map(|fires| fires.to_string()), None, Some(word.to_owned()), Some(note))];
        if let Some(kline) = self.kline {
            let candle = format!("candle of {}", moment(kline.open_time));
            lines.push((0, candle, Some(kline.close.to_string()), None, None, Some(self.revision(kline))));
        }
        lines
    }

    fn is_decided(&self) -> bool {
        self.said.is_some_and(|said| matches!(said.now, Outcome::Match | Outcome::NoMatch))
    }

    fn close_time(&self) -> Millis {
        self.interval.close_time(self.ordinal)
    }

    /// Whether what is shown is what was seen then.
    fn revision(&self, kline: &Kline) -> String {
        let then = self.facts.signal.as_ref().map(|signal| signal.revision);
        match (then, kline.revision) {
            (Some(then), now) if then != now => {
                format!("corrected since: revision {then} when it fired, {now} now; the values below are those of now")
            }
            (None, now) if now > 0 => format!("corrected {now} times after it closed: it was evaluated as first seen"),
            _ => "as it first closed".to_owned(),
        }
    }

    /// A word to group by, and why.
    fn judge(&self) -> (&'static str, String) {
        if let Some(signal) = &self.facts.signal {
            let note = format!(
                "signal {} (seq {}), of version {}, {} ms after the close",
                signal.id, signal.seq, signal.version, signal.lag_ms
            );
            return ("fired", note);
        }
        if self.version.is_none() {
            return ("not running", self.not_running());
        }
        let rule = self.facts.rule().expect("a version in force is known");
        if rule.symbols.as_ref().is_some_and(|symbols| symbols.iter().all(|symbol| symbol != self.symbol.as_str())) {
            return ("not watched", format!("the trader does not look at {}", self.symbol));
        }
        if let Some(series) = &self.facts.pending {
            return ("waiting", format!("put off: it waits for {series}"));
        }
        if let Some(message) = &self.facts.failure {
            return ("failed", message.clone());
        }
        if let Some(rest) = &self.facts.rest {
            let until = moment(Millis(rest.until));
            return (
                "resting",
                format!("it failed {} times in a row and rests until {until}: {}", rest.times, rest.message),
            );
        }
        if self.facts.evaluated.is_none_or(|through| through < self.close_time().0) {
            return ("waiting", self.waiting());
        }
        let Some(said) = self.said else {
            return ("no candle", "the exchange has none at this time".to_owned());
        };
        match said.now {
            Outcome::NoMatch => ("not matched", "the rule is false; the steps that decide say so".to_owned()),
            Outcome::NotReady(NotReady::Warming) => {
                ("not ready", "too few candles: the steps where that begins say how many are missing".to_owned())
            }
            Outcome::NotReady(NotReady::Undefined) => {
                ("not ready", "a value is undefined: the step where that begins says so".to_owned())
            }
            Outcome::NotReady(NotReady::HistoryMissing) | Outcome::Absent => ("history missing", self.history()),
            Outcome::Match => self.matched(said),
        }
    }

    /// It matches, and there is no signal.
    fn matched(&self, said: &Said) -> (&'static str, String) {
        let rule = self.facts.rule().expect("a version in force is known");
        if let Some(least) = rule.volume {
            let interval = ready::volume_interval(self.market);
            let volume = interval.map(|i| ready::quote_volume(self.market, &self.symbol, i, self.close_time()));
            if let Some(Ok(volume)) = volume.filter(|volume| volume.as_ref().is_ok_and(|volume| *volume < least)) {
                return ("too little traded", format!("{volume} in 24 hours, the trader asks for {least}"));
            }
        }
        if rule.edge {
            match said.before {
                Some((before, Outcome::Match)) => {
                    let note = format!("it matched already at {}; fire_on is edge", moment(before.open_time));
                    return ("not an edge", note);
                }
                Some((before, Outcome::NotReady(_) | Outcome::Absent)) => {
                    let at = moment(before.open_time);
                    return ("not an edge", format!("at {at} it was not ready, so whether a match begins is unknown"));
                }
                None => return ("not an edge", "there is no candle before it to compare with".to_owned()),
                Some((_, Outcome::NoMatch)) => {}
            }
        }
        if let Some(cooldown) = &self.facts.cooldown {
            let (of, until) = (moment(Millis(cooldown.of)), moment(Millis(cooldown.until)));
            return ("cooldown", format!("{} after the signal of {of}: until {until}", cooldown.length));
        }
        if let Some(max_lag) = &rule.max_lag {
            return ("too late", format!("it was evaluated later than max_lag, {max_lag}, after the close"));
        }
        let note = "it matches now and there is no signal: its tenant's signals of that hour were used up or have been \
                    deleted by age, the candles were corrected since, or vyx was down for longer than its rings hold";
        ("unexplained", note.to_owned())
    }

    fn not_running(&self) -> String {
        match self.trader.neighbours(self.close_time()) {
            [Some(before), _] => {
                let to = moment(Millis(before.to.expect("it has ended")));
                format!("stopped or changed before: version {} was in force until {to}", before.version)
            }
            [None, Some(after)] => {
                let from = moment(Millis(after.from.expect("it begins")));
                format!("not yet: version {} is in force from {from}", after.version)
            }
            [None, None] => match self.trader.now() {
                Some(now) => format!("the trader is {}: SELECT vyx_start_trader(id) starts it", now.state),
                None => "the trader is deleted".to_owned(),
            },
        }
    }

    /// What keeps the candle from being due.
    fn waiting(&self) -> String {
        let time = self.close_time();
        let now = self.market.store().market_time();
        if time > now && self.kline.is_none() {
            return format!("the candle closes at {}, market time is {}", moment(time), moment(now));
        }
        let unsettled = self.market.store().intervals().find(|interval| {
            let Some(ordinal) = interval.closing_at(time) else { return false };
            self.market.series(&self.symbol, *interval).is_none_or(|series| !self.market.is_settled(series, ordinal))
        });
        if let Some(interval) = unsettled {
            return format!("{} {interval} is to say whether there is a candle that closes with it", self.symbol);
        }
        match self.lacking() {
            Some(series) => series,
            None => "it is due, and its turn comes at once; if not, SELECT * FROM vyx_health()".to_owned(),
        }
    }

    fn history(&self) -> String {
        self.lacking().unwrap_or_else(|| "the candles it reads are no longer held".to_owned())
    }

    /// The first series that is read and not all there.
    fn lacking(&self) -> Option<String> {
        let times = [self.ordinal, self.ordinal - 1].map(|ordinal| self.interval.close_time(ordinal));
        self.program.clocks().iter().find_map(|clock| {
            let (symbol, interval) = (clock.symbol.unwrap_or(self.symbol), clock.interval);
            match ready::history(self.market, &symbol, interval, times) {
                Ready::Yes => None,
                Ready::Waiting => Some(format!("waiting for the newest candle of {symbol} {interval}")),
                Ready::Backfilling => {
                    Some(format!("{symbol} {interval} has a gap or is being backfilled: see vyx_gaps()"))
                }
                Ready::Never(why) => Some(format!("{symbol} {interval} {why}")),
            }
        })
    }
}
