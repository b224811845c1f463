//! The challenges that are open now: what an authority may ask the gateway for, to see that a name
//! leads here. Each is open only while its [`Open`] lives.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ServerConfig;

/// The beginning of the path of each challenge over HTTP (RFC 8555 8.3).
pub const PATH: &str = "/.well-known/acme-challenge/";

/// The protocol of a challenge over TLS (RFC 8737 3).
pub const PROTOCOL: &[u8] = b"acme-tls/1";

/// The longest token: what is longer was not made by an authority.
const MAX_TOKEN: usize = 256;

/// All open challenges. Shared by every connection.
#[derive(Debug, Default)]
pub struct Challenges {
    // Looked at by each request, so that it costs nothing while no challenge is open. Relaxed: the
    // table itself is behind the lock, and nobody asks for a challenge before it was opened.
    count: AtomicUsize,
    // Held for a look-up, by requests only while a challenge is open.
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    answers: HashMap<String, String>,
    handshakes: HashMap<String, Arc<ServerConfig>>,
}

/// An open challenge. It closes when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Open {
    challenges: Arc<Challenges>,
    key: Key,
}

#[derive(Debug)]
enum Key {
    Token(String),
    Name(String),
}

impl Challenges {
    /// The answer to a request for this path: the text of the challenge that is open there. No other
    /// path has one.
    pub fn answer(&self, path: &str) -> Option<String> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let token = path.strip_prefix(PATH)?;
        self.table().answers.get(token).cloned()
    }

    /// The settings of the handshake that answers the challenge for this name, if one is open.
    pub fn handshake(&self, name: &str) -> Option<Arc<ServerConfig>> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let name = name.to_ascii_lowercase();
        self.table().handshakes.get(&name).map(Arc::clone)
    }

    /// Opens a challenge over HTTP: whoever asks for the path of this token gets the answer. `None`
    /// for what is no token (RFC 8555 8.3: the characters of base64url).
    pub fn open_answer(self: &Arc<Self>, token: &str, answer: &str) -> Option<Open> {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if !(1..=MAX_TOKEN).contains(&token.len()) || !token.bytes().all(is_token) {
            return None;
        }
        let answers = &mut self.table().answers;
        answers.insert(token.to_owned(), answer.to_owned());
        Some(self.opened(Key::Token(token.to_owned())))
    }

    /// Opens a challenge over TLS: whoever shakes hands for this name by the protocol of challenges
    /// gets this certificate.
    pub fn open_handshake(self: &Arc<Self>, name: &str, settings: Arc<ServerConfig>) -> Open {
        let handshakes = &mut self.table().handshakes;
        handshakes.insert(name.to_owned(), settings);
        self.opened(Key::Name(name.to_owned()))
    }

    fn opened(self: &Arc<Self>, key: Key) -> Open {
        self.count.fetch_add(1, Ordering::Relaxed);
        Open {
            challenges: Arc::clone(self),
            key,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut table = self.challenges.table();
        match &self.key {
            Key::Token(token) => {
                table.answers.remove(token);
            }
            Key::Name(name) => {
                table.handshakes.remove(name);
            }
        }
        self.challenges.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::certificate;

    #[test]
    fn tl_09_a_challenge_is_answered_while_it_is_open_and_nothing_else_is() {
        let challenges = Arc::new(Challenges::default());
        let path = format!("{PATH}to-ken_1");
        assert_eq!(challenges.answer(&path), None);
        let open = challenges
            .open_answer("to-ken_1", "to-ken_1.thumb")
            .unwrap();
        let other = challenges.open_answer("b", "b.thumb").unwrap();
        assert_eq!(challenges.answer(&path).as_deref(), Some("to-ken_1.thumb"));
        for path in [
            PATH,
            "/.well-known/acme-challenge",
            "/.well-known/acme-challenge/to-ken",
            "/.well-known/acme-challenge/TO-KEN_1",
            "/.well-known/acme-challenge/to-ken_1/",
            "/.well-known/acme-challenge//to-ken_1",
            "/.well-known/acme-challenge/to%2Dken_1",
            "/x/.well-known/acme-challenge/to-ken_1",
            "to-ken_1",
            "/",
        ] {
            assert_eq!(challenges.answer(path), None, "{path}");
        }
        drop(open);
        assert_eq!(challenges.answer(&path), None);
        drop(other);
        assert_eq!(challenges.count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn tl_09_what_is_no_token_opens_nothing() {
        let challenges = Arc::new(Challenges::default());
        let long = "a".repeat(MAX_TOKEN + 1);
        for token in ["", "..", "a/b", "a.b", "a b", "ä", "a\n", "a%2f", &long] {
            assert!(challenges.open_answer(token, "x").is_none(), "{token}");
        }
        assert_eq!(challenges.count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn tl_08_a_handshake_has_a_certificate_for_its_own_name_alone() {
        let challenges = Arc::new(Challenges::default());
        assert!(challenges.handshake("a.example").is_none());
        let settings = certificate::for_challenge("a.example", &[7; 32]).unwrap();
        let open = challenges.open_handshake("a.example", settings);
        assert!(challenges.handshake("A.example").is_some());
        assert!(challenges.handshake("b.example").is_none());
        assert_eq!(challenges.answer("a.example"), None);
        drop(open);
        assert!(challenges.handshake("a.example").is_none());
    }
}
