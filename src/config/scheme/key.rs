//! The key `key`: the way from a secret's text to the bytes of the key (schemes: Keys and secrets).

use super::super::reader::{Findings, Item};
use crate::scheme::{Characters, KeyEncoding, KeyForm, SecretForm};

/// Reads a form, or a list of candidate forms.
pub(super) fn read(item: &Item<'_>, findings: &mut Findings) -> Option<Vec<KeyForm>> {
    if !item.value.get_ref().is_array() {
        return Some(vec![read_form(item, findings)?]);
    }
    let entries = item.list(findings, "key = \"utf8\"")?;
    if entries.is_empty() {
        item.refuse(
            findings,
            "is empty: no secret could be a key",
            "name at least one, as in `[\"utf8\"]`",
        );
        return None;
    }
    let read: Vec<_> = entries
        .iter()
        .map(|entry| read_form(entry, findings))
        .collect();
    read.into_iter().collect()
}

/// Reads `secret_begins`: the beginnings of the provider's secrets.
pub(super) fn read_begins(item: &Item<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    // A whole secret may have been written here by mistake.
    findings.hide_all(item.value);
    let entries = item.list(findings, "secret_begins = [\"whsec_\"]")?;
    let read = entries.iter().map(|entry| {
        let begin = entry.label(findings, 32, "whsec_");
        begin.map(ToOwned::to_owned)
    });
    read.collect::<Vec<_>>().into_iter().collect()
}

/// Reads `secret_form`: the characters and the length of the provider's secrets.
pub(super) fn read_secret_form(item: &Item<'_>, findings: &mut Findings) -> Option<SecretForm> {
    let mut table = item.table(findings, "secret_form = { characters = \"hex\" }")?;
    let names = Characters::ALL.map(Characters::name);
    let characters = table.required(findings, "characters", "\"hex\"");
    let characters =
        characters.and_then(|item| item.one_of(findings, &names, &[], Characters::named));
    let mut bound = |key, otherwise| match table.item(key) {
        Some(item) => {
            let length = item.integer(findings, 1..=u64::from(u16::MAX))?;
            u16::try_from(length).ok()
        }
        None => Some(otherwise),
    };
    let (least, most) = (bound("least", 1), bound("most", u16::MAX));
    table.finish(findings);
    let length = [least?, most?];
    let [least, most] = length;
    if least > most {
        item.refuse(
            findings,
            "has a `least` above its `most`",
            "write the shortest length as `least`, and the longest as `most`",
        );
        return None;
    }
    let characters = characters?;
    Some(SecretForm { characters, length })
}

fn read_form(item: &Item<'_>, findings: &mut Findings) -> Option<KeyForm> {
    if !item.value.get_ref().is_table() {
        return Some(KeyForm {
            encoding: read_encoding(item, findings)?,
            ..KeyForm::default()
        });
    }
    let mut table = item.table(findings, "key = \"utf8\"")?;
    let encoding = table.required(findings, "encoding", "\"base64\"");
    let strip = table.item("strip");
    let has_strip = strip.is_some();
    let strip = strip.and_then(|item| item.label(findings, 64, "whsec_").map(ToOwned::to_owned));
    let drop_first = table.item("drop_first");
    let drop_first =
        drop_first.and_then(|item| item.label(findings, 8, "-").map(ToOwned::to_owned));
    let required = table.item("required");
    let strip_required = required
        .as_ref()
        .and_then(|item| item.flag(findings))
        .unwrap_or(false);
    if let Some(item) = required.filter(|_| strip_required && !has_strip) {
        item.refuse(
            findings,
            "is set without a prefix",
            "name the prefix, as in `strip = \"whsec_\"`, or leave `required` out",
        );
    }
    table.finish(findings);
    Some(KeyForm {
        encoding: read_encoding(&encoding?, findings)?,
        strip,
        drop_first,
        strip_required,
    })
}

fn read_encoding(item: &Item<'_>, findings: &mut Findings) -> Option<KeyEncoding> {
    let encoding = item.one_of(
        findings,
        &["utf8", "utf8-nfkd", "base64", "hex"],
        &[],
        |name| match name {
            "utf8" => Some(KeyEncoding::Utf8),
            "utf8-nfkd" => Some(KeyEncoding::Utf8Nfkd),
            "base64" => Some(KeyEncoding::Base64),
            "hex" => Some(KeyEncoding::Hex),
            _ => None,
        },
    );
    if encoding.is_none() {
        // The operator may have written the secret under `key`, so the value must not be shown.
        findings.hide_all(item.value);
    }
    encoding
}
