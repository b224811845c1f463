//! The variables of CGI (RFC 3875 section 4.1) and of what follows it: WSGI, Rack, PHP's `$_SERVER`.
//! Header names have `HTTP_` in front, capital letters and underscores.

use super::{Field, Message};

/// Whether a name is that of a header in a variable, as in `HTTP_X_HUB_SIGNATURE_256`. nginx
/// writes its variables in small letters.
pub(super) fn is_variable(name: &[u8]) -> bool {
    let rest = name
        .strip_prefix(b"HTTP_")
        .or_else(|| name.strip_prefix(b"http_"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && rest.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
    })
}

/// Whether a name could be that of any variable.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
}

/// The message with variables turned into headers; all other variables are dropped. A message
/// without a variable of a header is left as it is.
pub(super) fn converted(message: Message) -> Message {
    if !message.fields.iter().any(|(name, _)| is_variable(name)) {
        return message;
    }
    let mut out = Message {
        fields: Vec::new(),
        ..message.clone()
    };
    let mut path = None;
    let mut query = None;
    for (name, value) in message.fields {
        let text = || String::from_utf8_lossy(&value).trim().to_owned();
        match name.as_slice() {
            b"REQUEST_METHOD" | b"request_method" => out.method = Some(text()),
            b"REQUEST_URI" | b"request_uri" => out.url = Some(text()),
            b"PATH_INFO" => path = Some(text()),
            b"QUERY_STRING" => query = Some(text()),
            b"CONTENT_TYPE" | b"CONTENT_LENGTH" | b"content_type" | b"content_length"
                if !value.is_empty() =>
            {
                out.fields.push((hyphens(&name), value));
            }
            _ if is_variable(&name) => {
                out.fields
                    .push((hyphens(name.get(5..).unwrap_or_default()), value));
            }
            // A name with a hyphen is a header and no variable.
            _ if name.contains(&b'-') => out.fields.push((name, value)),
            _ => {}
        }
    }
    out.url = out.url.or_else(|| {
        let path = path.filter(|path| path.starts_with('/'))?;
        Some(match query.filter(|query| !query.is_empty()) {
            Some(query) => format!("{path}?{query}"),
            None => path,
        })
    });
    // Some servers give the type and the length of a body twice.
    let mut seen: Vec<Field> = Vec::new();
    out.fields.retain(|field| {
        let is_new = !seen.contains(field);
        seen.push(field.clone());
        is_new
    });
    out
}

fn hyphens(name: &[u8]) -> Vec<u8> {
    let swap = |byte: &u8| match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    };
    name.iter().map(swap).collect()
}
