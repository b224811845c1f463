//! A captured delivery of every preset, changed in everything that no signature covers: how often it is forwarded, and
//! how many entries it makes (contract: Keys, Beside an entry; RP-50).
//!
//! The deliveries and their changes are generated from the schemes. A preset is named here only where it lets a delivery
//! through more than once, or where its deliveries cannot be made.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::assigning_clones,
    clippy::string_slice,
    reason = "helpers of tests; the lints spare only tests themselves"
)]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use verigate::clock::UnixMillis;
use verigate::config::presets::{self, Preset};
use verigate::key::public::{KeyType, PublicAlgorithm};
use verigate::key::secret::{Secret, SecretText};
use verigate::notation::json::Pointer;
use verigate::scheme::{
    Algorithm, KeyEncoding, Kind, Part, Place, ProviderCode, Scheme, TimestampAt,
};
use verigate::sign::{SignRequest, sign};

use support::config::{Config, Route, text};
use support::delivery::Delivery;
use support::gateway::Gateway;
use support::now;
use support::upstream::Upstream;

const ORIGIN: &str = "https://hooks.example.com";
const TYPE: &str = "kind.one";

/// The presets that let one captured delivery through more than once, and how often in all. Every other preset: once.
const MORE_THAN_ONCE: [(&str, usize); 4] = [
    ("plivo", 21),
    ("shopify", 4),
    ("twilio", 21),
    ("woocommerce", 4),
];

/// The presets whose deliveries cannot be made here. The signature is in the body, or is made with a private key that has
/// no sample: their rules have tests of their own. A credential signs nothing: whoever sees a delivery can make others.
const NOT_MADE: [&str; 15] = [
    "adyen",
    "aws-sns",
    "braintree",
    "chargebee",
    "deepgram",
    "dropbox-sign",
    "gitlab",
    "kick",
    "lago",
    "mailgun",
    "microsoft-graph",
    "okta",
    "plaid",
    "sendgrid",
    "supabase-db",
];

/// RFC 8032 section 7.1, test 1: the private and the public half.
const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const ED25519: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

/// The secrets that sign and verify; `None` where a private key would be needed that has no sample.
fn secrets(scheme: &Scheme) -> Option<(&'static str, &'static str)> {
    if let Some(code) = scheme.code() {
        return (code.algorithm().kind() != Kind::Public(PublicAlgorithm::RsaPkcs1Sha256))
            .then_some(("c2VjcmV0c2VjcmV0", "c2VjcmV0c2VjcmV0"));
    }
    let kind = match scheme.token_rule() {
        Some(rule) => rule.algorithms.first().map(|algorithm| algorithm.kind()),
        None => Some(scheme.algorithm().kind()),
    };
    let shared = match kind {
        Some(Kind::Public(algorithm)) => {
            return (algorithm.key_type() == KeyType::Ed25519).then_some((SEED, ED25519));
        }
        _ if scheme.algorithm() == Algorithm::Basic => "user:password-of-sixteen",
        _ => match scheme.proof.key_forms().first() {
            Some(form) if form.encoding == KeyEncoding::Hex => {
                "5f6e7d8c5f6e7d8c5f6e7d8c5f6e7d8c5f6e"
            }
            Some(form) if form.strip.as_deref() == Some("whsec_") => {
                "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"
            }
            _ => "c2VjcmV0c2VjcmV0c2VjcmV0",
        },
    };
    Some((shared, shared))
}

fn put(body: &mut Value, pointer: &Pointer, value: Value) {
    let mut at = body;
    for token in &pointer.tokens {
        if !at.is_object() {
            *at = Value::from(Map::new());
        }
        at = at
            .as_object_mut()
            .unwrap()
            .entry(token)
            .or_insert(Value::Null);
    }
    *at = value;
}

/// A request in parts, so that each can be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Captured {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Captured {
    fn delivery(&self) -> Delivery {
        let delivery = Delivery::unsigned(&self.target, self.body.clone()).method(&self.method);
        self.headers
            .iter()
            .fold(delivery, |delivery, (name, value)| {
                delivery.with(name, value)
            })
    }
}

/// A good delivery for the route of a preset; `None` where it cannot be made.
fn made(preset: &Preset) -> Option<(Captured, &'static str)> {
    let scheme = &preset.scheme;
    if scheme.is_credential() {
        return None;
    }
    let (signs, verifies) = secrets(scheme)?;
    let at = UnixMillis::from_secs(i64::try_from(now()).unwrap());
    let mut body = Value::from(Map::from_iter([("text".to_owned(), "gr\u{fc}n".into())]));
    let mut headers = Vec::new();
    for (place, value) in [
        (&scheme.event_type, TYPE),
        (&scheme.account, "acct-1"),
        (&scheme.event_id, "evt_1"),
    ] {
        match place {
            Some(Place::Json(pointers)) => {
                for pointer in pointers {
                    put(&mut body, pointer, value.into());
                }
            }
            Some(Place::Header(name)) if value != "evt_1" => {
                headers.push((name.as_str().to_owned(), value.to_owned()));
            }
            _ => {}
        }
    }
    for part in scheme.parts() {
        match part {
            Part::Header(name) => headers.push((name.as_str().to_owned(), "a-nonce".to_owned())),
            Part::Json(pointer) => put(&mut body, pointer, "abc".into()),
            _ => {}
        }
    }
    if let Some(place) = scheme.timestamp()
        && let TimestampAt::Json(pointer) = &place.at
    {
        let text = place.unit.write(at).unwrap();
        let number = text.parse::<i64>().ok().filter(|_| place.unit.is_number());
        put(
            &mut body,
            pointer,
            number.map_or_else(|| text.clone().into(), Value::from),
        );
    }
    let is_form = scheme.code().is_some_and(ProviderCode::signs_url);
    let body = if is_form {
        headers.push((
            "Content-Type".into(),
            "application/x-www-form-urlencoded".into(),
        ));
        b"From=%2B15551234&Body=hello+there".to_vec()
    } else {
        body.to_string().into_bytes()
    };
    let target = format!("/{}/a?data.id=abc123", preset.name);
    let given: Vec<_> = headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let secret = Secret {
        name: "s".into(),
        text: SecretText::new(signs.into()),
        not_before: None,
        not_after: None,
    };
    let request = SignRequest {
        method: "POST",
        target: &target,
        body: &body,
        id: Some("evt_1"),
        at,
        public_url: Some(ORIGIN),
        headers: &given,
    };
    let signed = sign(scheme, &secret, &request).ok()?;
    let captured = Captured {
        method: "POST".to_owned(),
        target: target.clone(),
        headers: [headers.clone(), signed].concat(),
        body,
    };
    Some((captured, verifies))
}

/// Every change of a single thing.
fn changes(scheme: &Scheme, good: &Captured) -> Vec<Captured> {
    let mut all = Vec::new();
    let mut change = |change: &dyn Fn(&mut Captured)| {
        let mut changed = good.clone();
        change(&mut changed);
        all.push(changed);
    };
    for at in 0..good.headers.len() {
        change(&|c| c.headers[at].1.push('0'));
        change(&|c| c.headers[at].1 = "other".to_owned());
        change(&|c| drop(c.headers.remove(at)));
        change(&|c| c.headers.push(c.headers[at].clone()));
        change(&|c| c.headers[at].0 = c.headers[at].0.to_uppercase());
        change(&|c| c.headers[at].0 = c.headers[at].0.replace('-', "_"));
    }
    if let Some(Place::Header(name)) = &scheme.event_type {
        for number in 0..6 {
            change(&|c| {
                c.headers
                    .retain(|(own, _)| !own.eq_ignore_ascii_case(name.as_str()));
                c.headers
                    .push((name.as_str().to_owned(), format!("made.up.{number}")));
            });
        }
    }
    for (name, value) in [
        ("X-Forwarded-For", "192.0.2.9"),
        ("Content-Type", "text/plain"),
        ("X-Verigate-Event-Id", "x"),
    ] {
        change(&|c| c.headers.push((name.to_owned(), value.to_owned())));
    }
    for rest in [
        "a",
        "a?",
        "a?data.id=abc123&x=1",
        "b?data.id=abc123",
        "A?data.id=abc123",
        "%21?data.id=abc123",
        "a?data%2Eid=abc123",
    ] {
        let start = good.target.rfind('/').unwrap() + 1;
        change(&|c| c.target = format!("{}{rest}", &good.target[..start]));
    }
    for method in ["PUT", "GET"] {
        change(&|c| c.method = method.to_owned());
    }
    for spelled in [b" ".as_slice(), b"\n", b"&", b"\0"] {
        change(&|c| c.body.extend_from_slice(spelled));
        change(&|c| c.body = [spelled, &c.body].concat());
    }
    change(&|c| {
        let text = String::from_utf8_lossy(&c.body).replace("evt_1", "evt_2");
        c.body = text.into_bytes();
    });
    change(&|c| {
        let text = String::from_utf8_lossy(&c.body).replace(TYPE, "kind.two");
        c.body = text.into_bytes();
    });
    // Bytes that move over the border between the body and each header, in either direction.
    for at in 0..good.headers.len() {
        for bytes in 1..=3 {
            let value = good.headers[at].1.clone();
            let body = String::from_utf8_lossy(&good.body).into_owned();
            if value.len() <= bytes || body.len() <= bytes || !value.is_ascii() {
                continue;
            }
            let (kept, moved) = value.split_at(value.len() - bytes);
            change(&|c| {
                c.headers[at].1 = kept.to_owned();
                c.body = [moved.as_bytes(), &c.body].concat();
            });
            let (moved, kept) = value.split_at(bytes);
            change(&|c| {
                c.headers[at].1 = kept.to_owned();
                c.body.extend_from_slice(moved.as_bytes());
            });
            if let (Some(first), Some(rest)) = (body.get(..bytes), body.get(bytes..)) {
                change(&|c| {
                    c.headers[at].1.push_str(first);
                    c.body = rest.as_bytes().to_vec();
                });
            }
            for other in 0..good.headers.len() {
                if other != at {
                    change(&|c| {
                        c.headers[at].1 = kept.to_owned();
                        c.headers[other].1.push_str(moved);
                    });
                    change(&|c| {
                        c.headers[at].1 = value[..value.len() - bytes].to_owned();
                        let tail = &value[value.len() - bytes..];
                        c.headers[other].1 = format!("{tail}{}", c.headers[other].1);
                    });
                }
            }
        }
    }
    all.dedup();
    all
}

/// Both changes at one time, for each two that concern different parts.
fn pairs(good: &Captured, singles: &[Captured]) -> Vec<Captured> {
    let differs = |one: &Captured| {
        [
            one.method != good.method,
            one.target != good.target,
            one.headers != good.headers,
            one.body != good.body,
        ]
    };
    let mut all = Vec::new();
    for (place, one) in singles.iter().enumerate() {
        for other in singles.iter().skip(place + 1) {
            let (a, b) = (differs(one), differs(other));
            if a.iter().zip(b).any(|(a, b)| *a && b) {
                continue;
            }
            all.push(Captured {
                method: if a[0] { &one.method } else { &other.method }.clone(),
                target: if a[1] { &one.target } else { &other.target }.clone(),
                headers: if a[2] { &one.headers } else { &other.headers }.clone(),
                body: if a[3] { &one.body } else { &other.body }.clone(),
            });
        }
    }
    all
}

#[test]
fn rp_50_a_captured_delivery_of_any_preset_is_one_event_whatever_is_changed_in_it() {
    let upstream = Upstream::start();
    let mut made_of = BTreeMap::new();
    let mut not_made = Vec::new();
    let mut config = Config::new().server("threads", "1");
    for preset in presets::all() {
        let Some((_, verifies)) = made(preset) else {
            not_made.push(preset.name.as_str());
            continue;
        };
        let mut route = Route::new(&preset.name, &format!("/{}/*", preset.name), &upstream)
            .set("provider", &text(&preset.name))
            .set(
                "secrets",
                &format!("[{}]", text(&format!("plain:{verifies}"))),
            )
            .set("methods", "[\"POST\", \"PUT\", \"GET\"]")
            .set("replay", "{}");
        if preset.scheme.signs_url() {
            route = route.set("public_url", &text(ORIGIN));
        }
        if preset.scheme.handshake.is_some() {
            route = route.handshake("mode", "\"off\"");
        }
        config = config.route(route);
        made_of.insert(preset.name.as_str(), preset);
    }
    not_made.sort_unstable();
    let page = include_str!("../docs/attacks.md");
    for (name, times) in MORE_THAN_ONCE {
        let is_row = |line: &&str| {
            line.contains(&format!("`{name}`")) && line.contains(&format!("| {times} |"))
        };
        assert!(
            page.lines().any(|line| is_row(&line)),
            "{name} in docs/attacks.md"
        );
    }
    assert_eq!(not_made, NOT_MADE);
    let gateway = Gateway::start(&config);
    let mut client = gateway.connect();
    let mut ask = |captured: &Captured| {
        let answer = client.ask(captured.delivery().bytes());
        if answer.closes() {
            client = gateway.connect();
        }
        answer
    };
    let mut wrong = Vec::new();
    for (name, preset) in made_of {
        // It is made at the moment at which it is sent: some tolerances are a few seconds.
        let Some((good, _)) = made(preset) else {
            continue;
        };
        let before = upstream.count();
        let entries = gateway.metrics().value("verigate_replay_entries", &[]);
        let answer = ask(&good);
        if answer.status != 200 || upstream.count() != before + 1 {
            wrong.push(format!("{name}: the good delivery got {answer}"));
            continue;
        }
        // A change that the proof refuses is refused beside any other as well.
        let mut singles = changes(&preset.scheme, &good);
        singles.retain(|changed| !matches!(ask(changed).status, 400..=408));
        for changed in &pairs(&good, &singles) {
            ask(changed);
        }
        // Some presets forward the very same request again, but not without end.
        for _ in 0..25 {
            ask(&good);
        }
        let times = upstream.count() - before;
        let most = MORE_THAN_ONCE
            .iter()
            .find(|(own, _)| *own == name)
            .map_or(1, |(_, most)| *most);
        if times != most {
            wrong.push(format!(
                "{name}: forwarded {times} times, allowed are {most}"
            ));
        }
        let made = gateway.metrics().value("verigate_replay_entries", &[]) - entries;
        if (made - 1.0).abs() > 0.5 {
            wrong.push(format!("{name}: {made} entries"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
