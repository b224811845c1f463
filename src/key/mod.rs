//! Keys: from a secret's text to the key that verifies a signature.
//!
//! [`secret`] holds the operator's text, [`digest`] the algorithms whose key both sides share,
//! [`public`] the public keys, and the only kind of private key that signs. How a scheme chooses
//! among them, and how it decodes a shared secret, is in `scheme::key`.
//!
//! Entered by: the algorithms themselves and the ways in which keys are written. May import:
//! [`crate::clock`], [`crate::notation`] and the crypto crates; never the scheme of a provider.

pub mod digest;
pub mod public;
pub mod secret;
pub mod shape;
