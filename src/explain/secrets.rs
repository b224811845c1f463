//! Mistakes made with the secret: its ends, its quotes, its encoding, its time, its route.
//!
//! What only the look of a secret tells is in `shape`.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::mistake::{Finding, Known, found};
use super::trials::{Changed, Trials};
use crate::key::secret::Secret;
use crate::notation::percent;
use crate::scheme::{KeyEncoding, KeyForm, Scheme};

/// Prefixes that providers put in front of secrets, part of the key with some and not with others.
const PREFIXES: &[&str] = &["whsec_", "v1_", "sk_", "base64:", "hex:"];

/// What is copied along with a token from a header.
const OF_HEADERS: &[&str] = &["Bearer ", "Basic ", "Token "];

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

pub(super) fn surplus_newline(case: &Trials<'_>) -> Option<Finding> {
    let secret = case.with_texts(|text| {
        let end = text.iter().rposition(|b| !matches!(b, b'\r' | b'\n')).map_or(0, |last| last + 1);
        text.get(..end).filter(|rest| rest.len() < text.len()).map(<[u8]>::to_vec)
    });
    found(secret, || Known::SecretEndsInNewline)
}

pub(super) fn lacks_newline(case: &Trials<'_>) -> Option<Finding> {
    let with = |end: &'static [u8]| case.with_texts(|text| Some([text, end].concat()));
    found(with(b"\n").or_else(|| with(b"\r\n")), || Known::SecretLacksNewline)
}

pub(super) fn surplus_space(case: &Trials<'_>) -> Option<Finding> {
    let secret = case.with_texts(|text| {
        let inner = text.trim_ascii();
        (inner.len() < text.len()).then(|| inner.to_vec())
    });
    found(secret, || Known::SecretInSpace)
}

pub(super) fn quotes(case: &Trials<'_>) -> Option<Finding> {
    let secret = case.with_texts(|text| unquoted(text.trim_ascii()).map(<[u8]>::to_vec));
    found(secret, || Known::SecretInQuotes)
}

fn unquoted(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] | [b'`', inner @ .., b'`'] => Some(inner),
        _ => None,
    }
}

pub(super) fn byte_order_mark(case: &Trials<'_>) -> Option<Finding> {
    let secret = case.with_texts(|text| text.strip_prefix(BYTE_ORDER_MARK).map(<[u8]>::to_vec));
    found(secret, || Known::SecretHasByteOrderMark)
}

/// The whole line of an `.env` file: `NAME=secret`, perhaps quoted.
pub(super) fn name(case: &Trials<'_>) -> Option<Finding> {
    let secret = case.with_texts(|text| {
        let text = text.trim_ascii();
        let text = text.strip_prefix(b"export ").unwrap_or(text);
        let at = text.iter().position(|byte| matches!(byte, b'=' | b':'))?;
        let (name, behind) = text.split_at_checked(at)?;
        let is_name = !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        let value = behind.get(1..)?.trim_ascii();
        (is_name && !value.is_empty()).then(|| unquoted(value).unwrap_or(value).to_vec())
    });
    found(secret, || Known::SecretHasName)
}

/// `\n` as two characters, as PEM texts get into environment variables.
pub(super) fn escaped_newlines(case: &Trials<'_>) -> Option<Finding> {
    let secret = case.with_texts(|text| {
        let text = std::str::from_utf8(text).ok().filter(|text| text.contains("\\n"))?;
        Some(text.replace("\\r\\n", "\n").replace("\\n", "\n").into_bytes())
    });
    found(secret, || Known::SecretEscapedNewlines)
}

pub(super) fn percent_encoded(case: &Trials<'_>) -> Option<Finding> {
    let secret =
        case.with_texts(|text| Some(percent::decode(text, false)).filter(|decoded| decoded.as_slice() != text));
    found(secret, || Known::SecretPercentEncoded)
}

/// The scheme takes the text, the sender its decoded bytes.
pub(super) fn not_decoded(case: &Trials<'_>) -> Option<Finding> {
    let forms = &case.scheme.key;
    if forms.iter().any(|form| form.encoding == KeyEncoding::Hex) {
        return None;
    }
    let raw: std::sync::Arc<Scheme> = Scheme { key: vec![KeyForm::default()], ..Scheme::clone(case.scheme) }.into();
    let mut strips: Vec<&str> = forms.iter().filter_map(|form| form.strip.as_deref()).collect();
    strips.push("whsec_");
    let with = |decode: &dyn Fn(&[u8]) -> Option<Vec<u8>>| {
        let bare = |text: &[u8]| {
            let rest = strips.iter().find_map(|strip| text.strip_prefix(strip.as_bytes()));
            rest.unwrap_or(text).trim_ascii().to_vec()
        };
        let changed = case.changed(|text| decode(&bare(text)));
        case.proves(&Changed { scheme: std::sync::Arc::clone(&raw), secrets: &changed, ..case.as_is() })
    };
    // A text of hexadecimal digits is base64 as well, but was hardly meant so; a match decides.
    if let Some(secret) = with(&|text| hex::decode(text).ok()) {
        return Some(Finding { mistake: Known::SecretNotDecoded("hex").into(), secret });
    }
    let is_decoded = forms.iter().any(|form| form.encoding == KeyEncoding::Base64);
    let mistake = || if is_decoded { Known::SecretBase64Spelling } else { Known::SecretNotDecoded("base64") };
    found(with(&|text| any_base64(text)), mistake)
}

/// The scheme decodes the text, the sender takes it as it is.
pub(super) fn wrongly_decoded(case: &Trials<'_>) -> Option<Finding> {
    if case.scheme.key.iter().any(|form| form.encoding == KeyEncoding::Utf8 && form.strip.is_none()) {
        return None;
    }
    case.scheme.key.iter().find_map(|own| {
        let encoding = match own.encoding {
            KeyEncoding::Utf8 | KeyEncoding::Utf8Nfkd => return None,
            KeyEncoding::Base64 => "base64",
            KeyEncoding::Hex => "hex",
        };
        let form = |strip| KeyForm { encoding: KeyEncoding::Utf8, strip, strip_required: false };
        let with = |strip| case.with_change(|scheme| scheme.key = vec![form(strip)]);
        found(with(None).or_else(|| with(own.strip.clone())), || Known::SecretWronglyDecoded(encoding))
    })
}

/// A prefix that one side strips and the other does not.
pub(super) fn prefix(case: &Trials<'_>) -> Option<Finding> {
    case.scheme.key.iter().find_map(|form| {
        let own = form.strip.as_deref();
        let with = |strip: Option<&str>| {
            let form = KeyForm { strip: strip.map(str::to_owned), strip_required: false, ..form.clone() };
            case.with_change(|scheme| scheme.key = vec![form])
        };
        let named = |prefix: &str| Known::SecretPrefix(prefix.to_owned());
        let kept = own.and_then(|own| found(with(None).or_else(|| with(Some(own))), || named(own)));
        kept.or_else(|| {
            let others = PREFIXES.iter().filter(|prefix| own != Some(**prefix));
            let has = |prefix: &str| case.secrets.iter().any(|s| s.text.expose().starts_with(prefix.as_bytes()));
            let strip = |prefix: &&str| has(prefix).then(|| found(with(Some(prefix)), || named(prefix)))?;
            let add = |prefix: &str| case.with_texts(|text| Some([prefix.as_bytes(), text].concat()));
            others
                .clone()
                .chain(OF_HEADERS)
                .find_map(strip)
                .or_else(|| others.clone().find_map(|prefix| found(add(prefix), || named(prefix))))
        })
    })
}

/// A secret that matches but may not prove anything at this moment.
pub(super) fn inactive(case: &Trials<'_>) -> Option<Finding> {
    case.secrets.iter().filter(|secret| !secret.is_active(case.now.wall)).find_map(|secret| {
        let always = Secret { not_before: None, not_after: None, ..secret.clone() };
        let name = case.proves(&Changed { secrets: &[always], ..case.as_is() });
        let is_past = secret.not_after.is_some_and(|end| end <= case.now.wall);
        found(name, || Known::SecretInactive { is_past })
    })
}

/// A secret that another route has.
pub(super) fn of_other_route(case: &Trials<'_>) -> Option<Finding> {
    case.around.routes.iter().find_map(|(route, secrets)| {
        found(case.proves(&Changed { secrets, ..case.as_is() }), || Known::SecretOfOtherRoute(route.clone()))
    })
}

/// Decodes base64 of either alphabet, padded or not.
pub(super) fn any_base64(text: &[u8]) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decode = |alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok();
    decode(&alphabet::STANDARD).or_else(|| decode(&alphabet::URL_SAFE)).filter(|bytes| !bytes.is_empty())
}
