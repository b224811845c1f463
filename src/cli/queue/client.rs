//! Requests to the admin port of a running gateway: plain HTTP/1.1, with the admin token.

use std::io::{Read as _, Write as _};
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
    /// The address of the admin port, as in `127.0.0.1:9090`
    #[arg(long, value_name = "ADDR", requires = "token")]
    admin: Option<String>,
    /// The admin token: `env:NAME`, `file:PATH` or `cred:NAME`
    #[arg(long, value_name = "REF")]
    token: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// A gateway that can be asked.
pub(in crate::cli) struct Client {
    authority: String,
    token: SecretText,
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
        let token = given.or(configured).ok_or_else(|| {
            anyhow!(
                "the configuration has no `[admin] token`, and the pages of the queue exist only with one: set it, and \
                 restart or reload the gateway"
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
        })
    }
}

impl Client {
    /// The gateway with this admin port and token.
    pub(in crate::cli) fn new(admin: SocketAddr, token: SecretText) -> Self {
        Self {
            authority: admin.to_string(),
            token,
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
        let answer = self
            .exchange(method, path, body)
            .with_context(|| format!("the gateway at {authority} gives no answer"))?;
        let (status, body) =
            taken_apart(&answer).with_context(|| format!("{authority} does not answer in HTTP"))?;
        let value: Option<Value> = serde_json::from_slice(body).ok();
        match value {
            Some(value) if (200..300).contains(&status) => Ok(value),
            Some(value) => {
                let words = value.get("error").and_then(Value::as_str);
                let words = escaped(words.unwrap_or_default());
                bail!("the gateway at {authority} answers {status}: {words}")
            }
            None => bail!("{authority} answers {status} without JSON: is it the admin port?"),
        }
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Vec<u8>> {
        let mut addresses = self.authority.to_socket_addrs()?;
        let address = addresses.next().context("the name has no address")?;
        let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
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
    fn an_answer_is_taken_apart() {
        let answer = b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n{}\r\n\r\n";
        assert_eq!(taken_apart(answer), Some((404, b"{}\r\n\r\n".as_slice())));
        for answer in [b"HTTP/1.1 200 OK\r\n".as_slice(), b"SSH-2.0\r\n\r\n", b""] {
            assert_eq!(taken_apart(answer), None);
        }
    }
}
