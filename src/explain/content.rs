//! Mistakes made with the signed content: order, separators, parts left out or added, algorithm.

use super::mistake::{Finding, Mistake, found};
use super::trials::Trials;
use crate::scheme::{Algorithm, CredentialKind, Kind, Part, Scheme, Template};
use crate::wire::head::FieldName;

/// The separators that senders put between the parts.
const SEPARATORS: &[&str] = &[".", "", ":", "\n", "|", "-", "_", ",", " ", "&", "\r\n"];

/// The fix for a sender that signs other content than this scheme says.
const WRITE_ITS_SCHEME: &str = "If the sender is right, write its scheme in `[route.scheme]` with \
                                this `signed`; otherwise correct the sender.";

/// The most parts of which every order is tried.
const MAX_PARTS: usize = 4;

/// The sender signs other parts than this scheme, in another order or with other separators.
///
/// Every order of every subset of the scheme's parts is tried with every separator, with and
/// without the text that the template begins with. If the body is a part, it is always among them.
pub(super) fn order_and_separator(case: &Trials<'_>) -> Option<Finding> {
    let signed = &case.scheme.template()?.signed;
    let own: Vec<String> = signed
        .parts()
        .iter()
        .filter(|part| !matches!(part, Part::Literal(_)))
        .map(spelled)
        .collect();
    if own.len() > MAX_PARTS {
        return None;
    }
    let begin = signed
        .parts()
        .first()
        .filter(|part| matches!(part, Part::Literal(_)))
        .map(spelled);
    let begins: Vec<String> = std::iter::once(String::new()).chain(begin).collect();
    let mut arrangements = arrangements(&own);
    // A single part proves little if it is not the body.
    arrangements
        .retain(|parts| signed.covers_body() || (parts.len() == own.len() && parts.len() > 1));
    // All parts before fewer, and the scheme's own order before others.
    arrangements.sort_by_key(|parts| (std::cmp::Reverse(parts.len()), *parts != own));
    arrangements.iter().find_map(|parts| {
        let separators = if parts.len() == 1 {
            SEPARATORS.get(..1).unwrap_or_default()
        } else {
            SEPARATORS
        };
        let texts = separators.iter().flat_map(|separator| {
            let text = parts.join(separator);
            begins.iter().map(move |begin| format!("{begin}{text}"))
        });
        texts.filter(|text| text != signed.text()).find_map(|text| {
            let template = Template::parse(&text).ok()?;
            found(case.with_template(|own| own.signed = template), || {
                other_content(&own, parts, &text)
            })
        })
    })
}

/// The sender signs `parts`, joined as in `template`, where this scheme signs `own`.
fn other_content(own: &[String], parts: &[String], template: &str) -> Mistake {
    let shown = template.replace('\r', "\\r").replace('\n', "\\n");
    match parts {
        [_] => {
            let sentence = "The sender signs the body alone, without the other parts that this \
                            scheme signs.";
            Mistake::new("body_alone_signed", sentence, WRITE_ITS_SCHEME)
        }
        some if some.len() < own.len() => {
            let sentence = format!(
                "The sender leaves out a part that this scheme signs, and signs `{shown}`."
            );
            Mistake::new("part_left_out", sentence, WRITE_ITS_SCHEME)
        }
        same if same == own => {
            let sentence = format!("The sender joins the parts in another way: `{shown}`.");
            Mistake::new("other_separator", sentence, WRITE_ITS_SCHEME)
        }
        _ => {
            let sentence = format!("The sender signs the parts in another order: `{shown}`.");
            Mistake::new("other_order", sentence, WRITE_ITS_SCHEME)
        }
    }
}

/// The sender signs the body with a header of the delivery that looks like a time, an id or a
/// nonce, or with the path, the method or the URL.
pub(super) fn part_added(case: &Trials<'_>) -> Option<Finding> {
    const LIKELY: [&str; 5] = ["time", "date", "id", "nonce", "delivery"];
    let [Part::Body] = case.scheme.parts() else {
        return None;
    };
    let names = case
        .head
        .lines()
        .filter_map(|(name, _)| FieldName::new(std::str::from_utf8(name).ok()?));
    let names = names.filter(|name| {
        let is_likely = LIKELY.iter().any(|word| name.as_str().contains(word));
        is_likely && !case.scheme.signature_headers().contains(name)
    });
    let mut parts: Vec<String> = names
        .take(8)
        .map(|name| spelled(&Part::Header(name)))
        .collect();
    parts.extend(["{path}".to_owned(), "{method}".to_owned()]);
    if case.settings.public_url.is_some() {
        parts.push("{url}".to_owned());
    }
    parts.iter().find_map(|part| {
        [".", "", ":", "\n", "|"].into_iter().find_map(|separator| {
            [
                format!("{part}{separator}{{body}}"),
                format!("{{body}}{separator}{part}"),
            ]
            .into_iter()
            .find_map(|text| {
                let template = Template::parse(&text).ok()?;
                let secret = case.with_template(|own| own.signed = template);
                found(secret, || {
                    let shown = text.replace('\n', "\\n");
                    let sentence =
                        format!("The sender signs more than this scheme does: `{shown}`.");
                    Mistake::new("part_added", sentence, WRITE_ITS_SCHEME)
                })
            })
        })
    })
}

/// The sender signs with another algorithm, or sends the secret itself.
pub(super) fn algorithm(case: &Trials<'_>) -> Option<Finding> {
    let is_credential = case.scheme.is_credential();
    if !case.is_template() && !is_credential {
        return None;
    }
    let own = case.scheme.algorithm();
    let others = Algorithm::ALL.into_iter().filter(|other| *other != own);
    // A credential has no template, so only the other kind of credential can be tried in its place.
    // A plain hash needs a template with the secret in it.
    let others = others.filter(|other| {
        (other.kind() == Kind::Token || !is_credential)
            && (!other.is_plain_hash() || own.is_plain_hash())
    });
    others.into_iter().find_map(|algorithm| {
        let secret = match algorithm {
            Algorithm::Token => as_credential(case, CredentialKind::Token),
            Algorithm::Basic => as_credential(case, CredentialKind::Basic),
            _ => case.with_template(|template| {
                for (_, accepted) in &mut template.signature.items.accept {
                    *accepted = if *accepted == own {
                        algorithm
                    } else {
                        *accepted
                    };
                }
                template.algorithm = algorithm;
            }),
        };
        found(secret, || {
            let name = algorithm.name();
            let sentence = match algorithm {
                Algorithm::Token | Algorithm::Basic => {
                    "The sender sends the secret itself, and signs nothing.".to_owned()
                }
                _ => format!("The sender signs with {name}."),
            };
            let fix = format!("Set `algorithm = \"{name}\"` in the scheme, or correct the sender.");
            Mistake::new("other_algorithm", sentence, fix)
        })
    })
}

/// The secret that is sent itself, in the place of the signature.
fn as_credential(case: &Trials<'_>, kind: CredentialKind) -> Option<std::sync::Arc<str>> {
    let proof = case.scheme.proof.as_credential(kind)?;
    case.with_scheme(Scheme {
        proof,
        ..Scheme::clone(case.scheme)
    })
}

/// The sender takes a plain hash instead of an HMAC: with the secret before or after the signed
/// content, or without any secret.
pub(super) fn plain_hash(case: &Trials<'_>) -> Option<Finding> {
    let template = case
        .scheme
        .template()
        .filter(|own| !own.algorithm.is_plain_hash())?;
    let own = template.signed.text();
    [Algorithm::Sha256, Algorithm::Sha1]
        .into_iter()
        .find_map(|algorithm| {
            let with = |text: &str| {
                let template = Template::parse(text).ok()?;
                case.with_template(|own| {
                    for (_, accepted) in &mut own.signature.items.accept {
                        *accepted = algorithm;
                    }
                    own.algorithm = algorithm;
                    own.signed = template;
                })
            };
            let templates = [
                format!("{{secret}}{own}"),
                format!("{own}{{secret}}"),
                "{secret}{body}".into(),
                "{body}{secret}".into(),
            ];
            let keyed = templates
                .iter()
                .find_map(|text| found(with(text), || hash_with_secret(algorithm, text)));
            keyed.or_else(|| {
                let mut contents = [own, "{body}"].into_iter();
                contents.find_map(|text| found(with(text), || hash_without_secret(algorithm)))
            })
        })
}

fn hash_with_secret(algorithm: Algorithm, text: &str) -> Mistake {
    Mistake::new(
        "plain_hash",
        format!(
            "The sender takes a plain {} hash of `{text}`, and not an HMAC.",
            algorithm.name()
        ),
        "Have the sender use an HMAC; otherwise write its scheme in `[route.scheme]`.",
    )
}

fn hash_without_secret(algorithm: Algorithm) -> Mistake {
    let name = algorithm.name();
    Mistake::new(
        "unkeyed",
        format!("The signature is a plain {name} hash without any secret, which anybody can make."),
        "Have the sender use an HMAC with the secret: such a delivery proves nothing.",
    )
}

/// A part as a template writes it.
pub(super) fn spelled(part: &Part) -> String {
    match part {
        Part::Literal(text) => text.replace('{', "{{").replace('}', "}}"),
        Part::Body => "{body}".to_owned(),
        Part::BodyDigest(digest) => format!("{{{}}}", digest.name()),
        Part::Form(field) => format!("{{form:{}}}", field.tokens.join("/")),
        Part::Param(name) => format!("{{param:{name}}}"),
        Part::Timestamp => "{timestamp}".to_owned(),
        Part::Id => "{id}".to_owned(),
        Part::Method => "{method}".to_owned(),
        Part::Path => "{path}".to_owned(),
        Part::Query => "{query}".to_owned(),
        Part::Url => "{url}".to_owned(),
        Part::Header(name) => format!("{{header:{}}}", name.as_str()),
        Part::Json(pointer) => format!("{{json:{}}}", pointer.text()),
        Part::Secret => "{secret}".to_owned(),
    }
}

/// Every order of every subset that holds the body, and the secret if the template has it.
fn arrangements(parts: &[String]) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for part in parts {
        let mut longer = Vec::new();
        for arrangement in &all {
            for place in 0..=arrangement.len() {
                let mut next = arrangement.clone();
                next.insert(place, part.clone());
                longer.push(next);
            }
        }
        all.append(&mut longer);
    }
    let kept = ["{body}", "{secret}"]
        .into_iter()
        .filter(|kept| parts.iter().any(|part| part == kept));
    let kept: Vec<&str> = kept.collect();
    all.retain(|parts| {
        kept.iter()
            .all(|kept| parts.iter().any(|part| part == kept))
    });
    all
}
