//! The providers that are known by name (SPEC 6): `*.toml` by family, each scheme written exactly as `[route.scheme]` and
//! read by the very same code, so that a preset can say nothing that a user cannot.

use once_cell::sync::Lazy;
use toml::de::{DeTable, DeValue};

use super::problem::Problems;
use super::reader::{Findings, Item, Table, suggestion};
use super::scheme;
use crate::verify::scheme::Scheme;

/// The files, with the name that a message about one would have.
const FAMILIES: &[(&str, &str)] = &[("presets/timestamped.toml", include_str!("timestamped.toml"))];

/// A provider's scheme, and what is known about it.
#[derive(Clone, Debug)]
pub struct Preset {
    /// What `provider = "…"` calls it.
    pub name: String,
    /// What it calls itself.
    pub title: String,
    /// How deliveries are signed; its own tolerance is the default one.
    pub scheme: Scheme,
    /// How the facts are known: `primary` (the provider's own pages) or `secondary`.
    pub basis: String,
    /// Where they stand.
    pub source: String,
    /// How the provider retries.
    pub retries: String,
    /// What a user should know.
    pub notes: Vec<String>,
    /// The preset as shipped, in TOML.
    pub text: &'static str,
}

static PRESETS: Lazy<Vec<Preset>> = Lazy::new(|| {
    // A file that cannot be read is a fault of ours, which a test finds; the others go on working.
    FAMILIES.iter().flat_map(|(path, text)| read_family(path, text).unwrap_or_default()).collect()
});

/// Every preset, in the order of the files.
pub fn all() -> &'static [Preset] {
    &PRESETS
}

/// The preset of this name.
pub fn find(name: &str) -> Option<&'static Preset> {
    all().iter().find(|preset| preset.name == name)
}

/// The names of all presets.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().iter().map(|preset| preset.name.as_str())
}

/// The preset whose name this one is probably a misspelling of.
pub fn nearest(name: &str) -> Option<&'static str> {
    suggestion(name, names())
}

fn read_family(path: &str, text: &'static str) -> Result<Vec<Preset>, Problems> {
    let mut findings = Findings::default();
    let (tree, errors) = DeTable::parse_recoverable(text);
    findings.syntax(text, &errors);
    let mut presets = Vec::new();
    for (name, value) in tree.get_ref() {
        let DeValue::Table(entries) = value.get_ref() else {
            findings.problem(value.span(), "a preset is a table", "write `[name]`");
            continue;
        };
        let name: &str = name.get_ref();
        presets.extend(read_preset(name, text, Table::new(name, value.span(), entries), &mut findings));
    }
    findings.finish(path, text)?;
    Ok(presets)
}

fn read_preset(name: &str, text: &'static str, mut table: Table<'_>, findings: &mut Findings) -> Option<Preset> {
    let mut fact = |key: &'static str, findings: &mut Findings| {
        let item = table.required(findings, key, "\"…\"")?;
        item.text(findings, "\"…\"").map(ToOwned::to_owned)
    };
    let (title, basis) = (fact("title", findings), fact("basis", findings));
    let (source, retries) = (fact("source", findings), fact("retries", findings));
    let notes = table.item("notes").and_then(|item| item.list(findings, "notes = [\"…\"]")).unwrap_or_default();
    let note = |item: &Item<'_>| item.text(findings, "\"…\"").map(ToOwned::to_owned);
    let notes = notes.iter().filter_map(note).collect();
    let scheme = table.required(findings, "scheme", "{ … }")?;
    let mut scheme = scheme.table(findings, "[name.scheme]")?;
    let scheme = scheme::read(&mut scheme, findings, name, true);
    table.finish(findings);
    Some(Preset {
        name: name.to_owned(),
        title: title?,
        scheme: scheme?,
        basis: basis?,
        source: source?,
        retries: retries?,
        notes,
        text: own_text(name, text),
    })
}

/// The part of a family's file that is one preset's: from its header to the next one's.
fn own_text(name: &str, text: &'static str) -> &'static str {
    let is_own = |line: &str| line == format!("[{name}]") || line.starts_with(&format!("[{name}."));
    let mut from = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let is_header = line.starts_with('[');
        if is_header && is_own(line.trim_end()) {
            from = from.or(Some(offset));
        } else if is_header && let Some(from) = from {
            return text.get(from..offset).unwrap_or_default().trim_end();
        }
        offset += line.len();
    }
    from.and_then(|from| text.get(from..)).unwrap_or_default().trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::scheme::{Place, Pointer, Settings, Tolerance};

    #[test]
    fn every_family_can_be_read_and_no_scheme_has_a_fault() {
        let mut names: Vec<String> = Vec::new();
        for (path, text) in FAMILIES {
            for preset in read_family(path, text).unwrap_or_else(|problems| panic!("{problems}")) {
                let settings = Settings {
                    tolerance: preset.scheme.tolerance,
                    future_tolerance: preset.scheme.future_tolerance,
                    public_url: Some("https://hooks.example.com".into()),
                };
                assert_eq!(preset.scheme.faults(&settings), [], "{}", preset.name);
                assert!(preset.text.starts_with(&format!("[{}]\n", preset.name)), "{}", preset.text);
                assert!(preset.text.contains("\nalgorithm = "), "{}", preset.text);
                assert_eq!(preset.scheme.provider, preset.name);
                assert!(preset.scheme.preset, "{}", preset.name);
                assert!(["primary", "secondary"].contains(&preset.basis.as_str()), "{}", preset.name);
                assert!(!names.contains(&preset.name), "{} twice", preset.name);
                names.push(preset.name);
            }
        }
        assert_eq!(super::names().collect::<Vec<_>>(), names);
    }

    #[test]
    fn itellico_is_the_reference_receiver() {
        let scheme = &find("itellico").unwrap().scheme;
        let place = |pointer| Some(Place::Json(vec![Pointer::parse(pointer).unwrap()]));
        assert_eq!(scheme.signed.text(), "{body}.{timestamp}");
        assert_eq!(scheme.signature.header.as_str(), "x-webhook-signature-256");
        assert_eq!(scheme.timestamp.as_ref().unwrap().header.as_str(), "x-webhook-timestamp");
        assert_eq!(scheme.event_id, place("/event_id"));
        assert_eq!(scheme.event_type, place("/event_type"));
        assert_eq!(scheme.account, place("/organization_uuid"));
        assert!(scheme.event_id_required && scheme.id_is_signed());
        assert_eq!(scheme.tolerance, Tolerance::Within(std::time::Duration::from_secs(300)));
        assert_eq!(scheme.future_tolerance, scheme.tolerance);
    }

    #[test]
    fn a_preset_is_cut_out_of_its_file_as_a_whole() {
        let file = "# all\n[a]\nx = 1\n[a.scheme]\ny = 2\n\n[ab]\nz = 3\n";
        assert_eq!(own_text("a", file), "[a]\nx = 1\n[a.scheme]\ny = 2");
        assert_eq!(own_text("ab", file), "[ab]\nz = 3");
    }
}
