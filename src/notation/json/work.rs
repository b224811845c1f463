//! The work of reading a JSON text, estimated before it is read. Whoever runs the gateway decides by
//! it where the text is read.
//!
//! The unit is a byte that SHA-256 hashes, half a nanosecond. A byte of a long string costs a
//! fiftieth of a number in a list, so what counts is the number of tokens and of escapes.

/// The length up to which a text is not looked at. The dearest text of this length takes 0.8
/// milliseconds.
const SHORT: usize = 128 * 1024;
/// The length from which a text is not looked at either: to count would itself take long, and the
/// length alone is 4 milliseconds of work.
const LONG: usize = 8 * 1024 * 1024;
/// The units of a quote, a comma, or the beginning of an object or array.
const MARK: u64 = 16;
/// The units of an escape.
const ESCAPE: u64 = 40;

/// The bytes of a piece, few enough that their number fits into a byte.
const PIECE: usize = 128;

/// The work of a pass over `text`, as a number of bytes that take as long to hash. White space, digits
/// and other bytes count a unit each. The dearest texts (lists of short numbers) cost some 1.7 times as
/// much.
pub(super) fn work(text: &[u8]) -> u64 {
    let bytes = text.len() as u64;
    if text.len() <= SHORT {
        return bytes;
    }
    let counted = if text.len() < LONG { text } else { &[] };
    let (mut marks, mut escapes) = (0_u64, 0_u64);
    for piece in counted.chunks(PIECE) {
        // An opening bracket is an opening brace but for a bit.
        marks += count(piece, |byte| {
            byte == b'"' || byte == b',' || byte | 0x20 == b'{'
        });
        escapes += count(piece, |byte| byte == b'\\');
    }
    bytes + marks * MARK + escapes * ESCAPE
}

/// The number of such bytes in a piece. Without branches and checks the compiler compares many bytes
/// at once; a piece is too short for the number to wrap.
fn count(piece: &[u8], is_such: impl Fn(u8) -> bool) -> u64 {
    let add = |number: u8, byte: &u8| number.wrapping_add(u8::from(is_such(*byte)));
    u64::from(piece.iter().fold(0, add))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_very_long_text_counts_by_its_length() {
        assert_eq!(work(&vec![b'"'; LONG]), LONG as u64);
    }

    proptest::proptest! {
        #[test]
        fn every_mark_and_escape_of_a_long_text_counts(
            text in proptest::collection::vec(proptest::num::u8::ANY, 0..2000),
            fill in proptest::num::u8::ANY,
        ) {
            let text = [vec![fill; SHORT], text].concat();
            let of = |kinds: &[u8]| text.iter().filter(|byte| kinds.contains(byte)).count() as u64;
            let expected = text.len() as u64 + of(b"\",[{") * MARK + of(b"\\") * ESCAPE;
            let expected = if text.len() > SHORT { expected } else { SHORT as u64 };
            proptest::prop_assert_eq!(work(&text), expected);
        }
    }
}
