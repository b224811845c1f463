//! `sign --curl` for every preset: the printed text is run by a shell and by curl against a gateway that has every
//! preset as a route, and the upstream sees the delivery.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use std::process::Command;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::keys;
use crate::stage::Folder;
use crate::support::config::{Config, Route, text};
use crate::support::gateway::Gateway;
use crate::support::now;
use crate::support::upstream::Upstream;

/// RFC 8032 section 7.1, test 1.
const ED25519_SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const ED25519: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

const PUBLIC_URL: &str = "https://hooks.example.com";

/// The presets whose deliveries `sign` does not make: the signature is in a body of the provider's own, or the body is a
/// token.
const NOT_SIGNED: &[&str] = &[
    "adyen",
    "aws-sns",
    "braintree",
    "dropbox-sign",
    "kinde",
    "opennode",
    "wix",
];

/// The public halves of the two private keys that are no Ed25519 keys.
static P256: LazyLock<String> = LazyLock::new(|| keys::public(&keys::P256, "sendgrid"));
static RSA: LazyLock<String> = LazyLock::new(|| keys::public(&keys::RSA, "kick"));

/// A preset, as far as `providers --json` tells of it.
struct Preset {
    name: String,
    toml: String,
    signs_url: bool,
}

impl Preset {
    fn all() -> Vec<Self> {
        let listed = Folder::new().run(["providers", "--json"]);
        let listed: Vec<Value> = serde_json::from_str(&listed.stdout).expect("JSON");
        let supported = listed.iter().filter(|preset| preset["supported"] == true);
        supported
            .map(|preset| Self {
                name: preset["id"].as_str().expect("a name").to_owned(),
                toml: preset["toml"].as_str().expect("TOML").to_owned(),
                signs_url: preset["signs_url"] == true,
            })
            .collect()
    }

    /// The secret that signs, and the one that verifies. No two presets have the same shared secret.
    fn secrets(&self, place: usize) -> (String, String) {
        let has = |words: &str| self.toml.contains(words);
        if has("algorithm = \"ed25519\"") {
            return (ED25519_SEED.to_owned(), ED25519.to_owned());
        }
        if has("algorithm = \"ecdsa-p256-sha256") || has("algorithms = [\"ES256\"") {
            return (keys::P256.clone(), P256.clone());
        }
        if has("algorithm = \"rsa-") || has("algorithms = [\"RS") {
            return (keys::RSA.clone(), RSA.clone());
        }
        let of_its_own = format!("a secret of preset {place:05}");
        let shared = if has("algorithm = \"basic\"") {
            format!("user:{of_its_own}")
        } else if let Some((_, strip)) = self.toml.split_once("encoding = \"base64\", strip = \"") {
            let prefix = strip.split('"').next().unwrap_or_default();
            format!("{prefix}{}", STANDARD.encode(of_its_own))
        } else if has("key = \"hex\"") || has("encoding = \"hex\", strip") {
            hex::encode(of_its_own)
        } else {
            STANDARD.encode(of_its_own)
        };
        (shared.clone(), shared)
    }

    /// Its route, with a secret of the environment, and what else it needs.
    fn route(&self, place: usize, upstream: &Upstream) -> Route {
        let mut route = Route::new(&self.name, &format!("/in/{}", self.name), upstream)
            .set("provider", &text(&self.name))
            .set("secrets", &format!("[\"env:S{place}\"]"))
            .set("public_url", &text(PUBLIC_URL));
        // The delivery of any account is taken where the key is the provider's.
        if self.toml.contains("key_owner = \"provider\"") {
            route = route.set("accounts", "\"any\"");
        }
        if self.signs_param() {
            route = route.set("params", "{ app_key = \"a-key\" }");
        }
        if matches!(self.name.as_str(), "meta" | "lark") {
            route = route.handshake("verify_token", "\"env:VERIFY_TOKEN\"");
        }
        route
    }

    /// Whether a text of the route is signed.
    fn signs_param(&self) -> bool {
        self.toml.contains("{param:app_key}")
    }

    /// A body that has a value at every place that the scheme reads.
    fn body(&self) -> String {
        if self.name == "mandrill" {
            return "mandrill_events=%5B%7B%22event%22%3A%22send%22%7D%5D".to_owned();
        }
        if matches!(self.name.as_str(), "twilio" | "plivo") {
            return "From=%2B15551234&Body=hello+there".to_owned();
        }
        let mut document = Value::from(Map::from_iter([("text".to_owned(), "gr\u{fc}n".into())]));
        let (_, scheme) = self.toml.split_once(".scheme]").expect("a scheme");
        let time = scheme
            .lines()
            .find(|line| line.starts_with("timestamp = {") && line.contains("json ="));
        for place in scheme.split('"').filter(|place| place.starts_with('/')) {
            if scheme.contains(&format!("{place}/")) {
                continue; // the members of this object have places of their own
            }
            let value = match time {
                Some(line) if line.contains(place) && line.contains("\"milliseconds\"") => {
                    json!(now() * 1000)
                }
                Some(line) if line.contains(place) && line.contains("\"seconds\"") => json!(now()),
                Some(line) if line.contains(place) => json!(iso_now()),
                _ => json!(format!("{}-{}", self.name, place.replace('/', "-"))),
            };
            put(&mut document, place, value);
        }
        for place in scheme.split("{json:").skip(1) {
            let place = place.split('}').next().expect("an end");
            if !time.is_some_and(|line| line.contains(place)) {
                put(&mut document, place, json!("abc"));
            }
        }
        document.to_string()
    }
}

/// The time as the system's `date` writes it.
fn iso_now() -> String {
    let date = Command::new("date")
        .args(["-u", "+%Y-%m-%dT%H:%M:%SZ"])
        .output();
    let text = date.expect("the time").stdout;
    String::from_utf8_lossy(&text).trim().to_owned()
}

fn put(document: &mut Value, pointer: &str, value: Value) {
    let mut at = document;
    for name in pointer.split('/').skip(1) {
        if name == "*" {
            if !at.is_array() {
                *at = json!([null]);
            }
            at = &mut at[0];
            continue;
        }
        if !at.is_object() {
            *at = json!({});
        }
        at = at
            .as_object_mut()
            .expect("an object")
            .entry(name)
            .or_insert(Value::Null);
    }
    *at = value;
}

/// The body and, in the last line, the status with which a printed command was answered.
fn answer_to(command: &str, folder: &Folder) -> String {
    let sent = Command::new("sh")
        .arg("-c")
        .arg(format!("{command} -w '\\n%{{http_code}}'"))
        .current_dir(folder.path())
        .output()
        .expect("a shell and curl");
    String::from_utf8_lossy(&sent.stdout).into_owned()
}

#[test]
fn the_printed_command_is_accepted_for_every_preset() {
    let upstream = Upstream::start();
    let presets: Vec<Preset> = Preset::all()
        .into_iter()
        .filter(|preset| !NOT_SIGNED.contains(&preset.name.as_str()))
        .collect();
    assert!(presets.len() > 100);
    let mut config = Config::new();
    for (place, preset) in presets.iter().enumerate() {
        let (_, verifies) = preset.secrets(place);
        let route = preset.route(place, &upstream);
        config = config
            .env("VERIFY_TOKEN", "a-verify-token-of-some-length")
            .env(&format!("S{place}"), &verifies)
            .route(route);
    }
    let gateway = Gateway::start(&config);
    let mut wrong = Vec::new();
    for (place, preset) in presets.iter().enumerate() {
        let (signs, _) = preset.secrets(place);
        let folder = Folder::new().env("S", &signs);
        folder.write("body", preset.body());
        let path = format!("/in/{}?data.id=abc123", preset.name);
        // The URL that is signed is that of the provider; the command then goes to the gateway.
        let url = format!("{PUBLIC_URL}{path}");
        let arguments = [
            "--provider",
            &preset.name,
            "--secret",
            "env:S",
            "--body",
            "body",
            "--url",
            &url,
            "--curl",
        ];
        let param: &[&str] = if preset.signs_param() {
            &["--param", "app_key=a-key"]
        } else {
            &[]
        };
        let arguments = arguments.iter().chain(param).copied();
        let signed = folder.run(std::iter::once("sign").chain(arguments));
        if signed.code != Some(0) {
            wrong.push(format!("{}: {signed}", preset.name));
            continue;
        }
        let command = signed
            .stdout
            .trim_end()
            .replace(PUBLIC_URL, &format!("http://{}", gateway.addr()));
        let before = upstream.count();
        let answer = answer_to(&command, &folder);
        if !answer.ends_with("\n200") || upstream.count() != before + 1 {
            wrong.push(format!("{}: {answer}\n{command}", preset.name));
        }
    }
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
}

/// As printed: the URL that is signed is the provider's, and the request goes to the gateway.
#[test]
fn the_printed_command_of_a_route_is_accepted_wherever_the_url_is_signed_or_the_key_is_public() {
    let upstream = Upstream::start();
    let is_public = |preset: &Preset| {
        let (signs, verifies) = preset.secrets(0);
        signs != verifies
    };
    let presets: Vec<Preset> = Preset::all()
        .into_iter()
        .filter(|preset| !NOT_SIGNED.contains(&preset.name.as_str()))
        .filter(|preset| preset.signs_url || is_public(preset))
        .collect();
    assert!(presets.len() > 30, "{}", presets.len());
    let mut config = Config::new();
    for (place, preset) in presets.iter().enumerate() {
        let (_, verifies) = preset.secrets(place);
        config = config
            .env("VERIFY_TOKEN", "a-verify-token-of-some-length")
            .env(&format!("S{place}"), &verifies)
            .route(preset.route(place, &upstream));
    }
    let gateway = Gateway::start(&config);
    let mut wrong = Vec::new();
    for (place, preset) in presets.iter().enumerate() {
        let (signs, verifies) = preset.secrets(place);
        let folder = Folder::new().env(&format!("S{place}"), &verifies);
        folder.write("body", preset.body());
        folder.write("own.key", &signs);
        let one = Config::new()
            .server(
                "listen",
                &format!("[{}]", text(&gateway.addr().to_string())),
            )
            .route(preset.route(place, &upstream));
        folder.write("verigate.toml", one.toml());
        // With the URL of the provider and without any.
        let url = format!("{PUBLIC_URL}/in/{}?data.id=abc123", preset.name);
        let mut ways = vec![vec!["--url", &*url]];
        if preset.name != "mercadopago" {
            ways.push(Vec::new());
        }
        let start = now();
        for way in ways {
            let arguments = [
                "sign",
                "--config",
                "verigate.toml",
                "--route",
                &*preset.name,
                "--body",
                "body",
                "--curl",
            ];
            let private: &[&str] = if is_public(preset) {
                &["--private-key", "own.key"]
            } else {
                &[]
            };
            let at = (start - u64::from(way.is_empty())).to_string();
            let signed = folder.run(
                arguments
                    .iter()
                    .chain(private)
                    .chain(&way)
                    .chain(&["--at", &*at]),
            );
            if signed.code != Some(0) || signed.stderr.contains("warning: it is signed") {
                wrong.push(format!("{}: {signed}", preset.name));
                continue;
            }
            let command = signed.stdout.trim_end();
            let before = upstream.count();
            let answer = answer_to(command, &folder);
            let is_taken = answer.ends_with("\n200");
            // Another time or URL is no other event where an id is signed.
            let is_new =
                upstream.count() == before + 1 || (way.is_empty() && answer.contains("duplicate"));
            if !is_taken || !is_new {
                wrong.push(format!("{}: {answer}\n{command}", preset.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
}
