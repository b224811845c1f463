//! Certificates and keys of every form that operators have, made by `rcgen`.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
};

use super::*;
use crate::clock::UnixMillis;

/// A certificate for these names with its key, both in PEM.
pub(crate) fn pem_for(names: &[&str]) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let params = CertificateParams::new(names).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn identity_for(names: &[&str]) -> Identity {
    let (certificate, key) = pem_for(names);
    Identity::read(certificate.as_bytes(), key.as_bytes()).unwrap()
}

/// An authority, a certificate that it has signed, and the key of that certificate.
pub(crate) fn signed() -> (String, String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["hooks.example.com".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    (authority.pem(), certificate.pem(), key.serialize_pem())
}

#[test]
fn an_identity_says_its_names_its_addresses_and_its_dates() {
    let key = KeyPair::generate().unwrap();
    let names = ["Hooks.Example.com", "*.example.org", "127.0.0.1", "::1"];
    let names: Vec<String> = names.map(str::to_owned).to_vec();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 1, 2);
    params.not_after = rcgen::date_time_ymd(2026, 4, 2);
    let certificate = params.self_signed(&key).unwrap().pem();
    let key = key.serialize_pem();
    let identity = Identity::read(certificate.as_bytes(), key.as_bytes()).unwrap();
    assert_eq!(identity.names, ["hooks.example.com", "*.example.org"]);
    let addresses: [std::net::IpAddr; 2] =
        ["127.0.0.1", "::1"].map(|address| address.parse().unwrap());
    assert_eq!(identity.addresses, addresses);
    assert_eq!(identity.not_before, UnixMillis::from_secs(1_767_312_000));
    assert_eq!(identity.not_after, UnixMillis::from_secs(1_775_088_001));
}

#[test]
fn keys_of_each_kind_are_taken() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_ED25519,
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let read = Identity::read(certificate.as_bytes(), key.serialize_pem().as_bytes());
        assert!(read.is_ok(), "{algorithm:?}: {:?}", read.err());
    }
}

#[test]
fn what_is_no_certificate_with_its_key_is_refused_in_words() {
    use Part::{Certificate, Key};
    let (certificate, key) = pem_for(&["a.example"]);
    let (other, _) = pem_for(&["b.example"]);
    let both = format!("{other}{certificate}");
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let (cut, _) = certificate.split_at(certificate.len() / 2);
    let unreadable = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    let rows: [(&[u8], &[u8], _, _); 11] = [
        (b"", key.as_bytes(), Certificate, "holds no certificate"),
        (
            key.as_bytes(),
            certificate.as_bytes(),
            Certificate,
            "holds a private key and no certificate",
        ),
        (
            b"\x30\x82\x01\x00",
            key.as_bytes(),
            Certificate,
            "is DER, not PEM",
        ),
        (
            cut.as_bytes(),
            key.as_bytes(),
            Certificate,
            "holds PEM that is broken",
        ),
        (
            unreadable.as_bytes(),
            key.as_bytes(),
            Certificate,
            "holds a certificate that cannot be read",
        ),
        (certificate.as_bytes(), b"", Key, "holds no private key"),
        (
            certificate.as_bytes(),
            certificate.as_bytes(),
            Key,
            "holds a certificate and no private key",
        ),
        (
            certificate.as_bytes(),
            encrypted.as_bytes(),
            Key,
            "is encrypted with a passphrase",
        ),
        (
            certificate.as_bytes(),
            b"\x30\x82\x01\x00",
            Key,
            "is DER, not PEM",
        ),
        (
            other.as_bytes(),
            key.as_bytes(),
            Key,
            "is not the key of the certificate",
        ),
        (
            both.as_bytes(),
            key.as_bytes(),
            Certificate,
            "does not begin with the certificate of the key",
        ),
    ];
    let mut failures = Vec::new();
    for (certificate, key, part, message) in rows {
        let fault = Identity::read(certificate, key).err();
        if fault.map(|fault| (fault.part, fault.message)) != Some((part, message)) {
            failures.push((message, fault));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn authorities_are_certificates_that_sign_others() {
    let (authority, certificate, key) = signed();
    assert!(Authorities::read(authority.as_bytes()).is_ok());
    assert!(Authorities::read(key.as_bytes()).is_err());
    let chain = format!("{certificate}{authority}");
    assert!(Identity::read(chain.as_bytes(), key.as_bytes()).is_ok());
}

#[test]
fn tl_01_a_name_gets_the_exact_certificate_else_a_wildcard_else_the_default() {
    let [exact, wildcard, default] =
        [["a.example.com"], ["*.example.com"], ["c.example.net"]].map(|n| identity_for(&n));
    let mut identities = Identities::default();
    identities.add(["a.example.com"], &exact);
    identities.add(["*.example.com", "a.example.com"], &wildcard);
    let found = |identities: &Identities, name| {
        let chosen = identities.choose(name)?;
        let all = [(&exact, 'e'), (&wildcard, 'w'), (&default, 'd')];
        let own = |(identity, _): &&(&Identity, char)| {
            std::sync::Arc::ptr_eq(&identity.certified, &chosen)
        };
        all.iter().find(own).map(|(_, letter)| *letter)
    };
    let rows = [
        (Some("a.example.com"), Some('e')),
        (Some("A.EXAMPLE.com."), Some('e')),
        (Some("b.example.com"), Some('w')),
        (Some("x.b.example.com"), None),
        (Some("example.com"), None),
        (Some(""), None),
        (Some("c.example.net"), None),
        (None, None),
    ];
    let failed: Vec<_> = rows
        .iter()
        .filter(|(name, expected)| found(&identities, *name) != *expected)
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(!identities.has(None));
    identities.set_default(&default);
    let failed: Vec<_> = rows
        .iter()
        .filter(|(name, expected)| found(&identities, *name) != expected.or(Some('d')))
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn tl_03_no_port_takes_early_data() {
    for least in [Version::Tls12, Version::Tls13] {
        let port = Port::new(Identities::default(), None, least, &["http/1.1"]).unwrap();
        assert_eq!(port.config().max_early_data_size, 0);
        assert_eq!(port.config().alpn_protocols, [b"http/1.1".to_vec()]);
    }
}

#[test]
fn a_certificate_that_an_authority_has_signed_is_no_authority_and_one_that_signed_itself_is() {
    let named = |name: &str| {
        let mut params = CertificateParams::new(vec![format!("{name}.example.com")]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let mut params = named("authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = named("leaf").signed_by(&key, &authority).unwrap().pem();
    let own = named("own").self_signed(&key).unwrap().pem();
    for (pem, expected) in [(authority.pem(), true), (own, true), (leaf, false)] {
        assert_eq!(Authorities::read(pem.as_bytes()).is_ok(), expected, "{pem}");
    }
}

/// The first cipher suite of the provider is of 256 bits; a client may prefer a weaker one of its list.
#[test]
fn tl_02_the_port_chooses_the_cipher_suite_and_not_the_client() {
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};
    let (authority, certificate, key) = signed();
    let identity = Identity::read(certificate.as_bytes(), key.as_bytes()).unwrap();
    let mut identities = Identities::default();
    identities.set_default(&identity);
    let port = Port::new(identities, None, Version::Tls12, &[]).unwrap();
    let mut roots = RootCertStore::empty();
    let Authorities(read) = Authorities::read(authority.as_bytes()).unwrap();
    roots.roots.extend(read.roots.iter().cloned());
    for version in rustls::ALL_VERSIONS {
        let mut provider = rustls::crypto::ring::default_provider();
        provider.cipher_suites.reverse();
        let settings = ClientConfig::builder_with_provider(provider.into())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        let name = "hooks.example.com".try_into().unwrap();
        let mut client = ClientConnection::new(settings.into(), name).unwrap();
        let mut server = ServerConnection::new(port.config()).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut bytes = Vec::new();
            client.write_tls(&mut bytes).unwrap();
            server.read_tls(&mut bytes.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            bytes.clear();
            server.write_tls(&mut bytes).unwrap();
            client.read_tls(&mut bytes.as_slice()).unwrap();
            client.process_new_packets().unwrap();
        }
        let chosen = server.negotiated_cipher_suite().unwrap().suite();
        let name = chosen.as_str().unwrap();
        assert!(name.contains("AES_256_GCM"), "{name}");
    }
}
