//! Clients that send deliveries, copies and retries, as a provider and a thief of its requests do, while the gateway
//! comes and goes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Random;
use super::book::{Book, Then};
use super::sent::{Sent, second};
use crate::support::client::Client;
use crate::support::{LATE, SOON};

/// The age up to which a copy is sent as it was signed: well below the tolerance of five minutes.
const YOUNG: u64 = 200;

/// What the clients share.
pub(super) struct Shared {
    pub(super) book: Book,
    /// Where the gateway is, while there is one.
    address: Mutex<Option<SocketAddr>>,
    is_over: AtomicBool,
    /// Codes of 503 that are in order.
    refused: &'static [&'static str],
}

/// The clients, each a thread.
pub(super) struct Senders {
    pub(super) shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Senders {
    pub(super) fn start(count: u64, random: &mut Random, refused: &'static [&'static str]) -> Self {
        let shared = Arc::new(Shared {
            book: Book::default(),
            address: Mutex::new(None),
            is_over: AtomicBool::new(false),
            refused,
        });
        let threads = (0..count).map(|_| {
            let (shared, random) = (Arc::clone(&shared), Random(random.next()));
            std::thread::spawn(move || Sender::new(shared, random).run())
        });
        let threads = threads.collect();
        Self { shared, threads }
    }

    /// From now on the gateway is there, or nowhere.
    pub(super) fn go_to(&self, address: Option<SocketAddr>) {
        *self.shared.address.lock().expect("no panic with it") = address;
    }

    /// Ends all clients.
    pub(super) fn stop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.join().expect("a client that did not panic");
        }
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
    }
}

/// One client.
struct Sender {
    shared: Arc<Shared>,
    random: Random,
    connection: Option<(SocketAddr, Client)>,
    /// Those of which no answer has said that the gateway has them.
    open: Vec<(Sent, u64)>,
    /// Those that the gateway has.
    known: Vec<(Sent, u64)>,
}

impl Sender {
    fn new(shared: Arc<Shared>, random: Random) -> Self {
        Self {
            shared,
            random,
            connection: None,
            open: Vec::new(),
            known: Vec::new(),
        }
    }

    fn run(mut self) {
        while !self.shared.is_over.load(Ordering::SeqCst) {
            let address = *self.shared.address.lock().expect("no panic with it");
            let Some(address) = address else {
                self.connection = None;
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            self.send_one(address);
        }
    }

    fn send_one(&mut self, address: SocketAddr) {
        let draw = self.random.below(100);
        if draw < 50 && !self.open.is_empty() {
            let place = self.random.place(self.open.len());
            let (sent, signed_at) = self.open.swap_remove(place);
            self.send(address, sent, signed_at);
        } else if draw < 65 && !self.known.is_empty() {
            let place = self.random.place(self.known.len());
            let (sent, signed_at) = self.known.swap_remove(place);
            self.send(address, sent, signed_at);
        } else if draw < 72 {
            let sent = Sent::any(&mut self.random);
            self.send_twice_at_once(address, sent);
        } else {
            let sent = Sent::any(&mut self.random);
            self.send(address, sent, second());
        }
    }

    /// Sends it, signed as before, or anew where it is old or by chance.
    fn send(&mut self, address: SocketAddr, sent: Sent, signed_at: u64) {
        let is_young = second() < signed_at + YOUNG;
        let signed_at = if is_young && !self.random.is_one_of(3) {
            signed_at
        } else {
            second()
        };
        let then = self.exchange(address, &sent, signed_at);
        self.keep(sent, signed_at, then);
    }

    /// Sends the same bytes on two connections before either answer is read.
    fn send_twice_at_once(&mut self, address: SocketAddr, sent: Sent) {
        let signed_at = second();
        let (Ok(mut one), Ok(mut other)) =
            (Client::try_connect(address), Client::try_connect(address))
        else {
            return self.keep(sent, signed_at, Then::Again);
        };
        let bytes = sent.bytes(signed_at);
        let book = &self.shared.book;
        let before = [book.sending(&sent), book.sending(&sent)];
        let (head, last) = bytes.split_at(bytes.len() - 1);
        // Both heads come first, so that both are judged before either body has ended.
        for client in [&mut one, &mut other] {
            client.send(head);
        }
        for client in [&mut one, &mut other] {
            client.send(last);
        }
        let mut then = Then::Again;
        for (client, before) in [&mut one, &mut other].into_iter().zip(before) {
            if let Ok(answer) = client.try_answer(SOON) {
                let refused = self.shared.refused;
                let told = book.answered(&sent, before, signed_at, &answer, refused);
                if told == Then::Known {
                    then = told;
                }
            }
        }
        self.keep(sent, signed_at, then);
    }

    fn exchange(&mut self, address: SocketAddr, sent: &Sent, signed_at: u64) -> Then {
        let connection = self.connection.take().filter(|(to, _)| *to == address);
        let mut client = match connection {
            Some((_, client)) => client,
            None => match Client::try_connect(address) {
                Ok(client) => client,
                Err(_) => return Then::Again,
            },
        };
        let before = self.shared.book.sending(sent);
        client.send(sent.bytes(signed_at));
        let Ok(answer) = client.try_answer(SOON) else {
            return Then::Again;
        };
        let closes = answer.closes();
        let book = &self.shared.book;
        let then = book.answered(sent, before, signed_at, &answer, self.shared.refused);
        if !closes {
            self.connection = Some((address, client));
        }
        then
    }

    fn keep(&mut self, sent: Sent, signed_at: u64, then: Then) {
        match then {
            Then::Known => self.known.push((sent, signed_at)),
            Then::Again => self.open.push((sent, signed_at)),
        }
    }
}

/// Sends one that is new. Returns the code of the refusal, which is empty where it is taken.
pub(super) fn probe(shared: &Arc<Shared>, address: SocketAddr, random: &mut Random) -> String {
    let sent = Sent::any(random);
    let before = shared.book.sending(&sent);
    let signed_at = second();
    let answer = Client::connect(address).ask(sent.bytes(signed_at));
    let book = &shared.book;
    book.answered(&sent, before, signed_at, &answer, shared.refused);
    answer.code()
}

/// Sends everything that no answer has acknowledged, until one does.
pub(super) fn send_what_is_open(shared: &Arc<Shared>, address: SocketAddr) {
    let mut sender = Sender::new(Arc::clone(shared), Random(1));
    for sent in shared.book.unknown() {
        let is_known = || sender.exchange(address, &sent, second()) == Then::Known;
        assert!(
            crate::support::eventually(SOON, is_known),
            "{sent:?} is not taken"
        );
    }
}

/// Sends a copy of everything, signed anew, and as it was signed where that is not long ago.
pub(super) fn send_copies(shared: &Arc<Shared>, address: SocketAddr) {
    let all = shared.book.all();
    let send = |part: &[(Sent, Option<u64>)]| {
        let mut sender = Sender::new(Arc::clone(shared), Random(1));
        for (sent, queued) in part {
            let again = queued.filter(|queued| second() < queued + YOUNG);
            for signed_at in [Some(second()), again].into_iter().flatten() {
                // A connection that was kept may be closed by the time it is used again.
                let is_known = || sender.exchange(address, sent, signed_at) == Then::Known;
                assert!(
                    crate::support::eventually(LATE, is_known),
                    "a copy of {sent:?} is not known"
                );
            }
        }
    };
    std::thread::scope(|scope| {
        for part in all.chunks(all.len().div_ceil(4).max(1)) {
            scope.spawn(|| send(part));
        }
    });
}
