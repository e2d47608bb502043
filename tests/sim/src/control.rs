//! The control endpoint: what a test or a person asks of the simulator itself. The exchange has nothing like it.
//!
//! - `POST /control/fault` with a [`Fault`] as JSON: `{"id":1}`, or `{"id":null}` if it is done already.
//! - `POST /control/clear` with nothing, or `{"id":1}`: `{"cleared":1}`.
//! - `GET /control/state`: a [`State`].
//! - `GET /control/kinds`: the kinds of faults and their fields.
//!
//! Mistakes are answered with status 400 and `{"error":"…"}`.

use crate::exchange::Exchange;
use crate::fault::{Fault, KINDS};
use crate::rest::{Answer, json_answer};
use crate::settings::limits;
use crate::state::State;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Clear {
    id: Option<u64>,
}

pub async fn answer(exchange: &Exchange, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, limits::CONTROL_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return mistake(StatusCode::BAD_REQUEST, error),
    };
    let result = match (head.method, head.uri.path()) {
        (Method::POST, "/control/fault") => serde_json::from_slice::<Fault>(&body)
            .map_err(|error| error.to_string())
            .and_then(|fault| exchange.inject(fault))
            .map(|id| json!({"id": id})),
        (Method::POST, "/control/clear") => match body.is_empty() {
            true => Ok(Clear::default()),
            false => serde_json::from_slice(&body).map_err(|error| error.to_string()),
        }
        .map(|clear| json!({"cleared": exchange.faults().clear(clear.id)})),
        (Method::GET, "/control/state") => Ok(json!(State::of(exchange))),
        (Method::GET, "/control/kinds") => Ok(KINDS
            .iter()
            .map(|row| json!({"kind": row.kind, "needs": row.needs, "takes": row.takes}))
            .collect::<Value>()),
        (_, path) => return mistake(StatusCode::NOT_FOUND, format!("no {path} here")),
    };
    match result {
        Ok(value) => json_answer(StatusCode::OK, value.to_string()),
        Err(error) => mistake(StatusCode::BAD_REQUEST, error),
    }
}

fn mistake(status: StatusCode, error: impl ToString) -> Answer {
    json_answer(status, json!({"error": error.to_string()}).to_string())
}
