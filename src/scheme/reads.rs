//! The headers that a scheme reads, each with its part in the delivery.

use super::{Part, Place, ProofBy, Scheme, TimestampAt};
use crate::wire::head::FieldName;

/// The part that a header has in a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It carries the signature, the token or the credential.
    Signature,
    /// It carries the timestamp.
    Timestamp,
    /// Its value is part of the signed content.
    Signed,
    /// It must be there with a certain value.
    Required,
    /// It carries the id of the event.
    EventId,
    /// It carries the type of the event.
    EventType,
    /// It carries the account of the event.
    Account,
    /// The code of the provider reads it beside the signature.
    Beside,
}

impl Role {
    /// The name in a word or two, for tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Timestamp => "timestamp",
            Self::Signed => "signed",
            Self::Required => "required",
            Self::EventId => "event id",
            Self::EventType => "event type",
            Self::Account => "account",
            Self::Beside => "beside",
        }
    }
}

impl Scheme {
    /// Every header that the scheme reads, with its part; the signature's come first. A header with
    /// several parts is listed once for each.
    pub(super) fn reads(&self) -> Vec<(Role, FieldName)> {
        let mut all: Vec<(Role, FieldName)> = Vec::new();
        let mut add = |role, name: &FieldName| {
            let entry = (role, name.clone());
            if !all.contains(&entry) {
                all.push(entry);
            }
        };
        for name in self.proof.headers() {
            add(Role::Signature, name);
        }
        if let ProofBy::Code(code) = &self.proof {
            for (place, name) in code.headers().iter().enumerate() {
                let role = if place == 0 {
                    Role::Signature
                } else {
                    Role::Beside
                };
                if let Some(name) = FieldName::new(name) {
                    add(role, &name);
                }
            }
        }
        if let Some(TimestampAt::Headers(names)) = self.timestamp().map(|place| &place.at) {
            for name in names {
                add(Role::Timestamp, name);
            }
        }
        let places = [
            (Role::EventId, &self.event_id),
            (Role::EventType, &self.event_type),
            (Role::Account, &self.account),
        ];
        for (role, place) in places {
            if let Some(Place::Header(name)) = place {
                add(role, name);
            }
        }
        for part in self.parts() {
            if let Part::Header(name) = part {
                add(Role::Signed, name);
            }
        }
        for (name, _) in &self.require {
            add(Role::Required, name);
        }
        all
    }
}
