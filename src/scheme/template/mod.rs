//! Templates of the signed content: parsed once when a configuration is loaded, and rendered for
//! each delivery into the bytes before and after `{body}` (schemes: Signed content).
//!
//! A template here only has to be readable; [`faults`](super::faults) says which parts a scheme may
//! combine.

use super::content::{Gap, Open, SignedContent, divided};
use super::public_url::PublicUrl;
use crate::notation::json::Pointer;
use crate::scheme::refusals::NO_PUBLIC_URL;
use crate::verdict::{Code, Refusal};
use crate::wire::head::{FieldName, Found};

/// The parts in braces, for messages.
const KNOWN: &str =
    "{body} {timestamp} {id} {method} {path} {query} {url} {header:NAME} {json:/POINTER} {secret}";

/// A part of the signed content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text of the template itself: never empty, and never beside another literal.
    Literal(String),
    /// `{body}`
    Body,
    /// `{timestamp}`: the received text.
    Timestamp,
    /// `{id}`: the header that `event_id` names.
    Id,
    /// `{method}`
    Method,
    /// `{path}`: the target up to its `?`, as received.
    Path,
    /// `{query}`: the target behind its `?`, as received; empty for a target without `?`.
    Query,
    /// `{url}`: see [`PublicUrl`].
    Url,
    /// `{header:NAME}`: the value of that header.
    Header(FieldName),
    /// `{json:/POINTER}`: the string or integer at that place of the body.
    Json(Pointer),
    /// `{secret}`: the secret, in a plain hash.
    Secret,
}

impl Part {
    /// Whether the sender has no choice of the part's value: the template, the route or the secret
    /// settles it. A route settles the method and the path. It does not settle a URL's query,
    /// although `{url}` counts as settled.
    pub(super) fn is_settled(&self) -> bool {
        matches!(
            self,
            Self::Literal(_) | Self::Method | Self::Path | Self::Url | Self::Secret
        )
    }
}

/// A parsed template; the default one has no parts.
#[derive(Clone, Debug, Default)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
    // For each part, its delimiters: see [`delimiters`].
    delimiters: Vec<[Option<u8>; 2]>,
    covers_body: bool,
}

/// A reason why a template cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateProblem {
    /// The position of the problem in the template's text, in bytes.
    pub offset: usize,
    /// The problem, in lower case and without a full stop.
    pub message: String,
    /// The correction, as advice to the operator.
    pub help: String,
}

/// The values of a request that a template renders.
pub trait Facts {
    /// The method as received.
    fn method(&self) -> &str;
    /// The target as received.
    fn target(&self) -> &str;
    /// The timestamp's text as received; `None` for a scheme without timestamp.
    fn timestamp(&self) -> Option<&[u8]>;
    /// The value of the event id's header.
    fn id(&self) -> Found<'_>;
    /// The value of the header of this name.
    fn header(&self, name: &FieldName) -> Found<'_>;
    /// The route's `public_url`.
    fn public_url(&self) -> Option<&PublicUrl>;
}

impl Template {
    /// Parses a template: literal text, parts in braces, `{{` and `}}` for braces themselves.
    ///
    /// # Errors
    /// The first problem in the text, with its position.
    pub fn parse(text: &str) -> Result<Self, TemplateProblem> {
        let mut parts: Vec<Part> = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(found) = rest.find(['{', '}']) {
            let offset = text.len() - rest.len() + found;
            let (plain, from_brace) = rest.split_at_checked(found).unwrap_or((rest, ""));
            literal.push_str(plain);
            if let Some(behind) = from_brace.strip_prefix("{{") {
                literal.push('{');
                rest = behind;
            } else if let Some(behind) = from_brace.strip_prefix("}}") {
                literal.push('}');
                rest = behind;
            } else if let Some(inside) = from_brace.strip_prefix('{') {
                let closed = inside
                    .split_once('}')
                    .filter(|(name, _)| !name.contains('{'));
                let Some((name, behind)) = closed else {
                    return Err(problem(
                        offset,
                        "this `{` is not closed",
                        "write `{{` for a brace itself",
                    ));
                };
                let part = part(name, offset)?;
                if part == Part::Body && parts.contains(&Part::Body) {
                    return Err(problem(
                        offset,
                        "`{body}` is here a second time",
                        "sign the body once",
                    ));
                }
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(part);
                rest = behind;
            } else {
                return Err(problem(
                    offset,
                    "this `}` closes nothing",
                    "write `}}` for a brace itself",
                ));
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        if parts.is_empty() {
            return Err(problem(
                0,
                "nothing is signed",
                &format!("name the parts: {KNOWN}"),
            ));
        }
        let delimiters = (0..parts.len()).map(|at| delimiters(&parts, at)).collect();
        let covers_body = parts.contains(&Part::Body);
        Ok(Self {
            text: text.to_owned(),
            parts,
            delimiters,
            covers_body,
        })
    }

    /// The template as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The parts of the template, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether `{body}` is a part of the template.
    pub fn covers_body(&self) -> bool {
        self.covers_body
    }

    /// The pointers of the `{json:…}` parts, in order.
    pub fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        self.parts.iter().filter_map(|part| match part {
            Part::Json(pointer) => Some(pointer),
            _ => None,
        })
    }

    /// Renders the parts that the head decides. Gaps are left for values of the body and for the
    /// secret.
    ///
    /// # Errors
    /// - `invalid_envelope` where `{id}` is missing, occurs twice, is empty or contains a
    ///   delimiter.
    /// - `malformed_signature` where a signed header is missing, occurs twice or contains a
    ///   delimiter, where the query contains a delimiter, and where the route has no `public_url`
    ///   for `{url}`.
    /// - `missing_timestamp` where `{timestamp}` has no value.
    pub fn render(&self, facts: &impl Facts) -> Result<SignedContent, Refusal> {
        let mut out = Vec::with_capacity(CONTENT_ROOM);
        let mut gaps = Vec::new();
        let mut before = None;
        for (part, delimiters) in self.parts.iter().zip(&self.delimiters) {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Body => before = Some(out.len()),
                Part::Timestamp => {
                    out.extend_from_slice(
                        facts
                            .timestamp()
                            .ok_or(Refusal::from(Code::MissingTimestamp))?,
                    );
                }
                Part::Id => {
                    out.extend_from_slice(divided(id(facts.id())?, *delimiters, ID_NOT_DIVIDED)?);
                }
                Part::Method => out.extend_from_slice(facts.method().as_bytes()),
                Part::Path => {
                    let target = facts.target();
                    out.extend_from_slice(
                        target
                            .split_once('?')
                            .map_or(target, |(path, _)| path)
                            .as_bytes(),
                    );
                }
                Part::Query => {
                    let query = facts
                        .target()
                        .split_once('?')
                        .map_or("", |(_, query)| query);
                    out.extend_from_slice(divided(
                        query.as_bytes(),
                        *delimiters,
                        QUERY_NOT_DIVIDED,
                    )?);
                }
                Part::Url => facts
                    .public_url()
                    .ok_or(NO_PUBLIC_URL)?
                    .write(facts.target(), &mut out),
                Part::Header(name) => {
                    out.extend_from_slice(divided(
                        header(facts.header(name))?,
                        *delimiters,
                        HEADER_NOT_DIVIDED,
                    )?);
                }
                Part::Json(_) | Part::Secret => {
                    let is_behind_body = before.is_some();
                    let what = if *part == Part::Secret {
                        Open::Secret
                    } else {
                        Open::Json(*delimiters)
                    };
                    gaps.push(Gap {
                        at: out.len(),
                        is_behind_body,
                        what,
                    });
                }
            }
        }
        Ok(SignedContent {
            before: before.unwrap_or(out.len()),
            bytes: out,
            gaps,
        })
    }
}

/// The room, in bytes, for the signed content without the body. Enough for nearly all schemes, so
/// that there is a single allocation.
const CONTENT_ROOM: usize = 64;

const ID_NOT_DIVIDED: Refusal = Refusal::because(
    Code::InvalidEnvelope,
    "the event id holds a byte that divides it from the rest of the signed content",
);
const HEADER_NOT_DIVIDED: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a signed header holds a byte that divides it from the rest of the signed content",
);
const QUERY_NOT_DIVIDED: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the query holds a byte that divides it from the rest of the signed content",
);

fn id(found: Found<'_>) -> Result<&[u8], Refusal> {
    match found {
        Found::Nothing | Found::One(b"") => Err(Refusal::because(
            Code::InvalidEnvelope,
            "the event id, which is signed, is missing",
        )),
        Found::One(value) => Ok(value),
        Found::Several => Err(Refusal::because(
            Code::InvalidEnvelope,
            "the event id header is there more than once",
        )),
    }
}

fn header(found: Found<'_>) -> Result<&[u8], Refusal> {
    match found {
        Found::Nothing => Err(Refusal::because(
            Code::MalformedSignature,
            "a signed header is missing",
        )),
        Found::One(value) => Ok(value),
        Found::Several => Err(Refusal::because(
            Code::MalformedSignature,
            "a signed header is there more than once",
        )),
    }
}

/// The delimiters of the part at `at`: the first bytes of the literals on its left and on its
/// right. A literal delimits only if the sender chooses another value beyond it: the `v0:` at the
/// start of `v0:{id}:{body}` delimits nothing.
fn delimiters(parts: &[Part], at: usize) -> [Option<u8>; 2] {
    let literal = |part: Option<&Part>| match part {
        Some(Part::Literal(text)) => text.bytes().next(),
        _ => None,
    };
    let (left, right) = (
        parts.get(..at).unwrap_or_default(),
        parts.get(at + 1..).unwrap_or_default(),
    );
    let is_chosen = |side: &[Part]| side.iter().any(|part| !part.is_settled());
    [
        literal(left.last()).filter(|_| is_chosen(left)),
        literal(right.first()).filter(|_| is_chosen(right)),
    ]
}

fn part(name: &str, offset: usize) -> Result<Part, TemplateProblem> {
    Ok(match name {
        "body" => Part::Body,
        "timestamp" => Part::Timestamp,
        "id" => Part::Id,
        "method" => Part::Method,
        "path" => Part::Path,
        "query" => Part::Query,
        "url" => Part::Url,
        "secret" => Part::Secret,
        _ => {
            if let Some(field) = name.strip_prefix("header:") {
                let at = offset + "{header:".len();
                let help = "write it as in `{header:X-Nonce}`";
                Part::Header(
                    FieldName::new(field)
                        .ok_or_else(|| problem(at, "this is not a header name", help))?,
                )
            } else if let Some(pointer) = name.strip_prefix("json:") {
                let at = offset + "{json:".len();
                let help = "begin it with `/`, as in `{json:/data/id}` (RFC 6901)";
                Part::Json(
                    Pointer::parse(pointer)
                        .ok_or_else(|| problem(at, "this is no JSON pointer", help))?,
                )
            } else {
                return Err(problem(
                    offset,
                    &format!("`{{{name}}}` is not known"),
                    &format!("the parts are {KNOWN}"),
                ));
            }
        }
    })
}

fn problem(offset: usize, message: &str, help: &str) -> TemplateProblem {
    TemplateProblem {
        offset,
        message: message.to_owned(),
        help: help.to_owned(),
    }
}

#[cfg(test)]
mod tests;
