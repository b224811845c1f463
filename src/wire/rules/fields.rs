//! The rules for lines and fields: line ends, control bytes, names, white space (RFC 9110 5.5, RFC
//! 9112 5; contract: Head).
//!
//! They are the same for requests, responses and trailers.

use memchr::{Memchr, memchr_iter};

use super::{Limits, MAX_LINE, Reason, is_token_byte};

/// A part of a head, as a range of its raw bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The index of the first byte.
    pub start: u32,
    /// The index after the last byte.
    pub end: u32,
}

impl Span {
    /// The span from `start` to `end` in a head, which is never longer than `u32::MAX` bytes.
    pub(in crate::wire) fn new(start: usize, end: usize) -> Self {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: place(start),
            end: place(end),
        }
    }

    /// The bytes of this span in `bytes`.
    pub(in crate::wire) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }

    pub(in crate::wire) fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }
}

/// A header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name as received.
    pub name: Span,
    /// The value without the white space around it.
    pub value: Span,
}

/// Judges every byte of `lines` (a head, or a trailer line with its CRLF). Refused are a CR or LF
/// without the other, and all control bytes (NUL and DEL among them) except HTAB.
///
/// The first loop has no branches, so that the compiler can use vector instructions. Only if it has
/// found a bad byte is the reason worked out.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a lazy operator is a branch for each byte"
)]
pub(in crate::wire) fn judge_bytes(lines: &[u8]) -> Result<(), Reason> {
    let is_control = |byte: u8| {
        let is_space = (byte == b'\t') | (byte == b'\r') | (byte == b'\n');
        (byte < b' ') & !is_space | (byte == 0x7f)
    };
    let mut odd = lines.first() == Some(&b'\n')
        || lines
            .last()
            .is_some_and(|&byte| (byte == b'\r') | is_control(byte));
    for (&byte, &next) in lines.iter().zip(lines.get(1..).unwrap_or_default()) {
        odd |= is_control(byte) | ((byte == b'\r') != (next == b'\n'));
    }
    if !odd {
        Ok(())
    } else if lines.iter().any(|&byte| is_control(byte)) {
        Err(Reason::ControlByte)
    } else if lines.first() == Some(&b'\n')
        || lines
            .windows(2)
            .any(|pair| matches!(pair, [before, b'\n'] if *before != b'\r'))
    {
        Err(Reason::BareLineFeed)
    } else {
        Err(Reason::BareCarriageReturn)
    }
}

/// The lines of bytes that [`judge_bytes`] has accepted: each with its start and without its CRLF.
pub(in crate::wire) struct Lines<'h> {
    bytes: &'h [u8],
    ends: Memchr<'h>,
    at: usize,
}

impl<'h> Lines<'h> {
    /// The lines of `bytes`.
    pub(in crate::wire) fn of(bytes: &'h [u8]) -> Self {
        Self {
            bytes,
            ends: memchr_iter(b'\n', bytes),
            at: 0,
        }
    }
}

impl<'h> Iterator for Lines<'h> {
    type Item = (usize, &'h [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let line_feed = self.ends.next()?;
        let start = self.at;
        self.at = line_feed + 1;
        Some((
            start,
            self.bytes
                .get(start..line_feed.saturating_sub(1))
                .unwrap_or_default(),
        ))
    }
}

/// Reads all field lines up to the empty line, which must be the last line in `lines`. `see` gets
/// each field with its name and value, and may refuse it.
pub(in crate::wire) fn read(
    lines: &mut Lines<'_>,
    limits: &Limits,
    mut see: impl FnMut(Field, &[u8], &[u8]) -> Result<(), Reason>,
) -> Result<Vec<Field>, Reason> {
    // Most deliveries have fewer than 24 lines, so this is the only allocation.
    let mut fields = Vec::with_capacity(24.min(limits.max_headers));
    while let Some((start, line)) = lines.next() {
        if line.is_empty() {
            return if lines.at == lines.bytes.len() {
                Ok(fields)
            } else {
                Err(Reason::BrokenHead)
            };
        }
        if line.len() > MAX_LINE {
            return Err(Reason::LineTooLong);
        }
        if fields.len() >= limits.max_headers {
            return Err(Reason::TooManyLines);
        }
        let (name, value) = split(line)?;
        let name_end = start + name.len();
        let value_start =
            name_end + 1 + leading_space(line.get(name.len() + 1..).unwrap_or_default());
        let field = Field {
            name: Span::new(start, name_end),
            value: Span::new(value_start, value_start + value.len()),
        };
        see(field, name, value)?;
        fields.push(field);
    }
    Err(Reason::BrokenHead)
}

/// Divides a field line, without its CRLF, into name and value. White space around the value is
/// dropped. Control bytes are not judged here but by [`judge_bytes`].
pub(in crate::wire) fn split(line: &[u8]) -> Result<(&[u8], &[u8]), Reason> {
    let name_end = line
        .iter()
        .position(|&byte| !is_token_byte(byte))
        .ok_or(Reason::MissingColon)?;
    let (name, rest) = line.split_at_checked(name_end).unwrap_or_default();
    match rest.split_first() {
        Some((b':', value)) if !name.is_empty() => Ok((name, trim(value))),
        Some((b':', _)) => Err(Reason::EmptyName),
        Some((b' ' | b'\t', _)) if name.is_empty() => Err(Reason::FoldedLine),
        Some((b' ' | b'\t', more)) if more.contains(&b':') => Err(Reason::SpaceBeforeColon),
        Some((_, more)) if more.contains(&b':') => Err(Reason::NameByte),
        _ => Err(Reason::MissingColon),
    }
}

/// Judges a name that is not part of a line yet: it must be a token.
pub(in crate::wire) fn judge_name(name: &[u8]) -> Result<(), Reason> {
    if name.is_empty() {
        Err(Reason::EmptyName)
    } else if name.iter().all(|&byte| is_token_byte(byte)) {
        Ok(())
    } else {
        Err(Reason::NameByte)
    }
}

/// Judges a value that is not part of a line yet: no control byte except HTAB, and no line end.
pub(in crate::wire) fn judge_value(value: &[u8]) -> Result<(), Reason> {
    judge_bytes(value)?;
    // A CR or LF that is left now belongs to a whole line end, which would begin another line.
    if value.contains(&b'\n') {
        Err(Reason::ControlByte)
    } else {
        Ok(())
    }
}

/// The value without the optional white space (SP, HTAB) around it (RFC 9110 5.6.3).
pub(in crate::wire) fn trim(value: &[u8]) -> &[u8] {
    let mut rest = value.get(leading_space(value)..).unwrap_or_default();
    while let [shorter @ .., b' ' | b'\t'] = rest {
        rest = shorter;
    }
    rest
}

/// The members of a comma-separated list, without white space around them and without empty
/// members.
pub(in crate::wire) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(trim)
        .filter(|member| !member.is_empty())
}

/// The names that all `Connection` lines list. `fields` are the fields of the head `bytes`.
pub(in crate::wire) fn connection_names<'h>(
    bytes: &'h [u8],
    fields: &'h [Field],
) -> impl Iterator<Item = &'h [u8]> {
    fields
        .iter()
        .filter(|field| field.name.of(bytes).eq_ignore_ascii_case(b"connection"))
        .flat_map(|field| members(field.value.of(bytes)))
}

fn leading_space(value: &[u8]) -> usize {
    value
        .iter()
        .take_while(|&&byte| byte == b' ' || byte == b'\t')
        .count()
}
