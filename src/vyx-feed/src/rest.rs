//! The REST interface: requests within the weight budget, answers read, refusals understood.

use crate::changed;
use crate::http::{Answer, Http};
use crate::outlet::Outlet;
use crate::pace::WeightBudget;
use crate::settings::Settings;
use crate::sink::Event;
use crate::url::RestUrl;
use crate::wire::{self, ExchangeInfo, History, Refusal, Tickers, Unreadable};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, HeaderMap, RETRY_AFTER};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use vyx_core::{Interval, Millis, Symbol};

/// Most rows the exchange returns in one page of klines.
pub const PAGE: usize = 1_000;
/// What a page of klines costs.
pub const PAGE_WEIGHT: u32 = 2;
/// The server itself gives up after 10 s; the rest is for a slow link. A server that drips an answer ends here too.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Unfiltered, exchangeInfo was 17 MB in 2026; filtered as we ask it is 2.5 MB.
const LARGEST_EXCHANGE_INFO: usize = 32 << 20;
/// A page of klines has 165 KB, the tickers of 1,400 pairs 400 KB.
const LARGEST_ANSWER: usize = 4 << 20;

/// What is said where the exchange refuses the location: waiting does not help, another host does.
pub const LOCATION_REFUSED: &str = "the exchange refuses requests from this location (HTTP status 451); set the hosts to \
     wss://data-stream.binance.vision and https://data-api.binance.vision, which carry market data only and answer everywhere";

/// The code of "Invalid symbol.".
const BAD_SYMBOL: i64 = -1121;

/// Pause after a refusal of the location or by the firewall: neither goes away by asking again.
const BLOCKED_PAUSE: Duration = Duration::from_secs(5 * 60);
/// Pause after 429 without advice: the exchange's weight window is a minute.
const LIMITED_PAUSE: Duration = Duration::from_secs(60);
/// Pause after 418 without advice: the shortest ban.
const BANNED_PAUSE: Duration = Duration::from_secs(120);
/// The longest ban. Advice to wait longer is a mistake.
const LONGEST_PAUSE: Duration = Duration::from_secs(3 * 86_400);

/// The least time to send nothing after this HTTP status, given the exchange's own advice.
pub fn least_pause(status: u16, advice: Option<Duration>) -> Option<Duration> {
    let advice = advice.map(|pause| pause.min(LONGEST_PAUSE));
    match status {
        403 | 451 => Some(advice.unwrap_or_default().max(BLOCKED_PAUSE)),
        418 => Some(advice.unwrap_or(BANNED_PAUSE)),
        429 => Some(advice.unwrap_or(LIMITED_PAUSE)),
        _ => None,
    }
}

/// The advice of a `Retry-After` header, which the exchange gives in seconds.
pub fn advised_pause(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Why a request brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// The exchange wants silence: too much weight (429), banned (418), firewall (403).
    #[error("the exchange wants no requests for {pause:?} (HTTP status {status})")]
    Limited { status: u16, pause: Duration },
    /// The exchange does not serve this location.
    #[error("{LOCATION_REFUSED}")]
    Location,
    /// The request as such is wrong, and would be wrong again.
    #[error("the exchange refuses the request: {} (code {})", .0.message, .0.code)]
    Refused(Refusal),
    /// No answer, or one that promises nothing about the next attempt.
    #[error("{0}")]
    Unavailable(String),
    /// The answer makes no sense.
    #[error("the answer cannot be read: {0}")]
    Unreadable(#[from] Unreadable),
}

impl RestError {
    /// How long nothing at all may be sent. Kept by [`Rest`]: the next request of whoever it is waits.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            RestError::Limited { pause, .. } => Some(*pause),
            RestError::Location => Some(BLOCKED_PAUSE),
            RestError::Refused(_) | RestError::Unavailable(_) | RestError::Unreadable(_) => None,
        }
    }

    /// The exchange does not know the symbol.
    pub fn is_bad_symbol(&self) -> bool {
        matches!(self, RestError::Refused(Refusal { code: BAD_SYMBOL, .. }))
    }

    /// Waiting does not help; a human has to change something.
    pub fn is_terminal(&self) -> bool {
        matches!(self, RestError::Location)
    }
}

/// A client whose requests share one budget.
pub struct Rest<'s> {
    http: Http<'s>,
    settings: watch::Receiver<Settings>,
    outlet: Rc<Outlet<'s>>,
    state: RefCell<State>,
}

/// What is known about the host that the settings name.
struct State {
    host: String,
    budget: WeightBudget,
    /// Weight the exchange allows in a minute, once it has said so.
    announced_limit: Option<u32>,
}

impl State {
    fn new(settings: &Settings, now: Instant) -> State {
        let budget = WeightBudget::new(settings.weight_budget_per_minute, now);
        State { host: settings.rest_url.clone(), budget, announced_limit: None }
    }

    fn per_minute(&self, settings: &Settings) -> u32 {
        // A third is left to others behind the same address, as in the default budget.
        let announced = self.announced_limit.map_or(u32::MAX, |limit| limit / 3 * 2);
        settings.weight_budget_per_minute.min(announced).max(1)
    }
}

impl<'s> Rest<'s> {
    pub fn new(settings: watch::Receiver<Settings>, outlet: Rc<Outlet<'s>>, http: Http<'s>) -> Rest<'s> {
        let state = RefCell::new(State::new(&settings.borrow(), Instant::now()));
        Rest { http, settings, outlet, state }
    }

    /// The exchange's clock.
    pub async fn time(&self) -> Result<Millis, RestError> {
        Ok(wire::server_time(&self.get("/api/v3/time", 1, LARGEST_ANSWER).await?)?)
    }

    /// Every pair that trades on the spot market. What it says about weight limits is obeyed from now on.
    pub async fn exchange_info(&self) -> Result<ExchangeInfo, RestError> {
        let path = "/api/v3/exchangeInfo?permissions=SPOT&symbolStatus=TRADING&showPermissionSets=false";
        self.exchange_info_at(path).await
    }

    /// These pairs, whatever their status. The exchange refuses the question when it does not know one of them.
    pub async fn exchange_info_of(&self, symbols: &[Symbol]) -> Result<ExchangeInfo, RestError> {
        let names: Vec<&str> = symbols.iter().map(Symbol::as_str).collect();
        let names = serde_json::json!(names).to_string();
        let names = utf8_percent_encode(&names, NON_ALPHANUMERIC);
        self.exchange_info_at(&format!("/api/v3/exchangeInfo?symbols={names}&showPermissionSets=false")).await
    }

    async fn exchange_info_at(&self, path: &str) -> Result<ExchangeInfo, RestError> {
        let info = wire::exchange_info(&self.get(path, 20, LARGEST_EXCHANGE_INFO).await?)?;
        if info.weight_limit.is_some() {
            self.state.borrow_mut().announced_limit = info.weight_limit;
        }
        Ok(info)
    }

    /// The 24 h statistics of every trading pair.
    pub async fn tickers(&self) -> Result<Tickers, RestError> {
        let body = self.get("/api/v3/ticker/24hr?symbolStatus=TRADING&type=MINI", 80, LARGEST_ANSWER).await?;
        Ok(wire::tickers(&body)?)
    }

    /// The klines that opened between `first` and `last`, both included: at most [`PAGE`], oldest first.
    pub async fn klines(
        &self,
        symbol: &Symbol,
        interval: Interval,
        first: Millis,
        last: Millis,
    ) -> Result<History, RestError> {
        // The exchange takes no negative times; nothing was traded before 1970.
        let range = format!("&startTime={}&endTime={}&limit={PAGE}", first.0.max(0), last.0.max(0));
        let page = self.klines_page(symbol, interval, &range).await?;
        if page.klines.iter().any(|kline| kline.open_time < first || kline.open_time > last) {
            return Ok(wire::unreadable("klines outside the range that was asked for")?);
        }
        Ok(page)
    }

    /// The newest kline that opened at `last` or before, if there is any.
    pub async fn newest_kline(&self, symbol: &Symbol, interval: Interval, last: Millis) -> Result<History, RestError> {
        self.klines_page(symbol, interval, &format!("&endTime={}&limit=1", last.0)).await
    }

    /// The oldest kline that opened at `first` or later, if there is any. It may still be open.
    pub async fn oldest_kline(&self, symbol: &Symbol, interval: Interval, first: Millis) -> Result<History, RestError> {
        self.klines_page(symbol, interval, &format!("&startTime={}&limit=1", first.0.max(0))).await
    }

    /// Weight that may be spent in a minute, and how long nothing may be sent at all.
    pub fn budget(&self) -> (u32, Duration) {
        let (settings, state) = (self.settings.borrow(), self.state.borrow());
        (state.per_minute(&settings), state.budget.stopped_for(Instant::now()))
    }

    async fn klines_page(&self, symbol: &Symbol, interval: Interval, range: &str) -> Result<History, RestError> {
        let symbol = utf8_percent_encode(symbol.as_str(), NON_ALPHANUMERIC);
        let path = format!("/api/v3/klines?symbol={symbol}&interval={interval}{range}");
        Ok(wire::history(&self.get(&path, PAGE_WEIGHT, LARGEST_ANSWER).await?, interval)?)
    }

    /// Sends one request as soon as the budget allows.
    async fn get(&self, path_and_query: &str, weight: u32, largest: usize) -> Result<Bytes, RestError> {
        self.permission(weight).await;
        let url = RestUrl::parse(&self.settings.borrow().rest_url)
            .map_err(|error| RestError::Unavailable(format!("rest_url: {error}")))?;
        self.outlet.event(Event::Request);
        let answer = match timeout(REQUEST_TIMEOUT, self.exchange(&url, path_and_query, largest)).await {
            Ok(answer) => answer,
            Err(_) => Err(RestError::Unavailable(format!("no answer within {REQUEST_TIMEOUT:?}"))),
        };
        if let Err(error) = &answer {
            self.outlet.event(Event::RequestFailed);
            if let Some(pause) = error.retry_after() {
                self.state.borrow_mut().budget.stop_for(pause, Instant::now());
            }
        }
        answer
    }

    /// Waits until `weight` may be spent. A change of the settings is noticed while waiting: another host has
    /// another budget, and owes us no pause.
    async fn permission(&self, weight: u32) {
        let mut settings = self.settings.clone();
        loop {
            let verdict = {
                let (settings, now) = (settings.borrow_and_update(), Instant::now());
                let state = &mut *self.state.borrow_mut();
                if state.host != settings.rest_url {
                    *state = State::new(&settings, now);
                }
                state.budget.set(state.per_minute(&settings), now);
                state.budget.take(weight, now)
            };
            let Err(pause) = verdict else { return };
            tokio::select! {
                () = sleep(pause) => {}
                () = changed(&mut settings) => {}
            }
        }
    }

    async fn exchange(&self, url: &RestUrl, path_and_query: &str, largest: usize) -> Result<Bytes, RestError> {
        let answer = self.http.get(url, path_and_query, largest, |head| {
            if let Some(used) = used_weight(head.headers()) {
                self.outlet.event(Event::Weight(used));
                self.state.borrow_mut().budget.used(used, Instant::now());
            }
            // We offer no encoding. Taking one unasked would let a small answer unpack to any size.
            if head.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
                return Err("the answer is compressed, which was not asked for".into());
            }
            Ok(())
        });
        let Answer { status, headers, body } =
            answer.await.map_err(|error| RestError::Unavailable(with_causes(&*error)))?;
        if status == StatusCode::OK { Ok(body) } else { Err(refused(status, &headers, &body)) }
    }
}

fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> RestError {
    let pause = least_pause(status.as_u16(), advised_pause(headers));
    match (status.as_u16(), pause) {
        (451, _) => RestError::Location,
        (status, Some(pause)) => RestError::Limited { status, pause },
        (400..500, None) => match wire::refusal(body) {
            Some(refusal) => RestError::Refused(refusal),
            None => RestError::Unavailable(format!("HTTP status {status}")),
        },
        (300..400, None) => RestError::Unavailable(format!("HTTP status {status}: redirects are not followed")),
        (_, None) => RestError::Unavailable(format!("HTTP status {status}")),
    }
}

fn used_weight(headers: &HeaderMap) -> Option<u32> {
    headers.get("x-mbx-used-weight-1m")?.to_str().ok()?.trim().parse().ok()
}

/// "client error (Connect): tcp connect error: Connection refused": the outermost words alone would help nobody.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, retry_after: Option<&str>, body: &str, expected: RestError) {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        assert_eq!(refused(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes()), expected);
    }

    #[test]
    fn every_refusal_has_its_pause() {
        let limited = |status, seconds| RestError::Limited { status, pause: Duration::from_secs(seconds) };
        check(429, Some("7"), "{}", limited(429, 7));
        check(429, None, "{}", limited(429, 60));
        check(418, Some("120"), "{}", limited(418, 120));
        check(418, Some("soon"), "{}", limited(418, 120));
        check(418, Some("99999999"), "{}", limited(418, 3 * 86_400));
        check(403, Some("1"), "<html>", limited(403, 300));
        check(451, None, r#"{"code":0,"msg":"Service unavailable"}"#, RestError::Location);
        let invalid = Refusal { code: -1121, message: "Invalid symbol.".to_owned() };
        check(400, None, r#"{"code":-1121,"msg":"Invalid symbol."}"#, RestError::Refused(invalid));
        check(404, None, "<html>", RestError::Unavailable("HTTP status 404 Not Found".to_owned()));
        check(502, None, "<html>", RestError::Unavailable("HTTP status 502 Bad Gateway".to_owned()));
        check(
            301,
            None,
            "",
            RestError::Unavailable("HTTP status 301 Moved Permanently: redirects are not followed".to_owned()),
        );
    }

    #[test]
    fn a_refused_location_names_the_hosts_that_answer() {
        let words = RestError::Location.to_string();
        assert!(words.contains("data-stream.binance.vision") && words.contains("data-api.binance.vision"));
        assert!(RestError::Location.is_terminal());
        assert!(RestError::Location.retry_after() >= Some(Duration::from_secs(300)));
    }
}
