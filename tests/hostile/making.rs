//! A genuine delivery for the route of every preset. It is generated from the scheme; only a scheme with code whose
//! signature is in the body has a maker here, in [`IN_BODY`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};
use sha2::{Sha256, Sha512};
use verigate::clock::UnixMillis;
use verigate::config::presets::{KeyOwner, Preset};
use verigate::key::digest::DigestAlgorithm;
use verigate::key::public::PublicAlgorithm;
use verigate::key::secret::{Secret, SecretText};
use verigate::notation::encoding::Encoding;
use verigate::notation::json::Pointer;
use verigate::notation::timestamp::Unit;
use verigate::scheme::jwt::{JwtAlgorithm, Payload, TokenPlace};
use verigate::scheme::{
    Algorithm, IdForm, JwtRule, KeyEncoding, KeyForm, Kind, Part, Place, ProofBy, ProviderCode,
    Scheme, TemplateScheme, TimestampAt, TimestampPlace,
};
use verigate::sign::{SignRequest, signed_request};
use verigate::wire::head::FieldName;

use crate::captured::Captured;
use crate::keys;

pub(crate) const ORIGIN: &str = "https://hooks.example.com";
/// The text of each `{param:…}` of a route.
pub(crate) const PARAM: &str = "a-text";
const TYPE: &str = "kind.one";
const ID: &str = "evt_1";
const SHARED: &str = "c2VjcmV0c2VjcmV0c2VjcmV0";
/// The header that carries a signature until it is put into the body.
const STAND_IN: &str = "x-stand-in";

/// A genuine delivery, and the secret of the route that takes it.
pub(crate) struct Made {
    pub(crate) captured: Captured,
    pub(crate) secret: String,
    /// The signature, where it is in the body.
    pub(crate) in_body: Option<String>,
}

/// The account that a delivery of the preset names.
pub(crate) fn account(preset: &Preset) -> &str {
    preset.account_example.as_deref().unwrap_or("acct-1")
}

/// An id of the form that the scheme gives its ids.
fn id_of(scheme: &Scheme) -> &'static str {
    match scheme.template().and_then(|own| own.signed.id_form()) {
        Some(IdForm::Uuid) => "6f1f6a0e-5b8e-4f0c-9d0a-0e7c1d2b3a4f",
        None => ID,
    }
}

/// Where the account stands, of a preset that does not know it: the route says it.
pub(crate) fn unknown_account(preset: &Preset) -> Option<Pointer> {
    let is_unknown = preset.key_owner == KeyOwner::Provider && preset.scheme.account.is_none();
    is_unknown.then(|| Pointer::parse("/account").unwrap())
}

/// All of a delivery that the scheme does not compute.
struct Unsigned<'p> {
    preset: &'p Preset,
    at: UnixMillis,
    headers: Vec<(String, String)>,
    body: Value,
}

/// The body of a delivery whose signature is in it.
struct InBody {
    media_type: &'static str,
    body: String,
    secret: String,
    signature: String,
}

type Maker = fn(&Unsigned<'_>) -> InBody;

/// The makers of bodies, by the name of the provider's code.
const IN_BODY: [(&str, Maker); 4] = [
    ("adyen", adyen),
    ("aws-sns", aws_sns),
    ("braintree", braintree),
    ("dropbox-sign", dropbox_sign),
];

fn adyen(_: &Unsigned<'_>) -> InBody {
    let secret = "5f6e7d8c".repeat(8);
    let mut item = json!({
        "pspReference": "7914073381342284", "originalReference": "", "merchantAccountCode": "Merchant",
        "merchantReference": "order:1", "amount": {"currency": "EUR", "value": 1130},
        "eventCode": "AUTHORISATION", "success": "true", "reason": "x",
    });
    let content = "7914073381342284::Merchant:order:1:1130:EUR:AUTHORISATION:true";
    let key = hex::decode(&secret).unwrap();
    let signature = mac(DigestAlgorithm::HmacSha256, &key, content.as_bytes());
    let signature = STANDARD.encode(signature);
    item["additionalData"] = json!({"hmacSignature": signature});
    let items = [json!({"NotificationRequestItem": item})];
    InBody {
        media_type: "application/json",
        body: json!({"live": "false", "notificationItems": items}).to_string(),
        secret,
        signature,
    }
}

fn aws_sns(unsigned: &Unsigned<'_>) -> InBody {
    let time = Unit::Rfc3339.write(unsigned.at).unwrap();
    let topic = account(unsigned.preset);
    let content = format!(
        "Message\nhello\nMessageId\n{ID}\nSubject\nwords\nTimestamp\n{time}\nTopicArn\n{topic}\nType\nNotification\n"
    );
    let algorithm = PublicAlgorithm::RsaPkcs1Sha256;
    let signature = STANDARD.encode(keys::sign(algorithm, content.as_bytes()));
    let body = json!({
        "Type": "Notification", "MessageId": ID, "TopicArn": topic, "Message": "hello", "Subject": "words",
        "Timestamp": time, "SignatureVersion": "2", "Signature": signature,
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/a.pem",
    });
    InBody {
        media_type: "text/plain",
        body: body.to_string(),
        secret: keys::public(algorithm),
        signature,
    }
}

fn braintree(_: &Unsigned<'_>) -> InBody {
    let payload = STANDARD.encode("<notification><kind>check</kind></notification>") + "\n";
    let key = Sha1::digest("private-key-of-sixteen");
    let signature = hex::encode(mac(DigestAlgorithm::HmacSha1, &key, payload.as_bytes()));
    let escaped = |text: &str| {
        text.replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D")
            .replace('\n', "%0A")
    };
    InBody {
        media_type: "application/x-www-form-urlencoded",
        body: format!(
            "bt_signature=public%7C{signature}&bt_payload={}",
            escaped(&payload)
        ),
        secret: "public:private-key-of-sixteen".to_owned(),
        signature,
    }
}

fn dropbox_sign(unsigned: &Unsigned<'_>) -> InBody {
    let time = Unit::Seconds.write(unsigned.at).unwrap();
    let kind = "signature_request_sent";
    let content = format!("{time}{kind}");
    let hash = hex::encode(mac(
        DigestAlgorithm::HmacSha256,
        SHARED.as_bytes(),
        content.as_bytes(),
    ));
    let event = json!({
        "account_guid": account(unsigned.preset), "signature_request": {"title": "words"},
        "event": {"event_time": time, "event_type": kind, "event_hash": hash},
    });
    let part = "--XyZ\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n";
    InBody {
        media_type: "multipart/form-data; boundary=XyZ",
        body: format!("{part}{event}\r\n--XyZ--\r\n"),
        secret: SHARED.to_owned(),
        signature: hash,
    }
}

fn mac(algorithm: DigestAlgorithm, key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut mac = algorithm.mac(key);
    mac.update(content);
    mac.finalize().as_bytes().to_vec()
}

/// Writes a value at its place. `*` is an array of a single element.
fn put(at: &mut Value, tokens: &[String], value: Value) {
    let Some((token, rest)) = tokens.split_first() else {
        *at = value;
        return;
    };
    if token == Pointer::EACH {
        if !at.is_array() {
            *at = json!([null]);
        }
        put(&mut at[0], rest, value);
    } else {
        if !at.is_object() {
            *at = Value::from(Map::new());
        }
        put(&mut at[token.as_str()], rest, value);
    }
}

impl<'p> Unsigned<'p> {
    fn of(preset: &'p Preset, at: UnixMillis) -> Self {
        let scheme = &preset.scheme;
        let mut body = json!({"text": "gr\u{fc}n"});
        let mut headers = Vec::new();
        for (place, value) in [
            (&scheme.event_type, TYPE),
            (&scheme.account, account(preset)),
            (&scheme.event_id, ID),
        ] {
            match place {
                Some(Place::Json(pointers)) => {
                    for pointer in pointers {
                        put(&mut body, &pointer.tokens, value.into());
                    }
                }
                // `sign` adds the id's header.
                Some(Place::Header(name)) if value != ID => {
                    headers.push((name.as_str().to_owned(), value.to_owned()));
                }
                _ => {}
            }
        }
        if let Some(pointer) = unknown_account(preset) {
            put(&mut body, &pointer.tokens, account(preset).into());
        }
        for part in scheme.parts() {
            match part {
                Part::Header(name) => {
                    headers.push((name.as_str().to_owned(), "a-nonce".to_owned()));
                }
                Part::Json(pointer) | Part::Form(pointer) => {
                    put(&mut body, &pointer.tokens, "abc".into());
                }
                _ => {}
            }
        }
        if let Some(place) = scheme.timestamp()
            && let TimestampAt::Json(pointer) = &place.at
        {
            let text = place.unit.write(at).unwrap();
            let number = text.parse::<i64>().ok().filter(|_| place.unit.is_number());
            let value = number.map_or_else(|| text.clone().into(), Value::from);
            put(&mut body, &pointer.tokens, value);
        }
        Self {
            preset,
            at,
            headers,
            body,
        }
    }
}

/// How a key proves deliveries of a scheme.
fn kind(scheme: &Scheme) -> Kind {
    let of_token = scheme.token_rule().and_then(|rule| rule.algorithms.first());
    of_token.map_or_else(|| scheme.algorithm().kind(), |algorithm| algorithm.kind())
}

/// A shared secret that is a key of the scheme.
fn shared(scheme: &Scheme) -> &'static str {
    if scheme.algorithm() == Algorithm::Basic {
        return "user:password-of-sixteen";
    }
    match scheme.proof.key_forms().first() {
        Some(form) if form.encoding == KeyEncoding::Hex => "5f6e7d8c5f6e7d8c5f6e7d8c5f6e7d8c5f6e",
        Some(form) if form.strip.as_deref() == Some("whsec_") => "whsec_c2VjcmV0c2VjcmV0c2VjcmV0",
        _ if scheme.code().is_some() => "c2VjcmV0c2VjcmV0",
        _ => SHARED,
    }
}

/// The same scheme with an HMAC under [`SHARED`], in a header: what `sign` can make.
fn stand_in(scheme: &Scheme, is_public: bool) -> Scheme {
    let mut own = scheme.clone();
    if is_public {
        own.proof.set_key_forms(vec![KeyForm::default()]);
        match &mut own.proof {
            ProofBy::Template(template) => {
                template.algorithm = Algorithm::HmacSha256;
                for (_, algorithm) in &mut template.signature.items.accept {
                    *algorithm = Algorithm::HmacSha256;
                }
            }
            ProofBy::Token(token) => token.rule.algorithms = vec![JwtAlgorithm::Hs256],
            ProofBy::Code(_) | ProofBy::Credential(_) => {}
        }
    }
    if pointer(scheme).is_some() {
        let name = FieldName::new(STAND_IN).unwrap();
        own.proof.set_signature_headers(vec![name]);
    }
    own
}

/// The place of the signature or the credential in the body.
fn pointer(scheme: &Scheme) -> Option<&Pointer> {
    match &scheme.proof {
        ProofBy::Template(template) => template.signature.json.as_ref(),
        ProofBy::Credential(credential) => credential.place.json.as_ref(),
        ProofBy::Code(_) | ProofBy::Token(_) => None,
    }
}

/// The signed content of a template, written from its parts and not by the program's own code.
fn content(scheme: &Scheme, headers: &[(String, String)], target: &str, body: &Value) -> String {
    let header = |name: &FieldName| {
        let is_it = |(own, _): &&(String, String)| own.eq_ignore_ascii_case(name.as_str());
        headers.iter().find(is_it).unwrap().1.clone()
    };
    let value = |pointer: &Pointer| match body.pointer(&pointer.text()).unwrap() {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let one = |part: &Part| match part {
        Part::Literal(text) => text.clone(),
        Part::Body => body.to_string(),
        Part::Timestamp => match scheme.timestamp().map(|place: &TimestampPlace| &place.at) {
            Some(TimestampAt::Headers(names)) => header(&names[0]),
            Some(TimestampAt::Json(pointer)) => value(pointer),
            other => panic!("the place of the timestamp: {other:?}"),
        },
        Part::Id => match &scheme.event_id {
            Some(Place::Header(name)) => header(name),
            other => panic!("the place of the id: {other:?}"),
        },
        Part::Method => "POST".to_owned(),
        Part::Path => path.to_owned(),
        Part::Query => query.to_owned(),
        Part::Url => format!("{ORIGIN}{target}"),
        Part::Header(name) => header(name),
        Part::Json(pointer) | Part::Form(pointer) => value(pointer),
        Part::BodyDigest(digest) => {
            let body = body.to_string();
            match digest.name().as_str() {
                "body_sha256:hex" => hex::encode(Sha256::digest(body)),
                "body_sha256:base64" => STANDARD.encode(Sha256::digest(body)),
                "body_sha512:base64" => STANDARD.encode(Sha512::digest(body)),
                other => panic!("a digest of the body: {other}"),
            }
        }
        Part::Param(_) => PARAM.to_owned(),
        Part::Secret => SHARED.to_owned(),
    };
    scheme.parts().iter().map(one).collect()
}

/// A token of these parts under a private key. `more` is signed behind them.
fn token(algorithm: JwtAlgorithm, header: &Value, claims: &str, more: &str) -> String {
    let Kind::Public(own) = algorithm.kind() else {
        panic!("{algorithm:?} has no private key")
    };
    let header = Encoding::Base64Url.encode(header.to_string().as_bytes());
    let content = format!("{header}.{claims}{more}");
    let signature = Encoding::Base64Url.encode(&keys::sign(own, content.as_bytes()));
    format!("{header}.{claims}.{signature}")
}

/// The body that is a token: the event in its claims, and in JSON texts inside of them.
fn token_as_body(rule: &JwtRule, unsigned: &Unsigned<'_>) -> String {
    let TokenPlace::Body { json_texts } = &rule.place else {
        panic!("the token is in a header")
    };
    let mut claims = unsigned.body.clone();
    for pointer in json_texts.iter().rev() {
        let text = claims.pointer(&pointer.text()).unwrap().to_string();
        put(&mut claims, &pointer.tokens, text.into());
    }
    let scheme = &unsigned.preset.scheme;
    for (place, value) in [
        (&scheme.event_type, TYPE),
        (&scheme.account, account(unsigned.preset)),
        (&scheme.event_id, ID),
    ] {
        if let Some(Place::Claim(name)) = place {
            claims[name.as_str()] = value.into();
        }
    }
    let seconds = unsigned.at.0 / 1000;
    claims["iat"] = seconds.into();
    claims["exp"] = (seconds + 300).into();
    let claims = Encoding::Base64Url.encode(claims.to_string().as_bytes());
    let algorithm = rule.algorithms[0];
    token(algorithm, &json!({"alg": algorithm.name()}), &claims, "")
}

/// The header's value with the signature of a private key in the place of the HMAC.
fn signed_again(scheme: &Scheme, value: &str, content: &str, body: &str) -> String {
    if let Some(rule) = scheme.token_rule() {
        let bare = value.strip_prefix(rule.prefix()).unwrap();
        let mut parts = bare.split('.');
        let (header, claims) = (parts.next().unwrap(), parts.next().unwrap());
        let mut decoded = vec![0; header.len()];
        let len = Encoding::Base64Url.decode(header.as_bytes(), &mut decoded);
        let mut header: Value = serde_json::from_slice(&decoded[..len.unwrap()]).unwrap();
        let algorithm = rule.algorithms[0];
        header["alg"] = algorithm.name().into();
        let encoded = Encoding::Base64Url.encode(body.as_bytes());
        let more = match rule.payload {
            Payload::Claims => "",
            Payload::Detached { is_encoded, .. } if is_encoded => &encoded,
            Payload::Detached { .. } => body,
        };
        let signed = token(algorithm, &header, claims, more);
        return format!("{}{signed}", rule.prefix());
    }
    let Kind::Public(algorithm) = scheme.algorithm().kind() else {
        panic!("{:?} has no private key", scheme.algorithm())
    };
    let encoding = scheme.template().unwrap().signature.encoding;
    let content = content.as_bytes();
    let stand_in = encoding.encode(&mac(
        DigestAlgorithm::HmacSha256,
        SHARED.as_bytes(),
        content,
    ));
    assert!(
        value.contains(&stand_in),
        "other content than that of `sign`"
    );
    value.replace(&stand_in, &encoding.encode(&keys::sign(algorithm, content)))
}

/// The members of an object as the fields of a form. Their values need no escape.
fn as_form(body: &Value) -> String {
    let members = body.as_object().unwrap().iter();
    let fields = members
        .filter(|(name, _)| *name != "text")
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap()));
    fields.collect::<Vec<_>>().join("&")
}

/// A genuine delivery for the route of a preset, made at this time.
///
/// # Errors
/// The reason why none can be made, and how to provide the maker.
pub(crate) fn made(preset: &Preset, at: UnixMillis) -> Result<Made, String> {
    let scheme = &preset.scheme.clone().with_params(|_| Some(PARAM));
    let unsigned = Unsigned::of(preset, at);
    let target = format!("/{}/a?data.id=abc123", preset.name);
    let maker = |code: &dyn ProviderCode| IN_BODY.iter().find(|(name, _)| *name == code.name());
    if let Some((_, maker)) = scheme.code().and_then(maker) {
        let own = maker(&unsigned);
        let headers = [
            unsigned.headers,
            vec![("Content-Type".to_owned(), own.media_type.to_owned())],
        ];
        return Ok(Made {
            captured: Captured::new(&target, headers.concat(), own.body.as_bytes()),
            secret: own.secret,
            in_body: Some(own.signature),
        });
    }
    if let Some(rule) = scheme.token_rule().filter(|rule| rule.is_body()) {
        let text = token_as_body(rule, &unsigned);
        let Kind::Public(algorithm) = rule.algorithms[0].kind() else {
            return Err(format!(
                "a token as body with a shared secret: `{}`",
                preset.name
            ));
        };
        return Ok(Made {
            captured: Captured::new(&target, unsigned.headers, text.as_bytes()),
            secret: keys::public(algorithm),
            in_body: None,
        });
    }
    let Unsigned {
        mut headers,
        mut body,
        ..
    } = unsigned;
    let takes_forms_alone = scheme
        .template()
        .is_some_and(TemplateScheme::takes_forms_alone);
    let is_form = scheme.code().is_some_and(ProviderCode::signs_url);
    let text = if takes_forms_alone {
        as_form(&body)
    } else if is_form {
        let form = "application/x-www-form-urlencoded";
        headers.push(("Content-Type".to_owned(), form.to_owned()));
        let is_mandrill = scheme.code().is_some_and(|code| code.name() == "mandrill");
        let events = "mandrill_events=%5B%7B%22event%22%3A%22kind.one%22%7D%5D";
        let fields = "From=%2B15551234&Body=hello+there";
        if is_mandrill { events } else { fields }.to_owned()
    } else {
        body.to_string()
    };
    // `sign` signs with the private key itself where code reads the delivery.
    let is_public = matches!(kind(scheme), Kind::Public(_)) && scheme.code().is_none();
    let (signs, secret) = match kind(scheme) {
        Kind::Public(_) if !is_public => (keys::SEED, keys::OF_SEED.to_owned()),
        Kind::Public(algorithm) => (SHARED, keys::public(algorithm)),
        _ => (shared(scheme), shared(scheme).to_owned()),
    };
    let given: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let request = SignRequest {
        method: "POST",
        target: &target,
        body: text.as_bytes(),
        id: Some(id_of(scheme)),
        at,
        public_url: Some(ORIGIN),
        headers: &given,
    };
    let signs = Secret {
        written: None,
        name: "s".into(),
        text: SecretText::new(signs.into()),
        not_before: None,
        not_after: None,
    };
    let signed = signed_request(&stand_in(scheme, is_public), &signs, &request).map_err(|why| {
        format!(
            "`verigate sign` and tests/hostile/making.rs make no delivery of `{}` ({why}). Where the signature is in \
             the body, or code of the provider takes another private key than Ed25519, add a maker to IN_BODY there: the name of the \
             provider's code, and a function that returns a signed body and the secret of its route",
            preset.name
        )
    })?;
    headers.extend(signed.headers);
    let target = signed.target.unwrap_or(target);
    if is_public {
        let content = match scheme.template() {
            Some(_) => content(scheme, &headers, &target, &body),
            None => String::new(),
        };
        let value = &mut headers.last_mut().unwrap().1;
        *value = signed_again(scheme, value, &content, &text);
    }
    let mut in_body = None;
    let text = match pointer(scheme) {
        Some(pointer) => {
            let (_, value) = headers.pop().unwrap();
            in_body = Some(value.clone());
            put(&mut body, &pointer.tokens, value.into());
            if takes_forms_alone {
                as_form(&body)
            } else {
                body.to_string()
            }
        }
        None => text,
    };
    Ok(Made {
        captured: Captured::new(&target, headers, text.as_bytes()),
        secret,
        in_body,
    })
}
