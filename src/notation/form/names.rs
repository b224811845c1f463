//! The names that some program reads as another name.
//!
//! Programs differ in what they make of a name: they take no account of case, cut it, trim it, replace
//! bytes, or undo its escapes again. A value under such a name beside the right one would be read by
//! the app and was never verified, so every reader of names asks here.

use std::borrow::Cow;

use crate::wire::head::fold;

/// How often the escapes of a name are undone again. A program that unescapes twice is a common
/// mistake; no program does it more often than this.
const ROUNDS: usize = 4;

/// Whether some program reads the decoded name `given` as `name`.
///
/// PHP takes a dot, a space and an opening bracket for `_` and cuts at a NUL; it, Rack and Node's `qs`
/// read `a[]`, `a[b]` and `[a]` as `a`; Spring reads `a.b` and Zope `a:int` as `a`; other programs take
/// no account of case. So names are compared as header names are, a byte that is neither letter nor
/// digit equals any other, and a name ends where the given name goes on with a byte that is no part of
/// a word.
pub(crate) fn is_or_aliases(name: &[u8], given: &[u8]) -> bool {
    alternatives(given).any(|given| begins_as(name, &given))
}

/// A text, and the texts that some program makes of it by undoing its escapes again.
pub(crate) fn alternatives(text: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let next = |text: &Cow<'_, [u8]>| unescaped(text).map(Cow::Owned);
    std::iter::successors(Some(Cow::Borrowed(text)), next).take(ROUNDS + 1)
}

/// Whether `given` is `name`, perhaps behind bytes that programs skip and before bytes that they cut.
pub(crate) fn begins_as(name: &[u8], given: &[u8]) -> bool {
    let given = given.strip_prefix(b"\xef\xbb\xbf").unwrap_or(given);
    let plain = without_folds(given);
    // `[a][b]` is `a[b]` for Node's `qs`.
    if memchr::memmem::find(&plain, b"][").is_some() {
        let joined: Vec<u8> = plain.iter().copied().filter(|byte| *byte != b']').collect();
        if begins_as(name, &joined) {
            return true;
        }
    }
    let skipped = plain.iter().position(|byte| !divides(*byte));
    [0, skipped.unwrap_or(plain.len())]
        .into_iter()
        .any(|start| {
            let given = plain.get(start..).unwrap_or_default();
            let Some((own, behind)) = given.split_at_checked(name.len()) else {
                return false;
            };
            own.iter().zip(name).all(|(a, b)| fold(*a) == fold(*b))
                && behind.first().is_none_or(|byte| divides(*byte))
        })
}

/// Whether a byte is no part of a word.
fn divides(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'_' | b'-')
}

/// The text with the two letters beyond ASCII that become ASCII where programs take no account of
/// case: U+017F (s) and U+212A (k).
fn without_folds(text: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(text) {
        Ok(text) if text.contains(['\u{17f}', '\u{212a}']) => {
            Cow::Owned(text.replace('\u{17f}', "s").replace('\u{212a}', "k").into())
        }
        _ => Cow::Borrowed(text),
    }
}

/// The text with its escapes undone, as a lenient program does it: `%hh` and `%uhhhh`, and a broken
/// escape is left as it is. `None` where this changes nothing.
fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr2(b'%', b'+', text)?;
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let (taken, behind) = match first {
            b'+' => (Some(' '), behind),
            b'%' => escape(behind).map_or((None, behind), |(taken, behind)| (Some(taken), behind)),
            _ => (None, behind),
        };
        match taken {
            // The code point of `%hh` is the byte itself.
            Some(taken) => match u8::try_from(u32::from(taken)) {
                Ok(byte) => out.push(byte),
                Err(_) => out.extend_from_slice(taken.to_string().as_bytes()),
            },
            None => out.push(*first),
        }
        rest = behind;
    }
    (out != text).then_some(out)
}

/// The character that the digits of an escape name, and the bytes behind them.
fn escape(digits: &[u8]) -> Option<(char, &[u8])> {
    let (digits, count) = match digits.strip_prefix(b"u").or(digits.strip_prefix(b"U")) {
        Some(digits) => (digits, 4),
        None => (digits, 2),
    };
    let (digits, behind) = digits.split_at_checked(count)?;
    let mut value = 0;
    for digit in digits {
        value = value * 16 + char::from(*digit).to_digit(16)?;
    }
    Some((char::from_u32(value)?, behind))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_alias_is_a_name_that_a_program_may_read_as_another() {
        for alias in [
            &b"data.id"[..],
            b"data_id",
            b"data id",
            b"data-id",
            b"DATA.ID",
            b"data[id",
            b"data[id]",
            b"data.id[]",
            b"data.id[x]",
            b"  data.id",
            b"data.id\0x",
            b"data.id\0",
            b"data.id ",
            b"data.id\t",
            b"data.id.x",
            b"data.id:int",
            b"data.id*",
            b"data.id%zz",
            b"%64ata.id",
            b"%2564ata.id",
            b"data%252Eid",
            b"%u0064ata.id",
            b"data.id%2500x",
            b"[data.id]",
            b"[[data.id]]",
            b"?data.id",
            b"\xef\xbb\xbfdata.id",
            b"[data][id]",
        ] {
            assert!(is_or_aliases(b"data.id", alias), "{alias:?}");
        }
        for other in [
            &b""[..],
            b"dataid",
            b"data.idx",
            b"xdata.id",
            b"data..id",
            b"data",
            b"id",
            b"data.id_x",
            b"data.id-x",
            b"data.%zid",
            b"%",
            b"%u",
            b"data%2",
        ] {
            assert!(!is_or_aliases(b"data.id", other), "{other:?}");
        }
    }

    #[test]
    fn letters_that_only_fold_into_a_name_are_aliases_too() {
        assert!(is_or_aliases(b"signature", "\u{17f}ignature".as_bytes()));
        assert!(is_or_aliases(b"token", "to\u{212a}en".as_bytes()));
        assert!(is_or_aliases(b"token", b"to%E2%84%AAen"));
        assert!(!is_or_aliases(b"token", "tok\u{e9}n".as_bytes()));
    }

    proptest! {
        #[test]
        fn arbitrary_names_never_panic(given in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = is_or_aliases(b"signature", &given);
            prop_assert!(alternatives(&given).count() <= ROUNDS + 1);
        }

        #[test]
        fn a_name_is_an_alias_of_itself_however_often_it_is_escaped(
            name in "[a-z][a-z_.]{0,8}", rounds in 0usize..=ROUNDS,
        ) {
            let mut given = name.clone();
            for round in 0..rounds {
                given = if round == 0 {
                    given.bytes().flat_map(|byte| format!("%{byte:02x}").into_bytes()).map(char::from).collect()
                } else {
                    given.replace('%', "%25")
                };
            }
            prop_assert!(is_or_aliases(name.as_bytes(), given.as_bytes()), "{given}");
        }
    }
}
