//! Strict parsing of timestamps, and their freshness (schemes: Timestamp and tolerance).
//!
//! Headers are not known here: callers pass the text of a timestamp. Numbers are read in `unit`
//! and dates in `dates`. `unit` judges a timestamp at one moment, `window` for all moments together.

mod calendar;
mod dates;
mod unit;
mod window;

#[cfg(test)]
mod tests;

pub use self::unit::{Tolerance, Unit};
pub use self::window::Window;
