//! A provider's scheme as data: the struct that a preset and `[route.scheme]` both become (schemes:
//! The form).
//!
//! [`ProofBy`] says how a delivery is proved, and [`faults`] which schemes are unsafe. This file
//! holds the parts that all schemes have, and the facts that follow from a whole scheme.
//!
//! What enters: the facts about a provider's deliveries, the questions that they answer, and the
//! traits of a provider's own code and handshake. May import: [`crate::key`] and the rooms below
//! it.

pub mod algorithm;
mod alike;
pub mod body_digest;
pub mod body_form;
mod borders;
pub mod code;
pub mod content;
mod fault;
mod faults;
pub mod form_fields;
pub mod handshake;
mod id_form;
pub mod jwt;
pub mod key;
mod places;
mod proof_by;
pub mod public_url;
mod reads;
pub mod refusals;
mod secret_form;
mod secret_reading;
mod shared_keys;
mod sources;
pub mod template;
mod weakness;

#[cfg(test)]
pub(crate) mod tests;

pub use algorithm::{Algorithm, Kind};
pub use fault::SchemeFault;
pub use places::{
    Ack, Items, KeyEncoding, KeyForm, Repeats, SignaturePlace, Stamped, TimestampAt, TimestampPlace,
};
pub use proof_by::{
    CredentialKind, CredentialPlace, CredentialScheme, NO_ITEMS, ProofBy, TemplateScheme,
    TokenScheme,
};
pub use public_url::PublicUrl;
pub use template::{Part, Template, TemplateProblem};

pub use self::body_form::BodyForm;
pub use self::code::ProviderCode;
pub use self::handshake::Handshake;
pub use self::id_form::IdForm;
pub use self::jwt::JwtRule;
pub use self::reads::Role;
pub use self::secret_form::{Characters, SecretForm};
pub use self::secret_reading::SecretDoubt;
pub use self::shared_keys::SharedKey;
pub use self::sources::Source;
use crate::notation::json::Pointer;
use crate::notation::timestamp::Tolerance;
use crate::wire::head::{FieldName, Head};

/// The facts about one provider's deliveries: how they are signed, and where their parts are found.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the form, written and read by itself"
)]
pub struct Scheme {
    /// The provider's name: a preset's id, or `custom` for `[route.scheme]`.
    pub provider: String,
    /// Whether the scheme is a preset. The event id's place in a preset is known to be right; in
    /// another scheme it may be a mistake (contract: Seen again).
    pub preset: bool,
    /// How a delivery is proved.
    pub proof: ProofBy,
    /// How far in the past a timestamp may be, unless the route has a value of its own. With `Off`,
    /// no timestamp is too old.
    pub tolerance: Tolerance,
    /// How far in the future a timestamp may be, unless the route has a value of its own.
    pub future_tolerance: Tolerance,
    /// Headers that a delivery must have, each with exactly this value; else it is
    /// `malformed_signature`.
    pub require: Vec<(FieldName, Vec<u8>)>,
    /// The components of a request that a signature must cover, for a provider's code that reads
    /// from the delivery which components it covers: header names in lower case, and the derived
    /// components of RFC 9421 2.2, as in `@method`.
    pub components: Vec<String>,
    /// The place of the event's id.
    pub event_id: Option<Place>,
    /// Whether a delivery without an id is refused.
    pub event_id_required: bool,
    /// The place of the event's type.
    pub event_type: Option<Place>,
    /// Whether a delivery without an event type is refused.
    pub event_type_required: bool,
    /// The place of the account that the event belongs to.
    pub account: Option<Place>,
    /// Whether a delivery without an account is refused.
    pub account_required: bool,
    /// Whether two events may be the same, byte for byte, in everything that tells deliveries
    /// apart. A captured delivery then looks like the next event, so replay protection is off
    /// unless a route asks for it.
    pub events_repeat: bool,
    /// Whether honest events of different types may have the same body. Each type then has a state
    /// of its own beside an entry of the replay window, where no signature covers the type.
    pub types_share_bodies: bool,
    /// How often a request that wants an answer may be repeated.
    pub repeats: Option<Repeats>,
    /// The answer to a duplicate, for a provider that wants certain words.
    pub ack: Option<Ack>,
    /// The handshake by which the provider makes sure of the endpoint.
    pub handshake: Option<&'static dyn Handshake>,
    /// The beginnings that all secrets of the provider have, each secret one of them; empty where
    /// that is not known. Such a beginning alone is no secret, and what begins so is taken for no
    /// other value.
    pub secret_begins: Vec<String>,
    /// The form of all of the provider's secrets, where it is known.
    pub secret_form: Option<SecretForm>,
}

impl Scheme {
    /// The template; `None` for a scheme of another kind.
    pub fn template(&self) -> Option<&TemplateScheme> {
        if let ProofBy::Template(template) = &self.proof {
            Some(template)
        } else {
            None
        }
    }

    /// The scheme with the texts of a route in the places of its `{param:…}`; a name without a text
    /// stays as it is.
    #[must_use]
    pub fn with_params<'p>(mut self, text_of: impl Fn(&str) -> Option<&'p str>) -> Self {
        if let Some(template) = self.template_mut() {
            template.signed = template.signed.with_params(text_of);
        }
        self
    }

    /// The names of the signed texts of a route that have no text yet.
    pub fn params(&self) -> Vec<&str> {
        self.template()
            .map(|template| template.signed.params())
            .unwrap_or_default()
    }

    /// The template, to be changed; `None` for a scheme of another kind.
    pub fn template_mut(&mut self) -> Option<&mut TemplateScheme> {
        if let ProofBy::Template(template) = &mut self.proof {
            Some(template)
        } else {
            None
        }
    }

    /// The provider's code; `None` for a scheme of another kind.
    pub fn code(&self) -> Option<&'static dyn ProviderCode> {
        if let ProofBy::Code(code) = &self.proof {
            Some(*code)
        } else {
            None
        }
    }

    /// The rule of the token; `None` for a scheme of another kind.
    pub fn token_rule(&self) -> Option<&JwtRule> {
        if let ProofBy::Token(token) = &self.proof {
            Some(&token.rule)
        } else {
            None
        }
    }

    /// The credential; `None` for a scheme of another kind.
    pub fn credential(&self) -> Option<&CredentialScheme> {
        if let ProofBy::Credential(credential) = &self.proof {
            Some(credential)
        } else {
            None
        }
    }

    /// The algorithm that a configuration file names.
    pub fn algorithm(&self) -> Algorithm {
        self.proof.algorithm()
    }

    /// The parts of the signed content; empty for a scheme without template.
    pub fn parts(&self) -> &[Part] {
        self.template()
            .map(|template| template.signed.parts())
            .unwrap_or_default()
    }

    /// The place of the timestamp. `None` for a scheme without timestamp, and for a scheme whose
    /// code or token finds its own.
    pub fn timestamp(&self) -> Option<&TimestampPlace> {
        self.template()
            .and_then(|template| template.timestamp.as_ref())
    }

    /// The parameter of the URL's query that carries the signature; `None` where it is elsewhere.
    pub fn signature_query(&self) -> Option<&str> {
        self.template()?.signature.query.as_deref()
    }

    /// The headers that carry the signature or the credential; empty for a scheme of another kind.
    pub fn signature_headers(&self) -> &[FieldName] {
        match &self.proof {
            ProofBy::Template(_) | ProofBy::Credential(_) => self.proof.headers(),
            ProofBy::Code(_) | ProofBy::Token(_) => &[],
        }
    }

    /// The text before the signature or the credential; empty for a scheme of another kind.
    pub fn signature_prefix(&self) -> &str {
        match &self.proof {
            ProofBy::Template(template) => &template.signature.prefix,
            ProofBy::Credential(credential) => &credential.place.prefix,
            ProofBy::Code(_) | ProofBy::Token(_) => "",
        }
    }

    /// The rule by which the signature header is taken apart; [`NO_ITEMS`] for a scheme without
    /// template.
    pub fn items(&self) -> &Items {
        self.template()
            .map_or(&NO_ITEMS, |template| &template.signature.items)
    }

    /// Whether the signature authenticates the body.
    pub fn covers_body(&self) -> bool {
        match &self.proof {
            ProofBy::Template(template) => template.signed.covers_body(),
            ProofBy::Code(code) => code.covers_body(),
            ProofBy::Token(token) => token.rule.covers_body(),
            ProofBy::Credential(_) => false,
        }
    }

    /// Whether the secret itself is sent along. Then nothing is signed, and the secret vouches for
    /// the whole request.
    pub fn is_credential(&self) -> bool {
        matches!(self.proof, ProofBy::Credential(_))
    }

    /// Whether a different body makes a different delivery, even if the rest of the signed content
    /// is the same. A provider's code gives the whole signed content by itself, so the body adds
    /// nothing. A credential signs nothing, so everything that comes with it counts.
    pub fn body_tells_deliveries_apart(&self) -> bool {
        match &self.proof {
            ProofBy::Code(_) => false,
            ProofBy::Credential(_) => true,
            ProofBy::Template(_) | ProofBy::Token(_) => self.covers_body(),
        }
    }

    /// The time at which the provider makes its timestamp.
    pub fn stamped(&self) -> Stamped {
        match &self.proof {
            ProofBy::Template(template) => template
                .timestamp
                .as_ref()
                .map_or(Stamped::Unknown, |place| place.stamped),
            ProofBy::Code(code) => code.stamped(),
            ProofBy::Token(_) | ProofBy::Credential(_) => Stamped::Unknown,
        }
    }

    /// Whether the timestamp is the event's own, so that an honest retry carries the old timestamp.
    pub fn is_stamped_by_event(&self) -> bool {
        self.stamped() == Stamped::Event
    }

    /// Whether an honest retry may be the very same delivery as the first attempt: the timestamp is
    /// the event's, or a preset knows neither whose it is nor for how long it is fresh.
    pub fn may_retry_unchanged(&self) -> bool {
        match self.stamped() {
            Stamped::Event => true,
            Stamped::Unknown => self.preset && self.tolerance == Tolerance::Off,
            Stamped::Attempt => false,
        }
    }

    /// Whether deliveries carry a time whose freshness can be judged.
    pub fn has_timestamp(&self) -> bool {
        match &self.proof {
            ProofBy::Template(template) => template.timestamp.is_some(),
            ProofBy::Code(code) => code.signs_timestamp(),
            ProofBy::Token(token) => !token.rule.timeless,
            ProofBy::Credential(_) => false,
        }
    }

    /// As [`TemplateScheme::is_extendable`]; false for a scheme of another kind.
    pub fn is_extendable(&self) -> bool {
        self.template().is_some_and(TemplateScheme::is_extendable)
    }

    /// Whether the URL is signed, so that a `public_url` is needed.
    pub fn signs_url(&self) -> bool {
        match &self.proof {
            ProofBy::Template(template) => template.signed.parts().contains(&Part::Url),
            ProofBy::Code(code) => {
                code.signs_url() || self.demands(&["@target-uri", "@authority", "@scheme"])
            }
            ProofBy::Token(token) => token.rule.signs_url(),
            ProofBy::Credential(_) => false,
        }
    }

    /// Whether the path is signed, as part of the URL or by itself.
    pub fn signs_path(&self) -> bool {
        match &self.proof {
            ProofBy::Code(code) => {
                code.signs_path() || self.demands(&["@target-uri", "@request-target", "@path"])
            }
            ProofBy::Token(token) => token.rule.signs_path(),
            _ => self.signs_url() || self.parts().contains(&Part::Path),
        }
    }

    /// Whether the signature covers the event id (contract: Keys): a header that the template
    /// names, or a place in a signed body. False for a scheme without event id.
    pub fn id_is_signed(&self) -> bool {
        self.is_signed(self.event_id.as_ref())
    }

    /// Whether the signature covers the event type; false for a scheme without event type.
    pub fn event_type_is_signed(&self) -> bool {
        self.is_signed(self.event_type.as_ref())
    }

    /// Whether the signature covers the account; false for a scheme without account.
    pub fn account_is_signed(&self) -> bool {
        self.is_signed(self.account.as_ref())
    }

    /// Whether the event type tells deliveries apart although no signature covers it, so that it is
    /// kept beside an entry of the replay window. A credential signs nothing, but the whole body
    /// counts there, and a type in it as well.
    pub fn type_is_beside(&self) -> bool {
        let is_in_whole_body =
            self.is_credential() && matches!(self.event_type, Some(Place::Json(_)));
        self.event_type.is_some() && !self.event_type_is_signed() && !is_in_whole_body
    }

    /// Whether so little is signed that honest events look alike, so that bodies are kept beside an
    /// entry of the replay window.
    pub fn bodies_are_beside(&self) -> bool {
        self.code().is_some_and(ProviderCode::events_look_alike)
    }

    /// Whether the signature covers a timestamp. Replay protection may rely only on a signed
    /// timestamp.
    pub fn signs_timestamp(&self) -> bool {
        match &self.proof {
            ProofBy::Template(template) => template.signs_timestamp(self.id_header()),
            ProofBy::Code(code) => code.signs_timestamp(),
            ProofBy::Token(token) => !token.rule.timeless,
            ProofBy::Credential(_) => false,
        }
    }

    /// Whether the signature covers this header of this request, or is in it. Whoever verifies the
    /// request again needs the header as it was received, and needs it to be absent where it was.
    pub fn signs_header(&self, head: &Head, name: &FieldName) -> bool {
        let is_timestamp = |place: &TimestampPlace| match &place.at {
            TimestampAt::Headers(names) => names.contains(name),
            _ => false,
        };
        match &self.proof {
            ProofBy::Template(template) => {
                self.proof.headers().contains(name)
                    || template.signs_header(name, self.id_header())
                    || template.timestamp.as_ref().is_some_and(is_timestamp)
            }
            ProofBy::Code(code) => name.is_one_of(code.headers()) || code.signs_header(head, name),
            ProofBy::Token(token) => token.rule.header() == Some(name),
            ProofBy::Credential(_) => self.proof.headers().contains(name),
        }
    }

    fn is_signed(&self, place: Option<&Place>) -> bool {
        let Some(place) = place else { return false };
        match (&self.proof, place) {
            (ProofBy::Token(token), Place::Claim(_)) => !token.rule.is_detached(),
            (ProofBy::Token(token), Place::Json(pointers)) => {
                !pointers.is_empty() && token.rule.covers_body()
            }
            (ProofBy::Code(code), place) => {
                let is_demanded = |name: &FieldName| self.demands(&[name.as_str()]);
                code.signs(place) || matches!(place, Place::Header(name) if is_demanded(name))
            }
            (ProofBy::Template(template), Place::Header(name)) => {
                template.signs_header(name, self.id_header())
            }
            (ProofBy::Template(template), Place::Json(pointers)) => {
                !pointers.is_empty() && pointers.iter().all(|pointer| template.signs_json(pointer))
            }
            (ProofBy::Template(_), Place::Claim(_))
            | (ProofBy::Token(_), Place::Header(_))
            | (ProofBy::Credential(_), _) => false,
        }
    }

    /// Whether a signature must cover one of these [components](Self::components).
    fn demands(&self, components: &[&str]) -> bool {
        let is_named = |own: &String| components.iter().any(|name| own.eq_ignore_ascii_case(name));
        self.components.iter().any(is_named)
    }

    /// The header of the event's id.
    pub(crate) fn id_header(&self) -> Option<&FieldName> {
        if let Some(Place::Header(name)) = &self.event_id {
            Some(name)
        } else {
            None
        }
    }
}

/// The settings of a scheme on a route: the route's own values, or the scheme's where the route
/// leaves them out.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How far in the past a timestamp may be.
    pub tolerance: Tolerance,
    /// How far in the future a timestamp may be.
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
