//! Where the parts of a signature stand and how they are written: keys, signatures, timestamps, acknowledgements (SCHEMES 1).
//!
//! Data alone. How keys are made is in [`key`](super::key), how headers are read in the verifier.

use super::Algorithm;
use crate::notation::encoding::Encoding;
use crate::notation::json::Pointer;
use crate::notation::timestamp::Unit;
use crate::wire::head::FieldName;

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
    /// The headers that carry it: each that is there gives candidates, at least one is needed. Empty where it stands
    /// in the body, or where code of its own knows.
    pub headers: Vec<FieldName>,
    /// Where it stands in a JSON body: every match must hold, at least one must be there.
    pub json: Option<Pointer>,
    /// Whether several lines of one header are allowed, each a candidate.
    pub repeat: bool,
    /// How its bytes are written.
    pub encoding: Encoding,
    /// Text before it: exact, case-sensitive, required when given.
    pub prefix: String,
    /// How a header's value is taken apart.
    pub items: Items,
}

impl SignaturePlace {
    /// The header that signing writes and messages name: the first.
    pub fn header(&self) -> Option<&FieldName> {
        self.headers.first()
    }
}

/// How the value of a signature header is taken apart into signatures, and perhaps a timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items {
    /// What stands between two items; `None`: the value is one item.
    pub separator: Option<String>,
    /// What stands between an item's label and its value; `None`: items have no labels.
    pub assign: Option<u8>,
    /// The labels that count, each with its algorithm. Without meaning where items have none.
    pub accept: Vec<(String, Algorithm)>,
    /// How many signatures are tried.
    pub limit: usize,
}

impl Items {
    /// As many signatures as are tried unless a scheme says otherwise.
    pub const LIMIT: usize = 16;
}

impl Default for Items {
    fn default() -> Self {
        Self {
            separator: None,
            assign: None,
            accept: Vec::new(),
            limit: Self::LIMIT,
        }
    }
}

/// Where the timestamp stands and how it is written.
#[derive(Clone, Debug)]
pub struct TimestampPlace {
    /// Its place.
    pub at: TimestampAt,
    /// Its unit.
    pub unit: Unit,
    /// When the provider makes it.
    pub stamped: Stamped,
    /// Set by `unsigned = true`: nothing signs it, so it may only refuse, and replay treats the scheme as one without.
    pub unsigned: bool,
    /// Whether a delivery without one is refused. Only a signed body may lack it: nobody but the sender can leave it out.
    pub required: bool,
}

impl TimestampPlace {
    /// The header that signing writes and messages name: the first; `None` where it has no header of its own.
    pub fn header(&self) -> Option<&FieldName> {
        match &self.at {
            TimestampAt::Headers(names) => names.first(),
            TimestampAt::Field(_) | TimestampAt::Json(_) => None,
        }
    }
}

/// The place of a timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimestampAt {
    /// In the first of these headers that is there.
    Headers(Vec<FieldName>),
    /// Under this label in the signature header, exactly once.
    Field(String),
    /// In the JSON body; judged after the signature holds.
    Json(Pointer),
}

/// What a duplicate is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// Its type.
    pub content_type: String,
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
