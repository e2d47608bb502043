//! Who is followed: reads the exchange's list, filters it, lets the owner place it, and publishes the result.

use crate::backoff::Backoff;
use crate::outlet::Topic;
use crate::paused::Paused;
use crate::rest::RestError;
use crate::settings::Settings;
use crate::sink::{Event, Level};
use crate::wire::ExchangeInfo;
use crate::{Feed, changed};
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::rc::Rc;
use tokio::time::Instant;
use vyx_core::{Symbol, SymbolInfo, SymbolStatus};

/// The symbols that are followed.
#[derive(Debug, Default, PartialEq)]
pub struct Universe {
    symbols: Vec<Symbol>,
    members: HashSet<Symbol>,
}

impl Universe {
    pub fn new(symbols: Vec<Symbol>) -> Universe {
        let members = symbols.iter().copied().collect();
        Universe { symbols, members }
    }

    /// In the order of preference.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    pub fn contains(&self, symbol: &Symbol) -> bool {
        self.members.contains(symbol)
    }
}

/// So many names, of 16 characters mostly, are some 2 KB of a URL; 8 KB were seen to be taken.
const SYMBOLS_PER_QUESTION: usize = 100;
/// So many pairs are asked about one by one in a reading: 200 of the weight of a minute.
const QUESTIONS_ALONE: usize = 10;

/// Keeps the universe up to date for ever.
pub async fn keep(feed: &Feed<'_>) -> Infallible {
    let mut settings = feed.settings.clone();
    let mut backoff = Backoff::default();
    let mut reading = Reading::default();
    loop {
        let now = settings.borrow_and_update().clone();
        let pause = match reading.refresh(feed, &now).await {
            Ok(()) => {
                backoff.reset();
                now.refresh_symbols_after
            }
            Err(error) => {
                let level = if error.is_terminal() { Level::Error } else { Level::Warning };
                feed.outlet.log(Topic::Directory, level, || {
                    format!("cannot read the list of symbols from {}: {error}", now.rest_url)
                });
                backoff.next(feed.random())
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = changed(&mut settings) => backoff.reset(),
        }
    }
}

/// What one reading of the list leaves to the next.
#[derive(Default)]
struct Reading {
    paused: Paused,
    /// Rows that could not be read.
    dropped: usize,
    /// Where the questions about single pairs begin, so that each gets its turn.
    turn: usize,
}

impl Reading {
    async fn refresh(&mut self, feed: &Feed<'_>, settings: &Settings) -> Result<(), RestError> {
        // The clock first: it is cheap, and without it no event is believed.
        feed.server_time(feed.rest.time().await?);
        let info = feed.rest.exchange_info().await?;
        feed.server_time(info.server_time);
        (0..info.dropped).for_each(|_| feed.outlet.event(Event::BadFrame));
        if info.dropped > 0 && info.dropped != self.dropped {
            feed.outlet.log(Topic::BadSymbols, Level::Warning, || {
                format!("{} symbols of the list cannot be read and are left out", info.dropped)
            });
        }
        self.dropped = info.dropped;
        let trading: Vec<SymbolInfo> =
            info.symbols.into_iter().filter(|info| info.status == SymbolStatus::Trading).collect();
        let mut paused = self.paused.among(feed.outlet.sink.known(), &trading, settings, Instant::now());
        self.ask_about(feed, &mut paused).await;
        let selection = select(trading, paused, settings);
        feed.outlet.event(Event::SymbolsLeftOut(selection.left_out.len()));
        if let Some(first) = selection.left_out.first() {
            feed.outlet.log(Topic::LeftOut, Level::Warning, || {
                let number = selection.left_out.len();
                format!(
                    "{number} symbols are not followed, as they do not trade or exceed the limit; the first is {first}"
                )
            });
        }
        let universe = Universe::new(feed.outlet.sink.universe(&selection.listed));
        self.paused.are_followed(selection.listed, &universe.members);
        feed.universe.send_if_modified(|current| {
            let differs = **current != universe;
            if differs {
                *current = Rc::new(universe);
                // A new symbol's ticker may not change for a while.
                feed.seed_wanted.notify_one();
            }
            differs
        });
        Ok(())
    }

    /// Finds out what became of pairs that no longer trade. What cannot be found out now keeps its last status: the list
    /// as such is good.
    async fn ask_about(&mut self, feed: &Feed<'_>, paused: &mut [SymbolInfo]) {
        if let Some(first) = paused.first() {
            feed.outlet.log(Topic::Paused, Level::Warning, || {
                format!("{} followed symbols no longer trade; the first is {}", paused.len(), first.symbol)
            });
        }
        let mut alone: Vec<&mut SymbolInfo> = Vec::new();
        for some in paused.chunks_mut(SYMBOLS_PER_QUESTION) {
            let symbols: Vec<Symbol> = some.iter().map(|info| info.symbol).collect();
            match feed.rest.exchange_info_of(&symbols).await {
                Ok(answer) => some.iter_mut().for_each(|info| take(info, &answer)),
                // One of them is unknown, and costs the answer about the others.
                Err(error) if error.is_bad_symbol() => alone.extend(some),
                Err(error) => return tell(feed, &error),
            }
        }
        let number = alone.len().max(1);
        alone.rotate_left(self.turn % number);
        self.turn = (self.turn + QUESTIONS_ALONE) % number;
        for info in alone.into_iter().take(QUESTIONS_ALONE) {
            match feed.rest.exchange_info_of(&[info.symbol]).await {
                Ok(answer) => take(info, &answer),
                Err(error) if error.is_bad_symbol() => info.status = SymbolStatus::Vanished,
                Err(error) => return tell(feed, &error),
            }
        }
    }
}

/// Takes what the exchange says about a pair that is not in its list of trading pairs.
fn take(info: &mut SymbolInfo, answer: &ExchangeInfo) {
    let listed = answer.symbols.iter().find(|listed| listed.symbol == info.symbol);
    let other = answer.others.iter().find(|other| other.symbol == info.symbol);
    match (listed, other) {
        (Some(listed), _) => *info = listed.clone(),
        // Whatever it is for, it is not what we follow.
        (None, Some(other)) if other.status == SymbolStatus::Trading => info.status = SymbolStatus::Unknown,
        (None, Some(other)) => info.status = other.status,
        (None, None) => info.status = SymbolStatus::Vanished,
    }
}

fn tell(feed: &Feed<'_>, error: &RestError) {
    feed.outlet.log(Topic::Directory, Level::Warning, || format!("cannot read what became of symbols: {error}"));
}

/// The exchange's list after the settings' filters.
#[derive(Debug, PartialEq)]
struct Selection {
    listed: Vec<SymbolInfo>,
    /// Asked for, and not trading or beyond the limit.
    left_out: Vec<Symbol>,
}

/// `trading` in the order of the exchange. Who is `paused` keeps its place, but stands behind those that trade.
fn select(trading: Vec<SymbolInfo>, mut paused: Vec<SymbolInfo>, settings: &Settings) -> Selection {
    paused.truncate(settings.max_symbols);
    let mut trading = trading.into_iter().filter(|info| settings.want(info));
    let (mut listed, mut left_out) = (Vec::new(), Vec::new());
    match &settings.symbols {
        None => listed.extend(trading),
        Some(wanted) => {
            let mut trading: HashMap<Symbol, SymbolInfo> = trading.by_ref().map(|info| (info.symbol, info)).collect();
            let known: HashSet<Symbol> =
                paused.iter().map(|info| info.symbol).chain(settings.exclude_symbols.iter().copied()).collect();
            let mut seen = HashSet::new();
            for symbol in wanted.iter().filter(|symbol| !known.contains(*symbol) && seen.insert(**symbol)) {
                match trading.remove(symbol) {
                    Some(info) => listed.push(info),
                    None => left_out.push(*symbol),
                }
            }
        }
    }
    let beyond = listed.split_off((settings.max_symbols - paused.len()).min(listed.len()));
    left_out.extend(beyond.into_iter().map(|info| info.symbol));
    listed.append(&mut paused);
    Selection { listed, left_out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Symbol {
        Symbol::new(text).unwrap()
    }

    fn list(pairs: &[(&str, &str, SymbolStatus)]) -> Vec<SymbolInfo> {
        let info = |&(base, quote, status): &(&str, &str, SymbolStatus)| SymbolInfo {
            symbol: name(&format!("{base}{quote}")),
            base: name(base),
            quote: name(quote),
            status,
            tick_size: 0.01,
            step_size: 0.01,
        };
        pairs.iter().map(info).collect()
    }

    #[track_caller]
    fn check(change: impl Fn(&mut Settings), paused: &[&str], listed: &[&str], left_out: &[&str]) {
        use SymbolStatus::*;
        let all = list(&[
            ("BTC", "USDT", Trading),
            ("ETH", "BTC", Trading),
            ("USDT", "DAI", Trading),
            ("ETH", "USDT", Trading),
        ]);
        let paused = list(&paused.iter().map(|base| (*base, "USDT", Halt)).collect::<Vec<_>>());
        let mut settings = Settings::default();
        change(&mut settings);
        let selection = select(all, paused, &settings);
        assert_eq!(selection.listed.iter().map(|s| s.symbol.as_str().to_owned()).collect::<Vec<_>>(), listed);
        assert_eq!(selection.left_out.iter().map(|s| s.as_str().to_owned()).collect::<Vec<_>>(), left_out);
    }

    #[test]
    fn the_filters_of_the_settings() {
        check(|_| (), &[], &["BTCUSDT", "ETHUSDT"], &[]);
        check(|s| s.quote_assets.push(name("BTC")), &[], &["BTCUSDT", "ETHBTC", "ETHUSDT"], &[]);
        check(|s| s.exclude_symbols = vec![name("BTCUSDT")], &[], &["ETHUSDT"], &[]);
        check(|s| s.max_symbols = 1, &[], &["BTCUSDT"], &["ETHUSDT"]);
        let chosen = || Some(["ETHUSDT", "NONE", "OLDUSDT", "ETHBTC", "ETHUSDT"].map(name).to_vec());
        check(|s| s.symbols = chosen(), &[], &["ETHUSDT", "ETHBTC"], &["NONE", "OLDUSDT"]);
        check(
            |s| {
                s.symbols = chosen();
                s.exclude_symbols = vec![name("ETHBTC"), name("NONE")];
                s.max_symbols = 0;
            },
            &[],
            &[],
            &["OLDUSDT", "ETHUSDT"],
        );
    }

    #[test]
    fn who_is_paused_stands_last_keeps_its_place_and_is_not_left_out() {
        check(|_| (), &["OLD"], &["BTCUSDT", "ETHUSDT", "OLDUSDT"], &[]);
        check(|s| s.max_symbols = 2, &["OLD"], &["BTCUSDT", "OLDUSDT"], &["ETHUSDT"]);
        check(|s| s.max_symbols = 1, &["OLD", "ALSO"], &["OLDUSDT"], &["BTCUSDT", "ETHUSDT"]);
        let chosen = || Some(["NONE", "OLDUSDT", "ETHUSDT"].map(name).to_vec());
        check(|s| s.symbols = chosen(), &["OLD"], &["ETHUSDT", "OLDUSDT"], &["NONE"]);
    }
}
