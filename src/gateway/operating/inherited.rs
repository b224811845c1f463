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

    /// The socket for each address of the configuration, in their order, each with the key whose
    /// value it is; `None` where none was handed over for it. What else another gateway has handed
    /// over is closed.
    ///
    /// A socket of another gateway is known by key and address; any other by its address. Where the
    /// address has port 0, the first socket with its IP address serves that no other address names.
    ///
    /// # Errors
    /// A sentence about each socket of the service manager that no address of the configuration is
    /// for, since connections to it would wait for ever. Beside these, sentences about the addresses
    /// that have no socket.
    pub(crate) fn allot(
        mut self,
        configured: &[(&'static str, SocketAddr)],
    ) -> Result<Vec<Option<TcpListener>>, InheritError> {
        let all: Vec<_> = configured.iter().map(|(_, address)| *address).collect();
        let taken: Vec<_> = configured
            .iter()
            .map(|(key, address)| self.take(key, *address, &all))
            .collect();
        let is_unknown = |handed: &&Handed| handed.of.is_none() && !all.contains(&handed.address);
        let unknown: Vec<_> = self.sockets.iter().filter(is_unknown).collect();
        let mut sentences = self.unusable;
        sentences.extend(unknown.iter().map(|handed| {
            format!(
                "LISTEN_FDS hands over a socket on {0}, and no address of `server.listen`, `server.tls.listen` or \
                 `admin.listen` is {0}: write it there, or do not hand the socket over",
                handed.address
            )
        }));
        let bare = configured.iter().zip(&taken);
        let bare: Vec<_> = bare
            .filter(|(_, taken)| taken.is_none())
            .map(|(of, _)| of)
            .collect();
        // A socket for every address of the machine covers one that is configured, and is not it.
        let mut is_near = false;
        for (key, address) in &bare {
            let near = unknown
                .iter()
                .find(|handed| handed.address.port() == address.port());
            sentences.extend(near.map(|handed| {
                is_near = true;
                format!(
                    "`{key}`: no socket is handed over for {address}, and the one on {0} is another with the \
                     same port: write {0} here, or hand over {address} (systemd: `ListenStream={address}`)",
                    handed.address
                )
            }));
        }
        if !unknown.is_empty() && !is_near && !bare.is_empty() {
            let bare = bare
                .iter()
                .map(|(key, address)| format!("`{key}` {address}"));
            let bare: Vec<_> = bare.collect();
            sentences.push(format!("no socket is handed over for {}", bare.join(", ")));
        }
        if sentences.is_empty() {
            Ok(taken)
        } else {
            Err(InheritError(sentences))
        }
    }

    /// Takes the socket for an address, which is the value of `key`, out of those that are left.
    fn take(&mut self, key: &str, address: SocketAddr, all: &[SocketAddr]) -> Option<TcpListener> {
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

    /// The addresses of the sockets that are allotted, in the order of the configuration.
    fn allotted(
        inherited: Inherited,
        of: &[(&'static str, SocketAddr)],
    ) -> Vec<Option<SocketAddr>> {
        let sockets = inherited.allot(of).unwrap().into_iter();
        sockets
            .map(|socket| socket.map(|socket| socket.local_addr().unwrap()))
            .collect()
    }

    #[test]
    fn a_socket_serves_the_address_on_which_it_listens_and_port_0_takes_what_is_left() {
        let mut inherited = Inherited::default();
        let (first, one) = socket();
        let (second, other) = socket();
        inherited.add(first, None);
        inherited.add(second, None);
        let any: SocketAddr = ANY.parse().unwrap();
        let of = [
            ("server.listen", any),
            ("admin.listen", one),
            ("server.tls.listen", any),
        ];
        assert_eq!(allotted(inherited, &of), [Some(other), Some(one), None]);
    }

    #[test]
    fn a_socket_of_another_gateway_is_known_by_what_it_was_for() {
        let mut inherited = Inherited::default();
        let (first, one) = socket();
        let (second, other) = socket();
        let any: SocketAddr = ANY.parse().unwrap();
        inherited.add(first, Some(("admin.listen", any)));
        inherited.add(second, Some(("server.listen", any)));
        // Its own address counts too, whatever it was for.
        let of = [("server.listen", any), ("server.tls.listen", one)];
        assert_eq!(allotted(inherited, &of), [Some(other), Some(one)]);
    }

    #[test]
    fn a_socket_that_nothing_is_for_ends_the_start_unless_a_gateway_had_it() {
        let (unknown, address) = socket();
        let mut inherited = Inherited::default();
        inherited.add(unknown, None);
        let bare = SocketAddr::from(([127, 0, 0, 2], 1));
        let error = inherited.allot(&[("admin.listen", bare)]).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(&address.to_string()), "{error}");
        let help = "no socket is handed over for `admin.listen` 127.0.0.2:1";
        assert!(error.ends_with(help), "{error}");
        let (former, address) = socket();
        let mut inherited = Inherited::default();
        inherited.add(former, Some(("server.listen", address)));
        assert!(inherited.allot(&[]).is_ok());
    }

    #[test]
    fn a_configured_address_without_a_socket_is_named_beside_the_one_that_has_its_port() {
        let socket = TcpListener::bind("[::]:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let mut inherited = Inherited::default();
        inherited.add(socket, None);
        let of = [
            ("server.listen", SocketAddr::from(([127, 0, 0, 1], port))),
            ("admin.listen", ANY.parse().unwrap()),
        ];
        let error = inherited.allot(&of).unwrap_err().to_string();
        let lines: Vec<_> = error.lines().collect();
        assert_eq!(lines.len(), 2, "{error}");
        assert!(
            lines[0].contains(&format!("a socket on [::]:{port}")),
            "{error}"
        );
        let own = format!("`server.listen`: no socket is handed over for 127.0.0.1:{port}");
        assert!(lines[1].starts_with(&own), "{error}");
        assert!(
            lines[1].contains(&format!("write [::]:{port} here")),
            "{error}"
        );
    }
}
