//! Templates of the signed content: parsed once when a configuration is loaded, and rendered for
//! each delivery into the bytes before and after `{body}` (schemes: Signed content).
//!
//! A template here only has to be readable; [`faults`](super::faults) says which parts a scheme may
//! combine.

mod part;

use self::part::{KNOWN, problem, read};
pub use self::part::{Part, TemplateProblem};
use super::content::{ContentBytes, Gap, Open, SignedContent, divided};
use super::id_form::IdForm;
use super::public_url::PublicUrl;
use crate::notation::json::Pointer;
use crate::scheme::refusals::NO_PUBLIC_URL;
use crate::verdict::{Code, Refusal};
use crate::wire::head::{FieldName, Found};

/// A parsed template; the default one has no parts.
#[derive(Clone, Debug, Default)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
    // For each part that is a literal, the text of the template itself in it, without the texts of
    // a route. Empty for every other part.
    own: Vec<String>,
    // For each part, its delimiters: see [`delimiters`].
    delimiters: Vec<[Option<u8>; 2]>,
    holds_body: bool,
    holds_url: bool,
    digests: usize,
    /// `id_form`: the form that every `{id}` has.
    id_form: Option<IdForm>,
    // The texts that were put into the places of params, by their names.
    given: Vec<(String, String)>,
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
                let part = read(name, offset)?;
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
        let own = parts.iter().map(|part| match part {
            Part::Literal(text) => text.clone(),
            _ => String::new(),
        });
        let own = own.collect();
        Ok(Self::of(text.to_owned(), parts, own, None))
    }

    /// The template of these parts. `own` is as the field of that name.
    fn of(text: String, parts: Vec<Part>, own: Vec<String>, id_form: Option<IdForm>) -> Self {
        let is_digest = |part: &&Part| matches!(part, Part::BodyDigest(_));
        Self {
            text,
            delimiters: (0..parts.len())
                .map(|at| delimiters(&parts, &own, at))
                .collect(),
            own,
            holds_body: parts.contains(&Part::Body),
            holds_url: parts.contains(&Part::Url),
            digests: parts.iter().filter(is_digest).count(),
            id_form,
            parts,
            given: Vec::new(),
        }
    }

    /// The template with the texts of a route in the places of its `{param:…}`, which are then
    /// literals. A name without a text stays as it is.
    #[must_use]
    pub fn with_params<'p>(&self, text_of: impl Fn(&str) -> Option<&'p str>) -> Self {
        let mut parts: Vec<Part> = Vec::with_capacity(self.parts.len());
        let mut owned: Vec<String> = Vec::with_capacity(self.parts.len());
        for (part, own) in self.parts.iter().zip(&self.own) {
            let text = match part {
                Part::Param(name) => text_of(name),
                Part::Literal(text) => Some(text.as_str()),
                _ => None,
            };
            if let (Some(text), Some(Part::Literal(before)), Some(owned)) =
                (text, parts.last_mut(), owned.last_mut())
            {
                before.push_str(text);
                owned.push_str(own);
                continue;
            }
            parts.push(text.map_or_else(|| part.clone(), |text| Part::Literal(text.to_owned())));
            owned.push(own.clone());
        }
        let given = self.params().into_iter();
        let given = given.filter_map(|name| Some((name.to_owned(), text_of(name)?.to_owned())));
        Self {
            given: self.given.iter().cloned().chain(given).collect(),
            ..Self::of(self.text.clone(), parts, owned, self.id_form)
        }
    }

    /// The names of the params that have their text, each with it.
    pub fn given(&self) -> &[(String, String)] {
        &self.given
    }

    /// The template as it was written, without the texts of its params; `None` only if it could not
    /// be parsed again.
    pub fn without_params(&self) -> Option<Self> {
        let open = Self::parse(&self.text).ok()?;
        Some(Self {
            id_form: self.id_form,
            ..open
        })
    }

    /// The names of the `{param:…}` that have no text yet, each once.
    pub fn params(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for part in &self.parts {
            if let Part::Param(name) = part
                && !names.contains(&name.as_str())
            {
                names.push(name);
            }
        }
        names
    }

    /// The same template, in which every `{id}` must have this form.
    #[must_use]
    pub fn with_id_form(self, form: IdForm) -> Self {
        Self {
            id_form: Some(form),
            ..self
        }
    }

    /// The form that every `{id}` must have.
    pub fn id_form(&self) -> Option<IdForm> {
        self.id_form
    }

    /// Whether all values of a part have one length, so that no byte can move out of it or into it.
    pub(super) fn is_of_fixed_length(&self, part: &Part) -> bool {
        match part {
            Part::BodyDigest(_) => true,
            Part::Id => self.id_form.is_some(),
            _ => false,
        }
    }

    /// The template as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The parts of the template, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The parts of the template, in order, each with the text of the template itself in it: that of
    /// a literal without the texts of a route, and nothing for every other part.
    pub(super) fn parts_with_own(&self) -> impl Iterator<Item = (&Part, &str)> {
        self.parts.iter().zip(self.own.iter().map(String::as_str))
    }

    /// Whether the signature authenticates the body: the body, or a digest of it, is a part of the
    /// template.
    pub fn covers_body(&self) -> bool {
        self.holds_body || self.digests > 0
    }

    /// Whether `{body}` itself is a part of the template.
    pub fn holds_body(&self) -> bool {
        self.holds_body
    }

    /// Whether `{url}` is a part of the template.
    pub fn holds_url(&self) -> bool {
        self.holds_url
    }

    /// How many digests of the body are parts of the template.
    pub fn digests(&self) -> usize {
        self.digests
    }

    /// The digests of `body` that are parts of the template, written, in order.
    pub(crate) fn digests_of(&self, body: &[u8]) -> Vec<String> {
        let digests = self.parts.iter().filter_map(|part| match part {
            Part::BodyDigest(digest) => Some(digest.of(body)),
            _ => None,
        });
        digests.collect()
    }

    /// The pointers of the `{json:…}` and `{form:…}` parts, in order.
    pub fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        self.parts.iter().filter_map(|part| match part {
            Part::Json(pointer) | Part::Form(pointer) => Some(pointer),
            _ => None,
        })
    }

    /// Renders the parts that the head decides. Gaps are left for values of the body and for the
    /// secret.
    ///
    /// # Errors
    /// - `invalid_envelope` where `{id}` is missing, occurs twice, is empty, contains a delimiter or
    ///   has another form than the scheme's.
    /// - `malformed_signature` where a signed header is missing, occurs twice or contains a
    ///   delimiter, where the query contains a delimiter, and where the route has no `public_url`
    ///   for `{url}` or no text for a `{param:…}`.
    /// - `missing_timestamp` where `{timestamp}` has no value.
    pub fn render(&self, facts: &impl Facts) -> Result<SignedContent, Refusal> {
        let mut out = ContentBytes::new();
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
                    let id = divided(id(facts.id())?, *delimiters, ID_NOT_DIVIDED)?;
                    if self.id_form.is_some_and(|form| !form.fits(id)) {
                        return Err(ID_OF_ANOTHER_FORM);
                    }
                    out.extend_from_slice(id);
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
                Part::Url => {
                    let url = facts.public_url().ok_or(NO_PUBLIC_URL)?;
                    for piece in url.pieces(facts.target()) {
                        out.extend_from_slice(piece.as_bytes());
                    }
                }
                Part::Header(name) => {
                    out.extend_from_slice(divided(
                        header(facts.header(name))?,
                        *delimiters,
                        HEADER_NOT_DIVIDED,
                    )?);
                }
                Part::Param(_) => return Err(NO_PARAM),
                Part::Json(_) | Part::Form(_) | Part::BodyDigest(_) | Part::Secret => {
                    let is_behind_body = before.is_some();
                    let what = match part {
                        Part::Secret => Open::Secret,
                        Part::BodyDigest(_) => Open::BodyDigest,
                        _ => Open::Json(*delimiters),
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

const ID_NOT_DIVIDED: Refusal = Refusal::because(
    Code::InvalidEnvelope,
    "the event id holds a byte that divides it from the rest of the signed content",
);
const ID_OF_ANOTHER_FORM: Refusal = Refusal::because(
    Code::InvalidEnvelope,
    "the event id does not have the form that this scheme gives it",
);
const NO_PARAM: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a signed text of the route is not known: the route has no such param",
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

/// The delimiters of the part at `at`: the first bytes of the template's own text in the literals on
/// its left and on its right. A literal delimits only if the sender chooses another value beyond it:
/// the `v0:` at the start of `v0:{id}:{body}` delimits nothing. The text of a route delimits nothing
/// either, since an honest value may hold any of its bytes.
fn delimiters(parts: &[Part], own: &[String], at: usize) -> [Option<u8>; 2] {
    let literal = |text: Option<&String>| text.and_then(|text| text.bytes().next());
    let own_left = own.get(..at).and_then(<[String]>::last);
    let own_right = own.get(at + 1..).and_then(<[String]>::first);
    let (left, right) = (
        parts.get(..at).unwrap_or_default(),
        parts.get(at + 1..).unwrap_or_default(),
    );
    let is_chosen = |side: &[Part]| side.iter().any(|part| !part.is_settled());
    [
        literal(own_left).filter(|_| is_chosen(left)),
        literal(own_right).filter(|_| is_chosen(right)),
    ]
}

#[cfg(test)]
mod tests;
