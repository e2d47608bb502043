//! Versions of traders: what is evaluated, from when to when.

use serde::Deserialize;
use std::cell::OnceCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use uuid::Uuid;
use vyx_core::{Interval, Millis, Symbol};
use vyx_engine::{Checked, ProgramError};

/// Trader and version number.
pub type Key = (Uuid, i64);

/// Which traders are evaluated together, as `vyx.trader_versions.lane` numbers them. Each lane has watermarks of its own,
/// so that one may be behind without holding up the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum Lane {
    /// As soon as a candle closes.
    Prompt,
    /// After everybody else: what a tenant runs beyond `vyx.prompt_cost`.
    Patient,
}

/// A row of `vyx.trader_versions`, apart from what changes.
pub struct Version {
    pub key: Key,
    pub interval: Interval,
    /// `None`: every tracked symbol.
    pub symbols: Option<HashSet<Symbol>>,
    pub min_quote_volume_24h: Option<f64>,
    /// Fires where a match begins, not on every match.
    pub edge: bool,
    /// Or why it cannot be evaluated.
    pub program: Result<Arc<Checked>, Unread>,
    /// What its program said when it broke the engine: this process evaluates it no more.
    pub broken: OnceCell<String>,
}

impl Version {
    /// Its program, or why it is not evaluated.
    pub fn program(&self) -> Result<&Arc<Checked>, &str> {
        match self.broken.get() {
            Some(why) => Err(why),
            None => self.program.as_ref().map_err(Unread::as_str),
        }
    }

    /// Whether it looks at every symbol, whatever is traded in it.
    pub fn covers_all(&self) -> bool {
        self.symbols.is_none() && self.min_quote_volume_24h.is_none()
    }

    /// Its program is of another format and to be compiled again: until then what it should evaluate is put off.
    pub fn is_outdated(&self) -> bool {
        matches!(self.program, Err(Unread::Outdated(_)))
    }

    /// Whether it looks at this symbol.
    pub fn covers(&self, symbol: &Symbol) -> bool {
        self.symbols.as_ref().is_none_or(|symbols| symbols.contains(symbol))
    }
}

/// Why a stored program is none, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// `vyx.upgrade_programs()` compiles its script again.
    Outdated(String),
    Broken(String),
}

impl Unread {
    fn as_str(&self) -> &str {
        let (Unread::Outdated(why) | Unread::Broken(why)) = self;
        why
    }
}

/// Reads a stored program.
///
/// # Errors
/// It is none that can be evaluated.
pub fn load(program: &str) -> Result<Arc<Checked>, Unread> {
    /// What stands in its place where the script does not compile any more.
    #[derive(Deserialize)]
    struct Refused {
        refused: String,
    }
    Checked::decode(program.as_bytes()).map(Arc::new).map_err(|error| match error {
        ProgramError::Format(format) => Unread::Outdated(format!("the stored program is of format {format}")),
        error => Unread::Broken(match serde_json::from_str(program) {
            Ok(Refused { refused }) => {
                format!("since an update of vyx the script does not compile: {refused}")
            }
            Err(_) => format!("the stored program cannot be read: {error}"),
        }),
    })
}

/// A version with its time in force, in market time.
#[derive(Clone)]
pub struct InForce {
    pub version: Rc<Version>,
    pub from: Millis,
    pub to: Option<Millis>,
}

impl InForce {
    /// Whether it evaluates a candle that closes then.
    pub fn at(&self, close_time: Millis) -> bool {
        self.from <= close_time && self.to.is_none_or(|to| close_time < to)
    }

    /// Whether it may evaluate candles that close after this.
    pub fn after(&self, close_time: Millis) -> bool {
        self.to.is_none_or(|to| to > close_time)
    }
}
