//! `verigate providers`: the presets of this version, and a route to copy for one of them (SPEC 7).

use clap::Args;
use serde_json::{Map, Value};

use super::Exit;
use super::check::{identity, tolerance};
use super::output::{note, print, table};
use crate::config::presets::{self, Preset};
use crate::verify::scheme::Place;

/// Arguments of `providers`.
#[derive(Args, Debug)]
#[command(after_help = "A sender that is not listed is spelled out in [route.scheme].\n\nExample:\n  \
    verigate providers itellico > verigate.toml")]
pub(super) struct Providers {
    /// Show what is known of this one, and a route for it in TOML
    name: Option<String>,
    /// Print JSON: an array, or one object
    #[arg(long)]
    json: bool,
}

impl Providers {
    /// Prints the list, or one preset.
    pub(super) fn run(&self) -> Exit {
        let Some(name) = &self.name else {
            let all = presets::all();
            print(&if self.json {
                Value::from(all.iter().map(object).collect::<Vec<_>>()).to_string()
            } else {
                list(all)
            });
            return Exit::Success;
        };
        let Some(preset) = presets::find(name) else {
            let near = presets::nearest(name).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            note(&format!(
                "verigate: `{name}` is not a provider that this version knows: {near}`verigate providers` lists them"
            ));
            return Exit::Usage;
        };
        print(&if self.json { object(preset).to_string() } else { route(preset) });
        Exit::Success
    }
}

fn list(presets: &[Preset]) -> String {
    let titles = ["provider", "algorithm", "signed content", "tolerance", "replay key", "basis"];
    let mut rows = vec![titles.map(str::to_owned)];
    rows.extend(presets.iter().map(|preset| {
        let scheme = &preset.scheme;
        [
            preset.name.clone(),
            scheme.algorithm.name().to_owned(),
            scheme.signed.text().replace('\n', "\\n"),
            tolerance(scheme, scheme.tolerance, scheme.future_tolerance),
            identity(scheme).to_owned(),
            basis(preset).to_owned(),
        ]
    }));
    table(&rows)
}

/// `secondary` facts come from others than the provider (SCHEMES 3).
fn basis(preset: &Preset) -> &str {
    if preset.basis == "primary" { "documented" } else { "unconfirmed" }
}

/// A route to paste, with what is known of the provider above it and its scheme below.
fn route(preset: &Preset) -> String {
    let name = &preset.name;
    let variable: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let mut lines = vec![format!("# {}: {}", preset.title, basis(preset)), format!("# source: {}", preset.source)];
    lines.push(format!("# retries: {}", preset.retries));
    lines.extend(preset.notes.iter().map(|note| format!("# {note}")));
    if !preset.scheme.covers_body {
        lines.push("# The signature does not cover the body, so nothing authenticates it.".to_owned());
    }
    lines.push(format!(
        "[[route]]\nname = \"{name}\"\npath = \"/webhooks/{name}\"\nprovider = \"{name}\"\n\
         secrets = [\"env:{variable}_WEBHOOK_SECRET\"]\nupstream = \"http://127.0.0.1:3000\"\n"
    ));
    lines.push("# `provider` stands for this scheme:".to_owned());
    let scheme = preset.text.split_once(&format!("[{name}.scheme]\n")).map_or("", |(_, scheme)| scheme);
    lines.extend(scheme.lines().map(|line| format!("# {line}").trim_end().to_owned()));
    lines.join("\n")
}

fn object(preset: &Preset) -> Value {
    let scheme = &preset.scheme;
    let place = |place: &Option<Place>| match place {
        None => Value::Null,
        Some(Place::Header(name)) => format!("header {}", name.as_str()).into(),
        Some(Place::Json(pointers)) => {
            let pointer = |tokens: &[String]| {
                let escaped = tokens.iter().map(|token| token.replace('~', "~0").replace('/', "~1"));
                escaped.fold(String::new(), |pointer, token| pointer + "/" + &token)
            };
            let all: Vec<String> = pointers.iter().map(|one| pointer(&one.tokens)).collect();
            format!("json {}", all.join(" ")).into()
        }
    };
    let timestamp = scheme.timestamp.as_ref();
    let members: [(&str, Value); 18] = [
        ("id", preset.name.clone().into()),
        ("title", preset.title.clone().into()),
        ("basis", preset.basis.clone().into()),
        ("source", preset.source.clone().into()),
        ("retries", preset.retries.clone().into()),
        ("notes", preset.notes.clone().into()),
        ("algorithm", scheme.algorithm.name().into()),
        ("signed", scheme.signed.text().into()),
        ("covers_body", scheme.covers_body.into()),
        ("signature_header", scheme.signature.header.as_str().into()),
        ("signature_encoding", scheme.signature.encoding.name().into()),
        ("timestamp_header", timestamp.map(|place| place.header.as_str()).into()),
        ("timestamp_unit", timestamp.map(|place| place.unit.name()).into()),
        ("tolerance", tolerance(scheme, scheme.tolerance, scheme.future_tolerance).into()),
        ("event_id", place(&scheme.event_id)),
        ("event_type", place(&scheme.event_type)),
        ("replay_key", identity(scheme).into()),
        ("toml", preset.text.into()),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Sources;
    use crate::verify::clock::UnixMillis;

    #[test]
    fn every_preset_has_a_route_that_can_be_loaded() {
        let env = |_: &str| Some("c2VjcmV0".into());
        let sources = Sources { base_dir: Path::new(""), env: &env, now: UnixMillis(0) };
        let mut wrong = Vec::new();
        for preset in presets::all() {
            match crate::config::parse("a.toml", &route(preset), &sources) {
                Ok(config) if config.routes.len() == 1 && config.routes[0].scheme.provider == preset.name => {}
                other => wrong.push(format!("{}: {other:?}", preset.name)),
            }
            if !route(preset).contains("# algorithm = ") {
                wrong.push(format!("{}: its scheme is not shown", preset.name));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn a_preset_is_listed_with_what_decides_about_it() {
        let listed = list(&[presets::find("itellico").unwrap().clone()]);
        let line = listed.lines().nth(1).unwrap();
        let cells: Vec<&str> = line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect();
        assert_eq!(cells, ["itellico", "hmac-sha256", "{body}.{timestamp}", "5m", "signed id", "documented"]);
        assert_eq!(object(presets::find("itellico").unwrap())["event_id"], "json /event_id");
    }
}
