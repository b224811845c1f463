//! Keys that everybody knows, secrets that look like something else, and keys on several routes.

use std::ffi::OsString;
use std::path::Path;

use sha2::{Digest as _, Sha256, Sha512};

use super::fixtures::RSA_PEM;
use super::{CUSTOM, ROUTE, good, warned};
use crate::clock::UnixMillis;
use crate::config::files::Files;
use crate::config::presets;
use crate::config::{Config, Problems, Sources, parse, takes_public_keys};

/// Reads a text in an environment of these variables alone.
fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, Problems> {
    let env = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    };
    let sources = Sources {
        base_dir: Path::new("/nowhere"),
        env: &env,
        files: &Files::default(),
        now: UnixMillis(1_795_392_000_000),
    };
    parse("a.toml", text, &sources)
}

fn preset(name: &str, own: &str) -> String {
    let url = "public_url = \"https://hooks.acme.io\"\n";
    ROUTE.replace("itellico", name) + url + own
}

/// A route with a scheme of its own and this form of the key.
fn keyed(key: &str) -> String {
    format!("{CUSTOM}key = {key}\n")
}

fn refusal(text: &str, secret: &str) -> Option<String> {
    read_with(text, &[("S", secret)])
        .err()
        .map(|problems| problems.render(false))
}

#[test]
fn ky_01_a_key_that_everybody_knows_is_refused_under_every_preset() {
    let known = [
        "whsec_",
        "v1,whsec_",
        "pdl_ntfset_",
        "sk_live_",
        "\"\"",
        "'whsec_'",
        "HOOK_SECRET=",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "\u{feff}",
        " ",
    ];
    let mut wrong = Vec::new();
    for preset in presets::all() {
        if takes_public_keys(&preset.scheme) {
            continue;
        }
        for secret in known {
            let shown = refusal(&self::preset(&preset.name, ""), secret).unwrap_or_default();
            let is_right = ["is no key of this scheme", "is an empty secret"]
                .iter()
                .any(|words| shown.contains(words));
            if !is_right || (secret.len() > 20 && shown.contains(secret)) {
                wrong.push(format!("{} takes {secret:?}: {shown}", preset.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ky_01_a_key_behind_a_name_counts_by_itself() {
    for (name, secret) in [
        ("braintree", "public:0000000000000000"),
        ("braintree", "public:AAAAAAAAAAAAAAAAAAAAAA=="),
        ("braintree", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ("braintree", "public:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ("twilio", "hmac-sha1:00000000000000000000000000000000"),
        ("chargebee", "user:0000000000000000"),
    ] {
        let shown = refusal(&preset(name, ""), secret).unwrap_or_default();
        assert!(
            shown.contains("is nothing but zero bytes"),
            "{name} {secret:?}: {shown}"
        );
    }
}

#[test]
fn ky_01_every_candidate_of_a_list_counts() {
    let rows = [
        // The other candidate would be a good key.
        ("[\"utf8\", \"base64\"]", "AAAAAAAAAAAAAAAA"),
        (
            "[\"utf8\", { encoding = \"base64\", strip = \"whsec_\" }]",
            "whsec_",
        ),
        ("[\"base64\", \"hex\"]", "00000000000000000000000000000000"),
        ("{ encoding = \"utf8\", strip = \"own_\" }", "own_"),
        ("\"utf8\"", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ];
    for (key, secret) in rows {
        assert!(refusal(&keyed(key), secret).is_some(), "{key} {secret:?}");
    }
    let begins = format!("{CUSTOM}secret_begins = [\"acme_whs_\"]\n");
    let shown = refusal(&begins, "acme_whs_").unwrap_or_default();
    assert!(shown.contains("only the prefix `acme_whs_`"), "{shown}");
    let basic = CUSTOM.split("[route.scheme]").next().unwrap().to_owned()
        + "[route.scheme]\nalgorithm = \"basic\"\n";
    assert!(refusal(&basic, "user:").is_some());
    assert!(refusal(&basic, "user:a-long-password").is_none());
}

#[test]
fn the_prefix_that_supabase_shows_is_taken() {
    let shown = "v1,whsec_NgLR0s9HLZrsUxkVQE9JMQaJp3MbMbTx";
    let read =
        |secret: &str| read_with(&preset("standard-webhooks", ""), &[("S", secret)]).unwrap();
    assert_eq!(warned(&read(shown)), "");
    let key = |config: &Config| {
        let route = &config.routes[0];
        route.scheme.shared_keys(&route.secrets[0].text).unwrap()
    };
    let plain = key(&read(shown.strip_prefix("v1,").unwrap()));
    assert_eq!(key(&read(shown)), plain);
}

#[test]
fn ky_01_a_key_that_is_printed_for_everybody_is_warned_about_and_never_acknowledged() {
    let rows = [
        ("zendesk", "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="),
        ("github", "It's a Secret to Everybody"),
        ("svix", "whsec_plJ3nmyCDGBKInavdOK15jsl"),
        (
            "adyen",
            "44782def547aaa06c910c43932b1eb0c71fc68d9d0c057550c48ec2acf6ba056",
        ),
        ("slack", "8f742231b10e8888abcd99yyyzzz85a5"),
        (
            "standard-webhooks",
            "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, secret) in rows {
        let warned = warned(&read_with(&preset(name, ""), &[("S", secret)]).unwrap());
        let is_shown = warned.contains(secret);
        if !warned.contains("[published-secret]") || is_shown {
            wrong.push(format!("{name}: {warned}"));
        }
        let text = preset(name, "acknowledge = [\"published-secret\"]\n");
        let refused = refusal(&text, secret).unwrap_or_default();
        if !refused.contains("cannot be acknowledged") {
            wrong.push(format!("{name}: {refused}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_secret_that_looks_wrong_is_warned_about_and_never_shown() {
    let text = preset("stripe", "");
    let rows = [
        (
            "sk_live_kZ3q8vX1kZ3q8vX1",
            "begins with `sk_live_`: it is an API key",
            "unlikely-secret",
        ),
        (
            "we_1NkZ3q8vX1kZ3q8vX1",
            "begins with `we_`: it is an id",
            "unlikely-secret",
        ),
        (
            "https://kZ3q8vX1.example/hooks",
            "is a URL",
            "unlikely-secret",
        ),
        (
            "whpk_kZ3q8vX1kZ3q8vX1",
            "is a public key",
            "unlikely-secret",
        ),
        (
            "whsec_your_kZ3q8vX1",
            "looks like a placeholder",
            "placeholder-secret",
        ),
        (
            "${kZ3q8vX1}",
            "looks like a placeholder",
            "placeholder-secret",
        ),
        ("whsec_kZ3q8", "is shorter than 16 bytes", "short-secret"),
        (
            "\"whsec_kZ3q8vX1kZ3q8vX1\"",
            "quotation marks around it",
            "secret-spelling",
        ),
        (
            "\u{201c}whsec_kZ3q8vX1kZ3q8vX1\u{201d}",
            "quotation marks around it",
            "secret-spelling",
        ),
        ("whsec_kZ3q8vX1kZ3q8vX1 ", "white space", "secret-spelling"),
        (
            "STRIPE_SECRET=whsec_kZ3q8vX1kZ3q8vX1",
            "the name of a variable",
            "secret-spelling",
        ),
        (
            "Bearer kZ3q8vX1kZ3q8vX1",
            "a word of the header",
            "secret-spelling",
        ),
    ];
    let mut wrong = Vec::new();
    for (secret, words, name) in rows {
        let config = read_with(&text, &[("S", secret)]).unwrap();
        let shown = warned(&config);
        let is_right = config.warnings.len() == 1
            && shown.contains(&format!("a.toml:5: the secret `env:S` {}", ""))
            && shown.contains(words)
            && shown.ends_with(&format!("[{name}]"));
        if !is_right || shown.contains("kZ3q8") {
            wrong.push(format!("{secret}: {shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Paystack signs with its API key.
    let paystack = read_with(
        &preset("paystack", ""),
        &[("S", "sk_live_kZ3q8vX1kZ3q8vX1")],
    )
    .unwrap();
    assert!(
        !warned(&paystack).contains("API key"),
        "{}",
        warned(&paystack)
    );
    let acknowledging = preset("stripe", "acknowledge = [\"unlikely-secret\"]\n");
    let config = read_with(&acknowledging, &[("S", "sk_live_kZ3q8vX1kZ3q8vX1")]).unwrap();
    assert_eq!(warned(&config), "");
}

#[test]
fn tokens_that_are_no_signing_secrets_are_looked_at_too() {
    let file = |token: &str| format!("[admin]\ntoken = \"env:T\"\n{ROUTE}").replace("env:T", token);
    let read = |token: &str| {
        let good = "a-good-secret-0123";
        read_with(&file("env:T"), &[("S", good), ("T", token)])
    };
    assert!(
        read("\"\"")
            .unwrap_err()
            .render(false)
            .contains("holds nothing")
    );
    assert!(warned(&read("changeme").unwrap()).contains("placeholder"));
    assert!(warned(&read("kZ3q8vX1").unwrap()).contains("shorter than 16 bytes"));
    assert_eq!(warned(&read("kZ3q8vX1kZ3q8vX1").unwrap()), "");
}

/// Two routes, the second called `b`, with the secrets `env:S` and `env:T`.
fn two(one: &str, other: &str) -> String {
    let other = other
        .replace("\"a\"", "\"b\"")
        .replace("\"/a\"", "\"/b\"")
        .replace("\"c\"", "\"b\"")
        .replace("\"/c\"", "\"/b\"")
        .replace("env:S", "env:T");
    format!("{one}\n{other}")
}

#[test]
fn ky_02_routes_that_share_a_key_are_named_in_one_line() {
    let (text, hex) = ("a-key-of-sixteen", "612d6b65792d6f662d7369787465656e");
    let long = "a-key-of-sixteen".repeat(9);
    let custom = |key: &str| CUSTOM.replace("\"c\"", "\"a\"").replace("/c", "/a") + key;
    let sha512 = custom("").replace("hmac-sha256", "hmac-sha512");
    let rows = [
        ("the same text", two(ROUTE, ROUTE), text, text),
        (
            "another provider",
            two(ROUTE, &preset("github", "")),
            text,
            text,
        ),
        (
            "another spelling",
            two(ROUTE, &custom("key = \"hex\"\n")),
            text,
            hex,
        ),
        (
            "filled up with zero bytes",
            two(ROUTE, &custom("key = \"hex\"\n")),
            text,
            "612d6b65792d6f662d7369787465656e0000",
        ),
        (
            "a key beyond the block and its hash",
            two(ROUTE, &custom("key = \"hex\"\n")),
            &long,
            &hex::encode(Sha256::digest(&long)),
        ),
        (
            "a key beyond the block under another hash",
            two(ROUTE, &sha512),
            &long,
            &long,
        ),
        (
            "a key beyond the block of SHA-512 and its hash",
            two(&sha512, &format!("{sha512}key = \"hex\"\n")),
            &long,
            &hex::encode(Sha512::digest(&long)),
        ),
        ("a token", two(ROUTE, &preset("gitlab", "")), text, text),
        (
            "a signed URL",
            two(&preset("twilio", ""), &preset("twilio", "")),
            text,
            text,
        ),
    ];
    let mut wrong = Vec::new();
    for (name, file, one, other) in rows {
        let config = read_with(&file, &[("S", one), ("T", other)]).unwrap();
        let lines: Vec<_> = config
            .warnings
            .iter()
            .map(ToString::to_string)
            .filter(|line| line.ends_with("[shared-key]"))
            .collect();
        let is_right = matches!(lines.as_slice(), [line] if line.contains("route `b`: the secret `env:T` is also a key of route `a`"));
        if !is_right {
            wrong.push(format!("{name}: {lines:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let config = read_with(
        &two(ROUTE, ROUTE),
        &[("S", text), ("T", "b-key-of-sixteen")],
    )
    .unwrap();
    assert_eq!(warned(&config), "");
    // The same text means another key where it is decoded.
    let config = read_with(
        &two(ROUTE, &custom("key = \"base64\"\n")),
        &[("S", hex), ("T", hex)],
    )
    .unwrap();
    assert!(
        !warned(&config).contains("[shared-key]"),
        "{}",
        warned(&config)
    );
}

#[test]
fn ky_02_routes_that_list_other_accounts_at_the_same_signed_place_share_nothing() {
    let topic = |account: &str, name: &str| format!("arn:aws:sns:eu-west-1:{account}:{name}");
    let (ours, theirs) = ("123456789012", "210987654321");
    let (orders, bills) = (topic(ours, "orders"), topic(ours, "bills"));
    let listed = |accounts: &[&str]| preset("aws-sns", &format!("accounts = {accounts:?}\n"));
    let rows = [
        ("two topics", listed(&[&orders]), listed(&[&bills]), false),
        ("two holders", listed(&[ours]), listed(&[theirs]), false),
        (
            "the same topic",
            listed(&[&orders]),
            listed(&[&bills, &orders]),
            true,
        ),
        (
            "a topic and its holder",
            listed(&[&orders]),
            listed(&[ours]),
            true,
        ),
        (
            "a holder and its topic",
            listed(&[ours]),
            listed(&[&orders]),
            true,
        ),
        (
            "any",
            listed(&[&orders]),
            preset("aws-sns", "accounts = \"any\"\n"),
            true,
        ),
        (
            "another place",
            preset("slack", "accounts = [\"T1\"]\n"),
            preset(
                "slack",
                "accounts = [\"T2\"]\naccount = { json = \"/team\" }\n",
            ),
            true,
        ),
        (
            "workspaces of one app",
            preset("slack", "accounts = [\"T1\"]\n"),
            preset("slack", "accounts = [\"T2\"]\n"),
            false,
        ),
    ];
    let mut wrong = Vec::new();
    for (name, one, other, is_shared) in rows {
        let key = if one.contains("slack") {
            "a-key-of-sixteen"
        } else {
            RSA_PEM
        };
        let shown = match read_with(&two(&one, &other), &[("S", key), ("T", key)]) {
            Ok(config) => warned(&config),
            Err(problems) => problems.render(false),
        };
        if shown.contains("[shared-key]") != is_shared || shown.contains("problem") {
            wrong.push(format!("{name}: {shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ky_03_a_key_that_answers_a_handshake_with_a_mac_is_on_no_route_of_another_scheme() {
    const KEY: &str = "a-key-of-sixteen";
    let braintree = "handshake = { public_key = \"abcd\" }\n";
    let answering = [
        ("x-twitter", ""),
        ("zoom", ""),
        ("linkedin", ""),
        ("smartcar", ""),
        ("braintree", braintree),
    ];
    let mut wrong = Vec::new();
    for (name, own) in answering {
        let mac = preset(name, own);
        let variables = [("S", KEY), ("T", KEY)];
        // The key of Braintree is the SHA-1 of the secret.
        let other = if name == "braintree" {
            "code = \"braintree\"\n"
        } else {
            ""
        };
        let others = if other.is_empty() {
            vec![ROUTE.to_owned(), CUSTOM.to_owned(), preset("gitlab", "")]
        } else {
            let head = CUSTOM.split("[route.scheme]").next().unwrap();
            vec![format!(
                "{head}[route.scheme]\nalgorithm = \"hmac-sha1\"\ncode = \"braintree\"\n"
            )]
        };
        for other in others {
            for file in [two(&mac, &other), two(&other, &mac)] {
                let shown = match read_with(&file, &variables) {
                    Ok(config) => warned(&config),
                    Err(problems) => problems.render(false),
                };
                if !shown.contains("signs what a stranger sends") || !shown.contains("\n1 problem")
                {
                    wrong.push(format!("{name}: {shown}\n{file}"));
                }
            }
        }
        let twice = read_with(&two(&mac, &mac), &variables).unwrap();
        if !warned(&twice).contains("[shared-key]") {
            wrong.push(format!("{name} twice: {}", warned(&twice)));
        }
        // Where the gateway answers nothing, it signs nothing.
        let off = preset(name, "handshake = { mode = \"off\" }\n");
        if name != "braintree" && read_with(&two(&off, ROUTE), &variables).is_err() {
            wrong.push(format!("{name} off"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_secret_of_many_routes_is_named_once_with_the_first_of_them_and_their_number() {
    let route = |place: usize, own: &str| {
        ROUTE
            .replace("\"a\"", &format!("\"r{place}\""))
            .replace("\"/a\"", &format!("\"/r{place}\""))
            + own
    };
    let both = ["env:S\", \"env:T", "env:S"];
    let routes = |count: usize, own: &dyn Fn(usize) -> &'static str| -> String {
        (0..count).map(|place| route(place, own(place))).collect()
    };
    let lines = |text: &str| -> Vec<String> {
        let warnings = warned(&good(text));
        warnings.lines().map(ToOwned::to_owned).collect()
    };
    let all = |_: usize| "";
    assert_eq!(
        lines(&routes(3, &all)),
        [
            "a.toml:11: route `r1`: the secret `env:S` is also a key of the routes `r0` and `r2`: a \
          captured delivery is valid once on each [shared-key]"
        ]
    );
    for count in [5, 60] {
        let found = lines(&routes(count, &all));
        let words = format!(
            "of the routes `r0`, `r2`, `r3` and of {}",
            if count == 5 {
                "another route".to_owned()
            } else {
                format!("{} others, 60 routes", count - 4)
            }
        );
        let is_it = matches!(found.as_slice(), [line] if line.contains(&words));
        assert!(is_it, "{words}: {found:#?}");
    }
    // A route that has read it acknowledges it for itself alone.
    let acknowledged = |place: usize| match place {
        1 | 2 => "acknowledge = [\"shared-key\"]\n",
        _ => "",
    };
    let found = lines(&routes(5, &acknowledged));
    assert!(
        matches!(found.as_slice(), [line] if line.contains("route `r3`: ")),
        "{found:#?}"
    );
    let later = |place: usize| {
        if place == 0 {
            ""
        } else {
            "acknowledge = [\"shared-key\"]\n"
        }
    };
    assert_eq!(lines(&routes(5, &later)), Vec::<String>::new());
    // Two secrets are two matters.
    let two = routes(3, &all).replace(both[1], both[0]);
    assert_eq!(lines(&two).len(), 2, "{:#?}", lines(&two));
}

#[test]
fn a_secret_that_does_not_look_like_its_provider_s_is_told_apart_by_what_is_expected() {
    let base64 = "c2VjcmV0LXNlY3JldC1zZWNyZXQ=";
    let hex = "0a1b2c3d".repeat(8);
    let rows = [
        (
            "telegram",
            "123:ABC",
            "which are 1 to 256 letters, digits, `_` and `-`",
        ),
        (
            "telegram",
            "a secret+token of mine",
            "which are 1 to 256 letters, digits, `_` and `-`",
        ),
        ("telegram", "a-secret_Token-0123456789", ""),
        (
            "phonepe",
            "user:password-of-some-length",
            "which are 64 hexadecimal digits",
        ),
        ("phonepe", &hex, ""),
        (
            "huggingface",
            "gr\u{fc}ne-Worte-aus-dem-Garten",
            "visible characters of ASCII",
        ),
        ("qstash", base64, "does not begin with `sig_`"),
        ("qstash", "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs", ""),
        ("github", "a0b1c2d3 e4f5a6b7c8d9", "holds white space"),
        ("github", "a0b1c2d3\te4f5a6b7c8d9", "holds white space"),
        ("github", "a0b1c2d3\u{a0}e4f5a6b7c8d9", "holds white space"),
        ("github", " a0b1c2d3e4f5a6b7c8d9", "begins with white space"),
        ("github", "a0b1c2d3e4f5a6b7c8d9 ", "ends with white space"),
        ("gitlab", "a0b1c2d3 e4f5a6b7c8d9", "holds white space"),
        ("github", "a0b1c2d3e4f5a6b7c8d9", ""),
    ];
    let mut wrong = Vec::new();
    for (name, secret, words) in rows {
        let config = read_with(&preset(name, ""), &[("S", secret)]).unwrap();
        let shown = warned(&config);
        let of_secret: Vec<_> = shown
            .lines()
            .filter(|line| {
                line.ends_with("[unlikely-secret]") || line.ends_with("[secret-spelling]")
            })
            .collect();
        let is_right = match of_secret.as_slice() {
            [] => words.is_empty(),
            [line] => !words.is_empty() && line.contains(words),
            [one, two] => secret.contains(' ') && (one.contains(words) || two.contains(words)),
            _ => false,
        };
        if !is_right || shown.contains(secret) {
            wrong.push(format!("{name} {secret:?}: {shown}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_text_that_is_no_key_is_refused_with_the_form_that_is_expected() {
    let public = "v1a,whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let rows = [
        (
            "keygen",
            "abcd",
            "none of the known forms",
            "64 hex digits of Ed25519, or PEM",
        ),
        (
            "telnyx",
            "abcd",
            "none of the known forms",
            "a public key of Ed25519: 64 hex digits",
        ),
        (
            "sendgrid",
            "abcd",
            "none of the known forms",
            "a public key of ECDSA P-256: PEM",
        ),
        ("kick", "MAAA", "", "a public key of RSA: PEM"),
        (
            "woodpecker",
            "abcd",
            "",
            "the sender's public key: Ed25519, ECDSA P-256 or RSA",
        ),
        (
            "kick",
            "whsec_c2VjcmV0LXNlY3JldA==",
            "",
            "a public key of RSA",
        ),
        (
            "supabase-auth",
            public,
            "",
            "it is a public key, and this scheme needs the shared signing secret",
        ),
        (
            "supabase-auth",
            public,
            "",
            "base64 (the standard alphabet, padded with `=`), with or without `v1,whsec_`",
        ),
        (
            "supabase-auth",
            "v1a,whsk_c2VjcmV0",
            "",
            "it is a private key",
        ),
        (
            "squarespace",
            "no hex digits",
            "",
            "hexadecimal digits, an even number",
        ),
        ("openai", "c2VjcmV0LXNlY3JldA==", "", "`whsec_` and base64"),
    ];
    let mut wrong = Vec::new();
    for (name, secret, why, expected) in rows {
        let accounts = if name == "kick" {
            "accounts = \"any\"\n"
        } else {
            ""
        };
        let shown = refusal(&preset(name, accounts), secret).unwrap_or_default();
        let is_right = shown.contains("is no key of this scheme")
            && shown.contains(why)
            && shown.contains(expected);
        if !is_right || shown.contains(secret) {
            wrong.push(format!("{name} {secret:?}: {shown}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Each preset says something.
    let dumb: Vec<_> = presets::all()
        .iter()
        .filter(|preset| preset.scheme.expected_secret().is_empty())
        .map(|preset| &preset.name)
        .collect();
    assert!(dumb.is_empty(), "{dumb:?}");
}
