//! The process at the other end of an upgrade: whether it has ended. The end of a conversation does not
//! say so.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A process.
#[derive(Debug)]
pub(super) struct Peer {
    /// Names the process for good, whatever process has its number later. `None`: the system has none.
    file: Option<OwnedFd>,
}

impl Peer {
    /// The process that listens where `stream` was connected to. It must have answered, so that it lives.
    pub(super) fn of(stream: &UnixStream) -> Self {
        Self { file: file(stream) }
    }

    /// Whether the process ends within `time`; `None`, once that is over: the system does not say.
    pub(super) fn ends_within(&self, time: Duration) -> Option<bool> {
        let ended = self.file.as_ref().and_then(|file| wait(file, time));
        if ended.is_none() {
            std::thread::sleep(time);
        }
        ended
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn file(stream: &UnixStream) -> Option<OwnedFd> {
    use rustix::process::{PidfdFlags, pidfd_open};
    let peer = rustix::net::sockopt::socket_peercred(stream).ok()?;
    pidfd_open(peer.pid, PidfdFlags::empty()).ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn file(_: &UnixStream) -> Option<OwnedFd> {
    None
}

/// Whether something can be read from `file` within `time`: of a process, that it has ended.
fn wait(file: &OwnedFd, time: Duration) -> Option<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let time = Timespec::try_from(time).ok()?;
    match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&time)) {
        Ok(ready) => Some(ready > 0),
        Err(rustix::io::Errno::INTR) => Some(false),
        Err(_) => None,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Command, Stdio};

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    const SOON: Duration = Duration::from_secs(60);

    #[test]
    fn a_process_that_lives_has_not_ended_and_one_that_was_killed_has() {
        let (stream, _other) = UnixStream::pair().unwrap();
        // The test itself listens.
        assert_eq!(Peer::of(&stream).ends_within(Duration::ZERO), Some(false));
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let file = pidfd_open(pid, PidfdFlags::empty()).ok();
        let peer = Peer { file };
        assert_eq!(peer.ends_within(Duration::ZERO), Some(false));
        child.kill().unwrap();
        // Nobody has asked for its status yet.
        assert_eq!(peer.ends_within(SOON), Some(true));
        child.wait().unwrap();
        assert_eq!(peer.ends_within(Duration::ZERO), Some(true));
    }

    #[test]
    fn where_the_system_does_not_say_nothing_is_said() {
        let peer = Peer { file: None };
        assert_eq!(peer.ends_within(Duration::ZERO), None);
    }
}
