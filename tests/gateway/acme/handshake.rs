//! A TLS client that takes any certificate and tells which one it was shown.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConnection, Error, Stream};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::support::SOON;
use crate::support::certificates::careless;

/// A certificate that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) serial: String,
    pub(crate) names: Vec<String>,
}

/// A connection after its handshake.
pub(crate) struct Connection {
    tls: ClientConnection,
    stream: TcpStream,
}

/// Shakes hands for a name, offering these protocols. An alert of the server is the error.
pub(crate) fn connect(
    addr: SocketAddr,
    name: &str,
    protocols: &[&str],
) -> Result<Connection, AlertDescription> {
    let mut config = careless();
    config.alpn_protocols = protocols
        .iter()
        .map(|own| own.as_bytes().to_vec())
        .collect();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut tls = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = TcpStream::connect(addr).expect("the port accepts");
    stream.set_read_timeout(Some(SOON)).expect("a time limit");
    while tls.is_handshaking() {
        if let Err(error) = tls.complete_io(&mut stream) {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
            return match cause {
                Some(Error::AlertReceived(alert)) => Err(*alert),
                _ => panic!("the handshake broke: {error}"),
            };
        }
    }
    Ok(Connection { tls, stream })
}

impl Connection {
    /// The certificate that the server has shown.
    pub(crate) fn certificate(&self) -> Shown {
        let chain = self.tls.peer_certificates().expect("a certificate");
        let (_, own) = X509Certificate::from_der(&chain[0]).expect("a certificate");
        let names = own.subject_alternative_name().expect("names");
        let names = names.map(|listed| {
            let listed = listed.value.general_names.iter();
            listed.map(ToString::to_string).collect()
        });
        Shown {
            serial: own.raw_serial_as_string(),
            names: names.unwrap_or_default(),
        }
    }

    /// What comes back for these bytes until the server ends the connection or is silent.
    pub(crate) fn ask(mut self, request: &str) -> io::Result<String> {
        let mut stream = Stream::new(&mut self.tls, &mut self.stream);
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        match read {
            Err(error) if answer.is_empty() => Err(error),
            _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
        }
    }
}
