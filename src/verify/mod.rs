//! The judgement on a delivery: headers, bytes and a reading of the clock go in, a verdict comes
//! out.
//!
//! Live traffic, `verify`, `explain`, the demo and the benches all take the same path.
//! [`crate::routes`] finds the route. The route's [`verifier`] judges the head
//! ([`verifier::Verifier::begin`]), takes the body as it arrives
//! ([`verifier::Verification::update`]) and proves it ([`verifier::Verification::finish`]).
//! [`accounts`] judges whose delivery it is. [`envelope`] names the event, and [`claim`] decides whether the event may be forwarded.
//! [`handshake`] decides how a recognised handshake is answered; [`jwt`] reads and makes tokens.
//!
//! What enters: rules that decide about a single delivery. The facts of a provider are in
//! [`crate::scheme`] and [`crate::providers`], the events that were seen in [`crate::replay`]. May
//! import: [`crate::scheme`] and the rooms below it, and the crypto and buffer crates. Never
//! pingora, tokio, files or logs.

pub mod accounts;
pub mod claim;
pub mod envelope;
pub mod handshake;
pub mod jwt;
pub mod verifier;
