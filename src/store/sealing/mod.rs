//! The form in which the content of a delivery lies on disk (contract: State): as it is, with a
//! checksum, or encrypted. It knows no database.
//!
//! What is read back is the content that was stored, for the delivery that it was stored for, or an
//! error. With keys this holds against whoever can write to the disk: every part is authenticated
//! together with all of its delivery's row that never changes. Without keys it holds against chance
//! alone.
//!
//! Encrypted is by AES-256-GCM. Each delivery has a key of its own, made of the configured key and a
//! random salt by HKDF-SHA-256 (RFC 5869), so each nonce (the part's place in the delivery) is used
//! once.

mod keys;
#[cfg(test)]
mod tests;

use highway::{HighwayHash as _, HighwayHasher, Key};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

pub use keys::{KeyId, Keyring};

use crate::clock::UnixMillis;
use crate::notation::packed::{Reader, Writer};
use crate::queue::{DeliveryId, Number, RouteNumber};
use crate::verify::claim::Mark;

/// The first byte of the seal of a content that is stored as it is.
const PLAIN: u8 = 1;

/// The first byte of the seal of a content that is encrypted, and of what is authenticated with it.
const ENCRYPTED: u8 = 2;

/// The bytes of the random value by which each delivery has a key of its own.
pub const SALT: usize = 16;

/// The key of the checksums. It is no secret: they find damage that comes by chance.
const CHECKSUM: [u64; 4] = [1, 2, 3, 4];

/// The delivery that a content belongs to: all of its row that never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its place in the order of acceptance.
    pub number: Number,
    /// Its name.
    pub id: DeliveryId,
    /// Its route.
    pub route: RouteNumber,
    /// The moment of its acceptance.
    pub received: UnixMillis,
    /// The bytes of its head and body.
    pub bytes: u64,
    /// The digest of its account.
    pub account: Option<Mark>,
    /// The digest of its order key.
    pub order: Option<Mark>,
}

impl Owner {
    fn write(&self, to: &mut Writer<'_>) {
        to.long(self.number.0);
        to.digest(self.id.0);
        to.word(self.route.0);
        to.long(self.received.0.cast_unsigned());
        to.long(self.bytes);
        to.optional(self.account.map(|mark| mark.0));
        to.optional(self.order.map(|mark| mark.0));
    }

    fn checksum(&self) -> HighwayHasher {
        let mut bytes = Vec::with_capacity(64);
        self.write(&mut Writer(&mut bytes));
        let mut hasher = HighwayHasher::new(Key(CHECKSUM));
        hasher.append(&bytes);
        hasher
    }
}

/// A part of a content: each is stored as a value of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The head.
    Head,
    /// A body that is stored whole.
    Body,
    /// A piece of a body.
    Piece {
        /// Its place in the body, from 0.
        place: u64,
        /// Whether the body ends with it.
        is_last: bool,
    },
}

impl Part {
    /// The number of its kind, its place, and whether it is the last one.
    fn numbers(self) -> (u8, u64, bool) {
        match self {
            Self::Head => (0, 0, true),
            Self::Body => (1, 0, true),
            Self::Piece { place, is_last } => (2, place, is_last),
        }
    }

    /// No two parts of a content have the same one.
    fn nonce(self) -> Nonce {
        let (kind, place, _) = self.numbers();
        let mut bytes = [0; NONCE_LEN];
        let (first, last) = bytes.split_at_mut(NONCE_LEN - size_of::<u64>());
        first.fill(kind);
        last.copy_from_slice(&place.to_be_bytes());
        Nonce::assume_unique_for_key(bytes)
    }
}

/// What is stored beside the parts of a content, and says how they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// They are stored as they are.
    Plain {
        /// The checksum of the head and its delivery.
        head: u64,
        /// The checksum of the whole body and its delivery.
        body: u64,
    },
    /// They are encrypted.
    Encrypted {
        /// The key.
        key: KeyId,
        /// The random value that was mixed into it.
        salt: [u8; SALT],
    },
}

impl Seal {
    /// Its bytes, which begin with the number of its form.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32);
        let mut to = Writer(&mut bytes);
        match self {
            Self::Plain { head, body } => {
                to.byte(PLAIN);
                to.long(head);
                to.long(body);
            }
            Self::Encrypted { key, salt } => {
                to.byte(ENCRYPTED);
                bytes.extend_from_slice(&key.0);
                bytes.extend_from_slice(&salt);
            }
        }
        bytes
    }

    /// Reads a seal; `None` if `bytes` are not the whole of one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        match *form {
            PLAIN => {
                let mut from = Reader(rest);
                let (head, body) = (from.long()?, from.long()?);
                from.is_at_end().then_some(Self::Plain { head, body })
            }
            ENCRYPTED => {
                let (key, salt) = rest.split_first_chunk()?;
                Some(Self::Encrypted {
                    key: KeyId(*key),
                    salt: salt.try_into().ok()?,
                })
            }
            _ => None,
        }
    }
}

/// The reason why a content cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not what was stored for this delivery.
    #[error("it is not what was stored")]
    Changed,
    /// It is not encrypted, and everything in this file is.
    #[error("it is not encrypted, and all that was stored here is")]
    Plain,
    /// There is no key of this id.
    #[error("it is encrypted with the key {0}, which is not in `state.keys`")]
    NoKey(KeyId),
}

impl Unreadable {
    /// The key that is missing, if that is all.
    pub fn missing_key(self) -> Option<KeyId> {
        match self {
            Self::NoKey(key) => Some(key),
            Self::Changed | Self::Plain => None,
        }
    }
}

/// The reason why a content is not encrypted. It is not written then: never in the clear instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotEncrypted {
    /// There is no random salt.
    #[error("the system gives no random numbers")]
    NoSalt,
    /// The primitives refuse a key of their own length, which does not happen.
    #[error("the key is refused")]
    Key,
    /// A part has more bytes than can be encrypted at once: 64 GiB.
    #[error("the part is too large to be encrypted")]
    TooLarge,
}

/// The key of one delivery, with the first bytes of what is authenticated with each part.
struct Cipher {
    key: LessSafeKey,
    known: Vec<u8>,
}

impl Cipher {
    /// `None`: the primitives refuse a key of their own length, which does not happen.
    fn new(owner: &Owner, keys: &Keyring, id: KeyId, salt: &[u8; SALT]) -> Option<Self> {
        let own = keys.of_delivery(id, salt)?;
        let key = UnboundKey::new(&AES_256_GCM, own.as_bytes()).ok()?;
        let mut known = Vec::with_capacity(96);
        let mut to = Writer(&mut known);
        to.byte(ENCRYPTED);
        owner.write(&mut to);
        known.extend_from_slice(&id.0);
        Some(Self {
            key: LessSafeKey::new(key),
            known,
        })
    }

    fn known(&self, part: Part) -> Aad<Vec<u8>> {
        let mut bytes = self.known.clone();
        let (kind, place, is_last) = part.numbers();
        let mut to = Writer(&mut bytes);
        to.byte(kind);
        to.long(place);
        to.byte(u8::from(is_last));
        Aad::from(bytes)
    }
}

/// A content that is being written, part by part. The pieces of a body come in their order.
pub struct Sealing(Write);

enum Write {
    Plain {
        owner: Owner,
        head: u64,
        body: Box<HighwayHasher>,
    },
    Encrypted {
        cipher: Box<Cipher>,
        key: KeyId,
        salt: [u8; SALT],
    },
}

impl std::fmt::Debug for Sealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealing").finish_non_exhaustive()
    }
}

impl Sealing {
    /// Begins to write a content: encrypted with the first of `keys`, where there is one. Then it
    /// needs a `salt`, which must be random.
    ///
    /// # Errors
    /// [`NotEncrypted`].
    pub fn begin(
        owner: Owner,
        keys: &Keyring,
        salt: impl FnOnce() -> Option<[u8; SALT]>,
    ) -> Result<Self, NotEncrypted> {
        let Some(key) = keys.first() else {
            return Ok(Self(Write::Plain {
                head: 0,
                body: Box::new(owner.checksum()),
                owner,
            }));
        };
        let salt = salt().ok_or(NotEncrypted::NoSalt)?;
        let cipher = Cipher::new(&owner, keys, key, &salt).ok_or(NotEncrypted::Key)?;
        Ok(Self(Write::Encrypted {
            cipher: Box::new(cipher),
            key,
            salt,
        }))
    }

    /// The bytes that are stored for a part. `room` is overwritten where they are not `bytes`
    /// themselves.
    ///
    /// # Errors
    /// [`NotEncrypted::TooLarge`].
    pub fn part<'b>(
        &mut self,
        part: Part,
        bytes: &'b [u8],
        room: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], NotEncrypted> {
        match &mut self.0 {
            Write::Plain { owner, head, body } => {
                match part {
                    Part::Head => {
                        let mut own = owner.checksum();
                        own.append(bytes);
                        *head = own.finalize64();
                    }
                    Part::Body | Part::Piece { .. } => body.append(bytes),
                }
                Ok(bytes)
            }
            Write::Encrypted { cipher, .. } => {
                room.clear();
                room.extend_from_slice(bytes);
                let known = cipher.known(part);
                let sealed = cipher
                    .key
                    .seal_in_place_append_tag(part.nonce(), known, room);
                sealed.map_err(|_| NotEncrypted::TooLarge)?;
                Ok(room)
            }
        }
    }

    /// The seal, once every part was written.
    pub fn end(self) -> Seal {
        match self.0 {
            Write::Plain { head, body, .. } => Seal::Plain {
                head,
                body: body.finalize64(),
            },
            Write::Encrypted { key, salt, .. } => Seal::Encrypted { key, salt },
        }
    }
}

/// A content that is being read, part by part. The pieces of a body come in their order.
pub struct Opening(Read);

enum Read {
    Plain {
        owner: Owner,
        head: u64,
        body: u64,
        read: Box<HighwayHasher>,
    },
    Encrypted(Box<Cipher>),
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening").finish_non_exhaustive()
    }
}

impl Opening {
    /// Begins to read a content that is to belong to `owner`, by the bytes of its seal.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn begin(owner: Owner, seal: &[u8], keys: &Keyring) -> Result<Self, Unreadable> {
        Ok(Self(match Seal::read(seal).ok_or(Unreadable::Changed)? {
            Seal::Plain { .. } if keys.refuses_plain() => return Err(Unreadable::Plain),
            Seal::Plain { head, body } => Read::Plain {
                head,
                body,
                read: Box::new(owner.checksum()),
                owner,
            },
            Seal::Encrypted { key, salt } => {
                let cipher = Cipher::new(&owner, keys, key, &salt);
                Read::Encrypted(Box::new(cipher.ok_or(Unreadable::NoKey(key))?))
            }
        }))
    }

    /// Turns the stored bytes of a part into those that were to be stored. What a part of a body holds
    /// counts only after [`end`](Self::end).
    ///
    /// # Errors
    /// [`Unreadable::Changed`].
    pub fn part(&mut self, part: Part, bytes: &mut Vec<u8>) -> Result<(), Unreadable> {
        match &mut self.0 {
            Read::Plain {
                owner, head, read, ..
            } => match part {
                Part::Head => {
                    let mut own = owner.checksum();
                    own.append(bytes);
                    if own.finalize64() != *head {
                        return Err(Unreadable::Changed);
                    }
                }
                Part::Body | Part::Piece { .. } => read.append(bytes),
            },
            Read::Encrypted(cipher) => {
                let known = cipher.known(part);
                let opened = cipher.key.open_in_place(part.nonce(), known, bytes);
                let length = opened.map_err(|_| Unreadable::Changed)?.len();
                bytes.truncate(length);
            }
        }
        Ok(())
    }

    /// Whether the whole body is the one that was stored.
    ///
    /// # Errors
    /// [`Unreadable::Changed`].
    pub fn end(self) -> Result<(), Unreadable> {
        let is_right = match self.0 {
            Read::Plain { body, read, .. } => read.finalize64() == body,
            // Each part was authenticated.
            Read::Encrypted(_) => true,
        };
        is_right.then_some(()).ok_or(Unreadable::Changed)
    }
}
