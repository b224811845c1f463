//! The folder of presets: every file is compiled in, can be read and has no fault; names are found,
//! also misspelt names.

use std::collections::BTreeSet;

use crate::config::presets::{
    Family, Preset, all, files, find, read_preset, read_presets, read_unsupported, unsupported,
    why_not,
};
use crate::notation::json::Pointer;
use crate::notation::timestamp::Tolerance;
use crate::scheme::{Place, Settings};

use super::*;

#[test]
fn every_file_can_be_read_and_no_scheme_has_a_fault() {
    let mut called: Vec<String> = Vec::new();
    let mut count = 0;
    for preset in read_presets() {
        let preset = preset.unwrap_or_else(|problems| panic!("{problems}"));
        let settings = Settings {
            tolerance: preset.scheme.tolerance,
            future_tolerance: preset.scheme.future_tolerance,
            public_url: Some("https://hooks.example.com".into()),
            max_body: 1 << 20,
        };
        // Params are given by a route.
        let scheme = preset.scheme.clone().with_params(|_| Some("a-text"));
        assert_eq!(scheme.faults(&settings), [], "{}", preset.name);
        assert_eq!(preset.scheme.provider, preset.name);
        assert!(preset.scheme.preset, "{}", preset.name);
        for name in std::iter::once(&preset.name).chain(&preset.aliases) {
            assert!(!called.contains(name), "{name} twice");
            called.push(name.clone());
        }
        count += 1;
    }
    assert_eq!(all().len(), count);
    let known: Vec<_> = read_unsupported()
        .map(|read| read.unwrap_or_else(|problems| panic!("{problems}")))
        .collect();
    assert_eq!(known.len(), unsupported().len());
    assert!(
        known.len() > 5 && known.iter().all(|other| !called.contains(&other.name)),
        "{known:?}"
    );
}

/// Cargo notices a file that is changed or removed, but not a file that is added while no other
/// source changes.
#[test]
fn every_file_of_the_folder_is_compiled_in() {
    for folder in ["src/config/presets", "src/config/presets/unsupported"] {
        let entries =
            std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let on_disk: BTreeSet<_> = names
            .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
            .collect();
        let below = folder
            .trim_start_matches("src/config/presets")
            .trim_start_matches('/');
        let compiled: BTreeSet<_> = files(below).map(|(name, _)| name.to_owned()).collect();
        let differ: Vec<_> = on_disk
            .symmetric_difference(&compiled)
            .map(|name| format!("{folder}/{name}.toml"))
            .collect();
        let help = "not as compiled in, since cargo does not notice a new file: run `touch src/config/presets/mod.rs` and build again";
        assert!(differ.is_empty(), "{}: {help}", differ.join(", "));
        let is_plain = |name: &&String| {
            name.bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        let odd: Vec<_> = on_disk.iter().filter(|name| !is_plain(name)).collect();
        assert!(
            odd.is_empty(),
            "names of presets are made of `a` to `z`, digits and `-`: {odd:?}"
        );
    }
}

#[test]
fn the_text_that_is_shown_says_what_the_file_says() {
    for preset in all() {
        let name = &preset.name;
        let parts = preset.text.split_once(&format!("\n[{name}.scheme]\n"));
        let (facts, scheme) =
            parts.unwrap_or_else(|| panic!("{name}: the scheme is not under a line `[scheme]`"));
        assert!(facts.starts_with(&format!("[{name}]\n")), "{facts}");
        assert!(
            !facts.lines().any(|line| line.starts_with("family")),
            "{facts}"
        );
        let scheme = scheme.replace(&format!("\n[{name}.scheme."), "\n[");
        let mut read = parse_scheme(name, &scheme).unwrap_or_else(|problems| panic!("{problems}"));
        (read.provider, read.preset) = (name.clone(), true);
        assert_eq!(format!("{read:?}"), format!("{:?}", preset.scheme));
    }
}

#[test]
fn the_preset_that_the_guide_shows_can_be_read() {
    let guide = include_str!("../../../docs/adding-a-provider.md");
    let example = guide
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let preset = read_preset("acme", example)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .unwrap();
    assert_eq!(
        (preset.title.as_str(), preset.is_documented(), preset.proved),
        ("Acme", true, true)
    );
    let families = Family::ALL.map(|family| format!("| `{}` |", family.name()));
    let missing: Vec<_> = families
        .iter()
        .filter(|row| !guide.contains(*row))
        .collect();
    assert!(
        missing.is_empty(),
        "families that docs/adding-a-provider.md does not explain: {missing:?}"
    );
}

#[test]
fn a_provider_is_found_by_its_aliases_and_others_are_told_why_not() {
    assert_eq!(
        find("gh").map(|preset| preset.name.as_str()),
        Some("github")
    );
    assert_eq!(
        find("cal.com").map(|preset| preset.name.as_str()),
        Some("cal-com")
    );
    for preset in all() {
        for name in std::iter::once(&preset.name).chain(&preset.aliases) {
            assert_eq!(
                find(name).map(|found| &found.name),
                Some(&preset.name),
                "{name}"
            );
        }
    }
    // Words that some file has in quotation marks, and no preset is called so.
    assert!(find("attempt").is_none() && find("").is_none());
    assert!(find("paypal").is_none());
    assert!(why_not("paypal").contains("CRC-32"));
    assert!(why_not("strype").contains("`stripe`"));
    assert!(why_not("zzzzzzzzz").contains("[route.scheme]"));
}

#[test]
fn itellico_is_the_reference_receiver() {
    let scheme = &find("itellico").unwrap().scheme;
    let place = |pointer| Some(Place::Json(vec![Pointer::parse(pointer).unwrap()]));
    assert_eq!(
        scheme.template().unwrap().signed.text(),
        "{body}.{timestamp}"
    );
    assert_eq!(
        scheme.signature_headers().first().unwrap().as_str(),
        "x-webhook-signature-256"
    );
    assert_eq!(
        scheme.timestamp().unwrap().header().unwrap().as_str(),
        "x-webhook-timestamp"
    );
    assert_eq!(scheme.event_id, place("/event_id"));
    assert_eq!(scheme.event_type, place("/event_type"));
    assert_eq!(scheme.account, place("/organization_uuid"));
    assert!(scheme.event_id_required && scheme.id_is_signed());
    assert_eq!(
        scheme.tolerance,
        Tolerance::Within(Duration::from_secs(300))
    );
    assert_eq!(scheme.future_tolerance, scheme.tolerance);
}

#[test]
fn freshness_is_off_where_the_notes_say_so() {
    let is_off = |preset: &&Preset| {
        preset.scheme.has_timestamp() && preset.scheme.tolerance == Tolerance::Off
    };
    let off: Vec<_> = all()
        .iter()
        .filter(is_off)
        .map(|preset| preset.name.as_str())
        .collect();
    assert_eq!(off, ["aws-sns", "dropbox-sign", "mercadopago", "signwell"]);
}

#[test]
fn no_id_is_taken_where_one_would_stand_for_several_events() {
    // `transcript_updated` comes several times in a call, so call and kind of event are no id.
    assert_eq!(find("retell").unwrap().scheme.event_id, None);
    let alike: Vec<_> = all()
        .iter()
        .filter(|preset| preset.scheme.events_repeat)
        .collect();
    let mut names: Vec<_> = alike.iter().map(|preset| preset.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "acuity-scheduling",
            "appwrite",
            "attio",
            "datadog",
            "dropbox",
            "grafana",
            "hetrixtools",
            "huggingface",
            "microsoft-graph",
            "netbox",
            "new-relic",
            "salesforce-mc",
            "supabase-db",
            "zapier"
        ]
    );
    for preset in alike {
        assert!(
            !preset.scheme.id_is_signed() && !preset.scheme.signs_timestamp(),
            "{}",
            preset.name
        );
    }
}

#[test]
fn tokens_that_hold_from_now_on_may_come_from_a_clock_that_is_ahead() {
    // LiveKit's tokens begin (`nbf`) when they are made; its own library allows a minute
    // (livekit-api 1.2.2, access_token.py).
    assert_eq!(
        find("livekit").unwrap().scheme.token_rule().unwrap().leeway,
        60_000
    );
}
