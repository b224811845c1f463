//! The page verigate.toml(5): every key of the configuration file.

use super::roff::Page;
use crate::cli::keys::{Key, sections};

/// A file to begin with.
const EXAMPLE: &str = "[[route]]\nname = \"stripe\"\npath = \"/webhooks/stripe\"\nprovider = \"stripe\"\n\
     secrets = [\"file:/etc/verigate/stripe.secret\"]\nupstream = \"http://127.0.0.1:3000\"";

/// The page.
pub(super) fn page() -> String {
    let mut page = Page::new("verigate.toml", 5);
    page.heading("NAME");
    page.text("verigate.toml - the configuration of verigate");
    page.heading("DESCRIPTION");
    page.text(
        "One TOML file holds everything: `/etc/verigate/verigate.toml` where that exists, else `conf/verigate.toml`, \
         unless a command names another. `verigate check` reports all problems of a file at once, each with line, \
         column and what would be right; an unknown key is a problem.",
    );
    page.text(
        "Durations are written `500ms`, `10s`, `5m`, `72h` or `1d`; sizes `64KiB`, `1MB`, or plain bytes. A secret \
         reference is `env:NAME`, `file:PATH`, `cred:NAME` (a credential of systemd) or `plain:TEXT`.",
    );
    for section in sections() {
        page.heading(&section.title);
        for key in &section.keys {
            page.item(&format!("`{}`", key.name), &words(key));
        }
    }
    page.heading("EXAMPLES");
    page.verbatim(EXAMPLE);
    page.text("`verigate providers` *NAME* prints such a route for each provider.");
    page.heading("SEE ALSO");
    page.text("`verigate`(1), `verigate-check`(1), `verigate-providers`(1), `verigate-schema`(1)");
    page.finish()
}

/// Meaning, type and default in sentences.
fn words(key: &Key) -> String {
    let meaning = sentence(&key.meaning);
    let kind = sentence(key.kind);
    match key.default {
        "" => format!("{meaning}{kind}"),
        default if default.starts_with("required") => {
            format!("{meaning}{kind}{}", sentence(default))
        }
        default => format!("{meaning}{kind}Default: {default}."),
    }
}

/// The words with a capital letter in front, a full stop and a space behind.
fn sentence(words: &str) -> String {
    let mut characters = words.chars();
    match characters.next() {
        Some(first) => format!("{}{}. ", first.to_uppercase(), characters.as_str()),
        None => String::new(),
    }
}
