//! The signals that come before the gateway listens for them, and those that mean nothing to it
//! (contract: Reload).
//!
//! The system's default for most signals ends the process. So a SIGHUP while the files are being
//! read is kept until the start is complete, and stray signals are taken and dropped. SIGTERM and
//! SIGINT keep their default until then: there is nothing to finish yet.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGALRM, SIGHUP, SIGIO, SIGPROF, SIGUSR1, SIGUSR2, SIGVTALRM};
use signal_hook::flag;

/// The signals that are taken and dropped.
const STRAY: [i32; 6] = [SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO];

/// Keeps a SIGHUP until somebody asks for it. The default keeps none.
#[derive(Clone, Debug, Default)]
pub struct EarlySignals {
    // Relaxed: no other memory is read by way of it.
    hangup: Arc<AtomicBool>,
}

impl EarlySignals {
    /// Takes the signals of the process from now on.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub fn keep() -> io::Result<Self> {
        let early = Self::default();
        flag::register(SIGHUP, Arc::clone(&early.hangup))?;
        let dropped = Arc::new(AtomicBool::new(false));
        for signal in STRAY {
            flag::register(signal, Arc::clone(&dropped))?;
        }
        Ok(early)
    }

    /// Whether a SIGHUP has come since the last call.
    pub(super) fn take_hangup(&self) -> bool {
        self.hangup.swap(false, Ordering::Relaxed)
    }
}
