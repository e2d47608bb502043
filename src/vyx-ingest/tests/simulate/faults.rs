//! What goes wrong, by chance.

use fastrand::Rng;
use vyx_sim::{Fault, Kind, Shape};

/// Symbols that are followed or may be.
pub const SYMBOLS: [&str; 4] = ["ACAUSDT", "PHAUSDT", "1000SATSUSDT", "币安人生USDT"];
pub const INTERVALS: [&str; 3] = ["1m", "5m", "1h"];

/// The longest that a lasting fault lasts.
const LONGEST_MS: u64 = 90_000;

fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

/// One fault of any kind that ends by itself, or has an opposite that [`clear`](vyx_sim::Virtual) does not need: what
/// lasts for ever would only show that nothing can be repaired while it does.
pub fn any(rng: &mut Rng) -> Fault {
    let kind = pick(
        rng,
        &[
            Kind::Drop,
            Kind::HalfOpen,
            Kind::Stall,
            Kind::SlowBytes,
            Kind::DropStream,
            Kind::DeafAck,
            Kind::Repeat,
            Kind::Reorder,
            Kind::Delay,
            Kind::Malformed,
            Kind::MissingClose,
            Kind::MissingClose,
            Kind::LateClose,
            Kind::Correction,
            Kind::ClockSkew,
            Kind::RefuseRest,
            Kind::RefuseConnections,
            Kind::ServerShutdown,
            Kind::Cut,
            Kind::Giant,
            Kind::Status,
        ],
    );
    let mut fault = Fault::new(kind);
    let takes = |field: &str| kind.row().takes.contains(&field) || kind.row().needs.contains(&field);
    if takes("for_ms") {
        fault.for_ms = Some(rng.u64(1_000..LONGEST_MS));
    }
    if takes("symbol") && (kind == Kind::DropStream || kind == Kind::Status || rng.bool()) {
        fault.symbol = Some(pick(rng, &SYMBOLS).to_owned());
    }
    if takes("interval") && (kind == Kind::DropStream || rng.bool()) {
        fault.interval = Some(pick(rng, &INTERVALS).to_owned());
    }
    match kind {
        Kind::Drop => fault.reset = Some(rng.bool()),
        Kind::SlowBytes => fault.by_ms = Some(rng.i64(1..400)),
        Kind::Delay => fault.by_ms = Some(rng.i64(1..30_000)),
        Kind::LateClose => fault.by_ms = Some(rng.i64(1..20_000)),
        Kind::Correction => fault.by_ms = Some(rng.i64(1..5_000)),
        Kind::ClockSkew => fault.by_ms = Some(pick(rng, &[-300_000, -5_000, 1_500, 8_000, 300_000])),
        Kind::RefuseRest => {
            fault.status = Some(pick(rng, &[403, 418, 429, 451, 500, 503]));
            fault.retry_after_s = rng.bool().then(|| rng.u64(1..30));
            fault.count = Some(rng.u32(1..6));
        }
        Kind::RefuseConnections => fault.status = pick(rng, &[None, Some(429), Some(503)]),
        Kind::ServerShutdown => {
            fault.by_ms = Some(rng.i64(100..20_000));
            fault.shape = Some(pick(rng, &[Shape::Combined, Shape::Raw, Shape::Api]));
        }
        Kind::Giant => {
            fault.bytes = Some(rng.usize(1..3 << 20));
            fault.fragments =
                rng.bool().then(|| rng.usize(1..9)).filter(|count| fault.bytes.is_some_and(|b| *count <= b));
        }
        Kind::Status => {
            fault.word = Some(pick(rng, &["HALT", "BREAK", "CANCEL_ONLY", "AUCTION_MATCH", "ABSENT"]).to_owned())
        }
        _ => {}
    }
    fault
}
