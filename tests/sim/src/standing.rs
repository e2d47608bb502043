//! What the exchange says a symbol is doing now, which orders to the simulator can change.

use crate::symbols::Status;

/// How a symbol stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not there: as if the exchange had never heard of it.
    Absent,
    Listed(Status),
    /// Listed with a word that the exchange's documents do not have; nothing is pushed.
    Other(String),
}

impl Standing {
    /// The standing of this word; none is absent.
    pub fn parse(word: &str) -> Standing {
        match (word, Status::parse(word)) {
            ("" | "ABSENT", _) => Standing::Absent,
            (_, Some(status)) => Standing::Listed(status),
            (_, None) => Standing::Other(word.to_owned()),
        }
    }

    /// The word in exchangeInfo; `None` for a symbol that is not there.
    pub fn word(&self) -> Option<&str> {
        match self {
            Standing::Absent => None,
            Standing::Listed(status) => Some(status.name()),
            Standing::Other(word) => Some(word),
        }
    }

    pub fn is_status(&self, status: Status) -> bool {
        *self == Standing::Listed(status)
    }

    pub fn pushes_klines(&self) -> bool {
        matches!(self, Standing::Listed(status) if status.pushes_klines())
    }

    pub fn pushes_tickers(&self) -> bool {
        matches!(self, Standing::Listed(status) if status.pushes_tickers())
    }
}
