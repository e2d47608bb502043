//! The handle of a simulator that listens on a port.

use crate::clock::{ClockFile, wall_millis};
use crate::controls::Controls;
use crate::exchange::Exchange;
use crate::prepare;
use crate::publish::Publisher;
use crate::server;
use crate::settings::Settings;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// How often the market clock is saved.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// A simulator in a thread of its own, on TCP and in real time. It ends when it is stopped or dropped.
///
/// Asked from within a runtime with a paused clock it would tell that runtime's time: there [`Virtual`](crate::Virtual)
/// belongs.
pub struct Simulator {
    controls: Controls,
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
        let clock_file = settings.clock_file.as_ref().map(ClockFile::new);
        let saved = clock_file.as_ref().map(ClockFile::read).transpose()?.flatten();
        let start = saved.or(settings.start).unwrap_or_else(wall_millis);
        let port = settings.port;
        let exchange = Arc::new(prepare::exchange(settings, start, wall_millis())?);
        // Without tokio, so that a caller may itself be in a runtime.
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let address = listener.local_addr()?;
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
        Ok(Simulator { controls: Controls::new(exchange), address, stop: Some(stop), thread: Some(thread) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
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

impl Deref for Simulator {
    type Target = Controls;

    fn deref(&self) -> &Controls {
        &self.controls
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
