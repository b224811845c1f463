//! Every shared key that a secret's text can mean under a scheme (schemes: Keys and secrets).
//!
//! A key that everybody knows is no key: where any candidate is such a key, the secret is refused,
//! since whoever knows the key could sign with it.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::{CredentialKind, KeyForm, Kind, ProofBy, Scheme};
use crate::key::public::PublicKey;
use crate::key::secret::SecretText;
use crate::key::shape;

/// A key with the kind of check that it is for: a digest, or a shared token.
pub type SharedKey = (Kind, Zeroizing<Vec<u8>>);

impl Scheme {
    /// The shared keys in a secret's text; empty where the text is a public key, or where the scheme
    /// takes public keys alone.
    ///
    /// # Errors
    /// Why no candidate is a key, or which candidate everybody knows, without a byte of the text.
    pub fn shared_keys(&self, text: &SecretText) -> Result<Vec<SharedKey>, Cow<'static, str>> {
        let kinds: Vec<Kind> = self
            .proof
            .key_kinds()
            .into_iter()
            .filter(|kind| matches!(kind, Kind::Digest(_) | Kind::Token))
            .collect();
        let takes_public = kinds.len() < self.proof.key_kinds().len();
        let is_public = takes_public && PublicKey::looks_public(text.expose());
        if kinds.is_empty() || is_public {
            return Ok(Vec::new());
        }
        let keys = match self.code() {
            Some(code) => code
                .keys(text)
                .map_err(Cow::Borrowed)?
                .into_iter()
                .map(|(algorithm, key)| (algorithm.kind(), key))
                .collect(),
            None => self.formed(&kinds, text)?,
        };
        let known = self.known_text(text.expose());
        let known = known.or_else(|| {
            let known = keys.iter().find_map(|(_, key)| shape::known_key(key));
            known.map(ToOwned::to_owned)
        });
        match known {
            Some(words) => Err(format!("the secret {words}").into()),
            None => Ok(keys),
        }
    }

    /// The keys that the scheme's forms make, each for each kind.
    fn formed(
        &self,
        kinds: &[Kind],
        text: &SecretText,
    ) -> Result<Vec<SharedKey>, Cow<'static, str>> {
        let mut keys = Vec::new();
        let mut why = Cow::Borrowed("the secret is no key of this scheme");
        for kind in kinds {
            for form in self.proof.key_forms() {
                match form.key(text) {
                    Ok(key) => keys.push((*kind, key)),
                    Err(reason) => why = reason,
                }
            }
        }
        if !keys.is_empty() {
            return Ok(keys);
        }
        let forms = self.proof.key_forms();
        let begin = shape::signing_prefix(text.expose());
        let begin = begin.filter(|_| forms.iter().all(|form| !form.strip_required));
        Err(match begin {
            Some(begin)
                if forms
                    .iter()
                    .all(|form| form.strip.as_deref() != Some(begin)) =>
            {
                format!("{why}; it begins with `{begin}`, which this scheme does not take off")
                    .into()
            }
            _ => why,
        })
    }

    /// The reason why everybody knows this text.
    fn known_text(&self, text: &[u8]) -> Option<String> {
        let bare = shape::bare(text);
        let strips = self
            .proof
            .key_forms()
            .iter()
            .filter_map(|form| form.strip.as_deref());
        let begins = self.secret_begins.iter().map(String::as_str);
        if let Some(prefix) = strips.chain(begins).find(|own| own.as_bytes() == bare) {
            return Some(shape::only_prefix(prefix));
        }
        let is_basic = matches!(&self.proof, ProofBy::Credential(credential)
            if credential.kind == CredentialKind::Basic);
        if is_basic && bare.ends_with(b":") {
            return Some("has no password behind its user name".to_owned());
        }
        // Some secrets hold the key behind a name: `user:password`, `PUBLIC_KEY:PRIVATE_KEY`.
        let named = is_basic || self.code().is_some();
        let key = bare.rsplit(|byte| *byte == b':').next().filter(|_| named);
        shape::known_text(text).or_else(|| {
            let key = key?;
            shape::known_text(key).or_else(|| shape::known_key(key).map(ToOwned::to_owned))
        })
    }

    /// What the scheme takes for a secret, as far as its look is concerned.
    pub fn wanted(&self) -> shape::Wanted {
        let kinds = self.proof.key_kinds();
        let is_public = |kind: &Kind| matches!(kind, Kind::Public(_));
        shape::Wanted {
            shared: kinds.iter().any(|kind| !is_public(kind)),
            public: kinds.iter().any(is_public),
            is_credential: self.is_credential(),
            begins: self.secret_begins.clone(),
        }
    }
}

impl KeyForm {
    /// The text behind the form's prefix; `None` where it has no such prefix. Supabase shows the
    /// version of the signature in front of the prefix, `v1,whsec_…`, which is no part of it either.
    pub(super) fn stripped<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        let prefix = self.strip.as_deref().unwrap_or_default();
        let shown = text
            .strip_prefix(b"v1,".as_slice())
            .filter(|_| !prefix.is_empty());
        text.strip_prefix(prefix.as_bytes())
            .or_else(|| shown?.strip_prefix(prefix.as_bytes()))
    }
}
