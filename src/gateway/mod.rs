//! The gateway: requests come in from sockets, log lines go out. No other room of the crate knows
//! Pingora or Tokio. This file starts the gateway and waits for its end.
//!
//! Read `exchange` first: it follows a request from top to bottom. Whatever needs a socket, a timer
//! or a task enters the gateway. The gateway may import every room of the crate except `cli`. Its
//! own rooms are these, and each may import those before it:
//!
//! | room | content |
//! | --- | --- |
//! | `timer` | deadlines that cost nothing while they are not reached |
//! | `client` | the client's side: connections, bodies, a request's origin, the gateway's answers |
//! | `upstream` | the upstream's side: idle connections, a request sent, its answer read |
//! | `running` | all that outlives a request: the snapshot in force, window, budget, counters |
//! | `exchange` | a request from its head to its log line |
//! | `traffic` | connections that were accepted, each served to its end |
//! | `operating` | the operator's side: listen, reload, stop, the admin port |
//!
//! Statuses live in `client::answer` alone.

mod client;
mod delivering;
mod exchange;
mod operating;
mod running;
mod timer;
mod traffic;
mod upstream;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::clock::{Clock, UnixMillis};
use crate::config::{Config, shown_path};
use crate::replay::Window;
use crate::telemetry::Telemetry;
use crate::verify::claim::FingerprintKey;
use client::connections::Connections;
pub use operating::early::EarlySignals;
pub use operating::inherited::{InheritError, Inherited};
use operating::keeping::Kept;
pub use operating::keeping::KeptError;
pub use operating::listen::BindError;
pub use operating::state_dir::{StateError, holder};
pub use operating::stop::Stopper;
pub use operating::upgrade::UpgradeError;
use operating::upgrade::UpgradeSocket;
use operating::{acme, admin, descriptors, listen, stop, upgrade};
use running::Running;
pub use running::backlog_room::KeptFree;
use running::snapshot::Snapshot;
pub use running::supervisor::Supervisor;
use traffic::Door;
use upstream::Upstreams;

/// The reason why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken or may not be used.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// `[state] dir` cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// What is kept in it cannot be used.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// Sockets were handed over that the configuration does not name.
    #[error(transparent)]
    Inherit(#[from] InheritError),
    /// The system gives no random bytes, of which replay keys and request ids are made.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// The system gives no thread or file descriptor.
    #[error("cannot start: the system gives no thread or file descriptor: {0}")]
    Thread(std::io::Error),
    /// The gateway cannot take over, or cannot be taken over later.
    #[error(transparent)]
    Upgrade(#[from] UpgradeError),
    /// The loader accepted a configuration that cannot run: a fault of the gateway.
    #[error("this configuration cannot run: {0}")]
    Build(String),
}

/// The addresses that accept connections. Port 0 is replaced by the port that the system chose.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The addresses of `server.listen` and of `[[server.tls]]`, in the order of the file.
    pub traffic: Vec<SocketAddr>,
    /// The address of `admin.listen`.
    pub admin: SocketAddr,
}

/// The process around a running gateway.
pub struct Surroundings {
    /// The sink of the access log's lines.
    pub access_log: Box<dyn Write + Send>,
    /// A function that is called once, when all addresses accept connections.
    pub on_ready: Box<dyn FnOnce(&Addresses) + Send>,
    /// A handle that stops the gateway from within the process, as SIGTERM does from outside.
    pub stopper: Stopper,
    /// The signals that came before the start.
    pub early: EarlySignals,
    /// The service manager.
    pub supervisor: Supervisor,
    /// The sockets that it hands over.
    pub inherited: Inherited,
    /// Whether to take over from a gateway that runs already (contract: Upgrade).
    pub is_upgrade: bool,
}

/// Runs the gateway until a signal or the stopper ends it. Requests in flight may finish until
/// `server.shutdown_grace` is over (contract: Shutdown).
///
/// # Errors
/// [`StartError`], before any connection is accepted. A gateway that has started returns no error.
pub fn run(config: Config, surroundings: Surroundings) -> Result<(), StartError> {
    descriptors::raise();
    let mut predecessor = if surroundings.is_upgrade {
        operating::predecessor(&config)?
    } else {
        None
    };
    let mut state_dir = operating::held_state_dir(&config, predecessor.as_mut())?;
    let upgrade_path = config.server.upgrade_socket.clone();
    let own_socket = upgrade_path.as_deref().filter(|_| predecessor.is_none());
    let own_socket = own_socket.map(|path| UpgradeSocket::bind(path, false));
    let own_socket = own_socket.transpose()?;
    let plain = config.server.listen.iter();
    let plain = plain.map(|address| ("server.listen", *address, Door::Plain));
    let ports = config.server.tls.iter().enumerate();
    let tls = ports.flat_map(|(place, port)| {
        let addresses = port.listen.iter();
        addresses.map(move |address| ("server.tls.listen", *address, Door::Tls(place)))
    });
    let admin_listen = config.admin.listen;
    let inherited = match &mut predecessor {
        Some(predecessor) => predecessor.sockets(surroundings.inherited),
        None => surroundings.inherited,
    };
    let traffic_listen: Vec<_> = plain.chain(tls).collect();
    let all = traffic_listen
        .iter()
        .map(|(key, address, _)| (*key, *address));
    let all: Vec<_> = all.chain([("admin.listen", admin_listen)]).collect();
    // All are judged before any is bound, or an address that a handed socket covers would be called
    // taken.
    let mut handed = inherited.allot(&all)?.into_iter();
    let mut offered = Vec::new();
    let mut bind = |key, address| {
        let bound = match handed.next().flatten() {
            Some(socket) => listen::adopt(key, address, socket),
            None => listen::bind(key, address),
        }?;
        if upgrade_path.is_some() {
            offered.push(bound.offered(key, address)?);
        }
        Ok::<_, BindError>(bound)
    };
    let traffic_sockets = traffic_listen
        .into_iter()
        .map(|(key, address, door)| Ok((bind(key, address)?, door)))
        .collect::<Result<Vec<_>, BindError>>()?;
    let admin_socket = bind("admin.listen", admin_listen)?;
    let addresses = Addresses {
        traffic: traffic_sockets
            .iter()
            .map(|(bound, _)| bound.address)
            .collect(),
        admin: admin_socket.address,
    };
    let threads = config.server.threads;
    let file = config.path.clone();
    log::info!("{}", introduction(&config));
    if config.state.dir.is_none() {
        log::info!(
            "`[state] dir` is not set: a restart forgets which deliveries came, and lets a captured one in \
             again while it is in time"
        );
    }
    operating::Notes::of(&config).show();
    let (telemetry, log_writer) =
        Telemetry::start(surroundings.access_log, env!("CARGO_PKG_VERSION"))
            .map_err(StartError::Thread)?;
    let clock = predecessor.as_ref().map(upgrade::Predecessor::clock);
    let kept = Kept::open(&config.state, &telemetry.metrics, clock)?;
    let beginning = Beginning::of(predecessor.as_ref(), kept.as_ref())?;
    let running = Arc::new(build(
        config,
        telemetry,
        surroundings.supervisor,
        beginning,
        kept.as_ref(),
    )?);
    // A process that takes over gets the whole window from the one before it.
    if let Some(kept) = kept.as_ref().filter(|_| predecessor.is_none()) {
        kept.restore(&running.window, running.clock.now())?;
    }
    acme::begin(&running);
    let (stop, stopping) = watch::channel(false);
    let admin = admin::AdminPort::new(Arc::clone(&running), file.clone())
        .ok_or_else(|| StartError::Build("header names".into()))?;
    // The admin port goes on answering while traffic drains, unless another process answers there.
    let (admin_stop, admin_stopping) = watch::channel(false);
    let conf = ServerConf {
        threads,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    let traffic = traffic::Traffic::new(Arc::clone(&running));
    let traffic = listen::Listening::new("traffic", traffic, traffic_sockets, stopping, threads);
    let served = (traffic.runtime(), traffic.tasks());
    server.add_service(traffic);
    let admin =
        traffic::App::new_beside(Arc::clone(&running), admin, descriptors::ADMIN_CONNECTIONS);
    server.add_service(listen::Listening::new(
        "admin",
        admin,
        vec![(admin_socket, Door::Plain)],
        admin_stopping,
        1,
    ));
    let has_met = predecessor.is_some();
    let is_successor = match predecessor {
        None => false,
        Some(predecessor) => {
            operating::take_over(predecessor, &running, &file, &mut state_dir, kept.as_ref())?
        }
    };
    let lock = state_dir.as_ref().map(|dir| dir.file().try_clone());
    let lock = lock.transpose().unwrap_or_else(|error| {
        log::error!("the next gateway cannot take `state.dir` over from this one: {error}");
        None
    });
    let own_socket = match (own_socket, &upgrade_path) {
        (None, Some(path)) if is_successor => UpgradeSocket::bind(path, true)
            .map_err(|error| log::error!("this gateway cannot be taken over later: {error}"))
            .ok(),
        (None, Some(path)) => Some(UpgradeSocket::bind(path, false)?),
        (bound, _) => bound,
    };
    let sockets = upgrade::Sockets::new(offered);
    let handed = Arc::new(Notify::new());
    let mut own_file = None;
    if let Some((listener, file)) = own_socket.map(UpgradeSocket::split) {
        let upgradable = upgrade::Upgradable::new(
            Arc::clone(&running),
            sockets.clone(),
            lock,
            Arc::clone(&handed),
        );
        if let Err(error) = upgradable.listen(listener) {
            log::error!("this gateway cannot be taken over later: {error}");
        }
        own_file = Some(file);
    }
    let takeover = stop::Takeover {
        has_met,
        is_successor,
        handed,
        sockets,
        admin_stop,
    };
    let ended = Arc::clone(&running);
    let signals = stop::Signals::new(
        Arc::clone(&running),
        stop,
        file,
        (surroundings.stopper, surroundings.early),
        served,
        takeover,
        move || {
            (surroundings.on_ready)(&addresses);
        },
    );
    server.run(RunArgs {
        shutdown_signal: Box::new(signals),
    });
    // What the process that has taken over did not answer in time.
    ended.window.ask_no_more(ended.clock.now());
    if let Some(journal) = &ended.journal {
        journal.close(ended.clock.now());
    }
    if let Some(backlog) = &ended.backlog {
        backlog.close(ended.clock.mono());
    }
    log_writer.finish(Duration::from_secs(1));
    if let Some(file) = own_file {
        file.remove();
    }
    Ok(())
}

/// The routes that the first message names at most.
const INTRODUCED: usize = 10;

/// The first message: version, file and routes.
fn introduction(config: &Config) -> String {
    let count = config.routes.len();
    let noun = if count == 1 { "route" } else { "routes" };
    let shown = config.routes.iter().take(INTRODUCED);
    let mut routes: Vec<String> = shown
        .map(|route| format!("{} ({} → {})", route.name, route.pattern, route.upstreams))
        .collect();
    if count > INTRODUCED {
        routes.push(format!("{} more", count - INTRODUCED));
    }
    format!(
        "verigate {} runs {} with {count} {noun}: {}",
        env!("CARGO_PKG_VERSION"),
        shown_path(&config.path),
        routes.join(", ")
    )
}

/// What a process that takes over goes on with, and another begins with.
struct Beginning {
    fingerprints: FingerprintKey,
    clock: Clock,
    /// The wall-clock time from which on the replay window is complete.
    started: UnixMillis,
}

impl Beginning {
    fn of(
        predecessor: Option<&upgrade::Predecessor>,
        kept: Option<&Kept>,
    ) -> Result<Self, StartError> {
        let clock = kept.map_or_else(Clock::system, |kept| kept.clock.clone());
        let now = clock.now().wall;
        if let Some(predecessor) = predecessor {
            let (fingerprints, started) = (predecessor.key(), predecessor.started());
            if let Some(kept) = kept {
                if kept.digest_key(fingerprints.bytes)? != fingerprints.bytes {
                    return Err(KeptError::ForeignUpgrade.into());
                }
                kept.begin(started, now, true)?;
                kept.window.expect_all();
            }
            return Ok(Self {
                fingerprints,
                clock: kept.map_or_else(|| predecessor.clock(), |_| clock),
                started,
            });
        }
        let mut key = random()?;
        let mut started = now;
        if let Some(kept) = kept {
            key = kept.digest_key(key)?;
            started = kept.begin(now, now, false)?;
        }
        Ok(Self {
            fingerprints: FingerprintKey::from_bytes(key),
            started,
            clock,
        })
    }
}

fn random() -> Result<[u8; 16], StartError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(StartError::Random)?;
    Ok(bytes)
}

fn build(
    config: Config,
    telemetry: Telemetry,
    supervisor: Supervisor,
    beginning: Beginning,
    kept: Option<&Kept>,
) -> Result<Running, StartError> {
    let Beginning {
        fingerprints,
        clock,
        started,
    } = beginning;
    let upstreams = Upstreams::new();
    let now = clock.now();
    telemetry.metrics.set_loaded(now.wall);
    let begun = Instant::now();
    let epoch = begun.checked_sub(now.mono).unwrap_or(begun);
    let most = config.server.max_buffered;
    let backlog = kept.map(|kept| kept.backlog(&config.state, most / 4, now));
    let backlog = backlog.transpose()?.map(Arc::new);
    let budget = match &backlog {
        Some(_) => client::budget::Budget::beside_a_queue(most),
        None => client::budget::Budget::new(most),
    };
    let threads = config.server.threads;
    let (most, lowered) = descriptors::fitting(&config.server);
    if let Some(lowered) = &lowered {
        lowered.say();
    }
    let connections = Connections::new(most);
    let window = Arc::new(Window::new(config.replay.capacity));
    let files = config.files.clone();
    let acme = running::acme::Acme::default();
    let managed = &acme.managed;
    let snapshot = Snapshot::build(
        config,
        &telemetry.metrics,
        &upstreams,
        &fingerprints,
        managed,
        backlog.as_deref(),
    )
    .map_err(|fault| StartError::Build(fault.to_string()))?;
    if let (Some(kept), Some(backlog)) = (kept, &backlog) {
        kept.fill(backlog, &snapshot, now)?;
    }
    let journal = kept.map(|kept| Arc::clone(&kept.window.journal));
    if let Some(journal) = &journal {
        journal.note_routes_or_later(&snapshot);
        journal.set_routes(&snapshot);
    }
    let running = Running {
        backlog,
        journal,
        telemetry,
        fingerprints,
        upstreams,
        snapshot: ArcSwap::from_pointee(snapshot),
        window,
        budget,
        turns: client::turns::Turns::new(threads),
        proving: running::proving::ProvingThreads::new(threads),
        started: AtomicI64::new(started.0),
        clock,
        epoch,
        request_ids: client::origin::RequestIds::new(random()?),
        proxy_header_names: client::origin::ProxyHeaderNames::new()
            .ok_or_else(|| StartError::Build("header names".into()))?,
        stopping: AtomicBool::new(false),
        leaving: AtomicBool::new(false),
        has_predecessor: AtomicBool::new(false),
        connections,
        acme,
        reloads: running::reloads::Reloads::new(files, lowered),
        supervisor,
        warnings: running::warnings::Warnings::new(),
        longest_timeout: AtomicU64::new(0),
    };
    running.wait_as_long_as(&running.snapshot.load());
    Ok(running)
}
