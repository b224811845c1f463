//! `queue` (contract: Command line): what waits in a running gateway, for people and for programs.

use crate::stage::Folder;
use crate::support::behaviour::Behaviour;
use crate::support::config::{Config, Route};
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{LATE, eventually};

const TOKEN: &str = "admin-token-0123456789abcdef";

#[test]
fn what_waits_is_listed_shown_retried_and_discarded_and_a_route_is_paused() {
    let upstream = Upstream::with(Behaviour::status(410));
    let route = Route::itellico(&upstream).set("mode", "\"queue\"");
    let config = Config::new()
        .route(route)
        .extra("[state]\ndir = \"state\"")
        .admin("token", "\"env:ADMIN_TOKEN\"")
        .env("ADMIN_TOKEN", TOKEN);
    let gateway = Gateway::start(&config);
    let folder = Folder::new();
    folder.write("token", TOKEN);
    let admin = gateway.admin_addr().to_string();
    let run = |arguments: &[&str]| {
        let target = ["--admin", &admin, "--token", "file:token"];
        folder.run(["queue"].iter().chain(arguments).chain(&target))
    };
    run(&["list"])
        .expect_code(0)
        .expect_words(&["nothing fits"]);
    for _ in 0..3 {
        gateway.ask(Delivery::fresh().bytes()).expect_status(200);
    }
    let count = |state: &str| {
        let listed = run(&["list", "--state", state, "--json"]).json();
        listed["deliveries"].as_array().map_or(0, Vec::len)
    };
    assert!(eventually(LATE, || count("dead") == 3));
    let listed = run(&["list", "--route", "itellico", "--status", "410"]);
    listed
        .expect_code(0)
        .expect_words(&["ID", "dead", "410", "conversation.ended"]);
    let all = run(&["list", "--json"]).json();
    let id = all["deliveries"][0]["delivery_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let shown = run(&["show", &id]);
    shown.expect_code(0).expect_words(&[
        &id,
        "POST /webhooks/itellico",
        "X-Webhook-Signature-256: …",
        "ATTEMPT",
        " ms  410",
    ]);
    assert!(
        !shown.stdout.contains("event_id\":"),
        "the body is shown only when it is asked for: {shown}"
    );
    run(&["show", &id, "--body"])
        .expect_code(0)
        .expect_words(&["\"event_id\""]);
    run(&["discard", &id])
        .expect_code(0)
        .expect_words(&[&format!("the delivery {id} is gone")]);
    run(&["discard", &id])
        .expect_code(1)
        .expect_words(&["404", "no such delivery"]);
    assert_eq!(count("dead"), 2);
    run(&["discard"]).expect_code(1).expect_words(&["--route"]);
    // Nobody can be asked, so nothing is done.
    run(&["discard", "--state", "dead"])
        .expect_code(1)
        .expect_words(&["discard 2 deliveries", "--yes"]);
    assert_eq!(count("dead"), 2);
    for (command, words) in [
        ("resume", "was not paused"),
        ("pause", "is paused"),
        ("pause", "was paused already"),
    ] {
        run(&[command, "itellico"])
            .expect_code(0)
            .expect_words(&[words]);
    }
    run(&["pause", "nowhere"])
        .expect_code(1)
        .expect_words(&["no route of this name"]);
    upstream.behave(Behaviour::status(200));
    let retried = run(&["retry", "--state", "dead", "--rate", "100/s", "--yes"]);
    retried.expect_code(0).expect_words(&["done: 2 of 2 done"]);
    let said = &retried.stderr;
    let plan = said.split("`verigate queue cancel ").nth(1);
    let plan = plan.and_then(|rest| rest.split('`').next());
    let plan = plan.unwrap_or_default();
    run(&["cancel", plan])
        .expect_code(0)
        .expect_words(&["done: 2 of 2 done"]);
    assert_eq!(count("retrying"), 2, "the route is paused");
    let first = run(&["list", "--limit", "1", "--json"]).json();
    let next = first["next"].to_string();
    let second = run(&["list", "--limit", "1", "--after", &next, "--json"]).json();
    assert_ne!(first["deliveries"], second["deliveries"]);
    assert!(second["next"].is_null(), "{second}");
    run(&["list", "--limit", "1"])
        .expect_code(0)
        .expect_words(&[&format!("`--after {next}`")]);
    for wrong in [["--limit", "0"], ["--since", "yesterday"], ["--after", "x"]] {
        run(&["list", wrong[0], wrong[1]]).expect_code(2);
    }
    run(&["retry", "--state", "dead", "--rate", "fast"])
        .expect_code(2)
        .expect_words(&["`100/s`"]);
    run(&["resume", "itellico"])
        .expect_code(0)
        .expect_words(&["goes on"]);
    assert!(eventually(LATE, || run(&["list"])
        .all()
        .contains("nothing fits")));
}

#[test]
fn the_token_is_that_of_the_configuration_and_is_never_shown() {
    let folder = Folder::new();
    let file = |token: &str| {
        format!(
            "[admin]\nlisten = \"127.0.0.1:1\"\n{token}\n[[route]]\nsecrets = [\"env:NOT_SET\"]\n"
        )
    };
    folder.write("open.toml", file(""));
    folder
        .run(["queue", "list", "--config", "open.toml"])
        .expect_code(1)
        .expect_words(&["`[admin] token`"]);
    folder.write("token", TOKEN);
    folder.write("closed.toml", file("token = \"file:token\""));
    let ended = folder.run(["queue", "list", "--config", "closed.toml"]);
    ended
        .expect_code(1)
        .expect_words(&["127.0.0.1:1", "gives no answer"]);
    ended.expect_hidden(&[TOKEN]);
    let pasted = folder.run(["queue", "list", "--admin", "127.0.0.1:1", "--token", TOKEN]);
    assert_ne!(pasted.code, Some(0));
    pasted.expect_hidden(&[TOKEN]);
    folder
        .run(["queue", "list", "--admin", "127.0.0.1:1"])
        .expect_code(2);
}
