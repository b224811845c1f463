//! The only place that prints: data to standard output, notes to standard error.

use std::io::Write;

use serde_json::Value;

use crate::config::Problems;
use crate::key::public::PublicKey;
use crate::key::shape::{Suspicion, concealed};
use crate::queue::DeliveryId;

/// Writes a line of data. A reader that has closed the pipe is not an error of ours.
pub(super) fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Writes a line for a person at the terminal, without anything that could be a secret: a message
/// may repeat a name, a path or an argument.
pub(super) fn note(line: &str) {
    let line = concealed(line, Suspicion::Plain);
    // A single write keeps the line whole: the thread of operational messages writes to standard
    // error as well.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Writes a line as [`note`] does, but shows `id` in it as it is: an id that a gateway has made is
/// random, and no secret. Text of another form than theirs is masked like the rest.
pub(super) fn note_with_id(line: &str, id: &str) {
    let line = concealed_but(line, id);
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// The line without anything that could be a secret, apart from an id of a gateway.
fn concealed_but(line: &str, id: &str) -> String {
    if !is_id(id) {
        return concealed(line, Suspicion::Plain).into_owned();
    }
    let parts = line.split(id).map(|part| concealed(part, Suspicion::Plain));
    parts.collect::<Vec<_>>().join(id)
}

/// Whether a text has the form of the ids that gateways make: of requests and plans, or of
/// deliveries.
fn is_id(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    let is_short = text.len() == 32 && text.bytes().all(is_digit);
    is_short || DeliveryId::parse(text).is_some()
}

/// Names the public half of the key that signed. Nothing in it is a secret, so nothing is masked.
pub(super) fn note_signed_by(public: &PublicKey) {
    let line = format!(
        "note: signed with a private key; the gateway needs its public key, {}, whose fingerprint is {}\n",
        public.text(),
        public.fingerprint()
    );
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Writes why a command could not do its work. The problems of a file are written as they are,
/// since each names the file.
pub(super) fn complain(error: &anyhow::Error) {
    match error.downcast_ref::<Problems>() {
        Some(problems) => note(problems.to_string().trim_end()),
        None => note(&format!("verigate: {error:#}")),
    }
}

/// Rows of cells, each column as wide as its widest cell, with two spaces between columns.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let cells: Vec<_> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A number of deliveries, in words.
pub(super) fn deliveries(count: u64) -> String {
    if count == 1 {
        "1 delivery".to_owned()
    } else {
        format!("{count} deliveries")
    }
}

/// A JSON object on a single line, its members in this order.
pub(super) fn json_object(members: &[(&str, Value)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("{}:{value}", Value::from(*name)))
        .collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notation::shell::quoted;

    #[test]
    fn cf_31_an_id_of_a_gateway_is_shown_and_secrets_beside_it_are_not() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        for id in [
            "f3ac5d8b2a6c4e6f9d0b1a2c3d4e5f60",
            "0192f0c4-7b1e-7c3a-8000-000000000001",
        ] {
            let line = format!("`verigate queue cancel {id}` ends it, {secret}");
            let shown = "`verigate queue cancel ID` ends it, ********".replace("ID", id);
            assert_eq!(concealed_but(&line, id), shown);
            assert!(!concealed(&line, Suspicion::Plain).contains(id) || id.contains('-'));
        }
        for id in [
            secret,
            "",
            "sk_live_abcdEFGH",
            "F3AC5D8B2A6C4E6F9D0B1A2C3D4E5F60",
        ] {
            let line = format!("cancel {id}, {secret}");
            let shown = concealed_but(&line, id);
            assert!(
                !shown.contains(secret) && (id.is_empty() || !shown.contains(id)),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let nasty = [
            "",
            "it's",
            "$HOME `id` \\ \"x\"",
            "a\nb\n",
            "'''",
            "!x",
            "-n",
            "*",
            "\u{e9}'\t",
        ];
        let words: Vec<String> = nasty.iter().map(|word| quoted(word)).collect();
        let script = format!("printf '%s\\0' {}", words.join(" "));
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg(script)
            .output()
            .unwrap();
        let expected = nasty.map(|word| word.to_owned() + "\0").concat();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }

    #[test]
    fn an_object_keeps_the_order_of_its_members_and_escapes() {
        let object = json_object(&[
            ("b", "x\"\n".into()),
            ("a", Value::Null),
            ("c", true.into()),
        ]);
        assert_eq!(object, r#"{"b":"x\"\n","a":null,"c":true}"#);
    }

    #[test]
    fn columns_are_aligned_and_lines_end_without_spaces() {
        let rows = [["a", "bbb"], ["cccc", "d"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "a     bbb\ncccc  d");
    }
}
