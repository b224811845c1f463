//! `upstream_path`: the path under which the app has what the route takes.

use crate::support::config::{Config, Route, text};
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

#[test]
fn the_matched_path_or_prefix_is_replaced_and_the_rest_stays_byte_for_byte() {
    let upstream = Upstream::start();
    let rows = [
        ("/in", "/app/hooks", "/in", "/app/hooks"),
        ("/in", "/app/hooks", "/in?a=%20b&c", "/app/hooks?a=%20b&c"),
        ("/in", "/", "/in?", "/?"),
        (
            "/in/*",
            "/app/",
            "/in/a/b%20c/?d=/in/",
            "/app/a/b%20c/?d=/in/",
        ),
        ("/in/*", "/app", "/in/a", "/app/a"),
        ("/in/*", "/", "/in/in/a", "/in/a"),
        ("/*", "/app", "/in/a", "/app/in/a"),
    ];
    for (path, new, sent, expected) in rows {
        let route = Route::plain(&upstream)
            .set("path", &text(path))
            .set("upstream_path", &text(new));
        let gateway = Gateway::start(&Config::new().route(route));
        let delivery = Delivery::plain("{}").target(sent);
        let answer = gateway.ask(delivery.bytes());
        answer.expect_status(200);
        let target = upstream.last().target.clone();
        assert_eq!(
            String::from_utf8_lossy(&target),
            expected,
            "{path} {new} {sent}"
        );
        let logged = &gateway.log_of(&answer)["path"];
        assert_eq!(*logged, sent.split('?').next().unwrap_or_default());
    }
}

#[test]
fn up_19_no_path_leads_out_of_the_app_s_path() {
    let upstream = Upstream::start();
    let route = Route::plain(&upstream)
        .set("path", "\"/in/*\"")
        .set("upstream_path", "\"/app\"");
    let gateway = Gateway::start(&Config::new().route(route));
    for sent in [
        "/in/../x",
        "/in//x",
        "/in/%2e%2e/x",
        "/in/a/%2e%2e/%2e%2e/x",
        "/in/..;/x",
    ] {
        gateway
            .ask(Delivery::plain("{}").target(sent).bytes())
            .expect_refusal(400, "bad_path");
    }
    assert_eq!(upstream.count(), 0);
    let good = Delivery::plain("{}").target("/in/x");
    gateway.ask(good.bytes()).expect_status(200);
}
