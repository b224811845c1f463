//! A provider as a JSON object: the facts of its preset, its scheme, and the words of the page.

use serde_json::{Map, Value};

use super::facts;
use super::places;
use super::uses;
use crate::cli::check::tolerance;
use crate::config::presets::{Preset, Unsupported};
use crate::config::units::written_duration;
use crate::notation::json::Pointer;
use crate::scheme::Place;
use crate::scheme::ProviderCode;
use crate::scheme::handshake::Handshake;
use crate::wire::head::FieldName;

/// The object of a preset.
pub(super) fn object(preset: &Preset) -> Value {
    let scheme = &preset.scheme;
    let place = |place: &Option<Place>| match place {
        None => Value::Null,
        Some(Place::Header(name)) => format!("header {}", name.as_str()).into(),
        Some(Place::Json(pointers)) => {
            let all: Vec<String> = pointers.iter().map(Pointer::text).collect();
            format!("json {}", all.join(" ")).into()
        }
        Some(Place::Claim(name)) => format!("claim {name}").into(),
    };
    let template = scheme.template();
    let encoding = template.map(|template| template.signature.encoding.name());
    let timestamp = scheme.timestamp();
    let own = scheme
        .code()
        .and_then(|code| code.headers().first())
        .map(|name| name.to_ascii_lowercase());
    let header = scheme.proof.headers().first();
    let reads = uses::of(scheme).into_iter().map(|one| {
        let (kind, name) = uses::named(&one.source);
        map([
            (kind, name.into()),
            ("part", one.part.into()),
            ("words", one.words.into()),
        ])
    });
    let members: [(&str, Value); 51] = [
        ("id", preset.name.clone().into()),
        ("title", preset.title.clone().into()),
        ("aliases", preset.aliases.clone().into()),
        ("supported", true.into()),
        ("family", preset.family.name().into()),
        ("basis", facts::basis(preset).into()),
        ("proved", preset.proved.into()),
        ("key_owner", preset.key_owner.name().into()),
        ("secret_name", preset.secret_name.clone().into()),
        ("time_limit", preset.time_limit.map(written_duration).into()),
        ("max_body", preset.max_body.into()),
        (
            "after_4xx",
            preset.after_4xx.iter().map(|known| known.name()).collect(),
        ),
        ("stamped", scheme.stamped().name().into()),
        ("source", preset.source.clone().into()),
        ("retries", preset.retries.clone().into()),
        ("horizon", preset.horizon.map(written_duration).into()),
        (
            "horizon_s",
            preset.horizon.map(|horizon| horizon.as_secs()).into(),
        ),
        (
            "advised_ttl",
            facts::remembered(preset)
                .map(|_| facts::longer_ttl(preset).unwrap_or_else(|| "72h".to_owned()))
                .into(),
        ),
        ("notes", preset.notes.clone().into()),
        ("probes", preset.probes.clone().into()),
        ("algorithm", scheme.algorithm().name().into()),
        ("code", scheme.code().map(ProviderCode::name).into()),
        (
            "signed",
            template
                .map_or("", |template| template.signed.text())
                .into(),
        ),
        ("signed_words", facts::signed(scheme).into()),
        ("params", scheme.params().into_iter().collect()),
        ("covers_body", scheme.covers_body().into()),
        ("body_covered", scheme.covers_body().into()),
        ("weakness", scheme.weakness().into()),
        ("signs_url", scheme.signs_url().into()),
        ("headers", places::headers(scheme).into()),
        ("reads", reads.collect::<Vec<_>>().into()),
        (
            "signature_header",
            header
                .map(FieldName::as_str)
                .map(str::to_owned)
                .or(own)
                .into(),
        ),
        ("signature_query", scheme.signature_query().into()),
        ("signature_encoding", encoding.into()),
        ("signature_words", places::signature(scheme).into()),
        ("secret_words", facts::secret(scheme).into()),
        (
            "timestamp_header",
            timestamp
                .and_then(|place| place.header())
                .map(FieldName::as_str)
                .into(),
        ),
        (
            "timestamp_unit",
            timestamp.map(|place| place.unit.name()).into(),
        ),
        ("timestamp_words", places::timestamp(scheme).into()),
        (
            "tolerance",
            tolerance(scheme, scheme.tolerance, scheme.future_tolerance).into(),
        ),
        ("event_id", place(&scheme.event_id)),
        ("event_type", place(&scheme.event_type)),
        ("account", place(&scheme.account)),
        ("account_signed", scheme.account_is_signed().into()),
        ("account_example", preset.account_example.clone().into()),
        ("replay_key", facts::replay_name(scheme).into()),
        ("seen_again_words", facts::seen_again(scheme).into()),
        ("replay_key_words", facts::replay_key(scheme).into()),
        ("handshake", scheme.handshake.map(Handshake::name).into()),
        (
            "handshake_words",
            scheme.handshake.map(Handshake::words).into(),
        ),
        ("toml", preset.text.clone().into()),
    ];
    map(members)
}

/// The object of a provider without a preset.
pub(super) fn unsupported(other: &Unsupported) -> Value {
    map([
        ("id", other.name.clone().into()),
        ("title", other.title.clone().into()),
        ("supported", false.into()),
        ("reason", other.reason.clone().into()),
        ("instead", other.instead.clone().into()),
    ])
}

fn map<const N: usize>(members: [(&str, Value); N]) -> Value {
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect::<Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets;

    #[test]
    fn an_object_says_what_the_page_says() {
        let adyen = object(presets::find("adyen").unwrap());
        assert_eq!(adyen["horizon_s"], 30 * 24 * 3600);
        assert_eq!(adyen["advised_ttl"], "30d");
        assert_eq!(adyen["body_covered"], false);
        let meta = object(presets::find("facebook").unwrap());
        assert_eq!(meta["id"], "meta");
        assert_eq!(meta["basis"], "unconfirmed");
        assert_eq!(meta["proved"], true);
        assert_eq!(meta["handshake"], "meta");
        assert!(
            meta["aliases"]
                .as_array()
                .unwrap()
                .contains(&"facebook".into())
        );
        assert_eq!(
            object(presets::find("itellico").unwrap())["event_id"],
            "json /event_id"
        );
        assert_eq!(
            object(presets::find("plaid").unwrap())["signature_header"],
            "plaid-verification"
        );
        assert_eq!(
            object(presets::find("twilio").unwrap())["signature_header"],
            "x-twilio-signature"
        );
        let paypal = presets::unsupported()
            .iter()
            .find(|other| other.name == "paypal")
            .unwrap();
        assert_eq!(unsupported(paypal)["supported"], false);
    }
}
