//! What a provider's scheme says, as data: the one struct that presets and `[route.scheme]` both become (SCHEMES 1).
//!
//! What a scheme must not say is in [`faults`]; this file holds what it can say, and what follows from it.

pub mod algorithm;
pub mod body_form;
pub mod code;
pub mod content;
pub mod faults;
pub mod handshake;
pub mod jwt;
pub mod key;
mod places;
pub mod public_url;
pub mod template;
mod weakness;

#[cfg(test)]
pub(crate) mod tests;

pub use algorithm::{Algorithm, Kind};
pub use faults::SchemeFault;
pub use places::{
    Ack, Items, KeyEncoding, KeyForm, SignaturePlace, Stamped, TimestampAt, TimestampPlace,
};
pub use public_url::PublicUrl;
pub use template::{Part, Template, TemplateProblem};

pub use self::body_form::BodyForm;
pub use self::code::ProviderCode;
pub use self::handshake::Handshake;
pub use self::jwt::JwtRule;
use crate::notation::json::Pointer;
use crate::notation::timestamp::Tolerance;
use crate::wire::head::FieldName;

/// How deliveries of one provider are signed, and where their parts are found.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the form, written and read by itself"
)]
pub struct Scheme {
    /// The provider's name: a preset's id, or `custom` for `[route.scheme]`.
    pub provider: String,
    /// Whether this is one of our presets (SPEC 4: its own id place is trusted not to be a wrong pointer).
    pub preset: bool,
    /// The signature's algorithm; never taken from the wire.
    pub algorithm: Algorithm,
    /// The signed content. Without parts where `code`, a token or a JWT takes its place.
    pub signed: Template,
    /// Code of its own in place of `signed`, for what no template can say.
    pub code: Option<&'static dyn ProviderCode>,
    /// What a JWT must say, where `algorithm` is one.
    pub jwt: Option<JwtRule>,
    /// `covers_body`: false allows a template without `{body}`, so a body that nothing authenticates.
    pub may_leave_body: bool,
    /// The forms of the body that may have been signed, tried in order.
    pub body: Vec<BodyForm>,
    /// How the secret's text becomes the key; each that fits is a candidate.
    pub key: Vec<KeyForm>,
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
    /// Whether a delivery without one is refused.
    pub event_type_required: bool,
    /// Whose event it is.
    pub account: Option<Place>,
    /// Whether a delivery without one is refused.
    pub account_required: bool,
    /// Whether two events may be the same, byte for byte, in all that tells deliveries apart. Then nothing tells a captured
    /// delivery from the next event, and replay protection is off unless a route asks for it.
    pub events_repeat: bool,
    /// What a duplicate is answered where the provider wants certain words.
    pub ack: Option<Ack>,
    /// How the provider makes sure of the endpoint.
    pub handshake: Option<&'static dyn Handshake>,
}

impl Scheme {
    /// Whether the signature authenticates the body.
    pub fn covers_body(&self) -> bool {
        match (self.code, &self.jwt) {
            (Some(code), _) => code.covers_body(),
            (None, Some(rule)) => rule.covers_body(),
            (None, None) => self.signed.covers_body(),
        }
    }

    /// Whether the secret itself is sent along: then nothing is signed, and it vouches for the whole request.
    pub fn is_token(&self) -> bool {
        self.algorithm.kind() == Kind::Token
    }

    /// Whether the body, besides the rest of the signed content, tells one delivery from another. Code of its own gives
    /// all that is signed as content; a token signs nothing, so all that comes with it counts.
    pub fn is_told_by_body(&self) -> bool {
        self.code.is_none() && (self.is_token() || self.covers_body())
    }

    /// When the provider makes its timestamp.
    pub fn stamped(&self) -> Stamped {
        match (self.code, &self.timestamp) {
            (Some(code), _) => code.stamped(),
            (None, Some(place)) => place.stamped,
            (None, None) => Stamped::Unknown,
        }
    }

    /// Whether deliveries carry a time that can be judged.
    pub fn has_timestamp(&self) -> bool {
        self.timestamp.is_some()
            || self.jwt.as_ref().is_some_and(|rule| !rule.timeless)
            || self.code.is_some_and(ProviderCode::signs_timestamp)
    }

    /// Whether bytes could be added behind what was signed by somebody who knows the digest and not the secret: a plain
    /// hash that does not end in the secret (length extension).
    pub fn is_extendable(&self) -> bool {
        self.algorithm.is_plain_hash() && self.signed.parts().last() != Some(&Part::Secret)
    }

    /// Whether `{url}` is part of what is signed, so that a `public_url` is needed.
    pub fn signs_url(&self) -> bool {
        self.signed.parts().contains(&Part::Url)
            || self.code.is_some_and(ProviderCode::signs_url)
            || self.jwt.as_ref().is_some_and(JwtRule::signs_url)
    }

    /// Whether the signature covers the event id (SPEC 4): a header that occurs in `signed`, or a place in a signed body.
    /// False where the scheme has no id.
    pub fn id_is_signed(&self) -> bool {
        self.is_signed(self.event_id.as_ref())
    }

    /// Whether the signature covers the event type; false where the scheme has none.
    pub fn event_type_is_signed(&self) -> bool {
        self.is_signed(self.event_type.as_ref())
    }

    /// Whether the signature covers a timestamp: only then may replay protection rest on it.
    pub fn signs_timestamp(&self) -> bool {
        if let Some(code) = self.code {
            return code.signs_timestamp();
        }
        if let Some(rule) = &self.jwt {
            return !rule.timeless;
        }
        self.timestamp
            .as_ref()
            .is_some_and(|place| match &place.at {
                _ if self.signed.parts().contains(&Part::Timestamp) => true,
                TimestampAt::Headers(names) => names.iter().all(|name| self.header_is_signed(name)),
                TimestampAt::Field(_) => false,
                TimestampAt::Json(pointer) => self.json_is_signed(pointer),
            })
    }

    /// Whether a part of the template is the timestamp, under whatever name the template calls it.
    pub(super) fn is_timestamp(&self, part: &Part) -> bool {
        let at = self.timestamp.as_ref().map(|place| &place.at);
        match (part, at) {
            (Part::Timestamp, _) => true,
            (Part::Json(signed), Some(TimestampAt::Json(pointer))) => signed == pointer,
            _ => false,
        }
    }

    fn is_signed(&self, place: Option<&Place>) -> bool {
        match (place, self.code) {
            (None, _) => false,
            (Some(Place::Claim(_)), _) => self.jwt.is_some(),
            (Some(place), Some(code)) => code.signs(place),
            (Some(Place::Header(name)), None) => self.header_is_signed(name),
            (Some(Place::Json(pointers)), None) => {
                !pointers.is_empty() && pointers.iter().all(|pointer| self.json_is_signed(pointer))
            }
        }
    }

    fn json_is_signed(&self, pointer: &Pointer) -> bool {
        self.covers_body()
            || self
                .signed
                .parts()
                .iter()
                .any(|part| matches!(part, Part::Json(at) if at == pointer))
    }

    /// Whether a header's value is part of the signed content, under whatever name the template calls it.
    fn header_is_signed(&self, name: &FieldName) -> bool {
        let is_timestamp = |place: &TimestampPlace| match &place.at {
            // Of several, only the first that is there is signed.
            TimestampAt::Headers(names) => names.len() == 1 && names.contains(name),
            _ => false,
        };
        self.signed.parts().iter().any(|part| match part {
            Part::Header(signed) => signed == name,
            Part::Id => matches!(&self.event_id, Some(Place::Header(id)) if id == name),
            Part::Timestamp => self.timestamp.as_ref().is_some_and(is_timestamp),
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
    /// The most bytes that a packed body may hold once inflated.
    pub max_body: usize,
}

/// A place in a delivery that holds an id, a type or an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A header's value.
    Header(FieldName),
    /// JSON pointers (RFC 6901) into the body; several are joined unambiguously.
    Json(Vec<Pointer>),
    /// A claim of the JWT that signs the delivery.
    Claim(String),
}
