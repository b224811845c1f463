//! Honest events that a scheme cannot tell apart: what is signed may be the same for two of them
//! (contract: Keys).

use super::{Part, ProofBy, Scheme};
use crate::notation::timestamp::Unit;

impl Scheme {
    /// The events that the replay window takes for a single event although they are two, in words
    /// that continue a sentence; `None` where that cannot be, or where the scheme says how often it
    /// may be.
    pub fn alike_events(&self) -> Option<&'static str> {
        const BODY: &str = "two events with the same body";
        const SECOND: &str = "two events with the same body in the same second";
        const SIGNED: &str = "more than four events of a type in the same second";
        if self.id_is_signed() || self.repeats.is_some() {
            return None;
        }
        match &self.proof {
            ProofBy::Credential(_) => Some(BODY),
            ProofBy::Token(token) if token.rule.timeless => Some(BODY),
            ProofBy::Token(_) => Some(SECOND),
            ProofBy::Code(code) => code.events_look_alike().then_some(SIGNED),
            ProofBy::Template(template) => {
                let has_nonce = template
                    .signed
                    .parts()
                    .iter()
                    .any(|part| matches!(part, Part::Header(_) | Part::Id));
                let unit = template
                    .timestamp
                    .as_ref()
                    .filter(|_| self.signs_timestamp())
                    .map(|place| place.unit);
                match unit {
                    _ if has_nonce => None,
                    Some(Unit::Milliseconds) => None,
                    Some(_) => Some(SECOND),
                    None => Some(BODY),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::fixtures::{changed, plain, timestamped};
    use super::super::{Place, Repeats};
    use super::*;
    use crate::notation::json::Pointer;

    #[test]
    fn alike_is_what_nothing_signed_tells_apart() {
        let with_id = Scheme {
            event_id: Some(Place::Json(vec![Pointer::parse("/id").unwrap()])),
            ..plain("{body}")
        };
        let repeated = Scheme {
            repeats: Some(Repeats {
                most: 1,
                within: Duration::from_secs(1),
            }),
            ..plain("{body}")
        };
        let millis = changed(timestamped("{timestamp}.{body}"), |template| {
            template.timestamp.as_mut().unwrap().unit = Unit::Milliseconds;
        });
        let rows = [
            ("the body alone", plain("{body}"), Some("same body")),
            ("a signed id", with_id, None),
            ("seconds", timestamped("{timestamp}.{body}"), Some("second")),
            ("milliseconds", millis, None),
            ("a nonce", plain("{header:X-Nonce}.{body}"), None),
            ("repeats are taken", repeated, None),
        ];
        for (name, scheme, expected) in rows {
            let found = scheme.alike_events();
            let is_right = expected.map_or(found.is_none(), |words| {
                found.is_some_and(|found| found.ends_with(words))
            });
            assert!(is_right, "{name}: {found:?}");
        }
    }
}
