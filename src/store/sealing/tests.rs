//! What is stored reads back for its own delivery alone, and in the form that is written down here.

use super::*;
use crate::key::secret::SecretText;

const OWNER: Owner = Owner {
    number: Number(7),
    id: DeliveryId(0x0198_0000_0000_7000_8000_0000_0000_0009),
    route: RouteNumber(3),
    received: UnixMillis(1_750_000_000_000),
    bytes: 8,
    account: Some(Mark(0xfeed)),
    order: None,
};

/// A content in its parts, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored {
    seal: Vec<u8>,
    parts: Vec<(Part, Vec<u8>)>,
}

fn keys(first: u8) -> Keyring {
    Keyring::new([key(first)])
}

fn key(first: u8) -> SecretText {
    SecretText::new((first..first + 32).collect())
}

fn salt() -> [u8; SALT] {
    std::array::from_fn(|place| 100 + u8::try_from(place).unwrap())
}

fn piece(place: u64, is_last: bool) -> Part {
    Part::Piece { place, is_last }
}

/// Head and body, and the body in two pieces.
fn whole() -> Vec<(Part, &'static str)> {
    vec![(Part::Head, "head"), (Part::Body, "body")]
}

fn in_pieces() -> Vec<(Part, &'static str)> {
    vec![
        (piece(0, false), "bo"),
        (piece(1, true), "dy"),
        (Part::Head, "head"),
    ]
}

fn begun(owner: Owner, keys: &Keyring, salt: [u8; SALT]) -> Sealing {
    Sealing::begin(owner, keys, || Some(salt)).unwrap()
}

fn stored(owner: Owner, keys: &Keyring, parts: &[(Part, &str)]) -> Stored {
    let mut sealing = begun(owner, keys, salt());
    let mut room = b"of the part before".to_vec();
    let parts = parts
        .iter()
        .map(|(part, text)| {
            let bytes = sealing.part(*part, text.as_bytes(), &mut room).unwrap();
            (*part, bytes.to_vec())
        })
        .collect();
    Stored {
        seal: sealing.end().to_bytes(),
        parts,
    }
}

fn opened(owner: Owner, keys: &Keyring, stored: &Stored) -> Result<String, Unreadable> {
    let mut opening = Opening::begin(owner, &stored.seal, keys)?;
    let mut text = String::new();
    for (part, bytes) in &stored.parts {
        let mut bytes = bytes.clone();
        opening.part(*part, &mut bytes)?;
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
    opening.end()?;
    Ok(text)
}

#[test]
fn a_content_reads_back_with_its_key_and_without_keys() {
    for keys in [Keyring::default(), keys(0)] {
        for parts in [whole(), in_pieces()] {
            let texts: String = parts.iter().map(|(_, text)| *text).collect();
            let found = stored(OWNER, &keys, &parts);
            assert_eq!(opened(OWNER, &keys, &found), Ok(texts));
            let is_readable = found.parts.iter().any(|(_, bytes)| bytes == b"head");
            assert_eq!(is_readable, keys.first().is_none());
            assert_eq!(Seal::read(&found.seal).unwrap().to_bytes(), found.seal);
        }
    }
    let empty = stored(OWNER, &keys(0), &[(Part::Head, ""), (Part::Body, "")]);
    assert_eq!(opened(OWNER, &keys(0), &empty), Ok(String::new()));
}

/// The bytes were made by another implementation (Python's `cryptography`) from the description of the
/// format. What is on disk must be read by every later version.
#[test]
fn the_form_on_disk_is_the_one_that_was_written_down() {
    let of = |parts: &[(Part, &str)]| stored(OWNER, &keys(0), parts);
    let shown = |stored: &Stored| -> Vec<String> {
        let parts = stored.parts.iter();
        parts.map(|(_, bytes)| hex::encode(bytes)).collect()
    };
    assert_eq!(
        hex::encode(of(&whole()).seal),
        "0282cb1478715ee7a76465666768696a6b6c6d6e6f70717273"
    );
    assert_eq!(
        shown(&of(&whole())),
        [
            "e2551d5120d4d389a27378a9bd834cd6644736b6",
            "64792d5ae3659b3234da9510b4f03bb91cf8ef35"
        ]
    );
    assert_eq!(
        shown(&of(&in_pieces())),
        [
            "94a847ad51ff659cbf077c26a61ad403ded8",
            "498a0fb1e35227b46631bf3895c59ce25348",
            "e2551d5120d4d389a27378a9bd834cd6644736b6"
        ]
    );
    let plain = stored(OWNER, &Keyring::default(), &whole());
    assert_eq!(
        hex::encode(&plain.seal),
        "01018d905e8fa5e76920582d74fbf243c7"
    );
    let plain = stored(OWNER, &Keyring::default(), &in_pieces());
    assert_eq!(
        hex::encode(&plain.seal),
        "01018d905e8fa5e76920582d74fbf243c7"
    );
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    for keys in [Keyring::default(), keys(0)] {
        for parts in [whole(), in_pieces()] {
            let good = stored(OWNER, &keys, &parts);
            for at in 0..good.seal.len() * 8 {
                let mut bad = good.clone();
                bad.seal[at / 8] ^= 1 << (at % 8);
                assert!(opened(OWNER, &keys, &bad).is_err(), "bit {at} of the seal");
            }
            for place in 0..good.parts.len() {
                for at in 0..good.parts[place].1.len() * 8 {
                    let mut bad = good.clone();
                    bad.parts[place].1[at / 8] ^= 1 << (at % 8);
                    let found = opened(OWNER, &keys, &bad);
                    assert_eq!(found, Err(Unreadable::Changed), "bit {at} of part {place}");
                }
            }
        }
    }
}

#[test]
fn a_content_belongs_to_one_row() {
    let others = [
        (
            "number",
            Owner {
                number: Number(8),
                ..OWNER
            },
        ),
        (
            "id",
            Owner {
                id: DeliveryId(9),
                ..OWNER
            },
        ),
        (
            "route",
            Owner {
                route: RouteNumber(4),
                ..OWNER
            },
        ),
        (
            "received",
            Owner {
                received: UnixMillis(1),
                ..OWNER
            },
        ),
        ("bytes", Owner { bytes: 9, ..OWNER }),
        (
            "account",
            Owner {
                account: None,
                ..OWNER
            },
        ),
        (
            "another account",
            Owner {
                account: Some(Mark(1)),
                ..OWNER
            },
        ),
        // The digest moves from one column to the other.
        (
            "order",
            Owner {
                account: None,
                order: Some(Mark(0xfeed)),
                ..OWNER
            },
        ),
    ];
    for keys in [Keyring::default(), keys(0)] {
        for parts in [whole(), in_pieces()] {
            let found = stored(OWNER, &keys, &parts);
            for (what, other) in others {
                assert_eq!(
                    opened(other, &keys, &found),
                    Err(Unreadable::Changed),
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn parts_cannot_change_places_or_be_left_out() {
    let keys = keys(0);
    let good = stored(OWNER, &keys, &in_pieces());
    let mut swapped = good.clone();
    swapped.parts[0].1.clone_from(&good.parts[1].1);
    swapped.parts[1].1.clone_from(&good.parts[0].1);
    let mut cut = good.clone();
    cut.parts.remove(1);
    cut.parts[0].0 = piece(0, true);
    let mut without_first = good.clone();
    without_first.parts.remove(0);
    without_first.parts[0].0 = piece(0, true);
    let mut as_body = stored(
        OWNER,
        &keys,
        &[(piece(0, true), "body"), (Part::Head, "head")],
    );
    as_body.parts[0].0 = Part::Body;
    let mut crossed = stored(OWNER, &keys, &whole());
    let [(_, head), (_, body)] = &mut crossed.parts[..] else {
        panic!("two parts")
    };
    std::mem::swap(head, body);
    for bad in [swapped, cut, without_first, as_body, crossed] {
        assert_eq!(opened(OWNER, &keys, &bad), Err(Unreadable::Changed));
    }
    // Without keys, the checksum of the whole body finds the same by chance.
    let plain = stored(OWNER, &Keyring::default(), &in_pieces());
    let mut cut = plain.clone();
    cut.parts.remove(1);
    assert!(opened(OWNER, &Keyring::default(), &cut).is_err());
}

#[test]
fn any_key_of_the_list_reads_and_the_first_one_writes() {
    let both = Keyring::new([key(1), key(0)]);
    let old = stored(OWNER, &keys(0), &whole());
    let new = stored(OWNER, &both, &whole());
    assert_eq!(opened(OWNER, &both, &old), Ok("headbody".to_owned()));
    assert_eq!(opened(OWNER, &keys(1), &new), Ok("headbody".to_owned()));
    let id = keys(0).first().unwrap();
    assert!(both.has(id) && both.first() != Some(id));
    for without in [keys(1), Keyring::default()] {
        assert_eq!(opened(OWNER, &without, &old), Err(Unreadable::NoKey(id)));
    }
}

#[test]
fn a_delivery_has_a_key_of_its_own() {
    let parts = |salt| {
        let mut sealing = begun(OWNER, &keys(0), salt);
        let mut room = Vec::new();
        sealing
            .part(Part::Head, b"head", &mut room)
            .unwrap()
            .to_vec()
    };
    assert_ne!(parts(salt()), parts([0; SALT]));
}

#[test]
fn where_everything_is_encrypted_what_is_not_is_refused() {
    let plain = stored(OWNER, &Keyring::default(), &whole());
    assert!(opened(OWNER, &keys(0), &plain).is_ok());
    let strict = keys(0).refusing_plain(true);
    assert_eq!(opened(OWNER, &strict, &plain), Err(Unreadable::Plain));
}

#[test]
fn without_random_numbers_nothing_is_encrypted_and_nothing_is_written_plain_instead() {
    let without = |keys: &Keyring| Sealing::begin(OWNER, keys, || None).map(drop);
    assert_eq!(without(&keys(0)), Err(NotEncrypted::NoSalt));
    assert_eq!(without(&Keyring::default()), Ok(()));
}
