//! An authority that behaves as a test wants it: it suggests renewals, refuses for numbers, is silent
//! or talks nonsense. It looks at no signature and at no challenge.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateSigningRequestParams, date_time_ymd};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::pebble::Root;
use crate::support::behaviour::Latch;

/// What the authority does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// It issues, and suggests to renew at once what it has issued first.
    Renews,
    /// It issues nothing more before this many seconds are over.
    Limits(&'static str),
    /// It refuses with words that would forge log lines.
    Forges,
    /// Its certificates are for another name.
    Mistakes,
    /// It names URLs that are none.
    Misleads,
    /// Its answer never ends.
    Floods,
    /// It answers with a page.
    Pages,
    /// It issues only once the test says so.
    Holds,
}

struct Shared {
    does: Does,
    root: Root,
    url: String,
    requests: Mutex<Vec<(String, Value)>>,
    chain: Mutex<String>,
    latch: Latch,
}

/// A running authority. Its thread ends with the test program.
pub(crate) struct Stub(Arc<Shared>);

impl Stub {
    pub(crate) fn start(does: Does) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let root = Root::new();
        let chain = CertificateDer::pem_slice_iter(root.certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(root.key.as_bytes()).expect("a key");
        let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate");
        let tls = Arc::new(tls);
        let shared = Arc::new(Shared {
            does,
            root,
            url: format!("https://localhost:{port}"),
            requests: Mutex::default(),
            chain: Mutex::default(),
            latch: Latch::closed(),
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, tls) = (Arc::clone(&own), Arc::clone(&tls));
                thread::spawn(move || serve(&shared, stream, tls));
            }
        });
        Self(shared)
    }

    /// The URL of its directory.
    pub(crate) fn directory(&self) -> String {
        format!("{}/dir", self.0.url)
    }

    /// Its root, in PEM.
    pub(crate) fn root(&self) -> String {
        self.0.root.issuer.pem()
    }

    /// Lets an authority that [holds](Does::Holds) issue.
    pub(crate) fn issue(&self) {
        self.0.latch.open();
    }

    /// The payloads of the requests for a path, so far.
    pub(crate) fn asked(&self, path: &str) -> Vec<Value> {
        let requests = self
            .0
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let own = requests.iter().filter(|(own, _)| own.starts_with(path));
        own.map(|(_, payload)| payload.clone()).collect()
    }
}

fn serve(shared: &Shared, stream: TcpStream, tls: Arc<ServerConfig>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let connection = ServerConnection::new(tls).expect("a server");
    let mut stream = StreamOwned::new(connection, stream);
    let Some((path, payload)) = request(&mut stream) else {
        return;
    };
    {
        let mut requests = shared
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        requests.push((path.clone(), payload.clone()));
    }
    if shared.does == Does::Floods && path == "/order" {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
        // Until the gateway has had enough.
        while stream.write_all(&[b' '; 8192]).is_ok() {}
        return;
    }
    if shared.does == Does::Holds && path == "/finalize" {
        shared.latch.wait();
    }
    let (status, more, body) = answer(shared, &path, &payload);
    let head = format!(
        "HTTP/1.1 {status} x\r\nReplay-Nonce: bm9uY2U\r\nContent-Length: {}\r\n{more}\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body.as_bytes());
    let _ = stream.flush();
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

/// The path of a request, and the payload of its signed body.
fn request(stream: &mut impl std::io::Read) -> Option<(String, Value)> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.parse().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                let path = head.split(' ').nth(1)?.to_owned();
                let signed: Value = serde_json::from_str(body).unwrap_or_default();
                let payload = signed["payload"].as_str().unwrap_or_default();
                let payload = URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
                return Some((path, serde_json::from_slice(&payload).unwrap_or_default()));
            }
        }
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&part[..count]);
    }
}

fn answer(shared: &Shared, path: &str, payload: &Value) -> (u16, String, String) {
    let url = &shared.url;
    let plain = |value: Value| (200, String::new(), value.to_string());
    let order = |status: &str| {
        json!({
            "status": status, "authorizations": [format!("{url}/authz")],
            "finalize": format!("{url}/finalize"), "certificate": format!("{url}/cert"),
        })
    };
    let location = |path: &str| format!("Location: {url}/{path}\r\n");
    match path {
        "/dir" if shared.does == Does::Pages => (
            200,
            String::new(),
            "<html>we are back soon</html>".to_owned(),
        ),
        "/dir" if shared.does == Does::Misleads => plain(json!({
            "newNonce": "https://[::bad", "newAccount": "ftp://x/", "newOrder": "",
        })),
        "/dir" => plain(json!({
            "newNonce": format!("{url}/nonce"), "newAccount": format!("{url}/account"),
            "newOrder": format!("{url}/order"), "renewalInfo": format!("{url}/renewal"),
        })),
        "/account" => (
            201,
            location("account/1"),
            json!({"status": "valid"}).to_string(),
        ),
        "/order" => match shared.does {
            Does::Limits(wait) => (
                429,
                format!("Retry-After: {wait}\r\n"),
                json!({
                    "type": "urn:ietf:params:acme:error:rateLimited",
                    "detail": "too many certificates",
                })
                .to_string(),
            ),
            Does::Forges => (
                403,
                String::new(),
                json!({
                    "type": "urn:ietf:params:acme:error:rejectedIdentifier",
                    "detail": "no\n2026-01-01T00:00:00Z ERROR forged \u{1b}[31m",
                })
                .to_string(),
            ),
            _ => {
                let mut own = order("ready");
                if let Some(replaces) = payload.get("replaces") {
                    own["replaces"] = replaces.clone();
                }
                (201, location("order/1"), own.to_string())
            }
        },
        "/authz" => plain(json!({
            "identifier": {"type": "dns", "value": "hooks.example.com"},
            "status": "valid", "challenges": [],
        })),
        "/order/1" => {
            let issued = shared.chain.lock().unwrap_or_else(PoisonError::into_inner);
            plain(order(if issued.is_empty() { "ready" } else { "valid" }))
        }
        "/finalize" => {
            let der = URL_SAFE_NO_PAD.decode(payload["csr"].as_str().unwrap_or_default());
            let der = CertificateSigningRequestDer::from(der.unwrap_or_default());
            let mut request = CertificateSigningRequestParams::from_der(&der).expect("a request");
            request.params.not_before = date_time_ymd(2020, 1, 1);
            request.params.not_after = date_time_ymd(2200, 1, 1);
            request.params.use_authority_key_identifier_extension = true;
            if shared.does == Does::Mistakes {
                let other =
                    rcgen::string::Ia5String::try_from("other.example.com").expect("a name");
                request.params.subject_alt_names = vec![rcgen::SanType::DnsName(other)];
            }
            let issued = request
                .signed_by(&shared.root.issuer)
                .expect("a certificate");
            let chain = format!("{}{}", issued.pem(), shared.root.issuer.pem());
            *shared.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain;
            plain(order("processing"))
        }
        "/cert" => {
            let mut issued = shared.chain.lock().unwrap_or_else(PoisonError::into_inner);
            (200, String::new(), std::mem::take(&mut *issued))
        }
        path if path.starts_with("/renewal/") => {
            let is_first = {
                let requests = shared
                    .requests
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                requests
                    .iter()
                    .filter(|(path, _)| path == "/finalize")
                    .count()
                    == 1
            };
            // One that holds its orders is asked for nothing but the first.
            let (start, end) = if is_first && shared.does != Does::Holds {
                ("2021-01-01T00:00:00Z", "2021-01-02T00:00:00Z")
            } else {
                ("2190-01-01T00:00:00Z", "2190-01-02T00:00:00Z")
            };
            let body = json!({"suggestedWindow": {"start": start, "end": end}});
            (200, "Retry-After: 21600\r\n".to_owned(), body.to_string())
        }
        _ => (200, String::new(), String::new()),
    }
}
