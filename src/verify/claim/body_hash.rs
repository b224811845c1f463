//! The hash of a body that a digest of it begins with (contract: Keys). It can be made while the body
//! arrives. [`FingerprintKey`](super::FingerprintKey) says why it may be used.

use std::fmt;

use highway::{HighwayHash as _, HighwayHasher, Key};

/// The `HighwayHash` of a body that is still arriving.
pub struct BodyHasher(HighwayHasher);

/// The `HighwayHash` of a body, under the key of a [`FingerprintKey`](super::FingerprintKey).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BodyHash(pub(super) [u64; 4]);

/// A body, with its hash if it was hashed while it arrived.
#[derive(Clone, Copy)]
pub struct HashedBody<'b> {
    bytes: &'b [u8],
    hash: Option<BodyHash>,
}

impl BodyHasher {
    pub(super) fn new(key: Key) -> Self {
        Self(HighwayHasher::new(key))
    }

    /// Hashes the next bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.append(bytes);
    }

    /// The hash of the bytes so far, which are the whole body.
    pub fn finish(self) -> BodyHash {
        BodyHash(self.0.finalize256())
    }
}

impl<'b> HashedBody<'b> {
    /// A body. `hash` is that of the very same bytes, made by a hasher of the key with which the body
    /// will be digested; `None` if they are still to be hashed.
    pub fn new(bytes: &'b [u8], hash: Option<BodyHash>) -> Self {
        Self { bytes, hash }
    }

    /// This body in another form. It has the same hash only if it is the same memory.
    #[must_use]
    pub fn in_form(self, bytes: &'b [u8]) -> Self {
        let hash = self.hash.filter(|_| std::ptr::eq(bytes, self.bytes));
        Self { bytes, hash }
    }

    /// The bytes of the body.
    pub fn bytes(self) -> &'b [u8] {
        self.bytes
    }

    /// The hash, which `hasher` makes if the body was not hashed before.
    pub(super) fn hash_by(self, hasher: impl FnOnce() -> BodyHasher) -> BodyHash {
        self.hash.unwrap_or_else(|| {
            let mut hasher = hasher();
            hasher.update(self.bytes);
            hasher.finish()
        })
    }

    /// The number of bytes that a digest of this body has still to hash.
    pub fn unhashed(self) -> usize {
        self.hash.map_or(self.bytes.len(), |_| 0)
    }
}

/// A body that is hashed when it is digested.
impl<'b, B: AsRef<[u8]> + ?Sized> From<&'b B> for HashedBody<'b> {
    fn from(bytes: &'b B) -> Self {
        Self::new(bytes.as_ref(), None)
    }
}

/// Hides the state, of which nothing may be compared or kept.
impl fmt::Debug for BodyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyHasher(…)")
    }
}

/// Hides the hash, of which nothing may be compared or kept.
impl fmt::Debug for BodyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::claim::FingerprintKey;

    #[test]
    fn a_form_of_a_body_has_the_hash_of_the_body_only_if_it_is_the_body() {
        let key = FingerprintKey::from_bytes(*b"0123456789abcdef");
        let body = b"a body".to_vec();
        let mut hasher = key.hasher();
        hasher.update(b"hashed before, under the name of the body");
        let marked = HashedBody::new(&body, Some(hasher.finish()));
        let as_marked = |form| key.body(marked.in_form(form)) == key.body(marked);
        assert!(as_marked(&body) && as_marked(&body[..]));
        for other in [&body[1..], &body[..5], b"", b"a body"] {
            assert!(!as_marked(other), "{other:?}");
            assert_eq!(key.body(marked.in_form(other)), key.body(other));
        }
    }
}
