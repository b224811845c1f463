//! The replies of the new process to the questions of the one before it.
//!
//! That a claim is settled is said once it is written, which may take a slow disk as long as several questions are waited
//! for. So each such reply goes out when its own claim is written, and nobody waits for that of another.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::frames::{self, FrameError, Kind};
use crate::replay::journal::Written;
use crate::replay::passing::Reply;

/// Sends replies.
pub(super) struct Replies {
    out: Arc<Out>,
    later: UnboundedSender<(u64, Written)>,
}

/// The way to the other process.
// A plain lock: it is held while a reply is written, so that none is torn.
struct Out(Mutex<UnixStream>);

impl Out {
    fn send(&self, number: u64, reply: Reply) -> Result<(), FrameError> {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        frames::send(&stream, Kind::Reply, &reply.to_bytes(number))
    }

    /// Ends the conversation. Whoever reads from the other process finds that.
    fn close(&self) {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // An error means that it is closed already.
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
}

impl Replies {
    /// Replies on `stream`, until this is dropped.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn on(stream: &UnixStream) -> io::Result<Self> {
        let out = Arc::new(Out(Mutex::new(stream.try_clone()?)));
        let (later, due) = unbounded_channel();
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let own = Arc::clone(&out);
        thread::Builder::new()
            .name("upgrade-replies".to_owned())
            .spawn(move || runtime.block_on(send_each(own, due)))?;
        Ok(Self { out, later })
    }

    /// Sends a reply.
    ///
    /// # Errors
    /// It is not taken.
    pub(super) fn now(&self, number: u64, reply: Reply) -> Result<(), FrameError> {
        self.out.send(number, reply)
    }

    /// Says that a claim is settled, once that is written.
    pub(super) fn settled(&self, number: u64, written: Written) {
        // The thread is there as long as this is.
        let _ = self.later.send((number, written));
    }
}

async fn send_each(out: Arc<Out>, mut due: UnboundedReceiver<(u64, Written)>) {
    while let Some((number, written)) = due.recv().await {
        let out = Arc::clone(&out);
        tokio::spawn(async move {
            written.await;
            if out.send(number, Reply::Settled).is_err() {
                out.close();
            }
        });
    }
}
