//! What the directory holds, read as a whole.

use std::collections::BTreeMap;
use std::io;

use super::store::{self, Store};
use crate::acme::certificate;
use crate::acme::file_of;
use crate::acme::ledger::Ledger;
use crate::clock::UnixMillis;
use crate::config::acme::Acme;
use crate::tls::Identity;

/// What the directory holds.
pub(super) struct Found {
    pub(super) store: Store,
    /// The count of orders; `None` where there is no file, an error where it cannot be read.
    pub(super) ledger: Result<Option<Ledger>, ()>,
    pub(super) marked: Option<UnixMillis>,
    pub(super) identities: BTreeMap<String, Identity>,
    /// The certificates of other authorities, for names that have none of this one. They serve until
    /// this one has given its own.
    pub(super) former: BTreeMap<String, Identity>,
    /// The files that are there and cannot be used: their names, and why.
    pub(super) faults: Vec<(String, String)>,
}

impl Found {
    pub(super) fn read(settings: &Acme) -> io::Result<Self> {
        let store = Store::open(&settings.dir, &settings.directory)?;
        let ledger = match store.read(store::ORDERS)? {
            Some(text) => Ledger::read(&text).map(Some).map_err(|_| ()),
            None => Ok(None),
        };
        let (mut identities, mut faults) = (BTreeMap::new(), Vec::new());
        let read = |store: &Store, name: &str| match store.read(&file_of(name)) {
            Ok(whole) => whole.map(|whole| certificate::read(&whole, name)),
            Err(why) => Some(Err(why.to_string())),
        };
        let mut former = BTreeMap::new();
        for name in &settings.names {
            match read(&store, name) {
                Some(Ok(identity)) => {
                    identities.insert(name.clone(), identity);
                    continue;
                }
                Some(Err(why)) => faults.push((name.clone(), why)),
                None => {}
            }
            let others = store.others();
            let found = others.iter().filter_map(|other| read(other, name)?.ok());
            let latest = found.max_by_key(|identity| identity.not_after);
            former.extend(latest.map(|identity| (name.clone(), identity)));
        }
        Ok(Self {
            marked: store.marked(),
            store,
            ledger,
            identities,
            former,
            faults,
        })
    }
}
