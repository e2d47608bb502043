//! What has subscribers, in the terms of the publisher: rhythms of symbols, and boundaries.

use crate::event::Stream;
use crate::hub::Hub;
use crate::interval::{Interval, SECOND};

/// Classes of streams with a rhythm of their own.
#[derive(Clone, Copy)]
pub enum Rhythm {
    Klines,
    Seconds,
    Tickers,
}

/// The rhythms and their periods of market time.
pub const RHYTHMS: [(Rhythm, i64); 3] =
    [(Rhythm::Klines, 2 * SECOND), (Rhythm::Seconds, SECOND), (Rhythm::Tickers, SECOND)];

/// What was wanted after so many changes of subscriptions.
#[derive(Default)]
pub struct Wanted {
    pub changes: u64,
    /// By symbol and rhythm.
    pub rhythms: Vec<[bool; RHYTHMS.len()]>,
    /// By interval: whether the klines of any symbol are.
    pub closings: [bool; Interval::COUNT],
    pub all_mini_tickers: bool,
}

impl Wanted {
    pub fn nothing(symbols: usize) -> Wanted {
        Wanted { rhythms: vec![[false; RHYTHMS.len()]; symbols], ..Wanted::default() }
    }

    pub fn of(hub: &Hub, symbols: usize) -> Wanted {
        let mut wanted = Wanted::nothing(symbols);
        wanted.changes = hub.changes();
        wanted.all_mini_tickers = hub.is_wanted(Stream::AllMiniTickers);
        for (place, rhythms) in wanted.rhythms.iter_mut().enumerate() {
            for interval in Interval::all().filter(|interval| hub.is_wanted(Stream::Kline(place, *interval))) {
                wanted.closings[interval.index()] = true;
                let rhythm = if interval == Interval::S1 { Rhythm::Seconds } else { Rhythm::Klines };
                rhythms[rhythm as usize] = true;
            }
            rhythms[Rhythm::Tickers as usize] =
                hub.is_wanted(Stream::MiniTicker(place)) || hub.is_wanted(Stream::Ticker(place));
        }
        wanted
    }
}
