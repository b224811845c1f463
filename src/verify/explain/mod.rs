//! Which common mistake would make a rejected delivery match (SPEC 7, `explain`).
//!
//! Each candidate is a pure function over one [`Case`]: it changes one thing, judges again with the verifier of live
//! traffic, and names the mistake where that matches. They are tried in order of likelihood, the first that matches
//! counts. Nothing here ever holds an expected signature in its result, nor a byte of a secret: only names.

mod body;
mod clock;
mod content;
mod json;
mod mistake;
mod secrets;
mod signature;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::mistake::Mistake;
use super::clock::Now;
use super::scheme::{Scheme, Settings, Tolerance};
use super::secret::{Secret, SecretText};
use super::verdict::Refusal;
use super::verifier::{KeyFault, Proof, Verifier};
use crate::wire::head::{FieldName, Head};

/// A captured delivery, and all that it is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Case<'c> {
    /// The scheme it should follow.
    pub scheme: &'c Arc<Scheme>,
    /// Tolerances and URL.
    pub settings: &'c Settings,
    /// The configured secrets, active or not.
    pub secrets: &'c [Secret],
    /// Its head.
    pub head: &'c Head,
    /// Its body as received.
    pub body: &'c [u8],
    /// The moment it is judged at.
    pub now: Now,
}

/// Why a case is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A secret is no key of the scheme, so nothing could be judged.
    Key(KeyFault),
    /// It was judged and refused.
    Refused(Refusal),
}

/// A mistake that was confirmed, and with which secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What went wrong.
    pub mistake: Mistake,
    /// The name of the secret with which it matches.
    pub secret: Arc<str>,
}

/// What can be said of a case.
#[derive(Debug)]
pub enum Explanation {
    /// Nothing is wrong.
    Valid(Proof),
    /// Refused, and with one mistake undone it matches.
    Mistaken {
        /// Why it is refused as it is.
        fault: Fault,
        /// What would make it match.
        finding: Finding,
        /// The timestamp is off too: nothing that a signature hangs on, but the next thing to be refused.
        besides: Option<Mistake>,
    },
    /// Refused, and no mistake that is known here would make it match.
    Unexplained {
        /// Why it is refused.
        fault: Fault,
        /// What is wrong with the timestamp.
        besides: Option<Mistake>,
    },
}

/// One candidate: gives its finding where the mistake it looks for was made.
type Candidate = fn(&Case<'_>) -> Option<Finding>;

/// In order of likelihood. What is cheap and certain to be meant comes first; another provider's scheme and a body
/// written anew, which take many trials, come last.
const CANDIDATES: &[Candidate] = &[
    secrets::surplus_newline,
    secrets::inactive,
    body::surplus_newline,
    body::lost_newline,
    secrets::surplus_space,
    secrets::quotes,
    secrets::byte_order_mark,
    secrets::not_decoded,
    secrets::wrongly_decoded,
    secrets::prefix,
    secrets::lacks_newline,
    signature::upper_case,
    signature::quotes,
    signature::prefix,
    signature::encoding,
    signature::elsewhere,
    content::order_and_separator,
    content::unit_of_signed_time,
    content::time_as_text,
    body::line_ends,
    body::empty,
    body::byte_order_mark,
    body::still_base64,
    content::algorithm,
    body::reserialised,
    body::reordered,
];

/// Explains a case. `presets` are the schemes of other providers, tried after all else.
pub fn explain(case: &Case<'_>, presets: &[&Scheme]) -> Explanation {
    let fault = match case.judge() {
        Ok(proof) => return Explanation::Valid(proof),
        Err(fault) => fault,
    };
    let besides = clock::judge(case);
    if let Some(secret) = case.proves(case.scheme, case.secrets, case.head, case.body) {
        // The signature holds, so it is the clock.
        return match besides {
            Some(mistake) => Explanation::Mistaken { fault, finding: Finding { mistake, secret }, besides: None },
            None => Explanation::Unexplained { fault, besides },
        };
    }
    let found = CANDIDATES.iter().find_map(|candidate| candidate(case));
    match found.or_else(|| content::other_provider(case, presets)) {
        Some(finding) => Explanation::Mistaken { fault, finding, besides },
        None => Explanation::Unexplained { fault, besides },
    }
}

impl Case<'_> {
    /// Judges the case exactly as live traffic would: signature and freshness.
    ///
    /// # Errors
    /// A secret that is no key, or the refusal.
    pub fn judge(&self) -> Result<Proof, Fault> {
        let verifier = Verifier::new(Arc::clone(self.scheme), self.secrets.to_vec(), self.settings.clone());
        run(&verifier.map_err(Fault::Key)?, self.head, self.body, self.now).map_err(Fault::Refused)
    }

    /// The name of the secret with which a changed case holds, its time not judged.
    fn proves(&self, scheme: &Arc<Scheme>, secrets: &[Secret], head: &Head, body: &[u8]) -> Option<Arc<str>> {
        let settings = Settings {
            tolerance: Tolerance::Off,
            future_tolerance: Tolerance::Off,
            public_url: self.settings.public_url.clone(),
        };
        // One by one: a secret that is no key of this scheme must not hide another that is.
        secrets.iter().find_map(|secret| {
            let verifier = Verifier::new(Arc::clone(scheme), vec![secret.clone()], settings.clone()).ok()?;
            run(&verifier, head, body, self.now).ok().map(|proof| proof.secret)
        })
    }

    /// With another scheme.
    fn with_scheme(&self, scheme: Scheme) -> Option<Arc<str>> {
        self.proves(&Arc::new(scheme), self.secrets, self.head, self.body)
    }

    /// With another body.
    fn with_body(&self, body: &[u8]) -> Option<Arc<str>> {
        self.proves(self.scheme, self.secrets, self.head, body)
    }

    /// With each secret's text changed, those of which `change` makes nothing left out.
    fn with_texts(&self, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Arc<str>> {
        self.proves(self.scheme, &self.changed(change), self.head, self.body)
    }

    fn changed(&self, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<Secret> {
        let changed = |secret: &Secret| {
            let text = SecretText::new(change(secret.text.expose())?);
            Some(Secret { text, ..secret.clone() })
        };
        self.secrets.iter().filter_map(changed).collect()
    }

    /// With another value under one header, which stands there once.
    fn with_header(&self, name: &FieldName, value: &[u8]) -> Option<Arc<str>> {
        let lines = self.head.lines().map(|(n, v)| if name.is(n) { (n, value) } else { (n, v) });
        let head = Head::from_parts(self.head.method(), self.head.target(), lines).ok()?;
        self.proves(self.scheme, self.secrets, &head, self.body)
    }
}

fn run(verifier: &Verifier, head: &Head, body: &[u8], now: Now) -> Result<Proof, Refusal> {
    let mut verification = verifier.begin(head, now)?;
    verification.update(body);
    verification.finish(body, now)
}

/// A finding of `mistake`, where a trial gave a secret's name.
fn found(secret: Option<Arc<str>>, mistake: impl FnOnce() -> Mistake) -> Option<Finding> {
    secret.map(|secret| Finding { mistake: mistake(), secret })
}
