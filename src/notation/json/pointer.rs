//! JSON pointers (RFC 6901), extended by a token of our own: `*` for each element of an array.

/// A JSON pointer (RFC 6901), split and unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The reference tokens, with `~0` and `~1` decoded.
    pub tokens: Vec<String>,
}

impl Pointer {
    /// The token that means each element of an array, where a place may have many values.
    pub const EACH: &'static str = "*";

    /// Whether the pointer has the token `*`.
    pub fn is_each(&self) -> bool {
        self.tokens.iter().any(|token| token == Self::EACH)
    }

    /// Parses a pointer such as `/a/b~1c`. `/` alone points at the key that is the empty string.
    /// `None` if the text is no pointer, or if it is the empty pointer: the whole document is no
    /// id.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('/')?;
        let tokens = rest.split('/').map(unescape).collect::<Option<Vec<_>>>()?;
        Some(Self { tokens })
    }

    /// The pointer to the member of the whole document that stands for the field of a form; `None` if
    /// no field should have this name: it is 1 to 64 letters, digits, `_`, `-` and `.`.
    pub fn field(name: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let is_name = (1..=64).contains(&name.len()) && name.bytes().all(is_plain);
        is_name.then(|| Self {
            tokens: vec![name.to_owned()],
        })
    }

    /// Writes the pointer as [`parse`](Self::parse) reads it.
    pub fn text(&self) -> String {
        let escaped = self
            .tokens
            .iter()
            .map(|token| token.replace('~', "~0").replace('/', "~1"));
        escaped.fold(String::new(), |pointer, token| pointer + "/" + &token)
    }
}

/// Decodes `~1` and `~0`; `None` for any other use of a tilde.
fn unescape(token: &str) -> Option<String> {
    let mut out = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '~' => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(out)
}

/// The token as an index of an array; `None` if it is no index (RFC 6901 section 4 allows no
/// leading zeros).
pub(super) fn index(token: &str) -> Option<usize> {
    let is_canonical = token == "0" || !token.starts_with('0');
    if is_canonical && token.bytes().all(|b| b.is_ascii_digit()) {
        token.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn en_14_a_pointer_is_split_and_unescaped_by_rfc_6901() {
        let rows: &[(&str, Option<&[&str]>)] = &[
            ("", None),
            ("a", None),
            ("a/b", None),
            ("#/a", None),
            ("/", Some(&[""])),
            ("//", Some(&["", ""])),
            ("/a", Some(&["a"])),
            ("/a/", Some(&["a", ""])),
            ("/a/0/b", Some(&["a", "0", "b"])),
            ("/a~1b", Some(&["a/b"])),
            ("/m~0n", Some(&["m~n"])),
            ("/~01", Some(&["~1"])),
            ("/~10", Some(&["/0"])),
            ("/~", None),
            ("/~2", None),
            ("/a~/b", None),
            (
                "/__proto__/constructor",
                Some(&["__proto__", "constructor"]),
            ),
            ("/ / \"/\\", Some(&[" ", " \"", "\\"])),
            ("/caf\u{e9}", Some(&["caf\u{e9}"])),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(text, tokens)| {
                Pointer::parse(text).map(|p| p.tokens)
                    != tokens.map(|t| t.iter().map(ToString::to_string).collect())
            })
            .map(|(text, _)| text)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
