//! The replies of the new process to the questions of the one before it.
//!
//! What is said of a claim is said once it is written: that it is settled, or that its event was seen before. A slow
//! disk takes long for that, and so each reply waits for its own claim alone. A process that is stopped takes no
//! replies: they wait here, and its leases go on to be looked at.

use std::future::ready;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::frames::{self, Kind};
use crate::replay::journal::Written;
use crate::replay::passing::Reply;

/// A reply with its number, and what is to be written before it is sent.
type Due = (u64, Reply, Option<Written>);

/// Sends replies, until it is dropped.
pub(super) struct Replies {
    stream: UnixStream,
    due: UnboundedSender<Due>,
}

impl Replies {
    /// Replies on `stream`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn on(stream: &UnixStream) -> io::Result<Self> {
        let own = Arc::new(stream.try_clone()?);
        let (due, replies) = unbounded_channel();
        let runtime = Builder::new_current_thread().enable_time().build()?;
        thread::Builder::new()
            .name("upgrade-replies".to_owned())
            .spawn(move || runtime.block_on(send_each(own, replies)))?;
        Ok(Self {
            stream: stream.try_clone()?,
            due,
        })
    }

    /// Sends a reply, once that is written.
    pub(super) fn send(&self, number: u64, reply: Reply, written: Option<Written>) {
        // The thread is there as long as this is.
        let _ = self.due.send((number, reply, written));
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        // A thread that writes to a stopped process waits no longer. An error means that it is closed already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

async fn send_each(stream: Arc<UnixStream>, mut replies: UnboundedReceiver<Due>) {
    while let Some((number, reply, written)) = replies.recv().await {
        let stream = Arc::clone(&stream);
        tokio::spawn(async move {
            written.unwrap_or_else(|| Box::pin(ready(()))).await;
            if frames::send(&stream, Kind::Reply, &reply.to_bytes(number)).is_err() {
                // Whoever reads from the other process finds that.
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }
}
