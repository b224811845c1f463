//! Event ids of a fixed form, which need no delimiter (schemes: Signed content).

use crate::notation::encoding::is_uuid;

/// A form that every event id of a provider has. All ids of a form are of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdForm {
    /// `uuid`: a UUID in its usual form of 36 characters (RFC 9562 section 4), in either case.
    Uuid,
}

impl IdForm {
    /// Every form.
    pub const ALL: [Self; 1] = [Self::Uuid];

    /// The name of the form in a configuration file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
        }
    }

    /// The form of this name; `None` if the name is unknown.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }

    /// Whether an id has this form.
    pub fn fits(self, id: &[u8]) -> bool {
        match self {
            Self::Uuid => is_uuid(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_one_length_and_dashes_at_its_places() {
        let rows = [
            ("6f1f6a0e-5b8e-4f0c-9d0a-0e7c1d2b3a4f", true),
            ("6F1F6A0E-5B8E-4F0C-9D0A-0E7C1D2B3A4F", true),
            ("6f1f6a0e-5b8e-4f0c-9d0a-0e7c1d2b3a4", false),
            ("6f1f6a0e-5b8e-4f0c-9d0a-0e7c1d2b3a4f0", false),
            ("6f1f6a0e5-b8e-4f0c-9d0a-0e7c1d2b3a4f", false),
            ("6f1f6a0e-5b8e-4f0c-9d0a-0e7c1d2b3a4g", false),
            ("{6f1f6a0e-5b8e-4f0c-9d0a-0e7c1d2b3a}", false),
            ("6f1f6a0e5b8e4f0c9d0a0e7c1d2b3a4f", false),
            ("", false),
        ];
        for (id, expected) in rows {
            assert_eq!(IdForm::Uuid.fits(id.as_bytes()), expected, "{id}");
        }
        assert_eq!(IdForm::named("uuid"), Some(IdForm::Uuid));
    }
}
