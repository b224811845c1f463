//! The evidence that a delivery is genuine.

use std::sync::Arc;

use crate::clock::UnixMillis;
use crate::notation::timestamp::Window;
use crate::scheme::content::SignedContent;

/// Evidence that a delivery was signed with an active secret, and was fresh when its head was
/// judged. Only [`Verification::finish`](super::Verification::finish) makes a proof.
#[derive(Debug)]
#[non_exhaustive]
pub struct Proof {
    /// The name of the secret that matched.
    pub secret: Arc<str>,
    /// The timestamp, if the signature covers it, so that replay protection may rely on it.
    pub signed_at: Option<UnixMillis>,
    /// The timestamp, signed or not, for the log.
    pub timestamp: Option<UnixMillis>,
    /// The signed content besides the body.
    pub content: SignedContent,
    // The stretch of the wall clock in which the timestamp is fresh.
    pub(super) window: Window,
    // The body in the form that was signed, if that is not the raw form; for a provider's code the
    // part of the body that was verified.
    pub(super) form: Option<Vec<u8>>,
    // The claims of the token that signs the delivery.
    pub(super) claims: Option<Vec<u8>>,
}

impl Proof {
    /// The body in the form that was signed, given the raw body. The event is read from this form,
    /// and this form tells deliveries apart: two raw bodies with the same signed form are the same
    /// delivery.
    pub fn signed_body<'b>(&'b self, raw: &'b [u8]) -> &'b [u8] {
        self.form.as_deref().unwrap_or(raw)
    }

    /// The claims of the token that signs the delivery, a JSON text; `None` under any other scheme.
    pub fn claims(&self) -> Option<&[u8]> {
        self.claims.as_deref()
    }
}
