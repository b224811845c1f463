//! The problems of a file, each with its place and the way to put it right, and how a list of them
//! is printed: file, line, column and the text in question, all at once (contract: Configuration).
//!
//! A list of problems holds no secret: [`super::mask`] has taken the secrets out of its text before
//! it gets here, so it may be printed, logged and sent in an answer.

use std::fmt::{self, Write as _};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// The most problems that are printed. If the file is no configuration at all, the first problems
/// say enough.
const MAX_PRINTED: usize = 50;

/// A single problem.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The byte range in [`Problems::text`], where there is one.
    pub span: Option<Range<usize>>,
    /// The place of that range in the file itself.
    pub position: Option<Position>,
    /// The fault: a sentence in lower case without a full stop.
    pub message: String,
    /// The correction, where it is known: a sentence for the operator.
    pub help: Option<String>,
}

/// A place in a file as people count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1. It is the column in the file, not in the masked text.
    pub column: usize,
}

/// The places where the lines of a text begin, so that finding the lines of thousands of problems
/// does not read the text thousands of times.
#[derive(Debug)]
pub(super) struct LineStarts<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> LineStarts<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let behind = text.match_indices('\n').map(|(newline, _)| newline + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(behind).collect(),
        }
    }

    /// The place of a byte. If no character begins at `offset`, the end of its line.
    pub(super) fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let line_text = || {
            self.text
                .get(start..)
                .and_then(|rest| rest.lines().next())
                .unwrap_or_default()
        };
        let before = self.text.get(start..offset).unwrap_or_else(line_text);
        Position {
            line,
            column: before.chars().count() + 1,
        }
    }
}

/// Every problem of a file.
#[derive(Clone, Debug)]
pub struct Problems {
    /// The file's path as given.
    pub path: String,
    /// Its text with every secret masked; empty where it could not be read.
    pub text: String,
    /// The problems, in the order of the file.
    pub list: Vec<Problem>,
}

impl Problems {
    /// The problem of a file that cannot be used as a whole, without a place in it.
    pub fn whole_file(path: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        let problem = Problem {
            span: None,
            position: None,
            message: message.into(),
            help: Some(help.into()),
        };
        Self {
            path: path.to_owned(),
            text: String::new(),
            list: vec![problem],
        }
    }

    /// The list as it is shown to the operator, with a newline at its end; with ANSI colours if
    /// `color`.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut out = String::new();
        for problem in self.list.iter().take(MAX_PRINTED) {
            out.push_str(&renderer.render(&[self.report(problem)]));
            out.push_str("\n\n");
        }
        let count = self.list.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        // Writing to a String cannot fail.
        let _ = write!(out, "{count} {noun} in {}", self.path);
        if count > MAX_PRINTED {
            let _ = write!(out, ", of which the first {MAX_PRINTED} are shown");
        }
        out.push('\n');
        out
    }

    fn report<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let mut group = Group::with_title(Level::ERROR.primary_title(problem.message.as_str()));
        let path = self.path.as_str();
        if let (Some(span), Some(position)) = (&problem.span, problem.position) {
            let (line, within) = self.line_at(span);
            let mark = AnnotationKind::Primary.span(within);
            let snippet = Snippet::source(line)
                .path(path)
                .line_start(position.line)
                .fold(false);
            group = group.element(snippet.annotation(mark));
        } else {
            group = group.element(Origin::path(path));
        }
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        group
    }

    /// The line in which `span` begins, and the part of it that is marked, which ends with this
    /// line at the latest.
    fn line_at(&self, span: &Range<usize>) -> (&str, Range<usize>) {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self
            .text
            .get(start..)
            .and_then(|rest| rest.lines().next())
            .unwrap_or_default();
        // The renderer takes character boundaries only.
        let boundary = |at: usize| {
            (0..=at.min(line.len()))
                .rev()
                .find(|at| line.is_char_boundary(*at))
                .unwrap_or(0)
        };
        let from = boundary(span.start.saturating_sub(start));
        let to = boundary(span.end.saturating_sub(start)).max(from);
        (line, from..to)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str, span: Range<usize>) -> Problems {
        let problem = Problem {
            position: Some(LineStarts::of(text).position(span.start)),
            span: Some(span),
            message: "this is wrong".into(),
            help: Some("that would be right".into()),
        };
        Problems {
            path: "a.toml".into(),
            text: text.into(),
            list: vec![problem],
        }
    }

    #[test]
    fn a_problem_shows_file_line_column_text_and_help() {
        let text = "[server]\nthreads = \"many\"\n";
        insta::assert_snapshot!(problems(text, 19..25).render(false), @r#"
    error: this is wrong
     --> a.toml:2:11
      |
    2 | threads = "many"
      |           ^^^^^^
      |
      = help: that would be right

    1 problem in a.toml
    "#);
    }

    #[test]
    fn only_the_first_line_of_a_span_is_shown() {
        let text = "a = [\n  1,\n  2,\n]\nb = 1\n";
        let shown = problems(text, 4..17).render(false);
        assert!(shown.contains("1 | a = [\n"), "{shown}");
        assert!(!shown.contains("2,"), "{shown}");
    }

    #[test]
    fn a_span_at_the_end_or_beyond_it_is_shown_without_a_panic() {
        for text in ["", "a", "a\n", "a = \u{e9}\r\n"] {
            for start in 0..text.len() + 3 {
                problems(text, start..start + 2).render(true);
            }
        }
    }

    #[test]
    fn columns_are_counted_in_characters() {
        let text = "a = 1\n\u{e9}\u{e9} = 2";
        for (offset, line, column) in [(0, 1, 1), (5, 1, 6), (6, 2, 1), (11, 2, 4), (99, 2, 7)] {
            assert_eq!(
                LineStarts::of(text).position(offset),
                Position { line, column },
                "{offset}"
            );
        }
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let mut many = problems("a = 1\n", 0..1);
        many.list = vec![many.list[0].clone(); 60];
        let shown = many.render(false);
        assert_eq!(shown.matches("this is wrong").count(), 50);
        assert!(
            shown.ends_with("60 problems in a.toml, of which the first 50 are shown\n"),
            "{shown}"
        );
    }
}
