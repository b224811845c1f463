//! A delivery between its head and its proof.

use super::Verifier;
use super::keys::Keyed;
use super::signatures::Signatures;
use crate::clock::{Now, UnixMillis};
use crate::key::digest::Mac;
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
    // The running hash. `None` if no key is active, if the first active key makes no digest, or if
    // hashing cannot begin before the body is complete.
    pub(super) running: Option<Running>,
}

/// The parts of a head that the proof needs, one variant for each kind of scheme.
#[derive(Debug)]
pub(super) enum HeadParts {
    /// The signatures and the content of a template, as far as the head decides them.
    Template {
        signatures: Signatures,
        content: SignedContent,
    },
    /// The head and the first reading of a provider's code, which needs head and body together.
    Code(Box<(Head, Begun)>),
    /// The head and the token.
    Token(Box<(Head, Token)>),
    /// The credential that the delivery carries.
    Credential(Signatures),
}

/// The hash that runs while the body arrives.
#[derive(Debug)]
pub(super) struct Running {
    // The place of the secret in the list, and the place of the key among the secret's keys.
    pub(super) place: (usize, usize),
    pub(super) mac: Mac,
    pub(super) body_bytes: usize,
}

impl Verification {
    /// A verification whose head was judged.
    pub(super) fn begun(
        verifier: Verifier,
        parts: HeadParts,
        at: Option<UnixMillis>,
        window: Window,
        now: Now,
    ) -> Self {
        let mut verification = Self {
            verifier,
            parts,
            at,
            window,
            running: None,
        };
        verification.running = verification.start(now);
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
        let active = |(index, secret): (usize, &Keyed)| {
            let (place, key) = secret.active(now.wall).next()?;
            Some(((index, place), key.begin(content)))
        };
        let (place, mac) = inner.secrets.iter().enumerate().find_map(active)?;
        Some(Running {
            place,
            mac: mac?,
            body_bytes: 0,
        })
    }

    /// Hashes the next bytes of the body, with the first active secret.
    pub fn update(&mut self, chunk: &[u8]) {
        if let Some(running) = &mut self.running
            && self.verifier.0.scheme.covers_body()
        {
            running.mac.update(chunk);
            running.body_bytes += chunk.len();
        }
    }
}
