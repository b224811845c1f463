//! What a route that signs anew keeps ready: its keys, and the headers that are the gateway's alone
//! (contract: Signing anew).

use crate::config::Route;
use crate::config::resign::Removed;
use crate::sign::Resigner;

/// The settings of a route that signs anew, ready to serve requests.
pub(crate) struct Resigning {
    /// The keys.
    pub(crate) signer: Resigner,
    /// The headers that are removed from every request.
    pub(crate) removed: Removed,
}

impl Resigning {
    /// The settings of `route`, boxed since few routes have any; `None` where it signs nothing.
    pub(crate) fn of(route: &Route) -> Option<Box<Self>> {
        let resign = route.resign.as_ref()?;
        let keys = resign.secrets().map(|(_, secret)| secret.key.expose());
        Some(Box::new(Self {
            signer: Resigner::new(keys),
            removed: resign.removed(&route.scheme),
        }))
    }
}
