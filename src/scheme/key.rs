//! The way from a secret's text to the bytes of a key (schemes: Keys and secrets).

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::{KeyEncoding, KeyForm};
use crate::key::secret::SecretText;
use crate::notation::encoding::Encoding;

impl KeyForm {
    /// The key that is made from `text`; wiped on drop.
    ///
    /// # Errors
    /// Why `text` is not a key of this form, without a byte of the text: its prefix is missing, it
    /// cannot be decoded, or nothing is left of it. An empty key is refused since anybody could
    /// sign with it.
    pub fn key(&self, text: &SecretText) -> Result<Zeroizing<Vec<u8>>, Cow<'static, str>> {
        let text = text.expose();
        if text.is_empty() {
            return Err("the secret is empty".into());
        }
        let text = match self.stripped(text) {
            Some(rest) => rest,
            None if self.strip_required => {
                let prefix = self.strip.as_deref().unwrap_or_default();
                return Err(format!(
                    "the secret does not begin with `{prefix}`, as every secret of this scheme does"
                )
                .into());
            }
            None => text,
        };
        let rest = self.without_first(text);
        let text = rest.as_ref().map_or(text, |rest| rest.as_slice());
        let key = match self.encoding {
            KeyEncoding::Utf8 => Zeroizing::new(text.to_vec()),
            KeyEncoding::Utf8Nfkd => decomposed(text).ok_or("the secret is not UTF-8 text")?,
            KeyEncoding::Base64 => decoded(Encoding::Base64, text).ok_or(
                "the secret is not base64: the standard alphabet, padded with `=`, no white space",
            )?,
            KeyEncoding::Hex => decoded(Encoding::HexAny, text)
                .ok_or("the secret is not hexadecimal: an even number of digits, no white space")?,
        };
        if key.is_empty() {
            Err("the secret holds no key behind its prefix".into())
        } else {
            Ok(key)
        }
    }
}

impl KeyForm {
    /// The text without the first occurrence of what the form leaves out; `None` where there is
    /// nothing to leave out.
    fn without_first(&self, text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let dropped = self.drop_first.as_ref()?.as_bytes();
        let at = memchr::memmem::find(text, dropped)?;
        let (before, rest) = text.split_at_checked(at)?;
        let behind = rest.get(dropped.len()..)?;
        // The vector has its full length from the start, so that nothing is copied and left.
        let mut kept = Zeroizing::new(Vec::with_capacity(text.len()));
        kept.extend_from_slice(before);
        kept.extend_from_slice(behind);
        Some(kept)
    }
}

/// The text's compatibility decomposition; `None` where it is not UTF-8.
fn decomposed(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(text).ok()?;
    // The vector has its full length from the start: growing would leave copies of the secret in
    // memory that nobody wipes.
    let mut key = Zeroizing::new(Vec::with_capacity(text.nfkd().map(char::len_utf8).sum()));
    for c in text.nfkd() {
        key.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(key)
}

fn decoded(encoding: Encoding, text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut key = Zeroizing::new(vec![0; text.len()]);
    let len = encoding.decode(text, &mut key)?;
    key.truncate(len);
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::digest::DigestAlgorithm;

    #[test]
    fn a_secret_becomes_the_key_its_form_says_or_a_fault() {
        use KeyEncoding::{Base64, Hex, Utf8, Utf8Nfkd};
        type Row = (
            &'static str,
            KeyEncoding,
            Option<&'static str>,
            &'static str,
            Option<&'static [u8]>,
        );
        let rows: &[Row] = &[
            ("text as it is", Utf8, None, "whsec_a ", Some(b"whsec_a ")),
            (
                "text without its prefix",
                Utf8,
                Some("whsec_"),
                "whsec_a",
                Some(b"a"),
            ),
            (
                "a prefix that is not there",
                Utf8,
                Some("whsec_"),
                "a",
                Some(b"a"),
            ),
            ("the prefix goes once", Utf8, Some("a"), "aab", Some(b"ab")),
            ("nothing at all", Utf8, None, "", None),
            ("only the prefix", Utf8, Some("whsec_"), "whsec_", None),
            ("base64", Base64, None, "AP8=", Some(&[0, 255])),
            (
                "base64 behind a prefix",
                Base64,
                Some("whsec_"),
                "whsec_AP8=",
                Some(&[0, 255]),
            ),
            (
                "base64 with its prefix left on",
                Base64,
                None,
                "whsec_AP8=",
                None,
            ),
            ("base64 without padding", Base64, None, "AP8", None),
            ("base64 with a newline", Base64, None, "AP8=\n", None),
            ("hex of either case", Hex, None, "00fF", Some(&[0, 255])),
            ("hex of odd length", Hex, None, "00f", None),
            ("no hex", Hex, None, "secret", None),
            (
                "decomposed: plain",
                Utf8Nfkd,
                None,
                "secret ",
                Some(b"secret "),
            ),
            (
                "decomposed: composed",
                Utf8Nfkd,
                None,
                "s\u{e9}cret",
                Some(b"se\xcc\x81cret"),
            ),
            (
                "decomposed: already so",
                Utf8Nfkd,
                None,
                "se\u{301}cret",
                Some(b"se\xcc\x81cret"),
            ),
            (
                "decomposed: marks in canonical order",
                Utf8Nfkd,
                None,
                "a\u{301}\u{323}",
                Some("a\u{323}\u{301}".as_bytes()),
            ),
            (
                "decomposed: compatibility",
                Utf8Nfkd,
                None,
                "\u{fb01}\u{2460}\u{ff41}\u{a0}",
                Some(b"fi1a "),
            ),
            (
                "decomposed: hangul",
                Utf8Nfkd,
                None,
                "\u{d55c}",
                Some("\u{1112}\u{1161}\u{11ab}".as_bytes()),
            ),
            (
                "decomposed: behind a prefix",
                Utf8Nfkd,
                Some("whsec_"),
                "whsec_\u{e9}",
                Some(b"e\xcc\x81"),
            ),
            (
                "decomposed: eighteen for one",
                Utf8Nfkd,
                None,
                "\u{fdfa}",
                Some("صلى الله عليه وسلم".as_bytes()),
            ),
        ];
        let mut wrong = Vec::new();
        for (name, encoding, strip, text, expected) in rows {
            let form = KeyForm {
                encoding: *encoding,
                strip: strip.map(str::to_owned),
                ..KeyForm::default()
            };
            let key = form.key(&SecretText::new(text.as_bytes().to_vec()));
            if key.as_ref().ok().map(|key| key.as_slice()) != *expected {
                wrong.push((name, key));
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn a_text_that_is_not_utf_8_cannot_be_decomposed() {
        let form = KeyForm {
            encoding: KeyEncoding::Utf8Nfkd,
            ..KeyForm::default()
        };
        for bytes in [&b"\xff"[..], b"secret\xc0\xae", b"\xed\xa0\x80"] {
            assert_eq!(
                form.key(&SecretText::new(bytes.to_vec())),
                Err("the secret is not UTF-8 text".into())
            );
        }
    }

    #[test]
    fn the_key_that_easypost_documents_is_the_decomposed_secret() {
        // The body and the signature are from the tests of EasyPost's client libraries, which all
        // have the same.
        let body = r#"{"result":{"id":"batch_123...","object":"Batch","mode":"test","state":"created","num_shipments":0,"reference":null,"created_at":"2022-07-26T17:22:32Z","updated_at":"2022-07-26T17:22:32Z","scan_form":null,"shipments":[],"status":{"created":0,"queued_for_purchase":0,"creation_failed":0,"postage_purchased":0,"postage_purchase_failed":0},"pickup":null,"label_url":null},"description":"batch.created","mode":"test","previous_attributes":null,"completed_urls":null,"user_id":"user_123...","status":"pending","object":"Event","id":"evt_123..."}"#;
        let signature =
            hex::decode("e93977c8ccb20363d51a62b3fe1fc402b7829be1152da9e88cf9e8d07115a46b")
                .unwrap();
        let verifies = |encoding| {
            let form = KeyForm {
                encoding,
                ..KeyForm::default()
            };
            let mut mac = DigestAlgorithm::HmacSha256
                .mac(&form.key(&SecretText::new("s\u{e9}cret".into())).unwrap());
            mac.update(body.as_bytes());
            mac.verify(&signature)
        };
        assert!(verifies(KeyEncoding::Utf8Nfkd));
        assert!(!verifies(KeyEncoding::Utf8));
    }

    #[test]
    fn a_prefix_that_is_required_is_named_where_it_is_missing() {
        let form = KeyForm {
            encoding: KeyEncoding::Base64,
            strip: Some("whsec_".into()),
            strip_required: true,
            ..KeyForm::default()
        };
        let key = |text: &str| form.key(&SecretText::new(text.into()));
        assert_eq!(key("whsec_AP8=").unwrap().as_slice(), [0, 255]);
        // The first text is valid base64 without the prefix; the key made from it would not be the
        // provider's.
        for text in ["AP8=", "WHSEC_AP8=", " whsec_AP8=", "whsec", "tops3cret"] {
            let why = key(text).unwrap_err();
            assert!(
                why.contains("`whsec_`") && !why.contains("AP8=") && !why.contains("s3cret"),
                "{why}"
            );
        }
        assert_eq!(
            key("whsec_"),
            Err("the secret holds no key behind its prefix".into())
        );
        assert_eq!(key(""), Err("the secret is empty".into()));
    }

    #[test]
    fn the_first_occurrence_of_a_text_is_left_out() {
        let form = KeyForm {
            drop_first: Some("-".into()),
            ..KeyForm::default()
        };
        let rows = [
            (
                "3b4a9a0e-1111-4222-8333-444455556666",
                "3b4a9a0e1111-4222-8333-444455556666",
            ),
            ("ab", "ab"),
            ("-ab-", "ab-"),
            ("ab-", "ab"),
        ];
        for (text, expected) in rows {
            let key = form.key(&SecretText::new(text.into())).unwrap();
            assert_eq!(key.as_slice(), expected.as_bytes(), "{text}");
        }
        assert!(form.key(&SecretText::new("-".into())).is_err());
    }
}
