//! AU: timestamps, on the wire. The exact bounds of a tolerance are tested on the pure core with a set clock.

#![expect(
    clippy::string_slice,
    reason = "test code: a panic is how a test fails"
)]

use crate::au::{SIGNATURE, TIMESTAMP, refuse_all};
use crate::stage::Stage;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event, sign};
use crate::support::{SECRET, now};

#[test]
fn au_06_a_timestamp_takes_nothing_from_the_body() {
    let stage = Stage::new();
    let at = now().to_string();
    // `{}.1` at `2` and `{}` at `1.2` are the same signed bytes.
    let signature = sign(SECRET, b"{}.1", &at);
    let shifted = Delivery::of("{}")
        .set(TIMESTAMP, format!("1.{at}"))
        .set(SIGNATURE, signature);
    refuse_all(&stage, [("shifted", shifted, "malformed_timestamp")]);
}

#[test]
fn au_12_an_absent_timestamp_is_missing_and_a_huge_one_malformed() {
    let stage = Stage::new();
    let at = |timestamp: &str| Delivery::signed(SECRET, event(), timestamp);
    refuse_all(
        &stage,
        [
            (
                "none",
                Delivery::fresh().without(TIMESTAMP),
                "missing_timestamp",
            ),
            (
                "none, and signed as empty",
                at("").without(TIMESTAMP),
                "missing_timestamp",
            ),
            ("empty", at(""), "missing_timestamp"),
            ("spaces", at("").set(TIMESTAMP, "  "), "missing_timestamp"),
            (
                "20 digits",
                at("17600000000000000000"),
                "malformed_timestamp",
            ),
            ("2^63", at("9223372036854775808"), "malformed_timestamp"),
            ("2^64", at("18446744073709551616"), "malformed_timestamp"),
            (
                "2^64 and now",
                at(&(u128::from(u64::MAX) + 1 + u128::from(now())).to_string()),
                "malformed_timestamp",
            ),
            ("400 digits", at(&"1".repeat(400)), "malformed_timestamp"),
        ],
    );
}

#[test]
fn au_13_a_timestamp_is_digits_only() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    let seconds = now().to_string();
    for (name, timestamp) in [
        ("plus", format!("+{seconds}")),
        ("minus", format!("-{seconds}")),
        ("leading zero", format!("0{seconds}")),
        ("decimals", format!("{seconds}.0")),
        ("exponent", "1e9".to_owned()),
        ("exponent of now", format!("{seconds}e0")),
        ("hex", format!("0x{:x}", now())),
        ("underscore", format!("{}_{}", &seconds[..1], &seconds[1..])),
        ("thousands", format!("{},{}", &seconds[..1], &seconds[1..])),
        ("NaN", "NaN".to_owned()),
        ("infinity", "Infinity".to_owned()),
        (
            "full width",
            seconds
                .chars()
                .map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c))
                .collect(),
        ),
        (
            "Arabic",
            seconds
                .chars()
                .map(|c| char::from_u32(u32::from(c) + 0x630).unwrap_or(c))
                .collect(),
        ),
        (
            "a space inside",
            format!("{} {}", &seconds[..5], &seconds[5..]),
        ),
        ("a unit", format!("{seconds}s")),
        ("quotes", format!("\"{seconds}\"")),
        ("a date", "2026-01-02T03:04:05Z".to_owned()),
        ("a list", format!("{seconds};{seconds}")),
    ] {
        cases.case(name, || {
            let delivery = Delivery::signed(SECRET, event(), &timestamp);
            drop(stage.refuses(delivery, 401, "malformed_timestamp"));
        });
    }
    cases.finish();
}

#[test]
fn au_14_milliseconds_are_in_the_future() {
    let stage = Stage::new();
    let delivery = Delivery::signed(SECRET, event(), &(now() * 1000).to_string());
    refuse_all(&stage, [("milliseconds", delivery, "future_timestamp")]);
}

#[test]
fn au_15_freshness_holds_both_ways_round_the_clock() {
    let stage = Stage::new();
    // The machine's clock goes on between signing and judging: the exact bounds are tested with a set clock.
    refuse_all(
        &stage,
        [
            (
                "a second too old",
                Delivery::at(event(), now() - 301),
                "stale_timestamp",
            ),
            (
                "too far ahead",
                Delivery::at(event(), now() + 330),
                "future_timestamp",
            ),
            ("zero", Delivery::at(event(), 0), "stale_timestamp"),
            ("one", Delivery::at(event(), 1), "stale_timestamp"),
            (
                "18 digits",
                Delivery::signed(SECRET, event(), &"9".repeat(18)),
                "future_timestamp",
            ),
        ],
    );
    stage.accepts(Delivery::at(event(), now() - 270));
    stage.accepts(Delivery::at(event(), now() + 300));
}

#[test]
fn au_15_a_route_has_its_own_tolerance() {
    let stage = Stage::with(|upstream| {
        let narrow = Route::itellico(upstream)
            .set("name", "\"narrow\"")
            .set("path", "\"/narrow\"")
            .set("tolerance", "\"30s\"");
        Config::for_upstream(upstream).route(narrow)
    });
    let at = |at: u64| Delivery::at(event(), at).target("/narrow");
    refuse_all(
        &stage,
        [
            ("too old", at(now() - 31), "stale_timestamp"),
            ("too far ahead", at(now() + 60), "future_timestamp"),
        ],
    );
    stage.accepts(at(now() - 5));
}

#[test]
fn au_16_a_stale_delivery_learns_nothing_of_its_signature() {
    let stage = Stage::new();
    let known = event();
    stage.accepts(Delivery::of(known.clone()));
    let old = (now() - 4000).to_string();
    let answers: Vec<_> = [
        Delivery::signed("guessed", event(), &old),
        Delivery::signed(SECRET, event(), &old),
        Delivery::signed(SECRET, known, &old),
        Delivery::signed(SECRET, "not json", &old),
    ]
    .into_iter()
    .map(|delivery| {
        let answer = stage.refuses(delivery, 401, "stale_timestamp");
        let differs =
            |name: &str| ["x-request-id", "date"].contains(&name.to_ascii_lowercase().as_str());
        let headers: Vec<_> = answer
            .headers
            .iter()
            .filter(|(name, _)| !differs(name))
            .cloned()
            .collect();
        (headers, answer.body)
    })
    .collect();
    assert!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "the answers differ: {answers:#?}"
    );
}
