//! The table `jwt`: the rule for a JSON Web Token (schemes: Tokens).

use std::time::Duration;

use super::super::reader::{Findings, Item, Table};
use super::super::units;
use super::headers::read_field;
use super::signature::read_prefix;
use crate::key::digest::DigestAlgorithm;
use crate::notation::encoding::Encoding;
use crate::scheme::jwt::{DigestClaim, JwtAlgorithm, JwtRule};

/// An example of the table, for help texts.
pub(super) const EXAMPLE: &str =
    "{ header = \"X-Token\", algorithms = [\"HS256\"], max_age = \"5m\" }";

/// Reads the rule.
pub(super) fn read(item: &Item<'_>, findings: &mut Findings) -> Option<JwtRule> {
    let mut table = item.table(findings, &format!("jwt = {EXAMPLE}"))?;
    let header = table
        .required(findings, "header", "\"X-Token\"")
        .and_then(|item| read_field(&item, findings));
    let prefix = table
        .item("prefix")
        .map_or(Some(String::new()), |item| read_prefix(&item, findings));
    let algorithms = table.required(findings, "algorithms", "[\"HS256\"]");
    let algorithms = algorithms.and_then(|item| read_algorithms(&item, findings));
    let mut is_usable = true;
    let mut digest = |key, table: &mut Table<'_>, findings: &mut Findings| {
        let item = table.item(key)?;
        let read = read_digest(&item, findings);
        is_usable &= read.is_some();
        read
    };
    let body_digest = digest("body_digest", &mut table, findings);
    let url_digest = digest("url_digest", &mut table, findings);
    let text = |item: Option<Item<'_>>, findings: &mut Findings| {
        item.and_then(|item| item.label(findings, 256, "claim").map(ToOwned::to_owned))
    };
    let body_claim = text(table.item("body_claim"), findings);
    let issuer = text(table.item("issuer"), findings);
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
    let max_age = table.item("max_age");
    let timeless = max_age
        .as_ref()
        .is_some_and(|item| item.value.get_ref().as_str() == Some("off"));
    let max_age = max_age
        .filter(|_| !timeless)
        .and_then(|item| item.unit(findings, "\"5m\"", units::timeout));
    let leeway = table
        .item("leeway")
        .and_then(|item| item.unit(findings, "\"1s\"", units::duration));
    table.finish(findings);
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    is_usable.then_some(())?;
    Some(JwtRule {
        header: header?,
        prefix: prefix?,
        algorithms: algorithms?,
        body_digest,
        body_claim,
        url_digest,
        absent_if_empty,
        issuer,
        max_age: max_age.map(millis),
        timeless,
        leeway: leeway.map_or(0, millis),
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
