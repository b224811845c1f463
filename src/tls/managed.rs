//! Certificates that come and change while a configuration is in force, because the gateway orders
//! them by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::sign::CertifiedKey;

use super::identity::Identity;
use crate::clock::UnixMillis;

/// The certificates held now, by name. Clones share them, so what is set here counts at once for
/// every port, without a reload.
#[derive(Clone, Debug, Default)]
pub struct Managed(Arc<ArcSwap<BTreeMap<String, Identity>>>);

impl Managed {
    /// Replaces all certificates by these, each with the name that it is for, in lower case.
    pub fn set(&self, identities: BTreeMap<String, Identity>) {
        self.0.store(Arc::new(identities));
    }

    /// The names with the moments at which their certificates end.
    pub fn ends(&self) -> Vec<(String, UnixMillis)> {
        let held = self.0.load();
        let end = |(name, own): (&String, &Identity)| (name.clone(), own.not_after);
        held.iter().map(end).collect()
    }

    fn find(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let held = self.0.load();
        held.get(name).map(|own| Arc::clone(&own.certified))
    }
}

/// The part of the managed certificates that a port serves: those of the names of its configuration.
#[derive(Clone, Debug, Default)]
pub struct Share {
    /// The names, in lower case.
    pub names: BTreeSet<String>,
    /// The name, among these, whose certificate clients get that ask for no name, or for one that
    /// has none.
    pub default: Option<String>,
    /// The certificates.
    pub managed: Managed,
}

impl Share {
    pub(super) fn choose(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let is_own = self.names.contains(name);
        is_own.then(|| self.managed.find(name)).flatten()
    }

    pub(super) fn default(&self) -> Option<Arc<CertifiedKey>> {
        self.choose(self.default.as_deref()?)
    }
}
