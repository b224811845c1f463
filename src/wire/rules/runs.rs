//! Runs of bytes of the same kind, counted sixteen at a time with vector instructions: tokens, which
//! are the names of headers (RFC 9110 5.6.2), and text without control bytes (contract: Head).

use wide::u8x16;

use super::is_token_byte;

/// The bytes that are judged together.
const TOGETHER: usize = 16;

/// The number of bytes at the start of `bytes` that are allowed in a token.
#[inline]
pub(in crate::wire) fn token_length(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    loop {
        while let Some((group, behind)) = rest.split_first_chunk() {
            let usual = usual_bytes(*group);
            if usual < TOGETHER {
                rest = rest.get(usual..).unwrap_or_default();
                break;
            }
            rest = behind;
        }
        // The next byte ends the token, or is a byte that few tokens hold, or is near the end.
        match rest {
            [byte, after @ ..] if is_token_byte(*byte) => rest = after,
            _ => return bytes.len() - rest.len(),
        }
    }
}

/// The number of bytes at the start of `bytes` that are no control bytes.
#[inline]
pub(in crate::wire) fn text_length(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((group, behind)) = rest.split_first_chunk() {
        let text = text_bytes(*group);
        if text < TOGETHER {
            return bytes.len() - rest.len() + text;
        }
        rest = behind;
    }
    while let [byte, after @ ..] = rest
        && !byte.is_ascii_control()
    {
        rest = after;
    }
    bytes.len() - rest.len()
}

/// The number of bytes at the start of `group` that are no control bytes.
#[inline]
fn text_bytes(group: [u8; TOGETHER]) -> usize {
    let bytes = u8x16::new(group);
    let is_low = bytes.min(u8x16::splat(b' ' - 1)).simd_eq(bytes);
    let is_delete = bytes.simd_eq(u8x16::splat(0x7f));
    first(is_low | is_delete)
}

/// The number of bytes at the start of `group` that are letters, digits or `-`.
#[inline]
fn usual_bytes(group: [u8; TOGETHER]) -> usize {
    let bytes = u8x16::new(group);
    let is_up_to = |from: u8x16, first: u8, last: u8| {
        let place = from - u8x16::splat(first);
        place.min(u8x16::splat(last - first)).simd_eq(place)
    };
    let is_letter = is_up_to(bytes | u8x16::splat(b' '), b'a', b'z');
    let is_digit = is_up_to(bytes, b'0', b'9');
    let is_dash = bytes.simd_eq(u8x16::splat(b'-'));
    first(!(is_letter | is_digit | is_dash))
}

/// The place of the first byte of ones among bytes of zeros; [`TOGETHER`] without such a byte.
#[inline]
fn first(marks: u8x16) -> usize {
    (marks.to_bitmask() | 1 << TOGETHER).trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_byte_is_judged_at_each_place() {
        for byte in 0..=u8::MAX {
            for place in 0..TOGETHER {
                let mut word = *b"Ab9-zZ0-kY5-aq1-";
                word[place] = byte;
                let is_usual = byte.is_ascii_alphanumeric() || byte == b'-';
                assert_eq!(
                    usual_bytes(word),
                    if is_usual { TOGETHER } else { place },
                    "{byte} at {place}"
                );
                let is_text = !byte.is_ascii_control();
                assert_eq!(
                    text_bytes(word),
                    if is_text { TOGETHER } else { place },
                    "{byte} at {place}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn text_ends_where_the_first_control_byte_is(
            text in "[ -~\u{80}-\u{ff}]{0,40}", rest in prop::collection::vec(any::<u8>(), 0..20)
        ) {
            let bytes = [text.as_bytes(), &rest].concat();
            let plain = bytes.iter().take_while(|byte| !byte.is_ascii_control()).count();
            prop_assert_eq!(text_length(&bytes), plain);
        }

        #[test]
        fn a_token_ends_where_the_first_other_byte_is(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                "[A-Za-z0-9!#$%&'*+.^_`|~-]{0,40}[: (]?[a-z]{0,9}".prop_map(String::into_bytes),
            ]
        ) {
            let plain = bytes.iter().take_while(|byte| is_token_byte(**byte)).count();
            prop_assert_eq!(token_length(&bytes), plain);
        }
    }
}
