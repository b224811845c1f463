//! The ways in which an exchange ends before the client has an upstream's whole answer.

use crate::gateway::client::Gone;
use crate::gateway::client::answer::Answer;
use crate::gateway::client::body::BodyError;
use crate::gateway::upstream::forward::ForwardError;
use crate::telemetry::Outcome;
use crate::verdict::Refusal;

/// An early end of an exchange. Every step returns it as its error, and the steps after it are
/// skipped.
#[derive(Debug)]
pub(super) enum Ended {
    /// The gateway refuses the request.
    Refused(Refusal),
    /// The gateway answers the request itself, and logs this outcome if the client takes the
    /// answer.
    Answered(Box<Answer>, Outcome),
    /// The request was good, but the upstream gave no answer that could be relayed.
    Unanswered(ForwardError),
    /// The upstream's answer broke off after a part of it was written, so the client's connection
    /// must break as well.
    BrokenOff(ForwardError),
    /// The client left, or took nothing for too long.
    Gone,
    /// A step panicked.
    Panicked,
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Gone> for Ended {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

impl From<BodyError> for Ended {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Refused(refusal) => Self::Refused(refusal),
            BodyError::Gone => Self::Gone,
        }
    }
}
