//! One port: HTTP requests, WebSocket upgrades, the control endpoint.

use crate::exchange::Exchange;
use crate::line::{Line, Served, Transport};
use crate::{control, rest, ws};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Accepts connections until the task is dropped.
pub async fn accept(exchange: Arc<Exchange>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => {
                // Small frames are sent as they come, at worst in larger packets than necessary.
                let _ = tcp.set_nodelay(true);
                exchange.spawn(serve(exchange.clone(), tcp));
            }
            // Out of descriptors, most likely: some may be free a moment later.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Serves one connection to its end, or to its upgrade.
pub async fn serve<T: Transport>(exchange: Arc<Exchange>, transport: T) {
    let served = Served::default();
    let line = Line::new(transport, exchange.clone(), served.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        served.request(request.uri().path());
        answer::<T>(exchange.clone(), request)
    });
    // An error is a client that left or spoke no HTTP, or a connection that a fault refused.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        // It would be the wall's, in a simulation too.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(line), service)
        .with_upgrades()
        .await;
}

async fn answer<T: Transport>(
    exchange: Arc<Exchange>,
    request: Request<Incoming>,
) -> Result<Response<rest::Body>, impl std::error::Error + Send + Sync> {
    if ws::is_upgrade(&request) {
        return ws::answer::<T>(&exchange, request);
    }
    if request.uri().path().starts_with("/control/") {
        return Ok(control::answer(&exchange, request).await);
    }
    Ok(rest::answer(&exchange, &request))
}
