//! The rules for lines and fields: line ends, control bytes, names, white space (RFC 9110 5.5, RFC
//! 9112 5; contract: Head).
//!
//! They are the same for requests, responses and trailers.

use memchr::memchr;

use super::lines::Lines;
use super::names::{KnownName, KnownNames, Tag};
use super::runs::token_length;
use super::{Reason, is_token_byte};

/// A part of a head, as a range of its raw bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) struct Span {
    /// The index of the first byte.
    start: u32,
    /// The index after the last byte.
    end: u32,
}

impl Span {
    /// The bytes of this span in `bytes`.
    pub(in crate::wire) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// A header line, as places in its head. `u16` counts the bytes of a line: one that
/// is received has at most [`MAX_LINE`](super::MAX_LINE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) struct Field {
    start: u32,
    name_length: u16,
    /// The first byte of the value, counted from the start of the line.
    value_at: u16,
    value_length: u16,
    /// Whether the line is exactly `Name: value` and its CRLF.
    is_plain: bool,
    known: KnownName,
    is_alias: bool,
    tag: Tag,
}

impl Field {
    /// The field that the line from `start` to `end` in `head` holds, which is judged here except
    /// for control bytes. Its CRLF is behind `end`, or there is nothing behind it.
    #[expect(
        clippy::inline_always,
        reason = "a call that hands out a field costs half as much again as the reading"
    )]
    #[inline(always)]
    pub(in crate::wire) fn read(head: &[u8], start: usize, end: usize) -> Result<Self, Reason> {
        let line = head.get(start..end).unwrap_or_default();
        // No line end is part of a token, so the bytes behind the line do not matter.
        let name_end = token_length(head.get(start..).unwrap_or_default());
        judge_name_end(line, name_end)?;
        let (name, rest) = line.split_at_checked(name_end).unwrap_or_default();
        let rest = rest.get(1..).unwrap_or_default();
        let (behind_space, value, is_plain) = match rest {
            [b' ', value @ ..] if is_bare(value) => (value, value, true),
            _ => (trim_start(rest), trim(rest), false),
        };
        let count = |bytes: usize| u16::try_from(bytes).map_err(|_| Reason::LineTooLong);
        let tag = Tag::of(name);
        let (known, is_alias) = KnownName::tagged(tag, name);
        Ok(Self {
            start: u32::try_from(start).map_err(|_| Reason::HeadTooLarge)?,
            name_length: count(name_end)?,
            value_at: count(line.len() - behind_space.len())?,
            value_length: count(value.len())?,
            is_plain,
            known,
            is_alias,
            tag,
        })
    }

    /// The known name that the line's name is or is an alias of.
    pub(in crate::wire) fn known(&self) -> KnownName {
        self.known
    }

    /// Whether the line's name is this name itself, and no alias of it.
    pub(in crate::wire) fn is(&self, name: KnownName) -> bool {
        self.known == name && !self.is_alias
    }

    /// Whether the line's name may be a name with this tag.
    pub(in crate::wire) fn has_tag(&self, tag: Tag) -> bool {
        self.tag == tag
    }

    /// The name as received, in the head `bytes`.
    pub(in crate::wire) fn name<'h>(&self, bytes: &'h [u8]) -> &'h [u8] {
        let start = self.start as usize;
        bytes
            .get(start..start + usize::from(self.name_length))
            .unwrap_or_default()
    }

    /// The place of the value without the white space around it.
    pub(in crate::wire) fn value_span(&self) -> Span {
        let start = self.start + u32::from(self.value_at);
        Span {
            start,
            end: start + u32::from(self.value_length),
        }
    }

    /// The value without the white space around it, in the head `bytes`.
    pub(in crate::wire) fn value<'h>(&self, bytes: &'h [u8]) -> &'h [u8] {
        self.value_span().of(bytes)
    }
}

/// A header line with what is known of its name.
#[derive(Clone, Copy, Debug)]
pub struct Line<'h> {
    /// The name as received.
    pub name: &'h [u8],
    /// The value without the white space around it.
    pub value: &'h [u8],
    /// The known name that the name is or is an alias of.
    pub known: KnownName,
    /// Whether the name is only an alias of the known name.
    pub is_alias: bool,
}

/// The fields of a head, in the order of arrival.
#[derive(Clone, Debug, Default)]
pub(in crate::wire) struct Fields {
    list: Vec<Field>,
    known: KnownNames,
}

impl Fields {
    /// Fields without a line yet, with room for as many as most heads have.
    pub(in crate::wire) fn new() -> Self {
        Self {
            list: Vec::with_capacity(16),
            known: KnownNames::default(),
        }
    }

    pub(in crate::wire) fn push(&mut self, field: Field) {
        self.known.add(field.known);
        self.list.push(field);
    }

    pub(in crate::wire) fn len(&self) -> usize {
        self.list.len()
    }

    pub(in crate::wire) fn iter(&self) -> std::slice::Iter<'_, Field> {
        self.list.iter()
    }

    /// Whether some line has this name or an alias of it.
    pub(in crate::wire) fn has(&self, name: KnownName) -> bool {
        self.known.has(name)
    }

    /// The lines of the head `bytes`.
    pub(in crate::wire) fn lines<'h>(
        &'h self,
        bytes: &'h [u8],
    ) -> impl Iterator<Item = (&'h [u8], &'h [u8])> {
        self.iter()
            .map(|field| (field.name(bytes), field.value(bytes)))
    }

    /// The lines of the head `bytes`, with what is known of their names.
    pub(in crate::wire) fn known_lines<'h>(
        &'h self,
        bytes: &'h [u8],
    ) -> impl Iterator<Item = Line<'h>> {
        self.iter().map(|field| Line {
            name: field.name(bytes),
            value: field.value(bytes),
            known: field.known,
            is_alias: field.is_alias,
        })
    }

    /// The names that all `Connection` lines of the head `bytes` list.
    pub(in crate::wire) fn connection_names<'h>(
        &'h self,
        bytes: &'h [u8],
    ) -> impl Iterator<Item = &'h [u8]> {
        let is_there = self.has(KnownName::Connection);
        let lines = self.iter().take(if is_there { self.len() } else { 0 });
        lines
            .filter(|field| field.is(KnownName::Connection))
            .flat_map(|field| members(field.value(bytes)))
    }

    /// Appends the lines of the head `bytes` that `keep` picks by their names, each as
    /// `Name: value` and a CRLF. Lines that lie side by side and already look so are copied
    /// together.
    pub(in crate::wire) fn copy(
        &self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        mut keep: impl FnMut(KnownName, &[u8]) -> bool,
    ) {
        let mut run = 0..0;
        for field in self.iter() {
            let name = field.name(bytes);
            if !keep(field.known, name) {
                continue;
            }
            let Span { start: at, end } = field.value_span();
            if field.is_plain && field.start as usize == run.end {
                run.end = end as usize + "\r\n".len();
                continue;
            }
            out.extend_from_slice(bytes.get(run).unwrap_or_default());
            if field.is_plain {
                run = field.start as usize..end as usize + "\r\n".len();
            } else {
                run = 0..0;
                let value = bytes.get(at as usize..end as usize).unwrap_or_default();
                for part in [name, b": ", value, b"\r\n"] {
                    out.extend_from_slice(part);
                }
            }
        }
        out.extend_from_slice(bytes.get(run).unwrap_or_default());
    }
}

/// Judges every byte of `lines` (a head, or a trailer line with its CRLF). Refused are a CR or LF
/// without the other, and all control bytes (NUL and DEL among them) except HTAB.
pub(in crate::wire) fn judge_bytes(lines: &[u8]) -> Result<(), Reason> {
    let is_control = |byte: &u8| match byte {
        b'\t' | b'\r' | b'\n' => false,
        _ => byte.is_ascii_control(),
    };
    if lines.iter().any(is_control) {
        return Err(Reason::ControlByte);
    }
    let mut before = 0;
    for &byte in lines {
        if byte == b'\n' && before != b'\r' {
            return Err(Reason::BareLineFeed);
        }
        before = byte;
    }
    let mut rest = lines;
    while let Some(at) = memchr(b'\r', rest) {
        rest = rest.get(at + 1..).unwrap_or_default();
        if rest.first() != Some(&b'\n') {
            return Err(Reason::BareCarriageReturn);
        }
    }
    Ok(())
}

/// Reads all field lines up to the empty line, which must be the last line in `lines`. `see` gets
/// each field with its value, and may refuse it. A line has at most `max_line` bytes without its CRLF.
pub(in crate::wire) fn read(
    lines: &mut Lines<'_>,
    max_headers: usize,
    max_line: usize,
    mut see: impl FnMut(&Field, &[u8]) -> Result<(), Reason>,
) -> Result<Fields, Reason> {
    let mut fields = Fields::new();
    while let Some((start, line)) = lines.next() {
        if line.is_empty() && lines.is_at_end() {
            return Ok(fields);
        }
        if line.is_empty() {
            break;
        }
        if line.len() > max_line {
            return Err(Reason::LineTooLong);
        }
        if fields.len() >= max_headers {
            return Err(Reason::TooManyLines);
        }
        let field = Field::read(lines.bytes(), start, start + line.len())?;
        see(&field, field.value(lines.bytes()))?;
        fields.push(field);
    }
    Err(Reason::BrokenHead)
}

/// Judges a field line, without its CRLF: a name and a colon must be its beginning. Control bytes
/// are not judged here but by [`judge_bytes`].
pub(in crate::wire) fn judge_line(line: &[u8]) -> Result<(), Reason> {
    judge_name_end(line, token_length(line))
}

/// Judges a field line that begins with a token of `name_end` bytes.
fn judge_name_end(line: &[u8], name_end: usize) -> Result<(), Reason> {
    if name_end > 0 && line.get(name_end) == Some(&b':') {
        Ok(())
    } else {
        Err(fault_of_name(
            line.get(name_end..).unwrap_or_default(),
            name_end,
        ))
    }
}

/// The reason to refuse a line whose name ends after `name_end` bytes without a colon, or is empty.
/// `rest` follows the name.
#[cold]
fn fault_of_name(rest: &[u8], name_end: usize) -> Reason {
    match rest.split_first() {
        Some((b':', _)) => Reason::EmptyName,
        Some((b' ' | b'\t', _)) if name_end == 0 => Reason::FoldedLine,
        Some((b' ' | b'\t', more)) if more.contains(&b':') => Reason::SpaceBeforeColon,
        Some((_, more)) if more.contains(&b':') => Reason::NameByte,
        _ => Reason::MissingColon,
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
    trim_end(trim_start(value))
}

/// Whether the value is empty, or begins and ends with a visible byte.
#[inline]
fn is_bare(value: &[u8]) -> bool {
    let is_visible = |byte: &u8| *byte > b' ';
    value.first().is_none_or(is_visible) && value.last().is_none_or(is_visible)
}

fn trim_start(value: &[u8]) -> &[u8] {
    let mut rest = value;
    while let [b' ' | b'\t', shorter @ ..] = rest {
        rest = shorter;
    }
    rest
}

fn trim_end(value: &[u8]) -> &[u8] {
    let mut rest = value;
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
