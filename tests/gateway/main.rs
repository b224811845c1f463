//! The gateway from outside: the real binary over real sockets, one module per capability. Hostile bytes of one
//! connection are in `tests/attacks`.

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod acme;
mod admin;
mod answers;
mod balancing;
mod beside;
mod blocked;
mod bodies;
mod certificates;
mod claims;
mod expect;
mod floods;
mod h2;
mod handshakes;
mod headers;
mod honest;
mod keepalive;
mod learning;
mod limits;
mod lingering;
mod logs;
mod metrics;
mod nothing_lost;
mod probes;
mod proving;
mod queries;
mod queue;
mod queue_admin;
mod queue_keys;
mod rejudged;
mod relay;
mod reload;
mod replay;
mod resign;
mod secrets;
mod shadow;
mod shares;
mod shutdown;
mod signals;
mod spellings;
mod state;
mod systemd;
mod tls;
mod tls_handshakes;
mod tokens;
mod upgrade;
mod upgrade_played;
mod upstream_path;
mod upstream_tls;
mod upstream_unix;
mod watch;
mod window;
