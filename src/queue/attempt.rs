//! What is remembered of an attempt, for whoever asks why a delivery waits.

use std::time::Duration;

use super::Outcome;
use crate::clock::UnixMillis;

/// A failed attempt, or one that was not made because the delivery is damaged. One that succeeds ends its
/// delivery, and what is remembered of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its number among all attempts of the delivery, from 1.
    pub number: u32,
    /// The moment at which it began.
    pub began: UnixMillis,
    /// The time until the answer's status line, or until the attempt was given up. Stored in
    /// milliseconds.
    pub took: Duration,
    /// Its end.
    pub end: AttemptEnd,
    /// Why there was no answer, in words, where that is known. The app's machine may have written a
    /// part of them.
    pub cause: Option<String>,
}

/// The end of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The app answered with this status.
    Status(u16),
    /// There was no connection.
    Unreachable,
    /// There was no answer in time.
    Timeout,
    /// The connection broke off, or the answer is not HTTP.
    Failed,
    /// Nothing was sent: the delivery is not what was accepted.
    Damaged,
}

impl AttemptEnd {
    /// The end of an attempt with this outcome; `None` where none was made.
    pub fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Status(status, _) => Some(Self::Status(status)),
            Outcome::Unreachable => Some(Self::Unreachable),
            Outcome::Timeout => Some(Self::Timeout),
            Outcome::Failed => Some(Self::Failed),
            Outcome::Damaged => Some(Self::Damaged),
            Outcome::Undeliverable | Outcome::GivenBack | Outcome::Postponed(_) => None,
        }
    }

    /// The status of the answer, if there was one.
    pub fn status(self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status),
            Self::Unreachable | Self::Timeout | Self::Failed | Self::Damaged => None,
        }
    }
}
