//! `verigate sign`: the headers that make a body a valid delivery, or a whole command that sends it (SPEC 7).
//!
//! Prints neither the secret nor anything else of the configuration.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;

use super::Exit;
use super::delivery::{is_stdin, moment, read_input, split_url};
use super::output::{complain, note, print};
use super::subject::{By, Subject};
use crate::verify::clock::Now;
use crate::verify::scheme::{Part, Place};
use crate::verify::secret::Secret;
use crate::verify::sign::{SignRequest, sign};
use crate::wire::head::{FieldName, Head};

/// Arguments of `sign`.
#[derive(Args, Debug)]
#[command(
    override_usage = "verigate sign --provider NAME --secret SECRET [OPTIONS]\n       verigate sign --route NAME [OPTIONS]",
    after_help = "The first active secret signs.\n\nExamples:\n  \
    verigate sign --provider itellico --secret env:WEBHOOK_SECRET --body event.json > headers.txt\n  \
    verigate sign --route itellico --body event.json --curl | sh"
)]
pub(super) struct Sign {
    #[command(flatten)]
    by: By,
    /// The body [- for stdin]
    #[arg(long, value_name = "FILE", default_value = "-")]
    body: PathBuf,
    /// The event id, where the scheme has a header for it [default: a random one]
    #[arg(long)]
    id: Option<String>,
    /// When it is signed, in Unix seconds [default: now]
    #[arg(long, value_name = "UNIX")]
    at: Option<i64>,
    /// The method it will have
    #[arg(long, default_value = "POST")]
    method: String,
    /// The URL it will be sent to [default: the gateway's address and the route's path]
    #[arg(long)]
    url: Option<String>,
    /// A further header, for schemes that sign one; may be given several times
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Print a whole curl command instead of the headers alone
    #[arg(long)]
    curl: bool,
}

/// A signed request, ready to be shown.
#[derive(Debug)]
struct Signed<'s> {
    method: &'s str,
    url: String,
    headers: Vec<(String, String)>,
}

impl Sign {
    /// Signs the body and prints.
    pub(super) fn run(&self) -> Exit {
        match self.try_run() {
            Ok(text) => {
                print(&text);
                Exit::Success
            }
            Err(error) => {
                complain(&error);
                Exit::Usage
            }
        }
    }

    fn try_run(&self) -> anyhow::Result<String> {
        let given = self.url.as_deref().map(split_url).transpose()?;
        let origin = given.as_ref().and_then(|(origin, _)| *origin).map(str::to_owned);
        let subject = self.by.load(origin.clone())?;
        let now = moment(self.at);
        let secret = active(&subject, now)?;
        let scheme = &subject.scheme;
        let depends_on_path = |part: &Part| matches!(part, Part::Path | Part::Url);
        if subject.is_prefix && given.is_none() && (self.curl || scheme.signed.parts().iter().any(depends_on_path)) {
            bail!("the route takes every path under {0}: name one, as in `--url {0}x`", subject.path);
        }
        let target = given.map_or_else(|| subject.path.clone(), |(_, target)| target);
        let has_origin = origin.is_some();
        let url = origin.unwrap_or_else(|| subject.gateway.clone()) + &target;
        if scheme.signed.parts().contains(&Part::Url) && subject.settings.public_url.is_none() {
            bail!("this scheme signs the URL: name the one that the provider calls with `--url`");
        }
        let id = self.id(&subject)?;
        let extra = self.header.iter().map(|line| split_header(line)).collect::<anyhow::Result<Vec<_>>>()?;
        let body = read_input(&self.body).context("`--body`")?;
        let request = SignRequest {
            method: &self.method,
            target: &target,
            body: &body,
            id: id.as_deref(),
            at: now.wall,
            public_url: subject.settings.public_url.as_deref(),
            headers: &extra,
        };
        let mut headers = sign(scheme, secret, &request).map_err(|fault| anyhow!("cannot sign: {fault}"))?;
        headers.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let lines = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let head = Head::from_parts(&self.method, &target, lines).map_err(|refusal| {
            anyhow!("no HTTP request can be like this: {}; see `--url`, `--method` and `--header`", refusal.why)
        })?;
        if let Err(refusal) = subject.envelope.extract(&head, &body) {
            note(&format!("warning: the signature is right, but the gateway would answer {refusal}"));
        }
        if !self.curl {
            let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            return Ok(lines.join("\n"));
        }
        if let Some(host) = &subject.host
            && !has_origin
            && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            headers.insert(0, ("Host".to_owned(), host.clone()));
        }
        Signed { method: &self.method, url, headers }.curl(&self.body, &body)
    }

    /// The id to put into its header: the one given, a random one where none is, nothing where no header holds it.
    fn id(&self, subject: &Subject) -> anyhow::Result<Option<String>> {
        match (&subject.scheme.event_id, &self.id) {
            (Some(Place::Header(name)), None) if !self.names(name) => {
                let mut random = [0; 12];
                getrandom::fill(&mut random).map_err(|error| anyhow!("no random bytes for an event id: {error}"))?;
                Ok(Some(format!("evt_{}", hex::encode(random))))
            }
            (Some(Place::Header(_)), id) => Ok(id.clone()),
            (_, None) => Ok(None),
            (Some(Place::Json(_)), Some(_)) => {
                bail!("`--id` has no place: this scheme has the event id in the body, so write it there")
            }
            (None, Some(_)) => bail!("`--id` has no place: this scheme has no event id"),
        }
    }

    /// Whether `--header` names this one.
    fn names(&self, name: &FieldName) -> bool {
        self.header.iter().any(|line| line.split(':').next().is_some_and(|n| name.is_or_aliases(n.trim().as_bytes())))
    }
}

fn active(subject: &Subject, now: Now) -> anyhow::Result<&Secret> {
    let mut active = subject.secrets.iter().filter(|secret| secret.is_active(now.wall));
    active
        .next()
        .context("no secret is active at that time: see `not_before` and `not_after`, or choose another `--at`")
}

fn split_header(line: &str) -> anyhow::Result<(&str, &str)> {
    let (name, value) = line.split_once(':').context("`--header` has no colon: write it as in `X-Event: push`")?;
    Ok((name, value.trim_ascii()))
}

impl Signed<'_> {
    /// A command for a POSIX shell that sends exactly this.
    fn curl(&self, file: &Path, body: &[u8]) -> anyhow::Result<String> {
        // curl reads brackets and dot segments of a URL as its own business unless told otherwise.
        let mut command = format!("curl -sS --globoff --path-as-is -X {} {}", quoted(self.method), quoted(&self.url));
        let has_type = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !has_type {
            let is_json = matches!(body.trim_ascii_start().first(), Some(b'{' | b'['));
            let kind = if is_json { "application/json" } else { "application/octet-stream" };
            put_header(&mut command, "Content-Type", kind);
        }
        for (name, value) in &self.headers {
            put_header(&mut command, name, value);
        }
        // `--data-binary` takes a text that begins with `@` for a file, `--data-raw` does not; neither changes a byte.
        let data = if is_stdin(file) {
            let text = std::str::from_utf8(body).ok().filter(|text| !text.contains('\0'));
            let text =
                text.context("the body is not text that can stand in a command: name it as a file with `--body FILE`")?;
            format!("--data-raw {}", quoted(text))
        } else {
            let path = file.to_str().context("the name of the body file is not UTF-8: rename it")?;
            format!("--data-binary {}", quoted(&format!("@{path}")))
        };
        Ok(command + " \\\n  " + &data)
    }
}

fn put_header(command: &mut String, name: &str, value: &str) {
    // curl drops a header without a value unless it ends in a semicolon.
    let line = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
    // Writing to a String cannot fail.
    let _ = write!(command, " \\\n  -H {}", quoted(&line));
}

/// A word for a POSIX shell, in single quotes unless it is plainly harmless.
fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._/:@=".contains(&b));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use clap::Parser as _;

    use super::super::{Cli, Command};
    use super::*;

    const CONFIG: &str = r#"
[server]
listen = ["0.0.0.0:8181"]
[[route]]
name = "any"
host = "hooks.example.com"
path = "/hooks/*"
secrets = ["plain:c2VjcmV0"]
upstream = "http://127.0.0.1:3000"
[route.scheme]
algorithm = "hmac-sha256"
key = "base64"
signed = "{id}.{timestamp}.{body}"
signature = { header = "X-Signature" }
timestamp = { header = "X-Timestamp" }
event_id = { header = "X-Id" }
"#;

    /// What `sign --route any` prints for an empty object, or why it does not.
    fn printed(more: &[&str]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let (config, body) = (folder.path().join("verigate.toml"), folder.path().join("body"));
        std::fs::write(&config, CONFIG).unwrap();
        std::fs::write(&body, "{}").unwrap();
        let fixed = ["verigate", "sign", "--route", "any", "--at", "1750000000"].map(OsStr::new);
        let files = [OsStr::new("--config"), config.as_os_str(), OsStr::new("--body"), body.as_os_str()];
        let arguments = fixed.into_iter().chain(files).chain(more.iter().map(OsStr::new));
        let Command::Sign(sign) = Cli::try_parse_from(arguments).unwrap().command else { panic!("another command") };
        sign.try_run().map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn headers_are_printed_one_a_line_with_an_id_of_their_own_unless_one_is_given() {
        // printf 'e1.1750000000.{}' | openssl dgst -sha256 -hmac secret
        let mac = "fffba51d769dcb6554d1ecb99c83bd5e70de40b5cedf11b4b976846463cb83b6";
        let expected = format!("X-Id: e1\nX-Timestamp: 1750000000\nX-Signature: {mac}");
        assert_eq!(printed(&["--id", "e1"]), Ok(expected));
        let (one, two) = (printed(&[]).unwrap(), printed(&[]).unwrap());
        assert!(one.starts_with("X-Id: evt_") && one.lines().next() != two.lines().next(), "{one}");
        assert!(printed(&["--id", "e.1"]).unwrap_err().contains("divides"));
    }

    #[test]
    fn a_command_goes_to_the_gateway_under_the_routes_host() {
        let command = printed(&["--url", "/hooks/x", "--curl"]).unwrap();
        assert!(command.contains(" http://127.0.0.1:8181/hooks/x "), "{command}");
        assert!(command.contains("-H 'Host: hooks.example.com'"), "{command}");
        let elsewhere = printed(&["--url", "https://a.example/hooks/x", "--curl"]).unwrap();
        assert!(elsewhere.contains(" https://a.example/hooks/x ") && !elsewhere.contains("Host:"), "{elsewhere}");
        assert!(printed(&["--curl"]).unwrap_err().contains("--url /hooks/x"));
        assert!(!command.contains("c2VjcmV0"), "{command}");
    }

    fn signed() -> Signed<'static> {
        let headers = vec![("X-Time".to_owned(), "1".to_owned()), ("X-Empty".to_owned(), String::new())];
        Signed { method: "POST", url: "http://127.0.0.1:8080/in/x?a=1&b=2".to_owned(), headers }
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let nasty = ["", "it's", "$HOME `id` \\ \"x\"", "a\nb\n", "'''", "!x", "-n", "*", "\u{e9}'\t"];
        let words: Vec<String> = nasty.iter().map(|word| quoted(word)).collect();
        let script = format!("printf '%s\\0' {}", words.join(" "));
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        let expected = nasty.map(|word| word.to_owned() + "\0").concat();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }

    #[test]
    fn a_command_names_the_file_or_holds_the_text() {
        let file = signed().curl(Path::new("my event's.json"), b"[]").unwrap();
        insta::assert_snapshot!(file, @r"
        curl -sS --globoff --path-as-is -X POST 'http://127.0.0.1:8080/in/x?a=1&b=2' \
          -H 'Content-Type: application/json' \
          -H 'X-Time: 1' \
          -H 'X-Empty;' \
          --data-binary '@my event'\''s.json'
        ");
        let inline = signed().curl(Path::new("-"), b"@it's\n").unwrap();
        assert!(inline.ends_with("--data-raw '@it'\\''s\n'"), "{inline}");
        assert!(inline.contains("application/octet-stream"), "{inline}");
        for body in [&b"\xff"[..], b"a\0b"] {
            let message = signed().curl(Path::new("-"), body).unwrap_err().to_string();
            assert!(message.contains("--body FILE"), "{message}");
        }
    }
}
