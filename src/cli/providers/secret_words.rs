//! The secret of a preset in words: the text that it is, and how it becomes a key.

use crate::config::presets::Preset;
use crate::key::public::KeyType;
use crate::scheme::{Algorithm, KeyEncoding, KeyForm, Kind, Scheme};

/// The text that the secret is.
pub(in crate::cli) fn secret(scheme: &Scheme) -> String {
    if let Some(code) = scheme.code() {
        return code.secret_words().to_owned();
    }
    if scheme.algorithm() == Algorithm::Basic {
        return "`user:password`".to_owned();
    }
    let mut ways = Vec::new();
    for kind in scheme.proof.key_kinds() {
        let way = match kind {
            Kind::Token => "the token itself, as it is sent".to_owned(),
            Kind::Public(algorithm) => public_key(algorithm.key_type()).to_owned(),
            Kind::Digest(_) | Kind::Jwt => {
                let shared = |form: &KeyForm| shared(form, &scheme.secret_begins);
                let forms: Vec<_> = scheme.proof.key_forms().iter().map(shared).collect();
                forms.join("; or ")
            }
        };
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    ways.join("; or ")
}

/// The text from which a key is made. `begins` are the known beginnings of the provider's secrets.
fn shared(form: &KeyForm, begins: &[String]) -> String {
    let is_whole =
        form.encoding == KeyEncoding::Utf8 && form.strip.is_none() && form.drop_first.is_none();
    if let [first, ..] = begins
        && is_whole
    {
        return format!(
            "the whole text as the provider shows it, `{first}` included: its bytes are the key"
        );
    }
    let text = match form.encoding {
        KeyEncoding::Utf8 => "the text as the provider shows it: its bytes are the key",
        KeyEncoding::Utf8Nfkd => {
            "the text as the provider shows it: its compatibility decomposition (NFKD) is the key"
        }
        KeyEncoding::Base64 if form.strip.is_none() => {
            "base64 of the key, as the provider shows it, with nothing in front"
        }
        KeyEncoding::Base64 => "base64 of the key, as the provider shows it",
        KeyEncoding::Hex => {
            "the key in hexadecimal digits, as the provider shows it: it is what they decode to"
        }
    };
    let text = match &form.strip {
        Some(prefix) if form.strip_required => format!("`{prefix}` and {text}"),
        Some(prefix) => format!("{text}, with or without `{prefix}` in front"),
        None => text.to_owned(),
    };
    match &form.drop_first {
        Some(dropped) => format!("{text}, once its first `{dropped}` is left out"),
        None => text,
    }
}

const fn public_key(key: KeyType) -> &'static str {
    match key {
        KeyType::Ed25519 => {
            "the provider's public key (Ed25519): `whpk_…`, 64 hex digits, base64, PEM or JWK"
        }
        KeyType::EcdsaP256 => "the provider's public key (P-256): PEM, base64 of DER, JWK or JWKS",
        KeyType::Rsa => {
            "the provider's public key (RSA): PEM of key or certificate, base64 of DER, JWK or JWKS"
        }
    }
}

/// The provider's own name for the secret, if it is known, and the text that the secret is.
pub(in crate::cli) fn named_secret(preset: &Preset) -> String {
    let secret = secret(&preset.scheme);
    // "Basic auth" is the name of the method, and of no text that a provider shows.
    let name = preset.secret_name.as_ref();
    match name.filter(|_| preset.scheme.algorithm() != Algorithm::Basic) {
        Some(name) => format!("called \"{name}\"; {secret}"),
        None => secret,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::find;

    #[test]
    fn the_secret_s_form_is_said_for_every_kind_of_key() {
        let rows: [(&str, &[&str]); 12] = [
            ("github", &["its bytes are the key"]),
            (
                "standard-webhooks",
                &[
                    "base64 of the key",
                    "with or without `whsec_`",
                    "; or ",
                    "Ed25519",
                ],
            ),
            ("openai", &["`whsec_` and base64"]),
            ("polar", &["its bytes are the key; or base64"]),
            ("easypost", &["NFKD"]),
            ("adyen-platform", &["hexadecimal"]),
            ("airtable", &["base64"]),
            ("sendgrid", &["P-256"]),
            ("kick", &["RSA"]),
            ("gitlab", &["the token itself"]),
            ("chargebee", &["`user:password`"]),
            ("messagebird", &["its bytes are the key"]),
        ];
        for (name, words) in rows {
            let told = secret(&find(name).unwrap().scheme);
            assert!(
                words.iter().all(|word| told.contains(word)),
                "{name}: {told}"
            );
        }
    }
}
