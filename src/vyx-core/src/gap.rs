//! A gap: klines that should be there and are not, from the moment that is noticed to its end.

use crate::{Interval, Millis, Symbol};

/// Why klines came to be missing, as far as it is known when it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum GapReason {
    /// The series is new: its history is to be fetched.
    SymbolAdded = 1,
    /// The interval is new to the settings.
    IntervalAdded = 2,
    /// They closed while no feed ran.
    Restart = 3,
    /// They closed while their stream was not connected.
    Disconnect = 4,
    /// A newer kline came, and this one had never been declared final.
    MissedClose = 5,
    /// The stream is connected and said nothing, though the kline must have closed.
    Overdue = 6,
    /// A writer died while writing it.
    Damaged = 7,
}

/// How a gap ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum GapResolution {
    /// The klines came, from history or late from the stream.
    Repaired = 1,
    /// The exchange's own history has no such klines.
    ConfirmedAbsent = 2,
    /// The ring has moved on: before an answer came, newer klines took their places.
    TooOld = 3,
    /// Nobody follows the series any more.
    Untracked = 4,
}

/// One row of the ledger of gaps: a run of klines of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub symbol: Symbol,
    pub interval: Interval,
    /// First and last ordinal, both missing.
    pub from: i64,
    pub through: i64,
    pub reason: GapReason,
    /// Market time at which it was noticed.
    pub detected_at: Millis,
    /// How it ended, and when by market time; `None` while it is open.
    pub resolved: Option<(GapResolution, Millis)>,
}

impl GapReason {
    pub const ALL: [GapReason; 7] = {
        use GapReason::*;
        [SymbolAdded, IntervalAdded, Restart, Disconnect, MissedClose, Overdue, Damaged]
    };

    pub const fn as_str(self) -> &'static str {
        match self {
            GapReason::SymbolAdded => "symbol added",
            GapReason::IntervalAdded => "interval added",
            GapReason::Restart => "restart",
            GapReason::Disconnect => "disconnect",
            GapReason::MissedClose => "missed close",
            GapReason::Overdue => "overdue",
            GapReason::Damaged => "damaged",
        }
    }

    /// `None` for a number that no reason has.
    pub fn from_index(index: u8) -> Option<GapReason> {
        GapReason::ALL.into_iter().find(|reason| *reason as u8 == index)
    }
}

impl GapResolution {
    pub const ALL: [GapResolution; 4] = {
        use GapResolution::*;
        [Repaired, ConfirmedAbsent, TooOld, Untracked]
    };

    pub const fn as_str(self) -> &'static str {
        match self {
            GapResolution::Repaired => "repaired",
            GapResolution::ConfirmedAbsent => "confirmed_absent",
            GapResolution::TooOld => "too_old",
            GapResolution::Untracked => "untracked",
        }
    }

    /// `None` for a number that no resolution has.
    pub fn from_index(index: u8) -> Option<GapResolution> {
        GapResolution::ALL.into_iter().find(|resolution| *resolution as u8 == index)
    }
}
