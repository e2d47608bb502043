//! HTTP/1.1 over a door: one request, one whole answer up to a limit. Connections that are still good are used again.
//! Redirects are not followed, nothing is unpacked, and time is the caller's business but for that of connecting.

use crate::door::{Dial, Transport};
use crate::url::RestUrl;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderMap, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

/// Dialling, TLS and the handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections kept for later: as many as there are requests under way at a time, and one more.
const MOST_IDLE: usize = 8;
/// After so long without a request the server may have hung up.
const LONGEST_IDLE: Duration = Duration::from_secs(60);

/// Why there is no answer; with the causes of the causes, as the outermost words alone would help nobody.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// A whole answer.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A client with its connections.
pub struct Http<'s> {
    door: &'s dyn Dial,
    tls: TlsConnector,
    idle: RefCell<Vec<Idle>>,
}

struct Idle {
    url: RestUrl,
    connection: SendRequest<Empty<Bytes>>,
    since: Instant,
}

impl<'s> Http<'s> {
    pub fn new(door: &'s dyn Dial, tls: Arc<ClientConfig>) -> Http<'s> {
        Http { door, tls: TlsConnector::from(tls), idle: RefCell::default() }
    }

    /// Asks for a path with its query. The body is taken only where `accept` finds nothing wrong with the head.
    pub async fn get(
        &self,
        url: &RestUrl,
        path_and_query: &str,
        largest: usize,
        accept: impl FnOnce(&Response<Incoming>) -> Result<(), Error>,
    ) -> Result<Answer, Error> {
        let (mut connection, response) = self.head(url, path_and_query).await?;
        accept(&response)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, largest).collect().await?.to_bytes();
        // Only now, as whoever gets the connection next would wait for the rest of this answer.
        if connection.ready().await.is_ok() {
            let mut idle = self.idle.borrow_mut();
            idle.retain(|idle| idle.since.elapsed() < LONGEST_IDLE);
            if idle.len() < MOST_IDLE {
                idle.push(Idle { url: url.clone(), connection, since: Instant::now() });
            }
        }
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    async fn head(
        &self,
        url: &RestUrl,
        path_and_query: &str,
    ) -> Result<(SendRequest<Empty<Bytes>>, Response<Incoming>), Error> {
        let request = || {
            Request::get(path_and_query)
                .header(HOST, url.authority())
                .header(USER_AGENT, concat!("vyx/", env!("CARGO_PKG_VERSION")))
                .body(Empty::new())
        };
        while let Some(mut connection) = self.take(url) {
            // The server may hang up at any moment before the request reaches it; a question may be asked twice.
            if let Ok(response) = connection.send_request(request()?).await {
                return Ok((connection, response));
            }
        }
        let mut connection = match timeout(CONNECT_TIMEOUT, self.connect(url)).await {
            Ok(connection) => connection?,
            Err(_) => return Err(format!("no connection within {CONNECT_TIMEOUT:?}").into()),
        };
        let response = connection.send_request(request()?).await?;
        Ok((connection, response))
    }

    fn take(&self, url: &RestUrl) -> Option<SendRequest<Empty<Bytes>>> {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|idle| idle.since.elapsed() < LONGEST_IDLE && !idle.connection.is_closed());
        let newest = idle.iter().rposition(|idle| idle.url == *url)?;
        Some(idle.remove(newest).connection)
    }

    async fn connect(&self, url: &RestUrl) -> Result<SendRequest<Empty<Bytes>>, Error> {
        let (host, port) = url.address();
        let plain = self.door.dial(&host, port).await?;
        let transport: Box<dyn Transport> =
            if url.is_secure() { Box::new(self.tls.connect(ServerName::try_from(host)?, plain).await?) } else { plain };
        let (sender, driver) = handshake(TokioIo::new(transport)).await?;
        // Ends with its sender. What it could complain about, the answer complains about too.
        tokio::spawn(driver);
        Ok(sender)
    }
}
