//! Wrong arguments, and how they are reported (contract: Command line, Secrets): as clap words them,
//! without a secret that was pasted in a wrong place.

use std::io::Write as _;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Exit;
use crate::key::shape::{MASK, Suspicion, concealed};

/// Prints what is wrong with the arguments on standard error, or the help that was asked for on
/// standard output.
pub(super) fn report(error: &Error) -> Exit {
    if !error.use_stderr() {
        let _ = error.print();
        return Exit::Success;
    }
    let _ = std::io::stderr().write_all(words(error).as_bytes());
    Exit::Usage
}

/// The message of clap, in which everything that was written on the command line is masked if it
/// could be a secret.
fn words(error: &Error) -> String {
    let mut words = error.render().to_string();
    let is_known = |kind| error.get(kind).is_some();
    for (kind, value) in error.context() {
        // A text in the place of a command is shown if it resembles one.
        let is_stray = match kind {
            ContextKind::InvalidSubcommand => !is_known(ContextKind::SuggestedSubcommand),
            ContextKind::InvalidArg => !is_known(ContextKind::InvalidValue),
            ContextKind::InvalidValue => error.kind() == ErrorKind::TooManyValues,
            _ => false,
        };
        for written in texts(value) {
            // The names of options and the placeholders of arguments are clap's words.
            let is_name = written.starts_with(['-', '<', '[']);
            let masked = if is_stray && !is_name {
                MASK.into()
            } else {
                concealed(written, Suspicion::Strict)
            };
            if masked != written {
                words = words.replace(written, &masked);
            }
        }
    }
    words
}

fn texts(value: &ContextValue) -> Vec<&str> {
    match value {
        ContextValue::String(text) => vec![text],
        ContextValue::Strings(texts) => texts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    fn said(arguments: &[&str]) -> String {
        let all = std::iter::once("verigate").chain(arguments.iter().copied());
        words(&Cli::try_parse_from(all).unwrap_err())
    }

    #[test]
    fn no_secret_in_a_wrong_place_is_repeated() {
        const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        const WORDS: &str = "correct horse battery staple";
        let rows: &[&[&str]] = &[
            &["SECRET"],
            &["sign", "SECRET"],
            &["run", "a.toml", "SECRET"],
            &["sign", "--key=SECRET"],
            &["sign", "--SECRET"],
            &["sign", "-SECRET"],
            &["sign", "--provider", "itellico", "--curl=SECRET"],
            &["verify", "--at", "SECRET"],
            &["verify", "--tolerance=SECRET"],
            &["check", "--json=SECRET"],
            &["providers", "a", "SECRET"],
            &["help", "SECRET"],
        ];
        let mut wrong = Vec::new();
        for row in rows {
            for secret in [SECRET, WORDS] {
                let is_by_look = row.iter().any(|word| word.contains("-SECRET"))
                    || matches!(row.first(), Some(&"verify" | &"help"));
                if secret == WORDS && is_by_look {
                    continue;
                }
                let arguments: Vec<_> = row
                    .iter()
                    .map(|word| word.replace("SECRET", secret))
                    .collect();
                let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
                let said = said(&arguments);
                if said.contains(secret)
                    || said.contains("MfKQ9r8GKYqr")
                    || !said.starts_with("error: ")
                {
                    wrong.push(format!("{row:?}: {said}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn names_and_advice_stay_readable() {
        let rows: &[(&[&str], &[&str])] = &[
            (&["chek"], &["'chek'", "'check'"]),
            (
                &["sign", "--secrets", "env:S"],
                &["'--secrets'", "'--secret'"],
            ),
            (&["check", "--jsno"], &["'--jsno'", "'--json'"]),
            (&["verify", "--at", "soon"], &["'soon'", "--at"]),
            (&["sign", "--body"], &["--body"]),
            (
                &["check", "a.toml", "--config", "b.toml"],
                &["cannot be used with", "--config"],
            ),
        ];
        for (arguments, expected) in rows {
            let said = said(arguments);
            let missing: Vec<_> = expected
                .iter()
                .filter(|word| !said.contains(**word))
                .collect();
            assert!(missing.is_empty(), "{missing:?}: {said}");
        }
    }
}
