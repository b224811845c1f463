//! The pure core: headers, bytes and a clock reading go in, a verdict comes out.
//!
//! The one path through it, for live traffic, `verify`, `explain`, the demo and the benches alike:
//! [`crate::routes`] find a route, its [`verifier`] judges the head ([`verifier::Verifier::begin`]), takes the body
//! as it arrives ([`verifier::Verification::update`]) and proves it ([`verifier::Verification::finish`]);
//! [`envelope`] names the event; [`claim`] decides whether it may be forwarded.
//!
//! May import: [`crate::wire`], and the crypto and buffer crates. Never pingora, tokio, files or logs.

pub mod claim;
pub mod envelope;
pub mod handshake;
pub mod jwt;
pub mod verifier;
