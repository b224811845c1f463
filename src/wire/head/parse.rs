//! The two ways to a judged [`Head`]: from raw bytes and from parts (contract: Head).

use bytes::Bytes;

use super::{Expect, Field, Head, Limits, Span, Version};
use crate::verdict::Refusal;
use crate::wire::rules::framing::FramingLines;
use crate::wire::rules::{MAX_LINE, Reason, fields, host, request_line};

impl Head {
    /// Judges a whole head. `bytes` is the range that [`super::HeadScanner`] found, from the
    /// request line to the empty line.
    ///
    /// # Errors
    /// `bad_request`, `headers_too_large` or `uri_too_long`, with the reason.
    pub fn parse(bytes: Bytes, limits: &Limits) -> Result<Self, Refusal> {
        judge(bytes, limits).map_err(Refusal::from)
    }

    /// Builds a head from parts, as if `METHOD target HTTP/1.1` and these lines had been received.
    /// `lines` are names and values in order; white space around values is dropped. `Host` may be
    /// missing.
    ///
    /// # Errors
    /// The refusal that the same parts would cause in received bytes, under the default [`Limits`].
    pub fn from_parts<'a>(
        method: &str,
        target: &str,
        lines: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self, Refusal> {
        assemble(method.as_bytes(), target.as_bytes(), lines).map_err(Refusal::from)
    }
}

fn judge(bytes: Bytes, limits: &Limits) -> Result<Head, Reason> {
    judge_size(bytes.len(), limits)?;
    fields::judge_bytes(&bytes)?;
    let mut lines = fields::Lines::of(&bytes);
    let (_, line) = lines.next().ok_or(Reason::BrokenHead)?;
    let parts = request_line::split(line)?;
    request_line::judge_method(line.get(..parts.method_end).unwrap_or_default())?;
    request_line::judge_target(line.get(parts.target.clone()).unwrap_or_default())?;
    let mut meaning = Meaning::default();
    let fields = fields::read(&mut lines, limits, |field, name, value| {
        meaning.see(field, name, value)
    })?;
    if meaning.host.is_none() && parts.version == Version::Http11 {
        return Err(Reason::MissingHost);
    }
    let method = Span::new(0, parts.method_end);
    let target = Span::new(parts.target.start, parts.target.end);
    meaning.complete(bytes, method, target, parts.version, fields)
}

fn assemble<'a>(
    method: &[u8],
    target: &[u8],
    lines: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<Head, Reason> {
    let limits = Limits::default();
    request_line::judge_method(method)?;
    request_line::judge_target(target)?;
    let mut bytes = Vec::new();
    let mut put = |part: &[u8]| {
        let start = bytes.len();
        bytes.extend_from_slice(part);
        Span::new(start, bytes.len())
    };
    let method = put(method);
    put(b" ");
    let target = put(target);
    put(b" HTTP/1.1\r\n");
    let mut meaning = Meaning::default();
    let mut fields = Vec::new();
    for (name, value) in lines {
        let value = fields::trim(value);
        // Each part is judged before it is joined to the others: a line end inside a part must not
        // become a line end of the head.
        fields::judge_name(name)?;
        fields::judge_value(value)?;
        if name.len() + ": ".len() + value.len() > MAX_LINE {
            return Err(Reason::LineTooLong);
        }
        if fields.len() >= limits.max_headers {
            return Err(Reason::TooManyLines);
        }
        let field = Field {
            name: put(name),
            value: (put(b": "), put(value)).1,
        };
        put(b"\r\n");
        meaning.see(field, name, value)?;
        fields.push(field);
    }
    put(b"\r\n");
    judge_size(bytes.len(), &limits)?;
    meaning.complete(bytes.into(), method, target, Version::Http11, fields)
}

/// Judges the size of a whole head. A [`Span`] counts in `u32`, so a head beyond `u32::MAX` bytes
/// is too large even if the operator's limit allows it.
fn judge_size(bytes: usize, limits: &Limits) -> Result<(), Reason> {
    let fits = bytes <= limits.max_head && u32::try_from(bytes).is_ok();
    if fits {
        Ok(())
    } else {
        Err(Reason::HeadTooLarge)
    }
}

/// The lines that concern the gateway itself, collected while the lines are read.
#[derive(Default)]
struct Meaning {
    framing: FramingLines,
    host: Option<Span>,
    expect: Option<Expect>,
}

impl Meaning {
    fn see(&mut self, field: Field, name: &[u8], value: &[u8]) -> Result<(), Reason> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                host::judge(value)?;
                if self.host.replace(field.value).is_some() {
                    return Err(Reason::SecondHost);
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                let is_first = self.expect.is_none();
                let is_continue = value.eq_ignore_ascii_case(b"100-continue");
                self.expect = Some(if is_first && is_continue {
                    Expect::Continue
                } else {
                    Expect::Other
                });
            }
            _ => self.framing.see(name, value)?,
        }
        Ok(())
    }

    fn complete(
        self,
        bytes: Bytes,
        method: Span,
        target: Span,
        version: Version,
        fields: Vec<Field>,
    ) -> Result<Head, Reason> {
        let expect = match self.expect {
            None => Expect::None,
            // A server must ignore the expectation of an HTTP/1.0 client (RFC 9110 10.1.1).
            Some(Expect::Continue) if version == Version::Http10 => Expect::None,
            Some(expect) => expect,
        };
        Ok(Head {
            framing: self.framing.framing(version)?,
            keep_alive: self.framing.keep_alive(version),
            host: self.host,
            bytes,
            method,
            target,
            version,
            fields,
            expect,
        })
    }
}
