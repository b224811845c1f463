//! One delivery between its head and its proof.

use std::sync::Arc;

use super::Verifier;
use super::keys::Keyed;
use super::proof::Proof;
use super::proving;
use super::signatures::Signatures;
use crate::clock::{Now, UnixMillis};
use crate::key::digest::Mac;
use crate::notation::timestamp::Window;
use crate::scheme::code::Begun;
use crate::scheme::content::SignedContent;
use crate::verdict::{Code, Refusal};
use crate::verify::jwt::Token;
use crate::wire::head::Head;

/// A delivery whose head was judged and whose body is arriving. Holds no borrow and is `Send`.
#[derive(Debug)]
pub struct Verification {
    pub(super) verifier: Verifier,
    pub(super) parts: HeadParts,
    pub(super) at: Option<UnixMillis>,
    pub(super) window: Window,
    // None where no key is active that hashes, or not all before the body is known.
    pub(super) running: Option<Running>,
}

/// The parts of a head that the proof needs, one variant for each kind of scheme.
#[derive(Debug)]
pub(super) enum HeadParts {
    /// By a template: its signatures and content, as far as the head decides them.
    Template {
        signatures: Signatures,
        content: SignedContent,
    },
    /// By a provider's code, which needs head and body together.
    Code(Box<(Head, Begun)>),
    /// By a token.
    Token(Box<(Head, Token)>),
    /// By a credential.
    Credential(Signatures),
}

/// The hash that runs while the body arrives.
#[derive(Debug)]
pub(super) struct Running {
    // The secret's place in the list, and the key's among its keys.
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

    /// The first active key, put to work on what stands before the body.
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

    /// Compares the digest of the body taken in by [`update`](Self::update) with the signature; where they differ, goes
    /// through `body` again with every other key that is active at `now` and every form that the body may have been
    /// signed in. A `body` that was never given to `update` is hashed here.
    ///
    /// `body` must be the bytes given to `update`, one after the other: what was hashed is what is proved.
    ///
    /// # Errors
    /// `bad_signature`, after every active secret was tried, and for content that the answer to a handshake could have
    /// signed; where signature or timestamp stand in the body, also what
    /// [`Verifier::begin`] refuses them for.
    pub fn finish(self, body: &[u8], now: Now) -> Result<Proof, Refusal> {
        let scheme = Arc::clone(&self.verifier.0.scheme);
        let proof = proving::prove(self, body, now)?;
        if let Some(handshake) = scheme.handshake {
            let signed = if scheme.code().is_none() && scheme.covers_body() {
                proof.signed_body(body)
            } else {
                b""
            };
            if handshake.forbids(proof.content.before(), signed, proof.content.after()) {
                return Err(ANSWER_OF_A_HANDSHAKE);
            }
        }
        Ok(proof)
    }
}

const ANSWER_OF_A_HANDSHAKE: Refusal = Refusal::because(
    Code::BadSignature,
    "what is signed could be the challenge of a handshake, whose answer is such a signature, so it proves nothing",
);
