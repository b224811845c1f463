//! The places of a delivery's parts in words (signature, timestamp, id), and the headers that a
//! scheme reads.

use super::tokens;
use crate::notation::encoding::Encoding;
use crate::notation::json::Pointer;
use crate::scheme::ProviderCode;
use crate::scheme::{
    Algorithm, CredentialKind, Items, JwtRule, Part, Place, ProofBy, Scheme, Source, Stamped,
    TemplateScheme, TimestampAt, TimestampPlace,
};
use crate::sign::canonical;
use crate::verdict::Code;
use crate::wire::head::FieldName;

/// Every header that the scheme reads, as it is usually written.
pub(super) fn headers(scheme: &Scheme) -> Vec<String> {
    let mut names: Vec<&FieldName> = scheme.proof.headers().iter().collect();
    if let Some(TimestampAt::Headers(timestamp)) = scheme.timestamp().map(|place| &place.at) {
        names.extend(timestamp);
    }
    names.extend(scheme.require.iter().map(|(name, _)| name));
    names.extend(scheme.parts().iter().filter_map(|part| match part {
        Part::Header(name) => Some(name),
        _ => None,
    }));
    for place in [&scheme.event_id, &scheme.event_type, &scheme.account] {
        if let Some(Place::Header(name)) = place {
            names.push(name);
        }
    }
    let own = scheme.code().map(ProviderCode::headers).unwrap_or_default();
    let mut all: Vec<String> = names
        .into_iter()
        .map(canonical)
        .chain(own.iter().map(|name| (*name).to_owned()))
        .collect();
    let mut seen = Vec::new();
    all.retain(|name| {
        let name = name.to_ascii_lowercase();
        let is_new = !seen.contains(&name);
        seen.push(name);
        is_new
    });
    all
}

/// Where a scheme reads the value that a refusal with this code says is missing or malformed, in
/// words; `None` for another code, or where the scheme has no such value.
pub(in crate::cli) fn read_from(scheme: &Scheme, code: Code) -> Option<String> {
    match code {
        Code::MissingSignature | Code::MalformedSignature => {
            let sources = scheme.signature_sources().into_iter();
            let places: Vec<String> = sources
                .map(|source| match &source {
                    Source::Header(name) => format!("header `{}`", canonical(name)),
                    _ => source.words(),
                })
                .collect();
            (!places.is_empty()).then(|| places.join(" or "))
        }
        Code::MissingTimestamp | Code::MalformedTimestamp => {
            let words = timestamp(scheme);
            let place = words.split("; ").next().unwrap_or_default();
            (place != "none").then(|| place.to_owned())
        }
        _ => None,
    }
}

/// The place of the signature, and how it is written.
pub(super) fn signature(scheme: &Scheme) -> String {
    match &scheme.proof {
        ProofBy::Code(code) => match code.headers() {
            [] => read_from(scheme, Code::MissingSignature)
                .unwrap_or_else(|| "in the body".to_owned()),
            [first, ..] => format!("header `{first}`"),
        },
        ProofBy::Token(token) => {
            let rule = &token.rule;
            let names: Vec<_> = rule.algorithms.iter().map(|known| known.name()).collect();
            let names = names.join(" or ");
            let place = tokens::place(rule);
            format!("{place}{}, {names}", behind(rule.prefix()))
        }
        ProofBy::Credential(credential) => {
            let place = &credential.place;
            let words = in_headers_or_body(&place.headers, place.json.as_ref());
            match credential.kind {
                _ if place.json.is_some() => words,
                CredentialKind::Basic => words + ": `Basic` and base64 of user and password",
                CredentialKind::Token => format!("{words}{}", behind(&place.prefix)),
            }
        }
        ProofBy::Template(template) => {
            let place = &template.signature;
            let words = match (&place.json, &place.query) {
                (Some(field), _) if place.in_form => {
                    return format!("field `{}` of the form", field.tokens.join("/"));
                }
                (Some(pointer), _) => return in_headers_or_body(&[], Some(pointer)),
                (None, Some(name)) => format!("parameter `{name}` of the URL's query"),
                (None, None) => in_headers_or_body(&place.headers, None),
            };
            let encoding = match place.encoding {
                Encoding::HexAny => "hex in either case",
                Encoding::Base64UrlAny => "base64url, padded or not",
                encoding => encoding.name(),
            };
            let behind = behind(&place.prefix);
            let items = listed(&place.items, template.algorithm);
            let once = if place.prefix_once {
                " that comes once, before the list"
            } else {
                ""
            };
            let repeated = if place.repeat {
                "; several lines are taken, one must hold"
            } else {
                ""
            };
            format!("{words}: {encoding}{behind}{once}{items}{repeated}")
        }
    }
}

/// The text before a signature, in words; empty where there is no such text.
pub(super) fn behind(prefix: &str) -> String {
    if prefix.is_empty() {
        String::new()
    } else if prefix.ends_with(' ') {
        // The blank at the end of a quoted text is easily overlooked.
        format!(" behind `{prefix}` (with the blank)")
    } else {
        format!(" behind `{prefix}`")
    }
}

/// The headers that carry a signature, or its place in the body.
fn in_headers_or_body(headers: &[FieldName], json: Option<&Pointer>) -> String {
    if let Some(pointer) = json {
        let each = if pointer.is_each() {
            ", each of which must hold"
        } else {
            ""
        };
        return format!("`{}` of the JSON body{each}", pointer.text());
    }
    let names: Vec<_> = headers
        .iter()
        .map(|name| format!("`{}`", canonical(name)))
        .collect();
    format!("header {}", names.join(" or "))
}

/// The list in which signatures are written, in words; empty where a header holds a single
/// signature.
fn listed(items: &Items, algorithm: Algorithm) -> String {
    let separator = items
        .separator
        .as_deref()
        .map(|text| match text {
            " " => ", in a list divided by blanks".to_owned(),
            ", " => ", in a list divided by `,` and a blank".to_owned(),
            text => format!(", in a list divided by `{text}`"),
        })
        .unwrap_or_default();
    let Some(assign) = items.assign.map(char::from) else {
        return separator;
    };
    let label = |(label, own): &(String, Algorithm)| {
        if *own == algorithm {
            format!("`{label}{assign}`")
        } else {
            format!("`{label}{assign}` ({})", own.name())
        }
    };
    let labels: Vec<_> = items.accept.iter().map(label).collect();
    format!("{separator}, labelled {}", labels.join(" or "))
}

/// The place of the timestamp, how it is written, and when it is made.
pub(super) fn timestamp(scheme: &Scheme) -> String {
    let made = match scheme.stamped() {
        Stamped::Attempt => "; new for each attempt",
        Stamped::Event => "; the event's own, so that a retry carries the old one",
        Stamped::Unknown => "",
    };
    let words = match &scheme.proof {
        ProofBy::Template(template) => template.timestamp.as_ref().map(timestamp_place),
        ProofBy::Code(code) => code.timestamp_words().map(str::to_owned),
        ProofBy::Token(token) => {
            if token.rule.timeless && !token.rule.is_detached() {
                return "none required; `exp` and `nbf` of the token count where they are there"
                    .to_owned();
            }
            tokens::timestamp(&token.rule)
        }
        ProofBy::Credential(_) => None,
    };
    let Some(words) = words else {
        return "none: nothing that is signed says when a delivery was made".to_owned();
    };
    let signed = if scheme.signs_timestamp() {
        ""
    } else {
        "; not signed, so it can only refuse"
    };
    format!("{words}{made}{signed}")
}

fn timestamp_place(place: &TimestampPlace) -> String {
    let at = match &place.at {
        TimestampAt::Headers(names) => {
            let names: Vec<_> = names
                .iter()
                .map(|name| format!("`{}`", canonical(name)))
                .collect();
            format!("header {}", names.join(" or "))
        }
        TimestampAt::Field(label) => format!("`{label}` in the signature's header"),
        TimestampAt::Item(position) => {
            format!("item {position} of the list in the signature's header")
        }
        TimestampAt::Json(pointer) => format!("`{}` of the JSON body", pointer.text()),
    };
    format!("{at}, {}", place.unit.name())
}

/// The place of id, type or account.
fn place_of(scheme: &Scheme, place: &Place) -> String {
    let is_form = scheme
        .template()
        .is_some_and(TemplateScheme::takes_forms_alone);
    match place {
        Place::Header(name) => format!("header `{}`", canonical(name)),
        Place::Json(pointers) if is_form => {
            let fields: Vec<String> = pointers
                .iter()
                .map(|pointer| format!("`{}`", pointer.tokens.join("/")))
                .collect();
            format!("field {} of the form", fields.join(" and "))
        }
        Place::Json(pointers) => {
            let all: Vec<String> = pointers
                .iter()
                .map(|pointer| format!("`{}`", Pointer::text(pointer)))
                .collect();
            format!("{} of the JSON body", all.join(" and "))
        }
        Place::Claim(name) => format!("claim `{name}` of the token"),
    }
}

/// A place in a delivery of this scheme in words. Where the body is a token, a place in the JSON body
/// is one in the token's claims.
pub(super) fn place_in(scheme: &Scheme, at: &Place) -> String {
    let words = place_of(scheme, at);
    if scheme.token_rule().is_some_and(JwtRule::is_body) {
        words.replace("of the JSON body", "of the token's claims")
    } else {
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets;

    fn of(name: &str, words: fn(&Scheme) -> String) -> String {
        words(&presets::find(name).unwrap().scheme)
    }

    #[test]
    fn a_signature_s_place_is_said_as_the_scheme_has_it() {
        let rows = [
            (
                "github",
                "header `X-Hub-Signature-256`: hex behind `sha256=`",
            ),
            (
                "stripe",
                "header `Stripe-Signature`: hex, in a list divided by `,`, labelled `v1=`",
            ),
            (
                "standard-webhooks",
                "header `Webhook-Signature`: base64, in a list divided by blanks, labelled `v1,` or `v1a,` (ed25519)",
            ),
            (
                "box",
                "header `Box-Signature-Primary` or `Box-Signature-Secondary`: base64",
            ),
            ("gitlab", "header `X-Gitlab-Token`"),
            (
                "supabase-db",
                "header `Authorization` behind `Bearer ` (with the blank)",
            ),
            (
                "ms-teams",
                "header `Authorization`: base64 behind `HMAC ` (with the blank)",
            ),
            (
                "merge",
                "header `X-Merge-Webhook-Signature`: base64url, padded or not",
            ),
            (
                "chargebee",
                "header `Authorization`: `Basic` and base64 of user and password",
            ),
            (
                "microsoft-graph",
                "`/value/*/clientState` of the JSON body, each of which must hold",
            ),
            ("twilio", "header `X-Twilio-Signature`"),
            (
                "adyen",
                "`/notificationItems/*/NotificationRequestItem/additionalData/hmacSignature` of the \
                 JSON body",
            ),
            (
                "plaid",
                "header `Plaid-Verification`: a JSON Web Token, ES256",
            ),
        ];
        for (name, expected) in rows {
            assert_eq!(of(name, signature), expected, "{name}");
        }
        assert!(of("mollie", signature).ends_with("several lines are taken, one must hold"));
    }

    #[test]
    fn a_timestamp_s_place_is_said_with_its_unit_and_whether_it_is_signed() {
        for name in ["github", "twilio", "gitlab"] {
            let shown = of(name, timestamp);
            assert_eq!(
                shown,
                "none: nothing that is signed says when a delivery was made"
            );
        }
        assert_eq!(
            of("stripe", timestamp),
            "`t` in the signature's header, seconds"
        );
        let mut scheme = presets::find("configcat").unwrap().scheme.clone();
        assert_eq!(
            timestamp(&scheme),
            "header `X-Configcat-Webhook-Timestamp`, seconds"
        );
        let template = scheme.template_mut().unwrap();
        let place = template.timestamp.as_mut().unwrap();
        (place.stamped, place.unsigned) = (Stamped::Attempt, true);
        assert!(timestamp(&scheme).ends_with("seconds; new for each attempt"));
        scheme.template_mut().unwrap().signed = crate::scheme::Template::parse("{body}").unwrap();
        assert!(timestamp(&scheme).ends_with("; not signed, so it can only refuse"));
        assert_eq!(
            of("linear", timestamp),
            "`/webhookTimestamp` of the JSON body, milliseconds; the event's own, so that a retry carries the old one"
        );
        assert_eq!(of("plaid", timestamp), "`iat` of the token");
        assert_eq!(of("livekit", timestamp), "`exp` of the token");
        assert!(of("aws-sns", timestamp).contains("a retry carries the old one"));
    }

    /// Whatever is missing or malformed, the place that is named is the one that the scheme reads:
    /// no header is named for a value of the body, of the query or of a token.
    #[test]
    fn a_missing_value_is_looked_for_where_the_scheme_reads_it() {
        let mut wrong = Vec::new();
        for preset in presets::all() {
            let scheme = &preset.scheme;
            for code in [Code::MissingSignature, Code::MalformedSignature] {
                let place = read_from(scheme, code).unwrap_or_default();
                let sources = scheme.signature_sources();
                let is_header = sources.iter().any(|source| source.header().is_some());
                if place.is_empty() || place.contains("header `") != is_header {
                    wrong.push(format!("{}: {place}", preset.name));
                }
            }
            let place = read_from(scheme, Code::MissingTimestamp);
            let at = scheme.timestamp().map(|place| &place.at);
            let is_said = match at {
                Some(TimestampAt::Json(pointer)) => place
                    .as_deref()
                    .is_some_and(|said| said.contains(&pointer.text()) && !said.contains("header")),
                Some(TimestampAt::Headers(_)) => place
                    .as_deref()
                    .is_some_and(|said| said.contains("header `")),
                _ => true,
            };
            if !is_said {
                wrong.push(format!("{}: {place:?}", preset.name));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        for code in Code::ALL {
            assert!(
                !code.words().contains("signature header")
                    && !code.words().contains("timestamp header"),
                "{}",
                code.name()
            );
        }
        let aikido = &presets::find("aikido").unwrap().scheme;
        let place = read_from(aikido, Code::MissingTimestamp).unwrap();
        assert_eq!(place, "`/dispatched_at` of the JSON body, seconds");
    }
}
