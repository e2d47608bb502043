//! The handle of a simulator without sockets, for simulations in virtual time.

use crate::clock::wall_millis;
use crate::controls::Controls;
use crate::prepare;
use crate::publish::Publisher;
use crate::server;
use crate::settings::Settings;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use tokio::io::DuplexStream;
use tokio::runtime::Handle;

/// Bytes that wait in a pipe for a client, or for the simulator, to read them: about what a socket's buffers hold.
const PIPE: usize = 256 * 1_024;

/// A simulator in the caller's runtime, whose connections are pipes. It ends when it is dropped.
///
/// All its time is the runtime's. In a current-thread runtime with a paused clock everything happens in virtual time,
/// and the same settings (with a `start`) and the same behaviour of clients give the same bytes at the same times. The
/// methods must be called where that runtime is the current one.
pub struct Virtual {
    controls: Controls,
}

impl Virtual {
    /// Starts a simulator in the current runtime. Its port is of no concern. With a `start` its wall time begins there
    /// too.
    ///
    /// # Errors
    /// If there is no runtime, a file of candles cannot be read, a clock file is asked for, or the settings make no
    /// sense.
    pub fn start(settings: Settings) -> io::Result<Virtual> {
        Handle::try_current().map_err(io::Error::other)?;
        if settings.clock_file.is_some() {
            let error = "a clock file keeps real time, and this simulator may have another";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        let start = settings.start.unwrap_or_else(wall_millis);
        let exchange = Arc::new(prepare::exchange(settings, start, start)?);
        exchange.spawn(Publisher::new(exchange.clone()).run());
        Ok(Virtual { controls: Controls::new(exchange) })
    }

    /// Connects: the client's end of a new connection, which speaks HTTP and WebSocket as one over TCP does.
    pub fn dial(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(PIPE);
        let exchange = self.exchange();
        exchange.spawn(server::serve(exchange.clone(), server));
        client
    }
}

impl Deref for Virtual {
    type Target = Controls;

    fn deref(&self) -> &Controls {
        &self.controls
    }
}

impl Drop for Virtual {
    fn drop(&mut self) {
        self.exchange().abort();
    }
}
