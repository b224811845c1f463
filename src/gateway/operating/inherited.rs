//! Listening sockets that somebody else has bound: a service manager hands them over at the start
//! (`LISTEN_FDS`), a gateway at an upgrade. Each is matched with the address of the configuration
//! that it serves (contract: Service managers, Upgrade).

use std::fmt;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

/// The most sockets that are looked at.
const MOST: usize = 1024;

/// A socket that was handed over.
#[derive(Debug)]
struct Handed {
    /// The address on which it listens.
    address: SocketAddr,
    /// The key and the address of the configuration for which the gateway before this one bound it.
    /// A service manager knows neither.
    of: Option<(&'static str, SocketAddr)>,
    socket: TcpListener,
}

/// Sockets that were handed over and are not in use yet.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<Handed>,
    /// The sentences about what was handed over and cannot be used.
    unusable: Vec<String>,
}

/// Sockets that nothing in the configuration is for.
#[derive(Debug, thiserror::Error)]
pub struct InheritError(Vec<String>);

impl fmt::Display for InheritError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl Inherited {
    /// The sockets that the service manager hands to this process, which is asked once. The
    /// variables about them are taken out of the environment, so that no other program reads them;
    /// the process must have a single thread.
    pub fn of_process() -> Self {
        let mut handed = ListenFd::from_env();
        let mut inherited = Self::default();
        for place in 0..handed.len().min(MOST) {
            match handed.take_tcp_listener(place) {
                Ok(Some(socket)) => inherited.add(socket, None),
                Ok(None) => {}
                Err(error) => inherited.unusable.push(format!(
                    "LISTEN_FDS: {error}: hand over listening TCP sockets only (systemd: \
                     `ListenStream=` with an address)"
                )),
            }
        }
        inherited
    }

    /// Sockets of another gateway, each with the key and the address of the configuration for which
    /// that gateway had it, and `others` behind them.
    pub(super) fn of_gateway(
        sockets: impl IntoIterator<Item = (TcpListener, (&'static str, SocketAddr))>,
        others: Self,
    ) -> Self {
        let mut all = Self {
            sockets: Vec::new(),
            unusable: others.unusable,
        };
        for (socket, of) in sockets {
            all.add(socket, Some(of));
        }
        all.sockets.extend(others.sockets);
        all
    }

    /// Adds a socket.
    fn add(&mut self, socket: TcpListener, of: Option<(&'static str, SocketAddr)>) {
        match socket.local_addr() {
            Ok(address) => self.sockets.push(Handed {
                address,
                of,
                socket,
            }),
            Err(error) => self.unusable.push(format!(
                "a socket that was handed over has no address: {error}"
            )),
        }
    }

    /// Takes the socket for an address of the configuration, the value of `key`. A socket of another
    /// gateway is known by both; any other by its address. Where the address has port 0, the first
    /// socket with its IP address serves that no address of `all` names.
    pub(crate) fn take(
        &mut self,
        key: &str,
        address: SocketAddr,
        all: &[SocketAddr],
    ) -> Option<TcpListener> {
        let is_of = |handed: &Handed| {
            let of = handed.of.as_ref();
            of.is_some_and(|(its_key, its)| *its_key == key && *its == address)
        };
        let is_any = |handed: &Handed| {
            address.port() == 0
                && handed.of.is_none()
                && handed.address.ip() == address.ip()
                && !all.contains(&handed.address)
        };
        let place = |is_it: &dyn Fn(&Handed) -> bool| self.sockets.iter().position(is_it);
        let found = place(&is_of)
            .or_else(|| place(&|handed| handed.address == address))
            .or_else(|| place(&is_any))?;
        Some(self.sockets.remove(found).socket)
    }

    /// Closes what is left.
    ///
    /// # Errors
    /// A sentence about each socket of the service manager that no address of the configuration is
    /// for: connections to it would wait for ever.
    pub(crate) fn finish(self, all: &[SocketAddr]) -> Result<(), InheritError> {
        let is_unknown = |handed: &&Handed| handed.of.is_none() && !all.contains(&handed.address);
        let unknown = self.sockets.iter().filter(is_unknown).map(|handed| {
            format!(
                "LISTEN_FDS hands over a socket on {0}, and no address of `server.listen`, `server.tls.listen` or \
                 `admin.listen` is {0}: write it there, or do not hand the socket over",
                handed.address
            )
        });
        let mut sentences = self.unusable;
        sentences.extend(unknown);
        if sentences.is_empty() {
            Ok(())
        } else {
            Err(InheritError(sentences))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> (TcpListener, SocketAddr) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    const ANY: &str = "127.0.0.1:0";

    #[test]
    fn a_socket_serves_the_address_on_which_it_listens_and_port_0_takes_what_is_left() {
        let mut inherited = Inherited::default();
        let (first, one) = socket();
        let (second, other) = socket();
        inherited.add(first, None);
        inherited.add(second, None);
        let any: SocketAddr = ANY.parse().unwrap();
        let all = [any, one];
        let taken = inherited.take("server.listen", any, &all).unwrap();
        assert_eq!(taken.local_addr().unwrap(), other);
        let taken = inherited.take("admin.listen", one, &all).unwrap();
        assert_eq!(taken.local_addr().unwrap(), one);
        assert!(inherited.take("admin.listen", any, &all).is_none());
        assert!(inherited.finish(&all).is_ok());
    }

    #[test]
    fn a_socket_of_another_gateway_is_known_by_what_it_was_for() {
        let mut inherited = Inherited::default();
        let (first, one) = socket();
        let (second, other) = socket();
        let any: SocketAddr = ANY.parse().unwrap();
        inherited.add(first, Some(("admin.listen", any)));
        inherited.add(second, Some(("server.listen", any)));
        let taken = inherited.take("server.listen", any, &[any, any]).unwrap();
        assert_eq!(taken.local_addr().unwrap(), other);
        // Its own address counts too, whatever it was for.
        let taken = inherited.take("server.listen", one, &[one]).unwrap();
        assert_eq!(taken.local_addr().unwrap(), one);
    }

    #[test]
    fn a_socket_that_nothing_is_for_ends_the_start_unless_a_gateway_had_it() {
        let (unknown, address) = socket();
        let mut inherited = Inherited::default();
        inherited.add(unknown, None);
        let error = inherited.finish(&[]).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
        let (former, address) = socket();
        let mut inherited = Inherited::default();
        inherited.add(former, Some(("server.listen", address)));
        assert!(inherited.finish(&[]).is_ok());
    }
}
