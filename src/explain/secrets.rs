//! Mistakes made with the secret: its ends, its quotes, its encoding, its time, its route.
//!
//! A secret that merely looks like something else is found in `shape`.

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::mistake::{Finding, Mistake, found};
use super::trials::{Changed, Trials};
use crate::key::secret::Secret;
use crate::notation::percent;
use crate::scheme::{KeyEncoding, KeyForm, Scheme};

/// Prefixes that providers put in front of secrets: part of the key for some providers and not for
/// others.
const PREFIXES: &[&str] = &["whsec_", "v1_", "sk_", "base64:", "hex:"];

/// Words that are copied along with a token from a header.
const OF_HEADERS: &[&str] = &["Bearer ", "Basic ", "Token "];

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

pub(super) fn surplus_newline(case: &Trials<'_>) -> Option<Finding> {
    let secret = case.with_texts(|text| {
        let end = text
            .iter()
            .rposition(|b| !matches!(b, b'\r' | b'\n'))
            .map_or(0, |last| last + 1);
        text.get(..end)
            .filter(|rest| rest.len() < text.len())
            .map(<[u8]>::to_vec)
    });
    found(secret, || {
        Mistake::new(
            "secret_ends_in_newline",
            "The configured secret ends in a newline, and the sender's secret does not.",
            "Store the secret without the newline, with `printf %s` instead of `echo`; one line \
             feed at the end of a file is dropped, but a carriage return is not.",
        )
    })
}

pub(super) fn lacks_newline(case: &Trials<'_>) -> Option<Finding> {
    let with = |end: &'static [u8]| case.with_texts(|text| Some([text, end].concat()));
    found(with(b"\n").or_else(|| with(b"\r\n")), || {
        Mistake::new(
            "secret_lacks_newline",
            "The sender's secret ends in a newline, and the configured secret does not.",
            "Set the secret at the sender again without the newline, or configure it with the \
             newline.",
        )
    })
}

pub(super) fn surplus_space(case: &Trials<'_>) -> Option<Finding> {
    let secret = case.with_texts(|text| {
        // White space of Unicode too: a space that does not break comes from a web page.
        let inner =
            std::str::from_utf8(text).map_or(text.trim_ascii(), |text| text.trim().as_bytes());
        (inner.len() < text.len()).then(|| inner.to_vec())
    });
    found(secret, || {
        Mistake::new(
            "secret_in_space",
            "The configured secret has white space around it that the sender's secret does not \
             have.",
            "Remove the white space before and after the secret.",
        )
    })
}

pub(super) fn quotes(case: &Trials<'_>) -> Option<Finding> {
    let secret = case.with_texts(|text| unquoted(text.trim_ascii()).map(<[u8]>::to_vec));
    found(secret, || {
        Mistake::new(
            "secret_in_quotes",
            "The configured secret has quotation marks around it that are not part of it.",
            "Remove the quotation marks; in `.env` and unit files they are often taken literally.",
        )
    })
}

fn unquoted(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] | [b'`', inner @ .., b'`'] => {
            Some(inner)
        }
        _ => None,
    }
}

pub(super) fn byte_order_mark(case: &Trials<'_>) -> Option<Finding> {
    let secret = case.with_texts(|text| text.strip_prefix(BYTE_ORDER_MARK).map(<[u8]>::to_vec));
    found(secret, || {
        Mistake::new(
            "secret_has_byte_order_mark",
            "The configured secret begins with a byte order mark that is not part of it.",
            "Save the file as UTF-8 without a byte order mark.",
        )
    })
}

/// The whole line of an `.env` file was configured: `NAME=secret`, perhaps quoted.
pub(super) fn name(case: &Trials<'_>) -> Option<Finding> {
    let secret = case.with_texts(|text| {
        let text = text.trim_ascii();
        let text = text.strip_prefix(b"export ").unwrap_or(text);
        let at = text.iter().position(|byte| matches!(byte, b'=' | b':'))?;
        let (name, behind) = text.split_at_checked(at)?;
        let is_name = !name.is_empty()
            && name
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        let value = behind.get(1..)?.trim_ascii();
        (is_name && !value.is_empty()).then(|| unquoted(value).unwrap_or(value).to_vec())
    });
    found(secret, || {
        Mistake::new(
            "secret_has_name",
            "The configured secret begins with the name of its variable, as in `NAME=secret`.",
            "Configure the secret alone, without the name and the sign after it.",
        )
    })
}

/// `\n` was written as two characters, as PEM texts get into environment variables.
pub(super) fn escaped_newlines(case: &Trials<'_>) -> Option<Finding> {
    let secret = case.with_texts(|text| {
        let text = std::str::from_utf8(text)
            .ok()
            .filter(|text| text.contains("\\n"))?;
        Some(
            text.replace("\\r\\n", "\n")
                .replace("\\n", "\n")
                .into_bytes(),
        )
    });
    found(secret, || {
        Mistake::new(
            "secret_escaped_newlines",
            "The configured secret has a backslash and an `n` where the sender's secret has a \
             line feed.",
            "Put the secret into a file with real line feeds, and configure it as `file:PATH`.",
        )
    })
}

pub(super) fn percent_encoded(case: &Trials<'_>) -> Option<Finding> {
    let decoded = |text: &[u8]| {
        Some(percent::decode(text, false)).filter(|decoded| decoded.as_slice() != text)
    };
    // An encoded line end (`%0A`) is no part of the secret either.
    let trimmed = |text: &[u8]| decoded(text).map(|text| text.trim_ascii().to_vec());
    let secret = case
        .with_texts(decoded)
        .or_else(|| case.with_texts(trimmed));
    found(secret, || {
        Mistake::new(
            "secret_percent_encoded",
            "The configured secret is percent-encoded, and the sender's secret is not.",
            "Configure the decoded secret, as the provider shows it.",
        )
    })
}

/// The scheme takes the secret's text as the key, and the sender takes its decoded bytes.
pub(super) fn not_decoded(case: &Trials<'_>) -> Option<Finding> {
    let forms = case.scheme.proof.key_forms();
    if forms.iter().any(|form| form.encoding == KeyEncoding::Hex) {
        return None;
    }
    let mut raw = Scheme::clone(case.scheme);
    raw.proof.set_key_forms(vec![KeyForm::default()]);
    let raw: Arc<Scheme> = raw.into();
    let mut strips: Vec<&str> = forms
        .iter()
        .filter_map(|form| form.strip.as_deref())
        .collect();
    strips.push("whsec_");
    let with = |decode: &dyn Fn(&[u8]) -> Option<Vec<u8>>| {
        let bare = |text: &[u8]| {
            let rest = strips
                .iter()
                .find_map(|strip| text.strip_prefix(strip.as_bytes()));
            rest.unwrap_or(text).trim_ascii().to_vec()
        };
        let changed = case.changed(|text| decode(&bare(text)));
        case.proves(&Changed {
            scheme: Arc::clone(&raw),
            secrets: &changed,
            ..case.as_is()
        })
    };
    let not_decoded = |encoding: &str| {
        Mistake::new(
            "secret_not_decoded",
            format!(
                "The sender decodes the secret from {encoding} to get the key, and this scheme \
                 takes its text as the key."
            ),
            format!("Set `key = \"{encoding}\"` in the scheme."),
        )
    };
    // A text of hexadecimal digits is base64 as well, but was hardly meant so; a match decides.
    let in_hex = found(with(&|text| hex::decode(text).ok()), || not_decoded("hex"));
    in_hex.or_else(|| {
        let is_decoded = forms
            .iter()
            .any(|form| form.encoding == KeyEncoding::Base64);
        found(with(&|text| any_base64(text)), || {
            if is_decoded {
                base64_spelling()
            } else {
                not_decoded("base64")
            }
        })
    })
}

fn base64_spelling() -> Mistake {
    Mistake::new(
        "secret_base64_spelling",
        "The secret is base64, but in another alphabet than this scheme takes, or without its \
         padding.",
        "Copy the secret as the provider shows it, or write it in the standard alphabet (`+` and \
         `/`) with `=` at its end.",
    )
}

/// The scheme decodes the secret's text, and the sender takes the text as the key.
pub(super) fn wrongly_decoded(case: &Trials<'_>) -> Option<Finding> {
    if case
        .scheme
        .proof
        .key_forms()
        .iter()
        .any(|form| form.encoding == KeyEncoding::Utf8 && form.strip.is_none())
    {
        return None;
    }
    case.scheme.proof.key_forms().iter().find_map(|own| {
        let encoding = match own.encoding {
            KeyEncoding::Utf8 | KeyEncoding::Utf8Nfkd => return None,
            KeyEncoding::Base64 => "base64",
            KeyEncoding::Hex => "hex",
        };
        let form = |strip| KeyForm {
            encoding: KeyEncoding::Utf8,
            strip,
            ..KeyForm::default()
        };
        let with = |strip| case.with_change(|scheme| scheme.proof.set_key_forms(vec![form(strip)]));
        found(with(None).or_else(|| with(own.strip.clone())), || {
            Mistake::new(
                "secret_wrongly_decoded",
                format!(
                    "The sender takes the text of the secret as the key, and this scheme decodes \
                     it from {encoding} first."
                ),
                "Set `key = \"utf8\"` in the scheme, or configure the secret in the form that the \
                 provider shows.",
            )
        })
    })
}

/// The sender or the scheme strips a prefix of the secret, and the other does not.
pub(super) fn prefix(case: &Trials<'_>) -> Option<Finding> {
    case.scheme.proof.key_forms().iter().find_map(|form| {
        let own = form.strip.as_deref();
        let with = |strip: Option<&str>| {
            let form = KeyForm {
                strip: strip.map(str::to_owned),
                strip_required: false,
                ..form.clone()
            };
            case.with_change(|scheme| scheme.proof.set_key_forms(vec![form]))
        };
        let kept = own.and_then(|own| {
            found(with(None).or_else(|| with(Some(own))), || {
                disputed_prefix(own)
            })
        });
        kept.or_else(|| {
            let others = PREFIXES.iter().filter(|prefix| own != Some(**prefix));
            let has = |prefix: &str| {
                case.secrets
                    .iter()
                    .any(|s| s.text.expose().starts_with(prefix.as_bytes()))
            };
            let strip = |prefix: &&str| {
                has(prefix).then(|| found(with(Some(prefix)), || disputed_prefix(prefix)))?
            };
            let add =
                |prefix: &str| case.with_texts(|text| Some([prefix.as_bytes(), text].concat()));
            let stripped = others.clone().chain(OF_HEADERS).find_map(strip);
            stripped.or_else(|| {
                others
                    .clone()
                    .find_map(|prefix| found(add(prefix), || disputed_prefix(prefix)))
            })
        })
    })
}

fn disputed_prefix(prefix: &str) -> Mistake {
    Mistake::new(
        "secret_prefix",
        format!("The sender and this scheme disagree about whether `{prefix}` is part of the key."),
        "Copy the secret whole, and set `key = { encoding = \"…\", strip = \"…\" }` in the scheme \
         as the provider documents it.",
    )
}

/// A secret that matches may not prove anything at this moment.
pub(super) fn inactive(case: &Trials<'_>) -> Option<Finding> {
    case.secrets.iter().filter(|secret| !secret.is_active(case.now.wall)).find_map(|secret| {
        let always = Secret { not_before: None, not_after: None, ..secret.clone() };
        let name = case.proves(&Changed { secrets: &[always], ..case.as_is() });
        let is_past = secret.not_after.is_some_and(|end| end <= case.now.wall);
        let (sentence, fix) = if is_past {
            (
                "The delivery was signed with a secret whose `not_after` has passed.",
                "Have the sender use the new secret, or give the old secret a later `not_after`.",
            )
        } else {
            (
                "The delivery was signed with a secret whose `not_before` is still to come.",
                "Give the secret an earlier `not_before`, or have the sender use the old secret \
                 until then.",
            )
        };
        found(name, || Mistake::new("secret_inactive", sentence, fix))
    })
}

pub(super) fn of_other_route(case: &Trials<'_>) -> Option<Finding> {
    case.around.routes.iter().find_map(|(route, secrets)| {
        found(case.proves(&Changed { secrets, ..case.as_is() }), || {
            Mistake::new(
                "secret_of_other_route",
                format!("The delivery was signed with a secret of the route `{route}`."),
                "Swap the secrets of the two routes, or have the provider call the path of that \
                 route.",
            )
        })
    })
}

/// Decodes base64 of either alphabet, padded or not.
pub(super) fn any_base64(text: &[u8]) -> Option<Vec<u8>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decode = |alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok();
    decode(&alphabet::STANDARD)
        .or_else(|| decode(&alphabet::URL_SAFE))
        .filter(|bytes| !bytes.is_empty())
}
