//! Handshakes by which an authority sees that a name leads here (RFC 8737): answered only while a
//! challenge for the name is open, and never followed by a request (contract: The edge).

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::rustls::server::ClientHello;

use super::stream::Stream;
use crate::acme::challenges::PROTOCOL;

/// The record of the fatal alert `no_application_protocol` (RFC 7301 3.2), as it is sent before any
/// version was agreed on.
const NO_APPLICATION_PROTOCOL: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 120];

/// The words of a refusal, for the operator.
pub(crate) const NOT_OPEN: &str = "no challenge is open for the name";

/// Whether a client offers the protocol of challenges and no other. Beside others it is a protocol
/// that the port does not speak.
pub(crate) fn is_asked_for(hello: &ClientHello<'_>) -> bool {
    let Some(mut offered) = hello.alpn() else {
        return false;
    };
    offered.next() == Some(PROTOCOL) && offered.next().is_none()
}

/// Tells a client that no challenge is open for the name that it asks for.
pub(crate) async fn refuse(mut stream: TcpStream) -> TcpStream {
    // The client may be gone, which changes nothing.
    let _ = stream.write_all(&NO_APPLICATION_PROTOCOL).await;
    stream
}

/// Ends the connection after the handshake. Whatever the client sends now is not read: the handshake
/// was all that it came for.
pub(crate) async fn end(mut stream: Stream) {
    let _ = stream.shutdown().await;
}
