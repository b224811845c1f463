//! A delivery between its head and its proof.

use super::Verifier;
use super::signatures::Signatures;
use crate::clock::{Now, UnixMillis};
use crate::key::digest::Mac;
use crate::notation::form::Said;
use crate::notation::timestamp::Window;
use crate::scheme::code::Begun;
use crate::scheme::content::SignedContent;
use crate::verify::jwt::Token;
use crate::wire::head::Head;

/// A delivery whose head was judged and whose body is arriving. Holds no borrow and is `Send`.
#[derive(Debug)]
pub struct Verification {
    pub(super) verifier: Verifier,
    pub(super) parts: HeadParts,
    pub(super) at: Option<UnixMillis>,
    pub(super) window: Window,
    pub(super) hashes: Hashes,
}

/// The parts of a head that the proof needs, one variant for each kind of scheme.
#[derive(Debug)]
pub(super) enum HeadParts {
    /// The signatures and the content of a template, as far as the head decides them.
    Template {
        signatures: Signatures,
        content: SignedContent,
        /// The content with the URL in other spellings; mostly there is none.
        others: Vec<SignedContent>,
        /// The kind of body that the head announces, where the template reads forms.
        said: Said,
    },
    /// The head and the first reading of a provider's code, which needs head and body together.
    Code(Box<(Head, Begun)>),
    /// The head and the token; `None` where the token is the body.
    Token(Box<(Head, Option<Token>)>),
    /// The credential that the delivery carries.
    Credential(Signatures),
}

/// The hashes of the body, with one key each.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    // The hash that runs while the body arrives. `None` if no key is active, if the first active
    // key makes no digest, or if hashing cannot begin before the body is complete.
    pub(super) running: Option<Running>,
    // The hashes with further keys, made in steps once the body is complete. The last may be
    // incomplete.
    pub(super) further: Vec<Running>,
}

impl Hashes {
    /// The hash of `bytes` bytes with the key at this place, if it is complete. A hash over another
    /// number of bytes is not a hash of this body.
    pub(super) fn of(&self, place: (usize, usize), bytes: usize) -> Option<&Running> {
        let mut all = self.running.iter().chain(&self.further);
        all.find(|hash| hash.is_of(place, bytes))
    }

    /// Takes this hash out, as [`of`](Self::of) finds it.
    pub(super) fn take(&mut self, place: (usize, usize), bytes: usize) -> Option<Running> {
        let running = self.running.take_if(|hash| hash.is_of(place, bytes));
        running.or_else(|| {
            let at = self
                .further
                .iter()
                .position(|hash| hash.is_of(place, bytes))?;
            Some(self.further.swap_remove(at))
        })
    }
}

/// A hash of the body that is not finished: it runs while the body arrives, or in steps.
#[derive(Debug)]
pub(super) struct Running {
    // The place of the secret in the list, and the place of the key among the secret's keys.
    pub(super) place: (usize, usize),
    pub(super) mac: Mac,
    pub(super) body_bytes: usize,
}

impl Running {
    fn is_of(&self, place: (usize, usize), bytes: usize) -> bool {
        self.place == place && self.body_bytes == bytes
    }
}

impl Verification {
    /// A verification whose head was judged.
    pub(super) fn begun(
        verifier: Verifier,
        parts: HeadParts,
        at: Option<UnixMillis>,
        window: Window,
        now: Now,
    ) -> Box<Self> {
        let mut verification = Box::new(Self {
            verifier,
            parts,
            at,
            window,
            hashes: Hashes::default(),
        });
        verification.hashes.running = verification.start(now);
        verification
    }

    /// Starts a hash with the first active key, and feeds it the signed content before the body.
    fn start(&self, now: Now) -> Option<Running> {
        let HeadParts::Template { content, .. } = &self.parts else {
            return None;
        };
        let inner = &self.verifier.0;
        if !inner.streams {
            return None;
        }
        let (place, key) = self.active_keys(now).next()?;
        Some(Running {
            place,
            mac: key.begin(content)?,
            body_bytes: 0,
        })
    }

    /// Whether the body is hashed while it arrives.
    pub fn is_hashing(&self) -> bool {
        self.hashes.running.is_some() && self.verifier.0.hashes_body()
    }

    /// Hashes the next bytes of the body, with the first active secret.
    pub fn update(&mut self, chunk: &[u8]) {
        if let Some(running) = &mut self.hashes.running
            && self.verifier.0.hashes_body()
        {
            running.mac.update(chunk);
            running.body_bytes += chunk.len();
        }
    }
}
