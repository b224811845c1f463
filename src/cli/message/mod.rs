//! The forms in which people have the headers of a delivery, and perhaps its body with them
//! (contract: Command line).
//!
//! A text comes in, and a message comes out: method, URL, header lines in their order, and the
//! body where the text holds one. Which form the text has is seen from its first character and its
//! lines; nothing is guessed from the headers' values. Values are kept exactly as they are:
//! [`Head::from_parts`](crate::wire::head::Head::from_parts) judges them by the rules of the wire.

mod cgi;
mod columns;
mod curl;
mod document;
mod dumps;
mod lines;
mod logged;
mod printed;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

/// The forms that are taken, for messages.
pub(super) const FORMS: &str = "`--headers` takes `Name: value` lines (a request line may come first), a raw HTTP message \
     with its body, the `>` lines of `curl -v`, a trace of `curl --trace-ascii`, a curl command or its \
     `-H` lines, a JSON object of headers, a HAR file, the event of a serverless function, the \
     headers as a browser's network panel copies them, a table of names and values, lines of a log \
     with a time or a name before each header, and printed variables (`HTTP_X_NAME=value`, \
     `$_SERVER`, a dictionary)";

/// The body that stands in the same text as the headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// The bytes themselves.
    Bytes(Vec<u8>),
    /// The file that a curl command names; the newlines are dropped where curl drops them.
    File {
        path: PathBuf,
        without_newlines: bool,
    },
    /// A body that was parsed already, so that its bytes are lost.
    Parsed,
}

/// A name and a value, as written.
pub(super) type Field = (Vec<u8>, Vec<u8>);

/// What a text of headers says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) method: Option<String>,
    /// A target, or a whole URL.
    pub(super) url: Option<String>,
    pub(super) fields: Vec<Field>,
    pub(super) body: Option<Body>,
}

/// The reason why a text is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The number of the line, counted from 1.
    pub(super) line: Option<usize>,
    pub(super) why: String,
}

impl Fault {
    fn new(why: impl Into<String>) -> Self {
        Self {
            line: None,
            why: why.into(),
        }
    }

    fn at(line: usize, why: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            why: why.into(),
        }
    }
}

impl Message {
    /// Reads a text of any of the [`FORMS`]. With `has_body` the body comes from elsewhere, so
    /// blank lines between header lines are skipped.
    ///
    /// # Errors
    /// The line that is no header, or what a document lacks.
    pub(super) fn read(text: &[u8], has_body: bool) -> Result<Self, Fault> {
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        if let Some(sent) = dumps::undone(text) {
            return Ok(cgi::converted(lines::read(&sent, has_body)?));
        }
        let shown = std::str::from_utf8(text).unwrap_or_default().trim();
        let message = if shown.starts_with(['{', '[']) && shown.ends_with(['}', ']']) {
            match serde_json::from_str(shown) {
                Ok(document) => document::read(&document)?,
                Err(error) => columns::java_map(shown)
                    .or_else(|| columns::read(shown))
                    .or_else(|| printed::read(shown))
                    .ok_or_else(|| {
                        Fault::at(
                            error.line(),
                            "this is neither JSON nor a printed dictionary of headers",
                        )
                    })?,
            }
        } else if curl::is_command(shown) {
            curl::read(shown)?
        } else if printed::is_printed(shown) {
            printed::read(shown)
                .ok_or_else(|| Fault::new("this printed text holds no names with values"))?
        } else if let Some(plain) = columns::of_yaml(shown) {
            lines::read(plain.as_bytes(), has_body)?
        } else {
            let read = lines::read(text, has_body);
            let is_log = read.as_ref().map_or(true, logged::is_log);
            let of_log = is_log.then(|| logged::read(shown, has_body)).flatten();
            match of_log {
                Some(message) => message,
                None => read.or_else(|fault| columns::read(shown).ok_or(fault))?,
            }
        };
        Ok(cgi::converted(message))
    }
}
