//! One representation for every value: an `f64`.
//!
//! Bools are 0.0 and 1.0, texts the index in a table. *Undecided* is one of two NaNs with fixed bits. Hardware does not
//! promise which NaN comes out of an operation, so each operation writes one of these two itself.

/// The history has too few candles yet.
pub(super) const WARMING: f64 = f64::from_bits(0x7ff8_0000_0000_0001);
/// There is no such number: 0/0, a logarithm of −1, candles since what never happened.
pub(super) const UNDEFINED: f64 = f64::from_bits(0x7ff8_0000_0000_0002);

pub(super) const FALSE: f64 = 0.0;
pub(super) const TRUE: f64 = 1.0;

pub(super) fn is_warming(value: f64) -> bool {
    value.to_bits() == WARMING.to_bits()
}

/// Why an operation on these operands, of which at least one is undecided, is undecided.
pub(super) fn reason(a: f64, b: f64) -> f64 {
    if is_warming(a) || is_warming(b) { WARMING } else { UNDEFINED }
}

/// The value itself, or undefined if the operation made a NaN out of numbers.
pub(super) fn settled(value: f64) -> f64 {
    or_reason(value, UNDEFINED)
}

/// The value itself, or `reason` if it is a NaN. The choice is between integers: to the optimizer one NaN is as good as
/// another, so `if value.is_nan() { NAN } else { value }` is `value`.
pub(super) fn or_reason(value: f64, reason: f64) -> f64 {
    const SIGN: u64 = 1 << 63;
    let bits = value.to_bits();
    f64::from_bits(if bits & !SIGN > f64::INFINITY.to_bits() { reason.to_bits() } else { bits })
}

pub(super) fn truth(value: bool) -> f64 {
    if value { TRUE } else { FALSE }
}
