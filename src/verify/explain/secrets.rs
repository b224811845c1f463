//! Mistakes made with the secret: its ends, its quotes, its encoding, its time.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Case, Finding, Mistake, found};
use crate::verify::scheme::{KeyEncoding, KeyForm, Scheme};
use crate::verify::secret::Secret;

/// Prefixes that providers put in front of secrets, part of the key with some and not with others.
const PREFIXES: &[&str] = &["whsec_", "v1_", "sk_", "base64:", "hex:"];

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

pub(super) fn surplus_newline(case: &Case<'_>) -> Option<Finding> {
    let secret = case.with_texts(|text| {
        let end = text.iter().rposition(|b| !matches!(b, b'\r' | b'\n')).map_or(0, |last| last + 1);
        text.get(..end).filter(|rest| rest.len() < text.len()).map(<[u8]>::to_vec)
    });
    found(secret, || Mistake::SecretEndsInNewline)
}

pub(super) fn lacks_newline(case: &Case<'_>) -> Option<Finding> {
    let with = |end: &'static [u8]| case.with_texts(|text| Some([text, end].concat()));
    found(with(b"\n").or_else(|| with(b"\r\n")), || Mistake::SecretLacksNewline)
}

pub(super) fn surplus_space(case: &Case<'_>) -> Option<Finding> {
    let secret = case.with_texts(|text| {
        let inner = text.trim_ascii();
        (inner.len() < text.len()).then(|| inner.to_vec())
    });
    found(secret, || Mistake::SecretInSpace)
}

pub(super) fn quotes(case: &Case<'_>) -> Option<Finding> {
    let secret = case.with_texts(|text| match text.trim_ascii() {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] | [b'`', inner @ .., b'`'] => Some(inner.to_vec()),
        _ => None,
    });
    found(secret, || Mistake::SecretInQuotes)
}

pub(super) fn byte_order_mark(case: &Case<'_>) -> Option<Finding> {
    let secret = case.with_texts(|text| text.strip_prefix(BYTE_ORDER_MARK).map(<[u8]>::to_vec));
    found(secret, || Mistake::SecretHasByteOrderMark)
}

/// The scheme takes the text, the sender its decoded bytes.
pub(super) fn not_decoded(case: &Case<'_>) -> Option<Finding> {
    if case.scheme.key.encoding == KeyEncoding::Hex {
        return None;
    }
    let raw = Scheme { key: KeyForm::default(), ..Scheme::clone(case.scheme) }.into();
    let with = |decode: &dyn Fn(&[u8]) -> Option<Vec<u8>>| {
        let strip = case.scheme.key.strip.as_deref().unwrap_or("whsec_").as_bytes();
        let changed = case.changed(|text| decode(text.strip_prefix(strip).unwrap_or(text).trim_ascii()));
        case.proves(&raw, &changed, case.head, case.body)
    };
    // A text of hexadecimal digits is base64 as well, but was hardly meant so; a match decides.
    if let Some(secret) = with(&|text| hex::decode(text).ok()) {
        return Some(Finding { mistake: Mistake::SecretNotDecoded("hex"), secret });
    }
    let secret = with(&|text| any_base64(text));
    found(secret, || Mistake::SecretNotDecoded("base64"))
}

/// The scheme decodes the text, the sender takes it as it is.
pub(super) fn wrongly_decoded(case: &Case<'_>) -> Option<Finding> {
    let encoding = match case.scheme.key.encoding {
        KeyEncoding::Utf8 | KeyEncoding::Utf8Nfkd => return None,
        KeyEncoding::Base64 => "base64",
        KeyEncoding::Hex => "hex",
    };
    let form = |strip| KeyForm { strip, ..KeyForm::default() };
    let with = |strip| case.with_scheme(Scheme { key: form(strip), ..Scheme::clone(case.scheme) });
    let secret = with(None).or_else(|| with(case.scheme.key.strip.clone()));
    found(secret, || Mistake::SecretWronglyDecoded(encoding))
}

/// A prefix that one side strips and the other does not.
pub(super) fn prefix(case: &Case<'_>) -> Option<Finding> {
    let own = case.scheme.key.strip.as_deref();
    let with = |strip: Option<&str>| {
        let key = KeyForm { strip: strip.map(str::to_owned), ..case.scheme.key.clone() };
        case.with_scheme(Scheme { key, ..Scheme::clone(case.scheme) })
    };
    let kept = own.and_then(|own| found(with(None), || Mistake::SecretPrefix(own.to_owned())));
    kept.or_else(|| {
        let others = PREFIXES.iter().filter(|prefix| own != Some(**prefix));
        let strip = |prefix: &&str| found(with(Some(prefix)), || Mistake::SecretPrefix((*prefix).to_owned()));
        let add = |prefix: &str| case.with_texts(|text| Some([prefix.as_bytes(), text].concat()));
        others.clone().find_map(strip).or_else(|| {
            others.clone().find_map(|prefix| found(add(prefix), || Mistake::SecretPrefix((*prefix).to_owned())))
        })
    })
}

/// A secret that matches but may not prove anything at this moment.
pub(super) fn inactive(case: &Case<'_>) -> Option<Finding> {
    case.secrets.iter().filter(|secret| !secret.is_active(case.now.wall)).find_map(|secret| {
        let always = Secret { not_before: None, not_after: None, ..secret.clone() };
        let name = case.proves(case.scheme, &[always], case.head, case.body);
        let is_past = secret.not_after.is_some_and(|end| end <= case.now.wall);
        found(name, || Mistake::SecretInactive { is_past })
    })
}

/// Decodes base64 of either alphabet, padded or not.
pub(super) fn any_base64(text: &[u8]) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decode = |alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok();
    decode(&alphabet::STANDARD).or_else(|| decode(&alphabet::URL_SAFE)).filter(|bytes| !bytes.is_empty())
}
