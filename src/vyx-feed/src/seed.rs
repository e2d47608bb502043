//! The tickers and the exchange's clock by REST: at the start, after each reconnection, and when an event's time
//! cannot be believed. The array stream only lists what changed, so a quiet symbol would otherwise stay unknown. And while
//! no stream tells the time, be there none or all of them stalled, the clock alone, so that what closes meanwhile is missed,
//! and asked for.

use crate::Feed;
use crate::backoff::Backoff;
use crate::outlet::Topic;
use crate::rest::RestError;
use crate::sink::{Event, Level};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::sleep;

/// The least time between two seeds. Each has a weight of 81, so a flapping connection costs at most 486 a minute.
const SEED_INTERVAL: Duration = Duration::from_secs(10);

/// How long market time may stand before the clock is read: at most twelve of the weight of a minute.
const CLOCK_INTERVAL: Duration = Duration::from_secs(5);

/// Seeds on demand, for ever.
pub async fn keep(feed: &Feed<'_>) -> Infallible {
    let mut backoff = Backoff::default();
    loop {
        let before = feed.clock.now();
        tokio::select! {
            biased;
            () = feed.seed_wanted.notified() => {}
            () = sleep(CLOCK_INTERVAL) => {
                if feed.clock.now() == before && let Ok(at) = feed.rest.time().await {
                    feed.server_time(at);
                }
                continue;
            }
        }
        while let Err(error) = seed(feed).await {
            feed.outlet.log(Topic::Tickers, Level::Warning, || format!("cannot read the tickers: {error}"));
            sleep(backoff.next(feed.random())).await;
        }
        backoff.reset();
        sleep(SEED_INTERVAL).await;
    }
}

async fn seed(feed: &Feed<'_>) -> Result<(), RestError> {
    feed.server_time(feed.rest.time().await?);
    let read = feed.rest.tickers().await?;
    let universe = feed.universe.borrow().clone();
    for (symbol, ticker) in read.tickers.iter().filter(|(symbol, _)| universe.contains(symbol)) {
        feed.outlet.sink.ticker(symbol, ticker);
    }
    (0..read.dropped).for_each(|_| feed.outlet.event(Event::BadFrame));
    Ok(())
}
