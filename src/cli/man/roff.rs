//! The text of a manual page, in the `man` macros of roff. Words between backticks are set bold, as
//! what is typed; words between asterisks are set in italics, as what stands for something else.

use std::fmt::Write as _;

use clap::{Arg, Command};

/// A page that is being written.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    /// Whether the last line was a heading, which begins a paragraph by itself.
    is_headed: bool,
}

impl Page {
    /// A page of this name and section of the manual.
    pub(super) fn new(name: &str, section: u8) -> Self {
        let mut page = Self {
            text: String::new(),
            is_headed: false,
        };
        let (title, version) = (escaped(name), env!("CARGO_PKG_VERSION"));
        page.line(&format!(
            ".TH \"{title}\" {section} \"\" \"verigate {version}\" \"verigate\""
        ));
        // Words are not divided, and lines are not stretched.
        page.line(".nh");
        page.line(".ad l");
        page
    }

    /// The whole text.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, line: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
        self.is_headed = line.starts_with(".SH");
    }

    fn paragraph(&mut self) {
        if !self.is_headed {
            self.line(".PP");
        }
    }

    /// The heading of a section.
    pub(super) fn heading(&mut self, title: &str) {
        self.line(&format!(".SH \"{}\"", escaped(title)));
    }

    /// A paragraph.
    pub(super) fn text(&mut self, text: &str) {
        self.paragraph();
        self.line(&guarded(&set(text)));
    }

    /// A term with its explanation.
    pub(super) fn item(&mut self, term: &str, words: &str) {
        self.line(".TP");
        self.line(&guarded(&set(term)));
        self.line(&guarded(&set(words)));
    }

    /// Lines that are shown as they are.
    pub(super) fn verbatim(&mut self, text: &str) {
        self.paragraph();
        self.line(".RS 4");
        self.line(".nf");
        for line in text.lines() {
            self.line(&guarded(&escaped(line)));
        }
        self.line(".fi");
        self.line(".RE");
    }

    /// The command with its arguments, as clap words them.
    pub(super) fn usage(&mut self, command: &Command) {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage:").trim();
        self.text(&format!("`{}`", usage.replace('`', "")));
    }

    /// The arguments, then the options under their headings.
    pub(super) fn options(&mut self, command: &Command) {
        let mut headings: Vec<Option<&str>> = Vec::new();
        let shown = |argument: &&Arg| !argument.is_hide_set();
        for argument in command.get_arguments().filter(shown) {
            let heading = argument.get_help_heading();
            if !headings.contains(&heading) {
                headings.push(heading);
            }
        }
        for heading in headings {
            self.heading(&heading.unwrap_or("Options").to_uppercase());
            let all = command.get_arguments().filter(shown);
            let mut own: Vec<&Arg> = all
                .filter(|one| one.get_help_heading() == heading)
                .collect();
            own.sort_by_key(|argument| !argument.is_positional());
            for argument in own {
                let words = argument
                    .get_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                self.item(&term(argument), &format!("{words}{}", possible(argument)));
            }
        }
    }

    /// What `--help` says at its end: a block that begins with `Example` is shown as it is, the rest
    /// are notes.
    pub(super) fn help(&mut self, text: &str) {
        let blocks = || text.split("\n\n").filter(|block| !block.trim().is_empty());
        let is_example = |block: &&str| block.starts_with("Example");
        let notes: Vec<_> = blocks().filter(|block| !is_example(block)).collect();
        if !notes.is_empty() {
            self.heading("NOTES");
        }
        for note in notes {
            // Lines that are indented form a table.
            if note.contains("\n  ") {
                self.verbatim(note);
            } else {
                self.text(&note.replace('\n', " "));
            }
        }
        for block in blocks().filter(is_example) {
            let (_, lines) = block.split_once('\n').unwrap_or_default();
            let lines: Vec<_> = lines
                .lines()
                .map(|line| line.strip_prefix("  ").unwrap_or(line))
                .collect();
            self.heading("EXAMPLES");
            self.verbatim(&lines.join("\n"));
        }
    }
}

/// An argument as it is typed.
fn term(argument: &Arg) -> String {
    let value = argument
        .get_num_args()
        .is_none_or(|number| number.takes_values())
        .then(|| {
            let names = argument.get_value_names().unwrap_or_default();
            let names: Vec<_> = names.iter().map(|name| format!("*{name}*")).collect();
            names.join(" ")
        });
    let value = value.unwrap_or_default();
    if argument.is_positional() {
        return value;
    }
    let short = argument.get_short().map(|short| format!("`-{short}`"));
    let long = argument.get_long().map(|long| format!("`--{long}`"));
    let names: Vec<_> = short.into_iter().chain(long).collect();
    format!("{} {value}", names.join(", "))
        .trim_end()
        .to_owned()
}

/// The values that an argument takes, where they are a closed list.
fn possible(argument: &Arg) -> String {
    let values = argument.get_possible_values();
    let takes = argument
        .get_num_args()
        .is_none_or(|number| number.takes_values());
    let names: Vec<_> = values
        .iter()
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if names.is_empty() || !takes {
        String::new()
    } else {
        format!(": {}", names.join(", "))
    }
}

/// The text with what stands between backticks in bold, and what stands between asterisks, if that
/// is a word in capitals, in italics.
fn set(text: &str) -> String {
    let mut out = String::new();
    for (place, part) in text.split('`').enumerate() {
        if place % 2 == 1 {
            let _ = write!(out, "\\fB{}\\fR", escaped(part));
            continue;
        }
        let mut rest = part;
        while let Some((before, after)) = rest.split_once('*') {
            let word = after.split_once('*');
            let is_word = |word: &str| {
                !word.is_empty()
                    && word
                        .bytes()
                        .all(|b| b.is_ascii_uppercase() || b"=_-.".contains(&b))
            };
            match word.filter(|(word, _)| is_word(word)) {
                Some((word, after)) => {
                    let _ = write!(out, "{}\\fI{}\\fR", escaped(before), escaped(word));
                    rest = after;
                }
                None => {
                    let _ = write!(out, "{}*", escaped(before));
                    rest = after;
                }
            }
        }
        out.push_str(&escaped(rest));
    }
    out
}

/// The text with what roff would read as its own.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '"' => out.push_str("\\(dq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            '…' => out.push_str("..."),
            '–' => out.push_str("\\(en"),
            'µ' => out.push_str("\\(mc"),
            '×' => out.push_str("\\(mu"),
            other => out.push(other),
        }
    }
    out
}

/// The line, which roff must not take for a macro.
fn guarded(line: &str) -> String {
    if line.starts_with('.') {
        format!("\\&{line}")
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_roff_would_read_is_escaped() {
        assert_eq!(set("`a-b` \\ \"c\""), "\\fBa\\-b\\fR \\e \\(dqc\\(dq");
        assert_eq!(set("`x` *NAME* a * b"), "\\fBx\\fR \\fINAME\\fR a * b");
        assert_eq!(guarded(".so /etc/passwd"), "\\&.so /etc/passwd");
    }
}
