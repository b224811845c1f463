//! `[route.handshake]` and `secrets = ["learn:PATH"]`: the settings that each becomes, and the
//! problems of wrong settings (schemes: Handshakes).

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::problems::each_says;
use super::{env, good, warned};
use crate::clock::UnixMillis;
use crate::config::{Config, Files, HandshakeMode, Problems, Sources, Warning, WarningName, parse};
use crate::scheme::Handshake;

/// A route whose scheme has this handshake; `lines` are added to the route.
fn with(handshake: &str, lines: &str) -> String {
    format!(
        "[[route]]\nname = \"c\"\npath = \"/c\"\nsecrets = [\"env:S\"]\nupstream = \"http://127.0.0.1:3000\"\n{lines}\n\
         [route.scheme]\nalgorithm = \"hmac-sha256\"\nsigned = \"{{body}}\"\nsignature = {{ header = \"X-Signature\" }}\n\
         handshake = \"{handshake}\"\n"
    )
}

/// A route of Braintree with this secret.
fn braintree(secret: &str, lines: &str) -> String {
    format!(
        "[[route]]\nname = \"c\"\npath = \"/c\"\nsecrets = [\"plain:{secret}\"]\nupstream = \"http://127.0.0.1:3000\"\n\
         {lines}\n[route.scheme]\nalgorithm = \"hmac-sha1\"\ncode = \"braintree\"\nhandshake = \"braintree\"\n"
    )
}

/// A route whose secret comes with a handshake.
fn learning(handshake: &str, secrets: &str) -> String {
    with(handshake, "").replace("[\"env:S\"]", secrets)
}

fn read_in(folder: &Path, text: &str) -> Result<Config, Problems> {
    parse(
        "a.toml",
        text,
        &Sources {
            base_dir: folder,
            env: &env,
            now: UnixMillis(1_795_392_000_000),
            files: &Files::default(),
        },
    )
}

#[test]
fn a_handshake_is_answered_unless_somebody_says_otherwise() {
    let rows = [
        ("", HandshakeMode::Answer),
        ("handshake = { mode = \"answer\" }", HandshakeMode::Answer),
        ("handshake = { mode = \"forward\" }", HandshakeMode::Forward),
        ("handshake.mode = \"off\"", HandshakeMode::Off),
    ];
    for (lines, mode) in rows {
        let route = &good(&with("slack", lines)).routes[0];
        assert_eq!(
            (
                route.scheme.handshake.map(Handshake::name),
                route.handshake.mode
            ),
            (Some("slack"), mode),
            "{lines}"
        );
        assert_eq!(
            route.methods,
            ["POST"],
            "other methods are the handshake's alone"
        );
    }
}

#[test]
fn what_an_answer_depends_on_is_read() {
    for name in ["meta", "lark"] {
        let route = &good(&with(name, "handshake = { verify_token = \"env:TOKEN\" }")).routes[0];
        assert_eq!(
            route.handshake.verify_token.as_ref().unwrap().expose(),
            b"value-of-TOKEN-0123456789"
        );
        for mode in ["forward", "off"] {
            let route =
                &good(&with(name, &format!("handshake = {{ mode = \"{mode}\" }}"))).routes[0];
            assert!(
                route.handshake.verify_token.is_none(),
                "who does not answer needs none"
            );
        }
    }
    let config = good(&with(
        "meta",
        "handshake = { verify_token = \"plain:hunter2\" }",
    ));
    assert!(warned(&config).contains("`route.handshake.verify_token` is written in"));
    assert!(!warned(&config).contains("hunter2"));
    let route = &good(&braintree(
        "private",
        "handshake = { public_key = \"abcd\" }",
    ))
    .routes[0];
    assert_eq!(route.handshake.public_key.as_deref(), Some("abcd"));
    for fine in [
        braintree("public:private", ""),
        braintree("private", "handshake = { mode = \"forward\" }"),
    ] {
        assert!(good(&fine).routes[0].handshake.public_key.is_none());
    }
}

#[test]
fn a_handshake_is_told_what_is_wrong() {
    let answer =
        |handshake: &str, inner: &str| with(handshake, &format!("handshake = {{ {inner} }}"));
    each_says(&[
        (
            answer("slack", "mode = \"answr\""),
            "did you mean `answer`?",
        ),
        (
            answer("slack", "kind = \"slack\""),
            "known here: mode, public_key, verify_token",
        ),
        (
            with("slack", "handshake = \"answer\""),
            "must be a table, not a string",
        ),
        (
            answer("slack", "verify_token = \"env:T\""),
            "means nothing for the handshake `slack`",
        ),
        (
            answer("slack", "public_key = \"a\""),
            "means nothing for the handshake `slack`",
        ),
        (
            answer("meta", "public_key = \"a\", mode = \"off\""),
            "means nothing for the handshake `meta`",
        ),
        (
            with("meta", ""),
            "or `mode = \"forward\"` there to let the application answer",
        ),
        (
            with("lark", ""),
            "the handshake `lark` carries a token that must be checked",
        ),
        (
            answer("lark", "verify_token = \"hunter2\""),
            "is not a reference to a secret",
        ),
        (
            answer("lark", "verify_token = \"env:UNSET\""),
            "as in `export UNSET=…`",
        ),
        (
            braintree("hunter2", ""),
            "write the secret as `PUBLIC_KEY:PRIVATE_KEY`",
        ),
        (
            braintree("hunter2", "handshake = { public_key = \"a|b\" }"),
            "is no public key of Braintree",
        ),
        (
            braintree("hunter2", "handshake = { public_key = \"\" }"),
            "is no public key of Braintree",
        ),
        (
            with("slack", "handshake = { verify_token = \"hunter2\" }")
                .replace("handshake = \"slack\"\n", ""),
            "the route has `route.handshake`, but its scheme has no handshake",
        ),
    ]);
}

#[test]
fn a_secret_that_is_not_learned_yet_is_awaited_and_a_learned_one_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for handshake in ["asana", "notion"] {
        let name = format!("{handshake}.secret");
        let text = learning(handshake, &format!("[\"learn:{name}\"]"));
        let path = folder.path().join(&name);
        let config = read_in(folder.path(), &text).unwrap_or_else(|problems| panic!("{problems}"));
        let route = &config.routes[0];
        assert!(route.secrets.is_empty());
        assert_eq!(route.learn.as_ref(), Some(&path));
        assert!(warned(&config).contains("no secret until the provider's handshake brings it"));

        std::fs::write(&path, "learned-secret-of-2026").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let config = read_in(folder.path(), &text).unwrap_or_else(|problems| panic!("{problems}"));
        let route = &config.routes[0];
        assert_eq!(route.learn.as_ref(), Some(&path));
        let secrets: Vec<_> = route
            .secrets
            .iter()
            .map(|s| (s.name.clone(), s.text.expose().to_vec()))
            .collect();
        assert_eq!(
            secrets,
            [(format!("learn:{name}"), b"learned-secret-of-2026".to_vec())]
        );
        let awaited = |warning: &Warning| warning.name == WarningName::SecretAwaited;
        assert!(
            !config.warnings.iter().any(awaited),
            "{:?}",
            config.warnings
        );
    }
}

#[test]
fn what_cannot_be_learned_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty"), "").unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    symlink(
        folder.path().join("nowhere"),
        folder.path().join("dangling"),
    )
    .unwrap();
    let asana = |secrets: &str| learning("asana", secrets);
    let rows = [
        (
            learning("slack", "[\"learn:a\"]"),
            "only the handshakes `asana` and `notion` bring one",
        ),
        (
            learning("slack", "[\"env:S\", \"learn:a\"]"),
            "only the handshakes `asana` and `notion` bring one",
        ),
        (
            asana("[\"learn:a\", \"env:S\"]"),
            "has `learn:` beside other secrets",
        ),
        (
            asana("[{ name = \"a\", value = \"learn:a\" }]"),
            "cannot be learned here",
        ),
        (asana("[\"learn:\"]"), "names no file"),
        (asana("[\"learn:a/\"]"), "names no file"),
        (asana("[\"learn:..\"]"), "names no file"),
        (
            asana("[\"learn:no/such/a\"]"),
            "needs the directory of no/such/a",
        ),
        (
            asana("[\"learn:empty/a\"]"),
            "needs the directory of empty/a",
        ),
        (asana("[\"learn:empty\"]"), "the file empty holds nothing"),
        (asana("[\"learn:folder\"]"), "is not a regular file"),
        (
            asana("[\"learn:dangling\"]"),
            "needs the file dangling, which does not exist",
        ),
        (
            asana("[\"learn:a\"]").replace(
                "[route.scheme]",
                "handshake = { mode = \"forward\" }\n[route.scheme]",
            ),
            "a handshake that this route does not answer",
        ),
    ];
    let mut wrong = Vec::new();
    for (text, expected) in rows {
        let shown = read_in(folder.path(), &text)
            .map_or_else(|problems| problems.to_string(), |_| "fine".to_owned());
        if !shown.contains(expected)
            || !shown.contains("--> a.toml:")
            || !shown.contains("1 problem in")
        {
            wrong.push(format!("wanted: {expected}\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
