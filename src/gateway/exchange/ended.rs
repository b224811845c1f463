//! How an exchange ends, where the client does not get the whole answer of an upstream.

use crate::gateway::client::answer::Answer;
use crate::gateway::client::{Gone, body};
use crate::gateway::upstream::forward::Fault;
use crate::telemetry::Outcome;
use crate::verdict::Refusal;

/// How an exchange ends early. Every step returns it as its error: what ends an exchange ends all its steps.
#[derive(Debug)]
pub(super) enum Ended {
    /// The gateway refuses the request.
    Refused(Refusal),
    /// The gateway answers the request itself, and logs this outcome if the client takes the answer.
    Answered(Box<Answer>, Outcome),
    /// The delivery was fine, but no answer to it came that the client could be given.
    Unanswered(Fault),
    /// The upstream's answer broke off after some of it was written, so the client's connection must break as well.
    BrokenOff(Fault),
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

impl From<body::Fault> for Ended {
    fn from(fault: body::Fault) -> Self {
        match fault {
            body::Fault::Refused(refusal) => Self::Refused(refusal),
            body::Fault::Gone => Self::Gone,
        }
    }
}
