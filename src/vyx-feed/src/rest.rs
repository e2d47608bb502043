//! stub
use std::time::Duration;
pub(crate) const LOCATION_REFUSED: &str = "the exchange refuses this location (HTTP status 451); \
     set the hosts to wss://data-stream.binance.vision and https://data-api.binance.vision, which serve market data everywhere";
pub(crate) fn least_pause(_status: u16, retry_after: Option<Duration>) -> Option<Duration> {
    retry_after
}
