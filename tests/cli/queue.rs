//! `queue` (contract: Command line): what waits in a running gateway, for people and for programs.

use crate::stage::Folder;
use crate::support::behaviour::Behaviour;
use crate::support::config::{Config, Route};
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{LATE, eventually};

const TOKEN: &str = "admin-token-0123456789abcdef";

/// The account of the deliveries.
const ACCOUNT: &str = "0f0e0d0c-0b0a-4000-8000-000000000001";

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
        .expect_words(&["the queue is empty"]);
    let url = format!("http://{admin}/");
    folder
        .run(["queue", "list", "--admin", &url, "--token", "file:token"])
        .expect_code(0)
        .expect_words(&["the queue is empty"]);
    for _ in 0..3 {
        gateway.ask(Delivery::fresh().bytes()).expect_status(200);
    }
    let count = |state: &str| {
        let listed = run(&["list", "--state", state, "--json"]).json();
        listed["deliveries"].as_array().map_or(0, Vec::len)
    };
    assert!(eventually(LATE, || count("dead") == 3));
    let listed = run(&["list", "--route", "itellico", "--status", "410"]);
    listed.expect_code(0).expect_words(&[
        "ID",
        "dead",
        "410",
        "conversation.ended",
        "ACCOUNT",
        ACCOUNT,
    ]);
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
        ACCOUNT,
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
    for command in ["retry", "discard"] {
        run(&[command])
            .expect_code(2)
            .expect_words(&["ID", "--route"]);
    }
    run(&["list", "--status", "5xx"])
        .expect_code(2)
        .expect_words(&["a number from 100 to 599"]);
    // Nobody can be asked, so nothing is done.
    run(&["discard", "--state", "dead"])
        .expect_code(1)
        .expect_words(&[
            "discard 2 deliveries: 2 of itellico; the oldest came ",
            "gone for good",
            "--yes",
        ]);
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
    run(&["list", "--state", "waiting"])
        .expect_code(0)
        .expect_words(&[
            "nothing fits",
            "route itellico: an operator paused it",
            &format!("`verigate queue resume itellico --admin {admin} --token file:token`"),
        ]);
    let all = run(&["list", "--json"]).json();
    assert_eq!(
        all["routes"][0]["reasons"][0]["reason"], "operator",
        "{all}"
    );
    run(&["pause", "nowhere"])
        .expect_code(1)
        .expect_words(&["no route of this name: the queue has `itellico`"]);
    run(&["list", "--route", "itelico"])
        .expect_code(1)
        .expect_words(&["no route of this name: did you mean `itellico`?"]);
    let one = all["deliveries"][0]["delivery_id"].as_str();
    let one = one.expect("an id");
    let resume = format!("`verigate queue resume itellico --admin {admin} --token file:token`");
    run(&["retry", one]).expect_code(0).expect_words(&[&format!(
        "the delivery {one} is due again, and will not be sent until {resume}"
    )]);
    let offered = run(&["retry", "--state", "dead"]);
    offered.expect_code(1).expect_words(&[
        "the delivery of itellico is held, because an operator paused the route: they are not sent before",
        &resume,
    ]);
    upstream.behave(Behaviour::status(200));
    let retried = run(&["retry", "--state", "dead", "--rate", "100/s", "--yes"]);
    retried.expect_code(0).expect_words(&[
        "the app gets each of them again (at most 100/s",
        "done: 1 of 1 retried",
    ]);
    let said = &retried.stderr;
    let plan = said.split("`verigate queue cancel ").nth(1);
    let plan = plan.and_then(|rest| rest.split('`').next());
    let plan = plan.unwrap_or_default();
    let plan = plan.split_whitespace().next().unwrap_or_default();
    for command in ["plan", "cancel"] {
        run(&[command, plan])
            .expect_code(0)
            .expect_words(&["done: 1 of 1 retried"]);
    }
    let shown = run(&["plan", plan, "--json"]).json();
    assert_eq!(
        (&shown["state"], &shown["done"]),
        (&"done".into(), &1.into())
    );
    run(&["plan", "nowhere"])
        .expect_code(1)
        .expect_words(&["404", "no such plan"]);
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
        .contains("the queue is empty")));
}

#[test]
fn a_route_whose_name_looks_like_an_option_is_operated_by_the_commands_that_are_shown() {
    let upstream = Upstream::with(Behaviour::status(500));
    let named = |name: &str| {
        let route = Route::itellico(&upstream)
            .set("name", &format!("\"{name}\""))
            .set("mode", "\"queue\"");
        Config::new()
            .route(route)
            .extra("[state]\ndir = \"state\"")
            .admin("token", "\"env:ADMIN_TOKEN\"")
            .env("ADMIN_TOKEN", TOKEN)
    };
    let gateway = Gateway::start(&named("-x"));
    gateway.ask(Delivery::fresh().bytes()).expect_status(200);
    let folder = Folder::new();
    folder.write("token", TOKEN);
    let admin = gateway.admin_addr().to_string();
    let target = format!("--admin {admin} --token file:token");
    let run = |command: &str| folder.run(command.split(' '));
    run(&format!("queue pause {target} -- -x"))
        .expect_code(0)
        .expect_words(&["the route -x is paused"]);
    let resume = format!("queue resume {target} -- -x");
    run(&format!("queue list {target}"))
        .expect_code(0)
        .expect_words(&[&format!("`verigate {resume}`"), "held"]);
    run(&resume).expect_code(0).expect_words(&["goes on"]);
    gateway.rewrite(&named("other"));
    let token = format!("Bearer {TOKEN}");
    let reload = gateway.admin("POST", "/reload", &[("Authorization", &token)], "");
    reload.expect_status(200);
    let discard = format!("queue discard --route=-x {target}");
    run(&format!("queue resume {target} -- -x"))
        .expect_code(0)
        .expect_words(&[
            "the route -x was not paused, and the configuration has no such route",
            "1 delivery is held",
            &format!("`verigate {discard}`"),
        ]);
    run(&format!("queue retry --route=-x {target} --yes"))
        .expect_code(0)
        .expect_words(&[
            "done: 1 of 1 retried",
            "the delivery of -x is held, because the configuration has no route of that name",
        ]);
    run(&format!("{discard} --yes"))
        .expect_code(0)
        .expect_words(&["done: 1 of 1 discarded"]);
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
    ended.expect_code(1).expect_words(&[
        "no gateway answers at 127.0.0.1:1, the `admin.listen` of closed.toml",
        "`verigate run --config closed.toml`",
        "`--admin ADDR --token REF`",
    ]);
    ended.expect_hidden(&[TOKEN]);
    folder
        .run([
            "queue",
            "list",
            "--admin",
            "127.0.0.1:1",
            "--token",
            "file:token",
        ])
        .expect_code(1)
        .expect_words(&[
            "no gateway answers at 127.0.0.1:1",
            "`--admin` is the `admin.listen`",
        ]);
    let pasted = folder.run(["queue", "list", "--admin", "127.0.0.1:1", "--token", TOKEN]);
    assert_ne!(pasted.code, Some(0));
    pasted.expect_hidden(&[TOKEN]);
    folder
        .run(["queue", "list", "--admin", "127.0.0.1:1"])
        .expect_code(2);
    let secure = "https://127.0.0.1:1";
    folder
        .run(["queue", "list", "--admin", secure, "--token", "file:token"])
        .expect_code(2)
        .expect_words(&["plain HTTP", "`127.0.0.1:9090`"]);
}

#[test]
fn a_configuration_with_problems_ends_every_command_that_reads_one_with_status_2() {
    let folder = Folder::new();
    folder.write("bad.toml", "[admin]\nlisten = \"9090\"\n");
    for file in ["nowhere.toml", "bad.toml"] {
        for command in [
            &["check"][..],
            &["run"],
            &["queue", "list"],
            &["queue", "pause", "shop"],
            &["state", "info", "."],
            &["state", "check", "."],
        ] {
            folder
                .run(command.iter().chain(&["--config", file]))
                .expect_code(2)
                .expect_words(&[file]);
        }
    }
}

#[test]
fn a_wrong_token_is_told_from_where_it_came_and_what_would_be_right() {
    const WRONG: &str = "wrong-token-0123456789abcdef";
    let upstream = Upstream::start();
    let config = Config::new()
        .route(Route::itellico(&upstream).set("mode", "\"queue\""))
        .extra("[state]\ndir = \"state\"")
        .admin("token", "\"env:ADMIN_TOKEN\"")
        .env("ADMIN_TOKEN", TOKEN);
    let gateway = Gateway::start(&config);
    let admin = gateway.admin_addr().to_string();
    let folder = Folder::new();
    folder.write("wrong", WRONG);
    let file = format!("[admin]\nlisten = \"{admin}\"\ntoken = \"file:wrong\"\n");
    folder.write("closed.toml", file);
    let by_option = ["queue", "list", "--admin", &admin, "--token", "file:wrong"];
    let by_file = ["queue", "list", "--config", "closed.toml"];
    let right = "right is the `admin.token` of the configuration that the gateway has in force";
    for (arguments, tried) in [
        (&by_option[..], "tried was that of `--token`"),
        (&by_file, "tried was `admin.token` of closed.toml"),
    ] {
        let ended = folder.run(arguments);
        ended.expect_code(1).expect_words(&[
            &admin,
            "does not take the admin token (401)",
            tried,
            right,
        ]);
        ended.expect_hidden(&[WRONG, TOKEN]);
    }
    // After ten of them the gateway answers no more.
    for _ in 0..9 {
        folder.run(by_file).expect_code(1);
    }
    let ended = folder.run(by_file);
    ended.expect_code(1).expect_words(&[
        "ends the connection without an answer",
        "ten of them",
        right,
    ]);
    ended.expect_hidden(&[WRONG, TOKEN]);
    let traffic = gateway.addr().to_string();
    let elsewhere = folder.run([
        "queue",
        "list",
        "--admin",
        &traffic,
        "--token",
        "file:wrong",
    ]);
    elsewhere.expect_code(1);
    elsewhere.expect_hidden(&[WRONG]);
}
