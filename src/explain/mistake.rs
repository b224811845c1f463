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
    ///
    /// Where the facts about the provider are unconfirmed, the provider itself may send this.
    pub(super) fn for_user_of(mut self, scheme: &Scheme, is_unconfirmed: bool) -> Self {
        let names_a_key = ["the scheme", "[route.scheme]", "`algorithm =", "`signed`"]
            .iter()
            .any(|words| self.fix.contains(words));
        if scheme.preset && names_a_key {
            let (provider, fix) = (&scheme.provider, &self.fix);
            let takes = ROUTE_KEYS.join("`, `");
            let cannot = format!(
                "a route with that provider cannot change how signatures are read (of its own it has \
                 `{takes}`)"
            );
            self.fix = if is_unconfirmed {
                format!(
                    "The facts about `{provider}` are unconfirmed: they do not come from the \
                     provider, so it may send this itself. Compare the delivery with the provider's \
                     documentation, and see whether a proxy, a script or the capture changed it; {cannot}. \
                     If the provider does send this, write its scheme in `[route.scheme]`: {fix}"
                )
            } else {
                format!(
                    "`{provider}` itself does not send this, and {cannot}: correct what was \
                     configured, or the proxy, script or capture that changed it. Only for a sender \
                     of your own, with its scheme in `[route.scheme]`: {fix}"
                )
            }
            .into();
        }
        self
    }
}

/// The keys of a route with a provider that concern its deliveries (contract: Configuration).
const ROUTE_KEYS: [&str; 15] = [
    "secrets",
    "params",
    "public_url",
    "methods",
    "tolerance",
    "future_tolerance",
    "accounts",
    "event_types",
    "event_id",
    "event_type",
    "account",
    "max_body",
    "replay",
    "handshake",
    "enforce",
];

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

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `docs/configuration.md` has each key in a row of its own, or with others.
    #[test]
    fn a_route_has_every_key_that_the_fix_names() {
        let page = include_str!("../../docs/configuration.md");
        let rows: Vec<&str> = page
            .lines()
            .skip_while(|line| !line.starts_with("| `[[route]]`"))
            .take_while(|line| line.starts_with('|'))
            .filter_map(|line| line.split('|').nth(1))
            .collect();
        let is_key = |key: &&str| rows.iter().any(|row| row.contains(&format!("`{key}`")));
        let wrong: Vec<_> = ROUTE_KEYS.iter().filter(|key| !is_key(key)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
