//! Keyed digests, which the replay window compares instead of ids and bodies (contract: Keys).
//!
//! SipHash-2-4 with 128 bits of output under a random key of the process. A sender who does not
//! know the key cannot choose inputs that collide, and the window holds digests of a fixed size
//! instead of bytes from the network. Every digest starts with a word for the kind of its input,
//! and the length of each part but the last precedes that part, so two different inputs are never
//! the same bytes (RP-13). Nothing here allocates. The caller draws the key, since this room takes
//! no randomness.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

use super::{Beside, ClaimKey, Fingerprint, Identity, Mark};

/// The key of every digest in a replay window. All users of the window share it.
#[derive(Clone)]
pub struct FingerprintKey {
    // The hash state that has absorbed the key; it is copied for each digest.
    keyed: SipHasher24,
}

/// The kind of a digest's input. Digests of two kinds are equal only by chance.
#[derive(Clone, Copy)]
#[repr(u64)]
enum Kind {
    Body = 1,
    Content,
    KeyById,
    KeyByContent,
    Event,
    Request,
    Route,
    Path,
    Variant,
    Repeat,
}

impl FingerprintKey {
    /// The key made of 16 bytes that the caller drew from the operating system.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self {
            keyed: SipHasher24::new_with_key(&bytes),
        }
    }

    /// The digest of a body, as it was forwarded. Reads the body once.
    pub fn body(&self, body: &[u8]) -> Fingerprint {
        let mut digest = self.digest(Kind::Body);
        digest.write(body);
        Fingerprint(digest.finish128().into())
    }

    /// The digest that stands for the body of a delivery that is claimed by its content.
    pub fn content(&self, identity: &Identity) -> Fingerprint {
        let mut digest = self.digest(Kind::Content);
        digest.write(&identity.digest());
        Fingerprint(digest.finish128().into())
    }

    /// The claim key of a delivery whose event id is signed, made of route and id.
    pub fn by_id(&self, route_name: &str, event_id: impl AsRef<[u8]>) -> ClaimKey {
        ClaimKey(self.named(Kind::KeyById, route_name, event_id.as_ref()).0)
    }

    /// The claim key of a delivery without a signed id, made of route and
    /// [`content`](Self::content), and of nothing that no signature covers.
    pub fn by_content(&self, route_name: &str, content: Fingerprint) -> ClaimKey {
        let content = content.0.to_le_bytes();
        ClaimKey(self.named(Kind::KeyByContent, route_name, &content).0)
    }

    /// The digest of route and event id, signed or not, by which an operator names an event
    /// (`Arrival::event`, `Forget::Event`).
    pub fn event(&self, route_name: &str, event_id: impl AsRef<[u8]>) -> Mark {
        mark(self.named(Kind::Event, route_name, event_id.as_ref()))
    }

    /// The digest of route and request id, by which an operator names a request
    /// (`Arrival::request`, `Forget::Request`).
    pub fn request(&self, route_name: &str, request_id: impl AsRef<[u8]>) -> Mark {
        mark(self.named(Kind::Request, route_name, request_id.as_ref()))
    }

    /// The digest of a route (`Arrival::route`). Made once, when the configuration is loaded.
    pub fn route(&self, route_name: &str) -> Fingerprint {
        self.named(Kind::Route, route_name, b"")
    }

    /// The digest of the path of a delivery (`Arrival::path`).
    pub fn path(&self, path: &str) -> Mark {
        mark(self.named(Kind::Path, "", path.as_bytes()))
    }

    /// The digest of that which is kept beside an entry (`Arrival::variant`). `event_type` and
    /// `body` count where `beside` says so. Where nothing is kept, every variant is the same.
    pub fn variant(&self, beside: Beside, event_type: Option<&str>, body: &[u8]) -> Fingerprint {
        if beside == Beside::default() {
            return Fingerprint(0);
        }
        let mut digest = self.digest(Kind::Variant);
        if beside.event_type {
            digest.write_u64(u64::from(event_type.is_some()));
            part(&mut digest, event_type.unwrap_or_default().as_bytes());
        }
        if beside.body {
            digest.write(body);
        }
        Fingerprint(digest.finish128().into())
    }

    /// The digest that stands for the body of a delivery that may come again byte for byte: of its
    /// own digest and of every part of the request that an app reads.
    pub fn repeat(&self, body: Fingerprint, request: [&[u8]; 4]) -> Fingerprint {
        let mut digest = self.digest(Kind::Repeat);
        digest.write(&body.0.to_le_bytes());
        for bytes in request {
            part(&mut digest, bytes);
        }
        Fingerprint(digest.finish128().into())
    }

    fn named(&self, kind: Kind, route_name: &str, name: &[u8]) -> Fingerprint {
        let mut digest = self.digest(kind);
        part(&mut digest, route_name.as_bytes());
        digest.write(name);
        Fingerprint(digest.finish128().into())
    }

    fn digest(&self, kind: Kind) -> SipHasher24 {
        let mut digest = self.keyed;
        digest.write_u64(kind as u64);
        digest
    }
}

/// Hides the key: whoever has it could compare digests with those of guessed ids.
impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(…)")
    }
}

/// The low half of a digest.
fn mark(digest: Fingerprint) -> Mark {
    Mark(u64::try_from(digest.0 & u128::from(u64::MAX)).unwrap_or_default())
}

/// Adds a part that is not the last: its length first, so that no byte can move over the border to
/// the next part.
fn part(digest: &mut SipHasher24, bytes: &[u8]) {
    digest.write_u64(bytes.len() as u64);
    digest.write(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Beside = Beside {
        event_type: true,
        body: true,
    };

    fn key() -> FingerprintKey {
        FingerprintKey::from_bytes(*b"0123456789abcdef")
    }

    #[test]
    fn it_is_siphash_2_4_with_128_bits() {
        // OpenSSL gives this value: `openssl mac -macopt hexkey:000102…0f -macopt size:16 -in
        // <00..07> SIPHASH`.
        let bytes = std::array::from_fn(|place| u8::try_from(place).unwrap());
        let mut digest = FingerprintKey::from_bytes(bytes).keyed;
        digest.write(&[0, 1, 2, 3, 4, 5, 6, 7]);
        let output: u128 = digest.finish128().into();
        assert_eq!(
            hex::encode(output.to_le_bytes()),
            "3b62a9ba6258f5610f83e264f31497b4"
        );
    }

    #[test]
    fn rp_13_a_border_that_moves_makes_another_key() {
        let k = key();
        assert_ne!(k.by_id("a", b"b:c"), k.by_id("a:b", b"c"));
        assert_ne!(k.by_id("a", b"bc"), k.by_id("ab", b"c"));
        assert_ne!(k.event("a", b"bc"), k.event("ab", b"c"));
        assert_ne!(k.request("a", b"bc"), k.request("ab", b"c"));
        let variant = |event_type, body| k.variant(BOTH, event_type, body);
        assert_ne!(variant(Some("ab"), b"c"), variant(Some("a"), b"bc"));
        assert_ne!(variant(Some(""), b""), variant(None, b""));
        let repeat = |request| k.repeat(Fingerprint(0), request);
        assert_ne!(
            repeat([b"POST", b"/a", b"", b"b"]),
            repeat([b"POST", b"/", b"a", b"b"])
        );
    }

    #[test]
    fn what_is_not_kept_beside_makes_no_variant() {
        let k = key();
        let variant = |event_type| k.variant(Beside::default(), event_type, b"x");
        assert_eq!(variant(Some("a")), variant(Some("b")));
        assert_eq!(variant(Some("a")), variant(None));
    }

    #[test]
    fn rp_13_the_same_id_on_two_routes_is_two_events() {
        assert_ne!(key().by_id("one", b"evt_1"), key().by_id("two", b"evt_1"));
    }

    #[test]
    fn digests_of_two_kinds_differ() {
        let k = key();
        let identity = Identity::by_id("", Beside::default(), "");
        let low = |digest: u128| u64::try_from(digest & u128::from(u64::MAX)).unwrap();
        let all = [
            low(k.body(b"").0),
            low(k.content(&identity).0),
            low(k.by_id("", b"").0),
            low(k.by_content("", Fingerprint(0)).0),
            k.event("", b"").0,
            k.request("", b"").0,
            low(k.route("").0),
            k.path("").0,
            low(k.variant(BOTH, None, b"").0),
            low(k.repeat(Fingerprint(0), [b""; 4]).0),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(
                !all[..place].contains(one),
                "kind number {place} repeats another"
            );
        }
    }

    #[test]
    fn rx_19_another_process_makes_other_digests() {
        assert_ne!(
            key().by_id("a", b"b"),
            FingerprintKey::from_bytes([0; 16]).by_id("a", b"b")
        );
        assert_eq!(key().by_id("a", b"b"), key().by_id("a", b"b"));
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", key()), "FingerprintKey(…)");
    }
}
