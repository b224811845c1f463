//! The forms of a body on their way to be tried: each is made when it is first needed, and its bytes
//! are taken from the room that the delivery has (contract: Body).

use std::borrow::Cow;

use super::Inner;
use super::keys::Key;
use crate::notation::form::Said;
use crate::scheme::body_form::{NoRoom, Room};
use crate::scheme::content::SignedContent;
use crate::scheme::form_fields;
use crate::scheme::{BodyForm, TemplateScheme};
use crate::verdict::{Code, Refusal};

pub(super) const NO_ROOM: Refusal = Refusal::because(
    Code::Overloaded,
    "there is no room left for the form of the body that is signed",
);

/// The forms in which a body may have been signed. Each is made when it is first needed.
pub(super) struct Forms<'b, 'r> {
    wanted: &'b [BodyForm],
    raw: &'b [u8],
    limit: usize,
    made: Vec<Option<Cow<'b, [u8]>>>,
    /// The bytes of the largest copy that a public key has needed.
    copied: usize,
    room: &'r mut dyn Room,
}

impl<'b, 'r> Forms<'b, 'r> {
    /// The forms `wanted` of the body `raw`. A form has at most `limit` bytes, and takes them from
    /// `room`.
    pub(super) fn of(
        raw: &'b [u8],
        wanted: &'b [BodyForm],
        limit: usize,
        room: &'r mut dyn Room,
    ) -> Self {
        Self {
            wanted,
            raw,
            limit,
            made: Vec::new(),
            copied: 0,
            room,
        }
    }

    /// The body in the form at `place`; `None` if the body cannot be brought into this form.
    ///
    /// # Errors
    /// `overloaded` where there is no room for it.
    pub(super) fn get(&mut self, place: usize) -> Result<Option<&[u8]>, Refusal> {
        while self.made.len() <= place {
            let Some(form) = self.wanted.get(self.made.len()) else {
                return Ok(None);
            };
            let made = form.apply_within(self.raw, self.limit, self.room);
            self.made.push(made.map_err(|NoRoom| NO_ROOM)?);
        }
        Ok(self.made.get(place).and_then(Option::as_deref))
    }

    /// Takes room for the copy of a form that `key` makes to verify a signature of it. A copy is
    /// dropped before the next is made.
    pub(super) fn make_room_for_copy(
        &mut self,
        place: usize,
        key: &Key,
        content: &SignedContent,
    ) -> Result<(), Refusal> {
        if !key.is_public() || !content.surrounds_body() {
            return Ok(());
        }
        let needed = self.get(place)?.map_or(0, <[u8]>::len);
        let more = needed.saturating_sub(self.copied);
        if more > 0 && !self.room.take(more) {
            return Err(NO_ROOM);
        }
        self.copied = self.copied.max(needed);
        Ok(())
    }

    /// The body in the form at `place`; `None` if this is the raw form.
    pub(super) fn owned(mut self, place: usize) -> Result<Option<Vec<u8>>, Refusal> {
        if self.wanted.get(place) == Some(&BodyForm::Raw) {
            return Ok(None);
        }
        self.get(place)?;
        Ok(self
            .made
            .into_iter()
            .nth(place)
            .flatten()
            .map(Cow::into_owned))
    }
}

/// A body that is a form, as the JSON text whose values the template asks for; `None` where the
/// body itself is read.
pub(super) fn form_as_json(
    inner: &Inner,
    template: &TemplateScheme,
    (said, body): (&Said, &[u8]),
    room: &mut dyn Room,
) -> Result<Option<Vec<u8>>, Refusal> {
    if template.form_at().is_some() && !room.take(body.len()) {
        return Err(NO_ROOM);
    }
    form_fields::as_json(&inner.scheme, template, said, body)
}
