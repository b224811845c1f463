//! The exchanges with an authority: HTTP/1.1 over TLS, each on a connection of its own, within a
//! time limit and a bound on the answer, whatever stands at the other end.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Request, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{self, ClientConfig};

use crate::acme::ledger::LONGEST_WAIT;
use crate::clock::Clock;
use crate::tls::{Authorities, Outbound, Peer, ServerName, Trust, words};

/// The time for an exchange, from the name's resolution to the last byte of the answer.
const LIMIT: Duration = Duration::from_secs(30);

/// The time for a connection to one of the host's addresses, and the most addresses tried.
const CONNECT: Duration = Duration::from_secs(6);
const ADDRESSES: usize = 4;

/// The longest body of an answer. The largest that is needed is a certificate with its chain.
const MAX_BODY: usize = 256 * 1024;

/// The longest head of an answer.
const MAX_HEAD: usize = 32 * 1024;

/// The reason why there is no client.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error(
        "the system has no root certificates by which the authority could be known: install them \
         (`ca-certificates`), or name the authority's own with `server.acme.ca`"
    )]
    NoRoots,
    #[error("TLS cannot be prepared: {0}")]
    Tls(#[from] rustls::Error),
}

/// The settings of TLS towards an authority: its server is known by `ca`, or by the roots of the
/// system, whose files are read now.
pub(super) fn tls(ca: Option<&Authorities>) -> Result<Arc<ClientConfig>, ClientError> {
    let of_system = || Authorities::of_system(rustls_native_certs::load_native_certs().certs);
    let trusted = ca.cloned().or_else(of_system);
    let trust = Trust::Signed(trusted.ok_or(ClientError::NoRoots)?);
    Ok(Outbound::new(&trust, None)?.config())
}

/// What the last answers said besides their bodies.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Mutex<Said>>);

#[derive(Clone, Copy, Debug, Default)]
struct Said {
    refusal: Option<u16>,
    wait: Option<Duration>,
}

impl Seen {
    /// Forgets what was seen, before an attempt.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Said::default();
    }

    /// The status of the last answer, if it was a refusal.
    pub(super) fn refusal(&self) -> Option<u16> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .refusal
    }

    /// The wait that the last refusal asked for.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wait
    }
}

/// The client that stands below the protocol.
#[derive(Clone, Debug)]
pub(super) struct Http {
    pub(super) tls: Arc<ClientConfig>,
    pub(super) clock: Clock,
    pub(super) seen: Seen,
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let own = self.clone();
        Box::pin(async move {
            let host = request.uri().host().unwrap_or_default().to_owned();
            match timeout(LIMIT, own.exchange(request)).await {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(why)) => Err(Error::Other(format!("{host}: {why}").into())),
                Err(_) => {
                    let seconds = LIMIT.as_secs();
                    let words = format!("{host} did not answer within {seconds} seconds");
                    Err(Error::Other(words.into()))
                }
            }
        })
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

impl Http {
    async fn exchange(
        &self,
        mut request: Request<BodyWrapper<Bytes>>,
    ) -> Result<BytesResponse, AnyError> {
        let url = request.uri().clone();
        let stream = self.connect(&url).await?;
        prepare(&mut request, &url)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await?;
        let exchanged = async {
            let response = sender.send_request(request).await?;
            let (mut parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_BODY).collect().await?.to_bytes();
            judge_directory(&body)?;
            self.note(&mut parts);
            Ok::<_, AnyError>(BytesResponse {
                parts,
                body: Box::new(body),
            })
        };
        let mut exchanged = std::pin::pin!(exchanged);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            biased;
            answer = &mut exchanged => answer,
            // The connection may end with the last byte of the answer.
            ended = &mut connection => {
                ended?;
                exchanged.await
            }
        }
    }

    async fn connect(&self, url: &Uri) -> Result<TlsStream<TcpStream>, AnyError> {
        if url.scheme_str() != Some("https") {
            return Err("the authority names a URL that is not `https`".into());
        }
        let host = url.host().unwrap_or_default();
        let host = host.trim_matches(['[', ']']);
        let name = ServerName::try_from(host)?.to_owned();
        let addresses = lookup_host((host, url.port_u16().unwrap_or(443))).await?;
        let mut failure = io::Error::from(io::ErrorKind::NotFound);
        // One after the other: a host whose first address leads nowhere is reached by another.
        for address in addresses.take(ADDRESSES) {
            match timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let connector = TlsConnector::from(Arc::clone(&self.tls));
                    let shaken = connector.connect(name.clone(), stream).await;
                    return shaken.map_err(|why| of_tls(why, &name));
                }
                Ok(Err(why)) => failure = why,
                Err(_) => failure = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(failure.into())
    }

    /// Notes what an answer says about waiting. A wait beyond all reason is cut, since the protocol's
    /// client adds it to the time of the day.
    fn note(&self, parts: &mut http::response::Parts) {
        let mut said = Said::default();
        if parts.status.as_u16() >= 400 {
            said.refusal = Some(parts.status.as_u16());
        }
        let value = parts.headers.get(RETRY_AFTER);
        let wait = value
            .and_then(|value| value.to_str().ok())
            .and_then(|text| wait(text.trim(), self.clock.now().wall.0));
        if said.refusal.is_some() {
            said.wait = wait;
        }
        match wait {
            Some(wait) => {
                let seconds = HeaderValue::from(wait.as_secs());
                parts.headers.insert(RETRY_AFTER, seconds);
            }
            None => {
                parts.headers.remove(RETRY_AFTER);
            }
        }
        *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner) = said;
    }
}

/// The error of a handshake with an authority that is called `name`, in words if it is one of TLS.
fn of_tls(why: io::Error, name: &ServerName<'_>) -> AnyError {
    let cause = why.get_ref().and_then(|why| why.downcast_ref());
    match cause {
        Some(cause) => words(cause, Peer::Authority(name)).into(),
        None if why.kind() == io::ErrorKind::UnexpectedEof => {
            "it closed the connection during the TLS handshake".into()
        }
        None => why.into(),
    }
}

/// Refuses a directory whose address for nonces is none: the protocol's client would panic at it. Any
/// other answer passes.
fn judge_directory(body: &[u8]) -> Result<(), AnyError> {
    let whole: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let address = whole.as_ref().and_then(|whole| whole.get("newNonce"));
    match address.and_then(serde_json::Value::as_str) {
        Some(address) if address.parse::<Uri>().is_err() => {
            Err("its directory has an address that is none".into())
        }
        _ => Ok(()),
    }
}

/// Gives the request the form that it has on a connection: the path alone, and the host beside it.
fn prepare(request: &mut Request<BodyWrapper<Bytes>>, url: &Uri) -> Result<(), AnyError> {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let host = HeaderValue::from_str(authority)?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse()?;
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    let below = headers.get(USER_AGENT).and_then(|own| own.to_str().ok());
    let agent = format!(
        "verigate/{} {}",
        env!("CARGO_PKG_VERSION"),
        below.unwrap_or_default()
    );
    headers.insert(USER_AGENT, HeaderValue::from_str(agent.trim())?);
    Ok(())
}

/// The wait that `Retry-After` asks for (RFC 9110 10.2.3): seconds, or a date. `now` is in
/// milliseconds.
fn wait(text: &str, now: i64) -> Option<Duration> {
    let seconds = if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
        // A number too large for its type is a long wait.
        text.parse().unwrap_or(u64::MAX)
    } else {
        let date = jiff::fmt::rfc2822::parse(text).ok()?;
        let ahead = date.timestamp().as_second().saturating_sub(now / 1000);
        u64::try_from(ahead).unwrap_or(0)
    };
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tl_11_a_wait_is_seconds_or_a_date_and_a_week_at_most() {
        let seconds = Duration::from_secs;
        let rows = [
            ("0", Some(seconds(0))),
            ("120", Some(seconds(120))),
            ("99999999999999999999999", Some(LONGEST_WAIT)),
            ("18446744073709551615", Some(LONGEST_WAIT)),
            ("Mon, 23 Nov 2026 00:01:40 GMT", Some(seconds(100))),
            ("Mon, 23 Nov 2020 00:00:00 GMT", Some(seconds(0))),
            ("Tue, 01 Jan 2999 00:00:00 GMT", Some(LONGEST_WAIT)),
            ("", None),
            ("-1", None),
            ("soon", None),
        ];
        let mut failures = Vec::new();
        for (text, expected) in rows {
            let found = wait(text, 1_795_392_000_000);
            if found != expected {
                failures.push((text, expected, found));
            }
        }
        assert!(failures.is_empty(), "{failures:?}");
    }
}
