//! A fault of a scheme: the key, the problem and the correction.

/// A rule that a scheme breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemeFault {
    /// The key of `[route.scheme]` that has to change, dotted (`timestamp.unsigned`); `public_url`
    /// is the route's.
    pub key: &'static str,
    /// The problem, in lower case and without a full stop.
    pub message: String,
    /// The correction, as advice to the operator.
    pub help: String,
}

/// A fault whose words are fixed.
pub(super) fn fault(key: &'static str, message: &str, help: &str) -> SchemeFault {
    SchemeFault {
        key,
        message: message.to_owned(),
        help: help.to_owned(),
    }
}
