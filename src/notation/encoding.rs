//! Strict hex, base64 and base64url, with one spelling for each value (schemes: Signature), and the form
//! of UUIDs.
//!
//! Strictness makes a signature's text and its bytes the same thing: no white space, no missing or
//! extra padding, no bits set after the last byte. Only [`Encoding::HexAny`] accepts two spellings
//! of a digit, and only [`Encoding::Base64UrlAny`] a text with its padding and without it. The length that a signature must have is not known here; callers compare the length
//! they get.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

/// A way to write bytes as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `hex`: lower case only.
    Hex,
    /// `hex-any`: digits of either case.
    HexAny,
    /// `base64`: the standard alphabet, padded.
    Base64,
    /// `base64url`: the URL-safe alphabet, not padded.
    Base64Url,
    /// `base64url-any`: the URL-safe alphabet, with the whole padding or without any.
    Base64UrlAny,
}

impl Encoding {
    /// Every encoding, in the order of the documentation.
    pub const ALL: [Self; 5] = [
        Self::Hex,
        Self::HexAny,
        Self::Base64,
        Self::Base64Url,
        Self::Base64UrlAny,
    ];

    /// The name of the encoding in a configuration file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::HexAny => "hex-any",
            Self::Base64 => "base64",
            Self::Base64Url => "base64url",
            Self::Base64UrlAny => "base64url-any",
        }
    }

    /// The encoding of this name; `None` if the name is unknown.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|encoding| encoding.name() == name)
    }

    /// Whether a text in this encoding may hold this byte.
    pub const fn may_hold(self, byte: u8) -> bool {
        match self {
            Self::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Self::HexAny => byte.is_ascii_hexdigit(),
            Self::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='),
            Self::Base64Url => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
            Self::Base64UrlAny => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=')
            }
        }
    }

    /// Writes `bytes` in the canonical spelling.
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex | Self::HexAny => hex::encode(bytes),
            Self::Base64 => STANDARD.encode(bytes),
            Self::Base64Url | Self::Base64UrlAny => URL_SAFE_NO_PAD.encode(bytes),
        }
    }

    /// Decodes all of `text` into the front of `out` and returns the number of bytes written. An
    /// `out` as long as `text` always has room. `None` if `text` is not a spelling of this
    /// encoding, or if `out` is too short; the content of `out` is unspecified then. Allocates
    /// nothing.
    pub fn decode(self, text: &[u8], out: &mut [u8]) -> Option<usize> {
        match self {
            Self::Hex => decode_hex(text, &LOWER, out),
            Self::HexAny => decode_hex(text, &EITHER, out),
            // Both engines demand canonical padding and zero trailing bits.
            Self::Base64 => STANDARD.decode_slice(text, out).ok(),
            Self::Base64UrlAny if text.ends_with(b"=") => URL_SAFE.decode_slice(text, out).ok(),
            Self::Base64Url | Self::Base64UrlAny => URL_SAFE_NO_PAD.decode_slice(text, out).ok(),
        }
    }
}

/// The value of each byte as a hexadecimal digit; [`NO_DIGIT`] for bytes that are no digit.
type Digits = [u8; 256];

const NO_DIGIT: u8 = 0xff;
static LOWER: Digits = digits(false);
static EITHER: Digits = digits(true);

#[expect(
    clippy::indexing_slicing,
    reason = "it runs while the program is compiled, where a wrong index is an error"
)]
const fn digits(with_capitals: bool) -> Digits {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value as usize];
        digits[digit as usize] = value;
        if with_capitals {
            digits[digit.to_ascii_uppercase() as usize] = value;
        }
        value += 1;
    }
    digits
}

/// Decodes pairs of digits. A table and a single judgement at the end take a quarter of the time of
/// the crate `hex`, which judges digit by digit.
fn decode_hex(text: &[u8], digits: &Digits, out: &mut [u8]) -> Option<usize> {
    let (pairs, rest) = text.as_chunks::<2>();
    let out = out.get_mut(..pairs.len())?;
    let value = |digit: u8| digits.get(usize::from(digit)).copied().unwrap_or(NO_DIGIT);
    let mut seen = 0;
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        let (high, low) = (value(*high), value(*low));
        seen |= high | low;
        *byte = high << 4 | low;
    }
    (rest.is_empty() && seen < 16).then_some(pairs.len())
}

/// Whether a text is a UUID as it is written (RFC 9562 4), in either case.
pub fn is_uuid(text: &[u8]) -> bool {
    let is_right = |(place, byte): (usize, &u8)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.iter().enumerate().all(is_right)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(encoding: Encoding, text: &[u8]) -> Option<Vec<u8>> {
        let mut out = [0; 64];
        encoding
            .decode(text, &mut out)
            .map(|len| out[..len].to_vec())
    }

    #[test]
    fn every_name_leads_back_to_its_encoding() {
        assert_eq!(
            Encoding::ALL.map(|e| Encoding::named(e.name())),
            Encoding::ALL.map(Some)
        );
        assert_eq!(Encoding::named("HEX"), None);
    }

    #[test]
    fn only_the_canonical_spelling_is_decoded() {
        use Encoding::{Base64, Base64Url, Base64UrlAny, Hex, HexAny};
        type Row = (&'static str, Encoding, &'static [u8], Option<&'static [u8]>);
        let rows: &[Row] = &[
            ("hex", Hex, b"00ff1a", Some(&[0, 255, 26])),
            ("hex: upper case", Hex, b"00FF1A", None),
            ("hex: mixed case", Hex, b"00fF1a", None),
            (
                "hex-any: mixed case",
                HexAny,
                b"00fF1A",
                Some(&[0, 255, 26]),
            ),
            ("hex: odd length", Hex, b"00f", None),
            ("hex: no digit", Hex, b"0g", None),
            ("hex: 0x in front", Hex, b"0x00", None),
            ("hex: a space", Hex, b"00 f", None),
            ("hex: quotes", Hex, b"\"0\"f", None),
            ("hex: full-width digit", Hex, "0\u{ff11}".as_bytes(), None),
            ("base64", Base64, b"+/8=", Some(&[0xfb, 0xff])),
            ("base64: padding missing", Base64, b"+/8", None),
            ("base64: padding added", Base64, b"+/8==", None),
            ("base64: a group of padding", Base64, b"+/8A====", None),
            ("base64: url alphabet", Base64, b"-_8=", None),
            ("base64: trailing bits set", Base64, b"+/9=", None),
            ("base64: line feed inside", Base64, b"+/\n8=", None),
            ("base64: space at the end", Base64, b"+/8= ", None),
            ("base64url", Base64Url, b"-_8", Some(&[0xfb, 0xff])),
            ("base64url: padded", Base64Url, b"-_8=", None),
            ("base64url: standard alphabet", Base64Url, b"+/8", None),
            ("base64url: trailing bits set", Base64Url, b"-_9", None),
            ("either", Base64UrlAny, b"-_8", Some(&[0xfb, 0xff])),
            ("either: padded", Base64UrlAny, b"-_8=", Some(&[0xfb, 0xff])),
            ("either: one byte", Base64UrlAny, b"-w==", Some(&[0xfb])),
            ("either: half a padding", Base64UrlAny, b"-w=", None),
            ("either: padding added", Base64UrlAny, b"-_8==", None),
            ("either: padding of nothing", Base64UrlAny, b"-_8A=", None),
            ("either: padding alone", Base64UrlAny, b"=", None),
            ("either: standard alphabet", Base64UrlAny, b"+/8=", None),
            ("either: trailing bits set", Base64UrlAny, b"-_9=", None),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(_, encoding, text, expected)| {
                decoded(*encoding, text).as_deref() != *expected
            })
            .map(|(name, ..)| name)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn a_text_longer_than_the_room_is_refused() {
        let bytes = [7; 64];
        for encoding in Encoding::ALL {
            let text = encoding.encode(&bytes);
            assert_eq!(
                encoding.decode(text.as_bytes(), &mut [0; 64]),
                Some(64),
                "{}",
                encoding.name()
            );
            assert_eq!(
                encoding.decode(text.as_bytes(), &mut [0; 63]),
                None,
                "{}",
                encoding.name()
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..=64)) {
            for encoding in Encoding::ALL {
                let text = encoding.encode(&bytes);
                prop_assert!(text.bytes().all(|byte| encoding.may_hold(byte)));
                prop_assert_eq!(decoded(encoding, encoding.encode(&bytes).as_bytes()), Some(bytes.clone()));
            }
        }

        #[test]
        fn what_decodes_is_the_spelling_that_encode_writes(text in "[A-Za-z0-9+/=_ -]{0,16}") {
            for encoding in [Encoding::Hex, Encoding::Base64, Encoding::Base64Url] {
                if let Some(bytes) = decoded(encoding, text.as_bytes()) {
                    prop_assert_eq!(encoding.encode(&bytes), text.clone());
                }
            }
        }

        #[test]
        fn hex_is_decoded_as_the_crate_hex_decodes_it(
            text in prop_oneof!["[0-9a-f]{0,70}", "[0-9a-fA-F]{0,70}", "[ -~]{0,4}"],
            wrong in any::<u8>(), at in any::<prop::sample::Index>(), room in 0..40_usize,
        ) {
            let mut bytes = text.into_bytes();
            for _ in 0..2 {
                let known = hex::decode(&bytes).ok().filter(|known| known.len() <= room);
                let is_lower = !bytes.iter().any(u8::is_ascii_uppercase);
                let mut out = vec![0; room];
                let mut read = |encoding: Encoding| {
                    let len = encoding.decode(&bytes, &mut out)?;
                    Some(out[..len].to_vec())
                };
                prop_assert_eq!(read(Encoding::HexAny), known.clone());
                prop_assert_eq!(read(Encoding::Hex), known.filter(|_| is_lower));
                // Once more with a byte that is probably no digit.
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = wrong;
                }
            }
        }

        #[test]
        fn a_text_is_taken_with_its_whole_padding_or_without_any(
            bytes in prop::collection::vec(any::<u8>(), 0..=48),
            more in 0_usize..5,
        ) {
            let bare = Encoding::Base64Url.encode(&bytes);
            let text = format!("{bare}{}", "=".repeat(more));
            let is_whole = more == 0 || more == (4 - bare.len() % 4) % 4;
            prop_assert_eq!(
                decoded(Encoding::Base64UrlAny, text.as_bytes()),
                is_whole.then_some(bytes)
            );
        }
    }
}
