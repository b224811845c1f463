//! Older signatures beside the one that counts: a provider that changed its hash goes on sending the
//! old header.
//!
//! If the older signature holds, then the secret and the body are right, and only the newer header
//! is not. The older signature is never taken for that of another provider.

use super::mistake::{Finding, Mistake, found};
use super::trials::Trials;
use crate::notation::encoding::Encoding;
use crate::scheme::{Algorithm, Items, Template};
use crate::wire::head::{FieldName, Found};

/// A header that a provider sends for receivers of long ago.
struct Older {
    /// The header that counts.
    newer: &'static str,
    header: &'static str,
    prefix: &'static str,
    algorithm: Algorithm,
    encoding: Encoding,
    signed: &'static [&'static str],
    /// Another provider that signs in the same way, and a word that its deliveries have.
    double: Option<(&'static str, &'static str)>,
}

const OLDER: &[Older] = &[
    // GitHub, Meta, Gitea.
    Older {
        newer: "x-hub-signature-256",
        header: "x-hub-signature",
        prefix: "sha1=",
        algorithm: Algorithm::HmacSha1,
        encoding: Encoding::Hex,
        signed: &["{body}"],
        double: Some(("intercom", "intercom")),
    },
    Older {
        newer: "x-square-hmacsha256-signature",
        header: "x-square-signature",
        prefix: "",
        algorithm: Algorithm::HmacSha1,
        encoding: Encoding::Base64,
        signed: &["{url}{body}"],
        double: None,
    },
    Older {
        newer: "x-hubspot-signature-v3",
        header: "x-hubspot-signature",
        prefix: "",
        algorithm: Algorithm::Sha256,
        encoding: Encoding::Hex,
        signed: &["{secret}{body}", "{secret}{method}{url}{body}"],
        double: None,
    },
];

/// The rows that concern the scheme of a case.
fn rows<'c>(
    case: &'c Trials<'_>,
) -> impl Iterator<Item = (&'static Older, FieldName, FieldName)> + 'c {
    OLDER.iter().filter_map(|row| {
        let (newer, header) = (FieldName::new(row.newer)?, FieldName::new(row.header)?);
        case.scheme
            .signature_headers()
            .contains(&newer)
            .then_some((row, newer, header))
    })
}

/// The secret with which a header holds an older signature.
fn holds(
    case: &Trials<'_>,
    row: &Older,
    header: &FieldName,
    prefix: &str,
) -> Option<std::sync::Arc<str>> {
    row.signed.iter().find_map(|text| {
        let signed = Template::parse(text).ok()?;
        case.with_template(|template| {
            template.algorithm = row.algorithm;
            template.signed = signed;
            template.timestamp = None;
            template.signature.headers = vec![header.clone()];
            prefix.clone_into(&mut template.signature.prefix);
            template.signature.encoding = row.encoding;
            template.signature.items = Items::default();
        })
    })
}

/// The header that counts is missing or damaged, and the older one beside it is right; or it holds
/// the older signature itself.
pub(super) fn beside(case: &Trials<'_>) -> Option<Finding> {
    rows(case).find_map(|(row, newer, header)| {
        let name = row.algorithm.name();
        let inside = [row.prefix, "sha256=", ""]
            .into_iter()
            .find_map(|prefix| holds(case, row, &newer, prefix));
        let inside = found(inside, || {
            Mistake::new(
                "older_signature_inside",
                format!(
                    "The header `{}` holds the older signature ({name}), which belongs into \
                     `{}`: the secret and the body are right.",
                    row.newer, row.header
                ),
                format!(
                    "Have the sender, the proxy or the test script write the signature with {} \
                     into `{}`.",
                    case.scheme.algorithm().name(),
                    row.newer
                ),
            )
        });
        inside.or_else(|| {
            if is_of_double(case, row) {
                return None;
            }
            let state = match case.head.find(&newer) {
                Found::Nothing | Found::One(b"") => "is missing",
                Found::One(_) => "was damaged or cut",
                Found::Several => "is there more than once",
            };
            let double = row.double.map_or_else(String::new, |(provider, _)| {
                format!(
                    " Only if the sender is `{provider}`, which signs in that way: set `provider = \
                     \"{provider}\"`."
                )
            });
            found(holds(case, row, &header, row.prefix), || {
                Mistake::new(
                    "older_signature_beside",
                    format!(
                        "The older signature in `{}` ({name}) is right, so the secret and the body \
                         are right; but the header `{}`, which counts, {state}.",
                        row.header, row.newer
                    ),
                    format!(
                        "See which proxy, script or capture drops or changes `{}`; a sender that \
                         only knows the older header must be brought up to date.{double}",
                        row.newer
                    ),
                )
            })
        })
    })
}

/// The header that counts is missing, and the older one is there, but does not hold either.
pub(super) fn only(case: &Trials<'_>) -> Option<Mistake> {
    rows(case).find_map(|(row, newer, header)| {
        let is_missing = matches!(case.head.find(&newer), Found::Nothing | Found::One(b""));
        let is_there = matches!(case.head.find(&header), Found::One(value) if !value.is_empty());
        (is_missing && is_there && !is_of_double(case, row)).then(|| {
            Mistake::new(
                "only_older_signature",
                format!(
                    "The delivery has only the older header `{}` ({}), and `{}`, which this scheme \
                     verifies, is missing.",
                    row.header,
                    row.algorithm.name(),
                    row.newer
                ),
                format!(
                    "See which proxy, script or capture drops `{}`, and give the whole delivery.",
                    row.newer
                ),
            )
        })
    })
}

/// Whether a header or the body names the other provider that signs in the same way.
fn is_of_double(case: &Trials<'_>, row: &Older) -> bool {
    let Some((_, word)) = row.double else {
        return false;
    };
    let has =
        |text: &[u8]| memchr::memmem::find(&text.to_ascii_lowercase(), word.as_bytes()).is_some();
    case.head
        .lines()
        .any(|(name, value)| has(name) || has(value))
        || memchr::memmem::find(case.body, b"\"notification_event\"").is_some()
}
