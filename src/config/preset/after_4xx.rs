//! What a provider does after an answer of 4xx, which is what a refusal costs.

/// A consequence of an answer of 4xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After4xx {
    /// `retried`: the delivery is sent again, as after any other failure.
    Retried,
    /// `dropped`: the delivery is never sent again by itself.
    Dropped,
    /// `disabled`: after several of them the endpoint gets nothing until somebody enables it.
    Disabled,
    /// `deleted`: after several of them the subscription is gone and must be made again.
    Deleted,
}

impl After4xx {
    /// The names, as presets write them.
    pub const NAMES: [&'static str; 4] = ["retried", "dropped", "disabled", "deleted"];

    /// The consequence of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "retried" => Some(Self::Retried),
            "dropped" => Some(Self::Dropped),
            "disabled" => Some(Self::Disabled),
            "deleted" => Some(Self::Deleted),
            _ => None,
        }
    }

    /// The name, as presets write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retried => "retried",
            Self::Dropped => "dropped",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
        }
    }
}
