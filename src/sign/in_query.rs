//! The target of a request whose signature is a parameter of the URL's query (schemes: Signature).

use crate::notation::query::without;

/// The parts of a request that signing makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// The headers, as [`sign`](super::sign) makes them.
    pub headers: Vec<(String, String)>,
    /// The target with the signature in its query; `None` where the scheme puts the signature
    /// elsewhere.
    pub target: Option<String>,
}

/// The target with the signature in the parameter `name` of its query, in place of every parameter of
/// that name.
pub(super) fn with_signature(target: &str, name: &str, signature: &str) -> String {
    let target = without(target, name);
    let sign = if target.contains('?') { '&' } else { '?' };
    format!("{target}{sign}{name}={signature}")
}
