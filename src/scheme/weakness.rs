//! Weaknesses of schemes that break no rule: a plain hash is not made to be a signature (schemes:
//! Algorithms).
//!
//! Their providers offer no other way to sign, so these schemes are not refused. An operator should
//! know of the weakness all the same.

use super::{Algorithm, Part, Place, Scheme};

impl Scheme {
    /// The weakness in a sentence without a capital letter; `None` for a scheme without known
    /// weakness.
    pub fn weakness(&self) -> Option<&'static str> {
        let template = self
            .template()
            .filter(|template| template.algorithm.is_plain_hash())?;
        let behind = template
            .signed
            .parts()
            .iter()
            .skip_while(|part| **part != Part::Secret);
        if behind.into_iter().any(|part| !part.is_settled()) {
            // Length extension also adds the hash's padding, and no JSON text contains that
            // padding.
            return (!self.demands_json()).then_some(
                "a plain hash with the secret before the signed content: bytes could be added at \
                 its end without the secret",
            );
        }
        (template.algorithm == Algorithm::Sha1).then_some(
            "a plain SHA-1 with the secret behind the signed content: two contents made to \
             collide have the same signature",
        )
    }

    /// Whether a body that is not JSON is always refused, whatever its first byte is.
    fn demands_json(&self) -> bool {
        let places = [
            (&self.event_id, self.event_id_required),
            (&self.event_type, self.event_type_required),
            (&self.account, self.account_required),
        ];
        self.covers_body()
            && places
                .into_iter()
                .any(|(place, is_required)| is_required && matches!(place, Some(Place::Json(_))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scheme;
    use super::super::tests::fixtures::{changed, plain, timestamped};
    use super::*;
    use crate::notation::json::Pointer;

    #[test]
    fn a_plain_hash_is_weak_where_its_secret_stands() {
        let hash = |algorithm, scheme| changed(scheme, |template| template.algorithm = algorithm);
        let json = Some(Place::Json(vec![Pointer::parse("/id").unwrap()]));
        let strict = Scheme {
            event_id: json.clone(),
            event_id_required: true,
            ..plain("{secret}{body}")
        };
        let lax = Scheme {
            event_id: json,
            ..plain("{secret}{body}")
        };
        let (sha256, sha1) = (Algorithm::Sha256, Algorithm::Sha1);
        let rows = [
            ("an HMAC", timestamped("{timestamp}.{body}"), None),
            (
                "secret first",
                hash(sha256, plain("{secret}{body}")),
                Some("added at its end"),
            ),
            (
                "secret between",
                hash(sha256, timestamped("{timestamp}{secret}{body}")),
                Some("added at its end"),
            ),
            (
                "a literal last",
                hash(sha256, plain("{secret}{body}.")),
                Some("added at its end"),
            ),
            ("secret first, JSON demanded", hash(sha256, strict), None),
            (
                "secret first, JSON not demanded",
                hash(sha256, lax),
                Some("added at its end"),
            ),
            ("secret last", hash(sha256, plain("{body}{secret}")), None),
            (
                "secret and a literal last",
                hash(sha256, plain("{body}{secret}.")),
                None,
            ),
            (
                "SHA-1, secret last",
                hash(sha1, plain("{body}{secret}")),
                Some("collide"),
            ),
            (
                "SHA-1, secret first",
                hash(sha1, plain("{secret}{body}")),
                Some("added at its end"),
            ),
        ];
        for (name, scheme, expected) in rows {
            let found = scheme.weakness();
            let is_right = expected.map_or(found.is_none(), |words| {
                found.is_some_and(|found| found.contains(words))
            });
            assert!(is_right, "{name}: {found:?}");
        }
    }
}
