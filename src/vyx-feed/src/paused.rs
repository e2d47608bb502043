//! Pairs that were followed and no longer trade: who they are, and how long they are followed yet. A halt passes in hours as
//! a rule, and the klines of before are worth keeping for that long. Pure: the present comes in as an argument.

use crate::settings::Settings;
use std::collections::{BTreeMap, HashSet};
use tokio::time::Instant;
use vyx_core::{Symbol, SymbolInfo, SymbolStatus};

#[derive(Debug, Default)]
pub struct Paused {
    /// Who is followed, as listed last.
    followed: BTreeMap<Symbol, SymbolInfo>,
    /// Since when each was seen not to trade.
    since: BTreeMap<Symbol, Instant>,
}

impl Paused {
    /// The pairs that are followed by us or held by the owner, that the settings still want, and that stopped trading less
    /// than the settings' grace ago. By their last known status, which is out of date where it says that they trade.
    pub fn among(
        &mut self,
        held: Vec<SymbolInfo>,
        trading: &[SymbolInfo],
        settings: &Settings,
        now: Instant,
    ) -> Vec<SymbolInfo> {
        let trading: HashSet<Symbol> = trading.iter().map(|info| info.symbol).collect();
        let mut paused: BTreeMap<Symbol, SymbolInfo> = held.into_iter().map(|info| (info.symbol, info)).collect();
        paused.extend(self.followed.clone());
        paused.retain(|symbol, info| !trading.contains(symbol) && settings.want(info));
        self.since.retain(|symbol, _| paused.contains_key(symbol));
        paused
            .retain(|symbol, _| now.duration_since(*self.since.entry(*symbol).or_insert(now)) < settings.symbol_grace);
        let mut paused: Vec<SymbolInfo> = paused.into_values().collect();
        if let Some(order) = &settings.symbols {
            paused.sort_by_key(|info| order.iter().position(|symbol| *symbol == info.symbol));
        }
        for info in paused.iter_mut().filter(|info| info.status == SymbolStatus::Trading) {
            info.status = SymbolStatus::Unknown;
        }
        paused
    }

    /// Remembers who is followed now.
    pub fn are_followed(&mut self, listed: Vec<SymbolInfo>, followed: &HashSet<Symbol>) {
        self.followed =
            listed.into_iter().filter(|info| followed.contains(&info.symbol)).map(|info| (info.symbol, info)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const GRACE: Duration = Duration::from_secs(3_600);

    fn name(text: &str) -> Symbol {
        Symbol::new(text).unwrap()
    }

    fn pair(base: &str, status: SymbolStatus) -> SymbolInfo {
        let symbol = name(&format!("{base}USDT"));
        SymbolInfo { symbol, base: name(base), quote: name("USDT"), status, tick_size: 0.01, step_size: 0.01 }
    }

    fn settings() -> Settings {
        Settings { symbol_grace: GRACE, ..Settings::default() }
    }

    /// Those among whom BTC trades, ETH was followed before, and OLD is held by the owner.
    #[track_caller]
    fn check(settings: &Settings, expected: &[&str]) {
        let trading = [pair("BTC", SymbolStatus::Trading)];
        let mut paused = Paused::default();
        let followed = ["BTC", "ETH"].map(|base| pair(base, SymbolStatus::Trading)).to_vec();
        let names = followed.iter().map(|info| info.symbol).chain([name("NONE")]).collect();
        paused.are_followed(followed, &names);
        let found = paused.among(vec![pair("OLD", SymbolStatus::Break)], &trading, settings, Instant::now());
        assert_eq!(found.iter().map(|info| info.symbol.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn who_is_followed_and_wanted_and_does_not_trade_is_paused() {
        let default = settings();
        check(&default, &["ETHUSDT", "OLDUSDT"]);
        check(&Settings { exclude_symbols: vec![name("ETHUSDT")], ..default.clone() }, &["OLDUSDT"]);
        check(&Settings { quote_assets: vec![name("BTC")], ..default.clone() }, &[]);
        let order = ["OLDUSDT", "NEWUSDT", "ETHUSDT"].map(name).to_vec();
        check(&Settings { symbols: Some(order), ..default.clone() }, &["OLDUSDT", "ETHUSDT"]);
        check(&Settings { symbol_grace: Duration::ZERO, ..default }, &[]);
    }

    #[test]
    fn a_pause_ends_with_the_grace_or_with_trading_and_then_counts_anew() {
        let (mut paused, start, settings) = (Paused::default(), Instant::now(), settings());
        let old = || vec![pair("OLD", SymbolStatus::Trading)];
        let mut found = |trading: &[SymbolInfo], after: Duration| {
            paused.among(old(), trading, &settings, start + after).first().map(|info| info.status)
        };
        let second = Duration::from_secs(1);
        assert_eq!(found(&[], second), Some(SymbolStatus::Unknown), "that it trades is out of date");
        assert_eq!(found(&[], GRACE), Some(SymbolStatus::Unknown));
        assert_eq!(found(&[], GRACE + second), None);
        assert_eq!(found(&[], GRACE * 2), None, "once over, it stays over");
        assert_eq!(found(&old(), GRACE * 2), None);
        assert_eq!(found(&[], GRACE * 3), Some(SymbolStatus::Unknown));
    }
}
