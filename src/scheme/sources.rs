//! Every place of a delivery that a scheme reads, each with its part: headers, parameters of the
//! query, and values of the body.

use super::{Part, Place, ProofBy, Role, Scheme, TemplateScheme, TimestampAt};
use crate::notation::json::Pointer;
use crate::wire::head::FieldName;

/// A place of a delivery from which a scheme reads a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A header.
    Header(FieldName),
    /// A parameter of the URL's query.
    Query(String),
    /// A value of the JSON body.
    Json(Pointer),
    /// A field of a form.
    Field(String),
    /// The whole body, which is a JSON Web Token.
    Body,
}

impl Source {
    /// The value of the JSON body that these tokens of a pointer lead to.
    pub fn json(tokens: &[&str]) -> Self {
        let tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
        Self::Json(Pointer { tokens })
    }

    /// The header; `None` for a place elsewhere.
    pub fn header(&self) -> Option<&FieldName> {
        if let Self::Header(name) = self {
            Some(name)
        } else {
            None
        }
    }

    /// The place in words, as in ``header `x-signature` ``. A header's name is in lower case.
    pub fn words(&self) -> String {
        match self {
            Self::Header(name) => format!("header `{}`", name.as_str()),
            Self::Query(name) => format!("parameter `{name}` of the URL's query"),
            Self::Json(pointer) => format!("`{}` of the JSON body", pointer.text()),
            Self::Field(name) => format!("field `{name}` of the form"),
            Self::Body => "the whole body, a JSON Web Token".to_owned(),
        }
    }
}

impl Scheme {
    /// Every place that the scheme reads, with its part; those of the signature come first. A place
    /// with several parts is listed once for each.
    pub fn sources(&self) -> Vec<(Role, Source)> {
        let headers = self.reads().into_iter();
        let mut all: Vec<(Role, Source)> = headers
            .map(|(role, name)| (role, Source::Header(name)))
            .collect();
        let is_form = self
            .template()
            .is_some_and(TemplateScheme::takes_forms_alone);
        let in_body = |pointer: &Pointer| {
            if is_form {
                Source::Field(pointer.tokens.join("/"))
            } else {
                Source::Json(pointer.clone())
            }
        };
        let mut add = |role, source| {
            let entry = (role, source);
            if !all.contains(&entry) {
                all.push(entry);
            }
        };
        match &self.proof {
            ProofBy::Template(template) => {
                let place = &template.signature;
                if let Some(name) = &place.query {
                    add(Role::Signature, Source::Query(name.clone()));
                }
                if let Some(pointer) = &place.json {
                    add(Role::Signature, in_body(pointer));
                }
            }
            ProofBy::Credential(credential) => {
                if let Some(pointer) = &credential.place.json {
                    add(Role::Signature, in_body(pointer));
                }
            }
            ProofBy::Code(code) => {
                for (role, source) in code.reads_beside_headers() {
                    add(role, source);
                }
            }
            ProofBy::Token(token) if token.rule.is_body() => add(Role::Signature, Source::Body),
            ProofBy::Token(_) => {}
        }
        if let Some(TimestampAt::Json(pointer)) = self.timestamp().map(|place| &place.at) {
            add(Role::Timestamp, in_body(pointer));
        }
        for part in self.parts() {
            if let Part::Json(pointer) | Part::Form(pointer) = part {
                add(Role::Signed, in_body(pointer));
            }
        }
        let places = [
            (Role::EventId, &self.event_id),
            (Role::EventType, &self.event_type),
            (Role::Account, &self.account),
        ];
        for (role, place) in places {
            if let Some(Place::Json(pointers)) = place {
                for pointer in pointers {
                    add(role, in_body(pointer));
                }
            }
        }
        all.sort_by_key(|(role, _)| *role != Role::Signature);
        all
    }

    /// The places from which the signature, the token or the credential is read: one of them holds
    /// it.
    pub fn signature_sources(&self) -> Vec<Source> {
        let sources = self.sources().into_iter();
        let of_signature = sources.filter(|(role, _)| *role == Role::Signature);
        of_signature.map(|(_, source)| source).collect()
    }
}
