//! The identity of an event: what a delivery is claimed by, and the key by which an app may
//! recognise the event (contract: Keys, The event key).
//!
//! Both come from the same bytes, which are read once: the route, the kind of identity, and the
//! signed id or else the signed content. Nothing here knows the window or its key.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::scheme::Scheme;

/// That which no signature covers and which is kept beside an entry, with a state of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Beside {
    /// Whether the type of the event is.
    pub event_type: bool,
    /// Whether the body is.
    pub body: bool,
}

impl Beside {
    /// That which a scheme keeps beside its entries.
    pub fn of(scheme: &Scheme) -> Self {
        Self {
            event_type: scheme.type_is_beside(),
            body: scheme.bodies_are_beside(),
        }
    }
}

/// The beginnings of the identities of a route's events: hashes that have taken the route and the
/// kind of identity. Made once, when the configuration is loaded.
#[derive(Clone)]
pub struct RouteIdentities {
    by_id: Sha256,
    by_content: Sha256,
    /// That which is kept beside an entry.
    pub beside: Beside,
}

impl RouteIdentities {
    /// The beginnings for a route of this name.
    pub fn new(route_name: &str, beside: Beside) -> Self {
        Self {
            by_id: begun(route_name, "id", beside),
            by_content: begun(route_name, "content", beside),
            beside,
        }
    }

    /// The identity by a signed id.
    pub fn by_id(&self, event_id: &str) -> Identity {
        let mut hash = self.by_id.clone();
        part(&mut hash, event_id.as_bytes());
        Identity::of(hash, self.beside)
    }

    /// The identity by the signed content: the text before the body, the body, and the text after
    /// it. Reads them once. They are joined without a mark between them: a stranger who moves bytes
    /// of a captured delivery from one part into another gets a delivery whose signature still
    /// holds, and both must be the same event.
    pub fn by_content(&self, [before, body, after]: [&[u8]; 3]) -> Identity {
        let mut hash = self.by_content.clone();
        length(&mut hash, before.len() + body.len() + after.len());
        hash.update(before);
        hash.update(body);
        hash.update(after);
        Identity::of(hash, self.beside)
    }
}

impl fmt::Debug for RouteIdentities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouteIdentities(…)")
    }
}

/// The identity of an event, by its id or by its content.
#[derive(Clone)]
pub struct Identity(Hash);

/// The hash of an identity.
#[derive(Clone)]
enum Hash {
    /// Nothing is kept beside the entry, so the digest of the identity makes the event key too.
    Final([u8; 32]),
    /// The event key also covers what is kept beside the entry.
    Open(Sha256),
}

impl Identity {
    fn of(hash: Sha256, beside: Beside) -> Self {
        Self(if beside == Beside::default() {
            Hash::Final(hash.finalize().into())
        } else {
            Hash::Open(hash)
        })
    }

    /// The digest of the identity alone, without what is kept beside it.
    pub fn digest(&self) -> [u8; 32] {
        match &self.0 {
            Hash::Final(digest) => *digest,
            Hash::Open(hash) => hash.clone().finalize().into(),
        }
    }

    /// The event key, which also tells apart what is kept beside the entry. `event_type` and `body`
    /// count where `beside` says so, which must be that of the identity.
    pub fn event_key(self, beside: Beside, event_type: Option<&str>, body: &[u8]) -> EventKey {
        let digest = match self.0 {
            Hash::Final(digest) => digest,
            Hash::Open(mut hash) => {
                if beside.event_type {
                    part(&mut hash, event_type.unwrap_or_default().as_bytes());
                }
                if beside.body {
                    part(&mut hash, body);
                }
                hash.finalize().into()
            }
        };
        let mut text = [0; 32];
        let (key, _) = digest.split_at(16);
        // 16 bytes are 32 digits, so this cannot fail.
        let _ = hex::encode_to_slice(key, &mut text);
        EventKey(text)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

/// The key of an event for the app: 32 lower-case hex digits, the same for every copy of the event,
/// in every process, and not for a stranger to choose.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EventKey([u8; 32]);

impl EventKey {
    /// Reads a key as it is written.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 32] = text.as_bytes().try_into().ok()?;
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        digits.iter().all(is_digit).then_some(Self(digits))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The bytes of the digits. They are at hand, where the text is judged first.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A hash that has taken the route and the kind of the identity. The kind depends on the scheme
/// alone and on the signed id, never on what no signature covers.
fn begun(route_name: &str, kind: &str, beside: Beside) -> Sha256 {
    let mut hash = Sha256::new();
    part(&mut hash, route_name.as_bytes());
    let parts = [
        kind,
        if beside.event_type { "+type" } else { "" },
        if beside.body { "+body" } else { "" },
    ];
    length(&mut hash, parts.iter().map(|part| part.len()).sum());
    for part in parts {
        hash.update(part.as_bytes());
    }
    hash
}

/// Adds a part with its length in front, so that no byte can move over the border to the next part.
fn part(hash: &mut Sha256, bytes: &[u8]) {
    length(hash, bytes.len());
    hash.update(bytes);
}

fn length(hash: &mut Sha256, bytes: usize) {
    hash.update((bytes as u64).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Beside = Beside {
        event_type: false,
        body: false,
    };
    const TYPE: Beside = Beside {
        event_type: true,
        ..NOTHING
    };

    fn content(parts: [&str; 3]) -> Identity {
        RouteIdentities::new("github", TYPE).by_content(parts.map(str::as_bytes))
    }

    #[test]
    fn rp_48_it_is_the_worked_example_of_the_contract() {
        // Python: sha256(b"".join(len(p).to_bytes(8, "big") + p for p in parts)).hexdigest()[:32]
        let push = content(["", "{}", ""]).event_key(TYPE, Some("push"), b"");
        let by_id = RouteIdentities::new("itellico", NOTHING)
            .by_id("evt_1")
            .event_key(NOTHING, None, b"");
        let document = include_str!("../../../docs/contract.md");
        for key in [push, by_id] {
            assert!(document.contains(key.as_str()), "{key:?}");
        }
    }

    #[test]
    fn bytes_that_move_from_part_to_part_make_no_new_identity() {
        let moved = [["a", "b", "c"], ["", "abc", ""], ["ab", "", "c"]].map(content);
        for one in &moved {
            assert_eq!(one.digest(), moved[0].digest());
        }
        assert_ne!(content(["a", "b", ""]).digest(), moved[0].digest());
    }

    #[test]
    fn what_is_beside_the_entry_is_in_the_event_key_alone() {
        let one = content(["", "{}", ""]);
        let key = |event_type| one.clone().event_key(TYPE, event_type, b"");
        assert_eq!(one.digest(), content(["", "{}", ""]).digest());
        assert_ne!(key(Some("push")), key(Some("ping")));
        assert_ne!(key(Some("push")), key(None));
        let both = Beside {
            body: true,
            ..NOTHING
        };
        let look_alike = || RouteIdentities::new("sign", both).by_content([b"1x", b"", b""]);
        let keys = [b"a", b"b"].map(|body| look_alike().event_key(both, None, body));
        assert_ne!(keys[0], keys[1]);
    }

    #[test]
    fn where_nothing_is_beside_the_digest_makes_the_event_key() {
        let by_id = RouteIdentities::new("a", NOTHING).by_id("b");
        let by_content = RouteIdentities::new("a", NOTHING).by_content([b"b", b"c", b"d"]);
        for one in [by_id, by_content] {
            let (digest, key) = (one.digest(), one.event_key(NOTHING, Some("push"), b"e"));
            assert_eq!(key.as_str(), hex::encode(&digest[..16]));
        }
        let beside = content(["b", "c", "d"]);
        let digest = beside.digest();
        let key = beside.event_key(TYPE, None, b"");
        assert_ne!(key.as_str(), hex::encode(&digest[..16]));
    }

    #[test]
    fn routes_kinds_and_ids_do_not_run_into_each_other() {
        let id = |route, id| RouteIdentities::new(route, NOTHING).by_id(id).digest();
        assert_ne!(id("a", "bc"), id("ab", "c"));
        let content = RouteIdentities::new("a", NOTHING)
            .by_content([b"x", b"", b""])
            .digest();
        assert_ne!(id("a", "x"), content);
    }
}
