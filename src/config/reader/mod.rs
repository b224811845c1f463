//! A TOML tree read key by key: required and optional keys, wrong types, unknown keys with a
//! suggestion (contract: Configuration).
//!
//! Nothing here stops at the first problem. A read that fails adds its problem to [`Findings`] and
//! returns `None`, the caller goes on with a default, and at the end the file is refused if there
//! was any problem. No key is known here by name.

mod findings;
mod syntax;

use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

pub(super) use self::findings::{Findings, Sorted};
use super::units::UnitFault;
use crate::config::mask::{REFERENCES, names_no_secret};
use crate::key::shape::{Suspicion, is_out_of_place, is_plain_path, suspects};

/// A table that is being read. It remembers which keys were asked for, so that the others can be
/// refused as unknown.
#[derive(Debug)]
pub(super) struct Table<'t> {
    path: String,
    span: Range<usize>,
    entries: &'t DeTable<'t>,
    known: Vec<&'static str>,
}

impl<'t> Table<'t> {
    /// A table called `path` in messages (empty for the file itself), whose header or opening
    /// bracket is at `span`.
    pub(super) fn new(
        path: impl Into<String>,
        span: Range<usize>,
        entries: &'t DeTable<'t>,
    ) -> Self {
        Self {
            path: path.into(),
            span,
            entries,
            known: Vec::new(),
        }
    }

    /// The place where the table begins, which is also the place for problems with a key that is
    /// missing.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The name that messages use for a key of this table.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// The place of a key of this table, or of a key in a table within it (`timestamp.unit`). Where
    /// a key on the way is missing, the place of the last key that exists.
    pub(super) fn span_of(&self, dotted: &str) -> Range<usize> {
        let (mut span, mut entries) = (self.span(), self.entries);
        for key in dotted.split('.') {
            let Some((key, value)) = entries.get_key_value(key) else {
                break;
            };
            span = key.span();
            let DeValue::Table(inner) = value.get_ref() else {
                break;
            };
            entries = inner;
        }
        span
    }

    /// The item under `key`. The key is known from now on.
    pub(super) fn item(&mut self, key: &'static str) -> Option<Item<'t>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let (name, value) = self.entries.get_key_value(key)?;
        Some(Item {
            path: self.path_of(key),
            key_span: name.span(),
            value,
        })
    }

    /// The item under `key`. Adds a problem where the key is missing.
    pub(super) fn required(
        &mut self,
        findings: &mut Findings,
        key: &'static str,
        example: &str,
    ) -> Option<Item<'t>> {
        let item = self.item(key);
        if item.is_none() {
            let message = format!("`{}` is missing", self.path_of(key));
            findings.absence(
                self.span(),
                message,
                format!("add it, as in `{key} = {example}`"),
            );
        }
        item
    }

    /// Every item, for tables whose keys are chosen by the operator.
    pub(super) fn items(&self) -> impl Iterator<Item = (&'t str, Item<'t>)> {
        let path = |key: &str| self.path_of(key);
        let item = move |(key, value): (&'t Spanned<_>, &'t _)| -> (&'t str, Item<'t>) {
            let name: &'t std::borrow::Cow<'t, str> = key.get_ref();
            (
                name,
                Item {
                    path: path(name),
                    key_span: key.span(),
                    value,
                },
            )
        };
        self.entries
            .iter()
            .map(item)
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Ends the table: refuses every key that was never asked for.
    pub(super) fn finish(&self, findings: &mut Findings) {
        self.finish_with(findings, &[]);
    }

    /// As [`Self::finish`]; `elsewhere` are keys that are easily written here, each with what would be
    /// right.
    pub(super) fn finish_with(&self, findings: &mut Findings, elsewhere: &[(&str, &str)]) {
        for (key, value) in self.entries {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            // The key may be a misspelt `secrets`.
            findings.hide_all(value);
            let help = elsewhere.iter().find(|(written, _)| *written == name);
            let help = match (help, suggestion(name, self.known.iter().copied())) {
                (Some((_, help)), _) => (*help).to_owned(),
                (None, Some(near)) => format!("did you mean `{near}`?"),
                (None, None) => format!("known here: {}", sorted(&self.known)),
            };
            if is_out_of_place(name) {
                findings.hide(key.span());
            }
            let message = format!("unknown key {}", findings.shown_key(&self.path_of(name)));
            findings.problem(key.span(), message, help);
        }
    }
}

fn sorted(keys: &[&str]) -> String {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys.join(", ")
}

/// The candidate that `word` is probably a misspelling of, or the only one of which it is a part, or
/// that is a part of it.
pub fn suggestion<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    let distance =
        |candidate: &str| strsim::damerau_levenshtein(&word, &candidate.replace('-', "_"));
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let near = candidates
        .iter()
        .map(|candidate| (distance(candidate), *candidate));
    let near = near.min_by_key(|(distance, _)| *distance);
    let near = near.filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3);
    if let Some((_, candidate)) = near {
        return Some(candidate);
    }
    let is_part = |candidate: &&&str| {
        let candidate = candidate.replace('-', "_");
        let shorter = word.len().min(candidate.len());
        shorter >= 4 && (candidate.contains(&word) || word.contains(&candidate))
    };
    let mut parts = candidates.iter().filter(is_part);
    parts.next().filter(|_| parts.next().is_none()).copied()
}

/// A value together with its key.
#[derive(Clone, Debug)]
pub(super) struct Item<'t> {
    /// The name that messages use for it: `server.threads`.
    pub(super) path: String,
    /// The place of its key.
    pub(super) key_span: Range<usize>,
    /// The value, with its place.
    pub(super) value: &'t Spanned<DeValue<'t>>,
}

impl<'t> Item<'t> {
    /// The place of the value.
    pub(super) fn span(&self) -> Range<usize> {
        self.value.span()
    }

    /// Adds a problem with the value; `help` is the correction.
    pub(super) fn refuse(
        &self,
        findings: &mut Findings,
        message: impl std::fmt::Display,
        help: impl Into<String>,
    ) {
        let text = self.value.get_ref().as_str();
        let form_of = |text: &str| REFERENCES.into_iter().find(|form| text.starts_with(form));
        let is_doubtful = |text: &&str| {
            if names_no_secret(&self.path) {
                !suspects(text, Suspicion::Plain).is_empty()
            } else {
                let name = form_of(text).and_then(|form| text.strip_prefix(form));
                is_out_of_place(text) && !name.is_some_and(is_plain_path)
            }
        };
        if let Some(text) = text.filter(is_doubtful) {
            // Of a reference, the form is shown.
            let form = form_of(text);
            let Range { start, end } = self.span();
            match form {
                Some(form) => findings.hide(start + 1 + form.len()..end.saturating_sub(1)),
                None => findings.hide(start..end),
            }
        }
        findings.problem(self.span(), format!("`{}` {message}", self.path), help);
    }

    /// Reports a value of a type that is not the `expected` one. Without an `example` there is no
    /// help.
    pub(super) fn wrong_type(&self, findings: &mut Findings, expected: &str, example: &str) {
        if matches!(self.value.get_ref(), DeValue::Array(_) | DeValue::Table(_)) {
            // Readers of secrets hide their values themselves. Of other settings, only what could be
            // a secret is hidden.
            let key = self.path.rsplit('.').next().unwrap_or_default();
            findings.hide_doubtful(key, self.value);
        }
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let help = if example.is_empty() {
            String::new()
        } else {
            format!("write it as in `{example}`")
        };
        self.refuse(
            findings,
            format_args!("must be {expected}, not {found}"),
            help,
        );
    }

    /// A string.
    pub(super) fn text(&self, findings: &mut Findings, example: &str) -> Option<&'t str> {
        let text = self.value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(findings, "a string", example);
        }
        text
    }

    /// A string that is not empty and holds no control characters.
    pub(super) fn label(
        &self,
        findings: &mut Findings,
        max_bytes: usize,
        example: &str,
    ) -> Option<&'t str> {
        let text = self.text(findings, example)?;
        if text.trim().is_empty() {
            self.refuse(
                findings,
                "is empty",
                format!("write something like `{example}`"),
            );
        } else if text.len() > max_bytes {
            self.refuse(
                findings,
                format_args!("is longer than {max_bytes} bytes"),
                "shorten it",
            );
        } else if text.chars().any(char::is_control) {
            self.refuse(findings, "holds a control character", "leave it out");
        } else {
            return Some(text);
        }
        None
    }

    /// A string in a notation of [`super::units`].
    pub(super) fn unit<T>(
        &self,
        findings: &mut Findings,
        example: &str,
        parse: impl FnOnce(&str) -> Result<T, UnitFault>,
    ) -> Option<T> {
        let text = self.text(findings, example)?;
        self.checked(findings, parse(text))
    }

    /// The value that a parser made of the text; a fault of the text becomes a problem.
    pub(super) fn checked<T>(
        &self,
        findings: &mut Findings,
        parsed: Result<T, UnitFault>,
    ) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(fault) => {
                self.refuse(findings, fault.message, fault.help);
                None
            }
        }
    }

    /// A name from a closed list; `later` are the names that a later version will know.
    pub(super) fn one_of<T>(
        &self,
        findings: &mut Findings,
        names: &[&str],
        later: &[&str],
        named: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.one_of_or(findings, names, later, &[], named)
    }

    /// As [`Self::one_of`]; `elsewhere` are names of other programs for what is meant, each with ours.
    pub(super) fn one_of_or<T>(
        &self,
        findings: &mut Findings,
        names: &[&str],
        later: &[&str],
        elsewhere: &[(&str, &str)],
        named: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let example = names
            .first()
            .map(|name| format!("\"{name}\""))
            .unwrap_or_default();
        let text = self.text(findings, &example)?;
        let found = named(text);
        if found.is_none() {
            let known = names
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ");
            if later.contains(&text) {
                self.refuse(
                    findings,
                    format_args!("= `{text}` is not supported yet"),
                    format!("supported: {known}"),
                );
            } else {
                let text = text.trim().to_ascii_lowercase();
                let known_there = elsewhere.iter().find(|(theirs, _)| *theirs == text);
                let near = known_there
                    .map(|(_, ours)| *ours)
                    .or_else(|| suggestion(&text, names.iter().copied()))
                    .map(|name| format!("did you mean `{name}`? "))
                    .unwrap_or_default();
                self.refuse(
                    findings,
                    "is not a known name",
                    format!("{near}known: {known}"),
                );
            }
        }
        found
    }

    /// A whole number within `range`.
    pub(super) fn integer(
        &self,
        findings: &mut Findings,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let DeValue::Integer(digits) = self.value.get_ref() else {
            self.wrong_type(findings, "a whole number", "");
            return None;
        };
        let number = u64::from_str_radix(digits.as_str(), digits.radix()).ok();
        let within = number.filter(|number| range.contains(number));
        if within.is_none() {
            let (from, to) = range.into_inner();
            self.refuse(
                findings,
                "is out of range",
                format!("write a whole number from {from} to {to}"),
            );
        }
        within
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, findings: &mut Findings) -> Option<bool> {
        let flag = self.value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(findings, "`true` or `false`", "");
        }
        flag
    }

    /// The elements of a list. Messages call each by the list's name.
    pub(super) fn list(&self, findings: &mut Findings, example: &str) -> Option<Vec<Item<'t>>> {
        let list: Option<&'t DeArray<'t>> = self.value.get_ref().as_array();
        if list.is_none() {
            self.wrong_type(findings, "a list", example);
        }
        let element = |value: &'t Spanned<DeValue<'t>>| Item {
            path: self.path.clone(),
            key_span: value.span(),
            value,
        };
        Some(list?.iter().map(element).collect())
    }

    /// A table.
    pub(super) fn table(&self, findings: &mut Findings, example: &str) -> Option<Table<'t>> {
        let entries: Option<&'t DeTable<'t>> = self.value.get_ref().as_table();
        if entries.is_none() {
            self.wrong_type(findings, "a table", example);
        }
        Some(Table::new(
            self.path.clone(),
            self.key_span.clone(),
            entries?,
        ))
    }
}
