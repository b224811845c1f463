//! What failed in TLS, in words for an operator: with a client, with an upstream, and with an authority
//! that issues certificates (contract: The edge, TLS to upstreams).

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription as Alert, CertificateError, Error};

/// The most characters of a certificate's names that are shown.
const SHOWN: usize = 200;

/// The other side of a connection.
#[derive(Clone, Copy, Debug)]
pub enum Peer<'n> {
    /// A client of a TLS port.
    Client,
    /// An upstream that is called so.
    Upstream(&'n ServerName<'n>),
    /// The server of an authority that issues certificates, which is called so.
    Authority(&'n ServerName<'n>),
}

impl Peer<'_> {
    fn it(self) -> &'static str {
        match self {
            Self::Client => "the client",
            Self::Upstream(_) | Self::Authority(_) => "it",
        }
    }

    fn its(self) -> &'static str {
        match self {
            Self::Client => "the client's",
            Self::Upstream(_) | Self::Authority(_) => "its",
        }
    }

    fn name(self) -> String {
        match self {
            Self::Client => String::new(),
            Self::Upstream(name) | Self::Authority(name) => name.to_str().into_owned(),
        }
    }

    /// The key that names the authorities by which the other side is known.
    fn authorities(self) -> &'static str {
        match self {
            Self::Client => "`client_ca`",
            Self::Upstream(_) => "`upstream_tls.ca`",
            Self::Authority(_) => "`server.acme.ca`",
        }
    }
}

/// What failed in a handshake, in words that follow the address of an upstream or the name of an
/// authority, or that stand alone of a client.
pub fn words(error: &Error, peer: Peer<'_>) -> String {
    let it = peer.it();
    let about = match (error, peer) {
        (Error::InvalidCertificate(fault), _) => return of_certificate(fault, peer),
        (Error::AlertReceived(alert), Peer::Client) => return of_client(*alert),
        (Error::AlertReceived(alert), _) => return of_server(*alert, &peer.name()),
        (Error::NoCertificatesPresented, Peer::Client) => "the client sent no certificate".into(),
        (Error::NoCertificatesPresented, _) => "it shows no certificate".into(),
        (Error::InvalidMessage(_), Peer::Upstream(_)) => {
            "it does not speak TLS: `http://` may be meant, or another port".into()
        }
        (Error::InvalidMessage(_), Peer::Authority(_)) => {
            "it does not speak TLS: another port may be meant".into()
        }
        (Error::PeerIncompatible(why), Peer::Client) => {
            format!("the client and this port have no way in common ({why:?})")
        }
        (Error::PeerIncompatible(_), _) => {
            format!("it speaks no TLS that the gateway takes (1.2 or 1.3): {error}")
        }
        (Error::NoApplicationProtocol, _) => {
            format!("{it} speaks no protocol that is spoken here")
        }
        (other, _) => other.to_string(),
    };
    match peer {
        Peer::Client => about,
        Peer::Upstream(_) | Peer::Authority(_) => format!("TLS failed: {about}"),
    }
}

fn of_certificate(fault: &CertificateError, peer: Peer<'_>) -> String {
    let (it, its, authorities) = (peer.it(), peer.its(), peer.authorities());
    let other_name = match peer {
        Peer::Upstream(_) => " (`upstream_tls.server_name` sets another)",
        Peer::Client | Peer::Authority(_) => "",
    };
    match fault {
        CertificateError::UnknownIssuer if matches!(peer, Peer::Client) => {
            format!("{its} certificate is not trusted: no authority of {authorities} signed it")
        }
        CertificateError::UnknownIssuer => format!(
            "{its} certificate is not trusted: no authority that the gateway knows signed it \
             ({authorities} names yours)"
        ),
        CertificateError::BadSignature => format!(
            "{its} certificate is not trusted: the authority of that name that the gateway knows did \
             not sign it (was the authority made anew? {authorities} names it)"
        ),
        CertificateError::NotValidForName => {
            let name = peer.name();
            format!("{its} certificate is not for the name {name}{other_name}")
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names = match presented.as_slice() {
                [] => "for no name at all".to_owned(),
                names => {
                    let names: Vec<_> = names.iter().map(|name| plain(name)).collect();
                    let names: String = names.join(", ").chars().take(SHOWN).collect();
                    format!("for {}", names.escape_debug())
                }
            };
            let name = peer.name();
            format!("{its} certificate is not for the name {name} but {names}{other_name}")
        }
        CertificateError::Expired => format!("{its} certificate has expired"),
        CertificateError::ExpiredContext { time, not_after } => {
            format!(
                "{its} certificate expired {} ago",
                between(*not_after, *time)
            )
        }
        CertificateError::NotValidYet => {
            format!("{its} certificate is not valid yet: compare the clocks of both machines")
        }
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "{its} certificate is valid only in {}: compare the clocks of both machines",
            between(*time, *not_before)
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            let whom = match peer {
                Peer::Client => "clients",
                Peer::Upstream(_) | Peer::Authority(_) => "servers",
            };
            format!("{its} certificate is not for {whom}")
        }
        CertificateError::Other(_) if fault.to_string().contains(OF_AUTHORITY) => {
            let whom = match peer {
                Peer::Client => "client",
                Peer::Upstream(_) | Peer::Authority(_) => "server",
            };
            format!(
                "{it} shows the certificate of an authority (CA) as its own: make one for the {whom}, \
                 signed by that authority"
            )
        }
        other => format!("{its} certificate cannot be verified: {other}"),
    }
}

/// The word of the verifier for the certificate of an authority that is shown as one's own. There is no
/// variant for it.
const OF_AUTHORITY: &str = "CaUsedAsEndEntity";

/// The time between two moments as people say it.
fn between(from: UnixTime, to: UnixTime) -> String {
    let seconds = to.as_secs().saturating_sub(from.as_secs());
    let units = [
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let fitting = units.into_iter().find(|(unit, _)| seconds >= *unit);
    let (unit, name) = fitting.unwrap_or((1, "second"));
    match seconds / unit {
        1 => format!("1 {name}"),
        count => format!("{count} {name}s"),
    }
}

/// The name alone of `DnsName("app.internal")` or `IpAddress(10.0.0.1)`.
fn plain(presented: &str) -> &str {
    let inner = presented.split_once('(').map(|(_, inner)| inner);
    let inner = inner.and_then(|inner| inner.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"')
}

fn of_client(alert: Alert) -> String {
    match alert {
        Alert::UnknownCA
        | Alert::BadCertificate
        | Alert::CertificateUnknown
        | Alert::CertificateExpired => {
            format!("the client does not trust the certificate ({alert:?})")
        }
        _ => format!("the client refused it ({alert:?})"),
    }
}

fn of_server(alert: Alert, name: &str) -> String {
    match alert {
        Alert::CertificateRequired => ASKS.to_owned(),
        _ if is_of_our_certificate(alert) => {
            format!("it refused the gateway's client certificate ({alert:?})")
        }
        Alert::UnrecognisedName => format!("it does not know the name {name}"),
        Alert::HandshakeFailure => {
            "it refused the handshake: it may ask for a client certificate, or take no algorithm \
             of the gateway"
                .to_owned()
        }
        other => format!("it ended the handshake: {other:?}"),
    }
}

const ASKS: &str = "it asks for a client certificate (`upstream_tls.certificate` and `key`)";

fn is_of_our_certificate(alert: Alert) -> bool {
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::UnsupportedCertificate
            | Alert::AccessDenied
    )
}

/// Why an upstream may have ended a connection with TLS after the handshake, in fixed words.
pub fn ended_by(error: &Error) -> &'static str {
    match error {
        Error::AlertReceived(Alert::CertificateRequired) => ASKS,
        Error::AlertReceived(alert) if is_of_our_certificate(*alert) => {
            "it refused the gateway's client certificate"
        }
        _ => "it ended TLS without an answer",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_certificate_is_judged_in_words_that_name_the_key_of_its_side() {
        let name = ServerName::try_from("acme.example.com").unwrap();
        let day = |day: u64| UnixTime::since_unix_epoch(Duration::from_secs(day * 86_400));
        let expired = |not_after, time| CertificateError::ExpiredContext { time, not_after };
        let hour = UnixTime::since_unix_epoch(Duration::from_secs(10 * 86_400 + 7_000));
        let (client, upstream) = (Peer::Client, Peer::Upstream(&name));
        let authority = Peer::Authority(&name);
        let rows = [
            (
                expired(day(7), day(10)),
                client,
                "the client's certificate expired 3 days ago",
            ),
            (
                expired(day(10), hour),
                upstream,
                "its certificate expired 1 hour ago",
            ),
            (
                CertificateError::NotValidYetContext {
                    time: day(1),
                    not_before: day(2),
                },
                authority,
                "its certificate is valid only in 1 day: compare the clocks of both machines",
            ),
            (
                CertificateError::UnknownIssuer,
                client,
                "the client's certificate is not trusted: no authority of `client_ca` signed it",
            ),
            (
                CertificateError::UnknownIssuer,
                authority,
                "its certificate is not trusted: no authority that the gateway knows signed it \
                 (`server.acme.ca` names yours)",
            ),
        ];
        for (fault, peer, expected) in rows {
            assert_eq!(words(&Error::InvalidCertificate(fault), peer), expected);
        }
        let name = Error::InvalidCertificate(CertificateError::NotValidForName);
        assert!(words(&name, upstream).contains("upstream_tls.server_name"));
        assert!(!words(&name, authority).contains("upstream"));
    }
}
