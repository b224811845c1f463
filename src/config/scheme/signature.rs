//! The table `signature`: the place of a signature, and how its header is taken apart (schemes:
//! Signature).

use super::super::reader::{Findings, Item, Table};
use super::headers::read_fields;
use crate::notation::encoding::Encoding;
use crate::notation::json::Pointer;
use crate::scheme::{Algorithm, CredentialPlace, Items, Kind, SignaturePlace};
use crate::wire::head::FieldName;

const EXAMPLE: &str = "signature = { header = \"X-Signature\", encoding = \"hex\" }";

/// The label that counts if `assign` is given without `accept`.
const DEFAULT_LABEL: &str = "v1";

/// The keys that only take a header apart.
const OF_LISTS: [&str; 7] = [
    "repeat",
    "separator",
    "assign",
    "assign_at",
    "accept",
    "limit",
    "prefix_once",
];

/// The place of HTTP's own credentials.
pub(super) fn authorization() -> CredentialPlace {
    CredentialPlace {
        headers: FieldName::new("Authorization").into_iter().collect(),
        json: None,
        prefix: String::new(),
    }
}

/// Reads the place of a signature made with `algorithm`, which is `None` if it could not be read.
pub(super) fn read(
    item: &Item<'_>,
    findings: &mut Findings,
    algorithm: Option<Algorithm>,
) -> Option<SignaturePlace> {
    let mut table = item.table(findings, EXAMPLE)?;
    let (header, json) = (table.item("header"), table.item("json"));
    let (form, query) = (table.item("form"), table.item("query"));
    let headers = header
        .as_ref()
        .map_or(Some(Vec::new()), |item| read_fields(item, findings));
    let pointer = json
        .as_ref()
        .map_or(Some(None), |item| read_pointer(item, findings).map(Some));
    let field = form
        .as_ref()
        .map_or(Some(None), |item| read_field(item, findings).map(Some));
    let parameter = query
        .as_ref()
        .map_or(Some(None), |item| read_parameter(item, findings).map(Some));
    let is_credential = algorithm.is_some_and(|algorithm| algorithm.kind() == Kind::Token);
    let mut refused: Vec<(&'static str, &str)> = Vec::new();
    if is_credential {
        refused.push(("encoding", "the secret itself is sent along"));
        refused.extend(OF_LISTS.map(|key| (key, "the secret itself is sent along")));
        refused.extend(["form", "query"].map(|key| (key, "the secret itself is sent along")));
    } else if query.is_some() {
        refused.push(("repeat", "the signature is in the query, not in a header"));
    } else if json.is_some() || form.is_some() {
        refused.extend(OF_LISTS.map(|key| (key, "the signature is in the body, not in a header")));
    }
    if algorithm == Some(Algorithm::Basic) {
        refused.push(("prefix", "`Basic ` is always the prefix"));
    }
    let mut is_usable = true;
    for (key, why) in refused {
        if let Some(item) = table.item(key) {
            item.refuse(
                findings,
                format_args!("means nothing here: {why}"),
                "leave it out",
            );
            is_usable = false;
        }
    }
    if !is_usable {
        return None;
    }
    let encoding = match table.item("encoding") {
        Some(item) => item.one_of(
            findings,
            &Encoding::ALL.map(Encoding::name),
            &[],
            Encoding::named,
        ),
        None => Some(Encoding::Hex),
    };
    let prefix = table
        .item("prefix")
        .map_or(Some(String::new()), |item| read_prefix(&item, findings));
    let prefix_once = table.item("prefix_once");
    let repeat = table
        .item("repeat")
        .and_then(|item| item.flag(findings))
        .unwrap_or(false);
    let items = read_items(&mut table, findings, algorithm);
    if let (Some(item), Some(items), Some(prefix)) = (&prefix_once, &items, &prefix)
        && (items.separator.is_none() || prefix.is_empty())
    {
        let help = "name the `prefix` before the list and the `separator` in it, or leave \
                    `prefix_once` out";
        item.refuse(findings, "means nothing here", help);
    }
    let prefix_once = prefix_once
        .and_then(|item| item.flag(findings))
        .unwrap_or(false);
    table.finish(findings);
    let places = [&header, &json, &form, &query];
    let named = places.into_iter().flatten().count();
    if named > 1 {
        item.refuse(
            findings,
            "names two places",
            "keep one of `header`, `json`, `form` and `query`",
        );
        return None;
    }
    if named == 0 {
        if algorithm == Some(Algorithm::Basic) {
            return Some(SignaturePlace {
                headers: authorization().headers,
                json: None,
                in_form: false,
                query: None,
                repeat,
                encoding: encoding?,
                prefix: prefix?,
                prefix_once,
                items: items?,
            });
        }
        let path = table.path_of("header");
        findings.absence(
            item.span(),
            format!("`{path}` is missing"),
            format!("add it, as in `{EXAMPLE}`"),
        );
        return None;
    }
    Some(SignaturePlace {
        headers: headers?,
        json: pointer?.or(field?),
        in_form: form.is_some(),
        query: parameter?,
        repeat,
        encoding: encoding?,
        prefix: prefix?,
        prefix_once,
        items: items?,
    })
}

/// Reads the name of a form's field.
fn read_field(item: &Item<'_>, findings: &mut Findings) -> Option<Pointer> {
    let field = Pointer::field(item.text(findings, "\"signature\"")?);
    if field.is_none() {
        let help = "write letters, digits, `_`, `-` and `.`, as in `\"signature\"`";
        item.refuse(findings, "is no name of a field", help);
    }
    field
}

/// Reads the name of a parameter of the query.
fn read_parameter(item: &Item<'_>, findings: &mut Findings) -> Option<String> {
    let name = item.text(findings, "\"signature\"")?;
    if Pointer::field(name).is_none() {
        let help = "write letters, digits, `_`, `-` and `.`, as in `\"signature\"`";
        item.refuse(findings, "is no name of a parameter", help);
        return None;
    }
    Some(name.to_owned())
}

/// Reads a pointer, which may name each element of an array.
fn read_pointer(item: &Item<'_>, findings: &mut Findings) -> Option<Pointer> {
    let pointer = Pointer::parse(item.text(findings, "\"/signature\"")?);
    if pointer.is_none() {
        let help = "begin it with `/`, as in `/value/*/clientState`; `*` stands for each element of an array";
        item.refuse(findings, "is no JSON pointer", help);
    }
    pointer
}

/// Reads the text in front of a value in a header.
pub(super) fn read_prefix(item: &Item<'_>, findings: &mut Findings) -> Option<String> {
    let text = item.text(findings, "prefix = \"sha256=\"")?;
    let is_fit = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) && !text.starts_with(' ');
    if !is_fit {
        let help =
            "write visible ASCII characters; white space around a header's value is no part of it";
        item.refuse(findings, "could never begin a header's value", help);
    }
    is_fit.then(|| text.to_owned())
}

/// Reads how a header's value is taken apart.
fn read_items(
    table: &mut Table<'_>,
    findings: &mut Findings,
    algorithm: Option<Algorithm>,
) -> Option<Items> {
    let separator = table
        .item("separator")
        .map_or(Some(None), |item| read_separator(&item, findings).map(Some));
    let assign_item = table.item("assign");
    let assign = assign_item.as_ref().map_or(Some(None), |item| {
        let read = item.one_of(findings, &["=", ",", "/"], &[], |text| match text {
            "=" => Some(b'='),
            "," => Some(b','),
            "/" => Some(b'/'),
            _ => None,
        });
        read.map(Some)
    });
    let assign_at = table.item("assign_at");
    if let Some(item) = assign_at.as_ref().filter(|_| assign_item.is_none()) {
        let help = "name the character between label and value, as in `assign = \"/\"`, or leave \
                    `assign_at` out";
        item.refuse(findings, "means nothing here", help);
    }
    let assign_last = assign_at.map_or(Some(false), |item| {
        item.one_of(findings, &["first", "last"], &[], |name| match name {
            "first" => Some(false),
            "last" => Some(true),
            _ => None,
        })
    });
    let accept = table.item("accept");
    let labels = match &accept {
        Some(item) if assign_item.is_none() => {
            let help = "name the character between label and value, as in `assign = \"=\"`";
            item.refuse(
                findings,
                "names labels, but without `assign` items have no labels",
                help,
            );
            None
        }
        Some(item) => read_accept(item, findings, algorithm),
        None if assign_item.is_some() => {
            algorithm.map(|algorithm| vec![(DEFAULT_LABEL.to_owned(), algorithm)])
        }
        None => Some(Vec::new()),
    };
    let limit = match table.item("limit") {
        Some(item) => item
            .integer(findings, 1..=64)
            .and_then(|limit| usize::try_from(limit).ok()),
        None => Some(Items::LIMIT),
    };
    let (separator, assign) = (separator?, assign?);
    if let (Some(item), Some(separator), Some(assign)) = (&assign_item, &separator, assign)
        && separator.as_bytes() == [assign]
    {
        item.refuse(
            findings,
            "is also the separator of the items",
            "write `separator` and `assign` as the provider does: they differ",
        );
        return None;
    }
    let divides = |label: &str| {
        separator
            .as_ref()
            .is_some_and(|separator| label.contains(separator))
            || assign.is_some_and(|assign| {
                assign_last == Some(false) && label.as_bytes().contains(&assign)
            })
    };
    if let Some(item) = &accept
        && let Some((label, _)) = labels.iter().flatten().find(|(label, _)| divides(label))
    {
        let help = "write the label alone, without the text around it";
        item.refuse(
            findings,
            format_args!("holds `{label}`, which `separator` or `assign` would cut"),
            help,
        );
        return None;
    }
    Some(Items {
        separator,
        assign,
        assign_last: assign_last?,
        accept: labels?,
        limit: limit?,
    })
}

fn read_separator(item: &Item<'_>, findings: &mut Findings) -> Option<String> {
    let text = item.text(findings, "separator = \",\"")?;
    let is_fit =
        (1..=4).contains(&text.len()) && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    if !is_fit {
        let help =
            "write the exact text, one to four visible characters, as in `\",\"` or `\", \"`";
        item.refuse(findings, "cannot be a separator", help);
    }
    is_fit.then(|| text.to_owned())
}

/// Reads a list of labels, or a table that gives each label its algorithm.
fn read_accept(
    item: &Item<'_>,
    findings: &mut Findings,
    algorithm: Option<Algorithm>,
) -> Option<Vec<(String, Algorithm)>> {
    const LIST: &str = "accept = [\"v1\"]";
    const TABLE: &str = "accept = { v1 = \"hmac-sha256\" }";
    let mut labels: Vec<(String, Option<Algorithm>)> = Vec::new();
    if item.value.get_ref().is_table() {
        let signing = Algorithm::ALL
            .into_iter()
            .filter(|a| matches!(a.kind(), Kind::Digest(_) | Kind::Public(_)));
        let names: Vec<&str> = signing.map(Algorithm::name).collect();
        let named = |name: &str| {
            Algorithm::named(name).filter(|algorithm| names.contains(&algorithm.name()))
        };
        for (label, entry) in item.table(findings, TABLE)?.items() {
            if label.is_empty() || label.chars().any(char::is_control) {
                findings.problem(
                    entry.key_span.clone(),
                    "no item can have this label",
                    format!("write `{TABLE}`"),
                );
            }
            labels.push((label.to_owned(), entry.one_of(findings, &names, &[], named)));
        }
    } else {
        for entry in item.list(findings, LIST)? {
            let label = entry.label(findings, 64, "v1")?;
            if labels.iter().any(|(other, _)| other == label) {
                entry.refuse(findings, "names a label twice", "name each label once");
            }
            labels.push((label.to_owned(), algorithm));
        }
    }
    if labels.is_empty() {
        item.refuse(
            findings,
            "is empty: no signature could count",
            format!("name the labels, as in `{LIST}`"),
        );
        return None;
    }
    labels
        .into_iter()
        .map(|(label, algorithm)| Some((label, algorithm?)))
        .collect()
}
