//! The pure core: headers, bytes and a clock reading go in, a verdict comes out.
//!
//! The one path through it, for live traffic, `verify`, `explain`, the demo and the benches alike:
//! [`routes`] find a route, its [`verifier`] judges the head ([`verifier::Verifier::begin`]), takes the body
//! as it arrives ([`verifier::Verification::update`]) and proves it ([`verifier::Verification::finish`]);
//! [`envelope`] names the event; [`claim`] decides whether it may be forwarded.
//!
//! May import: [`crate::wire`], and the crypto and buffer crates. Never pingora, tokio, files or logs.

pub mod body_form;
pub mod claim;
pub mod clock;
pub mod encoding;
pub mod envelope;
pub mod explain;
pub mod handshake;
pub mod jwt;
pub mod path;
pub mod public_key;
pub mod routes;
pub mod scheme;
pub mod secret;
pub mod sign;
pub mod special;
pub mod timestamp;
pub mod verdict;
pub mod verifier;
