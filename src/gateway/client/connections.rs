//! The connections of a port: how many there may be, whose they are, and which of them ends for
//! another (contract: Shares).
//!
//! A client may hold a quarter, a site of IPv6 half, and the last quarter is for clients that hold
//! nothing; a trusted proxy speaks for many clients and is counted by the whole alone. If all places
//! are taken, the connection that has idled longest between two requests ends. A few further
//! connections are read for a second, so that a load balancer can still ask how the gateway is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::holder::{Holder, Network};
use super::idle::Idle;

/// The connections beyond the limit that are read at one time.
pub(crate) const FURTHER: usize = 16;

/// The connections of a port.
#[derive(Debug)]
pub(crate) struct Connections {
    // Relaxed, both: they are numbers, and no other memory is read by way of them.
    limit: AtomicUsize,
    open: AtomicUsize,
    // A plain lock: held for a few look-ups when a connection comes or goes, and for a search of
    // all connections when one comes while every place is taken.
    places: Mutex<Places>,
    began: Instant,
}

#[derive(Debug, Default)]
struct Places {
    /// The number of connections of each network that has any.
    held: HashMap<Network, usize>,
    /// Every connection within the limit, by its number.
    taken: HashMap<u64, Taken>,
    /// The streams of HTTP/2 that hold a place beside that of their connection.
    streams: usize,
    next: u64,
    /// The clients with a connection beyond the limit.
    further: Vec<Network>,
}

/// A connection that has a place.
#[derive(Debug)]
struct Taken {
    peer: Option<IpAddr>,
    is_trusted_proxy: bool,
    idle: Arc<Idle>,
}

/// The decision on a connection that has come.
pub(crate) enum Admitted {
    /// It has a place.
    Within(Place),
    /// There is no place for it; it may ask for the health of the gateway.
    Beyond(Further),
    /// There is no place for it at all.
    Refused,
}

impl Connections {
    /// Room for `limit` connections, none of them open.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(limit),
            open: AtomicUsize::new(0),
            places: Mutex::default(),
            began: Instant::now(),
        })
    }

    /// Changes the limit. Connections that are open stay open.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// The limit in force.
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// The number of connections that were given a place and are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// The most connections, or requests behind trusted proxies, that a client may have at a time.
    pub(crate) fn share(&self) -> usize {
        (self.limit() / 4).max(1)
    }

    /// Decides on a connection from `peer`.
    pub(crate) fn admit(
        self: &Arc<Self>,
        peer: Option<IpAddr>,
        is_trusted_proxy: bool,
    ) -> Admitted {
        let holder = Holder::of(peer);
        let mut places = self.places();
        if self.has_room(&mut places, holder, is_trusted_proxy) {
            let number = places.next;
            places.next += 1;
            let idle = Arc::new(Idle::new(self.began));
            let taken = Taken {
                peer,
                is_trusted_proxy,
                idle: Arc::clone(&idle),
            };
            places.taken.insert(number, taken);
            places.hold(holder);
            self.open.fetch_add(1, Ordering::Relaxed);
            return Admitted::Within(Place {
                connections: Arc::clone(self),
                holder,
                is_trusted_proxy,
                number,
                idle,
            });
        }
        if places.further.len() >= FURTHER || places.further.contains(&holder.own) {
            return Admitted::Refused;
        }
        places.further.push(holder.own);
        Admitted::Beyond(Further {
            connections: Arc::clone(self),
            client: holder.own,
        })
    }

    /// Lets the connections end whose peers are trusted proxies now and were none when they came, or
    /// the other way round: their places are counted as those of the other kind.
    pub(crate) fn judge_again(&self, is_trusted_proxy: impl Fn(Option<IpAddr>) -> bool) {
        for taken in self.places().taken.values() {
            if is_trusted_proxy(taken.peer) != taken.is_trusted_proxy {
                taken.idle.retire();
            }
        }
    }

    /// Whether there is a place for a further connection of `holder`, if need be that of another
    /// connection.
    fn has_room(&self, places: &mut Places, holder: Holder, is_trusted_proxy: bool) -> bool {
        let limit = self.limit();
        let held = |network| places.held.get(&network).copied().unwrap_or(0);
        if !is_trusted_proxy {
            let own = held(holder.own);
            let site = holder.site.map_or(0, held);
            let is_last_quarter = places.all() >= limit - limit / 4;
            if own >= self.share() || site >= (limit / 2).max(1) || is_last_quarter && own > 0 {
                return false;
            }
        }
        places.all() < limit || places.end_the_longest_idle()
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// The number of places that are taken.
    fn all(&self) -> usize {
        self.taken.len() + self.streams
    }

    /// Counts a place among those of a client.
    fn hold(&mut self, holder: Holder) {
        for network in [Some(holder.own), holder.site].into_iter().flatten() {
            *self.held.entry(network).or_default() += 1;
        }
    }

    /// Counts a place of a client no more.
    fn let_go(&mut self, holder: Holder) {
        for network in [Some(holder.own), holder.site].into_iter().flatten() {
            if let Some(held) = self.held.get_mut(&network) {
                *held -= 1;
                if *held == 0 {
                    self.held.remove(&network);
                }
            }
        }
    }

    /// Ends the connection that has idled longest between two requests. Its place is free at once.
    /// `false` if no connection is idle.
    fn end_the_longest_idle(&mut self) -> bool {
        let idle = self.taken.iter().filter_map(|(number, taken)| {
            let since = taken.idle.since()?;
            Some((since, *number))
        });
        let Some(Taken { idle, .. }) = idle
            .min()
            .and_then(|(_, number)| self.taken.remove(&number))
        else {
            return false;
        };
        idle.end_now();
        true
    }
}

/// A connection's place within the limit, given back when it is dropped.
pub(crate) struct Place {
    connections: Arc<Connections>,
    holder: Holder,
    is_trusted_proxy: bool,
    number: u64,
    idle: Arc<Idle>,
}

impl Place {
    /// The idleness of the connection, for the connection itself to keep.
    pub(crate) fn idle(&self) -> Arc<Idle> {
        Arc::clone(&self.idle)
    }

    /// Whether the client is a trusted proxy.
    pub(crate) fn is_of_trusted_proxy(&self) -> bool {
        self.is_trusted_proxy
    }

    /// A place for a further stream of the connection, counted like another connection of the same
    /// client; `None` if the client may have none.
    pub(crate) fn for_stream(&self) -> Option<StreamPlace> {
        let mut places = self.connections.places();
        let has_room = self
            .connections
            .has_room(&mut places, self.holder, self.is_trusted_proxy);
        has_room.then(|| {
            places.streams += 1;
            places.hold(self.holder);
            StreamPlace {
                connections: Arc::clone(&self.connections),
                holder: self.holder,
            }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.connections.places();
        places.taken.remove(&self.number);
        places.let_go(self.holder);
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream's place within the limit, given back when it is dropped.
pub(crate) struct StreamPlace {
    connections: Arc<Connections>,
    holder: Holder,
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut places = self.connections.places();
        places.streams -= 1;
        places.let_go(self.holder);
    }
}

/// A connection beyond the limit, while it is read.
pub(crate) struct Further {
    connections: Arc<Connections>,
    client: Network,
}

impl Drop for Further {
    fn drop(&mut self) {
        self.connections
            .places()
            .further
            .retain(|client| *client != self.client);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What became of connections from these addresses, which all stay: `w`ithin, `b`eyond or
    /// `r`efused. An address behind `!` is a trusted proxy's.
    fn outcome(connections: &Arc<Connections>, addresses: &[&str]) -> (String, Vec<Admitted>) {
        let admit = |address: &&str| {
            let bare = address.trim_start_matches('!');
            connections.admit(Some(bare.parse().unwrap()), bare.len() < address.len())
        };
        let admitted: Vec<_> = addresses.iter().map(admit).collect();
        let letters = admitted.iter().map(|admitted| match admitted {
            Admitted::Within(_) => 'w',
            Admitted::Beyond(_) => 'b',
            Admitted::Refused => 'r',
        });
        (letters.collect(), admitted)
    }

    #[test]
    fn rx_22_a_client_gets_a_quarter_a_site_half_and_the_last_quarter_is_for_newcomers() {
        let rows: &[(&str, usize, &[&str], &str)] = &[
            ("one address", 8, &["10.0.0.1"; 4], "wwbr"),
            ("one address, a small limit", 2, &["10.0.0.1"; 2], "wb"),
            (
                "mapped",
                8,
                &["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.1"],
                "wwb",
            ),
            (
                "one /64",
                8,
                &["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"],
                "wwbr",
            ),
            (
                "one /48",
                8,
                &[
                    "2001:db8::1",
                    "2001:db8:0:1::",
                    "2001:db8:0:2::",
                    "2001:db8:0:3::",
                    "2001:db8:0:4::",
                    "2001:db8:1::",
                ],
                "wwwwbw",
            ),
            (
                "the last quarter",
                8,
                &[
                    "10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.3", "10.0.0.4",
                    "10.0.0.3", "10.0.0.5", "10.0.0.6", "10.0.0.7",
                ],
                "wwwwwwbwwb",
            ),
            ("a trusted proxy has all", 4, &["!10.0.0.1"; 6], "wwwwbr"),
            (
                "beside a trusted proxy",
                4,
                &[
                    "!10.0.0.1",
                    "!10.0.0.1",
                    "!10.0.0.1",
                    "10.0.0.2",
                    "10.0.0.3",
                ],
                "wwwwb",
            ),
        ];
        let mut wrong = Vec::new();
        for (name, limit, addresses, expected) in rows {
            let (found, _all) = outcome(&Connections::new(*limit), addresses);
            if found != *expected {
                wrong.push((name, found, expected));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn rx_22_a_stream_counts_like_a_further_connection_of_its_client() {
        let connections = Connections::new(8);
        let (found, all) = outcome(&connections, &["10.0.0.1", "!10.0.0.9"]);
        assert_eq!(found, "ww");
        let [Admitted::Within(own), Admitted::Within(proxy)] = &all[..] else {
            panic!("no places");
        };
        let stream = own.for_stream();
        assert!(stream.is_some() && own.for_stream().is_none());
        assert_eq!(outcome(&connections, &["10.0.0.1"]).0, "b");
        drop(stream);
        assert_eq!(outcome(&connections, &["10.0.0.1"]).0, "w");
        // A trusted proxy may have all that is left, and whoever comes then may have nothing.
        let streams: Vec<_> = std::iter::from_fn(|| proxy.for_stream()).collect();
        assert_eq!(streams.len(), 6);
        assert_eq!(outcome(&connections, &["10.0.0.2"]).0, "b");
        drop((streams, all));
        let places = connections.places();
        assert!(places.held.is_empty() && places.taken.is_empty() && places.streams == 0);
    }

    #[test]
    fn rx_22_places_come_back_and_nothing_is_left_of_clients_that_come_and_go() {
        let connections = Connections::new(8);
        for number in 0..1000_u32 {
            let address = std::net::Ipv4Addr::from(number / 3);
            let _ = connections.admit(Some(address.into()), false);
        }
        let (found, all) = outcome(&connections, &["10.0.0.1"; 4]);
        assert_eq!((found.as_str(), connections.open()), ("wwbr", 2));
        drop(all);
        let places = connections.places();
        assert!(places.held.is_empty() && places.taken.is_empty() && places.further.is_empty());
        assert_eq!(connections.open(), 0);
    }

    #[tokio::test]
    async fn rx_22_the_connection_that_idled_longest_ends_for_a_newcomer() {
        let connections = Connections::new(3);
        let (found, all) = outcome(&connections, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        assert_eq!(found, "www");
        let idle: Vec<_> = all
            .iter()
            .filter_map(|admitted| match admitted {
                Admitted::Within(place) => Some(place.idle()),
                _ => None,
            })
            .collect();
        let newcomer = |last| connections.admit(Some(IpAddr::from([10, 0, 1, last])), false);
        assert!(matches!(newcomer(1), Admitted::Beyond(_)), "nobody idles");
        idle[2].begin(connections.began + Duration::from_millis(5));
        idle[1].begin(connections.began + Duration::from_millis(7));
        idle[0].begin(Instant::now());
        idle[0].end();
        let first = newcomer(2);
        assert!(matches!(first, Admitted::Within(_)));
        idle[2].ending().await;
        let second = newcomer(3);
        assert!(matches!(second, Admitted::Within(_)));
        idle[1].ending().await;
        assert!(
            matches!(newcomer(4), Admitted::Beyond(_)),
            "the others are busy"
        );
        drop(all);
        assert_eq!(
            (connections.open(), connections.places().taken.len()),
            (2, 2)
        );
    }

    #[test]
    fn rx_23_sixteen_further_connections_are_read_one_of_each_client() {
        let connections = Connections::new(1);
        let addresses: Vec<String> = (0..20).map(|last| format!("10.0.0.{last}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let (found, all) = outcome(&connections, &addresses);
        assert_eq!(found, format!("w{}rrr", "b".repeat(FURTHER)));
        drop(all);
        assert_eq!(outcome(&connections, &["!10.0.0.1"; 3]).0, "wbr");
    }
}
