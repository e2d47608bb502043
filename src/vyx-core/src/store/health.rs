//! What the workers count and measure, for `vyx_health()` and the metrics.

use super::Store;
use crate::Millis;
use crate::sync::{AtomicU64, Ordering};

/// Defines an enum whose variants have a name, a label where several share it, and one line of help, all in one table.
macro_rules! named {
    ($(#[$meta:meta])* $type:ident {
        $($variant:ident $name:literal $([$key:literal = $value:literal])? $help:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $type { $(#[doc = $help] $variant,)* }

        impl $type {
            pub const ALL: &[$type] = &[$($type::$variant,)*];

            /// Its name in metrics, without prefix.
            pub const fn name(self) -> &'static str {
                match self { $($type::$variant => $name,)* }
            }

            /// What tells it from others of its name.
            pub const fn label(self) -> Option<(&'static str, &'static str)> {
                match self { $($type::$variant => named!(@label $([$key = $value])?),)* }
            }

            /// What it says, in one line.
            pub const fn help(self) -> &'static str {
                match self { $($type::$variant => $help,)* }
            }
        }
    };
    (@label) => { None };
    (@label [$key:literal = $value:literal]) => { Some(($key, $value)) };
}
pub(super) use named;

named! {
    /// What only ever rises, from 0 at server start.
    Counter {
        Messages "messages" "Frames received from the exchange's streams.",
        Klines "klines" "Klines taken into the rings, from whatever source.",
        Closes "closes" "Klines that became closed.",
        Tickers "tickers" "Tickers taken.",
        BadFrames "bad_frames" "Frames that could not be read, elements of arrays and rows of answers among them.",
        UnknownFrames "unknown_frames" "Frames of a kind or symbol that is not known; ignored.",
        Dropped "dropped" "Klines and tickers dropped because their symbol is not tracked any more.",
        RefusedKlines "refused_klines" "Klines refused because their numbers cannot be true.",
        RefusedTickers "refused_tickers" "Tickers refused because their numbers cannot be true.",
        StaleKlines "stale_klines" "Klines that brought nothing newer than what was held.",
        LateOpen "late_open" "Open states of klines that were already closed.",
        TooOld "too_old" "Klines older than the ring holds.",
        Corrected "corrected" "Closed klines whose numbers the exchange changed.",
        Repaired "repaired" "Klines the streams did not close and history did.",
        ConfirmedAbsent "confirmed_absent" "Klines of which history said that they do not exist.",
        Disagreements "disagreements" "Closed klines on which history and stream did not agree; history's word counts.",
        GapsForgotten "gaps_forgotten" "Ended gaps that left the ledger to make room.",
        GapsUnlisted "gaps_unlisted" "Gaps that found no room in the ledger, which was full of open ones.",
        Restored "restored" "Klines that a snapshot brought back.",
        Snapshots "snapshots" "Snapshots written to the end.",
        SnapshotFailures "snapshot_failures" "Snapshots that could not be written.",
        Resubscribed "resubscribed" "Streams asked for anew because they were acknowledged and silent.",
        DamagedSlots "damaged_slots" "Klines lost because a writer died while writing them.",
        DirectoryFull "directory_full" "Symbols not tracked for want of room in the directory.",
        Connects "connects" "Connections to the exchange's streams that were opened.",
        Reconnects "reconnects" "Connections to the exchange's streams that were lost and opened again.",
        ConnectFailures "connect_failures" "Attempts to connect to the exchange's streams that failed.",
        Rotations "rotations" "Connections replaced before the exchange would have cut them.",
        StalledConnections "stalled_connections" "Connections given up because nothing came over them.",
        RestRequests "rest_requests" "REST requests sent: for history, tickers, the list of symbols and the exchange's clock.",
        RestFailures "rest_failures" "REST requests that failed, too many for the exchange among them.",
        WorkerStarts "worker_starts" "Starts of a background worker.",
        LogLinesDropped "log_lines_dropped" "Log lines left out because there were too many at once.",
        Matched "evaluations" ["outcome" = "matched"] "Evaluations of a trader on a symbol's candle.",
        Unmatched "evaluations" ["outcome" = "unmatched"] "Evaluations of a trader on a symbol's candle.",
        NotReady "evaluations" ["outcome" = "not_ready"] "Evaluations of a trader on a symbol's candle.",
        Failed "evaluations_failed" "Evaluations that failed, or fired and could not be written; vyx.failures says why.",
        Resting "evaluations_resting" "Evaluations left out because their trader failed too often in a row.",
        Fired "fired" "Matches that were news to their trader, suppressed ones included.",
        SuppressedCooldown "suppressed" ["reason" = "cooldown"] "Signals held back.",
        SuppressedLag "suppressed" ["reason" = "lag"] "Signals held back.",
        SuppressedQuota "suppressed" ["reason" = "quota"] "Signals held back.",
        Shadowed "shadowed" "Signals of versions that run as shadows, which nobody is told of.",
        Duplicates "duplicate_signals" "Signals that were there already.",
        Signals "signals" "Signals written.",
        Notifications "notifications" "Notifications of new signals, one a batch.",
        NotificationsSkipped "notifications_skipped" "Notifications left out because a listener that does not read has filled the queue.",
        SeriesEvaluated "series_evaluated" "Candles looked at: one of a symbol at an interval.",
        SeriesLate "series_late" "Of these, candles that were complete only after vyx.close_grace.",
        SeriesAbsent "series_absent" "Of these, candles that the exchange confirmed not to exist.",
    }
}

named! {
    /// What is so at the moment. Signed.
    Gauge {
        Connections "connections" "Open connections to the exchange's streams.",
        Streams "streams" "Streams subscribed to.",
        StreamsWanted "streams_wanted" "Streams that the settings ask for.",
        SymbolsLeftOut "symbols_left_out" "Symbols that the settings ask for and that found no place.",
        UsedWeight "used_weight" "Request weight used in the current minute, as the exchange counts it.",
        BackfillDone "backfill_done" "Series whose history is complete, of those being filled.",
        BackfillTotal "backfill_series" "Series whose history is being filled.",
        BackfillSeconds "backfill_seconds" "Seconds until the history that is missing can be there, at the allowed pace.",
        IntervalsLeftOut "intervals_left_out" "Intervals that the settings ask for and for which no memory was reserved.",
        SnapshotTime "snapshot_timestamp_seconds" "Local time of the last whole snapshot; 0 before the first.",
        SnapshotBytes "snapshot_bytes" "Size of the snapshot file.",
        MarketTime "market_timestamp_seconds" "Largest time seen from the exchange; 0 before the first.",
        SkewMs "skew_seconds" "Exchange's clock minus local clock.",
        LastFrame "last_frame_timestamp_seconds" "Local time of the newest frame; 0 before the first.",
        EvaluateConnects "evaluate_connects" "Attempts of vyx evaluate to connect to its database since it last did.",
        IngestPausedSince "ingest_paused_since" "Local time since which vyx ingest is paused, in milliseconds since 1970; 0: it is not.",
        EvaluatePausedSince "evaluate_paused_since" "Local time since which evaluation is paused, in milliseconds since 1970; 0: it is not.",
    }
}

impl Gauge {
    /// What one of its units is in that of its name: times are kept in milliseconds and shown in seconds.
    pub const fn scale(self) -> f64 {
        match self {
            Gauge::SnapshotTime | Gauge::MarketTime | Gauge::SkewMs | Gauge::LastFrame => 1e-3,
            _ => 1.0,
        }
    }
}

impl<'a> Store<'a> {
    fn counter(&self, counter: Counter) -> &'a AtomicU64 {
        &self.words[self.layout.counters + counter as usize]
    }

    fn gauge_word(&self, gauge: Gauge) -> &'a AtomicU64 {
        &self.words[self.layout.gauges + gauge as usize]
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.counter(counter).load(Ordering::Relaxed)
    }

    /// Adds to a counter; any process may.
    pub fn add(&self, counter: Counter, n: u64) {
        self.counter(counter).fetch_add(n, Ordering::Relaxed);
    }

    pub fn gauge(&self, gauge: Gauge) -> i64 {
        self.gauge_word(gauge).load(Ordering::Relaxed) as i64
    }

    pub fn set_gauge(&self, gauge: Gauge, value: i64) {
        self.gauge_word(gauge).store(value as u64, Ordering::Relaxed);
    }

    /// Market time: the largest time seen from the exchange; 1970 before the first.
    pub fn market_time(&self) -> Millis {
        Millis(self.gauge(Gauge::MarketTime))
    }

    /// Moves market time forward to `at`; it never goes back. Times before 1970 are ignored.
    pub fn raise_market_time(&self, at: Millis) {
        // Words are unsigned: a negative time would count as a very late one.
        if at.0 > 0 {
            self.gauge_word(Gauge::MarketTime).fetch_max(at.0 as u64, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::tests::store;
    use super::*;
    use crate::Interval;

    #[test]
    fn names_are_unique_and_numbers_do_not_run_into_each_other() {
        let store = store(1, &[(Interval::M1, 1)]);
        let counters = Counter::ALL.iter().map(|c| (c.name(), c.label()));
        let gauges = Gauge::ALL.iter().map(|g| (g.name(), g.label()));
        let names: std::collections::BTreeSet<_> = counters.chain(gauges).collect();
        assert_eq!(names.len(), Counter::ALL.len() + Gauge::ALL.len());
        Counter::ALL.iter().for_each(|c| store.add(*c, *c as u64 + 1));
        Gauge::ALL.iter().for_each(|g| store.set_gauge(*g, -(*g as i64)));
        assert!(Counter::ALL.iter().all(|c| store.count(*c) == *c as u64 + 1));
        assert!(Gauge::ALL.iter().all(|g| store.gauge(*g) == -(*g as i64)));
        assert_eq!(store.epoch(), 0, "the head is not touched");
    }

    #[test]
    fn market_time_never_goes_back() {
        let store = store(1, &[(Interval::M1, 1)]);
        for at in [5, 3, -1, i64::MIN] {
            store.raise_market_time(Millis(at));
        }
        assert_eq!(store.market_time(), Millis(5));
    }
}
