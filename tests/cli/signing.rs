//! `sign` for each kind of scheme (contract: Command line): tokens, private keys, JSON Web Tokens, code of their own,
//! and what it says where it cannot sign.

use serde_json::Value;

use crate::keys;
use crate::stage::{Ended, Folder};
use crate::support::cases::Cases;

/// RFC 8032 section 7.1, test 1.
const ED25519_SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const ED25519: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const PUBLIC_URL: &str = "https://hooks.example.com/in/x?data.id=1";

fn folder(secret: &str, body: &str) -> Folder {
    let folder = Folder::new().env("S", secret);
    folder.write("body", body);
    folder
}

fn sign(folder: &Folder, provider: &str, more: &[&str]) -> Ended {
    folder.run(
        [
            "sign",
            "--provider",
            provider,
            "--secret",
            "env:S",
            "--body",
            "body",
        ]
        .iter()
        .chain(more),
    )
}

fn verify(folder: &Folder, provider: &str, secret: &str, headers: &str, more: &[&str]) -> Ended {
    folder.write("headers", headers);
    let secret = format!("plain:{secret}");
    let arguments = [
        "verify",
        "--provider",
        provider,
        "--secret",
        &secret,
        "--headers",
        "headers",
        "--body",
        "body",
    ];
    folder.run(arguments.iter().chain(more))
}

#[test]
fn every_kind_of_scheme_is_signed_so_that_verify_takes_it() {
    let url = ["--url", PUBLIC_URL];
    let mut cases = Cases::new();
    for (provider, secret, public, header, more) in [
        (
            "gitlab",
            "a-token",
            "a-token",
            "X-Gitlab-Token: a-token",
            &[][..],
        ),
        (
            "supabase-db",
            "a-token",
            "a-token",
            "Authorization: Bearer a-token",
            &[],
        ),
        (
            "chargebee",
            "Aladdin:open sesame",
            "Aladdin:open sesame",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            &[],
        ),
        (
            "telnyx",
            ED25519_SEED,
            ED25519,
            "Telnyx-Signature-Ed25519: ",
            &[],
        ),
        (
            "discord",
            ED25519_SEED,
            ED25519,
            "X-Signature-Ed25519: ",
            &[],
        ),
        (
            "standard-webhooks",
            "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=",
            "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
            "Webhook-Signature: v1a,",
            &[],
        ),
        (
            "livekit",
            "an-api-secret",
            "an-api-secret",
            "Authorization: ey",
            &[],
        ),
        (
            "messagebird",
            "a-key",
            "a-key",
            "Messagebird-Signature-Jwt: ey",
            &url,
        ),
        (
            "square",
            "a-key",
            "a-key",
            "X-Square-Hmacsha256-Signature: ",
            &url,
        ),
        ("plivo", "a-key", "a-key", "X-Plivo-Signature-V3: ", &url),
        (
            "contentful",
            "a-key",
            "a-key",
            "x-contentful-signature: ",
            &url,
        ),
        ("mercadopago", "a-key", "a-key", "x-signature: ts=", &url),
        (
            "lark",
            "a-key",
            "a-key",
            "X-Lark-Signature: ",
            &["--header", "X-Lark-Request-Nonce: n1"],
        ),
    ] {
        cases.case(provider, || {
            let body = if provider == "plivo" {
                "From=%2B15551234"
            } else {
                "{\"id\":\"e1\",\"event\":\"x\"}"
            };
            let folder = folder(secret, body);
            let signed = sign(&folder, provider, more);
            signed.expect_code(0).expect_words(&[header]);
            let url: &[&str] = if more.first() == Some(&"--url") {
                more
            } else {
                &[]
            };
            verify(&folder, provider, public, &signed.stdout, url)
                .expect_code(0)
                .expect_words(&["valid"]);
            let body = std::fs::read_to_string(folder.path().join("body")).expect("the body");
            folder.write("body", body.replace('1', "2"));
            let is_covered =
                !["gitlab", "supabase-db", "chargebee", "mercadopago"].contains(&provider);
            let changed = verify(&folder, provider, public, &signed.stdout, url);
            if is_covered {
                changed.expect_code(1).expect_words(&["bad_signature"])
            } else {
                changed.expect_code(0)
            };
        });
    }
    cases.finish();
}

#[test]
fn what_is_no_signature_or_signed_privately_is_remarked_on_beside_the_headers() {
    let token = sign(&folder("a-token", "{}"), "gitlab", &[]);
    assert!(token.stderr.contains("holds the secret itself"), "{token}");
    let private = sign(&folder(ED25519_SEED, "{}"), "telnyx", &[]);
    assert!(private.stderr.contains("SHA256:"), "{private}");
    private.expect_hidden(&[ED25519_SEED]);
    let refused = sign(&folder("k", "{\"webhookTimestamp\":1}"), "linear", &[]);
    refused.expect_code(0);
    assert!(refused.stderr.contains("stale_timestamp"), "{refused}");
}

#[test]
fn what_cannot_be_signed_says_what_stands_in_the_way() {
    let mut cases = Cases::new();
    for (name, provider, secret, more, words) in [
        (
            "in the body, by code",
            "adyen",
            "00ff",
            &[][..],
            &["is in the body", "capture"][..],
        ),
        ("RSA", "kick", "k", &[], &["private key, RSA", "PKCS #8"]),
        (
            "ECDSA",
            "sendgrid",
            "k",
            &[],
            &["private key, ECDSA P-256", "PKCS #8"],
        ),
        (
            "a token of RSA",
            "lago",
            "k",
            &[],
            &["private key, RSA", "PKCS #8"],
        ),
        (
            "a key of another type",
            "kick",
            &keys::P256,
            &[],
            &["another type", "takes RSA"],
        ),
        (
            "the public key",
            "standard-webhooks",
            "whpk_11qYAYKxCrfVS",
            &[],
            &["public key", "whsk_"],
        ),
        ("no key at all", "telnyx", "a-word", &[], &["signing key"]),
        (
            "a nonce is missing",
            "lark",
            "k",
            &[],
            &["X-Lark-Request-Nonce", "--header"],
        ),
        ("no colon", "chargebee", "k", &[], &["user:password"]),
        ("no URL", "square", "k", &[], &["--url"]),
        ("no URL, by code", "twilio", "k", &[], &["--url"]),
        ("no URL, by a token", "messagebird", "k", &[], &["--url"]),
        (
            "a URL without a host",
            "twilio",
            "k",
            &["--url", "/in/x"],
            &["--url", "host included"],
        ),
        (
            "a command without a URL",
            "itellico",
            "k",
            &["--curl"],
            &["--url", "`--curl` needs a URL"],
        ),
    ] {
        cases.case(name, || {
            let ended = sign(&folder(secret, "{}"), provider, more);
            ended.expect_code(2).expect_words(words);
            assert!(ended.stdout.is_empty(), "{ended}");
        });
    }
    cases.finish();
}

#[test]
fn a_pair_of_keys_of_ones_own_signs_what_its_public_half_verifies() {
    let mut cases = Cases::new();
    for (provider, private) in [
        ("chip", &*keys::RSA),
        ("kick", &keys::RSA),
        ("postal", &keys::RSA),
        ("sendgrid", &keys::P256),
        ("lago", &keys::RSA),
        ("plaid", &keys::P256),
    ] {
        cases.case(provider, || {
            let public = keys::public(private, provider);
            let folder = folder(private, "{\"id\":\"e1\"}");
            let headers = ["--header", "Kick-Event-Message-Id: m1"];
            let more: &[&str] = if provider == "kick" { &headers } else { &[] };
            let signed = sign(&folder, provider, more);
            signed.expect_code(0).expect_hidden(&[private]);
            assert!(!signed.stderr.contains("warning"), "{signed}");
            verify(&folder, provider, &public, &signed.stdout, &[])
                .expect_code(0)
                .expect_words(&["valid"]);
            let body = if provider == "lago" {
                "{}"
            } else {
                "{\"id\":\"e2\"}"
            };
            folder.write("body", body);
            verify(&folder, provider, &public, &signed.stdout, &[]).expect_code(1);
        });
    }
    cases.finish();
}

#[test]
fn a_signature_in_the_body_is_put_there() {
    let body = |signature: &str| {
        format!(
            "{{\"signature\":{{\"timestamp\":\"1750000000\",\"token\":\"t1\",\"signature\":\"{signature}\"}}}}"
        )
    };
    let mailgun = folder("k", &body(""));
    let made = sign(&mailgun, "mailgun", &[]);
    made.expect_code(0);
    assert!(made.stderr.contains("is in the body"), "{made}");
    // printf '1750000000t1' | openssl dgst -sha256 -hmac k
    let mac = "22e85c4f4561324618fbe7131d10670d30c5ea5184bee98d79d994abbac84b71";
    let sent: Value = serde_json::from_str(&made.stdout).expect("JSON");
    assert_eq!(sent["signature"]["signature"], mac);
    mailgun.write("body", &made.stdout);
    let at = ["--at", "1750000000"];
    verify(&mailgun, "mailgun", "k", "", &at).expect_code(0);
    let graph = folder("a-token-of-graph", "{\"value\":[{\"id\":1},{}]}");
    let made = sign(&graph, "microsoft-graph", &[]);
    made.expect_code(0)
        .expect_words(&["{\"value\":[{\"clientState\":\"a-token-of-graph\",\"id\":1},{"]);
    let empty = folder("k", "{\"value\":[]}");
    sign(&empty, "microsoft-graph", &[])
        .expect_code(2)
        .expect_words(&["no place for the signature", "`/value/*/clientState`"]);
}

/// A folder with a route of this provider, whose key is `public`, and a private key beside it.
fn with_route(provider: &str, public: &str, private: &str) -> Folder {
    let folder = Folder::new();
    folder.write("body", "{\"id\":\"e1\"}");
    folder.write("own.key", private);
    folder.write(
        "verigate.toml",
        format!(
            "[[route]]\nname = \"a\"\npath = \"/a\"\nprovider = \"{provider}\"\n\
             secrets = [\"\"\"{public}\"\"\"]\nupstream = \"http://127.0.0.1:3000\"\n\
             public_url = \"https://hooks.acme.io\"\n"
        ),
    );
    folder
}

fn sign_route(folder: &Folder, more: &[&str]) -> Ended {
    let arguments = [
        "sign",
        "--route",
        "a",
        "--config",
        "verigate.toml",
        "--body",
        "body",
    ];
    folder.run(arguments.iter().chain(more))
}

#[test]
fn a_route_that_has_the_public_key_says_that_the_private_key_is_needed() {
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAzfsXrW6lAx9+kPOzpEKkdhOiXR+Q7DxiGnIsGIifGrE=\n-----END PUBLIC KEY-----";
    for (provider, key) in [
        ("telnyx", ED25519),
        ("telnyx", public),
        ("standard-webhooks", public),
        ("keygen", ED25519),
    ] {
        sign_route(&with_route(provider, key, "x"), &[])
            .expect_code(2)
            .expect_words(&["the route has the public key", "--private-key FILE"]);
    }
}

#[test]
fn a_route_is_signed_for_with_a_private_key_of_every_type_that_its_scheme_takes() {
    let (p256, rsa) = (
        keys::public(&keys::P256, "sendgrid"),
        keys::public(&keys::RSA, "kick"),
    );
    let private = ["--private-key", "own.key"];
    let mut cases = Cases::new();
    for (provider, public, own) in [
        ("telnyx", ED25519, ED25519_SEED),
        ("keygen", ED25519, ED25519_SEED),
        ("keygen", &p256, &keys::P256),
        ("keygen", &rsa, &keys::RSA),
        ("woodpecker", ED25519, ED25519_SEED),
        ("woodpecker", &p256, &keys::P256),
        ("woodpecker", &rsa, &keys::RSA),
        ("sendgrid", &p256, &keys::P256),
        ("chip", &rsa, &keys::RSA),
    ] {
        cases.case(&format!("{provider} {}", public.len()), || {
            let folder = with_route(provider, public, own);
            let signed = sign_route(&folder, &private);
            signed
                .expect_code(0)
                .expect_hidden(&[own, "gateway would refuse"]);
            folder.write("headers", &signed.stdout);
            folder
                .run([
                    "verify",
                    "--route",
                    "a",
                    "--config",
                    "verigate.toml",
                    "--headers",
                    "headers",
                    "--body",
                    "body",
                    "--url",
                    "https://hooks.acme.io/a",
                ])
                .expect_code(0);
        });
    }
    cases.case("of another pair", || {
        sign_route(&with_route("sendgrid", &p256, ED25519_SEED), &private)
            .expect_code(2)
            .expect_words(&["another type", "takes ECDSA P-256"]);
        let other = "11".repeat(32);
        sign_route(&with_route("telnyx", ED25519, &other), &private)
            .expect_code(0)
            .expect_words(&["warning: the route has other public keys"]);
    });
    cases.case("no place for it", || {
        let folder = with_route("github", "plain:a-secret-of-some-length", ED25519_SEED);
        sign_route(&folder, &private)
            .expect_code(2)
            .expect_words(&["`--private-key` has no place"]);
        folder
            .run([
                "sign",
                "--provider",
                "telnyx",
                "--secret",
                "plain:x",
                "--private-key",
                "own.key",
            ])
            .expect_code(2)
            .expect_words(&["--route"]);
    });
    cases.case("no such file", || {
        sign_route(
            &with_route("telnyx", ED25519, "x"),
            &["--private-key", "none.key"],
        )
        .expect_code(2)
        .expect_words(&["`--private-key` needs the file none.key"]);
    });
    cases.finish();
}

#[test]
fn the_command_of_a_route_goes_to_the_gateway_though_the_provider_s_url_is_signed() {
    let file = |public_url: &str, path: &str| {
        let folder = folder("k", "{\"event_id\":\"e1\"}");
        folder.write(
            "verigate.toml",
            format!(
                "[server]\nlisten = [\"0.0.0.0:18080\"]\n[[route]]\nname = \"a\"\npath = \"{path}\"\n\
                 provider = \"square\"\nsecrets = [\"plain:a-secret-of-some-length\"]\n\
                 upstream = \"http://127.0.0.1:3000\"\npublic_url = \"{public_url}\"\n"
            ),
        );
        folder
    };
    let mut cases = Cases::new();
    for (public_url, path, url, expected) in [
        (
            "https://hooks.acme.io",
            "/a",
            "",
            "http://127.0.0.1:18080/a",
        ),
        (
            "https://hooks.acme.io",
            "/a",
            "https://hooks.acme.io/a?b=1",
            "'http://127.0.0.1:18080/a?b=1'",
        ),
        (
            "https://hooks.acme.io",
            "/a",
            "https://HOOKS.acme.io:443/a",
            "http://127.0.0.1:18080/a",
        ),
        (
            "https://hooks.acme.io/x/y",
            "/a",
            "https://hooks.acme.io/x/y?b=1",
            "'http://127.0.0.1:18080/a?b=1'",
        ),
        (
            "https://hooks.acme.io/x/y",
            "/a/*",
            "https://hooks.acme.io/a/z",
            "http://127.0.0.1:18080/a/z",
        ),
        (
            "https://hooks.acme.io",
            "/a",
            "http://10.0.0.7:8080/a",
            "http://10.0.0.7:8080/a",
        ),
    ] {
        cases.case(&format!("{public_url} {url}"), || {
            let folder = file(public_url, path);
            let more: &[&str] = if url.is_empty() {
                &["--curl"]
            } else {
                &["--curl", "--url", url]
            };
            let signed = sign_route(&folder, more);
            signed.expect_code(0);
            let line = format!("curl -sS --globoff --path-as-is -X POST {expected} \\\n");
            assert!(signed.stdout.starts_with(&line), "{line}{signed}");
            let is_moved = url.starts_with("https");
            assert_eq!(
                signed
                    .stderr
                    .contains("goes to the gateway, http://127.0.0.1:18080"),
                is_moved,
                "{signed}"
            );
        });
    }
    cases.finish();
}

#[test]
fn verify_asks_for_the_url_wherever_it_is_signed() {
    for provider in ["square", "twilio", "messagebird"] {
        let ended = verify(&folder("k", "{}"), provider, "k", "A: 1\n", &[]);
        ended
            .expect_code(2)
            .expect_words(&["signs the URL", "--url"]);
    }
}

/// Such a query reaches a running gateway as the sender left it, and the signature covers it so.
#[test]
fn a_query_that_a_sender_leaves_unescaped_is_signed_as_it_is() {
    let folder = folder("k", "{\"event_id\":\"e1\",\"type\":\"x\"}");
    let url = |query: &str| format!("https://hooks.example.com/in?{query}");
    let (raw, escaped) = (url("a[]={b}|c"), url("a%5B%5D=%7Bb%7D%7Cc"));
    let signed = sign(&folder, "square", &["--url", &raw]);
    signed.expect_code(0);
    verify(&folder, "square", "k", &signed.stdout, &["--url", &raw]).expect_code(0);
    verify(&folder, "square", "k", &signed.stdout, &["--url", &escaped])
        .expect_code(1)
        .expect_words(&["bad_signature"]);
}

#[test]
fn a_url_that_a_capture_shows_decoded_is_taken_as_it_was_sent() {
    let folder = folder("k", "{\"event_id\":\"e1\",\"type\":\"x\"}");
    let signed = sign(
        &folder,
        "square",
        &[
            "--url",
            "https://hooks.example.com/in?name=J%C3%BCrgen%20K&a%5B%5D=1",
        ],
    );
    signed.expect_code(0);
    let decoded = [
        "--url",
        "https://hooks.example.com/in?name=J\u{fc}rgen K&a[]=1",
    ];
    verify(&folder, "square", "k", &signed.stdout, &decoded).expect_code(0);
    let other = [
        "--url",
        "https://hooks.example.com/in?name=J\u{fc}rgen+K&a[]=1",
    ];
    verify(&folder, "square", "k", &signed.stdout, &other)
        .expect_code(1)
        .expect_words(&["bad_signature"]);
    let curl = sign(&folder, "square", &["--curl", decoded[0], decoded[1]]);
    curl.expect_code(0)
        .expect_words(&["https://hooks.example.com/in?name=J%C3%BCrgen%20K&a%5B%5D=1"]);
}
