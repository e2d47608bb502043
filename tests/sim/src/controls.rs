//! What can be asked of a running simulator from within the process, wherever it runs.

use crate::exchange::{Closing, Exchange};
use crate::fault::Fault;
use crate::market::Market;
use crate::state::State;
use std::sync::Arc;

/// The common part of the handles.
pub struct Controls {
    exchange: Arc<Exchange>,
}

impl Controls {
    pub(crate) fn new(exchange: Arc<Exchange>) -> Controls {
        Controls { exchange }
    }

    pub(crate) fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    /// Market time now, in milliseconds since the epoch.
    pub fn market_time(&self) -> i64 {
        self.exchange.clock.now()
    }

    /// The truth.
    pub fn market(&self) -> &Market {
        &self.exchange.market
    }

    /// Misbehaves. Returns the number of a lasting fault, for [`Controls::clear`].
    ///
    /// # Errors
    /// If the fault lacks a field, has one too many, or names what does not exist.
    pub fn inject(&self, fault: Fault) -> Result<Option<u64>, String> {
        self.exchange.inject(fault)
    }

    /// Ends all faults, or the one of this number. Returns how many ended.
    pub fn clear(&self, id: Option<u64>) -> usize {
        self.exchange.faults().clear(id)
    }

    pub fn state(&self) -> State {
        State::of(&self.exchange)
    }

    /// When the newest closes were complete on their way, oldest first. By this machine's clock, so no part of the state,
    /// which is the same of the same seed.
    pub fn closings(&self) -> Vec<Closing> {
        self.exchange.counters().closings.iter().copied().collect()
    }
}
