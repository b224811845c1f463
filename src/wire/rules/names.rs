//! The names of header fields that the gateway itself reads, sets or drops (contract: Head,
//! Forwarding).
//!
//! A name is recognised once, while its head is read. Every later question about the line asks for
//! its [`KnownName`] and compares no text.

use super::{fold, folds_to};

macro_rules! known_names {
    ($($(#[$doc:meta])* $variant:ident => $text:literal;)*) => {
        /// A field's name, as far as the gateway knows it. An alias of a name is recognised as that
        /// name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum KnownName {
            $(#[doc = concat!("`", $text, "`.")] $variant,)*
            /// Any name that begins with `x-verigate-`.
            Verigate,
            /// Any other name.
            Other,
        }

        impl KnownName {
            /// Every name that is recognised as a whole, with its text in lower case.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$variant, $text),)*];

            /// The name in lower case; for [`Self::Verigate`] its beginning, and nothing for
            /// [`Self::Other`].
            const fn text(self) -> &'static [u8] {
                match self {
                    $(Self::$variant => $text.as_bytes(),)*
                    Self::Verigate => b"x-verigate-",
                    Self::Other => b"",
                }
            }

            /// The only name, recognised as a whole, that may have this tag.
            #[inline]
            fn with_tag(tag: Tag) -> Self {
                match tag.0 {
                    $(tags::$variant => Self::$variant,)*
                    _ => Self::Other,
                }
            }
        }

        /// The tags of the known names.
        #[expect(non_upper_case_globals, reason = "they are named as the names are")]
        mod tags {
            use super::Tag;

            $(pub(super) const $variant: u32 = Tag::of($text.as_bytes()).0;)*
        }
    };
}

known_names! {
    Connection => "connection";
    ContentLength => "content-length";
    Expect => "expect";
    Forwarded => "forwarded";
    Host => "host";
    Http2Settings => "http2-settings";
    KeepAlive => "keep-alive";
    Proxy => "proxy";
    ProxyAuthenticate => "proxy-authenticate";
    ProxyAuthorization => "proxy-authorization";
    ProxyConnection => "proxy-connection";
    Te => "te";
    Trailer => "trailer";
    TransferEncoding => "transfer-encoding";
    Upgrade => "upgrade";
    XForwardedFor => "x-forwarded-for";
    XForwardedHost => "x-forwarded-host";
    XForwardedProto => "x-forwarded-proto";
    XRequestId => "x-request-id";
}

impl KnownName {
    /// The known name that `name` is or is an alias of, and whether it is an alias only. `tag` is
    /// the tag of `name`.
    #[inline]
    pub(in crate::wire) fn tagged(tag: Tag, name: &[u8]) -> (Self, bool) {
        let likely = Self::with_tag(tag);
        if likely == Self::Other {
            let is_verigate = tag.begins_with(b'x') && is_verigate(name);
            (
                if is_verigate {
                    Self::Verigate
                } else {
                    Self::Other
                },
                false,
            )
        } else if is_spelled(name, likely.text()) {
            (likely, false)
        } else if folds_to(name, likely.text()) {
            (likely, true)
        } else {
            (Self::Other, false)
        }
    }
}

/// Whether the token `name` is `text` in any case. `text` is in lower case and made of letters, digits
/// and `-`: no other byte of a token becomes one of these by the bit of lower case.
fn is_spelled(name: &[u8], text: &[u8]) -> bool {
    // Without a branch for each byte, so that the compiler uses vector instructions.
    let differ = |bits: u8, (a, b): (&u8, &u8)| bits | (a | b' ') ^ b;
    name.len() == text.len() && name.iter().zip(text).fold(0, differ) == 0
}

/// Whether a name begins with `x-verigate-`, in any spelling that a receiver may read as that.
fn is_verigate(name: &[u8]) -> bool {
    let prefix = KnownName::Verigate.text();
    name.get(..prefix.len())
        .is_some_and(|start| folds_to(start, prefix))
}

/// The known names of a head's lines, as a set.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::wire) struct KnownNames(u32);

impl KnownNames {
    pub(in crate::wire) fn add(&mut self, name: KnownName) {
        self.0 |= 1 << name as u32;
    }

    pub(in crate::wire) fn has(self, name: KnownName) -> bool {
        self.0 & 1 << name as u32 != 0
    }
}

/// A few bytes made from a name, the same for all its spellings and aliases. Names with different
/// tags are different names, so that most lines are passed over without a comparison of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::wire) struct Tag(u32);

impl Tag {
    /// The tag of `name`: the last byte of its length, and its first, middle and last byte, folded.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the last byte of the length is what is meant"
    )]
    pub(in crate::wire) const fn of(name: &[u8]) -> Self {
        let length = name.len();
        let ([first, ..], [.., last]) = (name, name) else {
            return Self(0);
        };
        let (_, half) = name.split_at(length / 2);
        let middle = if let [middle, ..] = half { *middle } else { 0 };
        Self(u32::from_le_bytes([
            fold(*first),
            fold(middle),
            fold(*last),
            length as u8,
        ]))
    }

    /// Whether the names of this tag begin with `byte`, which is a folded byte.
    fn begins_with(self, byte: u8) -> bool {
        self.0.to_le_bytes().first() == Some(&byte)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn known(name: &[u8]) -> (KnownName, bool) {
        KnownName::tagged(Tag::of(name), name)
    }

    #[test]
    fn every_known_name_is_recognised_in_every_spelling() {
        for (name, text) in KnownName::ALL {
            for spelling in [
                (*text).to_owned(),
                text.to_ascii_uppercase(),
                text.replace('-', "_"),
                text.replace('-', "."),
            ] {
                let spelling = spelling.as_bytes();
                let is_alias = !spelling.eq_ignore_ascii_case(text.as_bytes());
                assert_eq!(known(spelling), (*name, is_alias), "{text}");
            }
            let longer = format!("{text}s");
            assert_ne!(known(longer.as_bytes()).0, *name, "{text}");
        }
        for own in ["X-Verigate-", "x_verigate.Route", "X-VERIGATE-a"] {
            assert_eq!(known(own.as_bytes()).0, KnownName::Verigate, "{own}");
        }
        for other in ["", "X-Verigate", "X-Webhook-Timestamp", "accept"] {
            assert_eq!(known(other.as_bytes()).0, KnownName::Other, "{other}");
        }
    }

    #[test]
    fn each_known_name_has_a_place_of_its_own_in_the_set() {
        let mut seen = KnownNames::default();
        for (known, text) in KnownName::ALL {
            assert!(!seen.has(*known), "{text}");
            seen.add(*known);
            assert!(seen.has(*known), "{text}");
        }
        assert!(!seen.has(KnownName::Verigate) && !seen.has(KnownName::Other));
    }

    proptest! {
        /// The plain form of the question is to compare with each name in turn.
        #[test]
        fn a_name_is_recognised_as_by_comparing_with_each(
            name in prop_oneof![
                "[A-Za-z0-9!#$%&'*+.^_`|~-]{0,20}",
                prop::sample::select(KnownName::ALL.iter().map(|(_, text)| (*text).to_owned()).collect::<Vec<_>>()),
                "[xX][._-]verigate[._-][a-z]{0,3}", "x-forwarded-(for|host|proto|hosts)", "(te|host|proxy|expect)[s_]?",
            ]
        ) {
            let name = name.as_bytes();
            let plain = KnownName::ALL.iter().find(|(_, text)| {
                name.len() == text.len() && name.iter().zip(text.bytes()).all(|(a, b)| fold(*a) == fold(b))
            });
            let is_verigate = name.len() >= 11 && name.iter().zip(b"x-verigate-").all(|(a, b)| fold(*a) == *b);
            let other = if is_verigate { KnownName::Verigate } else { KnownName::Other };
            let is_alias = plain.is_some_and(|(_, text)| !name.eq_ignore_ascii_case(text.as_bytes()));
            prop_assert_eq!(known(name), (plain.map_or(other, |(known, _)| *known), is_alias));
        }

        #[test]
        fn names_that_are_the_same_have_the_same_tag(name in "[A-Za-z0-9!#$%&'*+.^_`|~-]{0,300}") {
            let other: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
            prop_assert_eq!(Tag::of(name.as_bytes()), Tag::of(other.as_bytes()));
        }
    }
}
