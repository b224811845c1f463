//! Presets whose signed content says little: what is the same delivery in another spelling, and what are two events that
//! look alike (SPEC 4; ATTACKS RP-18, RP-20). Signatures were made with Python's `hmac`, so they share no fault with the
//! product.

use crate::support::config::{Config, Route, text};
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

fn route(upstream: &Upstream, provider: &str, secret: &str) -> Route {
    Route::new(provider, "/in", upstream)
        .set("provider", &text(provider))
        .set(
            "secrets",
            &format!("[{}]", text(&format!("plain:{secret}"))),
        )
}

#[test]
fn a_braintree_payload_without_its_last_line_feed_is_a_duplicate() {
    let upstream = Upstream::start();
    let gateway =
        Gateway::start(&Config::new().route(route(&upstream, "braintree", "public:private")));
    let delivery = |payload: &str| {
        let form = format!(
            "bt_signature=public%7Cbe38792461cdf359376a2bf538778368a21ec66e&bt_payload={payload}"
        );
        Delivery::unsigned("/in", form).with("Content-Type", "application/x-www-form-urlencoded")
    };
    gateway.ask(delivery("PG4%2B%0A")).expect_status(200);
    for payload in ["PG4%2B%0A", "PG4%2B", "PG4%2b%0a", "PG4%2B&other=1"] {
        gateway.ask(delivery(payload)).expect_duplicate();
    }
    assert_eq!(upstream.count(), 1);
}

#[test]
fn adyens_items_in_another_order_or_twice_are_a_duplicate() {
    let upstream = Upstream::start();
    let key = "00".repeat(31) + "01";
    let gateway = Gateway::start(&Config::new().route(route(&upstream, "adyen", &key)));
    let item = |value: u8| {
        let signature = match value {
            1 => "8dMpcU1hPhTwv1pPx6N35+XQIRH8SBZUjjzMr/AawP4=",
            _ => "mH8wcO2Ee7udDkxRzEE1piQaf/maeJ5G2JBnTtMdbek=",
        };
        format!(
            "{{\"NotificationRequestItem\":{{\"pspReference\":\"p{value}\",\"merchantAccountCode\":\"m\",\
             \"merchantReference\":\"r\",\"amount\":{{\"value\":{value},\"currency\":\"EUR\"}},\
             \"eventCode\":\"AUTHORISATION\",\"success\":\"true\",\
             \"additionalData\":{{\"hmacSignature\":\"{signature}\"}}}}}}"
        )
    };
    let delivery = |values: &[u8]| {
        let items: Vec<_> = values.iter().map(|value| item(*value)).collect();
        Delivery::unsigned(
            "/in",
            format!("{{\"notificationItems\":[{}]}}", items.join(",")),
        )
    };
    gateway.ask(delivery(&[1])).expect_status(200);
    gateway.ask(delivery(&[1, 1])).expect_duplicate();
    gateway.ask(delivery(&[1, 1, 1])).expect_duplicate();
    gateway.ask(delivery(&[1, 2])).expect_status(200);
    gateway.ask(delivery(&[2, 1])).expect_duplicate();
    assert_eq!(upstream.count(), 2);
}

#[test]
fn two_changes_that_dropbox_tells_in_the_same_words_are_two_events() {
    let upstream = Upstream::start();
    let asked = route(&upstream, "dropbox", "app")
        .set("name", "\"asked\"")
        .set("path", "\"/asked\"");
    let routes = Config::new()
        .route(route(&upstream, "dropbox", "app"))
        .route(asked.set("replay", "{}"));
    let gateway = Gateway::start(&routes);
    let delivery = |path: &str| {
        Delivery::unsigned(path, "{\"list_folder\":{\"accounts\":[\"dbid:1\"]}}").with(
            "X-Dropbox-Signature",
            "b6bcd2fbc4b4292ed721fd46eb0be7bd454f0b2978c369eda912845b957ab8e8",
        )
    };
    for _ in 0..3 {
        gateway.ask(delivery("/in")).expect_status(200);
    }
    assert_eq!(upstream.count(), 3);
    gateway.ask(delivery("/asked")).expect_status(200);
    gateway.ask(delivery("/asked")).expect_duplicate();
    assert_eq!(upstream.count(), 4);
}
