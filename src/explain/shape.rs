//! Mistakes that the look of a secret shows: another kind of key, another value copied in its
//! place, test or live.
//!
//! The shapes themselves are those of `key::shape`. These are suspicions: the right secret is not
//! known, so no signature can confirm them.

use memchr::memmem;

use super::mistake::Mistake;
use super::trials::Trials;
use crate::key::shape::{self, Shape};
use crate::notation::encoding::is_uuid;
use crate::scheme::SecretDoubt;

/// A secret is another kind of key than this scheme takes, or not a key at all.
pub(super) fn of_secret(case: &Trials<'_>) -> Option<Mistake> {
    let wanted = case.scheme.wanted();
    let mut shapes = case
        .secrets
        .iter()
        .flat_map(|secret| shape::of(secret.text.expose(), &wanted));
    shapes.find_map(mistake)
}

/// The mistake of a shape; `None` for what is around a secret, which a trial confirms (`secrets`).
fn mistake(shape: Shape) -> Option<Mistake> {
    let sentence = format!("The configured secret {}.", shape.words());
    let fix = shape.fix();
    Some(match shape {
        Shape::ByteOrderMark
        | Shape::Space(_)
        | Shape::SpaceWithin
        | Shape::Quotes
        | Shape::Name
        | Shape::EscapedNewlines
        | Shape::Authorization(_) => return None,
        Shape::Placeholder => Mistake::new("placeholder_for_secret", sentence, fix),
        Shape::Address(_) => Mistake::new("address_for_secret", sentence, fix),
        Shape::PrivateKey => Mistake::new("private_key_for_secret", sentence, fix),
        Shape::PublicKey => Mistake::new("public_key_for_secret", sentence, fix),
        Shape::NoPublicKey => Mistake::new("secret_for_public_key", sentence, fix),
        Shape::Url => Mistake::new("url_for_secret", sentence, fix),
        Shape::Path => Mistake::new("path_for_secret", sentence, fix),
        Shape::Json => Mistake::new("json_for_secret", sentence, fix),
        Shape::ApiKey(_) => Mistake::new("api_key_for_secret", sentence, fix),
        Shape::Id(_) | Shape::Digits => Mistake::new("id_for_secret", sentence, fix),
        Shape::Jwt => Mistake::new("jwt_for_secret", sentence, fix),
        Shape::Signature(_) => Mistake::new("signature_for_secret", sentence, fix),
        Shape::Encoded => Mistake::new("secret_encoded_twice", sentence, fix),
        Shape::Several => Mistake::new("several_for_secret", sentence, fix),
    })
}

/// A secret is a UUID, as the ids of endpoints and applications are. HubSpot's secrets are UUIDs.
pub(super) fn of_uuid(case: &Trials<'_>) -> Option<Mistake> {
    let is_so = |text: &[u8]| is_uuid(shape::bare(text));
    let has_uuid = case
        .secrets
        .iter()
        .any(|secret| is_so(secret.text.expose()));
    (has_uuid && case.scheme.provider != "hubspot").then(|| {
        Mistake::new(
            "uuid_for_secret",
            "The configured secret is a UUID, as the ids of endpoints and applications are.",
            "See at the provider whether it is the id and not the signing secret, which is often \
             shown only once or behind a button; if it is the secret, the body was changed.",
        )
    })
}

/// No configured secret looks as the secrets of this provider do: all of them begin alike, or they
/// are not known to begin so.
pub(super) fn of_beginning(case: &Trials<'_>) -> Option<Mistake> {
    let doubts = case
        .secrets
        .iter()
        .map(|secret| case.scheme.secret_doubt(&secret.text));
    let doubt = doubts.collect::<Option<Vec<_>>>()?.into_iter().next()?;
    let sentence = format!(
        "The configured secret {}.",
        doubt.words(&case.scheme.provider)
    );
    Some(match doubt {
        SecretDoubt::BeginsOtherwise(_) => {
            Mistake::new("secret_begins_otherwise", sentence, doubt.fix())
        }
        SecretDoubt::OtherForm(_) | SecretDoubt::TakenWhole(_) | SecretDoubt::HexAsBase64 => {
            Mistake::new("secret_looks_otherwise", sentence, doubt.fix())
        }
    })
}

/// The prefix of a secret says test or live, and the delivery says the other.
pub(super) fn of_mode(case: &Trials<'_>) -> Option<Mistake> {
    let document: serde_json::Value = serde_json::from_slice(case.body).ok()?;
    let is_live = ["livemode", "live_mode"]
        .iter()
        .find_map(|name| document.get(name)?.as_bool());
    let is_live = is_live.or_else(|| match document.get("mode")?.as_str()? {
        "live" => Some(true),
        "test" => Some(false),
        _ => None,
    })?;
    let says = |word: &str| {
        case.secrets.iter().any(|secret| {
            let begin = secret
                .text
                .expose()
                .get(..16)
                .unwrap_or(secret.text.expose());
            memmem::find(begin, word.as_bytes()).is_some()
        })
    };
    let (own, other) = if is_live {
        ("_live_", "_test_")
    } else {
        ("_test_", "_live_")
    };
    let sentence = if is_live {
        "The prefix of the secret says test, and the body says that the delivery is live."
    } else {
        "The prefix of the secret says live, and the body says that the delivery is a test."
    };
    (says(other) && !says(own)).then(|| {
        let fix = "Copy the secret of the endpoint in the same mode: each mode has its own.";
        Mistake::new("test_and_live", sentence, fix)
    })
}
