//! A delivery in parts, so that each can be changed, and bytes can move from one into another.

use crate::support::delivery::Delivery;

/// A delivery as a stranger has captured it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Captured {
    pub(crate) method: String,
    /// The path as far as a prefix route says it, and the rest of it.
    pub(crate) prefix: String,
    pub(crate) path: Vec<u8>,
    /// `?`, or nothing.
    pub(crate) mark: &'static str,
    pub(crate) query: Vec<u8>,
    /// Names and values; a header without name is left out.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// Headers that are added before and behind the others.
    pub(crate) first: Vec<(String, Vec<u8>)>,
    pub(crate) last: Vec<(String, Vec<u8>)>,
    /// The body in pieces: what separates values at even places, values and names at odd ones.
    pub(crate) body: Vec<Vec<u8>>,
}

/// Whether a byte separates the values of JSON, of a form or of the parts of a message.
fn separates(byte: u8) -> bool {
    b"{}[]\":,&=\r\n".contains(&byte)
}

/// The body in pieces, beginning and ending with a separator, which may be empty.
fn pieces(body: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    for byte in body {
        let is_separator = all.len() % 2 == 1;
        if separates(*byte) != is_separator {
            all.push(Vec::new());
        }
        all.last_mut().unwrap().push(*byte);
    }
    if all.len() % 2 == 0 {
        all.push(Vec::new());
    }
    all
}

impl Captured {
    pub(crate) fn new(target: &str, headers: Vec<(String, String)>, body: &[u8]) -> Self {
        let (path, query) = target.split_once('?').unwrap();
        let (prefix, rest) = path.split_at(path.rfind('/').unwrap() + 1);
        Self {
            method: "POST".to_owned(),
            prefix: prefix.to_owned(),
            path: rest.into(),
            mark: "?",
            query: query.into(),
            headers: headers
                .into_iter()
                .map(|(name, value)| (name, value.into_bytes()))
                .collect(),
            first: Vec::new(),
            last: Vec::new(),
            body: pieces(body),
        }
    }

    pub(crate) fn whole_body(&self) -> Vec<u8> {
        self.body.concat()
    }

    /// The delivery to be sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let target = [
            self.prefix.as_bytes(),
            &self.path,
            self.mark.as_bytes(),
            &self.query,
        ]
        .concat();
        let delivery = Delivery::unsigned("/", self.whole_body()).target(target);
        let all = [&self.first, &self.headers, &self.last]
            .into_iter()
            .flatten();
        all.filter(|(name, _)| !name.is_empty())
            .fold(delivery.method(&self.method), |delivery, (name, value)| {
                delivery.with(name, value)
            })
            .bytes()
    }
}
