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

use super::{ClaimKey, Fingerprint};

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

    /// The digest of the signed content: the template's text before the body, the body, and the
    /// template's text after it. Reads them once.
    ///
    /// The parts are joined without a mark between them. An attacker who moves bytes of a captured
    /// delivery from one part into another gets a delivery whose signature still holds, so both
    /// must have the same digest.
    pub fn content(&self, before: &[u8], body: &[u8], after: &[u8]) -> Fingerprint {
        let mut digest = self.digest(Kind::Content);
        digest.write(before);
        digest.write(body);
        digest.write(after);
        Fingerprint(digest.finish128().into())
    }

    /// The claim key of a delivery whose event id is signed, made of route and id.
    pub fn by_id(&self, route_name: &str, event_id: impl AsRef<[u8]>) -> ClaimKey {
        ClaimKey(self.named(Kind::KeyById, route_name, event_id.as_ref()).0)
    }

    /// The claim key of a delivery without a signed id, made of route, event type and
    /// [`content`](Self::content).
    pub fn by_content(
        &self,
        route_name: &str,
        event_type: Option<&str>,
        content: Fingerprint,
    ) -> ClaimKey {
        let mut digest = self.digest(Kind::KeyByContent);
        part(&mut digest, route_name.as_bytes());
        digest.write_u64(u64::from(event_type.is_some()));
        part(&mut digest, event_type.unwrap_or_default().as_bytes());
        digest.write(&content.0.to_le_bytes());
        ClaimKey(digest.finish128().into())
    }

    /// The digest of route and event id, signed or not, by which an operator names an event
    /// (`Arrival::event`, `Forget::Event`).
    pub fn event(&self, route_name: &str, event_id: impl AsRef<[u8]>) -> Fingerprint {
        self.named(Kind::Event, route_name, event_id.as_ref())
    }

    /// The digest of route and request id, by which an operator names a request
    /// (`Arrival::request`, `Forget::Request`).
    pub fn request(&self, route_name: &str, request_id: impl AsRef<[u8]>) -> Fingerprint {
        self.named(Kind::Request, route_name, request_id.as_ref())
    }

    /// The digest of a route (`Arrival::route`). Made once, when the configuration is loaded.
    pub fn route(&self, route_name: &str) -> Fingerprint {
        self.named(Kind::Route, route_name, b"")
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

/// Adds a part that is not the last: its length first, so that no byte can move over the border to
/// the next part.
fn part(digest: &mut SipHasher24, bytes: &[u8]) {
    digest.write_u64(bytes.len() as u64);
    digest.write(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let content = k.content(b"", b"{}", b"");
        assert_ne!(
            k.by_content("a", Some("bc"), content),
            k.by_content("ab", Some("c"), content)
        );
        assert_ne!(
            k.by_content("a", Some(""), content),
            k.by_content("a", None, content)
        );
    }

    #[test]
    fn rp_13_the_same_id_on_two_routes_is_two_events() {
        assert_ne!(key().by_id("one", b"evt_1"), key().by_id("two", b"evt_1"));
    }

    #[test]
    fn digests_of_two_kinds_differ() {
        let k = key();
        let all = [
            k.body(b"").0,
            k.content(b"", b"", b"").0,
            k.by_id("", b"").0,
            k.by_content("", None, Fingerprint(0)).0,
            k.event("", b"").0,
            k.request("", b"").0,
            k.route("").0,
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(
                !all[..place].contains(one),
                "kind number {place} repeats another"
            );
        }
    }

    #[test]
    fn content_is_the_same_however_its_bytes_are_split() {
        let k = key();
        assert_eq!(
            k.content(b"1.", b"{}", b".2"),
            k.content(b"", b"1.{}.2", b"")
        );
        assert_ne!(
            k.content(b"1.", b"{}", b".2"),
            k.content(b"1.", b"{}", b".3")
        );
    }

    #[test]
    fn another_event_type_is_another_key_for_the_same_content() {
        let k = key();
        let content = k.content(b"", b"{}", b"");
        assert_ne!(
            k.by_content("a", Some("push"), content),
            k.by_content("a", Some("ping"), content)
        );
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
