//! What a duplicate is answered where the provider wants certain words (SCHEMES 1, `ack`).

use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

#[test]
fn a_duplicate_gets_the_words_of_its_scheme() {
    let upstream = Upstream::start();
    let route = Route::plain(&upstream).scheme(
        "ack",
        "{ status = 202, body = \"Hello API Event Received\", content_type = \"text/plain\" }",
    );
    let gateway = Gateway::start(&Config::new().route(Route::itellico(&upstream)).route(route));
    let body = event();
    gateway
        .ask(Delivery::plain(body.clone()))
        .expect_status(200);
    let again = gateway.ask(Delivery::plain(body));
    again.expect_status(202);
    assert_eq!(again.body, b"Hello API Event Received");
    assert_eq!(again.header("content-type"), Some("text/plain"));
    assert_eq!(upstream.count(), 1, "the duplicate is not forwarded");
}
