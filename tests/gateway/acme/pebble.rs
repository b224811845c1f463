//! Pebble, the test authority of Let's Encrypt (Debian's package `pebble`), with a resolver of its
//! own that answers every name with 127.0.0.1.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::support::{LATE, eventually};

/// The key of the external account that [`Pebble::start`] can require, with its id.
pub(crate) const EAB_ID: &str = "kid-1";
pub(crate) const EAB_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

/// Whether Pebble is there. Where it is not, that is said, and the test is skipped unless
/// `VERIGATE_REQUIRE_PEBBLE=1` is set.
pub(crate) fn is_installed(test: &str) -> bool {
    let all = ["/usr/bin/pebble", "/usr/bin/pebble-challtestsrv"];
    if all.iter().all(|path| std::path::Path::new(path).exists()) {
        return true;
    }
    // To the handle, which the test harness does not capture as it does the print macros.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: {test}: no pebble: apt-get install pebble"
    );
    #[expect(
        clippy::disallowed_methods,
        reason = "the tests' own switch, none of the product's"
    )]
    let required = std::env::var("VERIGATE_REQUIRE_PEBBLE").is_ok_and(|value| value == "1");
    assert!(
        !required,
        "VERIGATE_REQUIRE_PEBBLE=1, and pebble is missing"
    );
    false
}

/// A port that was free a moment ago, for programs that cannot say which one they took.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// An authority for certificates of tests: its root in PEM, and a certificate of `localhost` with
/// its key, both in PEM.
pub(crate) struct Root {
    pub(crate) issuer: CertifiedIssuer<'static, KeyPair>,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Root {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("a certificate");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a certificate");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            issuer,
        }
    }
}

/// What a test wants of Pebble.
pub(crate) struct Wanted {
    /// The ports at which it looks at challenges.
    pub(crate) http: u16,
    pub(crate) tls: u16,
    /// For how long certificates count, in seconds.
    pub(crate) validity: u32,
    /// Whether it wants an external account.
    pub(crate) external: bool,
}

/// A running Pebble. It ends when this is dropped.
pub(crate) struct Pebble {
    children: Vec<Child>,
    folder: tempfile::TempDir,
    port: u16,
}

impl Pebble {
    /// Starts it, and waits until it accepts.
    pub(crate) fn start(wanted: &Wanted) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Root::new();
        let (port, dns) = (free_port(), free_port());
        let at = |name: &str| folder.path().join(name);
        fs::write(at("root.pem"), root.issuer.pem()).expect("a file");
        fs::write(at("own.pem"), root.certificate).expect("a file");
        fs::write(at("own.key"), root.key).expect("a file");
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": "",
            "certificate": at("own.pem"),
            "privateKey": at("own.key"),
            "httpPort": wanted.http,
            "tlsPort": wanted.tls,
            "certificateValidityPeriod": wanted.validity,
            "externalAccountBindingRequired": wanted.external,
            "externalAccountMACKeys": { EAB_ID: EAB_KEY },
        }});
        fs::write(at("pebble.json"), config.to_string()).expect("a file");
        let mut resolver = Command::new("/usr/bin/pebble-challtestsrv");
        resolver
            .args(["-dns01", &format!("127.0.0.1:{dns}")])
            .args(["-management", &format!("127.0.0.1:{}", free_port())])
            .args([
                "-http01",
                "",
                "-https01",
                "",
                "-tlsalpn01",
                "",
                "-defaultIPv6",
                "",
            ]);
        let mut pebble = Command::new("/usr/bin/pebble");
        pebble
            .arg("-config")
            .arg(at("pebble.json"))
            .args(["-strict", "-dnsserver", &format!("127.0.0.1:{dns}")])
            .env("PEBBLE_VA_NOSLEEP", "1");
        let log = || fs::File::create(at("pebble.log")).expect("a file");
        let children = [resolver, pebble].map(|mut command| {
            command
                .stdin(Stdio::null())
                .stdout(log())
                .stderr(Stdio::null());
            command.spawn().expect("pebble starts")
        });
        let started = Self {
            children: children.into(),
            folder,
            port,
        };
        let accepts = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        assert!(eventually(LATE, accepts), "pebble does not accept");
        started
    }

    /// The keys of `[server.acme]` that name this authority.
    pub(crate) fn keys(&self) -> String {
        format!(
            "directory = \"https://localhost:{}/dir\"\nca = \"{}\"\n",
            self.port,
            self.folder.path().join("root.pem").display()
        )
    }

    /// The URL of its directory.
    pub(crate) fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }
}

impl Pebble {
    /// Ends it; its files stay.
    pub(crate) fn stop(&mut self) {
        for child in &mut self.children {
            // Both fail only where the child has already ended, which is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("pebble.log"));
            eprintln!("--- pebble\n{}", log.unwrap_or_default());
        }
    }
}
