//! Mistakes made with a body that is a urlencoded form (`application/x-www-form-urlencoded`):
//! decoded, encoded in another manner, or only one member of it kept.

use super::mistake::{Finding, Mistake, found};
use super::trials::Trials;
use crate::notation::percent::{MANNERS, decode, encode};

/// The members in which providers send JSON.
const MEMBERS: [&str; 4] = ["payload", "json", "data", "body"];

const VERIFY_RAW_BYTES: &str = "Verify the raw bytes of the request, before any form parser has \
                                touched them.";

fn is_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start(), [b'{' | b'[' | b'"', ..])
}

/// The pairs of the form were decoded, or encoded again by another library.
pub(super) fn encoding(case: &Trials<'_>) -> Option<Finding> {
    if is_json(case.body) || !case.body.contains(&b'=') {
        return None;
    }
    // Each half of a pair by itself, so that `&` and `=` between the halves stay separators.
    let rewritten = |change: &dyn Fn(&[u8]) -> Vec<u8>| {
        let pairs = case.body.split(|byte| *byte == b'&').map(|pair| {
            let halves: Vec<_> = pair.splitn(2, |byte| *byte == b'=').map(change).collect();
            halves.join(&b'=')
        });
        pairs.collect::<Vec<_>>().join(&b'&')
    };
    let decoded = [true, false]
        .into_iter()
        .map(|has_plus| rewritten(&|half| decode(half, has_plus)));
    // In a form that was decoded a `+` is a plus sign, and not a space.
    let again = MANNERS.into_iter().flat_map(|manner| {
        [true, false]
            .map(|has_plus| rewritten(&|half| encode(&decode(half, has_plus), manner).into_bytes()))
    });
    let secret = decoded
        .chain(again)
        .find_map(|body| (body != case.body).then(|| case.with_body(&body))?);
    found(secret, || {
        Mistake::new(
            "body_form_encoding",
            "The form in the body was decoded, or percent-encoded in another way, after it was \
             signed.",
            VERIFY_RAW_BYTES,
        )
    })
}

/// The whole form was signed, and only the JSON in one member of it was received; or the other way
/// round.
pub(super) fn member(case: &Trials<'_>) -> Option<Finding> {
    let mistake = |sentence: String| Mistake::new("body_form_member", sentence, VERIFY_RAW_BYTES);
    if is_json(case.body) {
        return MEMBERS.into_iter().find_map(|name| {
            MANNERS.into_iter().find_map(|manner| {
                let form = format!("{name}={}", encode(case.body, manner));
                found(case.with_body(form.as_bytes()), || {
                    mistake(format!(
                        "A form was signed, and the body is only the JSON in its member `{name}`."
                    ))
                })
            })
        });
    }
    MEMBERS.into_iter().find_map(|name| {
        let pairs = case
            .body
            .split(|byte| *byte == b'&')
            .filter_map(|pair| pair.strip_prefix(name.as_bytes()));
        let value = pairs.into_iter().find_map(|rest| rest.strip_prefix(b"="))?;
        found(case.with_body(&decode(value, true)), || {
            mistake(format!(
                "Only the JSON in the member `{name}` of a form was signed, and the body is the \
                 whole form."
            ))
        })
    })
}
