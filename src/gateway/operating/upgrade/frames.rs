//! Frames between two processes at an upgrade, over a Unix socket: a magic word, the version of the
//! protocol, a kind, a length, and that many bytes. Open files go along with the first byte.
//!
//! Both sides block, each on threads of its own. Every read has an end: a deadline, or the end of the
//! other process.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::time::Instant;

/// The version of the protocol. Processes of two versions do not take over from each other.
pub(super) const VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"VGup";

/// The most bytes of a frame.
pub(super) const LONGEST: usize = 4 << 20;

/// The most open files that go along with a frame: more than the system passes on at once.
pub(super) const MOST_FILES: usize = 250;

const HEAD: usize = 12;

/// The most bytes of a payload that is sent with its head by a single call.
const SHORT: usize = 4096;

/// The most bytes of a write that has a deadline: so many the system takes at once.
const PIECE: usize = 1 << 16;

/// The shortest time limit of a socket. A time of zero would mean that there is no limit.
const SHORTEST: Duration = Duration::from_millis(1);

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Hello = 1,
    Handover = 2,
    Ready = 3,
    Entries = 4,
    Frozen = 5,
    Taken = 6,
    Go = 7,
    Refused = 8,
    Question = 9,
    Reply = 10,
    Wait = 11,
    Here = 12,
}

const KINDS: [Kind; 12] = [
    Kind::Hello,
    Kind::Handover,
    Kind::Ready,
    Kind::Entries,
    Kind::Frozen,
    Kind::Taken,
    Kind::Go,
    Kind::Refused,
    Kind::Question,
    Kind::Reply,
    Kind::Wait,
    Kind::Here,
];

/// A frame that was read.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) payload: Vec<u8>,
}

/// The reason why there is no frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("the other process ended the conversation")]
    Ended,
    #[error("the other process did not answer in time")]
    Late,
    #[error("what came is no message of an upgrade")]
    Foreign,
    #[error(
        "the other process speaks version {0} of the upgrade, and this one version {VERSION}: stop the \
         running gateway and start the new one instead"
    )]
    Version(u16),
    #[error("not all sockets came along; raise the limit of open file descriptors")]
    TooFewFiles,
    #[error("{0}")]
    Io(io::Error),
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Late,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset => Self::Ended,
            _ => Self::Io(error),
        }
    }
}

/// The head of a frame.
fn head(kind: Kind, length: usize) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let [low, high] = VERSION.to_le_bytes();
    let parts = MAGIC
        .into_iter()
        .chain([low, high, kind as u8, 0])
        .chain(length);
    for (place, byte) in head.iter_mut().zip(parts) {
        *place = byte;
    }
    head
}

/// The kind and the length that a head says.
fn read_head(head: [u8; HEAD]) -> Result<(Kind, usize), FrameError> {
    let [a, b, c, d, low, high, kind, zero, one, two, three, four] = head;
    if [a, b, c, d] != MAGIC {
        return Err(FrameError::Foreign);
    }
    let version = u16::from_le_bytes([low, high]);
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let kind = KINDS.into_iter().find(|known| *known as u8 == kind);
    let length = usize::try_from(u32::from_le_bytes([one, two, three, four]));
    match (kind, length) {
        (Some(kind), Ok(length)) if length <= LONGEST && zero == 0 => Ok((kind, length)),
        _ => Err(FrameError::Foreign),
    }
}

/// Sends a frame. Each write that makes progress renews the time limit of the socket.
pub(super) fn send(mut stream: &UnixStream, kind: Kind, payload: &[u8]) -> Result<(), FrameError> {
    let head = head(kind, payload.len());
    if payload.len() <= SHORT {
        return Ok(stream.write_all(&[&head[..], payload].concat())?);
    }
    stream.write_all(&head)?;
    Ok(stream.write_all(payload)?)
}

/// Sends a frame that the other process must take by `deadline`, however fast it reads.
pub(super) fn send_by(
    mut stream: &UnixStream,
    kind: Kind,
    payload: &[u8],
    deadline: Instant,
) -> Result<(), FrameError> {
    let bytes = [&head(kind, payload.len())[..], payload].concat();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(FrameError::Late);
        }
        stream.set_write_timeout(Some(left.max(SHORTEST)))?;
        match stream.write(rest.split_at(rest.len().min(PIECE)).0) {
            Ok(0) => return Err(FrameError::Ended),
            Ok(count) => rest = rest.split_at(count.min(rest.len())).1,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Sends a frame with open files, [`MOST_FILES`] at most.
pub(super) fn send_with(
    mut stream: &UnixStream,
    kind: Kind,
    payload: &[u8],
    files: &[BorrowedFd<'_>],
) -> Result<(), FrameError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
    let mut along = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !along.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(FrameError::Io(io::Error::other("too many open files")));
    }
    let bytes = [&head(kind, payload.len())[..], payload].concat();
    let sent = sendmsg(
        stream,
        &[IoSlice::new(&bytes)],
        &mut along,
        SendFlags::empty(),
    )
    .map_err(io::Error::from)?;
    Ok(stream.write_all(bytes.get(sent..).unwrap_or_default())?)
}

/// How long a frame is waited for.
pub(super) enum Wait<'w> {
    /// Until this moment.
    Until(Instant),
    /// As long as it takes.
    Forever,
    /// As long as it takes. Whenever nothing has come for this long, the function is called.
    Beside(Duration, &'w mut dyn FnMut()),
}

/// Reads a frame.
pub(super) fn receive(stream: &UnixStream, mut wait: Wait<'_>) -> Result<Frame, FrameError> {
    receive_from(stream, &mut wait, None)
}

/// Reads a frame that must have come by `deadline`, with the open files that come along.
pub(super) fn receive_with(
    stream: &UnixStream,
    deadline: Instant,
    files: &mut Vec<OwnedFd>,
) -> Result<Frame, FrameError> {
    receive_from(stream, &mut Wait::Until(deadline), Some(files))
}

fn receive_from(
    stream: &UnixStream,
    wait: &mut Wait<'_>,
    mut files: Option<&mut Vec<OwnedFd>>,
) -> Result<Frame, FrameError> {
    let mut head = [0; HEAD];
    fill(stream, &mut head, wait, files.as_deref_mut())?;
    let (kind, length) = read_head(head)?;
    let mut payload = vec![0; length];
    fill(stream, &mut payload, wait, files)?;
    Ok(Frame { kind, payload })
}

/// Fills `buffer`.
fn fill(
    mut stream: &UnixStream,
    mut buffer: &mut [u8],
    wait: &mut Wait<'_>,
    mut files: Option<&mut Vec<OwnedFd>>,
) -> Result<(), FrameError> {
    while !buffer.is_empty() {
        let limit = match wait {
            Wait::Until(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
            Wait::Forever => None,
            Wait::Beside(pause, _) => Some(*pause),
        };
        if limit.is_some_and(|limit| limit.is_zero()) {
            return Err(FrameError::Late);
        }
        stream.set_read_timeout(limit.map(|limit| limit.max(SHORTEST)))?;
        let read = match &mut files {
            Some(files) => read_with(stream, buffer, files),
            None => stream.read(buffer),
        };
        match read {
            Ok(0) => return Err(FrameError::Ended),
            Ok(count) => buffer = buffer.split_at_mut(count.min(buffer.len())).1,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => match (FrameError::from(error), &mut *wait) {
                (FrameError::Late, Wait::Beside(_, work)) => work(),
                (error, _) => return Err(error),
            },
        }
    }
    Ok(())
}

/// Reads bytes, and the open files that come along with them. Files beyond [`MOST_FILES`] are closed.
fn read_with(
    stream: &UnixStream,
    buffer: &mut [u8],
    files: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
    let mut along = RecvAncillaryBuffer::new(&mut space);
    let flags = close_on_exec();
    let received = recvmsg(stream, &mut [IoSliceMut::new(buffer)], &mut along, flags)?;
    for message in along.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            files.extend(received);
        }
    }
    files.truncate(MOST_FILES);
    Ok(received.bytes)
}

/// Files that come along are closed where the process runs another program.
fn close_on_exec() -> RecvFlags {
    #[cfg(not(any(target_os = "macos", target_os = "ios")))]
    return RecvFlags::CMSG_CLOEXEC;
    #[cfg(any(target_os = "macos", target_os = "ios"))]
    return RecvFlags::empty();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Once the window is frozen claims wait for what is sent, and not for the pace of who reads it.
    #[test]
    fn a_frame_with_a_deadline_does_not_wait_for_a_reader_that_takes_little_at_a_time() {
        let (stream, mut other) = UnixStream::pair().unwrap();
        let reading = std::thread::spawn(move || {
            let mut few = [0; 4096];
            let pause = Duration::from_millis(20);
            while other.read(&mut few).is_ok_and(|count| count > 0) {
                std::thread::sleep(pause);
            }
        });
        let deadline = Instant::now() + Duration::from_millis(300);
        let sent = send_by(&stream, Kind::Entries, &vec![0; LONGEST], deadline);
        assert!(matches!(sent, Err(FrameError::Late)), "{sent:?}");
        drop(stream);
        reading.join().unwrap();
    }

    #[test]
    fn a_frame_with_a_deadline_is_read_as_any() {
        let (stream, other) = UnixStream::pair().unwrap();
        let payload: Vec<u8> = (0..300_000_u32)
            .map(|place| place.to_le_bytes()[0])
            .collect();
        let copy = payload.clone();
        let deadline = Instant::now() + Duration::from_secs(60);
        let sending = std::thread::spawn(move || send_by(&stream, Kind::Entries, &copy, deadline));
        let frame = receive(&other, Wait::Until(deadline)).unwrap();
        assert!(frame.kind == Kind::Entries && frame.payload == payload);
        sending.join().unwrap().unwrap();
    }
}
