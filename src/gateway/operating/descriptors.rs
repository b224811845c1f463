//! File descriptors: as many as the system allows, and a limit of connections that fits into them
//! (contract: Shares).
//!
//! A delivery takes a descriptor for its client and another for its upstream. If connections alone
//! used all of them up, no delivery could be forwarded, and the admin port could not answer.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Server;
use crate::gateway::client::connections::FURTHER;
use crate::gateway::running::reloads::Lowered;

/// The descriptors that the process itself needs: standard streams, event queues, signals, files
/// that are read, sockets of the resolver.
const OWN: usize = 32;
/// The descriptors of each thread's runtime.
const PER_THREAD: usize = 4;
/// The most connections to the admin port.
pub(crate) const ADMIN_CONNECTIONS: usize = 16;

/// Raises the soft limit of file descriptors to the hard limit. Where the system refuses, the limit
/// stays as it is, and [`fitting`] goes by it.
pub(crate) fn raise() {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limits.maximum,
        maximum: limits.maximum,
    };
    if limits.current != limits.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        log::warn!("the limit of open file descriptors (`ulimit -n`) cannot be raised: {error}");
    }
}

/// The most connections that fit, at most `server.max_connections`, with a sentence for the operator
/// if that is less than the operator has asked for, or less than half of the default.
pub(crate) fn fitting(server: &Server) -> (usize, Option<Lowered>) {
    let wanted = server.max_connections;
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return (wanted, None);
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let fits = within(limit, server.threads, 2 * server.all_listen().count());
    if wanted <= fits {
        return (wanted, None);
    }
    let is_enough = !server.sets_max_connections && fits >= wanted / 2;
    let words = if server.sets_max_connections {
        format!(
            "`server.max_connections` is {wanted}, but the limit of open file descriptors (`ulimit -n`) of {limit} has room for {fits} \
             connections and their upstreams: at most {fits} are taken; raise the limit (systemd: `LimitNOFILE=`) or lower \
             `max_connections`"
        )
    } else {
        format!(
            "at most {fits} connections are taken instead of {wanted}: the limit of open file descriptors (`ulimit -n`) of {limit} has \
             room for no more and their upstreams; raise the limit (systemd: `LimitNOFILE=`), or set `server.max_connections` to \
             {fits} if that is enough"
        )
    };
    (fits, (!is_enough).then_some(Lowered { words }))
}

/// The connections that `limit` descriptors have room for, at least one.
fn within(limit: usize, threads: usize, listeners: usize) -> usize {
    let runtimes = threads.saturating_add(3);
    let reserve =
        OWN + ADMIN_CONNECTIONS + FURTHER + listeners + runtimes.saturating_mul(PER_THREAD);
    (limit.saturating_sub(reserve) / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rx_24_half_of_the_descriptors_beyond_the_reserve_are_for_clients() {
        for (limit, threads, expected) in [
            (0, 1, 1),
            (64, 2, 1),
            (110, 2, 12),
            (1024, 4, 465),
            (20_100, 2, 10_007),
        ] {
            assert_eq!(within(limit, threads, 1), expected, "{limit} and {threads}");
        }
    }
}
