//! The WebSocket side: the handshake, one task a connection, and the control messages.

mod control;
mod handshake;
mod session;

pub use handshake::{answer, is_upgrade};
