//! The ways to a judged [`Head`]: from raw bytes, and from parts (contract: Head).

use bytes::Bytes;

use super::{Expect, Head, KnownName, Limits, Method, Text, Version};
use crate::verdict::Refusal;
use crate::wire::rules::fields::{Field, Fields, Span};
use crate::wire::rules::framing::FramingLines;
use crate::wire::rules::lines::{LineEnds, Lines};
use crate::wire::rules::{MAX_LINE, Reason, fields, host, request_line};

impl Head {
    /// Judges a whole head. `bytes` is the range that [`super::HeadScanner`] found, from the
    /// request line to the empty line.
    ///
    /// # Errors
    /// `bad_request`, `headers_too_large` or `uri_too_long`, with the reason.
    pub fn parse(bytes: Bytes, limits: &Limits) -> Result<Self, Refusal> {
        let ends = LineEnds::of(&bytes);
        judge(bytes, &ends, limits).map_err(Refusal::from)
    }

    /// Judges a head that the gateway itself has written of the parts of a head that it took. By now
    /// its lines may be longer than they were received, as `Name: value` is longer than `Name:value`,
    /// so neither its size nor its lines have a limit: what was taken can be read again.
    ///
    /// # Errors
    /// `bad_request`, `headers_too_large` or `uri_too_long`, with the reason.
    pub fn parse_written(bytes: Bytes) -> Result<Self, Refusal> {
        let limits = Limits {
            max_head: usize::MAX,
            max_headers: usize::MAX,
        };
        let ends = LineEnds::of(&bytes);
        judge_lines(bytes, &ends, &limits, usize::MAX).map_err(Refusal::from)
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
        let lines = lines
            .into_iter()
            .map(|(name, value)| (name, fields::trim(value)));
        let head = || {
            let limits = Limits::default();
            let (method, target) = (method.as_bytes(), target.as_bytes());
            let mut assembly = Assembly::begin(method, target, Version::Http11, limits)?;
            for (name, value) in lines {
                assembly.add(name, value)?;
            }
            assembly.complete(target)
        };
        head().map_err(Refusal::from)
    }
}

/// Judges a whole head with these line ends.
pub(super) fn judge(bytes: Bytes, ends: &LineEnds, limits: &Limits) -> Result<Head, Reason> {
    judge_lines(bytes, ends, limits, MAX_LINE)
}

/// Judges a whole head with these line ends, whose lines have at most `max_line` bytes.
fn judge_lines(
    bytes: Bytes,
    ends: &LineEnds,
    limits: &Limits,
    max_line: usize,
) -> Result<Head, Reason> {
    judge_size(bytes.len(), limits)?;
    // A byte that no head may hold is the reason in any case.
    if ends.may_be_odd() {
        fields::judge_bytes(&bytes)?;
    }
    let mut lines = Lines::of(&bytes, ends);
    let (_, line) = lines.next().ok_or(Reason::BrokenHead)?;
    let parts = request_line::split(line)?;
    let method = Method::judge(line.get(..parts.method_end).unwrap_or_default())?;
    let target = line.get(parts.target).unwrap_or_default();
    request_line::judge_target(target)?;
    let mut meaning = Meaning::default();
    let fields = fields::read(&mut lines, limits.max_headers, max_line, |field, value| {
        meaning.see(field, value)
    })?;
    if meaning.host.is_none() && parts.version == Version::Http11 {
        return Err(Reason::MissingHost);
    }
    let text = Text::of(target, meaning.host.map(|host| host.of(&bytes)));
    meaning.complete(bytes, method, text, parts.version, fields)
}

/// The room for the lines of a head of common length, which grows when it is longer.
const COMMON: usize = 512;

/// A head that is built from its parts, which are judged as if they had been received together.
pub(super) struct Assembly {
    bytes: Vec<u8>,
    method: Method,
    version: Version,
    limits: Limits,
    meaning: Meaning,
    fields: Fields,
}

impl Assembly {
    /// A head of these parts that has no line yet.
    pub(super) fn begin(
        method: &[u8],
        target: &[u8],
        version: Version,
        limits: Limits,
    ) -> Result<Self, Reason> {
        let end: &[u8] = match version {
            Version::Http10 => b" HTTP/1.0\r\n",
            Version::Http11 => b" HTTP/1.1\r\n",
            Version::Http2 => b" HTTP/2\r\n",
        };
        let mut bytes = Vec::with_capacity(COMMON + target.len());
        for part in [method, b" ", target, end] {
            bytes.extend_from_slice(part);
        }
        let method = Method::judge(method)?;
        request_line::judge_target(target)?;
        Ok(Self {
            bytes,
            method,
            version,
            limits,
            meaning: Meaning::default(),
            fields: Fields::new(),
        })
    }

    /// Adds a line. Its value has no white space around it.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Reason> {
        // Each part is judged before it is joined to the others: a line end inside a part must not
        // become a line end of the head.
        fields::judge_name(name)?;
        fields::judge_value(value)?;
        if name.len() + ": ".len() + value.len() > MAX_LINE {
            return Err(Reason::LineTooLong);
        }
        if self.fields.len() >= self.limits.max_headers {
            return Err(Reason::TooManyLines);
        }
        let start = self.bytes.len();
        for part in [name, b": ", value] {
            self.bytes.extend_from_slice(part);
        }
        let field = Field::read(&self.bytes, start, self.bytes.len())?;
        self.bytes.extend_from_slice(b"\r\n");
        self.meaning.see(&field, value)?;
        self.fields.push(field);
        Ok(())
    }

    /// Whether a line is a `Host`.
    pub(super) fn has_host(&self) -> bool {
        self.meaning.host.is_some()
    }

    /// The head of all these lines. `target` is the target that it began with.
    pub(super) fn complete(mut self, target: &[u8]) -> Result<Head, Reason> {
        self.bytes.extend_from_slice(b"\r\n");
        judge_size(self.bytes.len(), &self.limits)?;
        let host = self.meaning.host.map(|host| host.of(&self.bytes));
        let text = Text::of(target, host);
        let bytes = self.bytes.into();
        self.meaning
            .complete(bytes, self.method, text, self.version, self.fields)
    }
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
    fn see(&mut self, field: &Field, value: &[u8]) -> Result<(), Reason> {
        match field.known() {
            KnownName::Host if field.is(KnownName::Host) => {
                host::judge(value)?;
                if self.host.replace(field.value_span()).is_some() {
                    return Err(Reason::SecondHost);
                }
            }
            KnownName::Expect if field.is(KnownName::Expect) => {
                let is_first = self.expect.is_none();
                let is_continue = value.eq_ignore_ascii_case(b"100-continue");
                self.expect = Some(if is_first && is_continue {
                    Expect::Continue
                } else {
                    Expect::Other
                });
            }
            _ => self.framing.see(field, value)?,
        }
        Ok(())
    }

    /// The head that these lines make.
    fn complete(
        self,
        bytes: Bytes,
        method: Method,
        text: Text,
        version: Version,
        fields: Fields,
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
            bytes,
            method,
            text,
            version,
            fields,
            expect,
        })
    }
}
