//! An exchange and a server that follows it.

use super::cluster::Cluster;
use super::session::Session;
use super::truth::{Truth, market_time, troubled};
use super::until;
use vyx_sim::{Fault, Kind, Settings, Simulator};

/// 2027-02-28T23:58:20Z, a Sunday: a hundred seconds later every interval from 1m to 1M closes at once.
pub const START: i64 = 1_803_859_100_000;

pub struct Stage {
    pub exchange: Simulator,
    pub cluster: Cluster,
    pub truth: Truth,
    settings: Settings,
    /// Slots of a ring, where the settings say so.
    ring_size: Option<usize>,
}

impl Stage {
    /// Starts an exchange and a server with vyx loaded that follows these of its symbols.
    pub fn start(name: &str, symbols: &[&str], exchange: Settings, settings: &[(&str, &str)]) -> Stage {
        let stage = Stage::bare(name, symbols, exchange, settings);
        stage.cluster.session().run("CREATE EXTENSION vyx");
        stage
    }

    /// The same without the extension in any database.
    pub fn bare(name: &str, symbols: &[&str], exchange: Settings, settings: &[(&str, &str)]) -> Stage {
        let truth = Truth::new(&exchange);
        let exchange_settings = Settings { start: exchange.start.or(Some(START)), ..exchange };
        let exchange = Simulator::start(exchange_settings.clone()).expect("the simulator starts");
        let symbols = symbols.join(",");
        let (stream, rest) = (format!("ws://{}", exchange.address()), format!("http://{}", exchange.address()));
        let mut all = vec![
            ("shared_preload_libraries", "vyx"),
            ("vyx.stream_url", &stream),
            ("vyx.rest_url", &rest),
            ("vyx.symbols", &symbols),
        ];
        all.extend(settings);
        let cluster = Cluster::start(name, &all);
        let ring_size = settings.iter().find(|(name, _)| *name == "vyx.ring_size");
        let ring_size = ring_size.map(|(_, size)| size.parse().expect("a number of slots"));
        Stage { exchange, cluster, truth, settings: exchange_settings, ring_size }
    }

    /// A market at the given speed, a minute a second at 60.
    pub fn speed(speed: f64) -> Settings {
        Settings { speed, ..Settings::default() }
    }

    /// Misbehaves; the number of a fault that lasts.
    pub fn inject(&self, kind: Kind, change: impl FnOnce(&mut Fault)) -> Option<u64> {
        let mut fault = Fault::new(kind);
        change(&mut fault);
        self.exchange.inject(fault).expect("the fault is well formed")
    }

    /// The exchange is gone, and back as if that had taken so much of its time.
    pub fn skip(self, millis: i64) -> Stage {
        let (port, start) = (self.exchange.address().port(), self.exchange.market_time() + millis);
        self.exchange.stop().expect("the simulator stops");
        let settings = Settings { port, start: Some(start), ..self.settings };
        let exchange = Simulator::start(settings.clone()).expect("the simulator starts again");
        Stage { exchange, settings, ..self }
    }

    /// The exchange answers nobody any more, until its faults are cleared.
    pub fn vanish(&self, session: &Session) {
        self.inject(Kind::RefuseConnections, |_| ());
        self.inject(Kind::RefuseRest, |fault| fault.status = Some(503));
        self.inject(Kind::Drop, |_| ());
        until("no connection is left", || {
            session.one::<bool>("SELECT connections = 0 FROM vyx_health()", &[]).then_some(())
        });
    }

    /// Waits until every series is complete.
    #[track_caller]
    pub fn settle(&self, session: &Session) {
        let mut last = String::new();
        let settled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until("every series is complete and live", || {
                let row = &session.rows(
                    "SELECT series_total > 0 AND series_complete = series_total AND connections > 0
                        AND streams = streams_wanted, status || ': ' || reason FROM vyx_health()",
                    &[],
                )[0];
                let troubled = troubled(session);
                last = format!("{}; {troubled:?}", row.get::<_, String>(1));
                (row.get(0) && troubled.is_empty()).then_some(())
            })
        }));
        if let Err(panic) = settled {
            eprintln!("in the end: {last}");
            std::panic::resume_unwind(panic);
        }
    }

    /// Lets `vyx evaluate` work, of a stage that was started with it off. Traders that are saved before it does are
    /// evaluated from a moment that is certain, however long saving takes.
    #[track_caller]
    pub fn start_worker(&self, session: &Session) {
        session.run("ALTER SYSTEM SET vyx.evaluate_worker = on");
        session.run("SELECT pg_reload_conf()");
    }

    /// Waits until the server has seen this market time.
    #[track_caller]
    pub fn reach(&self, session: &Session, time: i64) {
        until("the market goes on", || (market_time(session) >= time).then_some(()));
    }

    /// Everything that is held is the truth.
    #[track_caller]
    pub fn check(&self, session: &Session) {
        let rows = session.rows("SELECT symbol, \"interval\" FROM vyx_series()", &[]);
        assert!(!rows.is_empty());
        // After a reconnection history is complete before each stream has spoken of its open kline.
        self.reach(session, self.exchange.market_time() + self.truth.allowance());
        for row in rows {
            let (symbol, interval): (String, String) = (row.get(0), row.get(1));
            self.truth.check_series(session, &symbol, &interval, self.depth(&interval));
        }
    }

    /// Closed klines that a ring holds: one place is the open one's.
    fn depth(&self, interval: &str) -> usize {
        self.ring_size.unwrap_or(if interval == "1m" { 2_048 } else { 1_536 }) - 1
    }
}
