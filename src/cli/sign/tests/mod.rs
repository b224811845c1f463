//! Tests of `verigate sign`.

mod every_preset;

use std::ffi::OsStr;

use clap::Parser as _;

use super::super::{Cli, Command};

const CONFIG: &str = r#"
[server]
listen = ["0.0.0.0:8181"]
[[route]]
name = "any"
host = "hooks.example.com"
path = "/hooks/*"
secrets = ["plain:c2VjcmV0"]
upstream = "http://127.0.0.1:3000"
[route.scheme]
algorithm = "hmac-sha256"
key = "base64"
signed = "{id}.{timestamp}.{body}"
signature = { header = "X-Signature" }
timestamp = { header = "X-Timestamp" }
event_id = { header = "X-Id" }
"#;

/// The output of `sign --route any` for an empty object, or the error.
fn printed(more: &[&str]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let (config, body) = (
        folder.path().join("verigate.toml"),
        folder.path().join("body"),
    );
    std::fs::write(&config, CONFIG).unwrap();
    std::fs::write(&body, "{}").unwrap();
    let fixed = ["verigate", "sign", "--route", "any", "--at", "1750000000"].map(OsStr::new);
    let files = [
        OsStr::new("--config"),
        config.as_os_str(),
        OsStr::new("--body"),
        body.as_os_str(),
    ];
    let arguments = fixed
        .into_iter()
        .chain(files)
        .chain(more.iter().map(OsStr::new));
    let Command::Sign(sign) = Cli::try_parse_from(arguments).unwrap().command else {
        panic!("another command")
    };
    sign.try_run().map_err(|error| format!("{error:#}"))
}

#[test]
fn headers_are_printed_one_a_line_with_an_id_of_their_own_unless_one_is_given() {
    // The MAC is that of `printf 'e1.1750000000.{}' | openssl dgst -sha256 -hmac secret`.
    let mac = "fffba51d769dcb6554d1ecb99c83bd5e70de40b5cedf11b4b976846463cb83b6";
    let expected = format!("X-Id: e1\nX-Timestamp: 1750000000\nX-Signature: {mac}");
    assert_eq!(printed(&["--id", "e1"]), Ok(expected));
    let (one, two) = (printed(&[]).unwrap(), printed(&[]).unwrap());
    assert!(
        one.starts_with("X-Id: evt_") && one.lines().next() != two.lines().next(),
        "{one}"
    );
    assert!(printed(&["--id", "e.1"]).unwrap_err().contains("divides"));
}

#[test]
fn a_command_goes_to_the_gateway_under_the_routes_host() {
    let command = printed(&["--url", "/hooks/x", "--curl"]).unwrap();
    assert!(
        command.contains(" http://127.0.0.1:8181/hooks/x "),
        "{command}"
    );
    assert!(
        command.contains("-H 'Host: hooks.example.com'"),
        "{command}"
    );
    assert!(printed(&["--url", "/hooks/x", "--id", "a b"]).is_ok());
    let elsewhere = printed(&["--url", "https://a.example/hooks/x", "--curl"]).unwrap();
    assert!(
        elsewhere.contains(" https://a.example/hooks/x ") && !elsewhere.contains("Host:"),
        "{elsewhere}"
    );
    assert!(printed(&["--curl"]).unwrap_err().contains("--url /hooks/x"));
    assert!(!command.contains("c2VjcmV0"), "{command}");
}
