//! The type of a mistake: its name, one sentence and the fix.
//!
//! A mistake is made where it is found, and its words are beside its finder. Words name headers,
//! templates, encodings and providers, never a secret, a signature or a byte of the body.

use std::borrow::Cow;
use std::sync::Arc;

use crate::scheme::Scheme;

/// A common mistake, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The name for programs, which does not change.
    pub name: &'static str,
    /// The sentence that says what went wrong.
    pub sentence: Cow<'static, str>,
    /// The sentence that says what to do about it.
    pub fix: Cow<'static, str>,
}

impl Mistake {
    pub(super) fn new(
        name: &'static str,
        sentence: impl Into<Cow<'static, str>>,
        fix: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            name,
            sentence: sentence.into(),
            fix: fix.into(),
        }
    }

    /// The mistake with a fix for whoever has a route with this scheme. The scheme of a preset
    /// cannot be changed on a route, so a fix that names a key of the scheme is for a sender of
    /// one's own, and comes second.
    pub(super) fn for_user_of(mut self, scheme: &Scheme) -> Self {
        let names_a_key = ["the scheme", "[route.scheme]", "`algorithm =", "`signed`"]
            .iter()
            .any(|words| self.fix.contains(words));
        if scheme.preset && names_a_key {
            self.fix = format!(
                "`{}` itself does not send this, and a route with that provider cannot change how \
                 signatures are read (it takes `secrets`, `public_url` and `tolerance`): correct \
                 what was configured, or the proxy, script or capture that changed it. Only for a \
                 sender of your own, with its scheme in `[route.scheme]`: {}",
                scheme.provider, self.fix
            )
            .into();
        }
        self
    }
}

/// A mistake that a signature confirms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The mistake without which the delivery matches.
    pub mistake: Mistake,
    /// The name of the secret with which it matches.
    pub secret: Arc<str>,
}

/// A finding of `mistake`, if a trial gave a secret's name.
pub(super) fn found(
    secret: Option<Arc<str>>,
    mistake: impl FnOnce() -> Mistake,
) -> Option<Finding> {
    secret.map(|secret| Finding {
        mistake: mistake(),
        secret,
    })
}
