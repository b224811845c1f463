//! `[route.resign]`: the secrets that are taken, and the routes and keys that may not go with it.

use super::problems::{each_says, problems};
use super::*;
use crate::config::presets::find;
use crate::config::state::StateKey;
use crate::key::secret::{Secret, SecretText};
use crate::notation::encoding::Encoding;

/// 32 and 24 bytes in base64.
const NEW: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const OLD: &str = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ";

fn with(keys: &str) -> String {
    format!("{ROUTE}[route.resign]\n{keys}\n")
}

/// Another route, whose secret is `secret`.
fn beside(secret: &str) -> String {
    ROUTE
        .replace("\"a\"", "\"b\"")
        .replace("\"/a\"", "\"/b\"")
        .replace("env:S", secret)
}

#[test]
fn a_secret_is_base64_with_its_prefix_or_without() {
    let config = good(&with(&format!(
        "secret = \"plain:whsec_{NEW}\"\nprevious = \"plain:{OLD}\"\ndrop = true"
    )));
    let resign = config.routes[0].resign.as_ref().unwrap();
    assert_eq!(resign.secret.key.expose(), [7; 32]);
    let previous = resign.previous.as_ref().unwrap();
    assert_eq!(previous.key.expose(), [9; 24]);
    assert_eq!(
        [resign.secret.reading(), previous.reading()],
        ["base64 behind `whsec_`", "base64"]
    );
    assert!(warned(&config).contains("[literal-secret]"));
    let config = good(&with(&format!("secret = \"plain:{NEW}\"")));
    let resign = config.routes[0].resign.as_ref().unwrap();
    assert!(resign.previous.is_none() && !resign.drop);
    assert!(!warned(&config).contains("not-resigned"));
    assert!(good(ROUTE).routes[0].resign.is_none());
}

#[test]
fn what_the_libraries_would_not_take_or_anybody_knows_is_refused() {
    let secret = |text: &str| with(&format!("secret = \"{text}\""));
    let of = |bytes: usize| {
        let key = Encoding::Base64.encode(&vec![7; bytes]);
        secret(&format!("plain:whsec_{key}"))
    };
    assert_eq!(problems(&of(24)), "no problem");
    assert_eq!(problems(&of(64)), "no problem");
    each_says(&[
        (with("drop = true"), "`route.resign.secret` is missing"),
        (secret("hunter2"), "is not a reference to a secret"),
        (secret("learn:x"), "cannot be learned here"),
        (secret("env:UNSET"), "UNSET, which is not set"),
        (secret("plain:hunter2 a text of many words"), "is base64"),
        (secret("plain:whsec_"), "only the prefix"),
        (
            secret(&format!("plain:whsec_{}=", "A".repeat(43))),
            "a key that everybody knows",
        ),
        (
            secret(&format!("plain:{}", NEW.trim_end_matches('='))),
            "is base64",
        ),
        (secret(&format!("plain:v1,whsec_{NEW}")), "is base64"),
        (of(23), "leads to a key of 23 bytes"),
        (of(65), "Standard Webhooks has 24 to 64"),
        (
            with(&format!(
                "secret = \"plain:{NEW}\"\nprevious = \"plain:whsec_{NEW}\""
            )),
            "is the same key as `secret`",
        ),
    ]);
}

#[test]
fn hb_18_what_proves_nothing_is_not_signed_anew() {
    let own = with(&format!("secret = \"plain:{NEW}\""));
    let set = |line: &str| own.replace("[route.resign]", &format!("{line}\n[route.resign]"));
    let plain = own.replace("\"itellico\"", "\"standard-webhooks\"");
    let secret = format!("plain:whsec_{OLD}");
    assert_eq!(problems(&plain.replace("env:S", &secret)), "no problem");
    each_says(&[
        (set("replay = \"off\""), "`resign` needs replay protection"),
        (
            set("enforce = false"),
            "shadow mode forwards what is not proved",
        ),
        (
            set("upstream_headers = { Webhook_Id = \"env:T\" }"),
            "the header `webhook_id` is set by `resign`",
        ),
    ]);
    let repeats = CUSTOM.replace("[route.scheme]", "[route.scheme]\nevents_repeat = true");
    let repeats = format!("{repeats}[route.resign]\nsecret = \"plain:{NEW}\"\n");
    assert!(problems(&repeats).contains("write `replay = {}`"));
    let partly = good(&set("methods = [\"POST\", \"GET\"]"));
    let found = warned(&partly);
    assert!(
        found.contains("your app gets what comes by GET or HEAD without")
            && found.contains("[not-resigned]"),
        "{found}"
    );
    let meta = own.replace("itellico", "meta");
    let forwards = good(&format!("{meta}[route.handshake]\nmode = \"forward\"\n"));
    assert!(warned(&forwards).contains("the handshakes that it answers"));
}

#[test]
fn hb_18_a_key_that_signs_anew_is_nobody_elses() {
    let own = with(&format!("secret = \"plain:whsec_{NEW}\""));
    let hex = "07".repeat(32);
    let also = |text: &str| format!("{own}{}", beside(text));
    assert_eq!(problems(&also(&format!("plain:{OLD}"))), "no problem");
    let mut rows = Vec::new();
    for text in [
        format!("plain:whsec_{NEW}"),
        format!("plain:{NEW}"),
        format!("plain:{hex}"),
        format!("plain:user:{NEW}"),
        format!("plain:{}", NEW.trim_end_matches('=')),
        format!("plain:{}", "\\u0007".repeat(32)),
    ] {
        rows.push((also(&text), "of route `b`: whoever has it could sign"));
    }
    let literal = format!("\"plain:{NEW}\"");
    let itself = own.replace("\"env:S\"", &literal);
    rows.push((itself, "the same key as the secret `plain-1` of route `a`"));
    let header = format!("upstream_headers = {{ X-Token = {literal} }}\n[route.resign]");
    let header = own.replace("[route.resign]", &header);
    rows.push((header, "as `upstream_headers` of route `a`"));
    let token = format!("{own}[admin]\ntoken = {literal}\n");
    rows.push((token, "as `admin.token`"));
    let asked = beside("env:META").replace("itellico", "meta");
    let asked = format!("{own}{asked}[route.handshake]\nverify_token = {literal}\n");
    rows.push((asked, "as `handshake.verify_token` of route `b`"));
    for key in ["secret", "previous"] {
        let first = if key == "secret" {
            ""
        } else {
            "secret = \"plain:CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=\"\n"
        };
        let other = format!(
            "{own}{}[route.resign]\n{first}{key} = {literal}\n",
            beside("env:B")
        );
        rows.push((other, "the signature covers neither route nor path"));
    }
    each_says(&rows);
}

#[test]
fn hb_18_a_key_that_a_handshake_brings_is_compared_too() {
    let config = good(&with(&format!("secret = \"plain:whsec_{NEW}\"")));
    let route = &config.routes[0];
    let brought = |text: &str| Secret {
        name: "learn:x".to_owned(),
        written: None,
        text: SecretText::new(text.as_bytes().to_vec()),
        not_before: None,
        not_after: None,
    };
    let judge = |text: &str| judge_learned_beside(route, &brought(text), [route], &[]);
    assert!(matches!(judge(NEW), Some(Sharing::Signs(words)) if words.contains("`resign.secret`")));
    assert_eq!(judge(OLD), None);
    let of_state = StateKey {
        name: "file:state.key".to_owned(),
        key: SecretText::new(vec![9; 24]),
    };
    let judge = |text: &str| {
        judge_learned_beside(route, &brought(text), [], std::slice::from_ref(&of_state))
    };
    assert!(
        matches!(judge(OLD), Some(Sharing::Signs(words)) if words.contains("`file:state.key` of `[state]`"))
    );
    assert_eq!(judge(NEW), None);
}

#[test]
fn the_headers_that_are_removed_are_the_gateways_and_if_wanted_the_providers() {
    let of = |provider: &str, drop: bool| {
        let preset = find(provider).unwrap();
        let config = good(&with(&format!("secret = \"plain:{NEW}\"\ndrop = {drop}")));
        let resign = config.routes[0].resign.clone().unwrap();
        resign.removed(&preset.scheme)
    };
    let plain = of("itellico", false);
    for name in ["webhook-id", "Webhook_Timestamp", "WEBHOOK.SIGNATURE"] {
        assert!(plain.has(name.as_bytes()), "{name}");
    }
    for name in [
        "webhook-ids",
        "x-webhook-signature-256",
        "svix-id",
        "webhook",
    ] {
        assert!(!plain.has(name.as_bytes()), "{name}");
    }
    let rows: [(&str, &[&str]); 6] = [
        (
            "itellico",
            &["x-webhook-signature-256", "x-webhook-timestamp", "svix-*"],
        ),
        ("standard-webhooks", &["svix-*"]),
        ("svix", &["svix-signature", "svix-timestamp", "svix-*"]),
        ("stripe", &["stripe-signature", "svix-*"]),
        ("mercadopago", &["x-signature", "svix-*"]),
        ("gitlab", &["x-gitlab-token", "svix-*"]),
    ];
    for (provider, expected) in rows {
        assert_eq!(of(provider, true).of_the_provider(), expected, "{provider}");
    }
    let svix = of("stripe", true);
    for name in [
        "svix-id",
        "Svix_Anything",
        "SVIX.TIMESTAMP",
        "Stripe_Signature",
    ] {
        assert!(svix.has(name.as_bytes()), "{name}");
    }
    assert!(!svix.has(b"svixid") && !svix.has(b"svix") && !svix.has(b"x-svix-id"));
}
