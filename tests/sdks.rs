//! Providers' own SDKs sign, the running gateway accepts once, and refuses after one flipped byte (`sdks/`).
//!
//! Each SDK gives deliveries for the preset of its provider; one gateway has a route for each. What is wrong with a
//! preset (a place, an encoding, a separator) shows here, because no code of this project signs. An SDK that only
//! verifies confirms what its provider's rule or `verigate sign` made, before the gateway sees it.
//!
//! Each route also signs anew, with a secret of its own, and the libraries of Standard Webhooks verify what arrives: one
//! library for every provider.
//!
//! A runtime or package that is not installed is named on standard error and counts as passed, unless
//! `VERIGATE_REQUIRE_SDKS=1` is set. A provider that the gateway does not know fails the test in any case.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code: a panic is how a test fails, and its output is for the one who reads the failure"
)]

#[path = "support/mod.rs"]
mod support;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use verigate::config::presets;
use verigate::scheme::Scheme;

use crate::support::answer::Answer;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Recorded, Upstream};

/// Where the signers say that the deliveries go.
const ORIGIN: &str = "https://hooks.example.com";

/// Providers whose own tolerance is shorter than a loaded machine may need from signing to sending.
const SHORT_TOLERANCES: &[&str] = &["contentful", "paddle"];

#[test]
fn what_python_sdks_sign_is_accepted_until_a_byte_is_flipped() {
    let own = folder(".venv/bin/python");
    let python = if own.exists() {
        own
    } else {
        PathBuf::from("python3")
    };
    let verifier = Command::new(&python);
    agree(
        "python",
        Command::new(python).arg(folder("python/sign.py")),
        48,
        (verifier, "python/resigned.py"),
    );
}

#[test]
fn what_node_sdks_sign_is_accepted_until_a_byte_is_flipped() {
    agree(
        "node",
        Command::new("node").arg(folder("node/sign.js")),
        34,
        (Command::new("node"), "node/resigned.js"),
    );
}

/// Runs the signer, which asks this many SDKs, and sends each of its deliveries changed and as it is. The verifier then
/// judges what arrived.
fn agree(runtime: &str, signer: &mut Command, sdks: usize, verifier: (Command, &str)) {
    let signer = signer.env("VERIGATE", env!("CARGO_BIN_EXE_verigate"));
    let output = match signer.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(why) => return skipped(runtime, &why.to_string()),
    };
    assert!(
        output.status.success(),
        "the {runtime} signer fails:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).expect("lines of UTF-8");
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect();
    let (missing, lines): (Vec<Value>, Vec<Value>) = lines
        .into_iter()
        .partition(|line| line["missing"].is_string());
    for line in &missing {
        skipped(text_of(line, "missing"), text_of(line, "why"));
    }
    let signed: Vec<Signed> = lines.iter().map(Signed::read).collect();
    let asked: BTreeSet<&str> = signed.iter().map(|signed| signed.sdk.as_str()).collect();
    assert_eq!(
        asked.len() + missing.len(),
        sdks,
        "the {runtime} signer lost an SDK: {asked:?}"
    );
    if signed.is_empty() {
        return;
    }

    let upstream = Upstream::start();
    let mut config = Config::new().server("public_url", &text(ORIGIN));
    for (number, signed) in signed.iter().enumerate() {
        let variable = format!("SDK_SECRET_{number}");
        config = config
            .env(&variable, &signed.secret)
            .env(&format!("RE{variable}"), &signing_secret(number))
            .route(signed.route(&variable, &upstream));
    }
    let gateway = Gateway::start(&config);
    let mut cases = Cases::new();
    let arrived = RefCell::new(Vec::new());
    for (number, signed) in signed.iter().enumerate() {
        let name = format!(
            "{} for {}, {} {}",
            signed.sdk, signed.provider, signed.method, signed.target
        );
        cases.case(&name, || {
            signed.check(&gateway, &upstream);
            let secret = signing_secret(number);
            let one = signed.signed_anew(&name, &secret, &upstream.last());
            arrived.borrow_mut().extend(one);
        });
    }
    cases.finish();
    let (mut verifier, program) = verifier;
    verify(verifier.arg(folder(program)), &arrived.into_inner());
}

/// The secret with which a route signs anew, another for each.
fn signing_secret(number: usize) -> String {
    let digest: [u8; 32] = Sha256::digest(number.to_string()).into();
    format!("whsec_{}", STANDARD.encode(digest))
}

/// Panics unless each library accepts what arrived, as it is and in no other form.
fn verify(verifier: &mut Command, arrived: &[Value]) {
    assert!(!arrived.is_empty(), "nothing was signed anew");
    let mut child = verifier
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the runtime that signed runs");
    let lines: Vec<String> = arrived.iter().map(Value::to_string).collect();
    let mut input = child.stdin.take().expect("a pipe");
    input
        .write_all(lines.join("\n").as_bytes())
        .expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the verifier fails");
    let text = String::from_utf8(output.stdout).expect("lines of UTF-8");
    assert_eq!(text.lines().count(), 2, "two libraries are asked: {text}");
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        if line["missing"].is_string() {
            skipped(text_of(&line, "missing"), text_of(&line, "why"));
            continue;
        }
        assert_eq!(line["asked"], arrived.len(), "{line}");
        assert_eq!(line["wrong"], json!([]), "{line:#}");
    }
}

/// One delivery as an SDK signed it, or accepted it.
struct Signed {
    provider: String,
    sdk: String,
    secret: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Where in the body a change must be seen; everywhere if `None`.
    flip: Option<usize>,
}

impl Signed {
    fn read(line: &Value) -> Self {
        let own = |key: &str| text_of(line, key).to_owned();
        let url = own("url");
        let target = url
            .strip_prefix(ORIGIN)
            .unwrap_or_else(|| panic!("{url} is elsewhere than at {ORIGIN}"));
        let headers = line["headers"].as_object().expect("headers");
        let header = |(name, value): (&String, &Value)| {
            (name.clone(), value.as_str().expect("a text").to_owned())
        };
        let body = STANDARD
            .decode(own("body_b64"))
            .expect("the body is base64");
        let flip = line["flip"].as_str().map(|part| {
            let at = body
                .windows(part.len())
                .position(|window| window == part.as_bytes());
            at.unwrap_or_else(|| panic!("{part} is not in the body"))
        });
        Self {
            provider: own("provider"),
            sdk: own("sdk"),
            secret: own("secret"),
            method: own("method"),
            target: target.to_owned(),
            headers: headers.iter().map(header).collect(),
            body,
            flip,
        }
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    fn route(&self, variable: &str, upstream: &Upstream) -> Route {
        let route = Route::new(self.path(), self.path(), upstream)
            .set("provider", &text(&self.provider))
            .set("secrets", &format!("[\"env:{variable}\"]"))
            .set("methods", &format!("[{}]", text(&self.method)));
        let route = if self.scheme().events_repeat {
            route
        } else {
            let keys = format!("{{ secret = \"env:RE{variable}\", drop = true }}");
            route.set("resign", &keys)
        };
        if SHORT_TOLERANCES.contains(&self.provider.as_str()) {
            return route.set("tolerance", &text("5m"));
        }
        route
    }

    fn scheme(&self) -> &'static Scheme {
        let preset = presets::find(&self.provider);
        &preset
            .unwrap_or_else(|| panic!("no preset {}", self.provider))
            .scheme
    }

    /// The request with this target and body; everything else as it was signed.
    fn request(&self, target: &str, body: &[u8]) -> Delivery {
        let host = ORIGIN.trim_start_matches("https://");
        let mut request = Delivery::unsigned(target, body)
            .method(&self.method)
            .set("Host", host);
        if self.body.is_empty() {
            request = request.without("Content-Length");
        }
        for (name, value) in &self.headers {
            request = request.with(name, value);
        }
        request
    }

    /// The request with one bit of one byte of what was signed changed, at each of a few places, and where.
    fn flipped(&self) -> Vec<(String, Delivery)> {
        if self.body.is_empty() {
            let last = self.target.len() - 1;
            let target =
                String::from_utf8(flip(self.target.as_bytes(), last)).expect("a target of ASCII");
            return vec![("the target".to_owned(), self.request(&target, &[]))];
        }
        let everywhere = BTreeSet::from([0, self.body.len() / 2, self.body.len() - 1]);
        let places = match self.flip {
            Some(at) => BTreeSet::from([at]),
            None if !self.scheme().covers_body() => BTreeSet::new(),
            None => everywhere,
        };
        places
            .into_iter()
            .map(|at| {
                let request = self.request(&self.target, &flip(&self.body, at));
                (format!("byte {at} of the body"), request)
            })
            .collect()
    }

    /// The request with one bit of each header changed that holds a signature; nothing if the signature is elsewhere.
    fn resigned(&self) -> Option<(String, Delivery)> {
        let mut request = self.request(&self.target, &self.body);
        let mut changed = Vec::new();
        for name in self.scheme().signature_headers() {
            let own = |(given, _): &&(String, String)| given.eq_ignore_ascii_case(name.as_str());
            if let Some((given, value)) = self.headers.iter().find(own) {
                // Not one of the last characters, which may be padding, or an empty item of a list.
                let at = value.len() - 5;
                request = request.set(given, flip(value.as_bytes(), at));
                changed.push(given.as_str());
            }
        }
        (!changed.is_empty()).then(|| (changed.join(" and "), request))
    }

    /// What the verifier is to judge of the request that arrived. It was signed anew unless replay protection is off or
    /// its content is in the URL.
    fn signed_anew(&self, name: &str, secret: &str, arrived: &Recorded) -> Option<Value> {
        let is_signed =
            !self.scheme().events_repeat && self.method != "GET" && !self.body.is_empty();
        assert_eq!(arrived.has("webhook-signature"), is_signed, "{arrived}");
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers: Value = arrived
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(text(value))))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let body = STANDARD.encode(&arrived.body);
        is_signed.then(
            || json!({ "name": name, "secret": secret, "headers": headers, "body_b64": body }),
        )
    }

    /// The changed ones are refused for their signature and go nowhere; the true one arrives as it was signed, once.
    fn check(&self, gateway: &Gateway, upstream: &Upstream) {
        let before = upstream.count();
        for (place, request) in self.flipped().into_iter().chain(self.resigned()) {
            let answer = gateway.ask(request);
            let refused = answer.status == 401 && is_about_the_signature(&answer);
            assert!(refused, "with a bit of {place} flipped: {answer}");
        }
        assert_eq!(upstream.count(), before, "a changed delivery was forwarded");
        gateway
            .ask(self.request(&self.target, &self.body))
            .expect_status(200);
        assert_eq!(upstream.count(), before + 1, "it was forwarded once");
        let forwarded = upstream.last();
        assert_eq!(forwarded.target, self.target.as_bytes(), "{forwarded}");
        assert_eq!(forwarded.method, self.method, "{forwarded}");
        assert_eq!(
            forwarded.header("X-Verigate-Verdict").as_deref(),
            Some("valid"),
            "{forwarded}"
        );
        if self.body.is_empty() {
            assert_eq!(forwarded.body, b"", "{forwarded}");
        } else {
            forwarded.expect_body(&self.body);
        }
        let repeats = self.scheme().events_repeat || self.scheme().repeats.is_some();
        let again = gateway.ask(self.request(&self.target, &self.body));
        assert!(
            repeats || upstream.count() == before + 1,
            "it was forwarded a second time: {again}"
        );
    }
}

/// Not about its age, which would hide that nothing looked at the changed byte.
fn is_about_the_signature(answer: &Answer) -> bool {
    matches!(
        answer.code().as_str(),
        "bad_signature" | "malformed_signature" | "missing_signature"
    )
}

fn flip(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

fn text_of<'v>(line: &'v Value, key: &str) -> &'v str {
    line[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {line}"))
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sdks")
        .join(name)
}

/// Says visibly that an SDK was not asked; fails where every one is required.
fn skipped(name: &str, why: &str) {
    // Straight to the handle, which the test harness does not capture as it does the print macros.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {name}: {why}");
    #[expect(
        clippy::disallowed_methods,
        reason = "the tests' own switch, none of the product's"
    )]
    let required = std::env::var("VERIGATE_REQUIRE_SDKS").is_ok_and(|value| value == "1");
    assert!(!required, "VERIGATE_REQUIRE_SDKS=1, but {name}: {why}");
}
