//! What scripts mean, what is said of wrong ones, and what hostile ones achieve.

mod hostile;
mod language;
