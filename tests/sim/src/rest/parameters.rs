//! Query parameters, and the exchange's checks of them.

use super::Refusal;
use crate::exchange::Exchange;
use crate::symbols::Status;
use percent_encoding::percent_decode_str;

/// The legal range of a symbol, as the exchange words it.
const SYMBOL_RANGE: &str = r"^[\w\-._&&[^a-z]]{1,50}$";
const NUMBER_RANGE: &str = "^[0-9]{1,20}$";

/// Names and decoded values in the order of the query.
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub fn parse(query: &str) -> Parameters {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Parameters(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decoded(name), decoded(value))
                })
                .collect(),
        )
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// # Errors
    /// If there is a parameter besides the known ones.
    pub fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let read = self.0.iter().filter(|(name, _)| known.contains(&name.as_str())).count();
        if read == self.0.len() {
            return Ok(());
        }
        let sent = self.0.len();
        Err(Refusal::new(
            -1104,
            format!("Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."),
        ))
    }

    /// A mandatory parameter.
    pub fn needed(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| Refusal::missing(name))
    }

    /// An unsigned number.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if value.is_empty() || value.len() > 20 || !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refusal::illegal(name, NUMBER_RANGE));
        }
        // Numbers beyond 64 bits are out of range all the same.
        Ok(Some(value.parse().unwrap_or(i64::MAX)))
    }

    /// A status by name.
    pub fn status(&self) -> Result<Option<Status>, Refusal> {
        match self.get("symbolStatus") {
            None => Ok(None),
            Some(name) => Status::parse(name).map(Some).ok_or_else(|| Refusal::new(-1122, "Invalid symbolStatus.")),
        }
    }

    /// The places of the symbols asked for by `symbol` or `symbols`; `None` if neither is given.
    pub fn symbols(&self, exchange: &Exchange) -> Result<Option<Vec<usize>>, Refusal> {
        match (self.get("symbol"), self.get("symbols")) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(Refusal::new(-1128, "Combination of optional parameters invalid.")),
            (Some(name), None) => Ok(Some(vec![place(exchange, "symbol", name)?])),
            (None, Some(list)) => {
                let names: Vec<String> = serde_json::from_str(list).map_err(|_| {
                    Refusal::illegal(
                        "symbols",
                        r#"^\[("[\w\-._&&[^a-z]]{1,50}"(,"[\w\-._&&[^a-z]]{1,50}"){0,}){0,1}\]$"#,
                    )
                })?;
                let mut places = Vec::with_capacity(names.len());
                for name in &names {
                    let place = place(exchange, "symbols", name)?;
                    if places.contains(&place) {
                        return Err(Refusal::new(-1151, "Symbol is present multiple times in the list."));
                    }
                    places.push(place);
                }
                if places.is_empty() { Err(Refusal::missing("symbols")) } else { Ok(Some(places)) }
            }
        }
    }
}

/// The place of a symbol by its name in the parameter `parameter`.
pub fn place(exchange: &Exchange, parameter: &str, name: &str) -> Result<usize, Refusal> {
    if name.is_empty() {
        return Err(Refusal::missing(parameter));
    }
    let legal =
        |letter: char| (letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.')) && !letter.is_ascii_lowercase();
    if name.chars().count() > 50 || !name.chars().all(legal) {
        return Err(Refusal::illegal(parameter, SYMBOL_RANGE));
    }
    let place = exchange.market.find(name).filter(|place| exchange.standing(*place).word().is_some());
    place.ok_or_else(|| Refusal::new(-1121, "Invalid symbol."))
}
