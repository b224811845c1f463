//! A configuration that no file holds: the options of a command make its text (contract: Command
//! line), which is read like that of a file, at the start and at each reload.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use once_cell::sync::OnceCell;
use zeroize::Zeroizing;

/// The path of the text. No file can have it.
const PATH: &str = "\0options";

/// The name of the text in messages.
pub(super) const SHOWN: &str = "the command line";

/// The text, once it is given. A process runs one gateway, so there is one text.
static TEXT: OnceCell<Zeroizing<String>> = OnceCell::new();

/// A route for one provider that takes every path, and the addresses to accept on.
#[derive(Clone, Debug, Default)]
pub struct Given<'o> {
    /// The provider's name, which is also the name of the route.
    pub provider: &'o str,
    /// The references to the secrets.
    pub secrets: &'o [String],
    /// The upstream's URL.
    pub upstream: &'o str,
    /// The addresses for deliveries; the default where it is empty.
    pub listen: &'o [String],
    /// The address of the admin port; the default where it is `None`.
    pub admin: Option<&'o str>,
}

impl Given<'_> {
    /// The configuration as text.
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{line}");
        };
        if !self.listen.is_empty() {
            line("[server]".to_owned());
            line(format!("listen = {}", list(self.listen)));
        }
        if let Some(admin) = self.admin {
            line("[admin]".to_owned());
            line(format!("listen = {}", quoted(admin)));
        }
        line("[[route]]".to_owned());
        line(format!("name = {}", quoted(self.provider)));
        line("path = \"/*\"".to_owned());
        line(format!("provider = {}", quoted(self.provider)));
        line(format!("secrets = {}", list(self.secrets)));
        line(format!("upstream = {}", quoted(self.upstream)));
        text
    }

    /// Keeps the configuration for the life of the process, and returns the path by which
    /// [`read`](super::read) finds it. The first text that is kept stays.
    pub fn keep(&self) -> PathBuf {
        TEXT.get_or_init(|| Zeroizing::new(self.text()));
        PathBuf::from(PATH)
    }
}

/// Whether the path is that of options.
pub(super) fn is_path(path: &Path) -> bool {
    path == Path::new(PATH)
}

/// The text that was kept; empty where none was.
pub(super) fn text() -> Zeroizing<String> {
    TEXT.get().cloned().unwrap_or_default()
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// A TOML string: that of JSON, in which TOML also wants DEL escaped.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::read_as;

    fn given<'o>(secrets: &'o [String], upstream: &'o str) -> Given<'o> {
        Given {
            provider: "stripe",
            secrets,
            upstream,
            ..Given::default()
        }
    }

    #[test]
    fn the_text_is_a_route_for_every_path() {
        let secrets = ["env:ONE".to_owned(), "env:TWO".to_owned()];
        let listen = ["127.0.0.1:0".to_owned()];
        let given = Given {
            listen: &listen,
            admin: Some("127.0.0.1:0"),
            ..given(&secrets, "http://127.0.0.1:3000")
        };
        let config = read_as(SHOWN, &given.text()).unwrap();
        let route = config.routes.first().unwrap();
        assert_eq!(route.name, "stripe");
        assert_eq!(route.secrets.len(), 2);
        assert_eq!(route.pattern.to_string(), "/*");
        assert_eq!(config.server.listen, ["127.0.0.1:0".parse().unwrap()]);
        assert_eq!(config.admin.listen, "127.0.0.1:0".parse().unwrap());
    }

    #[test]
    fn no_text_of_an_option_ends_its_value() {
        let nasty = "http://a\"\nname = \"b\u{1}\u{7f}\\";
        let secrets = ["env:ONE".to_owned()];
        let problems = read_as(SHOWN, &given(&secrets, nasty).text()).unwrap_err();
        assert_eq!(problems.list.len(), 1, "{problems}");
    }
}
