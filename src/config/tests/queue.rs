//! `mode = "queue"` and `[route.queue]`: what is read, and what a queue route may not have.

use std::time::Duration;

use super::problems::each_says;
use super::{CUSTOM, ROUTE, good, read, warned};
use crate::config::{Mode, OrderBy, WarningName};
use crate::notation::json::Pointer;
use crate::queue::Rate;

/// What a queue route needs besides itself.
const STATE: &str = "[admin]\ntoken = \"env:T\"\n[state]\ndir = \"state\"\n";

/// What lets an operator see the queue.
const TOKEN: &str = "token = \"env:T\"\n";

/// A header by which the app knows the gateway.
const HEADERS: &str = "upstream_headers = { X-Gateway = \"env:G\" }\n";

/// A file with a queue route of this preset and these lines, and `[route.queue]` with those.
fn queue(preset: &str, lines: &str, own: &str) -> String {
    let route = ROUTE.replace("itellico", preset);
    format!("{STATE}{route}{HEADERS}mode = \"queue\"\n{lines}\n[route.queue]\n{own}\n")
}

fn queue_of(own: &str) -> String {
    queue("itellico", "", own)
}

#[test]
fn the_defaults_are_a_quarter_of_the_limits_and_a_schedule_of_hours() {
    let config = good(&queue_of(""));
    assert_eq!(config.warnings, []);
    let route = &config.routes[0];
    assert_eq!(route.mode, Mode::Queue);
    let queue = &route.queue;
    let secs = Duration::from_secs;
    assert_eq!((queue.answer, queue.concurrency), (200, 16));
    assert_eq!(
        (queue.max_bytes, queue.max_deliveries),
        (2560 << 20, 250_000)
    );
    assert_eq!(queue.retry, [5, 15, 60, 300, 900, 1800, 3600].map(secs));
    assert_eq!(
        (queue.max_age, queue.keep_dead),
        (secs(72 * 3600), secs(14 * 86_400))
    );
    assert_eq!(queue.dead_on, [410]);
    assert_eq!((queue.rate, &queue.order_by), (None, &None));
    // The share follows the limits of the whole.
    let text = queue_of("").replace(
        "[state]\n",
        "[state]\nmax_bytes = \"4MiB\"\nmax_deliveries = 3\n",
    );
    let queue = &good(&text).routes[0].queue;
    assert_eq!((queue.max_bytes, queue.max_deliveries), (1 << 20, 1));
}

#[test]
fn a_route_is_in_relay_mode_unless_it_says_otherwise_and_has_the_settings_all_the_same() {
    for lines in ["", "mode = \"relay\"\n"] {
        let config = good(&format!("{ROUTE}{lines}"));
        assert_eq!(config.routes[0].mode, Mode::Relay);
        assert_eq!(config.routes[0].queue.concurrency, 16);
    }
    // What was accepted before the switch back is still to be delivered.
    let back = queue_of("concurrency = 3").replace("mode = \"queue\"\n", "");
    let config = good(&back.replace(HEADERS, "acknowledge = [\"no-effect\"]\n"));
    assert_eq!(config.warnings, []);
    assert_eq!(
        (config.routes[0].mode, config.routes[0].queue.concurrency),
        (Mode::Relay, 3)
    );
}

#[test]
fn every_key_of_the_queue_is_read() {
    let config = good(&queue_of(
        "answer = 202\nmax_bytes = \"2GiB\"\nmax_deliveries = 7\nretry = [\"100ms\", \"2h\"]\nmax_age = \"2d\"\n\
         dead_on = [422, 410, 422]\nkeep_dead = \"1d\"\nconcurrency = 1024\nrate = \"30/m\"\norder_by = \"/a~1b/c\"",
    ));
    let queue = &config.routes[0].queue;
    let secs = Duration::from_secs;
    assert_eq!((queue.answer, queue.concurrency), (202, 1024));
    assert_eq!((queue.max_bytes, queue.max_deliveries), (2 << 30, 7));
    assert_eq!(queue.retry, [Duration::from_millis(100), secs(7200)]);
    assert_eq!(
        (queue.max_age, queue.keep_dead),
        (secs(2 * 86_400), secs(86_400))
    );
    assert_eq!(queue.dead_on, [410, 422]);
    let rate = Rate {
        count: 30,
        per: secs(60),
    };
    assert_eq!(queue.rate, Some(rate));
    let pointer = Pointer::parse("/a~1b/c").unwrap();
    assert_eq!(queue.order_by, Some(OrderBy::Pointer(pointer)));
}

#[test]
fn with_an_order_deliveries_die_after_an_hour_unless_the_route_says_otherwise() {
    let hours = |own: &str| good(&queue_of(own)).routes[0].queue.max_age.as_secs() / 3600;
    assert_eq!(hours("order_by = \"all\""), 1);
    assert_eq!(hours("order_by = \"all\"\nmax_age = \"72h\""), 72);
    assert_eq!(hours("max_age = \"5h\""), 5);
}

#[test]
fn settings_of_a_queue_are_told_what_is_wrong() {
    let rows = [
        ("answer = 201", "is neither 200 nor 202"),
        ("answer = 204", "write 200 or 202; a provider"),
        ("answer = 99999999999", "is neither 200 nor 202"),
        ("answer = \"202\"", "write it as in `answer = 202`"),
        ("max_bytes = 0", "is zero"),
        ("max_deliveries = 0", "from 1 to"),
        ("retry = []", "`route.queue.retry` is empty"),
        ("retry = \"5s\"", "must be a list"),
        ("retry = [\"5s\", \"0s\"]", "is zero"),
        ("retry = [\"5\"]", "has no unit"),
        ("max_age = \"0s\"", "is zero"),
        ("keep_dead = \"2w\"", "is no duration"),
        ("dead_on = [200]", "from 300 to 599"),
        ("dead_on = 410", "must be a list"),
        (
            "dead_on = [\"4xx\"]",
            "must be the number of a status, not a string",
        ),
        (
            "dead_on = [\"4xx\"]",
            "write it as in `dead_on = [410, 422]`",
        ),
        ("concurrency = 0", "from 1 to 1024"),
        ("rate = \"100\"", "is no rate"),
        ("rate = 100", "must be a string"),
        ("rate = \"0/s\"", "is zero: nothing would be delivered"),
        ("order_by = \"acount\"", "is no key to order by"),
        ("order_by = \"/items/*/id\"", "means many values"),
        ("max_agee = \"1h\"", "did you mean `max_age`?"),
        ("max_retries = 5", "attempts end by age, not by number"),
        ("backoff = \"5s\"", "write the pauses between attempts"),
    ];
    let rows = rows.map(|(own, expected)| (queue_of(own), expected));
    each_says(&rows);
    let custom = CUSTOM.replace(
        "[route.scheme]",
        "[route.queue]\norder_by = \"account\"\n[route.scheme]",
    );
    each_says(&[
        (
            format!("[queue]\nconcurrency = 3\n{ROUTE}"),
            "write `[route.…]` below its `[[route]]`",
        ),
        (format!("{ROUTE}mode = \"qeue\"\n"), "did you mean `queue`?"),
        (
            format!("{STATE}{custom}"),
            "`order_by = \"account\"` needs an account",
        ),
    ]);
}

#[test]
fn a_queue_route_is_refused_where_it_could_lose_or_double_or_betray_a_delivery() {
    let plain = |preset: &str, lines: &str| queue(preset, lines, "");
    let custom = |scheme: &str| {
        let head = CUSTOM.split("[route.scheme]").next().unwrap();
        format!("{STATE}{head}{HEADERS}mode = \"queue\"\n[route.scheme]\n{scheme}")
    };
    let in_body =
        "algorithm = \"token\"\nsignature = { json = \"/token\" }\nevent_id = { json = \"/id\" }\n";
    let repeats = "algorithm = \"hmac-sha256\"\nsigned = \"{timestamp}.{body}\"\n\
                   signature = { header = \"X-Signature\" }\ntimestamp = { header = \"X-Timestamp\" }\n\
                   repeats = { most = 2, within = \"1h\" }\n";
    each_says(&[
        (
            plain("itellico", "").replace(STATE, ""),
            "no directory for them is named",
        ),
        (
            plain("itellico", "enforce = false"),
            "shadow mode (`enforce = false`)",
        ),
        (
            plain("itellico", "replay = \"off\""),
            "queue mode needs replay protection",
        ),
        (plain("grafana", ""), "write `replay = {}`"),
        (
            plain("itellico", "accounts = \"any\""),
            "could fill the disk",
        ),
        (
            plain("itellico", "repeats = { most = 2, within = \"1h\" }"),
            "`repeats` is for",
        ),
        (
            plain("twilio", "public_url = \"https://a.b\""),
            "`repeats` is for",
        ),
        (custom(repeats), "`repeats` is for"),
        (
            plain("itellico", "max_body = \"65MiB\""),
            "set `max_body` to at most 64MiB",
        ),
        (
            format!(
                "[server]\nmax_buffered = \"2MiB\"\n{}",
                plain("itellico", "")
            ),
            "is above a quarter of `server.max_buffered` (2MiB)",
        ),
        (custom(in_body), "name a key that encrypts them"),
    ]);
    // The twilio route that the above refuses.
    let twilio = plain("twilio", "public_url = \"https://a.b\"\nrepeats = \"off\"");
    assert_eq!(good(&twilio).routes[0].mode, Mode::Queue);
    // With a key that encrypts it, a secret in the body is kept.
    let key = "keys = [\"plain:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"]";
    let with_key = custom(in_body).replace("[state]\n", &format!("[state]\n{key}\n"));
    assert_eq!(good(&with_key).routes[0].mode, Mode::Queue);
    // In a header the secret is left out of what is stored.
    let in_header = in_body.replace("json = \"/token\"", "header = \"X-Token\"");
    assert_eq!(good(&custom(&in_header)).routes[0].mode, Mode::Queue);
    // With the same scheme relay mode needs no key.
    let relay = custom(in_body).replace("mode = \"queue\"\n", "");
    assert_eq!(good(&relay).routes[0].mode, Mode::Relay);
}

#[test]
fn discord_interactions_are_never_queued() {
    let key = super::fixtures::ED25519_HEX;
    let text = queue("discord-interactions", "", "").replace("env:S", key);
    let shown = read(&text).unwrap_err().render(false);
    assert!(
        shown.contains("Discord waits for the app's answer"),
        "{shown}"
    );
    assert!(shown.contains("--> a.toml:8:1"), "{shown}");
}

#[test]
fn all_that_is_wrong_with_a_queue_route_is_said_at_once() {
    let text = queue(
        "itellico",
        "enforce = false\nreplay = \"off\"\naccounts = \"any\"",
        "rate = \"0/s\"",
    );
    let shown = read(&text.replace(STATE, "")).unwrap_err().render(false);
    for words in [
        "no directory",
        "shadow mode",
        "needs replay protection",
        "fill the disk",
        "is zero",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn the_advice_about_alike_events_is_one_that_the_mode_takes() {
    let advice = |text: &str| {
        let warnings = good(text).warnings.into_iter();
        let mut alike = warnings.filter(|one| one.name == WarningName::AlikeEvents);
        alike.next().map(|one| one.message).unwrap_or_default()
    };
    let queued = queue("github", "", "");
    let shown = advice(&queued);
    let words = "name a signed id with `event_id`, shorten `ttl` in `[route.replay]`, or write `mode = \"relay\"` \
                 with `replay = \"off\"`";
    assert!(shown.contains(words), "{shown}");
    // Each advice is one that the loader takes.
    let shorter = queued.replace("[route.queue]", "[route.replay]\nttl = \"1h\"");
    assert!(advice(&shorter).contains("for 1h:"), "{}", advice(&shorter));
    let relayed = queued.replace("mode = \"queue\"", "mode = \"relay\"\nreplay = \"off\"");
    assert_eq!(advice(&relayed), "");
    let relayed = advice(&queued.replace("mode = \"queue\"", "mode = \"relay\""));
    assert!(relayed.contains("or write `replay = \"off\"`") && !relayed.contains("ttl"));
    // What signs anew takes no `replay = "off"`.
    let resigned = advice(&format!(
        "{queued}\n[route.resign]\nsecret = \"plain:whsec_Zm9ydHkgcmFuZG9tIGJ5dGVzLCBhbmQgc29tZSBtb3Jl\"\n"
    ));
    assert!(
        resigned
            .ends_with("name a signed id with `event_id`, or shorten `ttl` in `[route.replay]`")
    );
}

#[test]
fn what_a_queue_route_may_have_and_is_warned_about() {
    let names = |text: &str| {
        let config = good(text);
        let of_queue = |name: &WarningName| {
            matches!(
                name,
                WarningName::WantsAnswer
                    | WarningName::LateAttempts
                    | WarningName::QueueRoom
                    | WarningName::QueueUnseen
                    | WarningName::NoEffect
            )
        };
        let names = config.warnings.iter().map(|warning| warning.name);
        let names: Vec<_> = names.filter(of_queue).map(WarningName::as_str).collect();
        (names.join(" "), warned(&config))
    };
    let ack = CUSTOM.replace(
        "[route.scheme]\n",
        &format!("mode = \"queue\"\n{HEADERS}[route.queue]\nanswer = 202\n[route.scheme]\nack = {{ body = \"ok\" }}\n"),
    );
    let rows = [
        (queue_of(""), ""),
        (queue_of("").replace(HEADERS, ""), "late-attempts"),
        (queue("slack", "", ""), "wants-answer"),
        (
            queue(
                "twilio",
                "public_url = \"https://a.b\"\nrepeats = \"off\"",
                "",
            ),
            "wants-answer",
        ),
        (queue_of("").replace(TOKEN, ""), "queue-unseen"),
        (queue_of("max_bytes = \"512KiB\""), "queue-room"),
        (
            queue_of("").replace("[state]\n", "[state]\nmax_bytes = \"1MiB\"\n"),
            "queue-room",
        ),
        (queue_of("max_bytes = \"11GiB\""), "no-effect"),
        (queue_of("max_deliveries = 1_000_001"), "no-effect"),
        (queue_of("retry = [\"2h\"]\nmax_age = \"1h\""), "no-effect"),
        (queue_of("retry = [\"1h\"]\nmax_age = \"1h\""), ""),
        (format!("{STATE}{ack}"), "no-effect"),
        (
            queue_of("concurrency = 2").replace("mode = \"queue\"\n", ""),
            "no-effect",
        ),
        (
            queue_of("").replace("mode = \"queue\"", "mode = \"relay\""),
            "no-effect",
        ),
        (
            format!("{ROUTE}[route.queue]\nconcurrency = 2\n"),
            "no-effect",
        ),
    ];
    for (text, expected) in rows {
        let (found, shown) = names(&text);
        assert_eq!(found, expected, "{text}\n{shown}");
    }
    let known = queue_of("").replace(HEADERS, "acknowledge = [\"late-attempts\"]\n");
    let config = good(&known);
    assert_eq!(config.warnings, []);
    assert_eq!(config.acknowledged_names(), [("a", vec!["late-attempts"])]);
}
