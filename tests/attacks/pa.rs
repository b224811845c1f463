//! PA: path confusion, over the socket. PA-08 (the same over HTTP/2) waits for HTTP/2.
//!
//! One row for each way in which a path may end. The table with every row is that of the function that decides:
//! `src/routes/tests.rs`.

use crate::stage::Stage;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event};
use crate::support::now;

/// How a row ends: forwarded by this route, or refused.
enum End {
    By(&'static str),
    Refused(u16, &'static str),
}

use End::{By, Refused};

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
            .route(route("only-hosted", "/hooks/only-x", "SECRET_X").set("host", "\"x.example\""))
            .env("SECRET_A", "secret-a")
            .env("SECRET_B", "secret-b")
            .env("SECRET_L", "secret-l")
            .env("SECRET_X", "secret-x")
    })
}

#[test]
fn each_way_in_which_a_path_may_end() {
    const BAD_PATH: End = Refused(400, "bad_path");
    const NO_ROUTE: End = Refused(404, "no_route");
    const BAD_SIGNATURE: End = Refused(401, "bad_signature");
    let stage = stage();
    let mut cases = Cases::new().http1_only(
        "a target that the protocol rejects or cuts",
        &[
            "PA-05 a/hooks/a?# with secret-a",
            "PA-06 a/hooks/%0d%0aX: y with secret-b",
        ],
    );
    for (row, secret, host, target, end) in [
        ("PA-01", "secret-b", "a", "/hooks/../admin", BAD_PATH),
        ("PA-01", "secret-b", "a", "/hooks/%2E./x", BAD_PATH),
        ("PA-01", "secret-b", "a", "/hooks/a%2fb", BAD_PATH),
        ("PA-02", "secret-b", "a", "/hooks//a", BAD_PATH),
        ("PA-02", "secret-b", "a", "/hooks/x\\y", BAD_PATH),
        ("PA-02", "secret-b", "a", "/hooks/..;/x", BAD_PATH),
        ("PA-02", "secret-b", "a", "/hooks\\a", NO_ROUTE),
        ("PA-03", "secret-b", "a", "/hooks/%61", BAD_PATH),
        ("PA-03", "secret-a", "a", "/hooks/%61", BAD_PATH),
        ("PA-03", "secret-b", "a", "/hooks/c%2dd", BAD_PATH),
        ("PA-03", "secret-b", "a", "/hooks/%7Euser", BAD_PATH),
        ("PA-03", "secret-b", "a", "/hooks/%2561", BAD_PATH),
        ("PA-04", "secret-b", "a", "/hooks/A", BAD_PATH),
        ("PA-04", "secret-b", "a", "/hooks/a/", BAD_PATH),
        ("PA-04", "secret-b", "a", "/hooks/A/b/", BAD_PATH),
        ("PA-04", "secret-b", "a", "/hooks/C/", By("prefix")),
        ("PA-04", "secret-b", "a", "/HOOKS/a", NO_ROUTE),
        ("PA-04", "secret-b", "a", "/hooks/", BAD_PATH),
        (
            "PA-05",
            "secret-a",
            "a",
            "/hooks/a?x=%2e%2e%2f/../;",
            By("exact"),
        ),
        ("PA-05", "secret-a", "a", "/hooks/a?", By("exact")),
        (
            "PA-05",
            "secret-a",
            "a",
            "/hooks/a?#",
            Refused(400, "bad_request"),
        ),
        ("PA-06", "secret-b", "a", "/hooks/%0d%0aX:y", BAD_PATH),
        ("PA-06", "secret-b", "a", "/hooks/%zz", BAD_PATH),
        ("PA-06", "secret-b", "a", "/hooks/%252e%252e/x", BAD_PATH),
        // The space ends the target, so the request is malformed before a route is looked for.
        (
            "PA-06",
            "secret-b",
            "a",
            "/hooks/%0d%0aX: y",
            Refused(400, "bad_request"),
        ),
        (
            "PA-07",
            "secret-x",
            "X.EXAMPLE:8080",
            "/hooks/a",
            By("hosted"),
        ),
        ("PA-07", "secret-a", "x.example", "/hooks/a", BAD_SIGNATURE),
        (
            "PA-07",
            "secret-x",
            "y.x.example",
            "/hooks/a",
            BAD_SIGNATURE,
        ),
        ("PA-10", "secret-b", "a", "/hooks/only-x", BAD_PATH),
        (
            "PA-10",
            "secret-b",
            "y.example.",
            "/hooks/Only-x/",
            BAD_PATH,
        ),
        (
            "PA-10",
            "secret-x",
            "x.example.",
            "/hooks/only-x",
            By("only-hosted"),
        ),
        ("PA-09", "secret-b", "a", "/hooks/a", BAD_SIGNATURE),
        ("PA-09", "secret-a", "a", "/hooks/a/b", BAD_SIGNATURE),
        ("PA-09", "secret-l", "a", "/hooks/a/b?q=1", By("longer")),
    ] {
        cases.case(&format!("{row} {host}{target} with {secret}"), || {
            let delivery = Delivery::signed(secret, event(), &now().to_string())
                .set("Host", host)
                .target(target);
            match end {
                Refused(status, code) => drop(stage.refuses(delivery, status, code)),
                By(route) => {
                    let request = stage.accepts(delivery);
                    assert_eq!(request.header("X-Verigate-Route").as_deref(), Some(route));
                    assert_eq!(request.target, target.as_bytes());
                    assert_eq!(request.header("Host").as_deref(), Some(host));
                }
            }
        });
    }
    cases.finish();
}
