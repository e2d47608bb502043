//! What traders say: the compiler, the screener and the values of an expression.
