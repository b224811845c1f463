//! Contentful: method, path and query, a list of headers, and the body (schemes: Code; the
//! provider's own library, `@contentful/node-apps-toolkit` 3.16.1).
//!
//! A header lists the names of the signed headers. The list must name itself and the timestamp, and
//! each header that it names must occur exactly once. Other headers are not signed; the topic is
//! signed only if the list names it.

use super::reading;
use crate::notation::encoding::Encoding;
use crate::notation::timestamp::Unit;
use crate::scheme::code::{Begun, CodeKey, ProviderCode, RouteFacts, SignRequest, Statement};
use crate::scheme::{Algorithm, Place};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{FieldName, Found, Head};

const SIGNATURE: &str = "x-contentful-signature";
const SIGNED_HEADERS: &str = "x-contentful-signed-headers";
const TIMESTAMP: &str = "x-contentful-timestamp";
const ALGORITHM: Algorithm = Algorithm::HmacSha256;
const UNIT: Unit = Unit::Milliseconds;

const NO_LIST: Refusal = Refusal::because(
    Code::MalformedSignature,
    "x-contentful-signed-headers is missing, or there more than once",
);
const BAD_LIST: Refusal = Refusal::because(
    Code::MalformedSignature,
    "x-contentful-signed-headers is not a list of names in lower case, sorted, without white \
     space, each named once",
);
const SHORT_LIST: Refusal = Refusal::because(
    Code::MalformedSignature,
    "x-contentful-signed-headers does not name both itself and x-contentful-timestamp",
);
const NO_HEADER: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a signed header is missing, or there more than once",
);
const NOT_DIVIDED: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the value of a signed header holds `;NAME:`, NAME being the next signed header, which \
     separates the two",
);
const TWO_QUERIES: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the URL has a second question mark, and the signature does not cover the text after it",
);
const SEVERAL_TIMESTAMPS: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "the timestamp header is there more than once",
);
const NO_TIME: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "the timestamp is not a plain decimal number without a leading zero",
);

/// Contentful's code.
#[derive(Debug)]
pub(super) struct Contentful;

impl ProviderCode for Contentful {
    fn name(&self) -> &'static str {
        "contentful"
    }

    fn content_words(&self) -> &'static str {
        "method, path, the listed headers and the body"
    }

    fn secret_words(&self) -> &'static str {
        "the signing secret of the space: its bytes are the key"
    }

    fn covers_body(&self) -> bool {
        true
    }

    fn spellings(&self) -> usize {
        2
    }

    fn timestamp_words(&self) -> Option<&'static str> {
        Some("header `x-contentful-timestamp`, milliseconds")
    }

    fn headers(&self) -> &'static [&'static str] {
        &[SIGNATURE, SIGNED_HEADERS, TIMESTAMP]
    }

    fn signs_path(&self) -> bool {
        true
    }

    fn signs_timestamp(&self) -> bool {
        true
    }

    fn signs(&self, place: &Place) -> bool {
        match place {
            Place::Json(_) => true,
            Place::Header(name) => name.is_one_of(&[TIMESTAMP, SIGNED_HEADERS]),
            Place::Claim(_) => false,
        }
    }

    fn signs_header(&self, head: &Head, name: &FieldName) -> bool {
        let Found::One(list) = head.find_str(SIGNED_HEADERS) else {
            return false;
        };
        list.split(|byte| *byte == b',')
            .any(|listed| name.is(listed))
    }

    fn begin(&self, head: &Head) -> Result<Begun, Refusal> {
        let signature = reading::signature(head, SIGNATURE, Encoding::Hex, ALGORITHM)?;
        let at = match head.find_str(TIMESTAMP) {
            Found::Nothing | Found::One(b"") => return Err(Code::MissingTimestamp.into()),
            Found::Several => return Err(SEVERAL_TIMESTAMPS),
            Found::One(text) => UNIT.parse(text).ok_or(NO_TIME)?,
        };
        let timestamp = Some((at, UNIT));
        Ok(Begun {
            timestamp,
            signatures: vec![signature],
            algorithm: ALGORITHM,
            ..Begun::default()
        })
    }

    fn read(
        &self,
        head: &Head,
        begun: Begun,
        body: &[u8],
        _route: RouteFacts<'_>,
    ) -> Result<Statement, Refusal> {
        let (starts, rest) = contents(head, body)?;
        Ok(reading::statement(starts, rest, begun))
    }

    /// Signs all headers that the request already has, besides the timestamp and the list.
    fn sign(
        &self,
        key: CodeKey<'_>,
        request: &SignRequest<'_>,
    ) -> Result<Option<Vec<(String, String)>>, Refusal> {
        let mut names: Vec<_> = request
            .headers
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        names.extend([SIGNED_HEADERS, TIMESTAMP].map(str::to_owned));
        names.sort_unstable();
        let time = UNIT.write(request.at).ok_or(NO_TIME)?;
        let headers = vec![
            (TIMESTAMP.to_owned(), time),
            (SIGNED_HEADERS.to_owned(), names.join(",")),
        ];
        let head = reading::unsigned(request, &headers)?;
        let (starts, rest) = contents(&head, request.body)?;
        Ok(reading::completed(
            headers,
            SIGNATURE,
            &[starts.into_iter().next().unwrap_or_default(), rest].concat(),
            key,
            Encoding::Hex,
        ))
    }
}

/// The signed content: method and path, in each spelling of the path, and the rest.
fn contents(head: &Head, body: &[u8]) -> Result<(Vec<Vec<u8>>, Vec<u8>), Refusal> {
    let headers = headers(head)?;
    let start = |path: Vec<u8>| [head.method().as_bytes(), &path].join(&b'\n');
    let starts = paths(head)?.into_iter().map(start).collect();
    Ok((starts, [b"", &headers[..], body].join(&b'\n')))
}

/// The signed headers: `name:value`, joined by semicolons.
fn headers(head: &Head) -> Result<Vec<u8>, Refusal> {
    let Found::One(list) = head.find_str(SIGNED_HEADERS) else {
        return Err(NO_LIST);
    };
    let list = std::str::from_utf8(list).map_err(|_| BAD_LIST)?;
    if list.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(BAD_LIST);
    }
    for name in [SIGNED_HEADERS, TIMESTAMP] {
        if !list.split(',').any(|listed| listed == name) {
            return Err(SHORT_LIST);
        }
    }
    let mut out = Vec::new();
    let mut names = list.split(',').peekable();
    while let Some(name) = names.next() {
        let Found::One(value) = head.find_str(name) else {
            return Err(NO_HEADER);
        };
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        out.extend_from_slice(value);
        if let Some(next) = names.peek() {
            if name >= *next {
                return Err(BAD_LIST);
            }
            // A value with this text in it could be taken apart in two ways.
            let divider = [b";", next.as_bytes(), b":"].concat();
            if memchr::memmem::find(value, &divider).is_some() {
                return Err(NOT_DIVIDED);
            }
            out.push(b';');
        }
    }
    Ok(out)
}

/// The spellings of path and query that may have been signed: the query is escaped as a whole, then
/// path and query once more together.
///
/// The provider may have signed a target with escapes in its decoded form. That form is tried only
/// if every escape encodes a byte that a target cannot hold unescaped, so two different targets
/// never have the same signed content.
fn paths(head: &Head) -> Result<Vec<Vec<u8>>, Refusal> {
    let query = head.query().unwrap_or_default();
    if query.contains('?') {
        return Err(TWO_QUERIES);
    }
    let (path, query) = (head.path().as_bytes(), query.as_bytes());
    let mut paths = vec![encoded(path, query)];
    if let (true, Some(path), Some(query)) =
        (head.target().contains('%'), plain(path), plain(query))
    {
        paths.push(encoded(&path, &query));
    }
    Ok(paths)
}

fn encoded(path: &[u8], query: &[u8]) -> Vec<u8> {
    let mut uri = path.to_vec();
    if !query.is_empty() {
        uri.push(b'?');
        uri.extend(escaped(query, |byte| {
            byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte)
        }));
    }
    escaped(&uri, |byte| {
        byte.is_ascii_alphanumeric() || b"-_.!~*'();/?:@&=+$,#".contains(&byte)
    })
}

/// The text with `%HH` for every byte that is not kept.
fn escaped(text: &[u8], keeps: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        if keeps(*byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}

/// The decoded form of a path or query; `None` where an escape is spelled in another way than the
/// provider's library spells it, or encodes `%` or a byte that a target can hold unescaped.
fn plain(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        let mut byte = [0];
        if digits.iter().any(u8::is_ascii_lowercase)
            || Encoding::HexAny.decode(digits, &mut byte) != Some(1)
        {
            return None;
        }
        let [byte] = byte;
        if byte < 0x80 && !b" \"<>[]^`{|}".contains(&byte) {
            return None;
        }
        out.push(byte);
        rest = behind;
    }
    Some(out)
}

#[cfg(test)]
mod tests;
