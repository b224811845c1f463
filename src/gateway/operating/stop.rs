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
use tokio::time::{Instant, sleep, timeout};

use super::early::EarlySignals;
use super::listen::RuntimeOf;
use super::{acme, reload, watching};
use crate::gateway::running::Running;
use crate::gateway::running::ending::{EndingCertificates, EndingSecrets};

/// A handle that stops a gateway from within its process.
#[derive(Clone, Debug, Default)]
pub struct Stopper(Arc<Notify>);

impl Stopper {
    /// Asks for a graceful stop, as SIGTERM does.
    pub fn stop(&self) {
        self.0.notify_one();
    }
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
        traffic: RuntimeOf,
        on_ready: impl FnOnce() + Send + 'static,
    ) -> Self {
        Self {
            running,
            stop,
            file,
            stopper,
            early,
            traffic,
            on_ready: Mutex::new(Some(Box::new(on_ready))),
        }
    }

    /// Turns `/readyz` to 503 for `server.shutdown_delay`, then stops the traffic service and waits
    /// until no connection is open or `server.shutdown_grace` is over.
    async fn drain(&self) {
        self.running.stopping.store(true, Ordering::Relaxed);
        self.running.supervisor.stopping();
        let (delay, grace) = {
            let snapshot = self.running.snapshot.load();
            (snapshot.shutdown_delay, snapshot.shutdown_grace)
        };
        if !delay.is_zero() {
            log::info!("not ready any more; connections are taken for another {delay:?}");
            sleep(delay).await;
        }
        self.stop.send_replace(true);
        let end = Instant::now() + grace;
        // The system may have accepted connections that are not counted yet.
        sleep(Duration::from_millis(50)).await;
        let open = || self.running.connections.open();
        log::info!(
            "stopping: {} connections are open, waiting at most {grace:?}",
            open()
        );
        while open() > 0 && Instant::now() < end {
            sleep(Duration::from_millis(10)).await;
        }
        if open() > 0 {
            log::warn!(
                "{} connections were still open when `server.shutdown_grace` ended",
                open()
            );
        }
    }

    /// Checks upstreams, closes idle connections to them in time, and warns of evicted events that
    /// could still be replayed, and of secrets and certificates that end.
    async fn keep_house(&self) {
        let mut reported = 0;
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
        // A task of its own: a panic there must not end the gateway.
        tokio::spawn(acme::run(Arc::clone(&self.running)));
        let routes = self.running.snapshot.load().routes.iter().count();
        self.running.supervisor.ready(routes, false);
        // A task of its own, because the manager waits for signs of life until the process ends.
        tokio::spawn(show_life(
            Arc::clone(&self.running),
            Arc::clone(&self.traffic),
        ));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = self.stopper.0.notified() => {}
            () = self.keep_house() => {}
            () = self.reload_on(hangup) => {}
            () = watching::watch(&self.running, &self.file) => {}
        }
        tokio::select! {
            () = self.drain() => {}
            // Whoever sends a second SIGINT does not want to wait.
            _ = interrupt.recv() => log::warn!("stopping at once"),
        }
        ShutdownSignal::FastShutdown
    }
}
