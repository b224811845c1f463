//! A preset file: facts about a provider, and under `[scheme]` the provider's scheme, read by the
//! code that reads `[route.scheme]`.

mod after_4xx;
mod family;
mod owner;

use std::time::Duration;

pub use self::after_4xx::After4xx;
pub use self::family::Family;
pub use self::owner::KeyOwner;
use crate::config::reader::{Findings, Item, Table};
use crate::config::{scheme, units};
use crate::scheme::Scheme;

/// The provider whose preset comes first in its family: README's example.
const EXAMPLE: &str = "itellico";

/// How well the facts of a preset are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// `primary`: the facts are from the provider's own pages or packages.
    Primary,
    /// `secondary`: the facts are from somebody else's pages or packages.
    Secondary,
}

impl Basis {
    /// The names, in the order of a message that lists them.
    const NAMES: [&str; 2] = ["primary", "secondary"];

    fn named(name: &str) -> Option<Self> {
        match name {
            "primary" => Some(Self::Primary),
            "secondary" => Some(Self::Secondary),
            _ => None,
        }
    }
}

/// A provider's scheme, and the known facts about the provider.
#[derive(Clone, Debug)]
pub struct Preset {
    /// The name that `provider = "…"` takes.
    pub name: String,
    /// The provider's own name.
    pub title: String,
    /// Other names that `provider = "…"` takes for it.
    pub aliases: Vec<String>,
    /// The family of providers that it belongs to.
    pub family: Family,
    /// How the provider signs its deliveries; the tolerance in it is the default of a route.
    pub scheme: Scheme,
    /// How well the facts are known.
    pub basis: Basis,
    /// Whose key signs the deliveries.
    pub key_owner: KeyOwner,
    /// An account as the provider writes it, for a key of the provider's own.
    pub account_example: Option<String>,
    /// The provider's own name for the secret, such as "signing secret", where it is known.
    pub secret_name: Option<String>,
    /// How long the provider waits for an answer, where that is known.
    pub time_limit: Option<Duration>,
    /// The largest body that the provider sends, in bytes, where that is known.
    pub max_body: Option<u64>,
    /// What the provider does after an answer of 4xx, where that is known.
    pub after_4xx: Vec<After4xx>,
    /// Whether test vectors prove the scheme.
    pub proved: bool,
    /// The pages or packages that the facts were read from.
    pub source: String,
    /// How the provider retries: "not known", "none" where it sends no delivery again by itself, or
    /// a schedule; a blank or a mark and more words may follow.
    pub retries: String,
    /// How long after an event the provider still retries, where that is known.
    pub horizon: Option<Duration>,
    /// The part of every signed body that tells two honest events apart, although the scheme does
    /// not read it as an id; `None` where the body may lack such a part.
    pub distinct: Option<String>,
    /// Honest events of this provider that are known to have equal signed content, in words for
    /// brackets; `None` where no such events are known.
    pub alike: Option<String>,
    /// The types of events, where all of them are known; empty where they are not.
    pub types: Vec<String>,
    /// Warnings and peculiarities, each a sentence for the user.
    pub notes: Vec<String>,
    /// Requests that try an endpoint and stay refused, each a sentence for the user. The probes that
    /// the gateway answers are in the words of the scheme's handshake.
    pub probes: Vec<String>,
    /// Its file as `verigate providers` shows it: with the provider's name in every table header,
    /// and without the family.
    pub text: String,
}

impl Preset {
    /// Reads the file called `name`, whose text is `text` and whose keys are in `table`. `None`
    /// where a key is missing or wrong, which is then a problem in `findings`.
    pub(super) fn read(
        name: &str,
        text: &str,
        mut table: Table<'_>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let title = fact(&mut table, findings, "title");
        let family = table.required(findings, "family", "\"body-hmac\"");
        let family = family.and_then(|item| {
            item.one_of(findings, &Family::ALL.map(Family::name), &[], Family::named)
        });
        let basis = table.required(findings, "basis", "\"primary\"");
        let basis = basis.and_then(|item| item.one_of(findings, &Basis::NAMES, &[], Basis::named));
        let key_owner = table.required(findings, "key_owner", "\"endpoint\"");
        let key_owner = key_owner
            .and_then(|item| item.one_of(findings, &KeyOwner::NAMES, &[], KeyOwner::named));
        let account_example = table
            .item("account_example")
            .and_then(|item| item.text(findings, "\"…\"").map(ToOwned::to_owned));
        let secret_name = table.item("secret_name").and_then(|item| {
            item.text(findings, "\"signing secret\"")
                .map(ToOwned::to_owned)
        });
        let time_limit = table
            .item("time_limit")
            .and_then(|item| item.unit(findings, "\"10s\"", units::timeout));
        let max_body = table
            .item("max_body")
            .and_then(|item| item.unit(findings, "\"25MiB\"", units::size));
        let after_4xx = table
            .item("after_4xx")
            .and_then(|item| item.list(findings, "[\"retried\"]"))
            .unwrap_or_default();
        let after_4xx = after_4xx
            .iter()
            .filter_map(|item| item.one_of(findings, &After4xx::NAMES, &[], After4xx::named))
            .collect();
        let (source, retries) = (
            fact(&mut table, findings, "source"),
            fact(&mut table, findings, "retries"),
        );
        let mut list = |key: &'static str, findings: &mut Findings| -> Vec<String> {
            let entries = table
                .item(key)
                .and_then(|item| item.list(findings, "[\"…\"]"))
                .unwrap_or_default();
            let text = |item: &Item<'_>| item.text(findings, "\"…\"").map(ToOwned::to_owned);
            entries.iter().filter_map(text).collect()
        };
        let (notes, aliases) = (list("notes", findings), list("aliases", findings));
        let probes = list("probes", findings);
        let types = list("types", findings);
        let distinct = table.item("distinct").and_then(|item| {
            item.text(findings, "\"`/timestamp`\"")
                .map(ToOwned::to_owned)
        });
        let alike = table.item("alike").and_then(|item| {
            item.text(findings, "\"`branch.created`, …\"")
                .map(ToOwned::to_owned)
        });
        let proved = table
            .item("proved")
            .and_then(|item| item.flag(findings))
            .unwrap_or(true);
        let horizon = table
            .item("horizon")
            .and_then(|item| item.unit(findings, "\"72h\"", units::duration));
        let scheme = table.required(findings, "scheme", "{ algorithm = \"hmac-sha256\", … }")?;
        let mut scheme = scheme.table(findings, "[scheme]")?;
        let scheme = scheme::read(&mut scheme, findings, name, true);
        table.finish(findings);
        Some(Self {
            name: name.to_owned(),
            title: title?,
            aliases,
            family: family?,
            scheme: scheme?,
            basis: basis?,
            key_owner: key_owner?,
            account_example,
            secret_name,
            time_limit,
            max_body,
            after_4xx,
            proved,
            source: source?,
            retries: retries?,
            horizon,
            distinct,
            alike,
            types,
            notes,
            probes,
            text: shown(name, text),
        })
    }

    /// Whether the provider is known to send no delivery again by itself: the words on its retries
    /// then begin with "none".
    pub fn never_retries(&self) -> bool {
        self.retries == "none"
            || ["none;", "none:", "none ("]
                .iter()
                .any(|begin| self.retries.starts_with(begin))
    }

    /// Whether the facts come from the provider itself.
    pub fn is_documented(&self) -> bool {
        self.basis == Basis::Primary
    }

    /// The place in every list: by family, then by part of the family, then by name. Two large
    /// families have parts: confirmed facts come before unconfirmed facts, and in
    /// `timestamped-hmac` a signature with a header of its own comes before lists of labelled
    /// signatures.
    pub(super) fn place(&self) -> (Family, u8, &str) {
        let has_labels = self.scheme.items().assign.is_some();
        let part = match self.family {
            Family::TimestampedHmac if self.name == EXAMPLE => 0,
            Family::TimestampedHmac | Family::BodyHmac if !self.is_documented() => 3,
            Family::TimestampedHmac if has_labels => 2,
            _ => 1,
        };
        (self.family, part, &self.name)
    }

    /// Whether this is the preset's name or one of its aliases.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }
}

/// The text of a preset file with the provider's name in front of every table, `[name]` and
/// `[name.scheme]`, and without the family.
fn shown(name: &str, text: &str) -> String {
    let mut shown = format!("[{name}]\n");
    for line in text.lines().filter(|line| !line.starts_with("family = ")) {
        match line.strip_prefix('[') {
            Some(header) => shown.extend(["[", name, ".", header]),
            None => shown.push_str(line),
        }
        shown.push('\n');
    }
    shown.trim_end().to_owned()
}

/// The text under `key`, which must be there.
pub(super) fn fact(
    table: &mut Table<'_>,
    findings: &mut Findings,
    key: &'static str,
) -> Option<String> {
    let item = table.required(findings, key, "\"…\"")?;
    item.text(findings, "\"…\"").map(ToOwned::to_owned)
}
