//! `GET /api/v3/ticker/24hr`, FULL and MINI.

use super::{Call, Parameters, Refusal};
use crate::event::{Book, percent, signed_decimal};
use crate::market::{ReaderMemory, decimal};
use serde_json::{Value, json};

/// 2 for up to 20 symbols, 40 for up to 100, 80 beyond and for all.
pub fn weight(parameters: &Parameters) -> u64 {
    let named = parameters.get("symbols").map(|list| list.split(',').count());
    match named.or(parameters.get("symbol").map(|_| 1)) {
        Some(..=20) => 2,
        Some(..=100) => 40,
        _ => 80,
    }
}

pub fn answer(call: &Call) -> Result<String, Refusal> {
    let parameters = &call.parameters;
    let mini = match parameters.get("type") {
        None | Some("FULL") => false,
        Some("MINI") => true,
        Some(_) => return Err(Refusal::new(-1139, "Invalid ticker type.")),
    };
    let status = parameters.status()?;
    let asked = parameters.symbols(call.exchange)?;
    parameters.only(&["symbol", "symbols", "type", "symbolStatus"])?;
    let symbols = call.exchange.market.symbols();
    let suits = |place: usize| {
        let standing = call.exchange.standing(place);
        standing.word().is_some() && status.is_none_or(|status| standing.is_status(status))
    };
    if parameters.get("symbol").is_some()
        && let Some([place]) = asked.as_deref()
    {
        return match suits(*place) {
            true => Ok(item(call, *place, mini).to_string()),
            false => Err(Refusal::new(-1220, "The symbol's status does not match the requested symbolStatus.")),
        };
    }
    let places = asked.unwrap_or_else(|| (0..symbols.len()).collect());
    let items: Vec<Value> =
        places.into_iter().filter(|place| suits(*place)).map(|place| item(call, place, mini)).collect();
    Ok(json!(items).to_string())
}

fn item(call: &Call, place: usize, mini: bool) -> Value {
    let symbol = &call.exchange.market.symbols()[place];
    let mut memory = ReaderMemory::default();
    let Some(ticker) = call.exchange.market.reader(place, &mut memory).ticker(call.now) else {
        // Listed in exchangeInfo, never traded.
        return json!({"symbol": symbol.name, "lastPrice": "0.00000000", "firstId": -1, "lastId": -1, "count": 0});
    };
    let mut item = json!({
        "symbol": symbol.name,
        "openPrice": decimal(ticker.open as u128),
        "highPrice": decimal(ticker.high as u128),
        "lowPrice": decimal(ticker.low as u128),
        "lastPrice": decimal(ticker.last as u128),
        "volume": decimal(ticker.volume),
        "quoteVolume": decimal(ticker.quote_volume),
        "openTime": call.unit.moment(ticker.open_time),
        "closeTime": call.unit.moment(ticker.close_time),
        "firstId": ticker.first_id,
        "lastId": ticker.last_id,
        "count": ticker.trades,
    });
    if !mini {
        let book = Book::around(&ticker, symbol.tick);
        let more = json!({
            "priceChange": signed_decimal(ticker.change()),
            "priceChangePercent": percent(&ticker),
            "weightedAvgPrice": decimal(ticker.weighted_average()),
            "prevClosePrice": decimal(ticker.before as u128),
            "lastQty": book.quantity,
            "bidPrice": decimal(book.bid as u128),
            "bidQty": book.quantity,
            "askPrice": decimal(book.ask as u128),
            "askQty": book.quantity,
        });
        if let (Value::Object(item), Value::Object(more)) = (&mut item, more) {
            item.extend(more);
        }
    }
    item
}
