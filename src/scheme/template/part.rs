//! The parts of a template, and their names in braces (schemes: Signed content).

use crate::notation::json::Pointer;
use crate::scheme::body_digest::BodyDigest;
use crate::wire::head::FieldName;

/// The parts in braces, for messages.
pub(super) const KNOWN: &str = "{body} {body_sha256:base64} {timestamp} {id} {method} {path} {query} {url} {header:NAME} \
     {json:/POINTER} {form:NAME} {param:NAME} {secret}";

/// A part of the signed content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text of the template itself: never empty, and never beside another literal.
    Literal(String),
    /// `{body}`
    Body,
    /// `{body_sha256:base64}` and the like: a digest of the body.
    BodyDigest(BodyDigest),
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
    /// `{url}`: see [`PublicUrl`](crate::scheme::PublicUrl).
    Url,
    /// `{header:NAME}`: the value of that header.
    Header(FieldName),
    /// `{json:/POINTER}`: the string or integer at that place of the body.
    Json(Pointer),
    /// `{form:NAME}`: the field of that name of a form, as the pointer to a member of an object.
    Form(Pointer),
    /// `{param:NAME}`: a text of the route, which
    /// [`Template::with_params`](super::Template::with_params) puts into its place.
    Param(String),
    /// `{secret}`: the secret, in a plain hash.
    Secret,
}

impl Part {
    /// Whether the sender has no choice of the part's value: the template, the route or the secret
    /// settles it. A route settles the method and the path. It does not settle a URL's query,
    /// although `{url}` counts as settled.
    pub(in crate::scheme) fn is_settled(&self) -> bool {
        matches!(
            self,
            Self::Literal(_)
                | Self::Param(_)
                | Self::Method
                | Self::Path
                | Self::Url
                | Self::Secret
        )
    }
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

/// Reads a part by its name, the text between its braces.
///
/// # Errors
/// The problem with the name, whose brace is at `offset` of the template.
pub(super) fn read(name: &str, offset: usize) -> Result<Part, TemplateProblem> {
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
            } else if let Some(field) = name.strip_prefix("form:") {
                let at = offset + "{form:".len();
                let help = "write it as in `{form:order_id}`";
                Part::Form(
                    Pointer::field(field)
                        .ok_or_else(|| problem(at, "this is not the name of a field", help))?,
                )
            } else if let Some(param) = name.strip_prefix("param:") {
                let at = offset + "{param:".len();
                let help = "write letters, digits, `_` and `-`, as in `{param:app_key}`";
                let is_name = !param.is_empty()
                    && param.len() <= MAX_PARAM_NAME
                    && param
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
                if !is_name {
                    return Err(problem(at, "this is no name of a param", help));
                }
                Part::Param(param.to_owned())
            } else if let Some(digest) =
                BodyDigest::named(name).map_err(|help| TemplateProblem {
                    offset,
                    message: "this digest of the body has no known encoding".to_owned(),
                    help,
                })?
            {
                Part::BodyDigest(digest)
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

/// The longest name of a `{param:…}`, in bytes.
const MAX_PARAM_NAME: usize = 64;

pub(super) fn problem(offset: usize, message: &str, help: &str) -> TemplateProblem {
    TemplateProblem {
        offset,
        message: message.to_owned(),
        help: help.to_owned(),
    }
}
