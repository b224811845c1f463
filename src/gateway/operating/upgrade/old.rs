//! The running gateway's side of an upgrade: it hands over, or goes on as before.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::ORDER;
use super::authority::Successor;
use super::frames::{self, FrameError, Kind, MOST_FILES, Wait};
use super::messages::{Go, Handover, Hello};
use crate::gateway::running::Running;
use crate::gateway::running::acme::Held;
use crate::replay::passing::Change;

/// The time that the new process has to say who it is.
const HELLO: Duration = Duration::from_secs(5);
/// The time that it has to be ready (contract: Upgrade).
const READY: Duration = Duration::from_secs(30);
/// The time in which it must take what the window holds at once.
const WRITE: Duration = Duration::from_secs(5);
/// The time in which the copy of the window must be done.
const COPY: Duration = Duration::from_secs(60);
/// The time from the freezing of the window until the new process must have it. Claims wait for it.
const TAKEN: Duration = Duration::from_millis(1500);
/// The time beyond the longest `upstream_timeout` after which a claim that was not settled is that of a
/// process which is stopped (contract: Upgrade).
const LEASE: Duration = Duration::from_secs(5);
/// The number of changes that are sent while claims wait.
const FEW: usize = 1000;
/// The rounds of changes before the window is frozen in any case.
const ROUNDS: usize = 20;
/// The bytes of a frame of entries, or one entry more.
const BATCH: usize = 1 << 20;
/// The conversations at one time, the one that hands over included.
const CONVERSATIONS: usize = 4;
/// The pause after an error that may come again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// A listening socket that a new process may take over.
#[derive(Debug)]
pub(crate) struct Offered {
    /// The key of the configuration that names its address.
    pub(crate) key: &'static str,
    /// The address there.
    pub(crate) address: SocketAddr,
    /// A copy of the socket.
    pub(crate) socket: TcpListener,
}

/// The listening sockets of a gateway, as long as it takes connections. Their copies here would keep
/// them open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sockets(
    // A plain lock: taken at an upgrade and at the end.
    Arc<Mutex<Vec<Offered>>>,
);

impl Sockets {
    /// The sockets of a gateway.
    pub(crate) fn new(offered: Vec<Offered>) -> Self {
        Self(Arc::new(Mutex::new(offered)))
    }

    /// Closes the copies.
    pub(crate) fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Offered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A gateway that may be taken over.
pub(crate) struct Upgradable {
    pub(crate) running: Arc<Running>,
    pub(crate) sockets: Sockets,
    /// The locked file of the state directory.
    pub(crate) lock: Option<File>,
    /// Told when another process has taken over.
    pub(crate) handed: Arc<Notify>,
    /// Whether a process is taking over or has done so.
    is_taken: AtomicBool,
}

/// The reason why an upgrade ends before the new process has taken over.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The new process is told why.
    #[error("{0}")]
    Refused(String),
    /// It is not what was expected.
    #[error("the other process says what was not to be said now")]
    Unexpected,
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl Upgradable {
    /// A gateway that nobody has taken over yet.
    pub(crate) fn new(
        running: Arc<Running>,
        sockets: Sockets,
        lock: Option<File>,
        handed: Arc<Notify>,
    ) -> Self {
        Self {
            running,
            sockets,
            lock,
            handed,
            is_taken: AtomicBool::new(false),
        }
    }

    /// Listens on `listener` as long as the process lives.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn listen(self, listener: UnixListener) -> std::io::Result<()> {
        let own = Arc::new(self);
        let open = Arc::new(AtomicUsize::new(0));
        let accept = move || loop {
            let Ok((stream, _)) = listener.accept() else {
                std::thread::sleep(PAUSE);
                continue;
            };
            // Relaxed: a number, by which no other memory is read.
            if open.fetch_add(1, Ordering::Relaxed) >= CONVERSATIONS {
                open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (own, counted) = (Arc::clone(&own), Arc::clone(&open));
            let meet = move || {
                own.meet(&stream);
                counted.fetch_sub(1, Ordering::Relaxed);
            };
            let begun = std::thread::Builder::new()
                .name("upgrade".to_owned())
                .spawn(meet);
            if begun.is_err() {
                open.fetch_sub(1, Ordering::Relaxed);
            }
        };
        let begun = std::thread::Builder::new()
            .name("upgrade-socket".to_owned())
            .spawn(accept);
        begun.map(drop)
    }

    /// Hands over to the process at the other end of `stream`. Returns when nothing is left to be
    /// said.
    fn meet(&self, stream: &UnixStream) {
        match self.hand_over(stream) {
            Ok((pid, successor, _no_orders)) => {
                log::info!("the process {pid} has taken over: finishing what is in flight");
                self.handed.notify_one();
                successor.passed(stream, &self.running.window, &self.running.clock);
                log::error!(
                    "the process {pid}, which has taken over, does not answer any more: claims of requests in \
                     flight are refused"
                );
            }
            Err(Failure::Refused(why)) => {
                log::warn!("an upgrade is refused: {why}");
                let _ = frames::send(stream, Kind::Refused, why.as_bytes());
            }
            Err(failure) => {
                log::warn!("an upgrade fails, and this gateway goes on as before: {failure}");
                let _ = frames::send(stream, Kind::Refused, failure.to_string().as_bytes());
            }
        }
    }

    fn hand_over(&self, stream: &UnixStream) -> Result<(u32, Arc<Successor>, Held), Failure> {
        let refused = |why: &str| Err(Failure::Refused(why.to_owned()));
        stream
            .set_write_timeout(Some(WRITE))
            .map_err(FrameError::from)?;
        if !is_same_user(stream) {
            return refused(
                "it was asked for by another user than the one that the gateway runs as",
            );
        }
        let frame = expect(stream, Kind::Hello, HELLO)?;
        let Some(hello) = Hello::from_bytes(&frame) else {
            return Err(Failure::Unexpected);
        };
        if self.running.stopping.load(Ordering::Relaxed) {
            return refused("the gateway is stopping");
        }
        // Acquire and release: the thread that finishes with the window is seen by the next.
        if self.running.has_predecessor.load(Ordering::Acquire) {
            return refused(
                "the gateway before this one is still finishing its requests; try again once it has ended",
            );
        }
        if self.is_taken.swap(true, Ordering::AcqRel) {
            return refused("another upgrade is running");
        }
        log::info!(
            "verigate {} in process {} wants to take over",
            hello.program,
            hello.pid
        );
        let no_orders = self.running.acme.orders.hold();
        let taken = self.finish_order(stream, &no_orders).and_then(|()| {
            self.running.share_queue(true);
            self.pass(stream)
        });
        if taken.is_err() {
            self.running.share_queue(false);
            self.is_taken.store(false, Ordering::Release);
        }
        taken.map(|successor| (hello.pid, successor, no_orders))
    }

    /// Waits until the certificate has come that is being ordered, for [`ORDER`] at most: the challenge
    /// of the order is answered here alone.
    fn finish_order(&self, stream: &UnixStream, no_orders: &Held) -> Result<(), Failure> {
        if no_orders.are_over_within(Duration::ZERO) {
            return Ok(());
        }
        let why = "a certificate is being ordered, which takes some seconds";
        log::info!("the upgrade waits: {why}");
        frames::send(stream, Kind::Wait, why.as_bytes())?;
        if !no_orders.are_over_within(ORDER) {
            log::warn!(
                "the certificate has not come within {ORDER:?}, and the upgrade waits no longer: if the order \
                 fails for that, another one is made later"
            );
        }
        if self.running.stopping.load(Ordering::Relaxed) {
            return Err(Failure::Refused("the gateway is stopping".to_owned()));
        }
        Ok(())
    }

    /// Hands everything over, the window last.
    fn pass(&self, stream: &UnixStream) -> Result<Arc<Successor>, Failure> {
        self.send_sockets(stream)?;
        if !expect(stream, Kind::Ready, READY)?.is_empty() {
            return Err(Failure::Unexpected);
        }
        let window = &self.running.window;
        let passed = self.copy_window(stream).and_then(|()| {
            let successor = Successor::over(stream).map_err(FrameError::Io)?;
            window.set_authority(Some(Arc::<Successor>::clone(&successor)));
            match self.freeze_window(stream) {
                Ok(()) => Ok(successor),
                Err(failure) => {
                    // In this order: whoever is told that the window is here must find it so.
                    if let Some(journal) = &self.running.journal {
                        journal.keep();
                    }
                    window.here().thaw();
                    successor.stays_here(window, self.running.clock.now());
                    Err(failure)
                }
            }
        });
        if passed.is_err() {
            window.here().thaw();
            window.set_authority(None);
            if let Some(journal) = &self.running.journal {
                journal.keep();
            }
        }
        passed
    }

    fn send_sockets(&self, stream: &UnixStream) -> Result<(), Failure> {
        let sockets = self.sockets.lock();
        let lock = self.lock.as_ref();
        if sockets.len() + usize::from(lock.is_some()) > MOST_FILES {
            return Err(Failure::Refused(format!(
                "there are more than {MOST_FILES} listening sockets"
            )));
        }
        let running = &self.running;
        let handover = Handover {
            pid: std::process::id(),
            key: running.fingerprints.bytes,
            mono_ns: u64::try_from(running.clock.mono().as_nanos()).unwrap_or(u64::MAX),
            started_ms: running.started().0,
            has_lock: lock.is_some(),
            sockets: sockets
                .iter()
                .map(|offered| (offered.key, offered.address))
                .collect(),
        };
        let files: Vec<BorrowedFd<'_>> = sockets
            .iter()
            .map(|offered| offered.socket.as_fd())
            .chain(lock.map(File::as_fd))
            .collect();
        Ok(frames::send_with(
            stream,
            Kind::Handover,
            &handover.to_bytes(),
            &files,
        )?)
    }

    /// Sends every entry, and then the changes until few are left, while claims are decided here.
    fn copy_window(&self, stream: &UnixStream) -> Result<(), Failure> {
        let window = self.running.window.here();
        let end = Instant::now() + COPY;
        let send = |bytes: &[u8]| frames::send(stream, Kind::Entries, bytes);
        let in_time = || {
            if Instant::now() < end {
                Ok(())
            } else {
                Err(FrameError::Late)
            }
        };
        for shard in 0..window.shards() {
            send_changes(&window.copy(shard), send)?;
            in_time()?;
        }
        for _ in 0..ROUNDS {
            let mut sent = 0;
            for shard in 0..window.shards() {
                let changes = window.changes(shard);
                sent += changes.len();
                send_changes(&changes, send)?;
            }
            in_time()?;
            if sent <= FEW {
                break;
            }
        }
        Ok(())
    }

    /// Freezes the window, sends the last changes, and lets the new process go once it has them.
    fn freeze_window(&self, stream: &UnixStream) -> Result<(), Failure> {
        let begun = Instant::now();
        let end = begun + TAKEN;
        let window = self.running.window.here();
        let send = |bytes: &[u8]| frames::send_by(stream, Kind::Entries, bytes, end);
        for shard in 0..window.shards() {
            send_changes(&window.freeze(shard), send)?;
        }
        frames::send_by(stream, Kind::Frozen, &[], end)?;
        expect(
            stream,
            Kind::Taken,
            end.saturating_duration_since(Instant::now()),
        )?;
        let journal = self.running.journal.as_ref();
        let is_behind = match journal.map(|journal| journal.pass()) {
            None => true,
            Some(Some(is_whole)) => !is_whole,
            Some(None) => return Err(Failure::Refused("window.db does not answer".to_owned())),
        };
        // What is in force by now, the new process finds in the files.
        self.running.reloads.latest().is_over = true;
        let lease = self.running.longest_timeout().saturating_add(LEASE);
        let go = Go { lease, is_behind }.to_bytes();
        let gone = frames::send_by(stream, Kind::Go, &go, Instant::now() + TAKEN);
        if let Err(error) = gone {
            self.running.reloads.latest().is_over = false;
            return Err(error.into());
        }
        if let Some(journal) = journal.filter(|_| is_behind) {
            // The new process writes all of it, so what could not be written here must not come later.
            journal.drop_file();
        }
        log::info!(
            "the replay window has passed on; claims waited for {:?}",
            begun.elapsed()
        );
        Ok(())
    }
}

/// The payload of the next frame, which must be of this kind and come in time.
fn expect(stream: &UnixStream, kind: Kind, within: Duration) -> Result<Vec<u8>, Failure> {
    let frame = frames::receive(stream, Wait::Until(Instant::now() + within))?;
    if frame.kind == kind {
        Ok(frame.payload)
    } else {
        Err(Failure::Unexpected)
    }
}

/// Gives `send` changes in payloads of about [`BATCH`] bytes.
fn send_changes(
    changes: &[Change],
    send: impl Fn(&[u8]) -> Result<(), FrameError>,
) -> Result<(), FrameError> {
    let mut bytes = Vec::new();
    for change in changes {
        change.write(&mut bytes);
        if bytes.len() >= BATCH {
            send(&bytes)?;
            bytes.clear();
        }
    }
    if bytes.is_empty() {
        Ok(())
    } else {
        send(&bytes)
    }
}

/// Whether the process at the other end runs as the same user. Where the system does not say, the
/// directory of the socket, which nobody else may enter, has said it.
fn is_same_user(stream: &UnixStream) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let peer = rustix::net::sockopt::socket_peercred(stream);
        peer.is_ok_and(|peer| peer.uid == rustix::process::geteuid())
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = stream;
        true
    }
}
