//! The way out of the process: what the feed needs of the world to reach the exchange. A simulation brings its own.

use futures_util::future::LocalBoxFuture;
use rustls::RootCertStore;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// An open connection, bytes in and bytes out.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

/// Opens connections. Everything else (TLS, HTTP, WebSocket, every pause and timeout) is the feed's own and goes by tokio's
/// clock, so that a run over a door that is reproducible is reproducible.
pub trait Dial {
    /// Connects to a host, by name or by address. The feed gives up by itself after ten seconds.
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> LocalBoxFuture<'a, io::Result<Box<dyn Transport>>>;

    /// Who may vouch for the exchange: Mozilla's roots, as the machine's certificate store may be missing.
    fn roots(&self) -> RootCertStore {
        RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
    }

    /// Where the jitter of pauses begins; chosen by chance where there is none.
    fn seed(&self) -> Option<u64> {
        None
    }
}

/// The network.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Dial for Tcp {
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> LocalBoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async move {
            let socket = TcpStream::connect((host, port)).await?;
            // Our frames are small and far between: nothing is gained by collecting them.
            socket.set_nodelay(true)?;
            Ok(Box::new(socket) as Box<dyn Transport>)
        })
    }
}
