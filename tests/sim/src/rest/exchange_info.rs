//! `GET /api/v3/exchangeInfo`.

use super::{Call, Refusal};
use crate::market::decimal;
use crate::symbols::{Symbol, UNIT};
use serde_json::{Value, json};

/// Without the parameter, symbols with any of these are listed.
const USUAL: [&str; 3] = ["SPOT", "MARGIN", "LEVERAGED"];

pub fn answer(call: &Call) -> Result<String, Refusal> {
    let parameters = &call.parameters;
    let asked = parameters.symbols(call.exchange)?;
    let permissions = permissions(parameters.get("permissions"))?;
    let status = parameters.status()?;
    if asked.is_some() && (permissions.is_some() || status.is_some()) {
        return Err(Refusal::new(-1128, "Combination of optional parameters invalid."));
    }
    let show_sets = match parameters.get("showPermissionSets") {
        None | Some("true") => true,
        Some("false") => false,
        Some(_) => return Err(Refusal::illegal("showPermissionSets", "^(true|false)$")),
    };
    parameters.only(&["symbol", "symbols", "permissions", "symbolStatus", "showPermissionSets"])?;

    let permissions = permissions.unwrap_or_else(|| USUAL.map(str::to_owned).to_vec());
    let symbols: Vec<Value> = call
        .exchange
        .market
        .symbols()
        .iter()
        .enumerate()
        .filter(|(place, symbol)| match &asked {
            Some(asked) => asked.contains(place),
            None => {
                status.is_none_or(|status| call.exchange.standing(*place).is_status(status))
                    && permissions_of(symbol).iter().any(|has| permissions.iter().any(|wanted| wanted == has))
            }
        })
        .filter_map(|(place, symbol)| Some(item(symbol, call.exchange.standing(place).word()?, show_sets)))
        .collect();
    Ok(json!({
        "timezone": "UTC",
        "serverTime": call.unit.moment(call.exchange.shown_time(call.now)),
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
             "limit": call.exchange.settings.weight_limit},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
            {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000},
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300_000},
        ],
        "exchangeFilters": [],
        "symbols": symbols,
    })
    .to_string())
}

/// One name, or a JSON array of names.
fn permissions(text: Option<&str>) -> Result<Option<Vec<String>>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let names: Vec<String> = match text.starts_with('[') {
        true => {
            serde_json::from_str(text).map_err(|_| Refusal::illegal("permissions", r#"^\[("[A-Z0-9_]+",?)*\]$"#))?
        }
        false => vec![text.to_owned()],
    };
    Ok(Some(names))
}

fn permissions_of(symbol: &Symbol) -> &'static [&'static str] {
    if symbol.spot { &["SPOT", "MARGIN"] } else { &["LEVERAGED"] }
}

fn item(symbol: &Symbol, status: &str, show_sets: bool) -> Value {
    let sets = if show_sets { json!([permissions_of(symbol)]) } else { json!([]) };
    let (tick, step) = (decimal(symbol.tick as u128), decimal(symbol.step as u128));
    json!({
        "symbol": symbol.name,
        "status": status,
        "baseAsset": symbol.base,
        "baseAssetPrecision": 8,
        "quoteAsset": symbol.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": true,
        "ocoAllowed": true,
        "otoAllowed": true,
        "opoAllowed": true,
        "quoteOrderQtyMarketAllowed": true,
        "allowTrailingStop": true,
        "cancelReplaceAllowed": true,
        "amendAllowed": true,
        "pegInstructionsAllowed": true,
        "isSpotTradingAllowed": symbol.spot,
        "isMarginTradingAllowed": symbol.spot,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": decimal(1_000_000 * UNIT as u128), "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": decimal(90_000 * UNIT as u128), "stepSize": step},
            {"filterType": "ICEBERG_PARTS", "limit": 100},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "76.48362083", "stepSize": "0.00000000"},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": true, "maxNotional": "9000000.00000000",
             "applyMaxToMarket": false, "avgPriceMins": 5},
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        ],
        "permissions": [],
        "permissionSets": sets,
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"],
    })
}
