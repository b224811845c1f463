//! Keys: from a secret's text to what verifies a signature.

pub mod digest;
pub mod public;
pub mod secret;
