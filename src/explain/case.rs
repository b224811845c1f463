//! A case: a captured delivery with all that it is judged by, and the verdict of live traffic on
//! it.

use std::sync::Arc;

use crate::clock::Now;
use crate::key::secret::Secret;
use crate::scheme::{Scheme, Settings};
use crate::verdict::Refusal;
use crate::verify::verifier::{KeyError, Proof, Verifier};
use crate::wire::head::Head;

/// A captured delivery, and all that it is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Case<'c> {
    /// The scheme that the delivery should follow.
    pub scheme: &'c Arc<Scheme>,
    /// The tolerances and the public URL.
    pub settings: &'c Settings,
    /// The configured secrets, active or not.
    pub secrets: &'c [Secret],
    /// The head of the delivery.
    pub head: &'c Head,
    /// The body as received.
    pub body: &'c [u8],
    /// The moment at which the delivery is judged.
    pub now: Now,
}

/// The other providers and routes that the delivery may have been meant for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around<'a> {
    /// The schemes of other providers.
    pub presets: &'a [&'a Scheme],
    /// The secrets of other routes, each with its route's name.
    pub routes: &'a [(String, Vec<Secret>)],
    /// Whether the facts about the provider of the case do not come from the provider itself.
    pub is_unconfirmed: bool,
}

/// The reason why a case is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaseError {
    /// A secret is not a key of the scheme, so the delivery could not be judged.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The delivery was judged and refused.
    #[error("{0}")]
    Refused(Refusal),
}

impl Case<'_> {
    /// Judges the case exactly as live traffic would: signature and freshness.
    ///
    /// # Errors
    /// A secret that is not a key of the scheme, or the refusal.
    pub fn judge(&self) -> Result<Proof, CaseError> {
        let verifier = Verifier::new(
            Arc::clone(self.scheme),
            self.secrets.to_vec(),
            self.settings.clone(),
        )?;
        let judge = || {
            let mut verification = verifier.begin(self.head, self.now)?;
            verification.update(self.body);
            verification.finish(self.body, self.now)
        };
        judge().map_err(CaseError::Refused)
    }
}
