//! Mistakes made with HTTP Message Signatures (RFC 9421): what the message says that it covers, its
//! digest (RFC 9530), and the spelling of both.

use sha2::Digest as _;

use super::mistake::{Finding, Mistake, found};
use super::trials::Trials;
use crate::notation::encoding::Encoding;
use crate::wire::head::{FieldName, Found};

/// The name of the code that these mistakes concern.
const CODE: &str = "http-message-signatures";
const BODY: &str = "content-digest";

/// Whether the scheme is one of HTTP Message Signatures.
fn is_so(case: &Trials<'_>) -> bool {
    case.scheme.code().is_some_and(|code| code.name() == CODE)
}

/// The value of a header that is there once.
fn one<'c>(case: &'c Trials<'_>, name: &str) -> Option<&'c str> {
    match case.head.find(&FieldName::new(name)?) {
        Found::One(value) => std::str::from_utf8(value).ok(),
        _ => None,
    }
}

/// The components that the message says it covers, read leniently.
pub(super) fn covered(case: &Trials<'_>) -> Vec<String> {
    let text = one(case, "signature-input").filter(|_| is_so(case));
    let list = text.and_then(|text| text.split_once('(')?.1.split_once(')'));
    let names = list.map(|(list, _)| list.split_whitespace());
    let names = names.into_iter().flatten();
    names
        .map(|name| name.split(';').next().unwrap_or(name))
        .map(|name| name.trim_matches('"').to_ascii_lowercase())
        .collect()
}

/// The signature has no colons around its base64.
pub(super) fn bare_signature(case: &Trials<'_>) -> Option<Finding> {
    let text = one(case, "signature").filter(|_| is_so(case))?;
    let (label, value) = text.split_once('=')?;
    let bare = value.trim().trim_matches(':').trim_matches('"');
    let spelled = format!("{}=:{bare}:", label.trim());
    let name = FieldName::new("signature")?;
    found(case.with_header(&name, spelled.as_bytes()), || {
        Mistake::new(
            "message_signature_spelling",
            "The signature is right, but its base64 does not stand between two colons, as RFC 9421 \
             writes it (`sig1=:…:`).",
            "Have the sender write it so; see whether a script or the capture removed the colons.",
        )
    })
}

/// The signature holds, but does not cover a component that the scheme demands.
pub(super) fn not_demanded(case: &Trials<'_>) -> Option<Finding> {
    if !is_so(case) {
        return None;
    }
    let covered = covered(case);
    let lacks = |name: &&String| !covered.contains(name);
    let missing: Vec<&String> = case.scheme.components.iter().filter(lacks).collect();
    let first = missing.first()?;
    let secret = case.with_change(|scheme| scheme.components.retain(|name| name == BODY));
    found(secret, || {
        Mistake::new(
            "component_not_covered",
            format!(
                "The signature is right, but does not cover the component `{first}`, which the \
                 scheme demands."
            ),
            "Have the sender cover it, or leave it out of `components` of the scheme, if your app \
             does not rely on it.",
        )
    })
}

/// What the message says of itself cannot hold: a header is missing, or written otherwise.
pub(super) fn broken(case: &Trials<'_>) -> Option<Mistake> {
    let signature = one(case, "signature").filter(|_| is_so(case))?;
    let pass_on = "See which proxy, script or capture dropped or changed it, and whether the sender \
                   signs as RFC 9421 says.";
    let Some(input) = one(case, "signature-input") else {
        return Some(Mistake::new(
            "message_input_missing",
            "There is a header `signature`, but no single header `signature-input`, which says what \
             it covers.",
            pass_on,
        ));
    };
    let label = |text: &str| text.split('=').next().unwrap_or_default().trim().to_owned();
    if label(signature) != label(input) {
        return Some(Mistake::new(
            "message_labels_differ",
            "The headers `signature` and `signature-input` do not begin with the same label.",
            pass_on,
        ));
    }
    if !input.contains(";created=") {
        return Some(Mistake::new(
            "message_without_created",
            "The parameter `created` of `signature-input`, which is the timestamp, is missing.",
            "Have the sender write it; without it a captured delivery could be sent at any time.",
        ));
    }
    let covered = covered(case);
    if !covered.iter().any(|name| name == BODY) {
        return Some(Mistake::new(
            "message_leaves_body",
            "The signature does not cover `content-digest`, so nothing authenticates the body.",
            "Have the sender send a `Content-Digest` (RFC 9530) and sign it.",
        ));
    }
    let is_missing = |name: &&String| {
        let header = FieldName::new(name).filter(|_| !name.starts_with('@'));
        header.is_some_and(|header| case.head.find(&header) == Found::Nothing)
    };
    if let Some(name) = covered.iter().find(is_missing) {
        let older = ["digest", "repr-digest"];
        let other = older.into_iter().find(|other| one(case, other).is_some());
        let sentence = match other.filter(|_| name == BODY) {
            Some(other) => format!(
                "The signed header `content-digest` is not there; there is `{other}`, which is \
                 another header."
            ),
            None => format!("The header `{name}`, which the signature covers, is not there."),
        };
        return Some(Mistake::new("component_missing", sentence, pass_on));
    }
    digest(case)
}

/// The digest of the body is written otherwise, or is that of another body.
fn digest(case: &Trials<'_>) -> Option<Mistake> {
    let text = one(case, BODY)?;
    let spelled = |item: &str| {
        let (name, value) = item.trim().split_once('=')?;
        let inner = value.strip_prefix(':')?.strip_suffix(':')?;
        Some((name.to_owned(), inner.to_owned()))
    };
    let digests: Option<Vec<(String, String)>> = text.split(',').map(spelled).collect();
    let known = |name: &str| matches!(name, "sha-256" | "sha-512");
    let Some(digests) = digests.filter(|all| all.iter().any(|(name, _)| known(name))) else {
        return Some(Mistake::new(
            "digest_spelling",
            "The header `content-digest` is not written as RFC 9530 says (`sha-256=:…:`, in base64 \
             between two colons), or has neither `sha-256` nor `sha-512`.",
            "Have the sender write it so; the older header `Digest` has no colons.",
        ));
    };
    let is_other = digests.iter().any(|(name, stated)| {
        let digest = match name.as_str() {
            "sha-256" => Encoding::Base64.encode(&sha2::Sha256::digest(case.body)),
            "sha-512" => Encoding::Base64.encode(&sha2::Sha512::digest(case.body)),
            _ => return false,
        };
        digest != *stated
    });
    is_other.then(|| {
        Mistake::new(
            "body_of_other_digest",
            "The body is not the one whose digest `content-digest` holds: it was changed after it \
             was signed, or decoded and written again.",
            "Give the raw bytes of the body, as they came: read them before any parser, and without \
             a line end that an editor adds.",
        )
    })
}
