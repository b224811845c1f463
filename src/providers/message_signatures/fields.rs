//! The structured fields of a signed message (RFC 9421 4.1 and 4.2, RFC 9530 2), read in the one
//! spelling that RFC 9651 section 4.1 gives them.
//!
//! The parameters are signed as they are received, so a text that could be written in another way must
//! not be read: no blanks but those of that spelling, no escapes, no numbers with leading zeros.

use std::str;

/// The most components of a signature.
const MOST_COMPONENTS: usize = 64;
/// The most digests of a body.
const MOST_DIGESTS: usize = 8;

/// The parameters of a signature (RFC 9421 2.3).
const PARAMETERS: [&str; 6] = ["created", "expires", "nonce", "alg", "keyid", "tag"];

/// The value of `Signature-Input` with a single signature.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Input<'t> {
    /// The label of the signature.
    pub(super) label: &'t str,
    /// The covered components.
    pub(super) components: Vec<&'t str>,
    /// The digits of the time of signing.
    pub(super) created: Option<&'t str>,
    /// The digits of the time at which the signature ends.
    pub(super) expires: Option<&'t str>,
    /// Components and parameters as received, which are signed.
    pub(super) signed: &'t str,
}

impl<'t> Input<'t> {
    /// Reads the text; `None` for another spelling, several signatures, a component twice or with
    /// parameters, and an unknown or repeated parameter.
    pub(super) fn parse(text: &'t [u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let (label, signed) = member(text)?;
        let (list, mut rest) = signed.strip_prefix('(')?.split_once(')')?;
        let mut components = Vec::new();
        for item in list.split(' ') {
            let name = item.strip_prefix('"')?.strip_suffix('"')?;
            let is_new = !components.contains(&name) && components.len() < MOST_COMPONENTS;
            if !is_component(name) || !is_new {
                return None;
            }
            components.push(name);
        }
        let (mut created, mut expires, mut seen) = (None, None, Vec::new());
        while !rest.is_empty() {
            let (name, behind) = rest.strip_prefix(';')?.split_once('=')?;
            if !PARAMETERS.contains(&name) || seen.contains(&name) {
                return None;
            }
            seen.push(name);
            rest = match name {
                "created" => number(behind, &mut created)?,
                "expires" => number(behind, &mut expires)?,
                _ => behind_text(behind)?,
            };
        }
        Some(Self {
            label,
            components,
            created,
            expires,
            signed,
        })
    }
}

/// The label and the bytes in a field that holds a single byte sequence under a label.
pub(super) fn labelled(text: &[u8]) -> Option<(&str, &str)> {
    let (label, rest) = member(str::from_utf8(text).ok()?)?;
    Some((label, sequence(rest)?))
}

/// The algorithms of `Content-Digest`, each with the base64 of its digest; `None` for another spelling
/// or an algorithm that is there twice.
pub(super) fn digests(text: &[u8]) -> Option<Vec<(&str, &str)>> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    for part in str::from_utf8(text).ok()?.split(',') {
        let part = if found.is_empty() {
            part
        } else {
            part.strip_prefix(' ').unwrap_or(part)
        };
        let (name, rest) = member(part)?;
        let is_new = found.iter().all(|(known, _)| *known != name) && found.len() < MOST_DIGESTS;
        if !is_new {
            return None;
        }
        found.push((name, sequence(rest)?));
    }
    Some(found)
}

/// A key of a dictionary, and its value.
fn member(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once('=')?;
    let is_first = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'*';
    let is_further =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte);
    let is_key = key.as_bytes().first().is_some_and(is_first) && key.bytes().all(is_further);
    is_key.then_some((key, value))
}

/// The base64 between the colons of a byte sequence.
fn sequence(text: &str) -> Option<&str> {
    text.strip_prefix(':')?.strip_suffix(':')
}

/// Whether a text is a component: a header's name in lower case, or a name behind `@`.
fn is_component(name: &str) -> bool {
    let header = name.strip_prefix('@').unwrap_or(name);
    let is_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !header.is_empty() && header.bytes().all(is_byte)
}

/// Takes the digits in front; what follows them.
fn number<'t>(text: &'t str, value: &mut Option<&'t str>) -> Option<&'t str> {
    let end = text.find(';').unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    *value = Some(digits);
    Some(rest)
}

/// What follows the string in front.
fn behind_text(text: &str) -> Option<&str> {
    let (value, rest) = text.strip_prefix('"')?.split_once('"')?;
    let is_plain = value
        .bytes()
        .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'\\');
    is_plain.then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_s_input_has_one_spelling() {
        let text = br#"sig-1=("@method" "content-digest");created=1;keyid="a b";expires=20"#;
        let input = Input::parse(text).unwrap();
        assert_eq!(input.label, "sig-1");
        assert_eq!(input.components, ["@method", "content-digest"]);
        assert_eq!((input.created, input.expires), (Some("1"), Some("20")));
        assert_eq!(
            input.signed,
            r#"("@method" "content-digest");created=1;keyid="a b";expires=20"#
        );
        for bad in [
            "",
            "sig",
            "Sig=(\"a\")",
            "1=(\"a\")",
            "sig=()",
            "sig=(\"a\"",
            "sig=( \"a\")",
            "sig=(\"a\" )",
            "sig=(\"a\"  \"b\")",
            "sig=(\"a\"\t\"b\")",
            "sig=(a)",
            "sig=(\"A\")",
            "sig=(\"\")",
            "sig=(\"@\")",
            "sig=(\"a\" \"a\")",
            "sig=(\"a\";sf)",
            "sig=(\"a\";key=\"b\")",
            "sig=(\"a\"), b=(\"a\")",
            "sig=(\"a\");created",
            "sig=(\"a\"); created=1",
            "sig=(\"a\");created=1;created=1",
            "sig=(\"a\");other=1",
            "sig=(\"a\");keyid=b",
            "sig=(\"a\");keyid=\"b",
            "sig=(\"a\");keyid=\"b\\\"\"",
            "sig=(\"a\");keyid=\"\u{e9}\"",
            "sig=(\"a\");keyid=\"b\" ",
            " sig=(\"a\")",
        ] {
            assert_eq!(Input::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn digests_and_signatures_are_byte_sequences_under_a_key() {
        assert_eq!(labelled(b"sig=:YQ==:"), Some(("sig", "YQ==")));
        assert_eq!(
            digests(b"sha-256=:YQ==:, sha-512=:Yg==:,md5=:Yw==:"),
            Some(vec![
                ("sha-256", "YQ=="),
                ("sha-512", "Yg=="),
                ("md5", "Yw==")
            ])
        );
        for bad in [
            "",
            "sha-256",
            "sha-256=YQ==",
            "sha-256=:YQ==",
            "SHA-256=:YQ==:",
            "sha-256=:YQ==:,",
            "sha-256=:YQ==:,  sha-512=:YQ==:",
            "sha-256=:YQ==: , sha-512=:YQ==:",
            "sha-256=:YQ==:, sha-256=:YQ==:",
            " sha-256=:YQ==:",
        ] {
            assert_eq!(digests(bad.as_bytes()), None, "{bad}");
        }
    }
}
