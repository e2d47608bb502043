//! Control messages: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY.
//!
//! Errors have the nested form that the exchange was seen to send, not the flat one of its documents.

use super::handshake::known_stream;
use crate::event::Stream;
use crate::exchange::Exchange;
use crate::fault::Kind;
use crate::interval::Interval;
use crate::settings::limits;
use serde_json::{Map, Value, json};

/// What to send back, and whether the connection then ends.
#[derive(Debug, PartialEq)]
pub struct Reply {
    pub text: String,
    pub then_close: bool,
}

struct Refusal {
    code: i64,
    message: String,
}

fn refuse<T>(code: i64, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { code, message: message.into() })
}

const TOO_MANY_SUBSCRIPTIONS: i64 = 4;
const METHODS: [&str; 5] = ["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"];

/// Does what the message of this connection says.
pub fn handle(exchange: &Exchange, connection: u64, text: &str) -> Reply {
    let message: Value = match serde_json::from_str(text) {
        Ok(message) => message,
        Err(error) => return reply(refuse(3, format!("Invalid JSON: {error}")), None),
    };
    let id = message.get("id").filter(|id| is_id(id)).cloned();
    reply(perform(exchange, connection, &message), id)
}

/// Subscribes what the URL of the connection asks for, without an answer unless it is too much.
pub fn subscribe_from_url(exchange: &Exchange, connection: u64, streams: &[String]) -> Option<Reply> {
    subscribe(exchange, connection, streams).err().map(|refusal| reply(Err(refusal), None))
}

fn reply(result: Result<Value, Refusal>, id: Option<Value>) -> Reply {
    let id = id.unwrap_or(Value::Null);
    match result {
        Ok(result) => Reply { text: json!({"result": result, "id": id}).to_string(), then_close: false },
        Err(Refusal { code, message }) => Reply {
            text: json!({"error": {"code": code, "msg": message}, "id": id}).to_string(),
            then_close: code == TOO_MANY_SUBSCRIPTIONS,
        },
    }
}

/// A 64-bit integer, up to 36 letters and digits, or null.
fn is_id(id: &Value) -> bool {
    match id {
        Value::Null => true,
        Value::Number(number) => number.is_i64(),
        Value::String(text) => text.len() <= 36 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        _ => false,
    }
}

fn perform(exchange: &Exchange, connection: u64, message: &Value) -> Result<Value, Refusal> {
    let Some(fields) = message.as_object() else { return refuse(2, "Invalid request: expected an object") };
    let Some(method) = fields.get("method") else { return refuse(2, "Invalid request: missing field `method`") };
    if fields.get("id").is_some_and(|id| !is_id(id)) {
        return refuse(2, "Invalid request: request ID must be an integer, an alphanumeric string or null");
    }
    let method = method.as_str().unwrap_or_default();
    if !METHODS.contains(&method) {
        let known = METHODS.map(|name| format!("`{name}`")).join(", ");
        return refuse(2, format!("Invalid request: unknown variant {method}, expected one of {known}"));
    }
    if let Some(stranger) = fields.keys().find(|name| !["method", "params", "id"].contains(&name.as_str())) {
        return refuse(2, format!("Invalid request: unknown field `{stranger}`"));
    }
    match method {
        "SUBSCRIBE" => subscribe(exchange, connection, &stream_names(fields)?).map(|()| Value::Null),
        "UNSUBSCRIBE" => {
            let names = stream_names(fields)?;
            let mut hub = exchange.hub();
            names.iter().for_each(|name| hub.unsubscribe(connection, name));
            Ok(Value::Null)
        }
        "LIST_SUBSCRIPTIONS" => {
            let mut hub = exchange.hub();
            let names = hub.get(connection).map(|connection| connection.subscriptions.iter().map(|(name, _)| name));
            Ok(names.map_or(json!([]), |names| json!(names.collect::<Vec<_>>())))
        }
        "SET_PROPERTY" => set_property(exchange, connection, &parameters(fields)?),
        _ => get_property(exchange, connection, &parameters(fields)?),
    }
}

fn parameters(fields: &Map<String, Value>) -> Result<Vec<Value>, Refusal> {
    match fields.get("params") {
        Some(Value::Array(list)) => Ok(list.clone()),
        None => Ok(Vec::new()),
        Some(_) => refuse(2, "Invalid request: params must be an array"),
    }
}

/// Names that could be streams; whether they are does not matter to the exchange.
fn stream_names(fields: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    let names: Vec<String> =
        parameters(fields)?.iter().map(|name| name.as_str().unwrap_or_default().to_owned()).collect();
    let formed = |name: &String| {
        name.split_once('@').is_some_and(|(_, kind)| !kind.is_empty())
            && !name.contains(|letter: char| letter.is_whitespace() || letter.is_control() || letter == '/')
    };
    if names.is_empty() || !names.iter().all(formed) {
        return refuse(2, "Invalid request: invalid stream");
    }
    Ok(names)
}

fn subscribe(exchange: &Exchange, connection: u64, names: &[String]) -> Result<(), Refusal> {
    for name in names {
        let stream = known_stream(exchange, name).filter(|stream| !is_deaf(exchange, *stream));
        let mut hub = exchange.hub();
        hub.subscribe(connection, name, stream);
        if hub.get(connection).is_some_and(|connection| connection.subscriptions.len() > limits::STREAMS) {
            return refuse(TOO_MANY_SUBSCRIPTIONS, "Too many subscriptions");
        }
    }
    Ok(())
}

/// Whether the fault `deaf_ack` takes the deliveries from a new subscription to this stream.
fn is_deaf(exchange: &Exchange, stream: Stream) -> bool {
    let symbol = stream.symbol().map(|place| exchange.market.symbols()[place].name.as_str());
    exchange.faults().act_on(Kind::DeafAck, symbol, stream.interval().map(Interval::name)).is_some()
}

fn property_name(parameters: &[Value], count: usize) -> Result<(), Refusal> {
    match parameters.first() {
        _ if parameters.len() > count => refuse(2, "Invalid request: too many parameters"),
        Some(Value::String(name)) if name == "combined" => Ok(()),
        Some(Value::String(_)) => refuse(0, "Unknown property"),
        _ => refuse(2, "Invalid request: property name must be a string"),
    }
}

fn set_property(exchange: &Exchange, connection: u64, parameters: &[Value]) -> Result<Value, Refusal> {
    property_name(parameters, 2)?;
    let Some(combined) = parameters.get(1).and_then(Value::as_bool) else {
        return refuse(1, "Invalid value type: expected Boolean");
    };
    if let Some(connection) = exchange.hub().get(connection) {
        connection.combined = combined;
    }
    Ok(Value::Null)
}

fn get_property(exchange: &Exchange, connection: u64, parameters: &[Value]) -> Result<Value, Refusal> {
    property_name(parameters, 1)?;
    Ok(json!(exchange.hub().get(connection).is_some_and(|connection| connection.combined)))
}
