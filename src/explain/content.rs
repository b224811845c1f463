//! Mistakes made in what is signed: order, separators, parts left out or added, algorithm.

use super::mistake::{Finding, Known, found};
use super::trials::Trials;
use crate::scheme::{Algorithm, Kind, Part, Template};
use crate::wire::head::FieldName;

/// What senders put between the parts.
const SEPARATORS: &[&str] = &[".", "", ":", "\n", "|", "-", "_", ",", " ", "&", "\r\n"];

/// The most parts of which every order is tried.
const MAX_PARTS: usize = 4;

/// Every order and subset of the parts that this scheme signs, the body always among them where it is one, under every separator, and
/// behind the text that the template begins with or without it.
pub(super) fn order_and_separator(case: &Trials<'_>) -> Option<Finding> {
    let signed = &case.scheme.signed;
    let own: Vec<String> =
        signed.parts().iter().filter(|part| !matches!(part, Part::Literal(_))).map(spelled).collect();
    if own.len() > MAX_PARTS || !case.is_template() {
        return None;
    }
    let begin = signed.parts().first().filter(|part| matches!(part, Part::Literal(_))).map(spelled);
    let begins: Vec<String> = std::iter::once(String::new()).chain(begin).collect();
    let mut arrangements = arrangements(&own);
    // A part alone proves little where it is not the body.
    arrangements.retain(|parts| signed.covers_body() || (parts.len() == own.len() && parts.len() > 1));
    // The whole before its parts, the scheme's own order before others.
    arrangements.sort_by_key(|parts| (std::cmp::Reverse(parts.len()), *parts != own));
    arrangements.iter().find_map(|parts| {
        let separators = if parts.len() == 1 { SEPARATORS.get(..1).unwrap_or_default() } else { SEPARATORS };
        let texts = separators.iter().flat_map(|separator| {
            let text = parts.join(separator);
            begins.iter().map(move |begin| format!("{begin}{text}"))
        });
        texts.filter(|text| text != signed.text()).find_map(|text| {
            let template = Template::parse(&text).ok()?;
            found(case.with_change(|scheme| scheme.signed = template), || {
                let shown = text.replace('\r', "\\r").replace('\n', "\\n");
                match parts.as_slice() {
                    [_] => Known::BodyAloneSigned,
                    some if some.len() < own.len() => Known::PartLeftOut(shown),
                    same if same == own => Known::OtherSeparator(shown),
                    _ => Known::OtherOrder(shown),
                }
            })
        })
    })
}

/// The body with a header of the delivery that looks like a time, an id or a nonce, or with the path.
pub(super) fn part_added(case: &Trials<'_>) -> Option<Finding> {
    const LIKELY: [&str; 5] = ["time", "date", "id", "nonce", "delivery"];
    let [Part::Body] = case.scheme.signed.parts() else { return None };
    let names = case.head.lines().filter_map(|(name, _)| FieldName::new(std::str::from_utf8(name).ok()?));
    let names = names.filter(|name| {
        let is_likely = LIKELY.iter().any(|word| name.as_str().contains(word));
        is_likely && !case.scheme.signature.headers.contains(name)
    });
    let mut parts: Vec<String> = names.take(8).map(|name| spelled(&Part::Header(name))).collect();
    parts.extend(["{path}".to_owned(), "{method}".to_owned()]);
    if case.settings.public_url.is_some() {
        parts.push("{url}".to_owned());
    }
    parts.iter().find_map(|part| {
        [".", "", ":", "\n", "|"].into_iter().find_map(|separator| {
            [format!("{part}{separator}{{body}}"), format!("{{body}}{separator}{part}")].into_iter().find_map(|text| {
                let template = Template::parse(&text).ok()?;
                let secret = case.with_change(|scheme| scheme.signed = template);
                found(secret, || Known::PartAdded(text.replace('\n', "\\n")))
            })
        })
    })
}

pub(super) fn algorithm(case: &Trials<'_>) -> Option<Finding> {
    if !case.is_template() && !case.scheme.is_token() {
        return None;
    }
    let own = case.scheme.algorithm;
    let others = Algorithm::ALL.into_iter().filter(|other| *other != own);
    // A token signs nothing, so nothing else can be made of it; a plain hash would need its secret in the template.
    let others = others.filter(|other| {
        (other.kind() == Kind::Token || !case.scheme.is_token()) && (!other.is_plain_hash() || own.is_plain_hash())
    });
    others.into_iter().find_map(|algorithm| {
        let secret = case.with_change(|scheme| {
            for (_, accepted) in &mut scheme.signature.items.accept {
                *accepted = if *accepted == scheme.algorithm { algorithm } else { *accepted };
            }
            scheme.algorithm = algorithm;
        });
        found(secret, || Known::OtherAlgorithm(algorithm.name()))
    })
}

/// A plain hash instead of an HMAC: with the secret before or behind what is signed, or with none at all.
pub(super) fn plain_hash(case: &Trials<'_>) -> Option<Finding> {
    if !case.is_template() || case.scheme.algorithm.is_plain_hash() {
        return None;
    }
    let own = case.scheme.signed.text();
    [Algorithm::Sha256, Algorithm::Sha1].into_iter().find_map(|algorithm| {
        let with = |text: &str| {
            let template = Template::parse(text).ok()?;
            case.with_change(|scheme| {
                for (_, accepted) in &mut scheme.signature.items.accept {
                    *accepted = algorithm;
                }
                scheme.algorithm = algorithm;
                scheme.signed = template;
            })
        };
        let templates =
            [format!("{{secret}}{own}"), format!("{own}{{secret}}"), "{secret}{body}".into(), "{body}{secret}".into()];
        let keyed = templates.iter().find_map(|text| {
            found(with(text), || Known::PlainHash { algorithm: algorithm.name(), signed: text.clone() })
        });
        keyed.or_else(|| {
            [own, "{body}"].into_iter().find_map(|text| found(with(text), || Known::Unkeyed(algorithm.name())))
        })
    })
}

/// A part as a template writes it.
pub(super) fn spelled(part: &Part) -> String {
    match part {
        Part::Literal(text) => text.replace('{', "{{").replace('}', "}}"),
        Part::Body => "{body}".to_owned(),
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

/// Every order of every subset that holds the body, and the secret where the template has it.
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
    let kept = ["{body}", "{secret}"].into_iter().filter(|kept| parts.iter().any(|part| part == kept));
    let kept: Vec<&str> = kept.collect();
    all.retain(|parts| kept.iter().all(|kept| parts.iter().any(|part| part == kept)));
    all
}
