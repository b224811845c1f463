//! Mistakes made with user and password of HTTP's Basic authentication (RFC 7617): the secret is
//! `user:password`.

use super::mistake::{Finding, Mistake, found};
use super::secrets::any_base64;
use super::trials::Trials;
use crate::scheme::Algorithm;

/// The configured secret is the password alone, or has another user than the delivery.
pub(super) fn user(case: &Trials<'_>) -> Option<Finding> {
    if case.scheme.algorithm() != Algorithm::Basic {
        return None;
    }
    let mistake = |sentence: &'static str| {
        Mistake::new(
            "basic_user",
            sentence,
            "Write the secret as `user:password`, both as the provider sends them.",
        )
    };
    case.signature_values().find_map(|(_, value)| {
        let (name, encoded) = value.split_at_checked(6)?;
        let sent = name
            .eq_ignore_ascii_case(b"Basic ")
            .then(|| any_base64(encoded.trim_ascii()))??;
        let (user, _) = split(&sent)?;
        let alone = case.with_texts(|text| Some([user, b":", text].concat()));
        let missing = "The configured secret is the password alone, and this scheme needs user \
                       and password.";
        found(alone, || mistake(missing)).or_else(|| {
            let other = case.with_texts(|text| Some([user, b":", split(text)?.1].concat()));
            found(other, || {
                mistake("The password is right, but the user is a different one.")
            })
        })
    })
}

fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b':')?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}
