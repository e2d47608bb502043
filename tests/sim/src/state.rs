//! What a simulator can say about itself.

use crate::exchange::Exchange;
use crate::fault::Fault;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A view of the moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Milliseconds since the epoch.
    pub market_time: i64,
    pub speed: f64,
    pub symbols: usize,
    pub connections: Vec<ConnectionState>,
    /// Subscribed names, over all connections.
    pub streams: usize,
    /// REST requests by path, then by status.
    pub requests: BTreeMap<String, BTreeMap<u16, u64>>,
    /// Frames handed to connections: events and injected ones, not control replies.
    pub frames_sent: u64,
    /// Connections since the start.
    pub accepted: u64,
    pub control_messages: u64,
    pub closed_for_too_many_messages: u64,
    pub closed_without_pong: u64,
    pub cut_for_not_reading: u64,
    /// Events kept back by faults.
    pub withheld: u64,
    pub faults: Vec<ActiveFault>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConnectionState {
    pub id: u64,
    pub streams: usize,
}

/// A fault in force and its number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActiveFault {
    pub id: u64,
    pub fault: Fault,
}

impl State {
    pub fn of(exchange: &Exchange) -> State {
        let counters = exchange.counters().clone();
        let mut requests: BTreeMap<String, BTreeMap<u16, u64>> = BTreeMap::new();
        for ((path, status), count) in counters.requests {
            requests.entry(path).or_default().insert(status, count);
        }
        let faults = exchange.faults().list().into_iter().map(|(id, fault)| ActiveFault { id, fault }).collect();
        let hub = exchange.hub();
        State {
            market_time: exchange.clock.now(),
            speed: exchange.clock.speed(),
            symbols: exchange.market.symbols().len(),
            connections: hub
                .connections()
                .map(|(id, connection)| ConnectionState { id, streams: connection.subscriptions.len() })
                .collect(),
            streams: hub.subscriptions(),
            requests,
            frames_sent: hub.sent().frames,
            accepted: counters.accepted,
            control_messages: counters.control_messages,
            closed_for_too_many_messages: counters.closed_for_too_many_messages,
            closed_without_pong: counters.closed_without_pong,
            cut_for_not_reading: hub.sent().cut_for_not_reading,
            withheld: counters.withheld,
            faults,
        }
    }
}
