//! Which route a request belongs to (SPEC 2.2). Ambiguous paths are in `tests/attacks/pa.rs`.

use crate::support::cases::Cases;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event};
use crate::support::gateway::Gateway;
use crate::support::now;
use crate::support::upstream::Upstream;

/// Routes named by where they stand, each with a secret of its own name.
fn start(routes: &[(&str, &str, Option<&str>)]) -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    let mut config = Config::new();
    for (name, path, host) in routes {
        let variable = format!("SECRET_{}", name.to_uppercase());
        let mut route = Route::new(name, path, &upstream)
            .set("provider", "\"itellico\"")
            .set("secrets", &format!("[\"env:{variable}\"]"));
        if let Some(host) = host {
            route = route.set("host", &text(host));
        }
        config = config
            .route(route)
            .env(&variable, &format!("the secret of {name}"));
    }
    (upstream, Gateway::start(&config))
}

fn delivery(route: &str, host: &str, target: &str) -> Delivery {
    Delivery::signed(
        &format!("the secret of {route}"),
        event(),
        &now().to_string(),
    )
    .set("Host", host)
    .target(target)
}

#[test]
fn the_most_specific_route_wins() {
    let (upstream, gateway) = start(&[
        ("all", "/*", None),
        ("short", "/hooks/*", None),
        ("long", "/hooks/a/*", None),
        ("exact", "/hooks/a/b", None),
        ("hosted", "/hooks/a/b", Some("x.example")),
        ("hosted_prefix", "/hooks/*", Some("x.example")),
    ]);
    let mut cases = Cases::new();
    for (host, target, route) in [
        ("a", "/other", "all"),
        ("a", "/hooks/x", "short"),
        ("a", "/hooks/a", "short"),
        ("a", "/hooks/a/x", "long"),
        ("a", "/hooks/a/b", "exact"),
        ("a", "/hooks/a/b?q=1", "exact"),
        ("a", "/hooks/a/bb", "long"),
        ("a", "/hooks/a/B", "long"),
        ("x.example", "/hooks/a/b", "hosted"),
        ("X.EXAMPLE:8080", "/hooks/a/b", "hosted"),
        ("x.example", "/hooks/z", "hosted_prefix"),
        ("y.x.example", "/hooks/a/b", "exact"),
    ] {
        cases.case(&format!("{host}{target}"), || {
            gateway
                .ask(delivery(route, host, target))
                .expect_status(200);
            let request = upstream.last();
            assert_eq!(request.header("X-Verigate-Route").as_deref(), Some(route));
            assert_eq!(request.target, target.as_bytes());
            assert_eq!(request.header("Host").as_deref(), Some(host));
        });
    }
    cases.finish();
}

#[test]
fn an_exact_path_is_matched_byte_for_byte() {
    let (upstream, gateway) = start(&[("one", "/hooks/one", None)]);
    gateway
        .ask(delivery("one", "a", "/hooks/one"))
        .expect_status(200);
    let mut cases = Cases::new();
    for target in [
        "/",
        "/hooks",
        "/hooks/",
        "/hooks/on",
        "/hooks/one/",
        "/hooks/one2",
        "/Hooks/one",
        "/hooks/%6fne",
        "/x/../hooks/one",
        "//hooks/one",
    ] {
        cases.case(target, || {
            gateway
                .ask(delivery("one", "a", target))
                .expect_refusal(404, "no_route")
        });
    }
    cases.finish();
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_host_bound_route_is_for_that_host_only() {
    let (upstream, gateway) = start(&[("one", "/hooks/one", Some("hooks.example.com"))]);
    for host in [
        "hooks.example.com",
        "HOOKS.example.com",
        "hooks.example.com:443",
    ] {
        gateway
            .ask(delivery("one", host, "/hooks/one"))
            .expect_status(200);
    }
    for host in [
        "a",
        "example.com",
        "hooks.example.com.",
        "hooks.example.com.evil",
    ] {
        gateway
            .ask(delivery("one", host, "/hooks/one"))
            .expect_refusal(404, "no_route");
    }
    assert_eq!(upstream.count(), 3);
}

#[test]
fn a_route_takes_the_methods_it_names() {
    let upstream = Upstream::start();
    let route = Route::plain(&upstream).set("methods", "[\"POST\", \"PUT\"]");
    let gateway = Gateway::start(&Config::new().route(route));
    gateway
        .ask(Delivery::plain("put").method("PUT"))
        .expect_status(200);
    assert_eq!(upstream.last().method, "PUT");
    let answer = gateway.ask(Delivery::plain("delete").method("DELETE"));
    answer.expect_refusal(405, "method_not_allowed");
    let mut allowed: Vec<&str> = answer
        .header("Allow")
        .expect("Allow")
        .split(',')
        .map(str::trim)
        .collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["POST", "PUT"]);
}
