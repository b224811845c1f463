//! What the writer of `queue.db` is asked to write.

use futures_channel::oneshot;

use crate::queue::{Attempt, Change, Number};
use crate::replay::passing;
use crate::store::sealing::Sealing;
use crate::store::{Accepted, StoreError};

/// The place for an answer.
pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What is written.
#[derive(Debug)]
pub(super) enum Record {
    Accept(Box<Accepting>),
    Change {
        number: Number,
        change: Change,
        /// The attempt that failed, if the change is its end.
        attempt: Option<Attempt>,
        answer: Answer<()>,
    },
    Claims {
        changes: Vec<passing::Change>,
        answer: Answer<()>,
    },
}

/// A delivery on its way into the database.
#[derive(Debug)]
pub(super) struct Accepting {
    pub(super) delivery: Accepted,
    /// Its number, once a part of it was written.
    pub(super) number: Option<Number>,
    /// The pieces of its body that were written.
    pub(super) pieces: u64,
    /// The form in which it is written, once a part of it was.
    pub(super) sealing: Option<Sealing>,
    pub(super) answer: Answer<Number>,
}

impl Accepting {
    pub(super) fn new(delivery: Accepted, answer: Answer<Number>) -> Self {
        Self {
            delivery,
            number: None,
            pieces: 0,
            sealing: None,
            answer,
        }
    }
}

impl Record {
    /// Answers that it is not written.
    pub(super) fn refuse(self, error: &StoreError) {
        match self {
            Self::Accept(accepting) => {
                let _ = accepting.answer.send(Err(error.clone()));
            }
            Self::Change { answer, .. } | Self::Claims { answer, .. } => {
                let _ = answer.send(Err(error.clone()));
            }
        }
    }
}
