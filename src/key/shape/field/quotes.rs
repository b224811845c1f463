//! Where values in quotes and URLs begin and end in a text.

use std::ops::Range;

/// Marks around a value, each with the mark that closes it.
const QUOTES: &[(char, char)] = &[
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('<', '>'),
    ('(', ')'),
    ('[', ']'),
    ('{', '}'),
];

/// The marks among them that may be around a URL.
const AROUND_URLS: usize = 4;

/// The place of what is in the quotes at the beginning of a text; `None` where there are none. A value
/// that is not closed goes to the end of the text.
pub(super) fn quoted(text: &str) -> Option<Range<usize>> {
    let open = text.chars().next()?;
    let (_, close) = QUOTES.iter().find(|(mark, _)| *mark == open)?;
    let start = open.len_utf8();
    let within = text.get(start..)?;
    let is_close = |(at, _): &(usize, &str)| {
        let before = within.get(..*at).unwrap_or_default();
        let behind = within.get(at + close.len_utf8()..).unwrap_or_default();
        let is_doubled = before.is_empty() && behind.starts_with(open);
        !is_doubled && !before.ends_with('\\') && is_end_of_value(behind)
    };
    let end = within.match_indices(*close).find(is_close);
    Some(start..start + end.map_or(within.len(), |(at, _)| at))
}

/// Whether a value in quotes may end where this text follows its closing mark. Elsewhere the mark is
/// part of the value.
fn is_end_of_value(behind: &str) -> bool {
    let next = behind.chars().next();
    next.is_none_or(|c| c.is_whitespace() || ",;:&)]}<>\"'`\\".contains(c))
}

/// What is known of a piece of text while it is read.
#[derive(Default)]
struct Piece {
    start: usize,
    /// Whether it has a mark that URLs have.
    is_url: bool,
    has_query: bool,
    /// The mark that closes the quotes around the piece.
    around: Option<char>,
    /// The mark that closes the quotes around the value of a parameter.
    within: Option<char>,
}

/// The pieces of a text, each with its place: a URL is never in two of them. White space ends a
/// piece, and so do quotes around it. A quote within a URL does not, because a value may have it.
pub(super) fn pieces(text: &str) -> Vec<(usize, &str)> {
    let last = |mark: char| text.rfind(mark).unwrap_or(0);
    let marks = QUOTES.iter().take(AROUND_URLS);
    let lasts = marks.clone().map(|(_, close)| (*close, last(*close)));
    let lasts: Vec<(char, usize)> = lasts.collect();
    let mut pieces = Vec::new();
    let mut piece = Piece::default();
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let next = at + c.len_utf8();
        let opened = marks.clone().find(|(open, _)| *open == c);
        let closing = opened.map(|(_, close)| *close);
        let is_close = piece.around == Some(c) && piece.within != Some(c);
        let is_end = if c.is_whitespace() || c.is_control() {
            // A value in quotes may have blanks, and without a closing quote it has no end.
            let is_open = |close: char| lasts.iter().any(|last| last.0 == close && at < last.1);
            let is_quoted = piece.within.is_some() || piece.around.is_some_and(is_open);
            !(piece.has_query && is_quoted)
        } else if is_close && piece.is_url {
            let behind = text.get(next..).unwrap_or_default();
            is_end_of_value(behind) && !behind.starts_with('&')
        } else {
            is_close || (closing.is_some() && !piece.is_url && !before.is_alphanumeric())
        };
        if is_end {
            pieces.extend(text.get(piece.start..at).map(|text| (piece.start, text)));
            piece = Piece {
                start: next,
                around: closing.filter(|_| !is_close),
                ..Piece::default()
            };
        } else if piece.within == Some(c) {
            piece.within = None;
        } else if before == '=' && piece.within.is_none() {
            piece.within = closing;
        }
        piece.is_url |= "/?#@%".contains(c);
        piece.has_query |= "?#".contains(c);
        before = c;
    }
    pieces.extend(text.get(piece.start..).map(|text| (piece.start, text)));
    pieces
}
