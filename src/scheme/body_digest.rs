//! A digest of the body as a part of the signed content: `{body_sha256:base64}` (schemes: Signed
//! content).
//!
//! The digest is computed from the received body and never read from a header, so it vouches for
//! the body as `{body}` does.

use sha2::{Digest as _, Sha256, Sha512};

use crate::notation::encoding::Encoding;

/// A digest of the body, and the way in which it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyDigest {
    hash: Hash,
    encoding: Encoding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha512,
}

impl BodyDigest {
    /// The names before the colon, for messages.
    const HASHES: [(&'static str, Hash); 2] =
        [("body_sha256", Hash::Sha256), ("body_sha512", Hash::Sha512)];

    /// The encodings behind the colon. Each has one spelling and one length.
    const ENCODINGS: [Encoding; 3] = [Encoding::Hex, Encoding::Base64, Encoding::Base64Url];

    /// The digest that a part in braces names, as in `body_sha256:base64`; `None` for the name of
    /// another part.
    ///
    /// # Errors
    /// The help for a name that begins as a digest's and has no known encoding.
    pub(super) fn named(name: &str) -> Result<Option<Self>, String> {
        let (begin, encoding) = name.split_once(':').unwrap_or((name, ""));
        let known = Self::HASHES.into_iter().find(|(known, _)| *known == begin);
        let Some((_, hash)) = known else {
            return Ok(None);
        };
        let mut encodings = Self::ENCODINGS.into_iter();
        match encodings.find(|known| known.name() == encoding) {
            Some(encoding) => Ok(Some(Self { hash, encoding })),
            None => Err(format!(
                "say how it is written: `{{{begin}:hex}}`, `{{{begin}:base64}}` or \
                 `{{{begin}:base64url}}`"
            )),
        }
    }

    /// The part as a template writes it, without braces.
    pub fn name(self) -> String {
        let hash = match self.hash {
            Hash::Sha256 => "body_sha256",
            Hash::Sha512 => "body_sha512",
        };
        format!("{hash}:{}", self.encoding.name())
    }

    /// The digest of a body, written.
    pub fn of(self, body: &[u8]) -> String {
        match self.hash {
            Hash::Sha256 => self.encoding.encode(&Sha256::digest(body)),
            Hash::Sha512 => self.encoding.encode(&Sha512::digest(body)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_written_as_its_name_says() {
        // printf abc | openssl dgst -sha256 -binary | base64, and so on.
        let rows = [
            (
                "body_sha256:hex",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                "body_sha256:base64",
                "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
            ),
            (
                "body_sha256:base64url",
                "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0",
            ),
            (
                "body_sha512:base64",
                "3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==",
            ),
        ];
        for (name, expected) in rows {
            let digest = BodyDigest::named(name).unwrap().unwrap();
            assert_eq!(
                (digest.name().as_str(), &*digest.of(b"abc")),
                (name, expected)
            );
        }
        assert_eq!(BodyDigest::named("body"), Ok(None));
        assert_eq!(BodyDigest::named("body_sha1:hex"), Ok(None));
        for name in ["body_sha256", "body_sha256:", "body_sha512:hex-any"] {
            assert!(BodyDigest::named(name).unwrap_err().contains(":base64}"));
        }
    }
}
