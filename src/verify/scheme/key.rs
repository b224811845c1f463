//! From a secret's text to key bytes (SCHEMES 1, `key`).

use zeroize::Zeroizing;

use super::{KeyEncoding, KeyForm};
use crate::verify::encoding::Encoding;
use crate::verify::secret::SecretText;

impl KeyForm {
    /// The key that `text` stands for; wiped on drop.
    ///
    /// # Errors
    /// Says, without a byte of the text, why it is no key of this form: it cannot be decoded, or nothing is left. An
    /// empty key would let anybody sign.
    pub fn key(&self, text: &SecretText) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        let text = text.expose();
        if text.is_empty() {
            return Err("the secret is empty");
        }
        let prefix = self.strip.as_deref().unwrap_or_default();
        let text = text.strip_prefix(prefix.as_bytes()).unwrap_or(text);
        let key = match self.encoding {
            KeyEncoding::Utf8 => Zeroizing::new(text.to_vec()),
            KeyEncoding::Base64 => decoded(Encoding::Base64, text)
                .ok_or("the secret is not base64: the standard alphabet, padded with `=`, no white space")?,
            KeyEncoding::Hex => decoded(Encoding::HexAny, text)
                .ok_or("the secret is not hexadecimal: an even number of digits, no white space")?,
        };
        if key.is_empty() { Err("the secret holds no key behind its prefix") } else { Ok(key) }
    }
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

    #[test]
    fn a_secret_becomes_the_key_its_form_says_or_a_fault() {
        use KeyEncoding::{Base64, Hex, Utf8};
        type Row = (&'static str, KeyEncoding, Option<&'static str>, &'static str, Option<&'static [u8]>);
        let rows: &[Row] = &[
            ("text as it is", Utf8, None, "whsec_a ", Some(b"whsec_a ")),
            ("text without its prefix", Utf8, Some("whsec_"), "whsec_a", Some(b"a")),
            ("a prefix that is not there", Utf8, Some("whsec_"), "a", Some(b"a")),
            ("the prefix goes once", Utf8, Some("a"), "aab", Some(b"ab")),
            ("nothing at all", Utf8, None, "", None),
            ("only the prefix", Utf8, Some("whsec_"), "whsec_", None),
            ("base64", Base64, None, "AP8=", Some(&[0, 255])),
            ("base64 behind a prefix", Base64, Some("whsec_"), "whsec_AP8=", Some(&[0, 255])),
            ("base64 with its prefix left on", Base64, None, "whsec_AP8=", None),
            ("base64 without padding", Base64, None, "AP8", None),
            ("base64 with a newline", Base64, None, "AP8=\n", None),
            ("hex of either case", Hex, None, "00fF", Some(&[0, 255])),
            ("hex of odd length", Hex, None, "00f", None),
            ("no hex", Hex, None, "secret", None),
        ];
        let mut wrong = Vec::new();
        for (name, encoding, strip, text, expected) in rows {
            let form = KeyForm { encoding: *encoding, strip: strip.map(str::to_owned) };
            let key = form.key(&SecretText::new(text.as_bytes().to_vec()));
            if key.as_ref().ok().map(|key| key.as_slice()) != *expected {
                wrong.push((name, key));
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
