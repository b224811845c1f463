//! The signals of the process: SIGTERM and SIGINT stop it gracefully, SIGHUP reloads (contract:
//! Shutdown, Reload). The housekeeping of each second runs beside them.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};

use super::early::EarlySignals;
use super::listen::{RuntimeOf, Tasks};
use super::upgrade::Sockets;
use super::{acme, catching_up, reload, watching};
use crate::gateway::delivering;
use crate::gateway::running::Running;
use crate::gateway::running::backlog::Backlog;
use crate::gateway::running::ending::{EndingCertificates, EndingSecrets};

/// The pause before the queue is read once more that could not be read.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// A handle that stops a gateway from within its process.
#[derive(Clone, Debug, Default)]
pub struct Stopper(Arc<Notify>);

impl Stopper {
    /// Asks for a graceful stop, as SIGTERM does.
    pub fn stop(&self) {
        self.0.notify_one();
    }
}

/// What concerns the processes before and after this one.
pub(crate) struct Takeover {
    /// Whether this process met another one from which to take over. That one may have written to the
    /// queue after it was read here, also where it ended before this process had taken over.
    pub(crate) has_met: bool,
    /// Whether this process took over from it.
    pub(crate) is_successor: bool,
    /// Told when another process has taken over.
    pub(crate) handed: Arc<Notify>,
    /// The copies of the listening sockets that are kept for it.
    pub(crate) sockets: Sockets,
    /// Stops the admin port, which goes on otherwise while traffic drains.
    pub(crate) admin_stop: watch::Sender<bool>,
}

/// The signals that Pingora's server waits for. When the wait ends, traffic has drained, so the
/// server may end at once.
pub(crate) struct Signals {
    running: Arc<Running>,
    stop: watch::Sender<bool>,
    file: PathBuf,
    stopper: Stopper,
    early: EarlySignals,
    /// The runtime of the traffic port.
    traffic: RuntimeOf,
    tasks: Tasks,
    takeover: Takeover,
    // Called once. It is in a mutex because the trait gives only `&self`; nothing waits for the
    // lock.
    on_ready: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Signals {
    /// The signals of a gateway. `on_ready` is called when the services were started.
    pub(crate) fn new(
        running: Arc<Running>,
        stop: watch::Sender<bool>,
        file: PathBuf,
        (stopper, early): (Stopper, EarlySignals),
        (traffic, tasks): (RuntimeOf, Tasks),
        takeover: Takeover,
        on_ready: impl FnOnce() + Send + 'static,
    ) -> Self {
        Self {
            running,
            stop,
            file,
            stopper,
            early,
            traffic,
            tasks,
            takeover,
            on_ready: Mutex::new(Some(Box::new(on_ready))),
        }
    }

    /// Turns `/readyz` to 503 for `server.shutdown_delay`, then stops the traffic service and waits
    /// until no connection is open or `server.shutdown_grace` is over.
    ///
    /// Where another process has taken over, probes on kept connections are answered as before,
    /// because that process is ready.
    async fn drain(&self, is_handed_over: bool) {
        let (delay, grace) = {
            let snapshot = self.running.snapshot.load();
            (snapshot.shutdown_delay, snapshot.shutdown_grace)
        };
        self.running.leaving.store(true, Ordering::Relaxed);
        if is_handed_over {
            self.running.supervisor.leave();
            self.takeover.admin_stop.send_replace(true);
        } else {
            self.running.stopping.store(true, Ordering::Relaxed);
            self.running.supervisor.stopping();
            if !delay.is_zero() {
                log::info!("not ready any more; connections are taken for another {delay:?}");
                sleep(delay).await;
            }
        }
        self.takeover.sockets.close();
        self.stop.send_replace(true);
        let end = Instant::now() + grace;
        let open = || self.running.connections.open();
        log::info!(
            "stopping: {} connections are open, waiting at most {grace:?}",
            open()
        );
        // A connection counts from the moment at which it was accepted, before it has its place. The
        // process before this one asks about the claims of its requests.
        let has_predecessor = || self.running.has_predecessor.load(Ordering::Relaxed);
        let backlog = self.running.backlog.as_ref();
        let of_queue = || backlog.map_or((0, 0), |backlog| backlog.under_way());
        let is_delivering = || of_queue() != (0, 0);
        let is_over = || self.tasks.are_over() && !has_predecessor() && !is_delivering();
        while !is_over() && Instant::now() < end {
            sleep(Duration::from_millis(10)).await;
        }
        if open() > 0 {
            log::warn!(
                "{} connections were still open when `server.shutdown_grace` ended",
                open()
            );
        }
        let (attempts, storing) = of_queue();
        if attempts > 0 {
            log::warn!(
                "attempts of the queue that were still under way when `server.shutdown_grace` ended: {attempts}; the \
                 next process tries their deliveries again"
            );
        }
        if storing > 0 {
            log::warn!(
                "deliveries that were still being stored when `server.shutdown_grace` ended: {storing}; they were not \
                 acknowledged, so the provider sends them again"
            );
        }
    }

    /// Checks upstreams, closes idle connections to them in time, and warns of evicted events that
    /// could still be replayed, of secrets and certificates that end, and of what is kept on disk. What
    /// may wait for the disk is done beside that.
    async fn keep_house(&self) {
        let mut reported = 0;
        let (mut of_window, mut of_queue) = (AtDisk::default(), AtDisk::default());
        let mut secrets = EndingSecrets::default();
        let mut certificates = EndingCertificates::default();
        loop {
            let (snapshot, now) = (self.running.snapshot.load_full(), self.running.clock.now());
            secrets.warn(&snapshot, now);
            certificates.warn(&snapshot, now);
            drop(snapshot);
            self.running.upstreams.begin_checks();
            sleep(Duration::from_secs(1)).await;
            self.running.upstreams.sweep();
            reported = self.running.report_evictions(reported);
            self.running.look_at_state();
            let running = Arc::clone(&self.running);
            of_window.begin(move || running.look_after_window());
            if let Some(backlog) = self.running.backlog.clone() {
                let running = Arc::clone(&self.running);
                of_queue.begin(move || {
                    delivering::end_dead_letters(&backlog, running.clock.now());
                    backlog.look_after(running.clock.now());
                });
            }
        }
    }

    async fn reload_on(&self, mut hangup: Signal) {
        // A SIGHUP during the start asks for what was read too early.
        let mut is_asked = self.early.take_hangup();
        while is_asked || hangup.recv().await.is_some() {
            is_asked = false;
            let (running, file) = (Arc::clone(&self.running), self.file.clone());
            // A task of its own, so that a reload which hangs keeps no later reload waiting.
            tokio::spawn(async move {
                // The function itself logs and counts its result.
                let _ = reload::reload(&running, &file, "asked by SIGHUP").await;
            });
        }
    }
}

/// Work of each second that may wait for the disk. A disk that hangs holds up this work alone.
#[derive(Default)]
struct AtDisk(Option<JoinHandle<()>>);

impl AtDisk {
    /// Begins the work on a thread of its own, unless it has not ended that was begun before.
    fn begin(&mut self, work: impl FnOnce() + Send + 'static) {
        // A panic of it was reported by the hook.
        if self.0.as_ref().is_none_or(JoinHandle::is_finished) {
            self.0 = Some(spawn_blocking(work));
        }
    }
}

/// Gives the service manager signs of life, as long as the threads of the traffic port take work. A
/// thread that hangs does not count while another takes over its connections.
async fn show_life(running: Arc<Running>, traffic: RuntimeOf) {
    let Some(pause) = running.supervisor.heartbeat() else {
        return;
    };
    loop {
        if let Some(traffic) = traffic.get()
            && let Ok(Ok(())) = timeout(pause, traffic.spawn(async {})).await
        {
            running.supervisor.is_alive();
        }
        sleep(pause).await;
    }
}

/// Delivers what waits in the queue, on the threads of the traffic port.
///
/// One process delivers at a time. The one before this one ends its attempts, and what it has written
/// by then is read once more, before anything is delivered here: `has_met` says that there was one,
/// which may have ended by now.
async fn deliver(
    running: Arc<Running>,
    backlog: Arc<Backlog>,
    traffic: RuntimeOf,
    has_met: bool,
    stopping: watch::Receiver<bool>,
) {
    while running.has_predecessor.load(Ordering::Acquire) || traffic.get().is_none() {
        sleep(Duration::from_millis(20)).await;
    }
    if has_met {
        read_again(&running, &backlog).await;
    }
    if let Some(traffic) = traffic.get() {
        traffic.spawn(delivering::run(running, backlog, stopping));
    }
}

/// Reads the queue once more, as often as it takes.
async fn read_again(running: &Arc<Running>, backlog: &Arc<Backlog>) {
    let mut has_failed = false;
    loop {
        let (own, queue) = (Arc::clone(running), Arc::clone(backlog));
        let read = spawn_blocking(move || own.read_queue_again(&queue)).await;
        let why = match read {
            Ok(Ok(())) => break,
            Ok(Err(error)) => error.to_string(),
            Err(panic) => panic.to_string(),
        };
        if !has_failed {
            log::error!(
                "the queue cannot be read again after the upgrade: {why}. Deliveries are accepted, and none is tried \
                 until it can be read; that is tried again each second (`verigate state check` names damage of the file)"
            );
        }
        has_failed = true;
        sleep(READ_AGAIN).await;
    }
    if has_failed {
        log::info!("the queue was read again: deliveries are tried");
    }
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let signals = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
            signal(SignalKind::hangup()),
        );
        let (Ok(mut terminate), Ok(mut interrupt), Ok(hangup)) = signals else {
            log::error!("cannot listen for signals: stopping");
            return ShutdownSignal::FastShutdown;
        };
        let on_ready = self
            .on_ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(on_ready) = on_ready {
            on_ready();
        }
        if let Some(backlog) = &self.running.backlog {
            tokio::spawn(deliver(
                Arc::clone(&self.running),
                Arc::clone(backlog),
                Arc::clone(&self.traffic),
                self.takeover.has_met,
                self.stop.subscribe(),
            ));
        }
        // A task of its own: a panic there must not end the gateway.
        tokio::spawn(acme::run(Arc::clone(&self.running)));
        let is_successor = self.takeover.is_successor;
        if is_successor {
            let (running, file) = (Arc::clone(&self.running), self.file.clone());
            tokio::spawn(async move {
                catching_up::follow(running, &file).await;
            });
        }
        let routes = self.running.snapshot.load().routes.iter().count();
        self.running.supervisor.ready(routes, is_successor);
        // A task of its own, because the manager waits for signs of life until the process ends.
        tokio::spawn(show_life(
            Arc::clone(&self.running),
            Arc::clone(&self.traffic),
        ));
        let is_handed_over = tokio::select! {
            _ = terminate.recv() => false,
            _ = interrupt.recv() => false,
            () = self.stopper.0.notified() => false,
            () = self.takeover.handed.notified() => true,
            () = self.keep_house() => false,
            () = self.reload_on(hangup) => false,
            () = watching::watch(&self.running, &self.file) => false,
        };
        tokio::select! {
            () = self.drain(is_handed_over) => {}
            // Whoever sends a second SIGINT does not want to wait.
            _ = interrupt.recv() => log::warn!("stopping at once"),
        }
        ShutdownSignal::FastShutdown
    }
}
