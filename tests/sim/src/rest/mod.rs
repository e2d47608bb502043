//! The REST side: which paths there are, what they weigh, and how refusals look.

mod exchange_info;
mod klines;
mod parameters;
mod ticker;

use crate::event::TimeUnit;
use crate::exchange::Exchange;
use crate::fault::Kind;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
pub use parameters::Parameters;
use serde_json::json;

pub type Body = Full<Bytes>;
pub type Answer = Response<Body>;

/// A request the exchange refuses with HTTP 400: its code and words.
#[derive(Debug, PartialEq)]
pub struct Refusal {
    pub code: i64,
    pub message: String,
}

impl Refusal {
    pub fn new(code: i64, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into() }
    }

    /// A parameter that must be there and is not.
    pub fn missing(name: &str) -> Refusal {
        Refusal::new(-1102, format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."))
    }

    /// A parameter with letters that it may not have.
    pub fn illegal(name: &str, legal: &str) -> Refusal {
        Refusal::new(-1100, format!("Illegal characters found in parameter '{name}'; legal range is '{legal}'."))
    }
}

/// What an endpoint sees of a request.
pub struct Call<'a> {
    pub exchange: &'a Exchange,
    pub parameters: Parameters,
    pub unit: TimeUnit,
    /// Market time of the answer.
    pub now: i64,
}

type Endpoint = fn(&Call) -> Result<String, Refusal>;
type Weight = fn(&Parameters) -> u64;

/// Path, weight and what answers.
const ENDPOINTS: [(&str, Weight, Endpoint); 5] = [
    ("/api/v3/ping", |_| 1, |call| call.parameters.only(&[]).map(|()| "{}".to_owned())),
    ("/api/v3/time", |_| 1, time),
    ("/api/v3/exchangeInfo", |_| 20, exchange_info::answer),
    ("/api/v3/klines", |_| 2, klines::answer),
    ("/api/v3/ticker/24hr", ticker::weight, ticker::answer),
];

fn time(call: &Call) -> Result<String, Refusal> {
    call.parameters.only(&[])?;
    Ok(json!({"serverTime": call.unit.moment(call.exchange.shown_time(call.now))}).to_string())
}

/// Answers a request and counts it.
pub fn answer(exchange: &Exchange, request: &Request<Incoming>) -> Answer {
    let path = request.uri().path();
    let answer = route(exchange, request, path);
    // Unknown paths are counted as one: a client must not be able to grow the table.
    let known = ENDPOINTS.iter().any(|(known, _, _)| *known == path);
    let path = if known { path } else { "other" };
    *exchange.counters().requests.entry((path.to_owned(), answer.status().as_u16())).or_default() += 1;
    answer
}

fn route(exchange: &Exchange, request: &Request<Incoming>, path: &str) -> Answer {
    let suits = |wanted: &Option<String>| wanted.as_deref().is_none_or(|wanted| wanted == path);
    if let Some(fault) = exchange.faults().act(Kind::RefuseRest, |fault| suits(&fault.path)) {
        let status = fault.status.and_then(|status| StatusCode::from_u16(status).ok());
        return refusal(status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE), fault.retry_after_s);
    }
    let Some((_, weight, endpoint)) = ENDPOINTS.iter().find(|(known, _, _)| *known == path) else {
        return refusal(StatusCode::NOT_FOUND, None);
    };
    if request.method() != Method::GET {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, None);
    }
    let parameters = Parameters::parse(request.uri().query().unwrap_or(""));
    let (used, retry_after) = exchange.take_weight(weight(&parameters));
    let mut answer = match retry_after {
        Some(seconds) => refusal(StatusCode::TOO_MANY_REQUESTS, Some(seconds)),
        None => match unit(request)
            .and_then(|unit| endpoint(&Call { exchange, parameters, unit, now: exchange.clock.now() }))
        {
            Ok(body) => json_answer(StatusCode::OK, body),
            Err(error) => {
                json_answer(StatusCode::BAD_REQUEST, json!({"code": error.code, "msg": error.message}).to_string())
            }
        },
    };
    answer.headers_mut().insert("X-MBX-USED-WEIGHT-1M", HeaderValue::from(used));
    answer
}

fn unit(request: &Request<Incoming>) -> Result<TimeUnit, Refusal> {
    match request.headers().get("X-MBX-TIME-UNIT") {
        None => Ok(TimeUnit::default()),
        Some(value) => value.to_str().ok().and_then(TimeUnit::parse).ok_or_else(|| {
            Refusal::new(-1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")
        }),
    }
}

pub fn json_answer(status: StatusCode, body: String) -> Answer {
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    answer
}

/// A refusal by status, with the body the exchange gives it: JSON where its own servers answer, HTML where those
/// in front of them do.
pub fn refusal(status: StatusCode, retry_after: Option<u64>) -> Answer {
    let error = |code: i64, message: &str| json_answer(status, json!({"code": code, "msg": message}).to_string());
    let mut answer = match status.as_u16() {
        429 => error(
            -1003,
            "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API.",
        ),
        418 => error(
            -1003,
            "Way too much request weight used; IP banned. Please use WebSocket Streams for live updates to avoid bans.",
        ),
        451 => error(
            0,
            "Service unavailable from a restricted location according to 'b. Eligibility' in the terms of use.",
        ),
        503 => error(-1008, "Server is currently overloaded with other requests. Please try again in a few minutes."),
        _ => {
            let mut page = Response::new(Full::from(format!("<html><body><h1>{status}</h1></body></html>")));
            *page.status_mut() = status;
            page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
            page
        }
    };
    if let Some(seconds) = retry_after {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}
