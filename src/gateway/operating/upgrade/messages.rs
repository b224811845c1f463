//! What two processes say to each other at an upgrade, as bytes, apart from the window.

use std::net::SocketAddr;
use std::time::Duration;

/// The keys of the configuration that name addresses, by their numbers.
const KEYS: [&str; 3] = ["server.listen", "server.tls.listen", "admin.listen"];

/// The most bytes of a text.
const LONGEST: usize = 255;

/// The values that the new process goes on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handover {
    /// The process that hands over.
    pub(super) pid: u32,
    /// The bytes of the key of all digests.
    pub(super) key: [u8; 16],
    /// The time on its monotonic clock, in nanoseconds.
    pub(super) mono_ns: u64,
    /// The wall-clock time from which on its window is complete, in milliseconds.
    pub(super) started_ms: i64,
    /// Whether the last open file is the lock of the state directory.
    pub(super) has_lock: bool,
    /// The key and the address of the configuration of each socket, in the order of the open files.
    pub(super) sockets: Vec<(&'static str, SocketAddr)>,
}

impl Handover {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.pid.to_le_bytes());
        bytes.extend_from_slice(&self.key);
        bytes.extend_from_slice(&self.mono_ns.to_le_bytes());
        bytes.extend_from_slice(&self.started_ms.to_le_bytes());
        bytes.push(u8::from(self.has_lock));
        for (key, address) in &self.sockets {
            let number = KEYS.iter().position(|known| known == key);
            bytes.push(
                number
                    .and_then(|number| u8::try_from(number).ok())
                    .unwrap_or(0),
            );
            put_text(&mut bytes, &address.to_string());
        }
        bytes
    }

    /// `None` if `bytes` are anything else.
    pub(super) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let mut handover = Self {
            pid: u32::from_le_bytes(take(from)?),
            key: take(from)?,
            mono_ns: u64::from_le_bytes(take(from)?),
            started_ms: i64::from_le_bytes(take(from)?),
            has_lock: match take(from)? {
                [0] => false,
                [1] => true,
                _ => return None,
            },
            sockets: Vec::new(),
        };
        while !from.is_empty() {
            let [number] = take(from)?;
            let key = KEYS.get(usize::from(number))?;
            let address = take_text(from)?.parse().ok()?;
            handover.sockets.push((key, address));
        }
        Some(handover)
    }
}

/// The process that wants to take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) pid: u32,
    /// The version of the program.
    pub(super) program: String,
}

impl Hello {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.pid.to_le_bytes().to_vec();
        put_text(&mut bytes, &self.program);
        bytes
    }

    /// `None` if `bytes` are anything else.
    pub(super) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let hello = Self {
            pid: u32::from_le_bytes(take(from)?),
            program: take_text(from)?,
        };
        let is_plain = |byte: u8| byte.is_ascii_graphic();
        (from.is_empty() && hello.program.bytes().all(is_plain)).then_some(hello)
    }
}

/// The last word: the window has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Go {
    /// The time after which a claim that is not settled is that of a stopped process, in milliseconds on
    /// the wire.
    pub(super) lease: Duration,
    /// Whether the window on disk lacks something, so that all of it must be written. A process that
    /// does not say has none.
    pub(super) is_behind: bool,
}

impl Go {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let millis = u64::try_from(self.lease.as_millis());
        let mut bytes = millis.unwrap_or(u64::MAX).to_le_bytes().to_vec();
        bytes.push(u8::from(self.is_behind));
        bytes
    }

    /// `None` if `bytes` are anything else.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (millis, rest) = bytes.split_first_chunk()?;
        let is_behind = match rest {
            [] | [1] => true,
            [0] => false,
            _ => return None,
        };
        Some(Self {
            lease: Duration::from_millis(u64::from_le_bytes(*millis)),
            is_behind,
        })
    }
}

/// The words of a refusal or of a wait, fit to be shown.
pub(super) fn words(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(payload);
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(LONGEST).collect()
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let length = text.len().min(LONGEST);
    bytes.push(u8::try_from(length).unwrap_or(u8::MAX));
    bytes.extend(text.bytes().take(length));
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*first)
}

fn take_text(from: &mut &[u8]) -> Option<String> {
    let [length] = take(from)?;
    let (text, rest) = from.split_at_checked(usize::from(length))?;
    *from = rest;
    Some(std::str::from_utf8(text).ok()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_what_is_heard_and_a_part_of_it_is_refused() {
        let handover = Handover {
            pid: 7,
            key: [3; 16],
            mono_ns: 1 << 40,
            started_ms: -5,
            has_lock: true,
            sockets: vec![
                ("server.listen", "127.0.0.1:0".parse().unwrap()),
                ("admin.listen", "[::1]:9090".parse().unwrap()),
            ],
        };
        let bytes = handover.to_bytes();
        assert_eq!(Handover::from_bytes(&bytes), Some(handover));
        let hello = Hello {
            pid: 9,
            program: "0.1.0".to_owned(),
        };
        let bytes_of_hello = hello.to_bytes();
        assert_eq!(Hello::from_bytes(&bytes_of_hello), Some(hello));
        for cut in 0..bytes_of_hello.len() {
            assert_eq!(Hello::from_bytes(&bytes_of_hello[..cut]), None);
        }
        // A handover may have fewer sockets, and no part of one.
        let whole = (0..bytes.len()).filter(|cut| Handover::from_bytes(&bytes[..*cut]).is_some());
        assert_eq!(whole.count(), 2);
        let go = Go {
            lease: Duration::from_millis(15_001),
            is_behind: false,
        };
        assert_eq!(Go::from_bytes(&go.to_bytes()), Some(go));
        let behind = Go {
            is_behind: true,
            ..go
        };
        assert_eq!(Go::from_bytes(&behind.to_bytes()), Some(behind));
        assert_eq!(Go::from_bytes(&behind.to_bytes()[..8]), Some(behind));
        assert!(Go::from_bytes(&[0; 7]).is_none() && Go::from_bytes(&[0; 10]).is_none());
        assert_eq!(words(b"no\nway\x1b[1m"), "noway[1m");
    }
}
