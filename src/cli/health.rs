//! `verigate health`: asks a running gateway whether it is ready, for the health checks of
//! containers and service managers (contract: Command line).
//!
//! One GET of plain HTTP/1.1 on a connection of its own, with the standard library alone: it runs
//! every few seconds, and must answer the sooner the busier the machine is.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;

use super::output::{complain, print};
use super::{Exit, default_file};
use crate::clock::Clock;
use crate::config;

/// The time for everything, from looking up the name to the end of the answer.
const LIMIT: Duration = Duration::from_secs(5);

/// The most bytes of an answer that are read: its head, and the words of the gateway.
const MAX_ANSWER: u64 = 16 << 10;

/// The path of an URL that has none.
const PATH: &str = "/readyz";

/// Arguments of `health`.
#[derive(Args, Debug)]
#[command(
    after_help = "Without URL, /readyz of the admin port is asked: the one of the configuration file, or\n\
    127.0.0.1:9090 where there is no file.\n\n\
    Exit status: 0 ready; 1 not ready, or no answer within 5 seconds; 2 wrong arguments.\n\n\
    Examples:\n  verigate health\n  verigate health http://127.0.0.1:9090/healthz"
)]
pub(super) struct Health {
    /// What to ask, as in `http://127.0.0.1:9090/readyz`
    #[arg(value_name = "URL", conflicts_with = "config")]
    url: Option<String>,
    /// The configuration file that names the admin port
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Health {
    /// Prints what the gateway answers, and fails unless that is a status of 2xx.
    pub(super) fn run(&self) -> Exit {
        let target = match &self.url {
            Some(url) => match Target::parse(url) {
                Ok(target) => target,
                Err(error) => {
                    complain(&error);
                    return Exit::Usage;
                }
            },
            None => match self.configured() {
                Ok(target) => target,
                Err(error) => {
                    complain(&error);
                    return Exit::Failure;
                }
            },
        };
        match target.ask() {
            Ok(words) => {
                print(&words);
                Exit::Success
            }
            Err(error) => {
                complain(&if self.url.is_none() && self.absent().is_some() {
                    of_default(&error)
                } else {
                    error
                });
                Exit::Failure
            }
        }
    }

    /// The default file, where it is meant and does not exist.
    fn absent(&self) -> Option<PathBuf> {
        let path = default_file();
        let is_absent = self.config.is_none() && matches!(path.try_exists(), Ok(false));
        is_absent.then_some(path)
    }

    /// `/readyz` of the configured admin port.
    fn configured(&self) -> anyhow::Result<Target> {
        // A gateway may run without a file, and then has the default address.
        let address = if self.absent().is_some() {
            config::Admin::DEFAULT_LISTEN
        } else {
            config::admin_address(&self.config.clone().unwrap_or_else(default_file))?
        };
        if address.port() == 0 {
            bail!(
                "the configuration lets the system choose the admin port, so it is not known here: name it, as in \
                 `verigate health http://127.0.0.1:9090/readyz`"
            );
        }
        Ok(Target {
            authority: reachable(address).to_string(),
            path: PATH.to_owned(),
        })
    }
}

/// An error at the default address, which was asked for want of a file.
fn of_default(error: &anyhow::Error) -> anyhow::Error {
    anyhow!(
        "{error:#}; that address was asked because no configuration file was found: write `--config FILE` for the \
         gateway's file, or the URL, as in `verigate health http://127.0.0.1:9090/readyz`"
    )
}

/// The address by which this machine reaches what listens on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    /// Host and port, as `Host` has them.
    authority: String,
    /// Path and query.
    path: String,
}

impl Target {
    fn parse(url: &str) -> anyhow::Result<Self> {
        let example = "write it as in `http://127.0.0.1:9090/readyz`";
        let Some(rest) = url.strip_prefix("http://") else {
            bail!("this is no URL of plain HTTP, which the admin port speaks: {example}");
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let is_fit = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if authority.is_empty()
            || authority.contains(['@', '#'])
            || !is_fit(rest)
            || path.contains('#')
        {
            bail!("this URL cannot be asked: {example}");
        }
        let path = match path {
            "" => PATH.to_owned(),
            query if query.starts_with('?') => format!("/{query}"),
            path => path.to_owned(),
        };
        Ok(Self {
            authority: authority.to_owned(),
            path,
        })
    }

    /// Sends the request. Returns the status with the words of the answer.
    ///
    /// # Errors
    /// Where no answer came in time, where it is not HTTP, or its status is not 2xx.
    fn ask(&self) -> anyhow::Result<String> {
        let url = format!("http://{}{}", self.authority, self.path);
        let answer = self
            .exchange()
            .with_context(|| format!("{url} gives no answer"))?;
        let Some((status, words)) = read_answer(&answer) else {
            bail!("{url} does not answer in HTTP");
        };
        let said = format!("{url} answers {status}{words}");
        if (200..300).contains(&status) {
            Ok(said)
        } else {
            bail!(said)
        }
    }

    /// Everything that comes back, up to a limit.
    fn exchange(&self) -> anyhow::Result<Vec<u8>> {
        let clock = Clock::system();
        let end = clock.now().mono + LIMIT;
        let left = || {
            let left = end.saturating_sub(clock.now().mono);
            if left.is_zero() {
                bail!("{} seconds are over", LIMIT.as_secs());
            }
            Ok(left)
        };
        let mut stream = self.connect(&left)?;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: verigate-health\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            self.path, self.authority
        );
        stream.set_write_timeout(Some(left()?))?;
        stream
            .write_all(request.as_bytes())
            .context("the request cannot be sent")?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while (answer.len() as u64) < MAX_ANSWER {
            stream.set_read_timeout(Some(left()?))?;
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => answer.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // What has come may be the whole answer of a server that keeps connections open.
                Err(_) if read_answer(&answer).is_some() => break,
                Err(error) => {
                    left()?;
                    return Err(error).context("the answer breaks off");
                }
            }
        }
        Ok(answer)
    }

    /// A connection to the first address that accepts one.
    fn connect(&self, left: &impl Fn() -> anyhow::Result<Duration>) -> anyhow::Result<TcpStream> {
        let has_port = self.authority.rsplit_once(':').is_some_and(|(_, port)| {
            port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty()
        });
        let name = if has_port {
            self.authority.clone()
        } else {
            format!("{}:80", self.authority)
        };
        let addresses = name
            .to_socket_addrs()
            .with_context(|| format!("the address of `{name}` is not known"))?;
        let mut last = None;
        for address in addresses {
            match TcpStream::connect_timeout(&address, left()?) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some((address, error)),
            }
        }
        match last {
            Some((address, error)) => {
                Err(error).with_context(|| format!("nothing accepts connections at {address}"))
            }
            None => bail!("`{name}` has no address"),
        }
    }
}

/// The status of an answer, and the words of its body in brackets. `None` where it is no answer of
/// HTTP/1.
fn read_answer(answer: &[u8]) -> Option<(u16, String)> {
    let text = String::from_utf8_lossy(answer);
    let rest = text.strip_prefix("HTTP/1.")?;
    let (_, rest) = rest.split_once(' ')?;
    let status: u16 = rest.get(..3)?.parse().ok()?;
    let (_, body) = rest.split_once("\r\n\r\n")?;
    let body = body.trim();
    let words = if body.is_empty() {
        String::new()
    } else {
        // Another server may have written this, so it must not move the cursor.
        let shown: String = body
            .chars()
            .take(200)
            .flat_map(char::escape_debug)
            .collect();
        format!(" ({})", shown.replace("\\\"", "\""))
    };
    Some((status, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_is_taken_apart() {
        let target = |authority: &str, path: &str| {
            let (authority, path) = (authority.to_owned(), path.to_owned());
            Some(Target { authority, path })
        };
        let rows = [
            ("http://127.0.0.1:9090", target("127.0.0.1:9090", "/readyz")),
            ("http://a/healthz?x=1", target("a", "/healthz?x=1")),
            ("http://[::1]:1/", target("[::1]:1", "/")),
            ("http://a?x", target("a", "/?x")),
            ("https://a", None),
            ("a:1", None),
            ("http://", None),
            ("http:///x", None),
            ("http://u:p@a", None),
            ("http://a/#b", None),
            ("http://a/b c", None),
            ("http://a/\r\nX: 1", None),
        ];
        for (url, expected) in rows {
            assert_eq!(Target::parse(url).ok(), expected, "{url}");
        }
    }

    #[test]
    fn an_error_at_the_default_address_says_how_to_name_another() {
        let error =
            of_default(&anyhow!("refused").context("http://127.0.0.1:9090/readyz gives no answer"));
        let said = format!("{error:#}");
        for words in [
            "http://127.0.0.1:9090/readyz gives no answer: refused",
            "`--config FILE`",
        ] {
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn a_port_of_every_interface_is_asked_on_this_machine() {
        for (listen, asked) in [
            ("0.0.0.0:9", "127.0.0.1:9"),
            ("[::]:9", "[::1]:9"),
            ("10.0.0.1:9", "10.0.0.1:9"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }

    #[test]
    fn an_answer_is_known_by_its_status_line() {
        let rows: [(&str, Option<(u16, &str)>); 6] = [
            ("HTTP/1.1 200 OK\r\n\r\n", Some((200, ""))),
            (
                "HTTP/1.1 503 X\r\nA: b\r\n\r\n\x1b\n",
                Some((503, " (\\u{1b})")),
            ),
            ("HTTP/1.0 404\r\n\r\nno \"x\"", Some((404, " (no \"x\")"))),
            ("HTTP/1.1 200 OK\r\n", None),
            ("HTTP/2 200 OK\r\n\r\n", None),
            ("SSH-2.0", None),
        ];
        for (answer, expected) in rows {
            let read = read_answer(answer.as_bytes());
            let read = read
                .as_ref()
                .map(|(status, words)| (*status, words.as_str()));
            assert_eq!(read, expected, "{answer:?}");
        }
    }
}
