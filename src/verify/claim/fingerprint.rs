//! Keyed digests, which the replay window compares instead of ids and bodies (contract: Keys).
//!
//! Names and keys are digested by SipHash-2-4 with 128 bits of output, under a random key of the
//! process. A sender who does not know the key cannot choose inputs that collide, and the window
//! holds digests of a fixed size instead of bytes from the network. Every digest starts with a word
//! for the kind of its input, and the length of each part but the last precedes that part, so two
//! different inputs are never the same bytes (RP-13). Nothing here allocates. The caller draws the
//! key, since this room takes no randomness.
//!
//! **Bodies** are long, and pass through `HighwayHash` first: 256 bits of it, under a key of its own
//! that SipHash makes of the key of the process. SipHash then digests these 256 bits, so nothing of
//! `HighwayHash`'s output is ever compared or kept. A body may pass through it while it arrives
//! ([`BodyHasher`]).
//!
//! Two different bodies have the same digest if `HighwayHash` maps them to the same 256 bits, or
//! SipHash the two values of 256 bits to the same 128. `HighwayHash` has no proof. Its authors
//! claim that it is a pseudo-random function of its key (<https://arxiv.org/abs/1612.06257>), and
//! no attack contradicts them. If it is, two bodies collide with probability 2⁻¹²⁸, whoever chose
//! them, and 2⁻⁶⁴ in the half that the window keeps as a [`Mark`]: bodies are compared within a
//! single entry, and so a guess costs a delivery with the entry's own id. The claim is not needed
//! in full: every attack on a keyed hash begins with its output or with a collision, and a stranger
//! sees neither. Someone who knows all captured bodies, and may even choose bodies that a provider
//! signs, learns a single bit from each delivery: whether its body was the same as that of the
//! entry with the same event id. Thus collisions can only be guessed, one delivery at a time. A
//! guess that is right gains little. It makes a `duplicate_event` of an `event_id_conflict`, and
//! both are refused. On a route with `repeats` it lets a captured request through with other bytes
//! outside of the signature, no more often than the request itself.
//!
//! `HighwayHash` is fast where the processor has AVX2, SSE 4.1 or NEON. Without them it runs at half
//! the speed of SipHash, or better.

use std::fmt;
use std::hash::Hasher;

use highway::Key;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::body_hash::{BodyHasher, HashedBody};
use super::{Beside, ClaimKey, Fingerprint, Identity, Mark};

/// The key of every digest in a replay window. All users of the window share it.
#[derive(Clone)]
pub struct FingerprintKey {
    // The hash state that has absorbed the key; it is copied for each digest.
    keyed: SipHasher24,
    bodies: Key,
    /// The bytes that the key was made of, for a process that takes the window over.
    pub bytes: [u8; 16],
}

/// The kind of a digest's input. Digests of two kinds are equal only by chance.
#[derive(Clone, Copy)]
#[repr(u64)]
enum Kind {
    Body = 1,
    Content,
    KeyById,
    KeyByContent,
    Request,
    Route,
    Path,
    Variant,
    Repeat,
    KeyOfBodies,
}

impl FingerprintKey {
    /// The key made of 16 bytes that the caller drew from the operating system.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let keyed = SipHasher24::new_with_key(&bytes);
        let mut words = [0; 4];
        for (word, number) in words.iter_mut().zip(0_u64..) {
            let mut digest = begun(keyed, Kind::KeyOfBodies);
            digest.write_u64(number);
            *word = digest.finish();
        }
        Self {
            keyed,
            bodies: Key(words),
            bytes,
        }
    }

    /// A hasher for a body that is still to arrive.
    pub fn hasher(&self) -> BodyHasher {
        BodyHasher::new(self.bodies)
    }

    /// The digest of a body, as it was forwarded. Reads the body once, unless it is hashed already.
    pub fn body<'b>(&self, body: impl Into<HashedBody<'b>>) -> Fingerprint {
        let mut digest = self.digest(Kind::Body);
        self.absorb(&mut digest, body.into());
        Fingerprint(digest.finish128().into())
    }

    /// The digest that stands for the body of a delivery that is claimed by its content.
    pub fn content(&self, identity: &Identity) -> Fingerprint {
        let mut digest = self.digest(Kind::Content);
        digest.write(&identity.digest());
        Fingerprint(digest.finish128().into())
    }

    /// The digests of a route, begun with its name. Made once, when the configuration is loaded.
    pub fn of_route(&self, route_name: &str) -> RouteFingerprints {
        let of = |kind| self.of_name(kind, route_name);
        RouteFingerprints {
            by_id: of(Kind::KeyById),
            by_content: of(Kind::KeyByContent),
            request: of(Kind::Request),
            route: self.named(Kind::Route, route_name, b""),
        }
    }

    /// The digest of the path of a delivery (`Arrival::path`).
    pub fn path(&self, path: &str) -> Mark {
        Mark::of(self.named(Kind::Path, "", path.as_bytes()).0)
    }

    /// The digest of that which is kept beside an entry (`Arrival::variant`). `event_type` and
    /// `body` count where `beside` says so. Where nothing is kept, every variant is the same.
    pub fn variant<'b>(
        &self,
        beside: Beside,
        event_type: Option<&str>,
        body: impl Into<HashedBody<'b>>,
    ) -> Mark {
        if beside == Beside::default() {
            return Mark(0);
        }
        let mut digest = self.digest(Kind::Variant);
        if beside.event_type {
            digest.write_u64(u64::from(event_type.is_some()));
            part(&mut digest, event_type.unwrap_or_default().as_bytes());
        }
        if beside.body {
            self.absorb(&mut digest, body.into());
        }
        Mark::of(digest.finish128().into())
    }

    /// The digest that stands for the body of a delivery that may come again byte for byte: of its
    /// own digest, of the parts of the request's head that an app reads, and of the body as it was
    /// received.
    pub fn repeat<'b>(
        &self,
        body: Fingerprint,
        head: [&[u8]; 3],
        received: impl Into<HashedBody<'b>>,
    ) -> Mark {
        let mut digest = self.digest(Kind::Repeat);
        digest.write(&body.0.to_le_bytes());
        for bytes in head {
            part(&mut digest, bytes);
        }
        self.absorb(&mut digest, received.into());
        Mark::of(digest.finish128().into())
    }

    fn named(&self, kind: Kind, route_name: &str, name: &[u8]) -> Fingerprint {
        finished(self.of_name(kind, route_name), name)
    }

    /// A digest of this kind that has taken the name of a route.
    fn of_name(&self, kind: Kind, route_name: &str) -> SipHasher24 {
        let mut digest = self.digest(kind);
        part(&mut digest, route_name.as_bytes());
        digest
    }

    fn digest(&self, kind: Kind) -> SipHasher24 {
        begun(self.keyed, kind)
    }

    /// Adds a body, as its `HighwayHash` of 256 bits.
    fn absorb(&self, digest: &mut SipHasher24, body: HashedBody<'_>) {
        for word in body.hash_by(|| self.hasher()).0 {
            digest.write_u64(word);
        }
    }
}

/// Hides the key: whoever has it could compare digests with those of guessed ids.
impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(…)")
    }
}

/// The digests of a route, each begun with its kind and the route's name.
#[derive(Clone)]
pub struct RouteFingerprints {
    by_id: SipHasher24,
    by_content: SipHasher24,
    request: SipHasher24,
    /// The digest of the route itself (`Arrival::route`).
    pub route: Fingerprint,
}

impl RouteFingerprints {
    /// The claim key of a delivery whose event id is signed, made of route and id.
    pub fn by_id(&self, event_id: impl AsRef<[u8]>) -> ClaimKey {
        ClaimKey(finished(self.by_id, event_id.as_ref()).0)
    }

    /// The claim key of a delivery without a signed id, made of route and
    /// [`content`](FingerprintKey::content), and of nothing that no signature covers.
    pub fn by_content(&self, content: Fingerprint) -> ClaimKey {
        ClaimKey(finished(self.by_content, &content.0.to_le_bytes()).0)
    }

    /// The digest of route and event id, signed or not, by which an operator names an event
    /// (`Arrival::event`, `Forget::Event`). It is [`ClaimKey::mark`] of the key [by
    /// id](Self::by_id), so nothing is digested twice where the id is signed.
    pub fn event(&self, event_id: impl AsRef<[u8]>) -> Mark {
        self.by_id(event_id).mark()
    }

    /// The digest of route and request id, by which an operator names a request
    /// (`Arrival::request`, `Forget::Request`).
    pub fn request(&self, request_id: impl AsRef<[u8]>) -> Mark {
        finished(self.request, request_id.as_ref()).mark()
    }
}

/// Hides the states, which hold the key.
impl fmt::Debug for RouteFingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouteFingerprints(…)")
    }
}

/// The digest that ends with these bytes.
fn finished(mut digest: SipHasher24, last: &[u8]) -> Fingerprint {
    digest.write(last);
    Fingerprint(digest.finish128().into())
}

/// A digest that has taken the kind of its input.
fn begun(keyed: SipHasher24, kind: Kind) -> SipHasher24 {
    let mut digest = keyed;
    digest.write_u64(kind as u64);
    digest
}

/// Adds a part that is not the last: its length first, so that no byte can move over the border to
/// the next part.
fn part(digest: &mut SipHasher24, bytes: &[u8]) {
    digest.write_u64(bytes.len() as u64);
    digest.write(bytes);
}

#[cfg(test)]
mod tests {
    use super::super::RouteIdentities;
    use super::*;

    const BOTH: Beside = Beside {
        event_type: true,
        body: true,
    };

    /// Lengths, and the words of `HighwayHash`: the vectors of Google's reference implementation
    /// (`highwayhash_test.cc`), for the bytes 0 to length − 1 under the key of the bytes 0 to 31.
    const VECTORS: [(usize, [u64; 4]); 3] = [
        (
            0,
            [
                0xDD44_482A_C2C8_74F5,
                0xD946_0173_13C7_351F,
                0xB3AE_BECC_B987_14FF,
                0x41DA_2331_4575_1DF4,
            ],
        ),
        (
            32,
            [
                0xBCE3_8C90_39A1_C3FE,
                0x42D5_6326_A3C1_1289,
                0xE355_95F7_64FC_AEA9,
                0xC9B0_3C6B_C947_5A99,
            ],
        ),
        (
            33,
            [
                0xF601_15CB_F034_A6E5,
                0x6C36_EA75_BFCE_46D0,
                0x3B17_C8D3_8272_5990,
                0x7EDA_A2ED_1100_7A35,
            ],
        ),
    ];

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
    fn bodies_pass_through_highwayhash_with_256_bits() {
        let mut key = key();
        key.bodies = Key([
            0x0706_0504_0302_0100,
            0x0F0E_0D0C_0B0A_0908,
            0x1716_1514_1312_1110,
            0x1F1E_1D1C_1B1A_1918,
        ]);
        let bytes: Vec<u8> = (0..33).collect();
        for (length, words) in VECTORS {
            let mut hasher = key.hasher();
            hasher.update(&bytes[..length]);
            assert_eq!(hasher.finish().0, words, "{length}");
            let mut digest = key.digest(Kind::Body);
            for word in words {
                digest.write_u64(word);
            }
            assert_eq!(
                key.body(&bytes[..length]).0,
                u128::from(digest.finish128()),
                "{length}"
            );
        }
    }

    #[test]
    fn the_key_of_bodies_comes_from_the_key_of_the_process() {
        let other = FingerprintKey::from_bytes([0; 16]);
        assert_ne!(key().bodies.0, other.bodies.0);
        let words = key().bodies.0;
        for (place, word) in words.iter().enumerate() {
            assert!(!words[..place].contains(word), "word {place}");
        }
    }

    #[test]
    fn the_event_of_a_signed_id_is_the_half_of_its_key() {
        assert_eq!(
            key().of_route("a").event(b"b"),
            key().of_route("a").by_id(b"b").mark()
        );
    }

    proptest::proptest! {
        #[test]
        fn a_body_that_is_hashed_in_pieces_is_the_same_body(
            body in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
            pieces in proptest::collection::vec(0_usize..70, 0..9),
        ) {
            let (mut hasher, mut rest) = (key().hasher(), body.as_slice());
            for piece in pieces {
                let (first, behind) = rest.split_at(piece.min(rest.len()));
                hasher.update(first);
                rest = behind;
            }
            hasher.update(rest);
            let hashed = HashedBody::new(&body, Some(hasher.finish()));
            proptest::prop_assert_eq!(key().body(hashed), key().body(&body));
            let variant = |body: HashedBody<'_>| key().variant(BOTH, None, body);
            proptest::prop_assert_eq!(variant(hashed), variant((&body).into()));
            let repeat = |body: HashedBody<'_>| key().repeat(Fingerprint(1), [b""; 3], body);
            proptest::prop_assert_eq!(repeat(hashed), repeat((&body).into()));
        }

        #[test]
        fn a_bit_that_is_turned_makes_another_body(
            mut body in proptest::collection::vec(proptest::num::u8::ANY, 1..300),
            place in proptest::num::usize::ANY,
        ) {
            let before = key().body(&body);
            proptest::prop_assert_eq!(before, key().body(&body.clone()));
            let place = place % (8 * body.len());
            body[place / 8] ^= 1 << (place % 8);
            proptest::prop_assert_ne!(before, key().body(&body));
            body.push(0);
            let longer = key().body(&body);
            body.pop();
            proptest::prop_assert_ne!(longer, key().body(&body));
        }
    }

    #[test]
    fn rp_13_a_border_that_moves_makes_another_key() {
        let k = key();
        assert_ne!(k.of_route("a").by_id(b"b:c"), k.of_route("a:b").by_id(b"c"));
        assert_ne!(k.of_route("a").by_id(b"bc"), k.of_route("ab").by_id(b"c"));
        assert_ne!(k.of_route("a").event(b"bc"), k.of_route("ab").event(b"c"));
        assert_ne!(
            k.of_route("a").request(b"bc"),
            k.of_route("ab").request(b"c")
        );
        let variant = |event_type, body: &[u8]| k.variant(BOTH, event_type, body);
        assert_ne!(variant(Some("ab"), b"c"), variant(Some("a"), b"bc"));
        assert_ne!(variant(Some(""), b""), variant(None, b""));
        let repeat = |head, received: &[u8]| k.repeat(Fingerprint(0), head, received);
        assert_ne!(
            repeat([b"POST", b"/a", b""], b"b"),
            repeat([b"POST", b"/", b"a"], b"b")
        );
        assert_ne!(
            repeat([b"POST", b"/", b"a"], b"b"),
            repeat([b"POST", b"/", b""], b"ab")
        );
    }

    #[test]
    fn a_digest_that_was_begun_with_its_route_is_the_same() {
        let (k, content) = (key(), Fingerprint(7));
        for (route_name, text) in [
            ("a", "b"),
            ("", ""),
            ("a route", "é"),
            ("bench", "0123456789abcdef"),
        ] {
            let route = k.of_route(route_name);
            let by_id = k.named(Kind::KeyById, route_name, text.as_bytes());
            assert_eq!(route.by_id(text), ClaimKey(by_id.0));
            assert_eq!(route.event(text), by_id.mark());
            let request = k.named(Kind::Request, route_name, text.as_bytes());
            assert_eq!(route.request(text), request.mark());
            assert_eq!(route.route, k.named(Kind::Route, route_name, b""));
            let bytes = content.0.to_le_bytes();
            let by_content = k.named(Kind::KeyByContent, route_name, &bytes);
            assert_eq!(route.by_content(content), ClaimKey(by_content.0));
        }
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
        assert_ne!(
            key().of_route("one").by_id(b"evt_1"),
            key().of_route("two").by_id(b"evt_1")
        );
    }

    #[test]
    fn digests_of_two_kinds_differ() {
        let k = key();
        let identity = RouteIdentities::new("", Beside::default()).by_id("");
        let route = k.of_route("");
        let low = |digest: u128| u64::try_from(digest & u128::from(u64::MAX)).unwrap();
        let all = [
            low(k.body(b"").0),
            low(k.content(&identity).0),
            low(k.of_route("").by_id(b"").0),
            low(route.by_content(Fingerprint(0)).0),
            k.of_route("").request(b"").0,
            low(route.route.0),
            k.path("").0,
            k.variant(BOTH, None, b"").0,
            k.repeat(Fingerprint(0), [b""; 3], b"").0,
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
            key().of_route("a").by_id(b"b"),
            FingerprintKey::from_bytes([0; 16])
                .of_route("a")
                .by_id(b"b")
        );
        assert_eq!(
            key().of_route("a").by_id(b"b"),
            key().of_route("a").by_id(b"b")
        );
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", key()), "FingerprintKey(…)");
        assert_eq!(format!("{:?}", key().of_route("a")), "RouteFingerprints(…)");
    }
}
