//! The work that is left once a body is complete, counted before any of it is done (contract:
//! Body). Whoever runs the gateway decides by it where the rest of a verification runs.
//!
//! The unit is a byte that is hashed. Other work is counted as the number of bytes that take as
//! long to hash. Keys, signatures and forms of the body multiply each other, and a stranger chooses
//! all of them except the keys, so the product is what counts.

use super::keys::Key;
use super::signatures::Signatures;
use super::verification::{HeadParts, Running, Verification};
use crate::clock::Now;
use crate::scheme::{BodyForm, ProofBy, TemplateScheme};

/// The most bytes that a task hashes, or reads at the cost of hashing, without a pause.
pub const STRETCH: u64 = 1 << 20;
/// The most that is hashed for a delivery in steps, as a multiple of `max_body`.
const MULTIPLE: u64 = 4;
/// The most bytes that are hashed in a step of [`Verification::advance`].
pub const STEP: usize = 256 * 1024;

/// A signature of a public key, besides the hash: about 40 microseconds.
const CHECK: u64 = 64 * 1024;
/// A byte of a JSON text that is scanned, or of a form that is made.
const READ: u64 = 2;
/// A byte that a provider's code reads: fields are decoded, sorted and put together.
const CODE: u64 = 4;

/// The work that is left to prove a delivery whose body is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// At most [`STRETCH`]: [`Verification::finish`] may run where it is called. With the number
    /// of bytes.
    Little(u64),
    /// The body is hashed with further keys. [`Verification::advance`] does it in steps, with a
    /// pause after each, and leaves little to `finish`.
    Steps,
    /// More than [`STRETCH`] that cannot be divided, or more than four times `max_body` in all: it
    /// belongs on a thread on which nothing else waits.
    Much,
}

impl Verification {
    /// The work that is left for `body`, which is complete, with the keys that are active at `now`.
    pub fn work(&self, body: &[u8], now: Now) -> Work {
        let length = body.len() as u64;
        let whole = match (&self.parts, &self.verifier.0.scheme.proof) {
            (HeadParts::Template { signatures, .. }, ProofBy::Template(template)) => {
                return self.template_work(template, signatures, body, now);
            }
            (HeadParts::Code(_), ProofBy::Code(code)) => {
                let keys = self.active_keys(now).count() as u64;
                let each = CODE.max(code.spellings() as u64);
                length.saturating_mul(each.saturating_mul(1 + keys))
            }
            (HeadParts::Token(_), ProofBy::Token(scheme)) => {
                let keys = self.active_keys(now).count() as u64;
                let rule = &scheme.rule;
                // Such a token is hashed with the body, once for each key, and the form that is
                // hashed, or the claims in it, are made of the body first.
                let with_body = if rule.is_detached() || rule.is_body() {
                    length.saturating_mul(keys.saturating_mul(2).saturating_add(CODE))
                } else {
                    length
                };
                keys.saturating_mul(CHECK).saturating_add(with_body)
            }
            (HeadParts::Credential(_), _) if self.verifier.0.in_body.is_some() => {
                length.saturating_mul(READ)
            }
            _ => 0,
        };
        if whole > STRETCH {
            Work::Much
        } else {
            Work::Little(whole)
        }
    }

    fn template_work(
        &self,
        template: &TemplateScheme,
        signatures: &Signatures,
        body: &[u8],
        now: Now,
    ) -> Work {
        let inner = &*self.verifier.0;
        let covered = self.covered(body).len();
        let counted = |exactly| self.count(template, signatures, body.len(), covered, exactly, now);
        let (divisible, other) = counted(false);
        if divisible.saturating_add(other) <= STRETCH {
            return Work::Little(divisible.saturating_add(other));
        }
        // Only here, so that the common delivery does not pay for it.
        let first = self.hashes.running.as_ref();
        if first.is_some_and(|hash| hash.body_bytes == covered && self.holds(hash)) {
            return Work::Little(0);
        }
        let (divisible, other) = counted(true);
        let most = MULTIPLE.saturating_mul(inner.settings.max_body as u64);
        if other > STRETCH || divisible.saturating_add(covered as u64) > most {
            Work::Much
        } else if divisible > 0 {
            Work::Steps
        } else {
            Work::Little(other)
        }
    }

    /// The bytes that can be hashed in steps, and the rest of the work. Signatures that cannot be
    /// one are left out if the count is to be exact.
    fn count(
        &self,
        template: &TemplateScheme,
        signatures: &Signatures,
        length: usize,
        covered: usize,
        exactly: bool,
        now: Now,
    ) -> (u64, u64) {
        let inner = &*self.verifier.0;
        let in_body = inner.in_body.as_ref();
        let mut other = match in_body {
            Some(places) if places.is_read_first() => READ.saturating_mul(length as u64),
            _ => 0,
        };
        let digests = template.signed.digests() as u64;
        other = other.saturating_add(digests.saturating_mul(length as u64));
        let (mut raw, mut derived) = (0_u64, 0_u64);
        for form in &template.body {
            let bytes = form.most(covered, inner.settings.max_body) as u64;
            if *form == BodyForm::Raw {
                raw = bytes;
            } else {
                derived = derived.saturating_add(bytes);
            }
        }
        other = other.saturating_add(READ.saturating_mul(derived));
        // Signatures in the body are not read yet. The shortest of a public key has 64 bytes.
        let unread = in_body
            .filter(|places| places.signature.is_some())
            .map_or(0, |_| length as u64 / 64 + 1);
        let is_read_first = inner.is_read_first();
        // Further spellings of the URL are hashed anew, with the body behind them.
        let spellings = match &self.parts {
            HeadParts::Template { others, .. } => others.len() as u64,
            _ => 0,
        };
        let mut divisible = 0_u64;
        for (place, key) in self.active_keys(now) {
            let checks = key.checks(signatures, exactly).saturating_add(unread);
            if checks == 0 {
                continue;
            }
            if key.is_public() {
                let each = raw.saturating_add(derived).saturating_add(CHECK);
                let checks = checks.saturating_mul(1 + spellings);
                other = other.saturating_add(checks.saturating_mul(each));
            } else {
                other = other.saturating_add(derived);
                if is_read_first {
                    other = other.saturating_add(raw);
                } else if self.hashes.of(place, covered).is_none() {
                    divisible = divisible.saturating_add(raw);
                }
                let again = raw.saturating_add(derived).saturating_mul(spellings);
                other = other.saturating_add(again);
            }
        }
        (divisible, other)
    }

    /// Hashes a part of `body` with the next key whose turn it is. `true` means that there is more
    /// to hash: the caller pauses, and calls again. `false` means that a hash holds, or that `body`
    /// was hashed with all keys, so that [`finish`](Self::finish) has little left to do.
    ///
    /// Hashes the raw body alone; other forms of it are made by `finish`.
    pub fn advance(&mut self, body: &[u8], now: Now) -> bool {
        let covered = self.covered(body);
        if let Some(last) = self.hashes.further.last_mut() {
            if let Some(rest) = covered
                .get(last.body_bytes..)
                .filter(|rest| !rest.is_empty())
            {
                let step = rest.get(..STEP).unwrap_or(rest);
                last.mac.update(step);
                last.body_bytes += step.len();
                return true;
            }
            if self
                .hashes
                .further
                .last()
                .is_some_and(|last| self.holds(last))
            {
                return false;
            }
        }
        let next = self.next_hash(covered.len(), now);
        let is_more = next.is_some();
        self.hashes.further.extend(next);
        is_more
    }

    /// The hash of the next key with which the body was not hashed, at its beginning.
    fn next_hash(&self, covered: usize, now: Now) -> Option<Running> {
        let HeadParts::Template {
            signatures,
            content,
            ..
        } = &self.parts
        else {
            return None;
        };
        // What the body decides of the signed content is not known yet.
        if self.verifier.0.is_read_first() {
            return None;
        }
        self.active_keys(now)
            .filter(|(place, key)| {
                key.checks(signatures, false) > 0 && self.hashes.of(*place, covered).is_none()
            })
            .find_map(|(place, key)| {
                Some(Running {
                    place,
                    mac: key.begin(content)?,
                    body_bytes: 0,
                })
            })
    }

    /// Whether the signatures hold for this hash of the whole body.
    fn holds(&self, hash: &Running) -> bool {
        let HeadParts::Template {
            signatures,
            content,
            ..
        } = &self.parts
        else {
            return false;
        };
        let (secret, key) = hash.place;
        let secret = self.verifier.0.secrets.get(secret);
        secret
            .and_then(|secret| secret.keys.get(key))
            .is_some_and(|key| key.holds_for(hash.mac.clone(), content, signatures))
    }

    /// The bytes of the body that the signature covers.
    fn covered<'b>(&self, body: &'b [u8]) -> &'b [u8] {
        if self.verifier.0.hashes_body() {
            body
        } else {
            b""
        }
    }

    /// The keys that are active at `now`, in the order in which they are tried, with their places.
    pub(super) fn active_keys(&self, now: Now) -> impl Iterator<Item = ((usize, usize), &Key)> {
        let secrets = self.verifier.0.secrets.iter().enumerate();
        secrets.flat_map(move |(secret, keyed)| {
            let keys = keyed.active(now.wall);
            keys.map(move |(key, active)| ((secret, key), active))
        })
    }
}
