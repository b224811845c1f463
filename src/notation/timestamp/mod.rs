//! Strict parsing of timestamps, and freshness both ways round the clock (SCHEMES 1, `timestamp.unit` and `tolerance`).
//!
//! Knows no header: it is given the received text. Numbers are read here, dates in [`dates`].

mod calendar;
mod dates;
mod unit;
mod window;

#[cfg(test)]
mod tests;

pub use self::unit::{Tolerance, Unit};
pub use self::window::Window;
