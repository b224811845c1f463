//! The closed list of refusals: every way in which the gateway can say no to a request (contract:
//! Answers).
//!
//! Entered by: a code, its name and its words. May import: no room. A refusal is a value, not an
//! error. HTTP statuses are unknown here: `gateway::client::answer` has them.

use std::fmt;

macro_rules! codes {
    ($($variant:ident => $name:literal, $words:literal;)*) => {
        /// The name of a refusal in answers, in the log and in metrics (contract: Answers).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = concat!("`", $name, "`: ", $words, ".")] $variant,)*
        }

        impl Code {
            /// Every code, in the order of its declaration; `code as usize` is its index here.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The name in answers, in the log and in metrics, e.g. `bad_signature`.
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// The code in plain words, for the `error` field of an answer.
            pub fn words(self) -> &'static str {
                match self { $(Code::$variant => $words,)* }
            }
        }
    };
}

codes! {
    BadRequest => "bad_request", "the request is malformed or ambiguous HTTP";
    UriTooLong => "uri_too_long", "the request target is too long";
    HeadersTooLarge => "headers_too_large", "the request headers are too large or too many";
    ExpectationFailed => "expectation_failed", "the only expectation that can be met is 100-continue";
    NoRoute => "no_route", "no route for this host and path";
    BadPath => "bad_path", "the path is ambiguous";
    MethodNotAllowed => "method_not_allowed", "this route does not take this method";
    MissingSignature => "missing_signature", "the signature is missing";
    MissingTimestamp => "missing_timestamp", "the timestamp is missing";
    MalformedSignature => "malformed_signature", "the signature is malformed";
    MalformedTimestamp => "malformed_timestamp", "the timestamp is malformed";
    StaleTimestamp => "stale_timestamp", "the timestamp is too old";
    FutureTimestamp => "future_timestamp", "the timestamp is in the future";
    BadSignature => "bad_signature", "no active secret matches the signature";
    AccountNotListed => "account_not_listed", "the delivery is genuine, but not of an account that this route lists";
    HandshakeProbe => "handshake_probe", "the handshake has a wrong signature; this provider sends such handshakes to see them refused";
    MalformedHandshake => "malformed_handshake", "the handshake is not of the form that the provider sends";
    WrongVerifyToken => "wrong_verify_token", "the handshake does not bring the verify token of this route";
    SecretNotLearned => "secret_not_learned", "the provider has not sent its secret yet";
    BodyTooLarge => "body_too_large", "the body is larger than this route takes";
    BodyTimeout => "body_timeout", "the body did not arrive in time";
    HeadTimeout => "head_timeout", "the request head did not arrive in time";
    InvalidEnvelope => "invalid_envelope", "the event cannot be identified";
    ReplayedEvent => "replayed_event", "this delivery was already processed";
    EventTypeIgnored => "event_type_ignored", "this route does not take this type of event";
    EventIdConflict => "event_id_conflict", "this event id was already used for another body";
    EventInFlight => "event_in_flight", "another copy of this event is being processed";
    DuplicateEvent => "duplicate_event", "this event was already processed";
    Overloaded => "overloaded", "the gateway is overloaded";
    ReplayStoreUnavailable => "replay_store_unavailable", "the replay store is unavailable";
    QueueFull => "queue_full", "the queue has no room for this delivery";
    QueueUnavailable => "queue_unavailable", "the queue cannot store deliveries at this time";
    UpstreamUnreachable => "upstream_unreachable", "the upstream cannot be reached";
    UpstreamTimeout => "upstream_timeout", "the upstream did not answer in time";
    UpstreamFailed => "upstream_failed", "the upstream broke off, or its answer is not HTTP";
    InternalError => "internal_error", "internal error";
}

/// A "no" to a request: its code, and the reason in plain words for the reader of the answer.
///
/// `why` never holds bytes of the request, so it can be shown and logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The name of the refusal.
    pub code: Code,
    /// The exact reason, in plain words; never bytes of the request.
    pub why: &'static str,
    /// The code whose answer the client gets. It differs from `code` where the sender must not be
    /// told what happened: a conflict may be answered as a duplicate.
    pub answer: Code,
}

impl Refusal {
    /// A refusal with a more exact reason than the words of its code.
    pub const fn because(code: Code, why: &'static str) -> Self {
        Self {
            code,
            why,
            answer: code,
        }
    }

    /// The same refusal, answered as another code is.
    #[must_use]
    pub const fn answered_as(self, answer: Code) -> Self {
        Self { answer, ..self }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::because(code, code.words())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_its_own_place_in_the_list() {
        for (place, code) in Code::ALL.iter().enumerate() {
            assert_eq!(*code as usize, place, "{}", code.name());
        }
    }
}
