//! The event that a delivery reports. Its texts share a single allocation, and so do all clones of
//! them: the log, the claim and the forwarded head each keep them for a while.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use arrayvec::ArrayString;

/// The bytes of texts that are put together without an allocation of their own.
const ROOM: usize = 256;

/// The event that a delivery reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The identity of the event: not empty, at most [`MAX_ID_BYTES`](super::MAX_ID_BYTES) long,
    /// without control characters. Several parts are joined with `|`, with a backslash before each
    /// `|` and `\` of a part, so that two different lists of parts never give the same id.
    pub id: Option<EventText>,
    /// The type of the event, at most [`MAX_LABEL_BYTES`](super::MAX_LABEL_BYTES) long; may hold
    /// any character.
    pub event_type: Option<EventText>,
    /// The account that the event belongs to, at most
    /// [`MAX_LABEL_BYTES`](super::MAX_LABEL_BYTES) long; may hold any character.
    pub account: Option<EventText>,
}

impl Event {
    /// The event of these texts: id, type and account.
    pub(super) fn of(texts: &[Option<Cow<'_, str>>; 3]) -> Self {
        if texts.iter().all(Option::is_none) {
            return Self::default();
        }
        let whole = joined(texts);
        let mut end = 0;
        let [id, event_type, account] = texts.each_ref().map(|text| {
            let start = end;
            end += text.as_ref()?.len();
            Some(EventText {
                place: start..end,
                whole: Arc::clone(&whole),
            })
        });
        Self {
            id,
            event_type,
            account,
        }
    }
}

/// The texts, one after the other.
fn joined(texts: &[Option<Cow<'_, str>>; 3]) -> Arc<str> {
    let texts = || texts.iter().flatten();
    let mut short = ArrayString::<ROOM>::new();
    let fits = texts().all(|text| short.try_push_str(text).is_ok());
    if fits {
        short.as_str().into()
    } else {
        texts().map(|text| &**text).collect::<String>().into()
    }
}

/// A text of an event. Clones share it.
#[derive(Clone)]
pub struct EventText {
    /// All texts of the event.
    whole: Arc<str>,
    place: Range<usize>,
}

impl Deref for EventText {
    type Target = str;

    fn deref(&self) -> &str {
        self.whole.get(self.place.clone()).unwrap_or_default()
    }
}

impl From<&str> for EventText {
    fn from(text: &str) -> Self {
        Self {
            whole: text.into(),
            place: 0..text.len(),
        }
    }
}

impl PartialEq for EventText {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for EventText {}

impl fmt::Debug for EventText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_the_one_that_was_given_however_long_the_others_are() {
        let long = "é".repeat(512);
        let rows = [
            [Some("evt-1"), Some("paid"), Some("acc-1")],
            [Some("evt-1"), None, Some("acc-1")],
            [None, Some("paid"), None],
            [None, None, None],
            [Some("ü"), Some(&long), Some(&long)],
        ];
        for texts in rows {
            let event = Event::of(&texts.map(|text| text.map(Cow::Borrowed)));
            let found = [&event.id, &event.event_type, &event.account];
            assert_eq!(found.map(Option::as_deref), texts);
            assert_eq!(event.clone(), event);
        }
    }
}
