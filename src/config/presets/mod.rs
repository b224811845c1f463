//! The providers that are known by name (SPEC 6): `*.toml`, each scheme written exactly as `[route.scheme]` and
//! read by the very same code, so that a preset can say nothing that a user cannot.

use include_dir::{Dir, include_dir};
use once_cell::sync::Lazy;
use toml::de::{DeTable, DeValue};

use super::preset::fact;
pub use super::preset::{Family, Preset};
use super::problem::Problems;
use super::reader::{Findings, Table, suggestion};

/// The folder of this file, put into the program when it is compiled. Directly in it are the presets; those that are no
/// preset have a folder of their own, so that they can never be taken for presets.
static FOLDER: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/src/config/presets");

/// The folder of the providers that are no preset, with the reasons.
const UNSUPPORTED: &str = "unsupported";

/// A provider that is no preset, and why.
#[derive(Clone, Debug)]
pub struct Unsupported {
    /// What one would call it.
    pub name: String,
    /// What it calls itself.
    pub title: String,
    /// Why it is none; completes "is not supported: …".
    pub reason: String,
    /// What to do instead, where something can be done.
    pub instead: Option<String>,
}

static PRESETS: Lazy<Vec<Preset>> = Lazy::new(|| {
    // A file that cannot be read is a fault of ours, which a test finds; the others go on working.
    let mut presets: Vec<_> =
        files(&FOLDER).flat_map(|(file, text)| read_file(file, text).unwrap_or_default()).collect();
    presets.sort_by(|a, b| a.place().cmp(&b.place()));
    presets
});

static NONE_OF_OURS: Lazy<Vec<Unsupported>> = Lazy::new(|| {
    let files = FOLDER.get_dir(UNSUPPORTED).into_iter().flat_map(files);
    files.flat_map(|(_, text)| read_unsupported(text).unwrap_or_default()).collect()
});

/// Every preset, by family.
pub fn all() -> &'static [Preset] {
    &PRESETS
}

/// Every provider that is known to be no preset.
pub fn unsupported() -> &'static [Unsupported] {
    &NONE_OF_OURS
}

/// The preset of this name or alias.
pub fn find(name: &str) -> Option<&'static Preset> {
    all().iter().find(|preset| preset.is_called(name))
}

/// What to tell somebody whose provider is none of ours, without a capital letter: the reason where it is known, else the
/// name that was probably meant.
pub fn why_not(name: &str) -> String {
    if let Some(known) = unsupported().iter().find(|known| known.name == name) {
        let instead = known.instead.as_ref().map(|instead| format!("; {instead}")).unwrap_or_default();
        return format!("{} is not supported: {}{instead}", known.title, known.reason);
    }
    match nearest(name) {
        Some(near) => format!("did you mean `{near}`? `verigate providers` lists them all"),
        None => "`verigate providers` lists the known ones; any other is spelled out in `[route.scheme]`".to_owned(),
    }
}

/// The names of all presets.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().iter().map(|preset| preset.name.as_str())
}

/// The name or alias that this one is probably a misspelling of.
pub fn nearest(name: &str) -> Option<&'static str> {
    let called = all().iter().flat_map(|preset| std::iter::once(&preset.name).chain(&preset.aliases));
    suggestion(name, called.map(String::as_str))
}

/// The TOML files of a folder: the name without its ending, and the text.
fn files(folder: &'static Dir<'static>) -> impl Iterator<Item = (&'static str, &'static str)> {
    folder
        .files()
        .filter_map(|file| Some((file.path().file_name()?.to_str()?.strip_suffix(".toml")?, file.contents_utf8()?)))
}

fn read_file(file: &str, text: &str) -> Result<Vec<Preset>, Problems> {
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
        let table = Table::new(name, value.span(), entries);
        presets.extend(Preset::read(name, own_text(name, text), table, &mut findings));
    }
    findings.finish(&format!("presets/{file}.toml"), text)?;
    Ok(presets)
}

fn read_unsupported(text: &'static str) -> Result<Vec<Unsupported>, Problems> {
    let mut findings = Findings::default();
    let (tree, errors) = DeTable::parse_recoverable(text);
    findings.syntax(text, &errors);
    let mut known = Vec::new();
    for (name, value) in tree.get_ref() {
        let DeValue::Table(entries) = value.get_ref() else { continue };
        let name: &str = name.get_ref();
        let mut table = Table::new(name, value.span(), entries);
        let (title, reason) = (fact(&mut table, &mut findings, "title"), fact(&mut table, &mut findings, "reason"));
        let instead = table.item("instead").and_then(|item| item.text(&mut findings, "\"…\"")).map(ToOwned::to_owned);
        table.finish(&mut findings);
        if let (Some(title), Some(reason)) = (title, reason) {
            known.push(Unsupported { name: name.to_owned(), title, reason, instead });
        }
    }
    findings.finish("presets/unsupported.toml", text)?;
    Ok(known)
}

/// The part of a file that is one preset's, from its header to the next one's, without the family.
fn own_text(name: &str, text: &str) -> String {
    let is_own = |line: &str| line == format!("[{name}]") || line.starts_with(&format!("[{name}."));
    let mut own = String::new();
    for line in text.lines().skip_while(|line| !is_own(line)) {
        if line.starts_with('[') && !is_own(line) {
            break;
        }
        if !line.starts_with("family = ") {
            own.push_str(line);
            own.push('\n');
        }
    }
    own.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::notation::json::Pointer;
    use crate::notation::timestamp::Tolerance;
    use crate::scheme::{Place, Settings};

    #[test]
    fn every_family_can_be_read_and_no_scheme_has_a_fault() {
        let mut called: Vec<String> = Vec::new();
        let mut count = 0;
        for (file, text) in files(&FOLDER) {
            for preset in read_file(file, text).unwrap_or_else(|problems| panic!("{problems}")) {
                let settings = Settings {
                    tolerance: preset.scheme.tolerance,
                    future_tolerance: preset.scheme.future_tolerance,
                    public_url: Some("https://hooks.example.com".into()),
                    max_body: 1 << 20,
                };
                assert_eq!(preset.scheme.faults(&settings), [], "{}", preset.name);
                assert!(preset.text.starts_with(&format!("[{}]\n", preset.name)), "{}", preset.text);
                assert!(preset.text.contains("\nalgorithm = "), "{}", preset.text);
                assert_eq!(preset.scheme.provider, preset.name);
                assert!(preset.scheme.preset, "{}", preset.name);
                for name in std::iter::once(&preset.name).chain(&preset.aliases) {
                    assert!(!called.contains(name), "{name} twice");
                    called.push(name.clone());
                }
                count += 1;
            }
        }
        assert_eq!(all().len(), count);
        let folder = FOLDER.get_dir(UNSUPPORTED).unwrap();
        let read = |(_, text)| read_unsupported(text).unwrap_or_else(|problems| panic!("{problems}"));
        let known: Vec<_> = files(folder).flat_map(read).collect();
        assert_eq!(known.len(), unsupported().len());
        assert!(known.len() > 5 && known.iter().all(|one| !called.contains(&one.name)), "{known:?}");
    }

    /// Cargo notices a file that was changed or removed, but not one that was added while no other source changed.
    #[test]
    fn every_file_of_the_folder_is_in_the_program() {
        for folder in ["", UNSUPPORTED] {
            let on_disk = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/presets").join(folder);
            let entries = std::fs::read_dir(on_disk).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let names: BTreeSet<String> =
                names.filter_map(|name| name.strip_suffix(".toml").map(str::to_owned)).collect();
            let compiled = if folder.is_empty() { &FOLDER } else { FOLDER.get_dir(folder).unwrap() };
            let missing: Vec<_> = names.iter().filter(|name| !files(compiled).any(|(file, _)| file == *name)).collect();
            let help = "cargo does not notice a new file: run `touch src/config/presets/mod.rs` and build again";
            assert!(missing.is_empty(), "src/config/presets/{folder}: not compiled in: {missing:?}; {help}");
            assert_eq!(names.len(), files(compiled).count(), "files of {folder} that are compiled in and not there");
        }
    }

    #[test]
    fn a_provider_is_found_by_its_aliases_and_others_are_told_why_not() {
        assert_eq!(find("gh").map(|preset| preset.name.as_str()), Some("github"));
        assert_eq!(find("cal.com").map(|preset| preset.name.as_str()), Some("cal-com"));
        assert!(find("paypal").is_none());
        assert!(why_not("paypal").contains("CRC-32"));
        assert!(why_not("strype").contains("`stripe`"));
        assert!(why_not("zzzzzzzzz").contains("[route.scheme]"));
    }

    #[test]
    fn itellico_is_the_reference_receiver() {
        let scheme = &find("itellico").unwrap().scheme;
        let place = |pointer| Some(Place::Json(vec![Pointer::parse(pointer).unwrap()]));
        assert_eq!(scheme.signed.text(), "{body}.{timestamp}");
        assert_eq!(scheme.signature.header().unwrap().as_str(), "x-webhook-signature-256");
        assert_eq!(scheme.timestamp.as_ref().unwrap().header().unwrap().as_str(), "x-webhook-timestamp");
        assert_eq!(scheme.event_id, place("/event_id"));
        assert_eq!(scheme.event_type, place("/event_type"));
        assert_eq!(scheme.account, place("/organization_uuid"));
        assert!(scheme.event_id_required && scheme.id_is_signed());
        assert_eq!(scheme.tolerance, Tolerance::Within(Duration::from_secs(300)));
        assert_eq!(scheme.future_tolerance, scheme.tolerance);
    }

    #[test]
    fn freshness_is_off_where_the_notes_say_so() {
        let is_off = |preset: &&Preset| preset.scheme.has_timestamp() && preset.scheme.tolerance == Tolerance::Off;
        let off: Vec<_> = all().iter().filter(is_off).map(|preset| preset.name.as_str()).collect();
        assert_eq!(off, ["aws-sns", "dropbox-sign", "mercadopago"]);
    }

    #[test]
    fn no_id_is_taken_where_one_would_stand_for_several_events() {
        // `transcript_updated` comes several times in a call, so call and kind of event are no id
        assert_eq!(find("retell").unwrap().scheme.event_id, None);
        let alike: Vec<_> = all().iter().filter(|preset| preset.scheme.events_repeat).collect();
        let names: Vec<_> = alike.iter().map(|preset| preset.name.as_str()).collect();
        assert_eq!(names, ["attio", "dropbox", "grafana", "microsoft-graph", "supabase-db"]);
        for preset in alike {
            assert!(!preset.scheme.id_is_signed() && !preset.scheme.signs_timestamp(), "{}", preset.name);
            assert!(preset.notes.iter().any(|note| note.contains("replay = {}")), "{}", preset.name);
        }
    }

    #[test]
    fn tokens_that_hold_from_now_on_may_come_from_a_clock_that_is_ahead() {
        // LiveKit's begin (`nbf`) when they are made; its own library allows a minute (livekit-api 1.2.2, access_token.py)
        assert_eq!(find("livekit").unwrap().scheme.jwt.as_ref().unwrap().leeway, 60_000);
    }

    #[test]
    fn a_preset_is_cut_out_of_its_file_as_a_whole() {
        let file = "# all\n[a]\nfamily = \"token\"\nx = 1\n[a.scheme]\ny = 2\n\n[ab]\nz = 3\n";
        assert_eq!(own_text("a", file), "[a]\nx = 1\n[a.scheme]\ny = 2");
        assert_eq!(own_text("ab", file), "[ab]\nz = 3");
    }
}
