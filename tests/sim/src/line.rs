//! The line between a client and the exchange: any stream of bytes, which a fault can slow.

use crate::exchange::Exchange;
use crate::fault::{Fault, Kind};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// What carries a connection.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Makes the end that follows an abrupt one: what waits to be sent is lost.
    fn reset(&mut self);
}

impl Transport for TcpStream {
    fn reset(&mut self) {
        // With no lingering, closing sends a reset. A socket that refuses this is closed in the usual way.
        let _ = self.set_zero_linger();
    }
}

impl Transport for DuplexStream {
    /// A pipe knows only one end.
    fn reset(&mut self) {}
}

/// Who a line serves, as far as is known yet: faults are aimed by it.
#[derive(Clone, Default)]
pub struct Served(Arc<Mutex<(Option<u64>, String)>>);

impl Served {
    /// From now on the request of this path.
    pub fn request(&self, path: &str) {
        let mut served = self.get();
        served.1.clear();
        served.1.push_str(path);
    }

    /// From now on this WebSocket connection.
    pub fn connection(&self, id: u64) {
        self.get().0 = Some(id);
    }

    /// Whether `slow_bytes` concerns this line. Orders to the simulator itself are never slowed.
    fn suits(&self, fault: &Fault) -> bool {
        let served = self.get();
        let (connection, path) = &*served;
        !path.starts_with("/control/")
            && fault.connection.is_none_or(|id| *connection == Some(id))
            && fault.path.as_ref().is_none_or(|wanted| wanted == path)
    }

    fn get(&self) -> MutexGuard<'_, (Option<u64>, String)> {
        self.0.lock().expect("no task panics while it holds this lock")
    }
}

/// A transport whose writes the fault `slow_bytes` can turn into single bytes with pauses.
pub struct Line<T> {
    transport: T,
    exchange: Arc<Exchange>,
    served: Served,
    /// Until the next byte may leave.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<T: Transport> Line<T> {
    pub fn new(transport: T, exchange: Arc<Exchange>, served: Served) -> Line<T> {
        Line { transport, exchange, served, pause: None }
    }

    pub fn served(&self) -> &Served {
        &self.served
    }

    pub fn reset(&mut self) {
        self.transport.reset();
    }
}

impl<T: Transport> AsyncRead for Line<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context, bytes: &mut ReadBuf) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_read(context, bytes)
    }
}

impl<T: Transport> AsyncWrite for Line<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let line = &mut *self;
        if let Some(pause) = &mut line.pause {
            ready!(pause.as_mut().poll(context));
            line.pause = None;
        }
        let suits = |fault: &Fault| line.served.suits(fault);
        if line.exchange.faults().find(Kind::SlowBytes, suits).is_none() {
            return Pin::new(&mut line.transport).poll_write(context, bytes);
        }
        let written = ready!(Pin::new(&mut line.transport).poll_write(context, &bytes[..bytes.len().min(1)]))?;
        // Only a byte that has left counts.
        if let Some(fault) = line.exchange.faults().act(Kind::SlowBytes, suits) {
            line.pause = Some(Box::pin(tokio::time::sleep(fault.by())));
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(context)
    }
}
