//! Everything that a reading finds besides values: problems and warnings, each with its place in
//! the text, and the parts of the text that must not be shown.
//!
//! At the end the file is refused with every problem at once, in the order of its text (contract:
//! Configuration). Where the syntax is broken, problems that only follow from the broken part are
//! left out.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::syntax::{self, Words};
use crate::config::mask::{Masked, holds_secrets, is_harmless_key};
use crate::config::problem::{LineStarts, Problem, Problems};
use crate::config::warning::{Acknowledging, Warning, WarningName};
use crate::key::shape::{Suspicion, concealed, is_out_of_place};

/// A message without anything that could be a secret: it may repeat a name or a path.
fn shown(message: &str) -> String {
    concealed(message, Suspicion::Plain).into_owned()
}

/// The problems, warnings and hidden ranges that a reading has found so far.
#[derive(Debug, Default)]
pub(in crate::config) struct Findings {
    problems: Vec<Finding>,
    // Kept apart, and left out where the syntax is broken: a key that seems to be missing may be in
    // the broken part.
    absences: Vec<Finding>,
    warnings: Vec<Doubt>,
    acknowledgements: Vec<Acknowledgement>,
    // The place of the route, among all routes, that warnings are about at present.
    route: Option<usize>,
    hidden: Vec<Range<usize>>,
    is_broken: bool,
    // The lines that the parser could not read, and the place from which on it could read nothing.
    broken_lines: BTreeSet<usize>,
    unreadable_from: Option<usize>,
}

#[derive(Debug)]
struct Finding {
    span: Range<usize>,
    message: String,
    help: String,
    is_syntax: bool,
}

/// A warning that was found.
#[derive(Debug)]
struct Doubt {
    span: Range<usize>,
    route: Option<usize>,
    name: WarningName,
    message: String,
    // The matter that the warnings of several routes are about, by a number; one of them is shown.
    matter: Option<usize>,
}

/// A name in a route's `acknowledge`.
#[derive(Debug)]
struct Acknowledgement {
    span: Range<usize>,
    route: usize,
    name: WarningName,
}

/// The warnings of a good file, in the order of its text.
#[derive(Debug, Default)]
pub(in crate::config) struct Sorted {
    /// The warnings to show.
    pub(in crate::config) warnings: Vec<Warning>,
    /// The warnings that their routes acknowledge.
    pub(in crate::config) acknowledged: Vec<Warning>,
}

impl Findings {
    /// Adds a problem.
    pub(in crate::config) fn problem(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.problems.push(Finding {
            span,
            message: message.into(),
            help: help.into(),
            is_syntax: false,
        });
    }

    /// Adds a problem about a key or a table that is missing; `span` is the place where it belongs.
    pub(in crate::config) fn absence(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.absences.push(Finding {
            span,
            message: message.into(),
            help: help.into(),
            is_syntax: false,
        });
    }

    /// Adds the errors of the TOML parser, in the order of the text, in words of [`syntax`]. Of each
    /// line only the first is added, since the parser goes on with the rest of a line that it could
    /// not read; of a text in another language only its first line is named.
    pub(in crate::config) fn syntax(&mut self, text: &str, errors: &[toml::de::Error]) {
        if errors.is_empty() {
            return;
        }
        self.is_broken = true;
        if let Some(words) = syntax::other_language(text) {
            self.unreadable_from = Some(0);
            let start = text.len() - text.trim_start().len();
            let line = text.trim_start().lines().next().unwrap_or_default();
            self.broken(start..start + line.len(), words);
            return;
        }
        let lines = LineStarts::of(text);
        // Each key below a table that is there twice is an error as well.
        let mut is_in_repeated_table = false;
        for error in errors {
            let span = error.span().unwrap_or(text.len()..text.len());
            let line_start = text
                .get(..span.start)
                .and_then(|before| before.rfind('\n'))
                .map_or(0, |at| at + 1);
            let (before, line) = text.split_at_checked(line_start).unwrap_or_default();
            let line = line.split('\n').next().unwrap_or_default();
            // An open list swallows every line that follows, and each of them would be wrong in
            // several ways.
            if error.message().starts_with("unexpected `=` in array") {
                self.problems
                    .retain(|earlier| earlier.span.start < line_start);
                self.unreadable_from = Some(line_start);
                let message = "a key begins inside a list that is not closed".to_owned();
                let help = "close the list before it with `]`".to_owned();
                self.broken(span, Words { message, help });
                break;
            }
            let is_header = line.trim_start().starts_with('[');
            if error.message() == "duplicate key" {
                if is_in_repeated_table && !is_header {
                    continue;
                }
                is_in_repeated_table = is_header;
            }
            if is_header {
                // The keys below it may seem to be those of another table.
                let from = self.unreadable_from.unwrap_or(line_start);
                self.unreadable_from = Some(from.min(line_start));
            }
            let number = lines.position(span.start).line;
            if self.broken_lines.insert(number) {
                self.broken(span, syntax::of_line(before, line, error.message()));
            }
        }
    }

    fn broken(&mut self, span: Range<usize>, Words { message, help }: Words) {
        self.problems.push(Finding {
            span,
            message,
            help,
            is_syntax: true,
        });
    }

    /// The name that messages use for a key. Where the syntax is broken, a text that looks like a
    /// key may be a part of a secret, so it is not shown.
    pub(in crate::config) fn shown_key(&self, path: &str) -> String {
        let is_plain = path.len() <= 128
            && path.chars().all(|c| c.is_ascii_graphic() || c == ' ')
            && !is_out_of_place(path);
        if self.is_broken || !is_plain {
            "(not shown)".to_owned()
        } else {
            format!("`{path}`")
        }
    }

    /// Adds a warning: its kind, and a sentence about something that is allowed. It counts as a
    /// warning of the route that was entered last.
    pub(in crate::config) fn warn(
        &mut self,
        span: Range<usize>,
        name: WarningName,
        message: impl Into<String>,
    ) {
        self.warn_of(None, span, name, message);
    }

    /// Adds a warning as [`warn`](Self::warn) does. Of all warnings about the same `matter`, only the
    /// first is shown whose route does not acknowledge its name.
    pub(in crate::config) fn warn_of(
        &mut self,
        matter: Option<usize>,
        span: Range<usize>,
        name: WarningName,
        message: impl Into<String>,
    ) {
        self.warnings.push(Doubt {
            span,
            route: self.route,
            name,
            message: message.into(),
            matter,
        });
    }

    /// Says of which route the following warnings and acknowledgements are, by its place among all
    /// routes; `None` for the rest of the file.
    pub(in crate::config) fn enter_route(&mut self, place: Option<usize>) {
        self.route = place;
    }

    /// Adds a name that the present route acknowledges.
    pub(in crate::config) fn acknowledge(&mut self, span: Range<usize>, name: WarningName) {
        if let Some(route) = self.route {
            self.acknowledgements
                .push(Acknowledgement { span, route, name });
        }
    }

    /// Judges acknowledgements without a warning: they would hide one that comes later, unseen.
    /// Only where nothing else is wrong are all warnings known.
    fn judge_acknowledgements(&mut self) {
        if !self.problems.is_empty() || !self.absences.is_empty() {
            return;
        }
        for Acknowledgement { span, route, name } in std::mem::take(&mut self.acknowledgements) {
            let is_it = |doubt: &Doubt| doubt.route == Some(route) && doubt.name == name;
            if self.warnings.iter().any(is_it) {
                self.acknowledgements
                    .push(Acknowledgement { span, route, name });
                continue;
            }
            let message =
                format!("`acknowledge` names `{name}`, and this route has no such warning");
            if name.acknowledging() == Acknowledging::AllowedOutside {
                self.warnings.push(Doubt {
                    span,
                    route: Some(route),
                    name: WarningName::StaleAcknowledgement,
                    message,
                    matter: None,
                });
            } else {
                self.problem(span, message, "leave it out of `acknowledge`");
            }
        }
    }

    /// Keeps this part of the file out of everything that is shown.
    pub(in crate::config) fn hide(&mut self, span: Range<usize>) {
        self.hidden.push(span);
    }

    /// Hides all that is written in a value, whatever its type; the keys of a table are still
    /// shown.
    pub(in crate::config) fn hide_all(&mut self, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Array(items) => items.iter().for_each(|item| self.hide_all(item)),
            DeValue::Table(entries) => entries.iter().for_each(|(_, entry)| self.hide_all(entry)),
            _ => self.hide(value.span()),
        }
    }

    /// Hides what may be a secret in the value of a known key: all of it where the key holds secrets,
    /// else a text that looks like one, and in a table the values of keys that are not known to be
    /// harmless.
    pub(in crate::config) fn hide_doubtful(&mut self, key: &str, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            _ if holds_secrets(key) => self.hide_all(value),
            DeValue::Array(items) => items.iter().for_each(|item| self.hide_doubtful(key, item)),
            DeValue::Table(entries) => {
                for (key, entry) in entries {
                    if is_harmless_key(key.get_ref()) {
                        self.hide_doubtful(key.get_ref(), entry);
                    } else {
                        self.hide_all(entry);
                    }
                }
            }
            DeValue::String(text) if is_out_of_place(text) || text.contains('@') => {
                self.hide(value.span());
            }
            _ => {}
        }
    }

    /// Ends a reading: returns the warnings, each with its place, or every problem. `routes` are
    /// the names of the routes, in their order.
    pub(in crate::config) fn finish(
        mut self,
        path: &str,
        text: &str,
        routes: &[String],
    ) -> Result<Sorted, Problems> {
        self.judge_acknowledgements();
        if !self.is_broken {
            self.problems.append(&mut self.absences);
        }
        let lines = LineStarts::of(text);
        // A value that seems to be on a broken line is not the value that was meant.
        let end = self.unreadable_from.unwrap_or(usize::MAX);
        let is_readable =
            |at: usize| at < end && !self.broken_lines.contains(&lines.position(at).line);
        // A value that the parser made up has no place.
        let is_made_up = |span: &Range<usize>| *span == (0..0);
        self.problems.retain(|finding| {
            finding.is_syntax
                || !self.is_broken
                || (is_readable(finding.span.start) && !is_made_up(&finding.span))
        });
        if self.problems.is_empty() {
            return Ok(self.sorted(path, &lines, routes));
        }
        self.problems.sort_by_key(|problem| problem.span.start);
        let masked = Masked::new(text, self.hidden, self.is_broken);
        let list = self.problems.into_iter().map(|found| Problem {
            span: Some(masked.span(&found.span)),
            position: Some(lines.position(found.span.start)),
            message: shown(&found.message),
            // Corrections are words of ours.
            help: (!found.help.is_empty()).then_some(found.help),
        });
        Err(Problems {
            path: path.to_owned(),
            list: list.collect(),
            text: masked.text,
        })
    }

    /// The warnings, those that their route acknowledges apart.
    fn sorted(mut self, path: &str, lines: &LineStarts<'_>, routes: &[String]) -> Sorted {
        self.warnings.sort_by_key(|doubt| doubt.span.start);
        let mut sorted = Sorted::default();
        let mut shown_matters: BTreeSet<usize> = BTreeSet::new();
        for doubt in self.warnings {
            let is_acknowledged = self
                .acknowledgements
                .iter()
                .any(|known| Some(known.route) == doubt.route && known.name == doubt.name);
            let list = if is_acknowledged {
                &mut sorted.acknowledged
            } else if doubt
                .matter
                .is_none_or(|matter| shown_matters.insert(matter))
            {
                &mut sorted.warnings
            } else {
                continue;
            };
            list.push(Warning {
                path: path.to_owned(),
                line: lines.position(doubt.span.start).line,
                route: doubt.route.and_then(|at| routes.get(at).cloned()),
                name: doubt.name,
                message: shown(&doubt.message),
            });
        }
        sorted
    }
}
