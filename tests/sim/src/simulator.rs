//! The handle of a running simulator.

use crate::clock::{Clock, ClockFile, wall_millis};
use crate::exchange::Exchange;
use crate::fault::Fault;
use crate::interval::Interval;
use crate::market::{Csv, Market};
use crate::publish::Publisher;
use crate::server;
use crate::settings::Settings;
use crate::state::State;
use crate::symbols::{Status, Symbol};
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// How often the market clock is saved.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// A simulator in a thread of its own. It ends when it is stopped or dropped.
pub struct Simulator {
    exchange: Arc<Exchange>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Simulator {
    /// Starts a simulator on 127.0.0.1. When this returns, it accepts connections.
    ///
    /// # Errors
    /// If the port is in use, a file of candles or the clock file cannot be read, or the settings make no sense.
    pub fn start(settings: Settings) -> io::Result<Simulator> {
        let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidInput, error);
        if !(settings.speed > 0.0 && settings.speed <= 100_000.0) {
            return Err(invalid(format!("speed must be above 0 and at most 100000, not {}", settings.speed)));
        }
        let clock_file = settings.clock_file.as_ref().map(ClockFile::new);
        let saved = clock_file.as_ref().map(ClockFile::read).transpose()?.flatten();
        let start = saved.or(settings.start).unwrap_or_else(wall_millis);
        let market = market(&settings).map_err(invalid)?;
        // Without tokio, so that a caller may itself be in a runtime.
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port))?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let address = listener.local_addr()?;
        let exchange = Arc::new(Exchange::new(
            market,
            Clock::new(start, settings.speed),
            Clock::new(wall_millis(), 1.0),
            settings,
        ));
        let (stop, stopped) = oneshot::channel();
        let thread = {
            let exchange = exchange.clone();
            std::thread::Builder::new().name("vyx-sim".to_owned()).spawn(move || {
                let saved = runtime.block_on(run(exchange, listener, clock_file, stopped));
                // Tasks of connections end with the runtime; their sockets close.
                runtime.shutdown_background();
                saved
            })?
        };
        Ok(Simulator { exchange, address, stop: Some(stop), thread: Some(thread) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Market time now, in milliseconds since the epoch.
    pub fn market_time(&self) -> i64 {
        self.exchange.clock.now()
    }

    /// The truth.
    pub fn market(&self) -> &Market {
        &self.exchange.market
    }

    /// Misbehaves. Returns the number of a lasting fault, for [`Simulator::clear`].
    ///
    /// # Errors
    /// If the fault lacks a field, has one too many, or names what does not exist.
    pub fn inject(&self, fault: Fault) -> Result<Option<u64>, String> {
        self.exchange.inject(fault)
    }

    /// Ends all faults, or the one of this number. Returns how many ended.
    pub fn clear(&self, id: Option<u64>) -> usize {
        self.exchange.faults().clear(id)
    }

    pub fn state(&self) -> State {
        State::of(&self.exchange)
    }

    /// Stops and saves the clock.
    ///
    /// # Errors
    /// If the clock cannot be saved.
    pub fn stop(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        drop(self.stop.take());
        match self.thread.take() {
            Some(thread) => thread.join().unwrap_or_else(|_| Err(io::Error::other("the simulator panicked"))),
            None => Ok(()),
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // Whoever wants to know calls `stop`.
        let _ = self.end();
    }
}

/// Runs until the handle lets go.
async fn run(
    exchange: Arc<Exchange>,
    listener: std::net::TcpListener,
    clock_file: Option<ClockFile>,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let save = |exchange: &Exchange| clock_file.as_ref().map_or(Ok(()), |file| file.write(exchange.clock.now()));
    save(&exchange)?;
    let listener = TcpListener::from_std(listener)?;
    let saving = async {
        loop {
            tokio::time::sleep(SAVE_EVERY).await;
            // A full disk now may have room at the end; that one is reported.
            let _ = save(&exchange);
        }
    };
    tokio::select! {
        biased;
        _ = stopped => {}
        () = server::accept(exchange.clone(), listener) => {}
        () = Publisher::new(exchange.clone()).run() => {}
        () = saving => {}
    }
    save(&exchange)
}

/// The market that the settings describe.
fn market(settings: &Settings) -> Result<Market, String> {
    let mut symbols = settings.symbols.clone();
    let mut files = HashMap::new();
    for (name, (interval, path)) in &settings.files {
        let interval = Interval::parse(interval).ok_or_else(|| format!("{name}: unknown interval \"{interval}\""))?;
        files.insert(name.clone(), Csv::read(path, interval)?);
        match symbols.iter_mut().find(|symbol| symbol.name == *name) {
            Some(symbol) => (symbol.status, symbol.delisted) = (Status::Trading, None),
            None => symbols.push(named(name)?),
        }
    }
    if let Some(stranger) = settings.unlisted.iter().find(|name| symbols.iter().all(|symbol| symbol.name != **name)) {
        return Err(format!("{stranger}: cannot be unlisted, there is no such symbol"));
    }
    Ok(Market::new(settings.seed, symbols, files))
}

/// A symbol known by name only; base and quote are told apart by the usual quotes.
fn named(name: &str) -> Result<Symbol, String> {
    const QUOTES: [&str; 8] = ["USDT", "FDUSD", "USDC", "BTC", "ETH", "BNB", "EUR", "TRY"];
    let split = QUOTES.iter().find_map(|quote| Some((name.strip_suffix(quote)?, quote)));
    match split {
        Some((base, quote)) if !base.is_empty() => Ok(Symbol::new(base, quote, 1.0, 0.0, 0)),
        _ => Err(format!("{name}: the quote asset is none of {}", QUOTES.join(" "))),
    }
}
