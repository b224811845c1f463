//! One preset: what its table says about a provider, and the provider's scheme, read by the code that reads
//! `[route.scheme]`.

use std::time::Duration;

use crate::config::reader::{Findings, Item, Table};
use crate::config::{scheme, units};
use crate::scheme::Scheme;

/// A provider's scheme, and the known facts about the provider.
#[derive(Clone, Debug)]
pub struct Preset {
    /// The name that `provider = "…"` takes.
    pub name: String,
    /// The provider's own name.
    pub title: String,
    /// Other names that `provider = "…"` takes for it.
    pub aliases: Vec<String>,
    /// The family that its file stands for.
    pub family: &'static str,
    /// How the provider signs its deliveries; the tolerance in it is the default of a route.
    pub scheme: Scheme,
    /// How the facts are known: `primary` (the provider's own pages) or `secondary`.
    pub basis: String,
    /// Whether test vectors prove the scheme.
    pub proved: bool,
    /// The pages or packages that the facts were read from.
    pub source: String,
    /// How the provider retries.
    pub retries: String,
    /// How long after an event the provider still retries, where that is known.
    pub horizon: Option<Duration>,
    /// Warnings and peculiarities, each a sentence for the user.
    pub notes: Vec<String>,
    /// The preset as shipped, in TOML.
    pub text: &'static str,
}

impl Preset {
    /// Reads the table called `name`. `None` where a key is missing or wrong, which `findings` then knows.
    pub(super) fn read(
        name: &str,
        family: &'static str,
        text: &'static str,
        mut table: Table<'_>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let (title, basis) = (fact(&mut table, findings, "title"), fact(&mut table, findings, "basis"));
        let (source, retries) = (fact(&mut table, findings, "source"), fact(&mut table, findings, "retries"));
        let mut list = |key: &'static str, findings: &mut Findings| -> Vec<String> {
            let entries = table.item(key).and_then(|item| item.list(findings, "[\"…\"]")).unwrap_or_default();
            let text = |item: &Item<'_>| item.text(findings, "\"…\"").map(ToOwned::to_owned);
            entries.iter().filter_map(text).collect()
        };
        let (notes, aliases) = (list("notes", findings), list("aliases", findings));
        let proved = table.item("proved").and_then(|item| item.flag(findings)).unwrap_or(true);
        let horizon = table.item("horizon").and_then(|item| item.unit(findings, "\"72h\"", units::duration));
        let scheme = table.required(findings, "scheme", "{ … }")?;
        let mut scheme = scheme.table(findings, "[name.scheme]")?;
        let scheme = scheme::read(&mut scheme, findings, name, true);
        table.finish(findings);
        Some(Self {
            name: name.to_owned(),
            title: title?,
            aliases,
            family,
            scheme: scheme?,
            basis: basis?,
            proved,
            source: source?,
            retries: retries?,
            horizon,
            notes,
            text,
        })
    }

    /// Whether the facts are the provider's own.
    pub fn is_documented(&self) -> bool {
        self.basis == "primary"
    }

    /// Whether this is the preset's name or one of its aliases.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }
}

/// The text under `key`, which must be there.
pub(super) fn fact(table: &mut Table<'_>, findings: &mut Findings, key: &'static str) -> Option<String> {
    let item = table.required(findings, key, "\"…\"")?;
    item.text(findings, "\"…\"").map(ToOwned::to_owned)
}
