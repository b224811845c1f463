//! What a provider's scheme says, as data: the one struct that presets and `[route.scheme]` both become (SCHEMES 1).
//!
//! What a scheme must not say is in [`faults`]; this file holds what it can say, and what follows from it.

pub mod algorithm;
pub mod faults;
pub mod key;
pub mod public_url;
pub mod template;

#[cfg(test)]
pub(crate) mod fixtures;

pub use algorithm::Algorithm;
pub use faults::SchemeFault;
pub use public_url::PublicUrl;
pub use template::{Part, Template, TemplateProblem};

use super::encoding::Encoding;
pub use super::timestamp::Tolerance;
use super::timestamp::Unit;
use crate::wire::head::FieldName;

/// How deliveries of one provider are signed, and where their parts are found.
#[derive(Clone, Debug)]
pub struct Scheme {
    /// The provider's name: a preset's id, or `custom` for `[route.scheme]`.
    pub provider: String,
    /// Whether this is one of our presets (SPEC 4: its own id place is trusted not to be a wrong pointer).
    pub preset: bool,
    /// The signature's algorithm; never taken from the wire.
    pub algorithm: Algorithm,
    /// The signed content.
    pub signed: Template,
    /// `covers_body`: false allows a template without `{body}`, so a body that nothing authenticates.
    pub covers_body: bool,
    /// How the secret's text becomes the key.
    pub key: KeyForm,
    /// Where the signature stands.
    pub signature: SignaturePlace,
    /// Where the timestamp stands; `None` where the scheme has none.
    pub timestamp: Option<TimestampPlace>,
    /// How far in the past a timestamp may be; a route may override it. `Off` judges none.
    pub tolerance: Tolerance,
    /// How far in the future; by default the same.
    pub future_tolerance: Tolerance,
    /// Headers that must be there with exactly this value, else `malformed_signature`.
    pub require: Vec<(FieldName, Vec<u8>)>,
    /// The event's id.
    pub event_id: Option<Place>,
    /// Whether a delivery without an id is refused.
    pub event_id_required: bool,
    /// The event's kind.
    pub event_type: Option<Place>,
    /// Whose event it is.
    pub account: Option<Place>,
}

impl Scheme {
    /// Whether the signature covers the event id (SPEC 4): a header that occurs in `signed`, or a place in a signed body.
    /// False where the scheme has no id.
    pub fn id_is_signed(&self) -> bool {
        self.is_signed(self.event_id.as_ref())
    }

    /// Whether the signature covers the event type; false where the scheme has none.
    pub fn event_type_is_signed(&self) -> bool {
        self.is_signed(self.event_type.as_ref())
    }

    /// Whether the scheme has a timestamp and the signature covers it: only then may replay protection rest on it.
    pub fn signs_timestamp(&self) -> bool {
        let signed = |place: &TimestampPlace| {
            self.signed.parts().contains(&Part::Timestamp) || self.header_is_signed(&place.header)
        };
        self.timestamp.as_ref().is_some_and(signed)
    }

    fn is_signed(&self, place: Option<&Place>) -> bool {
        match place {
            None => false,
            Some(Place::Header(name)) => self.header_is_signed(name),
            Some(Place::Json(_)) => self.signed.covers_body(),
        }
    }

    /// Whether a header's value is part of the signed content, under whatever name the template calls it.
    fn header_is_signed(&self, name: &FieldName) -> bool {
        self.signed.parts().iter().any(|part| match part {
            Part::Header(signed) => signed == name,
            Part::Id => matches!(&self.event_id, Some(Place::Header(id)) if id == name),
            Part::Timestamp => self.timestamp.as_ref().is_some_and(|place| place.header == *name),
            _ => false,
        })
    }
}

/// What a route decides of its scheme's use: its own values, or the scheme's where it has none.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How far in the past a timestamp may be.
    pub tolerance: Tolerance,
    /// How far in the future.
    pub future_tolerance: Tolerance,
    /// The URL that the provider signed, where the scheme signs it.
    pub public_url: Option<String>,
}

/// How the secret's text becomes key bytes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct KeyForm {
    /// How what is left after `strip` is decoded.
    pub encoding: KeyEncoding,
    /// A prefix removed first where it is there (`whsec_`).
    pub strip: Option<String>,
    /// Set by `required = true`: a secret without that prefix is refused. Means nothing without `strip`.
    pub strip_required: bool,
}

/// The encodings a secret may be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KeyEncoding {
    /// The text's own bytes.
    #[default]
    Utf8,
    /// `utf8-nfkd`: the UTF-8 bytes of the text's compatibility decomposition (Unicode Standard Annex 15).
    Utf8Nfkd,
    /// Standard base64, padded.
    Base64,
    /// Hexadecimal digits of either case.
    Hex,
}

/// Where the signature stands and how it is written.
#[derive(Clone, Debug)]
pub struct SignaturePlace {
    /// The header that carries it.
    pub header: FieldName,
    /// How its bytes are written.
    pub encoding: Encoding,
    /// Text before it: exact, case-sensitive, required when given.
    pub prefix: String,
}

/// Where the timestamp stands and how it is written.
#[derive(Clone, Debug)]
pub struct TimestampPlace {
    /// The header that carries it.
    pub header: FieldName,
    /// Its unit.
    pub unit: Unit,
    /// When the provider makes it.
    pub stamped: Stamped,
    /// Set by `unsigned = true`: nothing signs it, so it may only refuse, and replay treats the scheme as one without.
    pub unsigned: bool,
}

/// When a provider makes its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Stamped {
    /// Not documented.
    #[default]
    Unknown,
    /// For each attempt anew.
    Attempt,
    /// Once for the event: honest retries carry the old one.
    Event,
}

/// A place in a delivery that holds an id, a type or an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A header's value.
    Header(FieldName),
    /// JSON pointers (RFC 6901) into the body; several are joined unambiguously.
    Json(Vec<Pointer>),
}

/// A JSON pointer (RFC 6901), split and unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The reference tokens, `~0` and `~1` already undone.
    pub tokens: Vec<String>,
}

impl Pointer {
    /// The token that stands for each element of an array, where a place may be many.
    pub const EACH: &'static str = "*";

    /// Parses `/a/b~1c`; `/` alone points at the key that is the empty string. `None` where the text is no pointer, or
    /// is the empty one: the whole document is no id.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('/')?;
        let tokens = rest.split('/').map(unescape).collect::<Option<Vec<_>>>()?;
        Some(Self { tokens })
    }

    /// Whether a token is `*`, so that the pointer can name each element of an array. To RFC 6901 that is a key like any
    /// other, and it has no escape for it; what is meant is for the place to say that the pointer is read for.
    pub fn is_each(&self) -> bool {
        self.tokens.iter().any(|token| token == Self::EACH)
    }
}

/// Undoes `~1` and `~0`; `None` for any other use of a tilde.
fn unescape(token: &str) -> Option<String> {
    let mut out = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '~' => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::fixtures;
    use super::*;

    #[test]
    fn en_14_a_pointer_is_split_and_unescaped_by_rfc_6901() {
        let rows: &[(&str, Option<&[&str]>)] = &[
            ("", None),
            ("a", None),
            ("a/b", None),
            ("#/a", None),
            ("/", Some(&[""])),
            ("//", Some(&["", ""])),
            ("/a", Some(&["a"])),
            ("/a/", Some(&["a", ""])),
            ("/a/0/b", Some(&["a", "0", "b"])),
            ("/a~1b", Some(&["a/b"])),
            ("/m~0n", Some(&["m~n"])),
            ("/~01", Some(&["~1"])),
            ("/~10", Some(&["/0"])),
            ("/~", None),
            ("/~2", None),
            ("/a~/b", None),
            ("/__proto__/constructor", Some(&["__proto__", "constructor"])),
            ("/ / \"/\\", Some(&[" ", " \"", "\\"])),
            ("/caf\u{e9}", Some(&["caf\u{e9}"])),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(text, tokens)| {
                Pointer::parse(text).map(|p| p.tokens) != tokens.map(|t| t.iter().map(ToString::to_string).collect())
            })
            .map(|(text, _)| text)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn what_is_signed_follows_from_the_template() {
        let json = || Some(Place::Json(vec![Pointer::parse("/id").unwrap()]));
        let header = |name| Some(Place::Header(FieldName::new(name).unwrap()));
        let rows = [
            ("a place in a signed body", "{body}", json(), true),
            ("a place in an unsigned body", "{timestamp}", json(), false),
            ("a header by {id}", "{id}.{body}", header("x-id"), true),
            ("a header by its name", "{header:X-Id}.{body}", header("x-id"), true),
            ("the timestamp's header", "{timestamp}.{body}", header("x-timestamp"), true),
            ("another header", "{header:X-Other}.{body}", header("x-id"), false),
            ("none", "{body}", None, false),
        ];
        let mut wrong = Vec::new();
        for (name, template, place, expected) in rows {
            let scheme = Scheme { event_id: place, ..fixtures::timestamped(template) };
            if scheme.id_is_signed() != expected {
                wrong.push(name);
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");

        let typed = |template| Scheme { event_type: header("x-type"), ..fixtures::timestamped(template) };
        assert!(typed("{header:X-Type}.{body}").event_type_is_signed());
        assert!(!typed("{body}").event_type_is_signed());
    }

    #[test]
    fn a_timestamp_is_signed_by_its_part_or_by_its_header() {
        assert!(fixtures::timestamped("{timestamp}.{body}").signs_timestamp());
        assert!(fixtures::timestamped("{header:X-Timestamp}.{body}").signs_timestamp());
        assert!(!fixtures::timestamped("{body}").signs_timestamp());
        assert!(!fixtures::plain("{body}").signs_timestamp());
    }
}
