//! The providers that are known by name (contract: Providers): a file each, `stripe.toml` for
//! `provider = "stripe"`.
//!
//! A scheme is written exactly as in `[route.scheme]` and read by the same code, so a preset can
//! say only what a user can say. Below `unsupported/` are the providers that have no preset, each
//! with the reason.

use std::path::Path;

use include_dir::{Dir, include_dir};
use once_cell::sync::{Lazy, OnceCell};
use toml::de::DeTable;

use super::preset::fact;
pub use super::preset::{After4xx, Basis, Family, KeyOwner, Preset};
use super::problem::Problems;
use super::reader::{Findings, Table, suggestion};

/// The folder of this file as it was when the program was compiled. Presets are the TOML files
/// directly in it.
static FOLDER: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/src/config/presets");

/// The folder in [`FOLDER`] for providers that have no preset.
const UNSUPPORTED: &str = "unsupported";

// If a file has a mistake, it is left out and the others go on working; a test makes sure that no
// such file is shipped.
static PRESETS: Lazy<Vec<Preset>> = Lazy::new(|| {
    let mut presets: Vec<_> = read_presets().filter_map(Result::ok).collect();
    presets.sort_by(|a, b| a.place().cmp(&b.place()));
    presets
});

/// The files of presets, each read by itself when its name is asked for: a route needs a single
/// one of them.
static FILES: Lazy<Vec<PresetFile>> = Lazy::new(|| {
    let file = |(name, text)| PresetFile {
        name,
        text,
        preset: OnceCell::new(),
    };
    files("").map(file).collect()
});

/// A preset's file, which is named like the preset.
struct PresetFile {
    name: &'static str,
    text: &'static str,
    preset: OnceCell<Option<Preset>>,
}

impl PresetFile {
    fn preset(&'static self) -> Option<&'static Preset> {
        let read = || read_preset(self.name, self.text).ok().flatten();
        self.preset.get_or_init(read).as_ref()
    }
}

static WITHOUT_PRESET: Lazy<Vec<Unsupported>> = Lazy::new(|| {
    let mut unsupported: Vec<_> = read_unsupported().filter_map(Result::ok).collect();
    unsupported.sort_by(|a, b| a.name.cmp(&b.name));
    unsupported
});

/// A provider that has no preset, and the reason.
#[derive(Clone, Debug)]
pub struct Unsupported {
    /// The name that a user would try.
    pub name: String,
    /// The provider's own name.
    pub title: String,
    /// The reason; completes "… is not supported: ".
    pub reason: String,
    /// Advice on how to receive its deliveries in another way, if there is any.
    pub instead: Option<String>,
}

impl Unsupported {
    fn read(name: &str, mut table: Table<'_>, findings: &mut Findings) -> Option<Self> {
        let (title, reason) = (
            fact(&mut table, findings, "title"),
            fact(&mut table, findings, "reason"),
        );
        let instead = table
            .item("instead")
            .and_then(|item| item.text(findings, "\"…\""))
            .map(ToOwned::to_owned);
        table.finish(findings);
        Some(Self {
            name: name.to_owned(),
            title: title?,
            reason: reason?,
            instead,
        })
    }
}

/// Every preset, by family.
pub fn all() -> &'static [Preset] {
    &PRESETS
}

/// Every provider that is known to have no preset, by name.
pub fn unsupported() -> &'static [Unsupported] {
    &WITHOUT_PRESET
}

/// The preset of this name or alias. Reads the file of that name, or else the files whose text has
/// the name in quotation marks, where an alias is.
pub fn find(name: &str) -> Option<&'static Preset> {
    if let Some(file) = FILES.iter().find(|file| file.name == name) {
        return file.preset();
    }
    let quoted = format!("\"{name}\"");
    let named = FILES.iter().filter(|file| file.text.contains(&quoted));
    let mut presets = named.filter_map(PresetFile::preset);
    presets.find(|preset| preset.is_called(name))
}

/// The answer to a user who named a provider without a preset, without a capital letter: the reason
/// if it is known, otherwise the name that was probably meant.
pub fn why_not(name: &str) -> String {
    if let Some(known) = unsupported().iter().find(|known| known.name == name) {
        let instead = known
            .instead
            .as_ref()
            .map(|instead| format!("; {instead}"))
            .unwrap_or_default();
        return format!(
            "{} is not supported: {}{instead}",
            known.title, known.reason
        );
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

/// The name or alias that this is probably a misspelling of.
pub fn nearest(name: &str) -> Option<&'static str> {
    let called = all()
        .iter()
        .flat_map(|preset| std::iter::once(&preset.name).chain(&preset.aliases));
    suggestion(name, called.map(String::as_str))
}

/// Every preset file, read.
pub(super) fn read_presets() -> impl Iterator<Item = Result<Preset, Problems>> {
    files("").filter_map(|(name, text)| read_preset(name, text).transpose())
}

/// The preset file called `name`, read.
pub(super) fn read_preset(name: &str, text: &str) -> Result<Option<Preset>, Problems> {
    read_file(Path::new(name), text, |table, findings| {
        Preset::read(name, text, table, findings)
    })
}

/// Every file below `unsupported/`, read.
pub(super) fn read_unsupported() -> impl Iterator<Item = Result<Unsupported, Problems>> {
    let read = |(name, text)| {
        let path = Path::new(UNSUPPORTED).join(name);
        read_file(&path, text, |table, findings| {
            Unsupported::read(name, table, findings)
        })
        .transpose()
    };
    files(UNSUPPORTED).filter_map(read)
}

/// Reads a TOML file, given by its path in [`FOLDER`] without the ending. If `read` gives
/// `None`, it has added a problem, so the problems are returned.
fn read_file<T>(
    path: &Path,
    text: &str,
    read: impl FnOnce(Table<'_>, &mut Findings) -> Option<T>,
) -> Result<Option<T>, Problems> {
    let mut findings = Findings::default();
    let (tree, errors) = DeTable::parse_recoverable(text);
    findings.syntax(text, &errors);
    let value = read(Table::new("", 0..0, tree.get_ref()), &mut findings);
    findings.finish(
        &format!("src/config/presets/{}.toml", path.display()),
        text,
        &[],
    )?;
    Ok(value)
}

/// The TOML files directly in a folder, given by its path in [`FOLDER`]: each name without its
/// ending, and the text.
pub(super) fn files(folder: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let folder = if folder.is_empty() {
        Some(&FOLDER)
    } else {
        FOLDER.get_dir(folder)
    };
    let is_toml = |path: &Path| path.extension().is_some_and(|end| end == "toml");
    let files = folder
        .into_iter()
        .flat_map(Dir::files)
        .filter(move |file| is_toml(file.path()));
    files.filter_map(|file| Some((file.path().file_stem()?.to_str()?, file.contents_utf8()?)))
}
