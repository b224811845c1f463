//! Step 8, where a route signs anew: the signature of the gateway itself for a proved delivery
//! (contract: Signing anew).

use bytes::Bytes;

use crate::config::resign::has_content;
use crate::gateway::running::Running;
use crate::gateway::running::snapshot::RouteState;
use crate::sign::Resigned;
use crate::verify::claim::EventKey;
use crate::wire::head::Head;

/// The signature for this attempt to deliver the event with the key `id`; `None` where the route does
/// not sign, for what is not a proved delivery and so has no key, and for what has its content in path
/// or query.
///
/// A large body takes its turn, as where a signature over it is verified.
pub(super) async fn sign(
    running: &Running,
    route: &RouteState,
    head: &Head,
    id: Option<EventKey>,
    body: &Bytes,
) -> Option<Resigned> {
    let signer = &route.resigning.as_ref()?.signer;
    let id = id?;
    if body.is_empty() || !has_content(head.method()) {
        return None;
    }
    let turn = running.turns.aside(signer.work(body.len())).await;
    Some(turn.work(|| signer.sign(id, running.clock.now().wall, body)))
}
