//! Facts about single providers that turned out to be traps (contract: Providers), as the presets
//! hold them.

use std::time::Duration;

use crate::config::presets;
use crate::config::presets::{After4xx, KeyOwner, Preset};
use crate::notation::json::Pointer;
use crate::notation::timestamp::Tolerance;
use crate::scheme::Handshake;
use crate::scheme::{BodyForm, Place, Stamped, TimestampAt};

fn preset(name: &str) -> &'static Preset {
    presets::find(name).unwrap_or_else(|| panic!("{name} is no preset"))
}

#[test]
fn box_is_known_by_the_bodys_id_and_signs_its_escaped_form_too() {
    let scheme = &preset("box").scheme;
    let id = Place::Json(vec![Pointer::parse("/id").unwrap()]);
    assert_eq!(
        scheme.event_id,
        Some(id),
        "its delivery id is new at every retry"
    );
    assert_eq!(
        scheme.template().unwrap().body,
        [BodyForm::Raw, BodyForm::JsonAscii]
    );
    assert_eq!(scheme.signature_headers().len(), 2);
}

#[test]
fn discord_is_two_schemes_with_two_pings() {
    assert_eq!(
        preset("discord-interactions")
            .scheme
            .handshake
            .map(Handshake::name),
        Some("discord-interactions")
    );
    assert_eq!(
        preset("discord-events")
            .scheme
            .handshake
            .map(Handshake::name),
        Some("discord-events")
    );
    assert_eq!(preset("discord").name, "discord-interactions");
}

#[test]
fn mollie_may_send_its_header_twice_and_nobody_else_may() {
    let repeating: Vec<_> = presets::all()
        .iter()
        .filter(|preset| {
            preset
                .scheme
                .template()
                .is_some_and(|own| own.signature.repeat)
        })
        .collect();
    assert_eq!(
        repeating
            .iter()
            .map(|preset| preset.name.as_str())
            .collect::<Vec<_>>(),
        ["mollie"]
    );
}

#[test]
fn a_time_of_the_event_is_fresh_for_as_long_as_its_provider_retries() {
    let hour = Duration::from_secs(3600);
    let mut names: Vec<&str> = Vec::new();
    for preset in presets::all() {
        let (name, scheme) = (preset.name.as_str(), &preset.scheme);
        if !scheme.is_stamped_by_event() {
            continue;
        }
        names.push(name);
        match (preset.horizon, scheme.tolerance) {
            (None, Tolerance::Off) => {}
            (Some(horizon), Tolerance::Within(past)) => {
                assert!((horizon..=horizon + hour).contains(&past), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
        let five_minutes = Tolerance::Within(Duration::from_secs(300));
        assert_eq!(scheme.future_tolerance, five_minutes, "{name}");
    }
    names.sort_unstable();
    let expected = [
        "aws-sns",
        "dropbox-sign",
        "ghost",
        "linear",
        "mailgun",
        "pusher",
        "signwell",
    ];
    assert_eq!(names, expected);
}

/// A time in the signed body cannot change while the body stays the same, so a preset that says
/// otherwise of its own must know that its provider renders the body of a retry again.
#[test]
fn a_time_in_the_body_is_the_events_unless_the_provider_renders_its_retries_again() {
    let anew: Vec<_> = presets::all()
        .iter()
        .filter(|preset| {
            let place = preset.scheme.timestamp();
            place.is_some_and(|place| {
                matches!(place.at, TimestampAt::Json(_)) && place.stamped != Stamped::Event
            })
        })
        .map(|preset| preset.name.as_str())
        .collect();
    assert_eq!(anew, ["aikido", "infisical", "plain"]);
}

#[test]
fn five_minutes_are_ours_where_nothing_is_documented() {
    for name in [
        "zendesk",
        "sendgrid",
        "kick",
        "sanity",
        "discord-interactions",
    ] {
        let preset = preset(name);
        assert_eq!(
            preset.scheme.tolerance,
            Tolerance::Within(Duration::from_secs(300)),
            "{name}"
        );
        assert!(
            preset
                .notes
                .iter()
                .any(|note| note.to_lowercase().contains("five minutes")),
            "{name} does not say so"
        );
    }
}

#[test]
fn a_body_that_nothing_authenticates_is_known_as_such() {
    let mut open: Vec<_> = presets::all()
        .iter()
        .filter(|preset| !preset.scheme.covers_body())
        .map(|preset| preset.name.as_str())
        .collect();
    open.sort_unstable();
    let expected = [
        "adyen",
        "brevo",
        "chargebee",
        "cloudflare-notifications",
        "datadog",
        "deepgram",
        "documenso",
        "dropbox-sign",
        "fillout",
        "gitlab",
        "hetrixtools",
        "huggingface",
        "jira-connect",
        "mailgun",
        "mercadopago",
        "microsoft-graph",
        "mixpanel",
        "monday",
        "new-relic",
        "okta",
        "opennode",
        "phonepe",
        "postmark",
        "revenuecat",
        "signwell",
        "sparkpost",
        "supabase-db",
        "telegram",
        "zapier",
    ];
    assert_eq!(open, expected);
}

#[test]
fn an_id_that_is_new_at_every_attempt_names_no_event() {
    for name in ["configcat", "zendesk"] {
        assert_eq!(preset(name).scheme.event_id, None, "{name}");
    }
}

#[test]
fn an_id_that_no_signature_covers_is_never_required() {
    let wrong: Vec<_> = presets::all()
        .iter()
        .filter(|preset| preset.scheme.event_id_required && !preset.scheme.id_is_signed())
        .map(|preset| &preset.name)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn whsec_is_part_of_stripes_key_and_stripped_from_that_of_standard_webhooks() {
    let strips = |name: &str| {
        preset(name)
            .scheme
            .proof
            .key_forms()
            .iter()
            .any(|form| form.strip.as_deref() == Some("whsec_"))
    };
    assert!(!strips("stripe") && strips("standard-webhooks") && strips("svix"));
    assert!(
        preset("openai")
            .scheme
            .proof
            .key_forms()
            .iter()
            .all(|form| form.strip_required)
    );
    assert_eq!(
        preset("polar").scheme.proof.key_forms().len(),
        2,
        "both readings of the secret"
    );
}

/// The words on retries are for readers, the keys beside them for the program: they say the same.
#[test]
fn what_the_words_on_retries_say_stands_in_keys_too() {
    let mut wrong = Vec::new();
    for preset in presets::all() {
        let (name, words) = (preset.name.as_str(), preset.retries.as_str());
        let stated = words.split_once(" s limit").and_then(|(before, _)| {
            let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse().ok().map(Duration::from_secs)
        });
        if stated.is_some() && stated != preset.time_limit {
            wrong.push(format!("{name}: {words}, and {:?}", preset.time_limit));
        }
        let costs = |consequence| preset.after_4xx.contains(&consequence);
        for (word, consequence) in [
            ("disabled", After4xx::Disabled),
            ("deleted", After4xx::Deleted),
            ("unsubscribed", After4xx::Deleted),
        ] {
            if words.contains(word) && !costs(consequence) {
                wrong.push(format!("{name}: {words}, and {:?}", preset.after_4xx));
            }
        }
        if costs(After4xx::Retried) && costs(After4xx::Dropped) {
            wrong.push(format!("{name}: both retried and dropped"));
        }
        let is_pinned = preset.key_owner == KeyOwner::Provider && preset.scheme.account.is_some();
        if preset.account_example.is_some() != is_pinned {
            wrong.push(format!(
                "{name}: an example of an account is for a key of the provider's"
            ));
        }
        let is_name = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ');
        if !preset.secret_name.as_deref().is_none_or(is_name) {
            wrong.push(format!(
                "{name}: {:?} makes no name of a variable",
                preset.secret_name
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn known_limits_are_told() {
    let rows = [
        ("github", Some(10), Some(25 << 20), &[After4xx::Dropped][..]),
        ("gitlab", None, Some(25 << 20), &[]),
        ("slack", Some(3), None, &[After4xx::Retried]),
        ("qonto", Some(1), None, &[]),
        (
            "pagerduty",
            Some(5),
            None,
            &[After4xx::Dropped, After4xx::Disabled],
        ),
        (
            "shopify",
            Some(5),
            None,
            &[After4xx::Retried, After4xx::Deleted],
        ),
    ];
    for (name, seconds, max_body, after_4xx) in rows {
        let preset = preset(name);
        let found = (
            preset.time_limit,
            preset.max_body,
            preset.after_4xx.as_slice(),
        );
        let expected = (seconds.map(Duration::from_secs), max_body, after_4xx);
        assert_eq!(found, expected, "{name}");
    }
}
