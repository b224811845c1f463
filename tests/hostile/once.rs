//! Every preset as a route of one running gateway: a genuine delivery is accepted once, and refused with one byte of
//! its body, its timestamp or its signature flipped (contract: Proof, Seen again).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use verigate::clock::UnixMillis;
use verigate::config::presets::{self, Preset};
use verigate::notation::timestamp::Unit;
use verigate::scheme::jwt::Payload;
use verigate::scheme::{JwtRule, ProofBy, Scheme};

use crate::captured::Captured;
use crate::making::{Made, made};
use crate::support::answer::Answer;
use crate::support::client::Client;
use crate::support::config::Config;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::{route, unix_now};

/// The clients that share the presets, each with an app of its own, so that what the app got can be counted.
const CLIENTS: usize = 4;

/// Texts of the bodies that are made, in values that nothing else depends on.
const IN_BODIES: [&str; 4] = ["gr\u{fc}n", "hello", "kind.one", "bt_payload="];

/// What becomes of the very same delivery when it comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// It asks for an answer and is forwarded again.
    Forwarded,
    /// 409: an honest retry would have another time.
    Replayed,
    /// 200, or the provider's own words: it may be an honest retry.
    Duplicate,
}

impl Again {
    fn of(scheme: &Scheme) -> Self {
        // The claims that are made have a time, even where a rule asks for none.
        let has_claims = |rule: &JwtRule| rule.payload == Payload::Claims;
        let signs_time = scheme.signs_timestamp() || scheme.token_rule().is_some_and(has_claims);
        if scheme.repeats.is_some() {
            Self::Forwarded
        } else if signs_time && !scheme.may_retry_unchanged() {
            Self::Replayed
        } else {
            Self::Duplicate
        }
    }

    /// The fault of the answer to the second copy.
    fn fault(self, scheme: &Scheme, answer: &Answer, forwarded: usize) -> Option<String> {
        let is_right = match (self, &scheme.ack) {
            (Self::Forwarded, _) => answer.status == 200 && forwarded == 1,
            (Self::Replayed, _) => answer.status == 409 && answer.code() == "replayed_event",
            (Self::Duplicate, Some(ack)) => {
                answer.status == ack.status && answer.body == ack.body.as_bytes()
            }
            (Self::Duplicate, None) => answer.status == 200 && answer.json()["duplicate"] == true,
        };
        let is_right = is_right && (self == Self::Forwarded || forwarded == 0);
        (!is_right).then(|| format!("again: {forwarded} forwarded, not {self:?}: {answer}"))
    }
}

/// The longest run of the letters that signatures are written with.
fn longest_run(value: &str) -> &str {
    let is_none = |letter: char| !letter.is_ascii_alphanumeric() && !"+/_-".contains(letter);
    value.split(is_none).max_by_key(|run| run.len()).unwrap()
}

fn header<'c>(captured: &'c Captured, name: &str) -> &'c str {
    let is_it = |(own, _): &&(String, Vec<u8>)| own.eq_ignore_ascii_case(name);
    let (_, value) = captured.headers.iter().find(is_it).unwrap();
    std::str::from_utf8(value).unwrap()
}

/// The token of a delivery: the value of its header, or the body.
fn token(rule: &JwtRule, captured: &Captured) -> String {
    match rule.header() {
        Some(name) => header(captured, name.as_str()).to_owned(),
        None => String::from_utf8(captured.whole_body()).unwrap(),
    }
}

/// The delivery with another text in the header or the claims of its token.
fn with_other_claim(
    rule: &JwtRule,
    captured: &Captured,
    text: &str,
    other: &str,
) -> Option<Captured> {
    let token = token(rule, captured);
    let bare = token.strip_prefix(rule.prefix()).unwrap();
    bare.split('.').take(2).find_map(|part| {
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
        let changed = URL_SAFE_NO_PAD.encode(plain.replace(text, other));
        (changed != part).then(|| replaced(captured, part, &changed))?
    })
}

/// The signature as it is written.
fn signature(scheme: &Scheme, made: &Made) -> String {
    if let Some(in_body) = &made.in_body {
        return longest_run(in_body).to_owned();
    }
    if let Some(name) = scheme
        .template()
        .and_then(|own| own.signature.query.as_ref())
    {
        let query = std::str::from_utf8(&made.captured.query).unwrap();
        let (_, value) = query.split_once(&format!("{name}=")).unwrap();
        return longest_run(value.split('&').next().unwrap()).to_owned();
    }
    let name = match &scheme.proof {
        ProofBy::Token(own) => {
            let token = token(&own.rule, &made.captured);
            return token.rsplit('.').next().unwrap().to_owned();
        }
        ProofBy::Code(code) => code.headers()[0],
        ProofBy::Template(_) | ProofBy::Credential(_) => scheme.signature_headers()[0].as_str(),
    };
    longest_run(header(&made.captured, name)).to_owned()
}

/// The delivery with another text in the place of a text, wherever that is; `None` where it is nowhere.
fn replaced(captured: &Captured, text: &str, other: &str) -> Option<Captured> {
    let mut changed = captured.clone();
    for (_, value) in &mut changed.headers {
        let own = String::from_utf8_lossy(value);
        if own.contains(text) {
            *value = own.replacen(text, other, 1).into_bytes();
            return Some(changed);
        }
    }
    let query = String::from_utf8(changed.query.clone()).unwrap();
    if query.contains(text) {
        changed.query = query.replacen(text, other, 1).into_bytes();
        return Some(changed);
    }
    let body = String::from_utf8(captured.whole_body()).unwrap();
    changed.body = vec![body.replacen(text, other, 1).into_bytes()];
    body.contains(text).then_some(changed)
}

/// The text with one byte changed so that it keeps its form: a digit becomes another digit, a letter of a signature
/// becomes a digit.
fn flipped(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = match bytes[at] {
        digit @ b'0'..=b'9' => digit ^ 1,
        _ => b'0',
    };
    String::from_utf8(bytes).unwrap()
}

/// The delivery with a flipped byte in the signature. It is in the first quarter: behind it may be the length of the
/// second number of an ECDSA signature, and at the end bits that base64 does not use.
fn with_other_signature(scheme: &Scheme, made: &Made) -> Captured {
    let signature = signature(scheme, made);
    let other = flipped(&signature, signature.len() / 4);
    replaced(&made.captured, &signature, &other).unwrap()
}

/// The delivery with a flipped byte in a value of its body.
fn with_other_body(scheme: &Scheme, captured: &Captured) -> Option<Captured> {
    if let Some(rule) = scheme.token_rule().filter(|rule| rule.is_body()) {
        return with_other_claim(rule, captured, "kind.one", "kind.onf");
    }
    let mut body = captured.whole_body();
    let find = |text: &str| {
        body.windows(text.len())
            .position(|own| own == text.as_bytes())
    };
    let (text, at) = IN_BODIES
        .iter()
        .find_map(|text| Some((*text, find(text)?)))?;
    if text.ends_with('=') {
        // Behind the name of the field is base64.
        let byte = body.get_mut(at + text.len() + 8)?;
        *byte = if *byte == b'0' { b'1' } else { b'0' };
    } else {
        body[at] ^= 1;
    }
    let mut changed = captured.clone();
    changed.body = vec![body];
    Some(changed)
}

/// The delivery with a flipped digit in its timestamp.
fn with_other_time(scheme: &Scheme, captured: &Captured, at: UnixMillis) -> Option<Captured> {
    let other = |text: &str| {
        let digit = text.rfind(|letter: char| letter.is_ascii_digit())?;
        Some(flipped(text, digit))
    };
    if let Some(rule) = scheme.token_rule() {
        let time = Unit::Seconds.write(at)?;
        return with_other_claim(rule, captured, &time, &other(&time)?);
    }
    let units = match scheme.timestamp() {
        Some(place) => vec![place.unit],
        None => Unit::ALL.to_vec(),
    };
    units.iter().find_map(|unit| {
        let time = unit.write(at)?;
        replaced(captured, &time, &other(&time)?)
    })
}

/// The faults of a preset: what the gateway answered or forwarded otherwise than it should.
fn faults(
    preset: &Preset,
    client: &mut Client,
    gateway: &Gateway,
    upstream: &Upstream,
) -> Vec<String> {
    let scheme = &preset.scheme;
    // A moment ago, since some tolerances are a few seconds, and at an odd second: with its last bit flipped it is
    // earlier and not in the future.
    let now = unix_now().0 / 1000;
    let at = UnixMillis::from_secs(now - 1 - now % 2);
    let made = match made(preset, at) {
        Ok(made) => made,
        Err(why) => return vec![why],
    };
    let mut ask = |captured: &Captured| {
        let before = upstream.count();
        let answer = client.ask(captured.bytes());
        if answer.closes() {
            *client = gateway.connect();
        }
        (answer, upstream.count() - before)
    };
    let mut wrong = Vec::new();
    let mut spoilt = vec![("signature", Some(with_other_signature(scheme, &made)))];
    if scheme.covers_body() {
        spoilt.push(("body", with_other_body(scheme, &made.captured)));
    }
    if scheme.has_timestamp() && scheme.signs_timestamp() {
        spoilt.push(("timestamp", with_other_time(scheme, &made.captured, at)));
    }
    for (part, captured) in spoilt {
        let Some(captured) = captured else {
            wrong.push(format!(
                "the {part} is not found in {}",
                show(&made.captured)
            ));
            continue;
        };
        let (answer, forwarded) = ask(&captured);
        if (answer.status, answer.code().as_str(), forwarded) != (401, "bad_signature", 0) {
            wrong.push(format!("another {part}: {forwarded} forwarded, {answer}"));
        }
    }
    let (answer, forwarded) = ask(&made.captured);
    if (answer.status, forwarded) != (200, 1) {
        wrong.push(format!("genuine: {forwarded} forwarded, {answer}"));
        return wrong;
    }
    let got = upstream.last();
    if got.header("X-Verigate-Verdict").as_deref() != Some("valid") {
        wrong.push(format!("the verdict is not `valid`: {got}"));
    }
    let (answer, forwarded) = ask(&made.captured);
    wrong.extend(Again::of(scheme).fault(scheme, &answer, forwarded));
    wrong
}

fn show(captured: &Captured) -> String {
    String::from_utf8_lossy(&captured.bytes()).into_owned()
}

#[test]
fn au_27_a_delivery_of_any_preset_is_accepted_once_and_refused_with_a_byte_flipped() {
    let upstreams: Vec<_> = (0..CLIENTS).map(|_| Upstream::start()).collect();
    let share = |place: usize| presets::all().iter().skip(place).step_by(CLIENTS);
    let mut config = Config::new();
    let mut wrong = Vec::new();
    for (place, upstream) in upstreams.iter().enumerate() {
        for preset in share(place) {
            match made(preset, unix_now()) {
                Ok(Made { secret, .. }) => config = config.route(route(preset, &secret, upstream)),
                Err(why) => wrong.push(why),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A gateway with every preset as a route.
    let gateway = Gateway::start(&config);
    std::thread::scope(|scope| {
        let clients: Vec<_> = upstreams
            .iter()
            .enumerate()
            .map(|(place, upstream)| {
                let gateway = &gateway;
                scope.spawn(move || {
                    let mut client = gateway.connect();
                    let named = |preset: &Preset, faults: Vec<String>| {
                        let name = preset.name.clone();
                        faults
                            .into_iter()
                            .map(move |fault| format!("{name}: {fault}"))
                    };
                    share(place)
                        .flat_map(|preset| {
                            named(preset, faults(preset, &mut client, gateway, upstream))
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        for client in clients {
            wrong.extend(client.join().unwrap());
        }
    });
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
