//! A TLS port: its certificates by server name, and the settings of its handshakes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, VerifierBuilderError,
    WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{ALL_VERSIONS, ServerConfig, SupportedProtocolVersion, crypto, version};

use super::identity::{Authorities, Identity};
use super::managed::Share;
use crate::clock::UnixMillis;

/// The certificates of a port, found by the server name that a client asks for: by the exact name,
/// else by a wildcard, else the default.
///
/// A wildcard stands for exactly one label (RFC 6125 6.4.3).
#[derive(Clone, Debug, Default)]
pub struct Identities {
    // A wildcard is kept without its `*.`.
    exact: HashMap<String, Arc<CertifiedKey>>,
    wildcards: HashMap<String, Arc<CertifiedKey>>,
    default: Option<Arc<CertifiedKey>>,
    managed: Share,
}

impl Identities {
    /// Adds a certificate for these names, in lower case. Of two certificates for a name the first
    /// counts.
    pub fn add<'n>(&mut self, names: impl IntoIterator<Item = &'n str>, identity: &Identity) {
        for name in names {
            let (table, name) = match name.strip_prefix("*.") {
                Some(parent) => (&mut self.wildcards, parent),
                None => (&mut self.exact, name),
            };
            table
                .entry(name.to_owned())
                .or_insert_with(|| Arc::clone(&identity.certified));
        }
    }

    /// Sets the certificate for clients that ask for no name, or for a name that no other has.
    pub fn set_default(&mut self, identity: &Identity) {
        self.default = Some(Arc::clone(&identity.certified));
    }

    /// Serves the gateway's own certificates too, where no other is for the name.
    pub fn set_managed(&mut self, share: Share) {
        self.managed = share;
    }

    /// Whether a client that asks for this name, or for no name, gets a certificate.
    pub fn has(&self, name: Option<&str>) -> bool {
        self.choose(name).is_some()
    }

    pub(super) fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let named = || {
            let name = name?.trim_end_matches('.').to_ascii_lowercase();
            let exact = self.exact.get(&name);
            let own = exact.or_else(|| self.wildcards.get(name.split_once('.')?.1));
            own.map(Arc::clone).or_else(|| self.managed.choose(&name))
        };
        let default = || self.default.as_ref().map(Arc::clone);
        named().or_else(default).or_else(|| self.managed.default())
    }
}

impl ResolvesServerCert for Identities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

/// The least version of TLS that a port speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

static ONLY_TLS13: [&SupportedProtocolVersion; 1] = [&version::TLS13];

impl Version {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::Tls12 => ALL_VERSIONS,
            Self::Tls13 => &ONLY_TLS13,
        }
    }
}

/// The reason why a port has no settings.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The authorities of clients cannot be used.
    #[error("client certificates cannot be judged: {0}")]
    Clients(#[from] VerifierBuilderError),
    /// The system gives no random bytes, or the versions of TLS cannot be spoken.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// The judgement of a port on certificates of clients.
#[derive(Debug)]
pub struct Clients(Option<Arc<dyn ClientCertVerifier>>);

impl Clients {
    /// Whether a client with this chain, which may be empty, is let in at this moment.
    pub fn accept(&self, chain: &[CertificateDer<'_>], wall: UnixMillis) -> bool {
        let Some(verifier) = &self.0 else {
            return true;
        };
        let millis = u64::try_from(wall.0).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_millis(millis));
        chain
            .split_first()
            .is_some_and(|(own, others)| verifier.verify_client_cert(own, others, now).is_ok())
    }
}

/// The settings of a TLS port.
#[derive(Clone, Debug)]
pub struct Port {
    identities: Arc<Identities>,
    config: Arc<ServerConfig>,
    // An Arc, because connections keep the judgement that let them in.
    clients: Arc<Clients>,
}

impl Port {
    /// A port with these certificates. `protocols` are the names of ALPN, the preferred one first.
    /// Where `clients` is given, each client must have a certificate that those authorities signed.
    ///
    /// Sessions may be resumed by ticket. The key of the tickets rotates every six hours and belongs to
    /// this port alone, since a resumed session is not asked for a certificate again. No request is
    /// taken before the end of a handshake: early data (0-RTT) can be replayed.
    ///
    /// # Errors
    /// [`PortError`]
    pub fn new(
        identities: Identities,
        clients: Option<&Authorities>,
        least: Version,
        protocols: &[&str],
    ) -> Result<Self, PortError> {
        let provider = Arc::new(crypto::ring::default_provider());
        let clients = clients.map(|Authorities(roots)| {
            let provider = Arc::clone(&provider);
            WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider).build()
        });
        let clients = clients.transpose()?;
        let verifier = clients
            .clone()
            .unwrap_or_else(WebPkiClientVerifier::no_client_auth);
        let identities = Arc::new(identities);
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Identities>::clone(&identities);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(least.versions())?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(resolver);
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        // The strongest that both know, whatever a client prefers.
        config.ignore_client_order = true;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = crypto::ring::Ticketer::new()?;
        config.send_tls13_tickets = 1;
        config.max_early_data_size = 0;
        Ok(Self {
            identities,
            config: Arc::new(config),
            clients: Arc::new(Clients(clients)),
        })
    }

    /// The certificates of the port.
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// The judgement on certificates of clients.
    pub fn clients(&self) -> &Arc<Clients> {
        &self.clients
    }

    /// The settings with which a handshake goes on.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}
