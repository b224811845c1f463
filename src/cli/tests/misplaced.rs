//! A secret pasted anywhere into a configuration is in nothing that `check` shows (contract:
//! Secrets; CF-12). The cases are generated: each secret at each place of a file with every key.

use std::ffi::OsString;
use std::path::Path;

use crate::cli::check::{Found, json, report};
use crate::clock::UnixMillis;

use crate::config::{Files, Sources, parse};
use crate::key::shape::{Suspicion, concealed};

/// Texts that are secrets by their look.
const SECRETS: &[&str] = &[
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_leakedleaked",
    "sk_live_51HxKq2eZvKYlo2C",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "xoxb-2345678901-abcdefGHIJKL",
    "pdl_ntfset_01gkpjp8bkm3tm53kdgkx6sms7_6h3qd3uFSi9YCD3OLYAShQI90XTI5vEI",
    "8f742231b10e8888abcd99aabbcc85a5",
    "x7Kq2eZvKYlo2C51HxKq2eZvKYlo2C==",
    "3f2c9a5e-7d0a-4b53-9a55-0d1f3b7a2c11",
];

/// Every key of the file, and those of `[route.scheme]`.
const SCHEME: &str = r#"
[route.scheme]
algorithm = "hmac-sha256"
signed = "{timestamp}.{body}"
signature = { header = "X-Signature", encoding = "hex", prefix = "sha256=" }
timestamp = { header = "X-Timestamp", unit = "seconds" }
key = { encoding = "base64", strip = "whsec_" }
body = ["raw"]
covers_body = true
require = { "X-Version" = "1" }
tolerance = "5m"
future_tolerance = "1m"
event_id = { json = "/id" }
event_type = { header = "X-Type" }
account = { json = "/account" }
events_repeat = false
ack = { body = "ok" }
handshake = "slack"
code = "twilio"
jwt = { header = "X-Token", algorithms = ["HS256"] }
secret_begins = ["own_"]
"#;

/// The shipped file with every option switched on, and the same with a scheme spelled out.
fn templates() -> [String; 2] {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/verigate.toml");
    let shipped = std::fs::read_to_string(path).unwrap();
    let switched_on = |line: &str| {
        let option = line.strip_prefix("# ").unwrap_or(line);
        let is_option = option.split(" = ").next().is_some_and(|key| {
            !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        });
        if is_option { option } else { line }.to_owned()
    };
    let all: Vec<_> = shipped.lines().map(switched_on).collect();
    let all = all.join("\n");
    let scheme = all.replace("provider = \"itellico\"", "") + SCHEME;
    [all, scheme]
}

/// Everything that `check` writes about a text.
fn shown(text: &str) -> String {
    let env = |name: &str| {
        (name != "UNSET" && !name.contains('-')).then(|| OsString::from("a-good-secret-0123456789"))
    };
    let sources = Sources {
        base_dir: Path::new("/nowhere"),
        env: &env,
        files: &Files::default(),
        now: UnixMillis::from_secs(1_795_392_000),
    };
    // As `note` shows it.
    let noted = |line: &str| concealed(line, Suspicion::Plain).into_owned();
    match parse("a.toml", text, &sources) {
        Ok(config) => {
            let lines = config.warnings.iter().map(ToString::to_string);
            let warnings: Vec<_> = lines.map(|line| noted(&line)).collect();
            let found = Found::of(&config);
            warnings.join("\n")
                + &report(&config, &found, sources.now)
                + &json::good(&config, &found, sources.now)
        }
        // Not as `note` shows it: a running gateway logs the problems as they are.
        Err(problems) => problems.to_string() + &json::bad(&problems),
    }
}

/// The line with the secret at each place of it.
fn spoiled(line: &str, secret: &str) -> Vec<String> {
    let mut lines = vec![
        format!("{line} # {secret}"),
        format!("{line} {secret}"),
        format!("# {secret}\n{line} x"),
    ];
    if let Some(header) = line.strip_prefix('[') {
        lines.extend([
            format!("[{secret}]\n{line}"),
            format!("[{secret}.{header}"),
            format!("[[{secret}]]\n{line}"),
        ]);
        return lines;
    }
    let Some((key, value)) = line.split_once(" = ") else {
        return lines;
    };
    let value = value.split(" #").next().unwrap_or(value).trim();
    let values = [
        format!("\"{secret}\""),
        format!("'{secret}'"),
        format!("[\"{secret}\"]"),
        format!("[{value}, \"{secret}\"]"),
        format!("{{ x = \"{secret}\" }}"),
        format!("{{ \"{secret}\" = 1 }}"),
        format!("{{ header = \"{secret}\" }}"),
        format!("{{ json = \"/{secret}\" }}"),
        format!("\"/hooks/{secret}\""),
        format!("\"/hooks/{secret}/*\""),
        format!("\"{secret}.example.com\""),
        format!("\"http://user:{secret}@127.0.0.1:3000\""),
        format!("\"http://127.0.0.1:3000/{secret}\""),
        format!("\"https://a.example/?token={secret}\""),
        format!("\"http://{secret}:3000\""),
        format!("\"env:{secret}\""),
        format!("\"file:/run/{secret}\""),
        format!("\"cred:{secret}\""),
        format!("\"learn:{secret}\""),
        format!("[\"env:{secret}\", \"file:{secret}\"]"),
        format!("[\"plain:{secret}\"]"),
        format!("[{{ name = \"{secret}\", value = \"env:S\" }}]"),
        format!("[{{ value = \"{secret}\", not_after = \"{secret}\" }}]"),
        format!("\"{secret}"),
        format!("[\"{secret}\""),
        secret.to_owned(),
        format!("{value} \"{secret}\""),
    ];
    lines.extend(values.iter().map(|value| format!("{key} = {value}")));
    lines.extend([
        format!("{secret} = {value}"),
        format!("\"{secret}\" = {value}"),
        format!("{key}.{secret} = {value}"),
        format!("{key} = {value}\n{secret} = 1"),
        format!("{secret}\n{line}"),
        format!("{key} {secret}"),
    ]);
    lines
}

#[test]
fn cf_12_a_misplaced_secret_is_in_nothing_that_check_shows() {
    let templates = templates();
    let first = |at: usize| {
        let [_, scheme] = &templates;
        at * (scheme.lines().count() - SCHEME.lines().count())
    };
    let mut cases = Vec::new();
    for (nth, template) in templates.iter().enumerate() {
        for (at, line) in template.lines().enumerate().skip(first(nth)) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            for (nth, secret) in SECRETS.iter().enumerate() {
                let all = spoiled(line, secret).into_iter().enumerate();
                // Every way with the first secrets, and each secret in some way at each place.
                let some = all.filter(|(way, _)| nth == 0 || way % SECRETS.len() == nth);
                cases.extend(some.map(|(_, spoiled)| (template, at, *secret, spoiled)));
            }
        }
    }
    let leak = |(template, at, secret, spoiled): &(&String, usize, &str, String)| {
        let mut text: Vec<&str> = template.lines().collect();
        if let Some(place) = text.get_mut(*at) {
            *place = spoiled;
        }
        let said = shown(&text.join("\n"));
        let leak = said.lines().find(|line| line.contains(secret));
        leak.map(|leak| format!("{spoiled}\n    shows {leak}"))
    };
    let count = cases.len();
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let mut wrong: Vec<String> = std::thread::scope(|scope| {
        let judge =
            |part| scope.spawn(move || Iterator::filter_map(part, leak).collect::<Vec<_>>());
        let parts = cases.chunks(count.div_ceil(cores)).map(<[_]>::iter);
        let judged: Vec<_> = parts.map(judge).collect();
        let judged = judged.into_iter();
        judged.flat_map(|part| part.join().unwrap()).collect()
    });
    assert!(count > 3_000, "{count} cases");
    let all = wrong.len();
    wrong.truncate(40);
    assert!(wrong.is_empty(), "{all} of {count}:\n{}", wrong.join("\n"));
}
