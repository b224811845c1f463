//! Mistakes made with a form body (`application/x-www-form-urlencoded`): decoded, encoded in another manner, or only one
//! member of it kept.

use super::mistake::{Finding, Known, found};
use super::trials::Trials;
use crate::notation::percent::{MANNERS, decode, encode};

/// The members in which providers send JSON.
const MEMBERS: [&str; 4] = ["payload", "json", "data", "body"];

fn is_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start(), [b'{' | b'[' | b'"', ..])
}

/// Its pairs were decoded, or encoded anew by another library.
pub(super) fn encoding(case: &Trials<'_>) -> Option<Finding> {
    if is_json(case.body) || !case.body.contains(&b'=') {
        return None;
    }
    // Each half of a pair for itself, so that `&` and `=` between them stay what they are.
    let rewritten = |change: &dyn Fn(&[u8]) -> Vec<u8>| {
        let pairs = case.body.split(|byte| *byte == b'&').map(|pair| {
            let halves: Vec<_> = pair.splitn(2, |byte| *byte == b'=').map(change).collect();
            halves.join(&b'=')
        });
        pairs.collect::<Vec<_>>().join(&b'&')
    };
    let decoded = [true, false].into_iter().map(|has_plus| rewritten(&|half| decode(half, has_plus)));
    // A form that was decoded has no `+` for a space, so its `+` is one.
    let again = MANNERS.into_iter().flat_map(|manner| {
        [true, false].map(|has_plus| rewritten(&|half| encode(&decode(half, has_plus), manner).into_bytes()))
    });
    let secret = decoded.chain(again).find_map(|body| (body != case.body).then(|| case.with_body(&body))?);
    found(secret, || Known::BodyFormEncoding)
}

/// The whole form was signed, and only the JSON in one member of it is here; or the other way round.
pub(super) fn member(case: &Trials<'_>) -> Option<Finding> {
    let mistake = |name: &str| Known::BodyFormMember(name.to_owned());
    if is_json(case.body) {
        return MEMBERS.into_iter().find_map(|name| {
            MANNERS.into_iter().find_map(|manner| {
                let form = format!("{name}={}", encode(case.body, manner));
                found(case.with_body(form.as_bytes()), || mistake(name))
            })
        });
    }
    MEMBERS.into_iter().find_map(|name| {
        let pairs = case.body.split(|byte| *byte == b'&').filter_map(|pair| pair.strip_prefix(name.as_bytes()));
        let value = pairs.into_iter().find_map(|rest| rest.strip_prefix(b"="))?;
        found(case.with_body(&decode(value, true)), || mistake(name))
    })
}
