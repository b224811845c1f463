//! The upstream's side of an exchange. This file knows every upstream in use, so that routes and
//! reloads share connections, and what was learned of an upstream.
//!
//! Code that speaks to upstreams enters here. The room may import `timer`, and no other room of the
//! gateway: it knows neither clients nor routes.

mod balance;
mod ejection;
pub(crate) mod forward;
mod group;
mod health;
mod names;
mod pool;
pub(crate) mod request;
mod sending;
mod stream;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::config;
pub(crate) use group::Group;
use group::GroupKey;
use names::Names;
pub(crate) use pool::Upstream;
use pool::{Connection, Target};

/// Every upstream in use. A reload takes the upstreams that stay from here, with their connections.
pub(crate) struct Upstreams {
    names: Names,
    // Held at load and once a second, never by a delivery.
    known: Mutex<HashMap<Target, Weak<Upstream>>>,
    groups: Mutex<HashMap<GroupKey, Weak<Group>>>,
}

impl Upstreams {
    /// An empty list of upstreams.
    pub(crate) fn new() -> Self {
        Self::resolving_by(Arc::new(names::system))
    }

    /// As [`new`](Self::new), with another resolver than the system's.
    fn resolving_by(resolve: Arc<names::Resolve>) -> Self {
        Self {
            names: Names::new(resolve),
            known: Mutex::default(),
            groups: Mutex::default(),
        }
    }

    /// The upstreams of a route. The same settings give the same group, as long as it is in use.
    pub(crate) fn group(&self, settings: &config::Upstreams) -> Arc<Group> {
        let target = |member: &config::Member| Target {
            address: member.upstream.clone(),
            tls: member.tls.clone(),
            health: settings.health.clone(),
        };
        let members = settings.members.iter();
        let members: Vec<_> = members
            .map(|member| (target(member), member.weight))
            .collect();
        let key = GroupKey {
            members,
            balance: settings.balance,
        };
        found(&self.groups, &key, || {
            let members = key.members.iter();
            let members = members.map(|(target, weight)| (self.get(target), *weight));
            Group::new(members.collect(), key.balance)
        })
    }

    /// The upstream at `target`. The same target gives the same upstream, as long as it is in use.
    fn get(&self, target: &Target) -> Arc<Upstream> {
        let new = || Upstream::new(target.clone(), &self.names);
        found(&self.known, target, new)
    }

    /// The age of the addresses of each upstream's name. A name without addresses has no age.
    pub(crate) fn address_ages(&self) -> Vec<(String, Duration)> {
        self.names.ages()
    }

    /// Begins the health checks of upstreams that are not being checked.
    pub(crate) fn begin_checks(&self) {
        for upstream in in_use(&self.known) {
            health::begin(&upstream);
        }
    }

    /// Closes connections that have been idle for too long, in all upstreams, resolves names that
    /// are due, and forgets upstreams that no route uses.
    pub(crate) fn sweep(&self) {
        self.names.keep_fresh();
        in_use(&self.groups);
        for upstream in in_use(&self.known) {
            upstream.sweep();
        }
    }
}

/// The value under `key` that is in use, or a new one.
fn found<K: Clone + Eq + Hash, V>(
    known: &Mutex<HashMap<K, Weak<V>>>,
    key: &K,
    new: impl FnOnce() -> V,
) -> Arc<V> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(value) = known.get(key).and_then(Weak::upgrade) {
        return value;
    }
    let value = Arc::new(new());
    known.insert(key.clone(), Arc::downgrade(&value));
    value
}

/// All values in use; the others are forgotten.
fn in_use<K: Eq + Hash, V>(known: &Mutex<HashMap<K, Weak<V>>>) -> Vec<Arc<V>> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|_, value| value.strong_count() > 0);
    known.values().filter_map(Weak::upgrade).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use bytes::Bytes;
    use socket2::{Domain, Socket, Type};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::forward::ForwardError;
    use super::names::Answer;
    use super::pool::ConnectError;
    use super::request::VerifiedRequest;
    use super::*;

    /// An address that accepts nothing and refuses nothing: the queue of its listener is full, so
    /// the system drops what comes.
    fn silent(address: Ipv4Addr, port: u16) -> (Socket, Vec<Socket>) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let at = SocketAddr::from((address, port));
        listener.bind(&at.into()).unwrap();
        listener.listen(0).unwrap();
        let fillers = (0..4).map(|_| {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            // The connection is still being made, or is made; both are what is wanted.
            let _ = filler.connect(&at.into());
            filler
        });
        (listener, fillers.collect())
    }

    #[tokio::test]
    async fn up_15_a_silent_or_refusing_address_hides_no_other_and_what_worked_is_tried_first() {
        let [silent_at, refusing, good] = [2, 3, 4].map(|last| Ipv4Addr::new(127, 0, 0, last));
        let listener = TcpListener::bind((good, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let _silent = silent(silent_at, port);
        let all = [silent_at, refusing, good].map(IpAddr::V4).to_vec();
        let upstreams =
            Upstreams::resolving_by(Arc::new(move |_: &str| Answer::Addresses(all.clone())));
        let address = format!("http://app:{port}");
        let upstream = upstreams.get(&Target {
            address: config::Upstream::parse(&address).unwrap(),
            tls: None,
            health: None,
        });
        let began = Instant::now();
        let deadline = began + Duration::from_secs(3);
        let first = upstream.connect(deadline).await.unwrap();
        assert_eq!(
            first.address.map(|address| address.ip()),
            Some(IpAddr::V4(good))
        );
        assert!(Instant::now() < deadline, "time is left for the request");
        let order = upstream.addresses().await.unwrap();
        assert_eq!(
            order.iter().map(SocketAddr::ip).collect::<Vec<_>>(),
            [good, silent_at, refusing].map(IpAddr::V4)
        );
        drop(listener);
        // Nothing else works: the silent address is given up in time, and the last is reported.
        let failed = upstream
            .connect(Instant::now() + Duration::from_millis(300))
            .await;
        assert!(
            matches!(&failed, Err(ConnectError::Connect { address, .. }) if address.ip() == refusing),
            "{:?}",
            failed.err()
        );
    }

    /// It counted as an upstream that did not answer in time.
    #[tokio::test]
    async fn a_name_that_the_resolver_does_not_tell_is_an_upstream_that_cannot_be_reached() {
        let (tell, told) = std::sync::mpsc::channel::<()>();
        let told = Mutex::new(told);
        let hangs = move |_: &str| {
            let _ = told.lock().unwrap().recv();
            Answer::Addresses(Vec::new())
        };
        let upstreams = Upstreams::resolving_by(Arc::new(hangs));
        let upstream = upstreams.get(&Target {
            address: config::Upstream::parse("http://app:80").unwrap(),
            tls: None,
            health: None,
        });
        let group = Group::new(vec![(upstream, 1)], config::Balance::RoundRobin);
        let request = VerifiedRequest::unproved_in_shadow_mode(Vec::new(), &Bytes::new(), false);
        let now = Instant::now();
        let (_, answer) =
            forward::send(&request, &group, now, now + Duration::from_millis(50)).await;
        assert!(matches!(answer, Err(ForwardError::Unreachable(_))));
        drop(tell);
    }
}
