//! Requests to the admin port of a running gateway: plain HTTP/1.1, with the admin token.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::Value;

use super::shown::escaped;
use crate::cli::default_file;
use crate::cli::subject;
use crate::config;
use crate::key::secret::SecretText;
use crate::notation::shell;

/// The longest wait for each part of an answer. The gateway waits two seconds for its store.
const LIMIT: Duration = Duration::from_secs(30);

/// The most bytes of an answer: a body is a quarter of `max_buffered` at most.
const MAX_ANSWER: u64 = 1 << 30;

/// Which gateway is asked.
#[derive(Args, Clone, Debug)]
pub(super) struct Target {
    /// The configuration file, which names the admin port and its token
    #[arg(long, short, value_name = "FILE", conflicts_with = "admin")]
    config: Option<PathBuf>,
    /// The address of the admin port, as in `127.0.0.1:9090` or `http://127.0.0.1:9090`
    #[arg(long, value_name = "ADDR", requires = "token", value_parser = admin_address)]
    admin: Option<String>,
    /// The admin token: `env:NAME`, `file:PATH` or `cred:NAME`
    #[arg(long, value_name = "REF")]
    token: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Host and port of an address, which may be written as the URL of the admin port.
fn admin_address(text: &str) -> Result<String, String> {
    let example = "write host and port, as in `127.0.0.1:9090`";
    if text.starts_with("https://") {
        return Err(format!(
            "the admin port speaks plain HTTP, without TLS: {example}"
        ));
    }
    let plain = text.strip_prefix("http://").unwrap_or(text);
    let authority = plain.strip_suffix('/').unwrap_or(plain);
    let (host, port) = authority.rsplit_once(':').unwrap_or_default();
    let is_host = host
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"/?#@".contains(&byte));
    if host.is_empty() || !is_host || port.parse::<u16>().is_err() {
        return Err(format!("this is no address of an admin port: {example}"));
    }
    Ok(authority.to_owned())
}

/// A gateway that can be asked.
pub(in crate::cli) struct Client {
    authority: String,
    token: SecretText,
    /// The configuration file that named the address; `None`: an option did.
    file: Option<PathBuf>,
    /// Whether an option named the token.
    is_token_given: bool,
}

impl Target {
    /// The gateway.
    ///
    /// # Errors
    /// Its address or its token is not known.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let given = self.token.as_deref();
        let given = given.map(|reference| subject::secret("--token", reference, 1));
        let given = given.transpose()?.map(|secret| secret.text);
        if let Some(address) = &self.admin {
            let token = given.context("`--admin` needs `--token`")?;
            return Ok(Client {
                authority: address.clone(),
                token,
                file: None,
                is_token_given: true,
            });
        }
        let path = self.config.clone().unwrap_or_else(default_file);
        let (address, configured) = config::admin_access(&path)?;
        if address.port() == 0 {
            bail!(
                "the configuration lets the system choose the admin port, so it is not known here: write \
                 `--admin ADDR --token REF`"
            );
        }
        let is_token_given = given.is_some();
        let token = given.or(configured).ok_or_else(|| {
            anyhow!(
                "the configuration {} has no `[admin] token`, and the pages of the queue exist only with one: set it, \
                 and restart or reload the gateway",
                config::shown_path(&path)
            )
        })?;
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Ok(Client {
            authority: SocketAddr::new(ip, address.port()).to_string(),
            token,
            file: Some(path),
            is_token_given,
        })
    }

    /// The options by which another command asks the same gateway, each behind a blank. A token that was
    /// written as text is not repeated.
    pub(super) fn options(&self) -> String {
        let mut options = String::new();
        let mut add = |option: &str, value: &str| {
            options.extend([" ", &shell::option(option, value)]);
        };
        if let Some(path) = &self.config {
            add("--config", &path.display().to_string());
        }
        if let Some(address) = &self.admin {
            add("--admin", address);
        }
        if let Some(reference) = &self.token {
            let is_text = reference.starts_with("plain:");
            add("--token", if is_text { "REF" } else { reference });
        }
        options
    }
}

impl Client {
    /// The gateway with this admin port and token.
    pub(in crate::cli) fn new(admin: SocketAddr, token: SecretText) -> Self {
        Self {
            authority: admin.to_string(),
            token,
            file: None,
            is_token_given: true,
        }
    }

    /// What the gateway answers to a GET.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(in crate::cli) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask("GET", path, "")
    }

    /// What the gateway answers to a POST.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(in crate::cli) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask("POST", path, &body.to_string())
    }

    /// What the gateway answers.
    ///
    /// # Errors
    /// There is no answer, or the gateway does not do it: its words.
    fn ask(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
        let authority = &self.authority;
        let stream = self.connect().map_err(|error| self.nobody(&error))?;
        let answer = self
            .exchange(stream, method, path, body)
            .with_context(|| format!("the gateway at {authority} gives no answer"))?;
        if answer.is_empty() {
            bail!(
                "{authority} ends the connection without an answer, as a gateway does with a wrong token once it has got \
                 ten of them within a minute: {}; wait a minute, and try the right one",
                self.tried()
            );
        }
        let (status, body) = taken_apart(&answer).with_context(|| {
            format!("{authority} does not answer in HTTP: is it the admin port?")
        })?;
        let value: Option<Value> = serde_json::from_slice(body).ok();
        match value {
            Some(value) if (200..300).contains(&status) => Ok(value),
            Some(_) if status == 401 => bail!(
                "the gateway at {authority} does not take the admin token (401): {}",
                self.tried()
            ),
            Some(value) => {
                let text = |name| value.get(name).and_then(Value::as_str);
                let words = escaped(text("error").unwrap_or_default());
                // The admin port says so only of pages that it has not, or not without a token.
                let is_elsewhere = text("code") == Some("no_route") && !words.contains("admin");
                let hint = if is_elsewhere {
                    ": is it the admin port (`admin.listen`)?"
                } else {
                    ""
                };
                bail!("the gateway at {authority} answers {status}: {words}{hint}")
            }
            None => bail!("{authority} answers {status} without JSON: is it the admin port?"),
        }
    }

    /// Which token was tried, and which one would be right.
    fn tried(&self) -> String {
        let tried = match &self.file {
            Some(file) if !self.is_token_given => {
                format!("tried was `admin.token` of {}", config::shown_path(file))
            }
            _ => "tried was that of `--token`".to_owned(),
        };
        format!(
            "{tried}; right is the `admin.token` of the configuration that the gateway has in force, since its start or \
             its last reload (`--token REF` names another one)"
        )
    }

    /// There is no connection.
    fn nobody(&self, error: &io::Error) -> anyhow::Error {
        let authority = &self.authority;
        match &self.file {
            Some(file) => {
                let file = config::shown_path(file);
                anyhow!(
                    "no gateway answers at {authority}, the `admin.listen` of {file}: {error}; start it by \
                     `verigate run {}`, or name another one by `--config FILE` or `--admin ADDR --token REF`",
                    shell::option("--config", &file)
                )
            }
            None => anyhow!(
                "no gateway answers at {authority}: {error}; `--admin` is the `admin.listen` of a gateway that runs, as \
                 in `--admin 127.0.0.1:9090`"
            ),
        }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut addresses = self.authority.to_socket_addrs()?;
        let address = addresses
            .next()
            .ok_or_else(|| io::Error::other("the name has no address"))?;
        TcpStream::connect_timeout(&address, LIMIT)
    }

    fn exchange(
        &self,
        mut stream: TcpStream,
        method: &str,
        path: &str,
        body: &str,
    ) -> io::Result<Vec<u8>> {
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: verigate-queue\r\nConnection: close\r\n\
             Content-Length: {}\r\nAuthorization: Bearer ",
            self.authority,
            body.len()
        );
        let parts = [
            head.as_bytes(),
            self.token.expose(),
            b"\r\n\r\n",
            body.as_bytes(),
        ];
        let request = zeroize::Zeroizing::new(parts.concat());
        stream.write_all(&request)?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// The status and the body of an answer; `None` where it is none.
fn taken_apart(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = answer.split_at_checked(end + 4)?;
    let head = str::from_utf8(head).ok()?;
    let (_, rest) = head.strip_prefix("HTTP/1.")?.split_once(' ')?;
    Some((rest.get(..3)?.parse().ok()?, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_port_is_named_by_its_address_or_its_url() {
        for (written, meant) in [
            ("127.0.0.1:9090", "127.0.0.1:9090"),
            ("http://127.0.0.1:9090", "127.0.0.1:9090"),
            ("http://gateway.internal:9090/", "gateway.internal:9090"),
            ("http://[::1]:9090/", "[::1]:9090"),
            ("[::1]:9090", "[::1]:9090"),
        ] {
            assert_eq!(admin_address(written), Ok(meant.to_owned()), "{written}");
        }
        for (written, words) in [
            ("https://127.0.0.1:9090", "without TLS"),
            ("http://127.0.0.1:9090/queue", "`127.0.0.1:9090`"),
            ("http://user@127.0.0.1:9090", "host and port"),
            ("127.0.0.1", "host and port"),
            ("http://", "host and port"),
            (":9090", "host and port"),
            ("localhost:90909", "host and port"),
        ] {
            let error = admin_address(written).unwrap_err();
            assert!(error.contains(words), "{written}: {error}");
        }
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n{}\r\n\r\n";
        assert_eq!(taken_apart(answer), Some((404, b"{}\r\n\r\n".as_slice())));
        for answer in [b"HTTP/1.1 200 OK\r\n".as_slice(), b"SSH-2.0\r\n\r\n", b""] {
            assert_eq!(taken_apart(answer), None);
        }
    }
}
