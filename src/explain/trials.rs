//! The trials: a changed case is judged again, and the work of all trials is bounded.
//!
//! A trial that fails before its body is hashed (no signature of the right form, no such header)
//! costs nothing. Any other costs the length of the body. The share that a finder may spend is set
//! before it begins.

use std::cell::{Cell, OnceCell};
use std::ops::Deref;
use std::sync::Arc;

use super::case::{Around, Case};
use crate::key::secret::{Secret, SecretText};
use crate::notation::timestamp::Tolerance;
use crate::scheme::{Kind, ProofBy, Scheme, Settings, TemplateScheme, TimestampAt};
use crate::verify::verifier::Verifier;
use crate::wire::head::{FieldName, Found, Head};

/// The search budget, in bytes hashed: this many, or [`BODIES`] times the body if that is more.
const LEAST: u64 = 64 << 20;

/// The search budget as a multiple of the body's length.
const BODIES: u64 = 48;

/// The cost of a trial besides its body: keys, head, a short hash.
const TRIAL: u64 = 1024;

/// The further cost of a trial with a public key.
const PUBLIC_KEY: u64 = 64 * 1024;

/// The leeway of a token's times if only its signature matters: a hundred years, in milliseconds.
const CENTURY_MS: i64 = 100 * 366 * 86_400_000;

/// A case, and the budget for its trials.
pub(super) struct Trials<'c> {
    case: Case<'c>,
    /// The other providers and routes that the delivery may have been meant for.
    pub(super) around: Around<'c>,
    left: Cell<u64>,
    share: Cell<u64>,
    /// A verifier for each secret of the case, for trials that change neither the scheme nor the
    /// secrets: thousands of bodies may be tried.
    unchanged: OnceCell<Vec<Verifier>>,
}

/// The parts of a case that a trial may change.
#[derive(Clone)]
pub(super) struct Changed<'a> {
    pub(super) scheme: Arc<Scheme>,
    pub(super) secrets: &'a [Secret],
    pub(super) head: &'a Head,
    pub(super) body: &'a [u8],
    pub(super) public_url: Option<String>,
}

impl<'c> Deref for Trials<'c> {
    type Target = Case<'c>;

    fn deref(&self) -> &Case<'c> {
        &self.case
    }
}

impl<'c> Trials<'c> {
    pub(super) fn new(case: Case<'c>, around: Around<'c>) -> Self {
        let left = LEAST.max((case.body.len() as u64).saturating_mul(BODIES));
        Self {
            case,
            around,
            left: Cell::new(left),
            share: Cell::new(left),
            unchanged: OnceCell::new(),
        }
    }

    /// Gives the next finder its share: a third of the rest.
    pub(super) fn share(&self) {
        self.share.set(self.left.get() / 3);
    }

    /// Takes the cost of a trial from the share; `None` if the share is too small.
    fn spend(&self, bytes: u64) -> Option<()> {
        let share = self.share.get().checked_sub(bytes)?;
        self.share.set(share);
        self.left.set(self.left.get().saturating_sub(bytes));
        Some(())
    }

    /// Whether the share has room for a trial with a body of this length.
    pub(super) fn affords(&self, bytes: usize) -> bool {
        self.share.get() > TRIAL + bytes as u64
    }

    /// The case as it is.
    pub(super) fn as_is(&self) -> Changed<'_> {
        Changed {
            scheme: Arc::clone(self.case.scheme),
            secrets: self.case.secrets,
            head: self.case.head,
            body: self.case.body,
            public_url: self.case.settings.public_url.clone(),
        }
    }

    /// The name of the secret with which a changed case holds. Its time is not judged.
    pub(super) fn proves(&self, changed: &Changed<'_>) -> Option<Arc<str>> {
        if !may_hold(&changed.scheme, changed.head) {
            return None;
        }
        let is_public = matches!(
            changed.scheme.algorithm().kind(),
            Kind::Public(_) | Kind::Jwt
        );
        let cost = TRIAL + changed.body.len() as u64 + if is_public { PUBLIC_KEY } else { 0 };
        let proves = |verifier: &Verifier| {
            let mut verification = verifier.begin(changed.head, self.case.now).ok()?;
            self.spend(cost)?;
            verification.update(changed.body);
            verification
                .finish(changed.body, self.case.now)
                .ok()
                .map(|proof| proof.secret)
        };
        let is_unchanged = Arc::ptr_eq(&changed.scheme, self.case.scheme)
            && std::ptr::eq(changed.secrets, self.case.secrets)
            && changed.public_url == self.case.settings.public_url;
        if is_unchanged {
            let made = || self.verifiers(changed).collect();
            return self.unchanged.get_or_init(made).iter().find_map(proves);
        }
        self.verifiers(changed)
            .find_map(|verifier| proves(&verifier))
    }

    /// A verifier for each secret of a changed case, without those that are no key of its scheme:
    /// each secret is tried alone, so that it hides no other.
    fn verifiers(&self, changed: &Changed<'_>) -> impl Iterator<Item = Verifier> {
        let settings = Settings {
            tolerance: Tolerance::Off,
            future_tolerance: Tolerance::Off,
            public_url: changed.public_url.clone(),
            max_body: self.case.settings.max_body,
        };
        let scheme = timeless(&changed.scheme);
        let made = move |secret: &Secret| {
            let secrets = vec![secret.clone()];
            Verifier::new(Arc::clone(&scheme), secrets, settings.clone()).ok()
        };
        changed.secrets.iter().filter_map(made)
    }

    /// Tries the scheme of another provider.
    pub(super) fn with_preset(&self, preset: &Scheme) -> Option<Arc<str>> {
        may_hold(preset, self.case.head).then(|| self.with_scheme(preset.clone()))?
    }

    /// Tries another scheme.
    pub(super) fn with_scheme(&self, scheme: Scheme) -> Option<Arc<str>> {
        self.proves(&Changed {
            scheme: Arc::new(scheme),
            ..self.as_is()
        })
    }

    /// Tries a change of the scheme.
    pub(super) fn with_change(&self, change: impl FnOnce(&mut Scheme)) -> Option<Arc<str>> {
        let mut scheme = Scheme::clone(self.case.scheme);
        change(&mut scheme);
        self.with_scheme(scheme)
    }

    /// Tries another body; `None` at once if no signature covers the body.
    pub(super) fn with_body(&self, body: &[u8]) -> Option<Arc<str>> {
        if self.case.scheme.is_credential() {
            None
        } else {
            self.proves(&Changed {
                body,
                ..self.as_is()
            })
        }
    }

    /// Tries changed texts of the secrets. A secret for which `change` gives `None` is left out.
    pub(super) fn with_texts(&self, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Arc<str>> {
        self.proves(&Changed {
            secrets: &self.changed(change),
            ..self.as_is()
        })
    }

    /// The secrets with changed texts, without those for which `change` gives `None`.
    pub(super) fn changed(&self, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<Secret> {
        let changed = |secret: &Secret| {
            let text = SecretText::new(change(secret.text.expose())?);
            Some(Secret {
                text,
                ..secret.clone()
            })
        };
        self.case.secrets.iter().filter_map(changed).collect()
    }

    /// Tries another value of a header that is there once.
    pub(super) fn with_header(&self, name: &FieldName, value: &[u8]) -> Option<Arc<str>> {
        let lines = self
            .case
            .head
            .lines()
            .map(|(n, v)| if name.is(n) { (n, value) } else { (n, v) });
        self.with_lines(lines)
    }

    /// Tries other header lines.
    pub(super) fn with_lines<'l>(
        &self,
        lines: impl IntoIterator<Item = (&'l [u8], &'l [u8])>,
    ) -> Option<Arc<str>> {
        let head =
            Head::from_parts(self.case.head.method(), self.case.head.target(), lines).ok()?;
        self.proves(&Changed {
            head: &head,
            ..self.as_is()
        })
    }

    /// The secret with which the case holds under a changed template; `None` for a scheme of another kind.
    pub(super) fn with_template(
        &self,
        change: impl FnOnce(&mut TemplateScheme),
    ) -> Option<Arc<str>> {
        let mut scheme = Scheme::clone(self.case.scheme);
        change(scheme.template_mut()?);
        self.with_scheme(scheme)
    }

    /// Tries another text of the timestamp, in its header or under its label; `None` at once if it
    /// is in the body.
    pub(super) fn with_time(&self, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Arc<str>> {
        let one = |name: &FieldName| match self.case.head.find(name) {
            Found::One(value) if !value.is_empty() => Some(value),
            _ => None,
        };
        match &self.case.scheme.timestamp()?.at {
            TimestampAt::Headers(names) => {
                let (name, value) = names.iter().find_map(|name| Some((name, one(name)?)))?;
                self.with_header(name, &change(value)?)
            }
            TimestampAt::Field(field) => {
                self.case
                    .scheme
                    .signature_headers()
                    .iter()
                    .find_map(|name| {
                        let items = self.case.scheme.items();
                        let separator = items.separator.as_deref().unwrap_or(",");
                        let begin = format!("{field}{}", char::from(items.assign?));
                        let value = std::str::from_utf8(one(name)?).ok()?;
                        let mut is_changed = false;
                        let changed =
                            value
                                .split(separator)
                                .map(|item| match item.strip_prefix(&begin) {
                                    Some(text) => change(text.as_bytes())
                                        .and_then(|text| String::from_utf8(text).ok())
                                        .map(|text| {
                                            is_changed = true;
                                            format!("{begin}{text}")
                                        }),
                                    None => Some(item.to_owned()),
                                });
                        let changed = changed.collect::<Option<Vec<_>>>()?.join(separator);
                        is_changed.then(|| self.with_header(name, changed.as_bytes()))?
                    })
            }
            TimestampAt::Item(position) => {
                let separator = self.case.scheme.items().separator.as_deref()?;
                let names = self.case.scheme.signature_headers();
                names.iter().find_map(|name| {
                    let value = std::str::from_utf8(one(name)?).ok()?;
                    let mut items: Vec<String> =
                        value.split(separator).map(ToOwned::to_owned).collect();
                    let item = items.get_mut(position.checked_sub(1)?)?;
                    *item = String::from_utf8(change(item.as_bytes())?).ok()?;
                    self.with_header(name, items.join(separator).as_bytes())
                })
            }
            TimestampAt::Json(_) => None,
        }
    }

    /// Whether a template says what is signed, rather than the code of a provider, a JWT or a
    /// token.
    pub(super) fn is_template(&self) -> bool {
        self.case.scheme.template().is_some()
    }

    /// The headers that carry the signature. Code of a provider names its own header first.
    pub(super) fn signature_names(&self) -> Vec<FieldName> {
        let own = self.case.scheme.signature_headers();
        if !own.is_empty() {
            return own.to_vec();
        }
        let of_code = self.case.scheme.code();
        let first = of_code.and_then(|code| FieldName::new(code.headers().first()?));
        first.into_iter().collect()
    }

    /// The values of the headers that carry the signature, if they are there once and not empty.
    pub(super) fn signature_values(&self) -> impl Iterator<Item = (FieldName, &[u8])> {
        self.signature_names()
            .into_iter()
            .filter_map(|name| match self.case.head.find(&name) {
                Found::One(value) if !value.is_empty() => Some((name, value)),
                _ => None,
            })
    }
}

/// Whether the head has a header that carries the signature. Most trials of other schemes fail
/// here, before a key is made.
fn may_hold(scheme: &Scheme, head: &Head) -> bool {
    let names = scheme.proof.headers();
    names.is_empty() || names.iter().any(|name| head.find(name) != Found::Nothing)
}

/// The scheme without a judgement on a token's times, which are set by its rule and not by the
/// route.
fn timeless(scheme: &Arc<Scheme>) -> Arc<Scheme> {
    let mut proof = scheme.proof.clone();
    let ProofBy::Token(token) = &mut proof else {
        return Arc::clone(scheme);
    };
    token.rule.leeway = CENTURY_MS;
    Arc::new(Scheme {
        proof,
        ..Scheme::clone(scheme)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::fixtures::Sample;
    use super::*;

    #[test]
    fn no_finder_takes_more_than_a_third_of_what_is_left() {
        let sample = Sample {
            body: vec![b'x'; 1 << 20],
            ..Sample::good()
        };
        sample.as_case(|case| {
            let trials = Trials::new(case, Around::default());
            let spent: Vec<usize> = (0..3)
                .map(|_| {
                    trials.share();
                    std::iter::from_fn(|| trials.spend(1 << 20)).count()
                })
                .collect();
            assert_eq!(spent, [21, 14, 9]);
        });
    }

    #[test]
    fn a_body_that_fills_the_room_still_has_its_trials() {
        let sample = Sample {
            body: vec![b'x'; 4 << 20],
            ..Sample::good()
        };
        sample.as_case(|case| {
            let trials = Trials::new(case, Around::default());
            trials.share();
            assert_eq!(std::iter::from_fn(|| trials.spend(4 << 20)).count(), 16);
        });
    }

    #[test]
    fn a_trial_that_no_signature_can_win_costs_nothing() {
        let sample = Sample::good().with("X-Webhook-Signature-256", |_| "no signature".to_owned());
        sample.as_case(|case| {
            let trials = Trials::new(case, Around::default());
            assert_eq!(trials.proves(&trials.as_is()), None);
            assert_eq!(trials.left.get(), LEAST);
            assert_eq!(Trials::new(case, Around::default()).spend(LEAST), Some(()));
        });
    }
}
