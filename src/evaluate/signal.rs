//! The name of a signal: the same whoever evaluates, whenever, so that its uniqueness is that of the signal.

use uuid::Uuid;
use vyx_core::{Interval, Millis, Symbol};

/// The namespace of all signal ids. It must never change: ids that were given would be given anew.
const NAMESPACE: Uuid = Uuid::from_u128(0x7679_7800_5349_474e_8000_414c_5330_0001);

/// The UUIDv5 of trader (16 bytes) ‖ version (i64, big-endian) ‖ close time (milliseconds, i64, big-endian) ‖ interval ‖
/// 0x00 ‖ symbol.
pub fn id(trader: Uuid, version: i64, close_time: Millis, interval: Interval, symbol: &Symbol) -> Uuid {
    let mut name = Vec::with_capacity(16 + 8 + 8 + 3 + 1 + symbol.as_str().len());
    name.extend(trader.as_bytes());
    name.extend(version.to_be_bytes());
    name.extend(close_time.0.to_be_bytes());
    name.extend(interval.as_str().as_bytes());
    name.push(0);
    name.extend(symbol.as_str().as_bytes());
    Uuid::new_v5(&NAMESPACE, &name)
}
