//! Another configuration while running (contract: Reload; CF-05, CF-06, RP-16): whole or not at all, nothing dropped,
//! and a bad file leaves the running one.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code: a panic is how a test fails"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::support::answer::Answer;
use crate::support::behaviour::{Behaviour, Latch, Reply};
use crate::support::cases::Cases;
use crate::support::client::Client;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event, event_of};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{SOON, eventually, now};

#[track_caller]
fn reload(gateway: &Gateway) -> Answer {
    gateway.admin("POST", "/reload", &[], "")
}

#[track_caller]
fn expect_reloaded(gateway: &Gateway, config: &Config) {
    gateway.rewrite(config);
    let answer = reload(gateway);
    answer.expect_status(200);
    assert_eq!(answer.json()["ok"], true, "{answer}");
}

/// A 422 that names its problems; returns all of its text.
#[track_caller]
fn expect_not_reloaded(answer: &Answer) -> String {
    assert_eq!(answer.status, 422, "{answer}");
    let json = answer.json();
    assert_eq!(
        (json["ok"].as_bool(), json["code"].as_str()),
        (Some(false), Some("reload_failed")),
        "{answer}"
    );
    assert!(
        json["error"]
            .as_str()
            .is_some_and(|error| !error.is_empty()),
        "{answer}"
    );
    let problems = json["problems"]
        .as_array()
        .unwrap_or_else(|| panic!("no list of problems in {answer}"));
    assert!(!problems.is_empty(), "{answer}");
    json.to_string()
}

fn reloads(gateway: &Gateway, result: &str) -> f64 {
    gateway
        .metrics()
        .value("verigate_config_reloads_total", &[("result", result)])
}

fn named(upstream: &Upstream, name: &str, path: &str) -> Route {
    Route::itellico(upstream)
        .set("name", &text(name))
        .set("path", &text(path))
}

#[test]
fn a_new_admin_token_is_asked_for_at_once() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(
        &Config::for_upstream(&upstream).env("ADMIN_TOKEN", "admin-token-0123456789"),
    );
    gateway.admin("GET", "/metrics", &[], "").expect_status(200);
    expect_reloaded(
        &gateway,
        &Config::for_upstream(&upstream).admin("token", "\"env:ADMIN_TOKEN\""),
    );
    gateway.admin("GET", "/metrics", &[], "").expect_status(401);
    let with_token = [("Authorization", "Bearer admin-token-0123456789")];
    gateway
        .admin("GET", "/metrics", &with_token, "")
        .expect_status(200);
    gateway.rewrite(&Config::for_upstream(&upstream));
    gateway
        .admin("POST", "/reload", &with_token, "")
        .expect_status(200);
    gateway.admin("GET", "/metrics", &[], "").expect_status(200);
}

#[test]
fn post_reload_loads_the_file_again() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    gateway
        .ask(Delivery::fresh().target("/second"))
        .expect_refusal(404, "no_route");
    expect_reloaded(
        &gateway,
        &Config::for_upstream(&upstream).route(named(&upstream, "second", "/second")),
    );
    gateway
        .ask(Delivery::fresh().target("/second"))
        .expect_status(200);
    expect_reloaded(&gateway, &Config::for_upstream(&upstream));
    gateway
        .ask(Delivery::fresh().target("/second"))
        .expect_refusal(404, "no_route");
    gateway.expect_serving();
    assert!((reloads(&gateway, "ok") - 2.0).abs() < 0.5);
}

#[test]
fn sighup_loads_the_file_again() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    gateway.rewrite(&Config::for_upstream(&upstream).route(named(&upstream, "second", "/second")));
    gateway.signal("HUP");
    assert!(eventually(SOON, || gateway
        .ask(Delivery::fresh().target("/second"))
        .status
        == 200));
    gateway.rewrite(&Config::for_upstream(&upstream).extra("[[route]]\nnme = 1\n"));
    gateway.signal("HUP");
    assert!(gateway.says("nme"), "a bad file says why on standard error");
    assert!(eventually(SOON, || reloads(&gateway, "error") > 0.5));
    gateway
        .ask(Delivery::fresh().target("/second"))
        .expect_status(200);
    gateway.expect_serving();
}

#[test]
fn cf_05_a_bad_file_leaves_the_running_one_and_says_why() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().expect("a folder");
    let secret_file = folder.path().join("secret");
    fs::write(&secret_file, "the-file-secret-0123456789\n").expect("a secret file");
    let secret = format!("[{}]", text(&format!("file:{}", secret_file.display())));
    let good = Config::for_upstream(&upstream)
        .route(named(&upstream, "file", "/file").set("secrets", &secret));
    let gateway = Gateway::start_in(folder, &good);
    let signed = || {
        Delivery::signed("the-file-secret-0123456789", event(), &now().to_string()).target("/file")
    };
    let mut failures = 0.0;
    let mut cases = Cases::new();
    let literal = "[\"literal-secret-in-the-file-77\"]";
    for (name, config, says) in [
        (
            "unknown key",
            good.clone().server("thread", "2"),
            &["thread"][..],
        ),
        ("no TOML", good.clone().extra("[[["), &[]),
        (
            "duplicate name",
            good.clone().route(named(&upstream, "file", "/other")),
            &["file"],
        ),
        (
            "overlapping route",
            good.clone().route(named(&upstream, "again", "/file")),
            &["`file`", "path"],
        ),
        (
            "secret unset",
            good.clone()
                .route(named(&upstream, "x", "/x").set("secrets", "[\"env:NOT_SET_77\"]")),
            &["NOT_SET_77"],
        ),
        (
            "secret file missing",
            good.clone()
                .route(named(&upstream, "x", "/x").set("secrets", "[\"file:/nowhere/secret\"]")),
            &["/nowhere/secret"],
        ),
        (
            "literal secret",
            good.clone()
                .route(named(&upstream, "x", "/x").set("secrets", literal)),
            &["plain:"],
        ),
        (
            "two problems at once",
            good.clone().server("thread", "2").replay("ttl", "\"soon\""),
            &["thread", "ttl"],
        ),
        (
            "route without a secret",
            good.clone()
                .route(named(&upstream, "x", "/x").unset("secrets")),
            &["secrets"],
        ),
        (
            "listen",
            good.clone()
                .server("listen", "[\"127.0.0.1:0\", \"127.0.0.1:0\"]"),
            &["listen"],
        ),
        ("threads", good.clone().server("threads", "3"), &["threads"]),
        (
            "admin.listen",
            good.clone().admin("listen", "\"127.0.0.2:0\""),
            &["admin.listen"],
        ),
    ] {
        cases.case(name, || {
            gateway.rewrite(&config);
            let text = expect_not_reloaded(&reload(&gateway));
            failures += 1.0;
            for word in says {
                assert!(text.contains(word), "{word} is not named in {text}");
            }
            gateway.ask(signed()).expect_status(200);
            gateway.expect_serving();
        });
    }
    cases.case("missing file", || {
        fs::remove_file(gateway.config_file()).expect("removed");
        expect_not_reloaded(&reload(&gateway));
        failures += 1.0;
        gateway.ask(signed()).expect_status(200);
    });
    for (name, contents) in [("secret now empty", ""), ("secret now a line end", "\n")] {
        cases.case(name, || {
            gateway.rewrite(&good);
            fs::write(&secret_file, contents).expect("a secret file");
            expect_not_reloaded(&reload(&gateway));
            failures += 1.0;
            gateway.ask(signed()).expect_status(200);
        });
    }
    cases.finish();
    assert!(
        (reloads(&gateway, "error") - failures).abs() < 0.5,
        "{}",
        gateway.metrics().text
    );
    assert!(reloads(&gateway, "ok") < 0.5);
    for secret in [
        "the-file-secret-0123456789",
        "literal-secret-in-the-file-77",
        crate::support::SECRET,
    ] {
        assert!(
            !gateway.stderr().contains(secret),
            "a secret is on standard error"
        );
    }
}

#[test]
fn cf_05_no_answer_holds_a_secret() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let mut cases = Cases::new();
    for (name, key, value) in [
        ("literal secret", "secrets", "[\"literal-secret-77\"]"),
        (
            "literal secret with a name",
            "secrets",
            "[{ name = \"a\", value = \"literal-secret-77\" }]",
        ),
        ("wrong type", "secrets", "\"literal-secret-77\""),
        (
            "wrong scheme before it",
            "secrets",
            "[\"evn:literal-secret-77\"]",
        ),
        ("unterminated text", "secrets", "[\"plain:literal-secret-77"),
        (
            "plain beside a mistake",
            "secrets",
            "[\"plain:literal-secret-77\"]\nnme = 1",
        ),
        (
            "a header's value",
            "upstream_headers",
            "{ \"X-Token\" = \"literal-secret-77\" }",
        ),
    ] {
        cases.case(name, || {
            gateway.rewrite(&Config::new().route(named(&upstream, "x", "/x").set(key, value)));
            let answer = reload(&gateway);
            let text = expect_not_reloaded(&answer);
            assert!(!text.contains("literal-secret-77"), "{text}");
            assert!(!String::from_utf8_lossy(&answer.raw_head).contains("literal-secret-77"));
        });
    }
    cases.finish();
    assert!(
        !gateway.stderr().contains("literal-secret-77"),
        "a secret is on standard error"
    );
    gateway.expect_serving();
}

#[test]
fn cf_06_a_hundred_reloads_under_load_drop_nothing() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let over = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicUsize::new(0));
    let failures = Arc::new(Mutex::new(Vec::new()));
    let addr = gateway.addr();
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let (over, sent, failures) =
                (Arc::clone(&over), Arc::clone(&sent), Arc::clone(&failures));
            std::thread::spawn(move || {
                let mut kept = Client::connect(addr);
                let failed = |text: String| {
                    failures
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(text);
                };
                let mut turn = 0;
                while !over.load(Ordering::SeqCst) {
                    turn += 1;
                    let delivery = match (turn + number) % 3 {
                        0 => Delivery::of(event_of(100 * 1024)).chunked_by(8192),
                        1 => Delivery::plain(event()),
                        _ => Delivery::fresh(),
                    };
                    // Half of them on a kept connection, half on one of their own.
                    if turn % 2 == 0 {
                        kept = Client::connect(addr);
                    }
                    kept.send(delivery.bytes());
                    match kept.try_answer(SOON) {
                        Ok(answer) if answer.status == 200 => {
                            if answer.closes() {
                                kept = Client::connect(addr);
                            }
                        }
                        Ok(answer) => failed(answer.to_string()),
                        Err(missing) => {
                            failed(missing.to_string());
                            kept = Client::connect(addr);
                        }
                    }
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let other = Config::for_upstream(&upstream)
        .route(named(&upstream, "second", "/second"))
        .server("max_buffered", "\"64MiB\"");
    for turn in 0..100 {
        let config = if turn % 2 == 0 {
            other.clone()
        } else {
            Config::for_upstream(&upstream)
        };
        expect_reloaded(&gateway, &config);
    }
    let enough = eventually(SOON, || sent.load(Ordering::SeqCst) >= 100);
    over.store(true, Ordering::SeqCst);
    for thread in threads {
        thread.join().expect("a sending thread");
    }
    let failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(
        failures.is_empty(),
        "{} of {sent:?} failed, the first: {}",
        failures.len(),
        failures[0]
    );
    assert!(enough, "{sent:?} were sent");
    assert_eq!(upstream.count(), sent.load(Ordering::SeqCst));
    assert!((reloads(&gateway, "ok") - 100.0).abs() < 0.5);
}

#[test]
fn a_secret_file_is_read_again() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    fs::write(&file, "first-secret-0123456789\n").expect("a secret file");
    let secrets = format!("[{}]", text(&format!("file:{}", file.display())));
    let config = Config::new().route(Route::itellico(&upstream).set("secrets", &secrets));
    let gateway = Gateway::start_in(folder, &config);
    let signed = |secret: &str| Delivery::signed(secret, event(), &now().to_string());
    gateway
        .ask(signed("first-secret-0123456789"))
        .expect_status(200);
    fs::write(&file, "second-secret-0123456789\n").expect("a secret file");
    gateway
        .ask(signed("first-secret-0123456789"))
        .expect_status(200);
    reload(&gateway).expect_status(200);
    gateway
        .ask(signed("first-secret-0123456789"))
        .expect_refusal(401, "bad_signature");
    gateway
        .ask(signed("second-secret-0123456789"))
        .expect_status(200);
}

#[test]
fn what_is_in_flight_finishes_under_the_old_file() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let latch = Latch::closed();
    upstream.next(Behaviour::answer_after(&latch, &Reply::new(200)));
    let mut at_the_upstream = gateway.connect();
    at_the_upstream.send(Delivery::fresh().bytes());
    upstream.wait_for(1);
    let arriving = Delivery::fresh();
    let mut in_its_body = gateway.connect();
    in_its_body.send(arriving.clone().with("Expect", "100-continue").head());
    in_its_body.answer().expect_status(100);
    in_its_body.send(&arriving.body()[..20]);

    let elsewhere = Upstream::start();
    let changed = Route::itellico(&elsewhere).set("secrets", "[\"env:PLAIN_SECRET\"]");
    expect_reloaded(&gateway, &Config::new().route(changed));
    gateway
        .ask(Delivery::fresh())
        .expect_refusal(401, "bad_signature");

    in_its_body.send(&arriving.body()[20..]);
    in_its_body.answer().expect_status(200);
    latch.open();
    at_the_upstream.answer().expect_status(200);
    assert_eq!((upstream.count(), elsewhere.count()), (2, 0));
}

#[test]
fn rp_16_a_reload_keeps_the_window_of_every_route_but_a_renamed_one() {
    let upstream = Upstream::start();
    let base = || {
        Config::new()
            .route(named(&upstream, "one", "/one"))
            .env("NEXT", "the-next-secret-0123456789")
    };
    let gateway = Gateway::start(&base().route(named(&upstream, "two", "/two")));
    let (one, two) = (
        Delivery::fresh().target("/one"),
        Delivery::fresh().target("/two"),
    );
    for delivery in [&one, &two] {
        gateway.ask(delivery.clone()).expect_status(200);
    }
    let both = "[\"env:ITELLICO_WEBHOOK_SECRET\", \"env:NEXT\"]";
    expect_reloaded(
        &gateway,
        &base().route(named(&upstream, "two", "/two").set("secrets", both)),
    );
    for delivery in [&one, &two] {
        gateway
            .ask(delivery.clone())
            .expect_refusal(409, "replayed_event");
    }
    expect_reloaded(&gateway, &base().route(named(&upstream, "renamed", "/two")));
    gateway.ask(one).expect_refusal(409, "replayed_event");
    gateway.ask(two.clone()).expect_status(200);
    gateway.ask(two).expect_refusal(409, "replayed_event");
    assert_eq!(upstream.count(), 3);
}

#[test]
fn the_start_and_a_reload_list_what_a_route_acknowledges() {
    let upstream = Upstream::start();
    let off = || Route::itellico(&upstream).set("tolerance", "\"off\"");
    let config = |route: Route| Config::new().route(route);
    let gateway = Gateway::start(&config(off()));
    assert!(gateway.says("[tolerance-off]"), "{}", gateway.stderr());

    let acknowledging = config(off().set("acknowledge", "[\"tolerance-off\"]"));
    expect_reloaded(&gateway, &acknowledging);
    let listed = "route `itellico` acknowledges: tolerance-off";
    assert!(gateway.says(listed), "{}", gateway.stderr());
    let again = Gateway::start(&acknowledging);
    assert!(again.says(listed), "{}", again.stderr());
    assert!(
        !again.stderr().contains("[tolerance-off]"),
        "{}",
        again.stderr()
    );
}

/// The configuration's path leads to something that is no regular file. Opening a pipe would wait for its writer, and
/// a reading that waits must hold up neither the next reload nor the end.
#[test]
fn cf_20_what_is_no_regular_file_is_refused_at_once_and_holds_up_nothing() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream).server("shutdown_grace", "\"1s\"");
    let mut gateway = Gateway::start(&config);
    let file = gateway.config_file();
    let put_pipe = |at: &Path| {
        let made = Command::new("mkfifo").arg(at).status();
        assert!(made.expect("mkfifo runs").success(), "mkfifo");
    };
    let kinds: [(&str, &dyn Fn()); 4] = [
        ("a pipe", &|| put_pipe(&file)),
        ("a directory", &|| {
            fs::create_dir(&file).expect("a directory");
        }),
        ("a device", &|| {
            symlink("/dev/zero", &file).expect("a link");
        }),
        ("a socket", &|| {
            drop(UnixListener::bind(&file).expect("a socket"));
        }),
    ];
    let mut cases = Cases::new();
    for (name, put) in &kinds {
        let remove = || fs::remove_file(&file).or_else(|_| fs::remove_dir(&file));
        remove().expect("removed");
        put();
        cases.case(&format!("CF-20 {name}"), || {
            gateway.signal("HUP");
            let words = expect_not_reloaded(&reload(&gateway));
            assert!(words.contains("is not a regular file"), "{words}");
            gateway.expect_serving();
            remove().expect("removed");
            expect_reloaded(&gateway, &config);
        });
    }
    cases.finish();
    fs::remove_file(&file).expect("removed");
    put_pipe(&file);
    gateway.signal("HUP");
    assert!(gateway.says("is not loaded"));
    gateway.signal("TERM");
    let status = gateway.wait_exit(SOON);
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
}

#[test]
fn standard_input_is_not_read_again_and_that_is_said() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_piped(&Config::for_upstream(&upstream));
    gateway.expect_serving();
    let answer = reload(&gateway);
    answer.expect_status(422);
    let words = "the configuration came from standard input, which cannot be read again";
    assert!(answer.to_string().contains(words), "{answer}");
    gateway.signal("HUP");
    assert!(eventually(SOON, || reloads(&gateway, "error") > 1.5));
    assert!(gateway.says("standard input is not loaded, the running configuration stays"));
    gateway.expect_serving();
}
