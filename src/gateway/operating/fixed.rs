//! The settings that stay as they were at the start: a reload that would change one is refused, and
//! says how it changes (contract: Reload).

use crate::config::Config;
use crate::gateway::running::backlog::Backlog;
use crate::gateway::running::snapshot::RestartSettings;
use crate::store::StoreError;
use crate::store::sqlite::Encrypted;

/// The settings that differ but take effect only at a restart. `replay.capacity` is among them
/// because the window is built only once.
pub(super) fn differences(in_force: &RestartSettings, config: &Config) -> Vec<&'static str> {
    let (before, state) = (&in_force.state, &config.state);
    let settings = [
        ("server.listen", in_force.listen != config.server.listen),
        ("server.tls.listen", !listen_alike(in_force, config)),
        ("server.threads", in_force.threads != config.server.threads),
        ("admin.listen", in_force.admin_listen != config.admin.listen),
        (
            "replay.capacity",
            in_force.capacity != config.replay.capacity,
        ),
        // By default it is in `state.dir`, which is named then.
        (
            "server.upgrade_socket",
            in_force.upgrade_socket != config.server.upgrade_socket && before.dir == state.dir,
        ),
        ("state.dir", before.dir != state.dir),
        ("state.timeout", before.timeout != state.timeout),
        ("state.max_bytes", before.max_bytes != state.max_bytes),
        (
            "state.max_deliveries",
            before.max_deliveries != state.max_deliveries,
        ),
        ("state.keep_free", before.keep_free != state.keep_free),
        // The first key, or the end of the last one, changes everything that is stored.
        (
            "state.keys",
            before.keys.is_empty() != state.keys.is_empty(),
        ),
    ];
    let changed = settings.into_iter().filter(|(_, differs)| *differs);
    changed.map(|(key, _)| key).collect()
}

/// How many deliveries on disk are encrypted with which key; nothing where `config` has the keys in force.
///
/// # Errors
/// [`StoreError`].
pub(super) fn encrypted(
    backlog: Option<&Backlog>,
    in_force: &RestartSettings,
    config: &Config,
) -> Result<Vec<Encrypted>, StoreError> {
    match backlog.filter(|_| in_force.state.keys != config.state.keys) {
        Some(backlog) => backlog.encrypted(),
        None => Ok(Vec::new()),
    }
}

/// How settings change that differ. A gateway that takes over finds this one by the socket of its own
/// configuration.
pub(super) fn way(in_force: &RestartSettings, config: &Config) -> &'static str {
    match &in_force.upgrade_socket {
        None => {
            "restart to change them (a gateway that was started with `server.upgrade_socket` or `[state] \
             dir` can be told by `verigate run --upgrade`, without losing a request)"
        }
        before if *before == config.server.upgrade_socket => {
            "start `verigate run --upgrade` with this file to change them without losing a request, or \
             restart"
        }
        Some(_) => "restart to change them, as they name another socket for upgrades",
    }
}

/// Whether the TLS ports listen on the same addresses, port by port.
fn listen_alike(in_force: &RestartSettings, config: &Config) -> bool {
    let before = in_force.tls_listen.iter();
    before.eq(config.server.tls.iter().map(|port| &port.listen))
}
