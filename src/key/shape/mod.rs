//! The look of a secret's text: marks around the secret, texts that keep its place, and other
//! values that were copied instead of it (contract: Secrets).
//!
//! The one table of such shapes: `check` warns of them, and `explain` names them for a delivery
//! that was refused. A shape is a suspicion, since the right secret is not known. Only well-known
//! beginnings are repeated in its words, never another byte of the text.

mod advice;
mod conceal;
mod field;
mod known;
mod placeholder;
mod prefixes;
mod published;
#[cfg(test)]
mod tests;

use memchr::memmem;

pub use self::conceal::{MASK, Suspicion, concealed, is_out_of_place, is_plain_path, suspects};
pub use self::field::{HIDDEN, is_plain_name, shown_target, shown_value, speaks_of_proof};
pub use self::known::{known_key, known_text, only_prefix, signing_prefix};
pub use self::published::published;
use super::public::PublicKey;

/// What a scheme takes for a secret, as far as its look is concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whether it takes shared secrets.
    pub shared: bool,
    /// Whether it takes public keys.
    pub public: bool,
    /// Whether the secret itself is sent, so that any credential may be right.
    pub is_credential: bool,
    /// The beginnings of this provider's secrets, which are taken for no other value.
    pub begins: Vec<String>,
}

/// The kinds of shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The secret is there, with bytes around it that are hardly part of it.
    Around,
    /// A text that keeps the place of a secret.
    Placeholder,
    /// A value of another kind.
    Other,
}

/// A suspicious look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A byte-order mark in front.
    ByteOrderMark,
    /// White space at an end; the words name it.
    Space(&'static str),
    /// White space between its ends.
    SpaceWithin,
    /// Quotation marks around it, typographic ones included.
    Quotes,
    /// `NAME=value`, a whole line of an `.env` file.
    Name,
    /// A backslash and an `n` where a PEM text has line feeds.
    EscapedNewlines,
    /// A word of `Authorization` in front.
    Authorization(&'static str),
    /// A text that keeps the place of a secret.
    Placeholder,
    /// The address of a secret, in the form of some program that would follow it.
    Address(&'static str),
    /// A private key.
    PrivateKey,
    /// A public key where a shared secret is wanted.
    PublicKey,
    /// No public key where one is wanted.
    NoPublicKey,
    /// A URL.
    Url,
    /// The path of a file.
    Path,
    /// A JSON text.
    Json,
    /// An API key with this beginning.
    ApiKey(&'static str),
    /// An id with this beginning.
    Id(&'static str),
    /// Digits alone, as ids are.
    Digits,
    /// A JSON Web Token.
    Jwt,
    /// The value of a signature header with this beginning.
    Signature(&'static str),
    /// The base64 of a whole secret with its prefix, as Kubernetes shows secrets.
    Encoded,
    /// Several secrets in one text.
    Several,
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Pairs of quotation marks.
const QUOTES: &[(&str, &str)] = &[
    ("\"", "\""),
    ("'", "'"),
    ("`", "`"),
    ("\u{201c}", "\u{201d}"),
    ("\u{201e}", "\u{201c}"),
    ("\u{201e}", "\u{201d}"),
    ("\u{201d}", "\u{201d}"),
    ("\u{201c}", "\u{201c}"),
    ("\u{2018}", "\u{2019}"),
    ("\u{201a}", "\u{2018}"),
    ("\u{201a}", "\u{2019}"),
    ("\u{2019}", "\u{2019}"),
    ("\u{ab}", "\u{bb}"),
    ("\u{bb}", "\u{ab}"),
    ("\u{2039}", "\u{203a}"),
    ("\u{300c}", "\u{300d}"),
    ("\u{ff02}", "\u{ff02}"),
    ("\u{ff07}", "\u{ff07}"),
    ("\u{2033}", "\u{2033}"),
];

/// White space that a text from a page or a chat may bring along, beside that of ASCII.
const SPACES: &[&str] = &[
    "\u{a0}", "\u{200b}", "\u{200c}", "\u{200d}", "\u{2009}", "\u{202f}", "\u{3000}", "\u{2060}",
];

/// The first thing that is wrong with what is around the secret; `None` for a plain text.
pub fn around(text: &[u8]) -> Option<Shape> {
    if text.starts_with(BYTE_ORDER_MARK) {
        return Some(Shape::ByteOrderMark);
    }
    let ends = |end: &str| text.ends_with(end.as_bytes());
    if ends("\r") || ends("\r\n") {
        return Some(Shape::Space(
            "ends with a carriage return (a CRLF line ending)",
        ));
    }
    if ends("\n") {
        return Some(Shape::Space("ends with a newline"));
    }
    let trimmed = trimmed(text);
    if text.len() != trimmed.len() {
        let is_behind = text.starts_with(trimmed);
        return Some(Shape::Space(if is_behind {
            "ends with white space"
        } else {
            "begins with white space"
        }));
    }
    if unquoted(text).is_some() {
        return Some(Shape::Quotes);
    }
    value_of_line(text).map(|_| Shape::Name)
}

/// The text without what is around it: byte-order mark, white space, quotation marks, `NAME=`.
pub fn bare(text: &[u8]) -> &[u8] {
    let text = trimmed(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text));
    let text = value_of_line(text).unwrap_or(text);
    unquoted(text).map_or(text, trimmed)
}

/// The text without white space at its ends, that of Unicode included.
fn trimmed(text: &[u8]) -> &[u8] {
    let mut text = text.trim_ascii();
    while let Some(rest) = SPACES.iter().find_map(|space| {
        let space = space.as_bytes();
        text.strip_prefix(space)
            .or_else(|| text.strip_suffix(space))
    }) {
        text = rest.trim_ascii();
    }
    text
}

/// The text between quotation marks; `None` where there are none around it.
pub fn unquoted(text: &[u8]) -> Option<&[u8]> {
    QUOTES.iter().find_map(|(open, close)| {
        text.strip_prefix(open.as_bytes())?
            .strip_suffix(close.as_bytes())
    })
}

/// The value of `NAME=value`, `export NAME=value` or `secret: value`; `None` for another text. The
/// padding of base64 is no value.
pub fn value_of_line(text: &[u8]) -> Option<&[u8]> {
    let line = ["export ", "set ", "$env:", "ENV "]
        .iter()
        .find_map(|word| text.strip_prefix(word.as_bytes()))
        .unwrap_or(text);
    let at = line.iter().position(|byte| matches!(byte, b'=' | b':'))?;
    let (name, behind) = line.split_at_checked(at)?;
    let name = std::str::from_utf8(name).ok()?.trim_end();
    let (sign, value) = behind.split_first()?;
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    let lower = name.to_ascii_lowercase();
    let says_secret = [
        "secret", "password", "token", "signing", "webhook", "_key", "-key",
    ]
    .iter()
    .any(|word| lower.contains(word));
    let is_variable =
        name.len() >= 3 && name.contains('_') && !name.contains(|c: char| c.is_ascii_lowercase());
    let fits = match sign {
        b'=' => is_variable || says_secret,
        _ => says_secret && value.starts_with(b" "),
    };
    let value = value.trim_ascii();
    let is_padding = !value.is_empty() && value.iter().all(|byte| *byte == b'=');
    (is_name && fits && !is_padding).then_some(value)
}

/// Every suspicious look of a text under a scheme: first that of what is around the secret, then
/// at most one of the secret itself.
pub fn of(text: &[u8], wanted: &Wanted) -> Vec<Shape> {
    let is_public = wanted.public && PublicKey::looks_public(text);
    let around = if is_public { None } else { around(text) };
    let within = bare(text);
    let own = of_bare(within, wanted);
    let has_space = !is_public && own.is_none() && has_space(within);
    around
        .into_iter()
        .chain(has_space.then_some(Shape::SpaceWithin))
        .chain(own)
        .collect()
}

/// Whether white space is somewhere in the text, that of Unicode included.
fn has_space(text: &[u8]) -> bool {
    let is_there = |space: &&str| memmem::find(text, space.as_bytes()).is_some();
    text.iter().any(u8::is_ascii_whitespace) || SPACES.iter().any(is_there)
}

/// The look of the secret itself; `text` has nothing around it.
fn of_bare(text: &[u8], wanted: &Wanted) -> Option<Shape> {
    let is_pem = text.starts_with(b"-----BEGIN ");
    let is_private_pem = is_pem && memmem::find(text, b"PRIVATE KEY").is_some();
    if text.starts_with(b"whsk_")
        || text.starts_with(b"v1a,whsk_")
        || is_private_pem
        || text.starts_with(b"AGE-SECRET-KEY-")
    {
        return Some(Shape::PrivateKey);
    }
    if is_pem && memmem::find(text, b"\\n").is_some() && memmem::find(text, b"\n").is_none() {
        return Some(Shape::EscapedNewlines);
    }
    let text = text.strip_prefix(b"v1a,".as_slice()).unwrap_or(text);
    let is_ssh = text.starts_with(b"ssh-rsa ") || text.starts_with(b"ssh-ed25519 ");
    if (text.starts_with(b"whpk_") || is_pem || is_ssh) && wanted.shared && !wanted.public {
        return Some(Shape::PublicKey);
    }
    let is_own = |begin: &String| text.starts_with(begin.as_bytes());
    let is_own = wanted.begins.iter().any(is_own);
    let shape = foreign(text).filter(|shape| {
        let is_token = matches!(
            shape,
            Shape::ApiKey(_) | Shape::Id(_) | Shape::Digits | Shape::Jwt | Shape::Authorization(_)
        );
        !(is_token && (is_own || wanted.is_credential))
    });
    if wanted.public && !wanted.shared {
        let is_key = PublicKey::parse_all(text).is_ok();
        let is_shared = text.starts_with(b"whsec_") || !PublicKey::looks_public(text);
        return shape
            .filter(|_| !is_key)
            .or((is_shared && !is_key).then_some(Shape::NoPublicKey));
    }
    if wanted.public && PublicKey::looks_public(text) {
        return None;
    }
    shape
}

/// The look of a text that is neither a public nor a private key.
fn foreign(text: &[u8]) -> Option<Shape> {
    use prefixes::found;
    let begins = |word: &str| text.starts_with(word.as_bytes());
    if let Some(prefix) = found(text, prefixes::ADDRESSES) {
        return Some(Shape::Address(prefix));
    }
    if begins("https://") || begins("http://") || begins("wss://") {
        return Some(Shape::Url);
    }
    if found(text, prefixes::FOLDERS).is_some() {
        return Some(Shape::Path);
    }
    if begins("{") && text.ends_with(b"}") && memmem::find(text, b"\":").is_some() {
        return Some(Shape::Json);
    }
    if is_placeholder_of_secret(text) {
        return Some(Shape::Placeholder);
    }
    if let Some(prefix) = found(text, prefixes::AUTHORIZATION) {
        return Some(Shape::Authorization(prefix));
    }
    let is_signing = found(text, prefixes::SIGNING).is_some();
    if is_several(text) {
        return Some(Shape::Several);
    }
    if let Some(prefix) = found(text, prefixes::SIGNATURES).filter(|_| !is_signing) {
        return Some(Shape::Signature(prefix));
    }
    if begins("eyJ") && text.split(|byte| *byte == b'.').count() == 3 {
        return Some(Shape::Jwt);
    }
    if let Some(prefix) = found(text, prefixes::API_KEYS) {
        return Some(Shape::ApiKey(prefix));
    }
    let is_sid = |prefix: &str| {
        let rest = text.strip_prefix(prefix.as_bytes()).unwrap_or_default();
        rest.len() == 32 && rest.iter().all(u8::is_ascii_hexdigit)
    };
    if is_sid("SK") {
        return Some(Shape::ApiKey("SK"));
    }
    if is_sid("AC") {
        return Some(Shape::Id("AC"));
    }
    // Mailgun's API key; its signing key has no beginning.
    if is_sid("key-") {
        return Some(Shape::ApiKey("key-"));
    }
    // Slack's ids of applications, workspaces, users and channels.
    let is_of_slack = |prefix: &&str| {
        let is_digit = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
        begins(prefix) && (9..=12).contains(&text.len()) && text.iter().all(is_digit)
    };
    if let Some(prefix) = ["A0", "T0", "U0", "C0", "E0", "W0", "B0"]
        .into_iter()
        .find(is_of_slack)
    {
        return Some(Shape::Id(prefix));
    }
    let is_id = |prefix: &&str| {
        let rest = text.strip_prefix(prefix.as_bytes()).unwrap_or_default();
        rest.iter().all(u8::is_ascii_alphanumeric) && rest.iter().any(u8::is_ascii_digit)
    };
    if let Some(prefix) = found(text, prefixes::IDS).filter(is_id) {
        return Some(Shape::Id(prefix));
    }
    if !text.is_empty() && text.len() <= 20 && text.iter().all(u8::is_ascii_digit) {
        return Some(Shape::Digits);
    }
    // The base64 of `whsec_`.
    begins("d2hzZWNf").then_some(Shape::Encoded)
}

/// Whether the text keeps the place of a value, by a mark or words that no value has: `…`, `<…>`,
/// `your_…`, `changeme`, `example`.
pub fn keeps_place(text: &str) -> bool {
    placeholder::is_marked(text)
}

/// Whether the text keeps the place of a value, also by being a common word or a run of digits.
pub fn is_placeholder(text: &str) -> bool {
    placeholder::is_placeholder(text, text)
}

fn is_placeholder_of_secret(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let prefix = prefixes::found(text.as_bytes(), prefixes::SIGNING).unwrap_or_default();
    let rest = text.strip_prefix(prefix).unwrap_or(text);
    placeholder::is_placeholder(text, rest)
}

/// Whether the text is a list: each part has the beginning of a signing secret, or there are lines.
fn is_several(text: &[u8]) -> bool {
    let separators = [b',', b';', b'|', b' ', b'\t', b'\n', b'\r'];
    let parts = |separator: &[u8]| {
        let text = text.strip_prefix(b"v1,").unwrap_or(text);
        let marked = text
            .split(|byte| separator.contains(byte))
            .map(<[u8]>::trim_ascii)
            .filter(|part| !part.is_empty())
            .filter(|part| prefixes::found(part, prefixes::SIGNING).is_some());
        marked.count()
    };
    let lines = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty());
    parts(&separators) > 1 || (!text.starts_with(b"-----BEGIN ") && lines.count() > 1)
}
