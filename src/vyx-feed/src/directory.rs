//! Who is followed: reads the exchange's list, filters it, lets the owner place it, and publishes the result.

use crate::backoff::Backoff;
use crate::outlet::Topic;
use crate::rest::RestError;
use crate::settings::Settings;
use crate::sink::{Event, Level};
use crate::{Feed, changed};
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::rc::Rc;
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

/// Keeps the universe up to date for ever.
pub async fn keep(feed: &Feed<'_>) -> Infallible {
    let mut settings = feed.settings.clone();
    let mut backoff = Backoff::default();
    loop {
        let now = settings.borrow_and_update().clone();
        let pause = match refresh(feed, &now).await {
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

async fn refresh(feed: &Feed<'_>, settings: &Settings) -> Result<(), RestError> {
    // The clock first: it is cheap, and without it no event is believed.
    feed.server_time(feed.rest.time().await?);
    let info = feed.rest.exchange_info().await?;
    feed.server_time(info.server_time);
    (0..info.dropped).for_each(|_| feed.outlet.event(Event::BadFrame));
    let selection = select(info.symbols, settings);
    feed.outlet.event(Event::SymbolsLeftOut(selection.left_out.len()));
    if let Some(first) = selection.left_out.first() {
        feed.outlet.log(Topic::LeftOut, Level::Warning, || {
            let number = selection.left_out.len();
            format!("{number} symbols are not followed, as they do not trade or exceed the limit; the first is {first}")
        });
    }
    let universe = Universe::new(feed.outlet.sink.universe(&selection.listed));
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

/// The exchange's list after the settings' filters.
#[derive(Debug, PartialEq)]
struct Selection {
    listed: Vec<SymbolInfo>,
    /// Asked for, and not trading or beyond the limit.
    left_out: Vec<Symbol>,
}

fn select(all: Vec<SymbolInfo>, settings: &Settings) -> Selection {
    let excluded: HashSet<Symbol> = settings.exclude_symbols.iter().copied().collect();
    let trading = all.into_iter().filter(|s| s.status == SymbolStatus::Trading && !excluded.contains(&s.symbol));
    let (mut listed, mut left_out) = (Vec::new(), Vec::new());
    match &settings.symbols {
        // The quote asset is compared, never the end of the name: 456 is a quote asset too.
        None => listed.extend(trading.filter(|s| settings.quote_assets.contains(&s.quote))),
        Some(wanted) => {
            let mut trading: HashMap<Symbol, SymbolInfo> = trading.map(|s| (s.symbol, s)).collect();
            let mut seen = HashSet::new();
            for symbol in wanted.iter().filter(|s| !excluded.contains(*s) && seen.insert(**s)) {
                match trading.remove(symbol) {
                    Some(info) => listed.push(info),
                    None => left_out.push(*symbol),
                }
            }
        }
    }
    let beyond = listed.split_off(settings.max_symbols.min(listed.len()));
    left_out.extend(beyond.into_iter().map(|s| s.symbol));
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
    fn check(change: impl Fn(&mut Settings), listed: &[&str], left_out: &[&str]) {
        use SymbolStatus::*;
        let all = list(&[
            ("BTC", "USDT", Trading),
            ("ETH", "BTC", Trading),
            ("OLD", "USDT", Break),
            ("USDT", "DAI", Trading),
            ("ETH", "USDT", Trading),
        ]);
        let mut settings = Settings::default();
        change(&mut settings);
        let selection = select(all, &settings);
        assert_eq!(selection.listed.iter().map(|s| s.symbol.as_str().to_owned()).collect::<Vec<_>>(), listed);
        assert_eq!(selection.left_out.iter().map(|s| s.as_str().to_owned()).collect::<Vec<_>>(), left_out);
    }

    #[test]
    fn the_filters_of_the_settings() {
        check(|_| (), &["BTCUSDT", "ETHUSDT"], &[]);
        check(|s| s.quote_assets.push(name("BTC")), &["BTCUSDT", "ETHBTC", "ETHUSDT"], &[]);
        check(|s| s.exclude_symbols = vec![name("BTCUSDT")], &["ETHUSDT"], &[]);
        check(|s| s.max_symbols = 1, &["BTCUSDT"], &["ETHUSDT"]);
        let chosen = || Some(["ETHUSDT", "NONE", "OLDUSDT", "ETHBTC", "ETHUSDT"].map(name).to_vec());
        check(|s| s.symbols = chosen(), &["ETHUSDT", "ETHBTC"], &["NONE", "OLDUSDT"]);
        check(
            |s| {
                s.symbols = chosen();
                s.exclude_symbols = vec![name("ETHBTC"), name("NONE")];
                s.max_symbols = 0;
            },
            &[],
            &["OLDUSDT", "ETHUSDT"],
        );
    }
}
