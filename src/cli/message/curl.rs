//! A curl command, or only its `-H` lines, as a shell would read it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Body, Fault, Message};

/// The options with a value that is of no interest here.
const WITH_VALUE: &[&str] = &[
    "-o",
    "--output",
    "-m",
    "--max-time",
    "--connect-timeout",
    "-x",
    "--proxy",
    "--cacert",
    "-E",
    "--cert",
    "--key",
    "--resolve",
    "-w",
    "--write-out",
    "--retry",
    "-K",
    "--config",
    "-T",
    "--upload-file",
    "-c",
    "--cookie-jar",
    "--connect-to",
    "--limit-rate",
    "-F",
    "--form",
    "--interface",
    "-D",
    "--dump-header",
    "--retry-delay",
    "--unix-socket",
];

/// Whether a text is a curl command, or begins with an option for a header.
pub(super) fn is_command(text: &str) -> bool {
    let text = text.strip_prefix("$ ").unwrap_or(text);
    let begins = |word: &str| {
        text.strip_prefix(word)
            .is_some_and(|rest| rest.starts_with([' ', '\'', '"', '=', '\\']))
    };
    ["curl", "curl.exe", "-H", "--header"]
        .into_iter()
        .any(begins)
}

pub(super) fn read(text: &str) -> Result<Message, Fault> {
    let text = text.strip_prefix("$ ").unwrap_or(text);
    let words = words(text)
        .ok_or_else(|| Fault::new("this curl command ends in the middle of a quoted word"))?;
    let mut message = Message::default();
    let mut data: Vec<String> = Vec::new();
    let (mut is_form, mut in_query) = (false, false);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        // The end of a pipe's command, or of a list's.
        if matches!(word.as_str(), "|" | ";" | "&&" | ">") {
            break;
        }
        let (option, mut attached) = split(&word);
        let mut value = || attached.take().or_else(|| words.next()).unwrap_or_default();
        match option {
            "-H" | "--header" => {
                let line = value();
                if let Some((name, value)) = line.split_once(':') {
                    message
                        .fields
                        .push((name.trim().into(), value.trim().into()));
                } else if let Some(name) = line.strip_suffix(';') {
                    message.fields.push((name.trim().into(), Vec::new()));
                }
            }
            "-X" | "--request" => message.method = Some(value()),
            "--url" => message.url = Some(value()),
            "-A" | "--user-agent" => message
                .fields
                .push((b"User-Agent".to_vec(), value().into())),
            "-e" | "--referer" => message.fields.push((b"Referer".to_vec(), value().into())),
            "-b" | "--cookie" => message.fields.push((b"Cookie".to_vec(), value().into())),
            "-u" | "--user" => {
                let line = format!("Basic {}", STANDARD.encode(value()));
                message
                    .fields
                    .push((b"Authorization".to_vec(), line.into()));
            }
            "-d" | "--data" | "--data-ascii" | "--data-raw" | "--data-binary" | "--json" => {
                let text = value();
                match text.strip_prefix('@').filter(|_| option != "--data-raw") {
                    Some(path) => {
                        message.body = Some(Body::File {
                            path: path.into(),
                            without_newlines: matches!(option, "-d" | "--data" | "--data-ascii"),
                        });
                    }
                    None => data.push(text),
                }
                is_form = option != "--json";
                if option == "--json" {
                    message
                        .fields
                        .push((b"Content-Type".to_vec(), b"application/json".to_vec()));
                }
            }
            "--data-urlencode" => {
                return Err(Fault::new(
                    "`--data-urlencode` is not read: give the body as it was sent with `--body FILE`",
                ));
            }
            "-G" | "--get" => in_query = true,
            "-I" | "--head" => message.method = Some("HEAD".to_owned()),
            option if WITH_VALUE.contains(&option) => drop(value()),
            _ if word.starts_with('-') || word == "curl" || word == "curl.exe" => {}
            _ if message.url.is_none() => message.url = Some(word),
            _ => {}
        }
    }
    if in_query {
        let joined = data.join("&");
        message.url = message.url.map(|url| format!("{url}?{joined}"));
    } else if !data.is_empty() {
        message.body = Some(Body::Bytes(data.join("&").into_bytes()));
    }
    let has_type = message
        .fields
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case(b"content-type"));
    if message.body.is_some() && is_form && !has_type {
        let form = b"application/x-www-form-urlencoded".to_vec();
        message.fields.push((b"Content-Type".to_vec(), form));
    }
    if message
        .url
        .as_deref()
        .is_some_and(|url| !url.contains("://") && !url.starts_with('/'))
    {
        message.url = message.url.map(|url| format!("http://{url}"));
    }
    if message.fields.is_empty() {
        return Err(Fault::new("this curl command has no `-H 'Name: value'`"));
    }
    if message.method.is_none() && message.body.is_none() && message.url.is_some() {
        message.method = Some("GET".to_owned());
    }
    Ok(message)
}

/// An option and the value that is attached to it: `-Hx`, `--header=x`.
fn split(word: &str) -> (&str, Option<String>) {
    if word.starts_with("--") {
        return match word.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (word, None),
        };
    }
    let takes = |option: &str| matches!(option, "-H" | "-X" | "-d" | "-u" | "-A" | "-b" | "-e");
    match word.split_at_checked(2) {
        Some((option, value)) if takes(option) && !value.is_empty() => {
            (option, Some(value.to_owned()))
        }
        _ => (word, None),
    }
}

/// The words of a command as a POSIX shell splits them, with `$'…'` of bash. A backslash or a caret
/// (Windows) at the end of a line continues it. `None` if a quotation mark is not closed.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        inner => word.push(inner),
                    }
                }
            }
            '$' if chars.peek() == Some(&'\'') => {
                chars.next();
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        '\\' => match chars.next()? {
                            'n' => word.push('\n'),
                            'r' => word.push('\r'),
                            't' => word.push('\t'),
                            'u' => {
                                let digits: String = chars.by_ref().take(4).collect();
                                word.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
                            }
                            other => word.push(other),
                        },
                        inner => word.push(inner),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => match chars.next()? {
                            inner @ ('"' | '\\' | '$' | '`') => word.push(inner),
                            '\n' => {}
                            inner => word.extend(['\\', inner]),
                        },
                        inner => word.push(inner),
                    }
                }
            }
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some('\r') => drop(chars.next_if_eq(&'\n')),
                Some(inner) => word.get_or_insert_default().push(inner),
            },
            '^' if matches!(chars.peek(), Some('\n' | '\r')) => {}
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}
