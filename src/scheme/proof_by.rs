//! The four ways in which deliveries are proved: a template, a provider's code, a token, or a
//! credential (schemes: The form).
//!
//! They exclude each other. Each has only the fields that mean something for it, so that a mixture
//! cannot be built.

use super::{
    Algorithm, BodyForm, Items, JwtRule, KeyForm, Kind, Part, ProviderCode, SignaturePlace,
    Template, TimestampAt, TimestampPlace,
};
use crate::notation::json::Pointer;
use crate::wire::head::FieldName;

/// How deliveries are proved.
#[derive(Clone, Debug)]
pub enum ProofBy {
    /// A template describes the signed content.
    Template(TemplateScheme),
    /// A provider's code reads contents and signatures.
    Code(&'static dyn ProviderCode),
    /// A JSON Web Token signs the delivery, or digests of it.
    Token(TokenScheme),
    /// The shared secret itself is sent along; nothing is signed.
    Credential(CredentialScheme),
}

/// A scheme whose signed content a template describes.
#[derive(Clone, Debug)]
pub struct TemplateScheme {
    /// The algorithm of the signature, an HMAC, a plain hash or a public-key algorithm; never taken
    /// from the wire.
    pub algorithm: Algorithm,
    /// The signed content.
    pub signed: Template,
    /// `covers_body`: false allows a template without `{body}`, so a body that nothing
    /// authenticates.
    pub may_leave_body: bool,
    /// `decode_url`: the URL may also have been signed with escapes of certain delimiters decoded.
    pub decode_url: bool,
    /// `form`: the object of a JSON body as whose members the fields of a form are read.
    pub form: Option<Pointer>,
    /// The forms of the body that may have been signed, tried in order.
    pub body: Vec<BodyForm>,
    /// The forms of the secret's text, each a candidate for the key.
    pub key: Vec<KeyForm>,
    /// The place of the signature.
    pub signature: SignaturePlace,
    /// The place of the timestamp; `None` for a scheme without timestamp.
    pub timestamp: Option<TimestampPlace>,
}

/// A scheme whose deliveries carry a JSON Web Token.
#[derive(Clone, Debug)]
pub struct TokenScheme {
    /// The rule that a token must obey.
    pub rule: JwtRule,
    /// The forms of the secret's text, each a candidate for the key.
    pub key: Vec<KeyForm>,
}

/// A scheme whose deliveries carry the shared secret itself.
#[derive(Clone, Debug)]
pub struct CredentialScheme {
    /// How the secret is written.
    pub kind: CredentialKind,
    /// The forms of the secret's text, each a candidate for the credential.
    pub key: Vec<KeyForm>,
    /// The place of the credential.
    pub place: CredentialPlace,
}

/// The ways to write a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// `token`: the secret as it is.
    Token,
    /// `basic`: user and password by RFC 7617.
    Basic,
}

/// The place of a credential.
#[derive(Clone, Debug)]
pub struct CredentialPlace {
    /// The headers that may carry it; a delivery must have at least one of them. Empty where it is
    /// in the body.
    pub headers: Vec<FieldName>,
    /// The place in a JSON body: every match must hold, and there must be a match.
    pub json: Option<Pointer>,
    /// The text before it, exact; empty for `basic`, whose text is known.
    pub prefix: String,
}

impl CredentialScheme {
    /// The algorithm that names this kind of credential in a configuration file.
    pub fn algorithm(&self) -> Algorithm {
        match self.kind {
            CredentialKind::Token => Algorithm::Token,
            CredentialKind::Basic => Algorithm::Basic,
        }
    }
}

impl TemplateScheme {
    /// Whether deliveries are forms and nothing else: the signature or a signed value is a field.
    pub fn takes_forms_alone(&self) -> bool {
        let is_field = |part: &Part| matches!(part, Part::Form(_));
        self.signature.in_form || self.signed.parts().iter().any(is_field)
    }

    /// The place of the object as whose members the fields of a form are read; `None` where no body
    /// is read as a form.
    pub fn form_at(&self) -> Option<&Pointer> {
        if self.takes_forms_alone() {
            Some(&WHOLE)
        } else {
            self.form.as_ref()
        }
    }

    /// Whether bytes could be added behind the signed content by somebody who knows the digest and
    /// not the secret: true for a plain hash that does not end in the secret (length extension).
    pub fn is_extendable(&self) -> bool {
        self.algorithm.is_plain_hash() && self.signed.parts().last() != Some(&Part::Secret)
    }

    /// Whether the signature covers a timestamp. `id` is the header of the event's id.
    pub(super) fn signs_timestamp(&self, id: Option<&FieldName>) -> bool {
        self.timestamp
            .as_ref()
            .is_some_and(|place| match &place.at {
                _ if self.signed.parts().contains(&Part::Timestamp) => true,
                TimestampAt::Headers(names) => names.iter().all(|name| self.signs_header(name, id)),
                TimestampAt::Field(_) | TimestampAt::Item(_) => false,
                TimestampAt::Json(pointer) => self.signs_json(pointer),
            })
    }

    /// Whether a part of the template is the timestamp, under whatever name the template calls it.
    pub(super) fn is_timestamp(&self, part: &Part) -> bool {
        let at = self.timestamp.as_ref().map(|place| &place.at);
        match (part, at) {
            (Part::Timestamp, _) => true,
            (Part::Json(signed) | Part::Form(signed), Some(TimestampAt::Json(pointer))) => {
                signed == pointer
            }
            _ => false,
        }
    }

    /// Whether the value at this place of the body is signed.
    pub(super) fn signs_json(&self, pointer: &Pointer) -> bool {
        let is_part =
            |part: &Part| matches!(part, Part::Json(at) | Part::Form(at) if at == pointer);
        self.signed.covers_body() || self.signed.parts().iter().any(is_part)
    }

    /// Whether a header's value is part of the signed content, under whatever name the template
    /// calls it. `id` is the header of the event's id.
    pub(super) fn signs_header(&self, name: &FieldName, id: Option<&FieldName>) -> bool {
        let is_timestamp = |place: &TimestampPlace| match &place.at {
            // Of several headers, only the first that is there is signed.
            TimestampAt::Headers(names) => names.len() == 1 && names.contains(name),
            _ => false,
        };
        self.signed.parts().iter().any(|part| match part {
            Part::Header(signed) => signed == name,
            Part::Id => id == Some(name),
            Part::Timestamp => self.timestamp.as_ref().is_some_and(is_timestamp),
            _ => false,
        })
    }
}

impl ProofBy {
    /// The algorithm that a configuration file names for it.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Template(template) => template.algorithm,
            Self::Code(code) => code.algorithm(),
            Self::Token(_) => Algorithm::Jwt,
            Self::Credential(credential) => credential.algorithm(),
        }
    }

    /// The forms of the secret's text; empty where a provider's code reads it.
    pub fn key_forms(&self) -> &[KeyForm] {
        match self {
            Self::Template(TemplateScheme { key, .. })
            | Self::Token(TokenScheme { key, .. })
            | Self::Credential(CredentialScheme { key, .. }) => key,
            Self::Code(_) => &[],
        }
    }

    /// Puts other forms of the secret's text in their place.
    pub fn set_key_forms(&mut self, forms: Vec<KeyForm>) {
        match self {
            Self::Template(TemplateScheme { key, .. })
            | Self::Token(TokenScheme { key, .. })
            | Self::Credential(CredentialScheme { key, .. }) => *key = forms,
            Self::Code(_) => {}
        }
    }

    /// Looks for the signature or the credential in other headers.
    pub fn set_signature_headers(&mut self, names: Vec<FieldName>) {
        match self {
            Self::Template(template) => template.signature.headers = names,
            Self::Credential(credential) => credential.place.headers = names,
            Self::Code(_) | Self::Token(_) => {}
        }
    }

    /// Expects another text before the signature or the credential.
    pub fn set_prefix(&mut self, text: &str) {
        match self {
            Self::Template(template) => text.clone_into(&mut template.signature.prefix),
            Self::Credential(credential) => text.clone_into(&mut credential.place.prefix),
            Self::Code(_) | Self::Token(_) => {}
        }
    }

    /// A credential in the place of this signature or credential; `None` for a scheme of another
    /// kind.
    #[must_use]
    pub fn as_credential(&self, kind: CredentialKind) -> Option<Self> {
        match self {
            Self::Template(template) => Some(Self::Credential(CredentialScheme {
                kind,
                key: template.key.clone(),
                place: CredentialPlace {
                    headers: template.signature.headers.clone(),
                    json: template.signature.json.clone(),
                    prefix: template.signature.prefix.clone(),
                },
            })),
            Self::Credential(credential) => Some(Self::Credential(CredentialScheme {
                kind,
                ..credential.clone()
            })),
            Self::Code(_) | Self::Token(_) => None,
        }
    }

    /// The kinds of keys that verify deliveries, each named once.
    pub fn key_kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = match self {
            Self::Template(TemplateScheme {
                signature: SignaturePlace { items, .. },
                ..
            }) if items.assign.is_some() => items
                .accept
                .iter()
                .map(|(_, algorithm)| algorithm.kind())
                .collect(),
            Self::Token(token) => token
                .rule
                .algorithms
                .iter()
                .map(|known| known.kind())
                .collect(),
            Self::Code(code) => code.algorithms().map(Algorithm::kind).collect(),
            Self::Template(_) | Self::Credential(_) => {
                vec![self.algorithm().kind()]
            }
        };
        let mut seen = Vec::new();
        kinds.retain(|kind| {
            let is_new = !seen.contains(kind);
            seen.push(*kind);
            is_new
        });
        kinds
    }

    /// The headers that carry signature, token or credential; empty where it is in the body or a
    /// provider's code finds it.
    pub fn headers(&self) -> &[FieldName] {
        match self {
            Self::Template(template) => &template.signature.headers,
            Self::Token(token) => token
                .rule
                .header()
                .map(std::slice::from_ref)
                .unwrap_or_default(),
            Self::Credential(credential) => &credential.place.headers,
            Self::Code(_) => &[],
        }
    }
}

/// The whole document.
static WHOLE: Pointer = Pointer { tokens: Vec::new() };

/// The signature header of a credential is never taken apart.
pub static NO_ITEMS: Items = Items {
    separator: None,
    assign: None,
    assign_last: false,
    accept: Vec::new(),
    limit: Items::LIMIT,
};
