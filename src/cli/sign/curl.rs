//! A signed request as a command to paste, quoted for a POSIX shell, with the options that keep
//! curl from changing it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::cli::delivery::is_stdin;
use crate::notation::shell::quoted;

/// A signed request, ready to be shown.
#[derive(Debug)]
pub(super) struct Signed<'s> {
    pub(super) method: &'s str,
    pub(super) url: String,
    /// Further options of curl with their values.
    pub(super) options: Vec<(&'static str, String)>,
    pub(super) headers: Vec<(String, String)>,
}

impl Signed<'_> {
    /// A command for a POSIX shell that sends exactly this request.
    pub(super) fn curl(&self, file: &Path, body: &[u8]) -> anyhow::Result<String> {
        // Without these options curl interprets brackets and dot segments of a URL itself.
        let mut command = format!(
            "curl -sS --globoff --path-as-is -X {} {}",
            quoted(self.method),
            quoted(&self.url)
        );
        for (option, value) in &self.options {
            // Writing to a String cannot fail.
            let _ = write!(command, " \\\n  {option} {}", quoted(value));
        }
        for (name, value) in &self.headers {
            put_header(&mut command, name, value);
        }
        // `--data-binary` takes a text that begins with `@` for a file, `--data-raw` does not.
        // Neither changes a byte.
        let data = if is_stdin(file) {
            let text = std::str::from_utf8(body)
                .ok()
                .filter(|text| !text.contains('\0'));
            let text =
                text.context("the body is not text that a command can hold: name it as a file with `--body FILE`")?;
            format!("--data-raw {}", quoted(text))
        } else {
            let path = file
                .to_str()
                .context("the name of the body file is not UTF-8: rename it")?;
            format!("--data-binary {}", quoted(&format!("@{path}")))
        };
        Ok(command + " \\\n  " + &data)
    }
}

fn put_header(command: &mut String, name: &str, value: &str) {
    // curl drops a header without a value unless it ends in a semicolon.
    let line = if value.is_empty() {
        format!("{name};")
    } else {
        format!("{name}: {value}")
    };
    // Writing to a String cannot fail.
    let _ = write!(command, " \\\n  -H {}", quoted(&line));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed() -> Signed<'static> {
        let headers = vec![
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("X-Time".to_owned(), "1".to_owned()),
            ("X-Empty".to_owned(), String::new()),
        ];
        Signed {
            method: "POST",
            url: "http://127.0.0.1:8080/in/x?a=1&b=2".to_owned(),
            options: Vec::new(),
            headers,
        }
    }

    #[test]
    fn a_command_names_the_file_or_holds_the_text() {
        let file = signed().curl(Path::new("my event's.json"), b"[]").unwrap();
        insta::assert_snapshot!(file, @r"
        curl -sS --globoff --path-as-is -X POST 'http://127.0.0.1:8080/in/x?a=1&b=2' \
          -H 'Content-Type: application/json' \
          -H 'X-Time: 1' \
          -H 'X-Empty;' \
          --data-binary '@my event'\''s.json'
        ");
        let inline = signed().curl(Path::new("-"), b"@it's\n").unwrap();
        assert!(inline.ends_with("--data-raw '@it'\\''s\n'"), "{inline}");
        for body in [&b"\xff"[..], b"a\0b"] {
            let message = signed().curl(Path::new("-"), body).unwrap_err().to_string();
            assert!(message.contains("--body FILE"), "{message}");
        }
    }
}
