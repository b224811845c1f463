//! PA: path confusion. PA-08 (the same over HTTP/2) belongs to HTTP/2.

use crate::stage::Stage;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event};
use crate::support::now;

/// The catalogue's table, beside the reference receiver's route: exact, prefix, a longer exact, and one bound to a host.
fn stage() -> Stage {
    Stage::with(|upstream| {
        let route = |name: &str, path: &str, variable: &str| {
            Route::new(name, path, upstream)
                .set("provider", "\"itellico\"")
                .set("secrets", &format!("[\"env:{variable}\"]"))
        };
        Config::for_upstream(upstream)
            .route(route("exact", "/hooks/a", "SECRET_A"))
            .route(route("prefix", "/hooks/*", "SECRET_B"))
            .route(route("longer", "/hooks/a/b", "SECRET_L"))
            .route(route("hosted", "/hooks/a", "SECRET_X").set("host", "\"x.example\""))
            .env("SECRET_A", "secret-a")
            .env("SECRET_B", "secret-b")
            .env("SECRET_L", "secret-l")
            .env("SECRET_X", "secret-x")
    })
}

fn delivery(secret: &str, target: impl AsRef<[u8]>) -> Delivery {
    Delivery::signed(secret, event(), &now().to_string()).target(target)
}

/// Each target, signed with the prefix route's secret, is refused with this status and code.
fn refuses_all(stage: &Stage, targets: &[&str], status: u16, code: &str) {
    let mut cases = Cases::new();
    for target in targets {
        cases.case(target, || {
            stage.refuses(delivery("secret-b", target), status, code);
        });
    }
    cases.finish();
}

#[test]
fn pa_01_dot_segments_and_encoded_separators_are_refused_under_a_prefix() {
    let targets = [
        "/hooks/../admin",
        "/hooks/./a",
        "/hooks/x/..",
        "/hooks/..",
        "/hooks/.",
        "/hooks/%2e%2e/x",
        "/hooks/%2E./x",
        "/hooks/.%2e/x",
        "/hooks/x/%2e",
        "/hooks/a%2fb",
        "/hooks/a%2Fb",
        "/hooks/%5cx",
        "/hooks/%5Cx",
    ];
    refuses_all(&stage(), &targets, 400, "bad_path");
}

#[test]
fn pa_02_empty_segments_backslashes_and_parameters_are_refused_under_a_prefix() {
    let stage = stage();
    let refused = [
        "/hooks//a",
        "/hooks/a//",
        "/hooks/x//y",
        "/hooks/x\\y",
        "/hooks/a;v=1",
        "/hooks/..;/x",
    ];
    refuses_all(&stage, &refused, 400, "bad_path");
    refuses_all(&stage, &["//hooks/a", "/hooks\\a"], 404, "no_route");
}

#[test]
fn pa_03_an_encoded_letter_is_not_the_letter() {
    let stage = stage();
    let request = stage.accepts(delivery("secret-b", "/hooks/%61"));
    assert_eq!(request.target, b"/hooks/%61");
    assert_eq!(
        request.header("X-Verigate-Route").as_deref(),
        Some("prefix")
    );
    stage.refuses(delivery("secret-a", "/hooks/%61"), 401, "bad_signature");
}

#[test]
fn pa_04_case_and_a_slash_at_the_end_count() {
    let stage = stage();
    let mut cases = Cases::new();
    for target in ["/hooks/A", "/hooks/a/"] {
        cases.case(target, || {
            let request = stage.accepts(delivery("secret-b", target));
            assert_eq!(
                request.header("X-Verigate-Route").as_deref(),
                Some("prefix")
            );
            assert_eq!(request.target, target.as_bytes());
            stage.refuses(delivery("secret-a", target), 401, "bad_signature");
        });
    }
    for target in ["/HOOKS/a", "/hooks", "/hooksx"] {
        cases.case(target, || {
            stage.refuses(delivery("secret-b", target), 404, "no_route");
        });
    }
    cases.case("empty rest", || {
        stage.refuses(delivery("secret-b", "/hooks/"), 400, "bad_path");
    });
    cases.finish();
}

#[test]
fn pa_05_the_query_is_no_part_of_the_match() {
    let stage = stage();
    for target in ["/hooks/a?x=/../", "/hooks/a?", "/hooks/a?x=%2e%2e%2f//;"] {
        let request = stage.accepts(delivery("secret-a", target));
        assert_eq!(request.target, target.as_bytes());
        assert_eq!(request.header("X-Verigate-Route").as_deref(), Some("exact"));
    }
    stage.rejects(delivery("secret-a", "/hooks/a?#"));
}

#[test]
fn pa_06_encoded_controls_and_broken_escapes_are_refused_under_a_prefix() {
    let stage = stage();
    let refused = [
        "/hooks/a%00",
        "/hooks/%0d%0aX:y",
        "/hooks/%7f",
        "/hooks/%",
        "/hooks/%zz",
        "/hooks/%2",
        "/hooks/x%/y",
        "/hooks/%c0%ae%c0%ae/x",
    ];
    refuses_all(&stage, &refused, 400, "bad_path");
    // The space ends the target: malformed before any route is looked for.
    stage.rejects(delivery("secret-b", "/hooks/%0d%0aX: y"));
    let twice = stage
        .gateway
        .ask(delivery("secret-b", "/hooks/%252e%252e/x"));
    if twice.status == 200 {
        assert_eq!(stage.upstream.last().target, b"/hooks/%252e%252e/x");
    } else {
        twice.expect_refusal(400, "bad_path");
    }
}

#[test]
fn pa_07_a_host_bound_route_takes_its_own_secret_only() {
    let stage = stage();
    let bound = |secret: &str| delivery(secret, "/hooks/a").set("Host", "x.example");
    let request = stage.accepts(bound("secret-x"));
    assert_eq!(
        request.header("X-Verigate-Route").as_deref(),
        Some("hosted")
    );
    stage.refuses(bound("secret-a"), 401, "bad_signature");
    stage.refuses(bound("secret-b"), 401, "bad_signature");
    stage.refuses(delivery("secret-x", "/hooks/a"), 401, "bad_signature");
}

#[test]
fn pa_09_another_routes_secret_opens_nothing() {
    let stage = stage();
    stage.refuses(delivery("secret-b", "/hooks/a"), 401, "bad_signature");
    stage.refuses(delivery("secret-a", "/hooks/a/b"), 401, "bad_signature");
    stage.refuses(delivery("secret-l", "/hooks/other"), 401, "bad_signature");
}
