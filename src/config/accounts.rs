//! A route's `accounts`: whose deliveries are taken (contract: Accounts).
//!
//! A key that signs for every customer of a provider proves the provider, not the customer. Such a
//! route says whose deliveries it takes, or it does not start. The comparison itself is in
//! [`crate::verify::accounts`].

use super::preset::KeyOwner;
use super::presets;
use super::public_keys::takes_public_keys;
use super::reader::{Findings, Item, Table};
use super::scheme::CUSTOM;
use super::warning::WarningName;
use crate::scheme::{Place, Scheme};
use crate::verify::accounts::MAX_ACCOUNT_BYTES;

/// The accounts whose deliveries a route takes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Accounts {
    /// The route does not say.
    #[default]
    Unsaid,
    /// `accounts = "any"`: every account's, on purpose.
    Any,
    /// Only those of these accounts; there is at least one.
    Listed(Vec<String>),
}

const EXAMPLE: &str = "accounts = [\"…\"]";

impl Accounts {
    /// The accounts that the route lists; `None` where it takes those of every account.
    pub fn listed(&self) -> Option<&[String]> {
        match self {
            Self::Listed(listed) => Some(listed),
            Self::Any | Self::Unsaid => None,
        }
    }

    /// Reads `"any"` or a list.
    pub(super) fn read(item: &Item<'_>, findings: &mut Findings) -> Option<Self> {
        if let Some(text) = item.value.get_ref().as_str() {
            if text == "any" {
                return Some(Self::Any);
            }
            item.refuse(
                findings,
                "is neither `\"any\"` nor a list",
                format!("write `{EXAMPLE}`, or `\"any\"` to take deliveries of every account"),
            );
            return None;
        }
        let entries = item.list(findings, EXAMPLE)?;
        if entries.is_empty() {
            let help = format!("write at least one account, as in `{EXAMPLE}`");
            item.refuse(findings, "is empty: no delivery could be taken", help);
            return None;
        }
        let label = |entry: &Item<'_>| {
            let text = entry.label(findings, MAX_ACCOUNT_BYTES, "acct_123");
            text.map(ToOwned::to_owned)
        };
        let listed: Vec<_> = entries.iter().filter_map(label).collect();
        (!listed.is_empty()).then_some(Self::Listed(listed))
    }
}

/// Judges whether the accounts of a route fit its scheme, and whether the route must name them.
pub(super) fn judge(
    route: &str,
    own: &Accounts,
    scheme: &Scheme,
    table: &Table<'_>,
    findings: &mut Findings,
) {
    let preset = presets::find(&scheme.provider).filter(|_| scheme.provider != CUSTOM);
    let accounts = table.span_of("accounts");
    match own {
        Accounts::Listed(_) => {
            if let Some((message, help)) = unpinnable(scheme) {
                findings.problem(accounts, message, help);
            }
        }
        Accounts::Any => findings.warn(
            accounts,
            WarningName::AccountsAny,
            format!(
                "route `{route}`: `accounts = \"any\"`: a delivery of any account that this key signs for is \
                 forwarded as valid"
            ),
        ),
        Accounts::Unsaid => match preset {
            Some(preset) if preset.key_owner == KeyOwner::Provider => {
                let (lack, help) = if scheme.account.is_none() {
                    let help = "write `accounts = \"any\"`, and have your app ask the provider for each object with \
                                its own API key";
                    ("nothing that it signs names an account", help.to_owned())
                } else {
                    let example = preset.account_example.as_deref().unwrap_or("…");
                    let help = format!(
                        "write yours, as in `accounts = [\"{example}\"]`, or `accounts = \"any\"` if your \
                         app compares the account itself"
                    );
                    ("the route does not name its `accounts`", help)
                };
                let message = format!(
                    "{} signs for all of its customers with one key, and {lack}: whoever has an account there \
                     could have a delivery signed",
                    preset.title
                );
                findings.problem(table.span_of("provider"), message, help);
            }
            None if takes_public_keys(scheme) => findings.warn(
                table.span_of("scheme.algorithm"),
                WarningName::UnknownKeyOwner,
                format!(
                    "route `{route}`: if the key is the provider's own, for all of its customers, anybody's \
                     delivery is valid here: name yours in `accounts`"
                ),
            ),
            _ => {}
        },
    }
    if own.listed().is_none() && table.span_of("on_unlisted") != table.span() {
        findings.warn(
            table.span_of("on_unlisted"),
            WarningName::NoEffect,
            format!("route `{route}`: it lists no `accounts`, so `on_unlisted` has no effect"),
        );
    }
}

/// Why no list of accounts can be compared with the deliveries of this scheme, and the advice.
fn unpinnable(scheme: &Scheme) -> Option<(String, &'static str)> {
    let Some(place) = &scheme.account else {
        let message = "`accounts` needs an account, and the scheme names no place for it";
        let help = "say where it is, as in `account = { json = \"/organization\" }`, or leave `accounts` out";
        return Some((message.to_owned(), help));
    };
    if scheme.account_is_signed() {
        return None;
    }
    let place = match place {
        Place::Header(name) => format!("header `{}`", name.as_str()),
        Place::Json(_) => "a place in the body".to_owned(),
        Place::Claim(name) => format!("claim `{name}`"),
    };
    let message = if scheme.is_credential() {
        format!(
            "`accounts` can prove nothing here: the secret itself is sent and {place} is not signed"
        )
    } else {
        format!(
            "`accounts` can prove nothing here: {place}, where the account is, is not signed, so the sender of a \
             delivery can write any account there"
        )
    };
    let help = "name a place that is signed, as in `account = { json = \"/organization\" }`, or leave \
                `accounts` out";
    Some((message, help))
}
