//! Whose key it is that signs a provider's deliveries.

/// The owner of the key, which decides what a valid signature proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    /// `endpoint`: the secret was made for this endpoint or subscription.
    Endpoint,
    /// `account`: all endpoints of our account with the provider share the key.
    Account,
    /// `app`: the key is that of our app, which others may install: their deliveries are genuine
    /// too.
    App,
    /// `provider`: the provider signs for all of its customers with one key, so a signature proves
    /// the provider alone. A route needs `accounts`.
    Provider,
}

impl KeyOwner {
    /// The names, as presets write them.
    pub const NAMES: [&'static str; 4] = ["endpoint", "account", "app", "provider"];

    /// The owner of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "endpoint" => Some(Self::Endpoint),
            "account" => Some(Self::Account),
            "app" => Some(Self::App),
            "provider" => Some(Self::Provider),
            _ => None,
        }
    }

    /// The name, as presets write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Account => "account",
            Self::App => "app",
            Self::Provider => "provider",
        }
    }
}
