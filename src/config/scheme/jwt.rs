//! The table `jwt`: the rule for a JSON Web Token (schemes: Tokens).

use std::time::Duration;

use super::super::reader::{Findings, Item, Table};
use super::super::units;
use super::headers::read_field;
use super::signature::read_prefix;
use super::timestamp::read_pointer;
use crate::key::digest::DigestAlgorithm;
use crate::notation::encoding::Encoding;
use crate::scheme::jwt::{DigestClaim, JwtAlgorithm, JwtRule, Payload, RequestClaim, TokenPlace};

/// An example of the table, for help texts.
pub(super) const EXAMPLE: &str =
    "{ header = \"X-Token\", algorithms = [\"HS256\"], max_age = \"5m\" }";

/// Reads the rule.
pub(super) fn read(item: &Item<'_>, findings: &mut Findings) -> Option<JwtRule> {
    let mut table = item.table(findings, &format!("jwt = {EXAMPLE}"))?;
    let place = read_place(&mut table, findings);
    let payload = read_payload(&mut table, findings);
    let algorithms = table.required(findings, "algorithms", "[\"HS256\"]");
    let algorithms = algorithms.and_then(|item| read_algorithms(&item, findings));
    let claims = read_claims(&mut table, findings);
    let max_age = table.item("max_age");
    let timeless = max_age
        .as_ref()
        .is_some_and(|item| item.value.get_ref().as_str() == Some("off"));
    let age = max_age
        .as_ref()
        .filter(|_| !timeless)
        .and_then(|item| item.unit(findings, "\"5m\"", units::timeout));
    let leeway = table
        .item("leeway")
        .and_then(|item| item.unit(findings, "\"1s\"", units::duration));
    table.finish(findings);
    let (place, payload) = (place?, payload?);
    let is_detached = matches!(payload, Payload::Detached { .. });
    let is_body = matches!(place, TokenPlace::Body { .. });
    let is_stamped = matches!(payload, Payload::Detached { stamp: Some(_), .. });
    if is_detached && is_body {
        let help = "leave `detached` out, or name the header that carries the token";
        let why = "contradicts `place = \"body\"`: a token that is the body holds it";
        refuse(&mut table, findings, "detached", why, help);
        return None;
    }
    if is_detached || is_body {
        let why = if is_detached {
            "means nothing here: a detached token has no claims"
        } else {
            "means nothing here: the token is the whole body"
        };
        let mut is_refused = false;
        for key in CLAIM_KEYS {
            if is_detached || BODY_KEYS.contains(&key) {
                is_refused |= refuse(&mut table, findings, key, why, "leave it out");
            }
        }
        if is_refused {
            return None;
        }
    }
    if is_stamped && age.is_none() {
        let why = "means nothing without `max_age`: no time would be judged";
        let help = "say how old a token may be, as in `max_age = \"5m\"`";
        refuse(&mut table, findings, "stamp", why, help);
    }
    if is_detached && !is_stamped && age.is_some() {
        let why = "means nothing here: a detached token carries a time only where `stamp` names it";
        let help = "leave it out, or name the member of the token's header, as in `stamp = \"ts\"`";
        refuse(&mut table, findings, "max_age", why, help);
    }
    let claims = claims?;
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    Some(JwtRule {
        place,
        payload,
        algorithms: algorithms?,
        max_age: age.map(millis),
        timeless: timeless || is_detached && !is_stamped,
        leeway: leeway.map_or(0, millis),
        ..claims
    })
}

/// The keys that speak of claims.
const CLAIM_KEYS: [&str; 7] = [
    "body_digest",
    "body_claim",
    "absent_if_empty",
    "url_digest",
    "url_claim",
    "request_digest",
    "issuer",
];
/// Those of them that speak of the body.
const BODY_KEYS: [&str; 3] = ["body_digest", "body_claim", "absent_if_empty"];

/// Refuses a key that is written. False where it is not.
fn refuse(
    table: &mut Table<'_>,
    findings: &mut Findings,
    key: &'static str,
    why: &str,
    help: &str,
) -> bool {
    let item = table.item(key);
    if let Some(item) = &item {
        item.refuse(findings, why, help);
    }
    item.is_some()
}

/// Reads where the token is.
fn read_place(table: &mut Table<'_>, findings: &mut Findings) -> Option<TokenPlace> {
    let is_body = match table.item("place") {
        Some(item) => {
            let read = item.one_of(findings, &["header", "body"], &[], |name| match name {
                "header" => Some(false),
                "body" => Some(true),
                _ => None,
            });
            if read.is_none() {
                // The other keys are known, whatever the place is.
                for key in ["header", "prefix", "json_texts"] {
                    table.item(key);
                }
            }
            read?
        }
        None => false,
    };
    let texts = table.item("json_texts");
    if !is_body {
        if let Some(item) = texts {
            let help = "leave it out, or write `place = \"body\"` if the body is the token";
            item.refuse(findings, "means nothing: the token is in a header", help);
        }
        let name = table
            .required(findings, "header", "\"X-Token\"")
            .and_then(|item| read_field(&item, findings));
        let prefix = table
            .item("prefix")
            .map_or(Some(String::new()), |item| read_prefix(&item, findings));
        return Some(TokenPlace::Header {
            name: name?,
            prefix: prefix?,
        });
    }
    for key in ["header", "prefix"] {
        let why = "means nothing here: the token is the whole body";
        refuse(table, findings, key, why, "leave it out");
    }
    let json_texts = match texts {
        None => Vec::new(),
        Some(item) => {
            let entries = item.list(findings, "json_texts = [\"/data\"]")?;
            let read = entries.iter().map(|entry| read_pointer(entry, findings));
            read.collect::<Vec<_>>()
                .into_iter()
                .collect::<Option<_>>()?
        }
    };
    Some(TokenPlace::Body { json_texts })
}

/// Reads what the token signs.
fn read_payload(table: &mut Table<'_>, findings: &mut Findings) -> Option<Payload> {
    let stamp = table.item("stamp");
    let Some(item) = table.item("detached") else {
        if let Some(item) = stamp {
            let help = "leave it out: the claims `iat`, `nbf` and `exp` hold the times";
            item.refuse(findings, "means nothing: the token is not detached", help);
        }
        return Some(Payload::Claims);
    };
    let names = ["encoded", "unencoded"];
    let is_encoded = item.one_of(findings, &names, &[], |name| match name {
        "encoded" => Some(true),
        "unencoded" => Some(false),
        _ => None,
    });
    let stamp = match stamp {
        None => None,
        Some(item) => {
            let name = item.label(findings, 128, "ts")?;
            if RESERVED.contains(&name) {
                let help = "name the member that holds the time";
                item.refuse(findings, "names a member that means something else", help);
                return None;
            }
            Some(name.to_owned())
        }
    };
    Some(Payload::Detached {
        is_encoded: is_encoded?,
        stamp,
    })
}

/// The members of a token's header that no time can be in (RFC 7515 section 4.1, RFC 7797).
const RESERVED: [&str; 12] = [
    "alg", "kid", "typ", "cty", "crit", "b64", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256",
];

/// Reads the keys that speak of claims; the rest of the rule is as if nothing else were written.
fn read_claims(table: &mut Table<'_>, findings: &mut Findings) -> Option<JwtRule> {
    let mut is_usable = true;
    let mut digest = |key, table: &mut Table<'_>, findings: &mut Findings| {
        let item = table.item(key)?;
        let read = read_digest(&item, findings);
        is_usable &= read.is_some();
        read
    };
    let body_digest = digest("body_digest", table, findings);
    let url_digest = digest("url_digest", table, findings);
    let text = |item: Option<Item<'_>>, findings: &mut Findings| {
        item.and_then(|item| item.label(findings, 256, "claim").map(ToOwned::to_owned))
    };
    let body_claim = text(table.item("body_claim"), findings);
    let url_claim = text(table.item("url_claim"), findings);
    let issuer = text(table.item("issuer"), findings);
    let request_digest = match table.item("request_digest") {
        None => None,
        Some(item) => {
            let read = read_request(&item, findings);
            is_usable &= read.is_some();
            read
        }
    };
    let absent_if_empty = table.item("absent_if_empty");
    if let Some(item) = &absent_if_empty
        && body_digest.is_none()
        && body_claim.is_none()
    {
        let help = "name the claim that holds the body or its digest, as in `body_digest = { claim = \"payload_hash\" }`";
        item.refuse(
            findings,
            "means nothing: no claim holds the body or its digest",
            help,
        );
    }
    let absent_if_empty = absent_if_empty
        .and_then(|item| item.flag(findings))
        .unwrap_or(false);
    is_usable.then_some(JwtRule {
        place: TokenPlace::Body {
            json_texts: Vec::new(),
        },
        payload: Payload::Claims,
        algorithms: Vec::new(),
        body_digest,
        body_claim,
        url_digest,
        url_claim,
        request_digest,
        absent_if_empty,
        issuer,
        max_age: None,
        timeless: false,
        leeway: 0,
    })
}

/// Reads the claim that holds Atlassian's digest of the request.
fn read_request(item: &Item<'_>, findings: &mut Findings) -> Option<RequestClaim> {
    let mut table = item.table(findings, "request_digest = { claim = \"qsh\" }")?;
    let claim = table.required(findings, "claim", "\"qsh\"");
    let claim = claim.and_then(|item| item.label(findings, 128, "qsh").map(ToOwned::to_owned));
    let base_path = match table.item("base_path") {
        None => Some(String::new()),
        Some(item) => {
            let path = item.text(findings, "base_path = \"/app\"")?;
            let is_path = path.starts_with('/') && !path.ends_with('/') && !path.contains('?');
            if !is_path {
                let help =
                    "write the path of the app's base URL without a closing slash, as in `/app`";
                item.refuse(findings, "is no path that others can lie under", help);
            }
            is_path.then(|| path.to_owned())
        }
    };
    table.finish(findings);
    Some(RequestClaim {
        claim: claim?,
        base_path: base_path?,
    })
}

fn read_algorithms(item: &Item<'_>, findings: &mut Findings) -> Option<Vec<JwtAlgorithm>> {
    let entries = item.list(findings, "algorithms = [\"HS256\"]")?;
    let names = JwtAlgorithm::ALL.map(JwtAlgorithm::name);
    let read = entries
        .iter()
        .map(|entry| entry.one_of(findings, &names, &[], JwtAlgorithm::named));
    let algorithms: Vec<JwtAlgorithm> = read.collect::<Option<_>>()?;
    let Some(first) = algorithms.first() else {
        item.refuse(
            findings,
            "is empty: no token could be accepted",
            "name the algorithm that the provider uses",
        );
        return None;
    };
    // With two families, a key of the first could be taken for a key of the second.
    if algorithms
        .iter()
        .any(|other| other.family() != first.family())
    {
        item.refuse(
            findings,
            "mixes families of algorithms",
            "keep the algorithms of one family, as in `[\"HS256\", \"HS512\"]`",
        );
        return None;
    }
    Some(algorithms)
}

fn read_digest(item: &Item<'_>, findings: &mut Findings) -> Option<DigestClaim> {
    const HASHES: [&str; 1] = ["sha256"];
    let mut table = item.table(
        findings,
        "{ claim = \"sha256\", hash = \"sha256\", encoding = \"hex\" }",
    )?;
    let claim = table.required(findings, "claim", "\"sha256\"");
    let claim = claim.and_then(|item| item.label(findings, 128, "sha256").map(ToOwned::to_owned));
    let hash = match table.item("hash") {
        Some(item) => item.one_of(findings, &HASHES, &[], |name| {
            HASHES.contains(&name).then_some(DigestAlgorithm::Sha256)
        }),
        None => Some(DigestAlgorithm::Sha256),
    };
    let encoding = match table.item("encoding") {
        Some(item) => item.one_of(
            findings,
            &Encoding::ALL.map(Encoding::name),
            &[],
            Encoding::named,
        ),
        None => Some(Encoding::Hex),
    };
    table.finish(findings);
    Some(DigestClaim {
        claim: claim?,
        hash: hash?,
        encoding: encoding?,
    })
}
