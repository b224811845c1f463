//! `[route.params]`: the texts of a route that its scheme signs.

use super::good;
use super::problems::each_says;

/// A route of a preset with a param, and these lines.
fn route(lines: &str) -> String {
    let route = super::ROUTE.replace("itellico", "tiktok-shop");
    format!("{route}{lines}\n")
}

#[test]
fn a_signed_text_of_the_route_is_needed_and_becomes_a_part_of_the_template() {
    let config = good(&route("params = { app_key = \"123abc\" }"));
    let scheme = &config.routes[0].scheme;
    assert_eq!(scheme.params(), Vec::<&str>::new());
    let parts = format!("{:?}", scheme.parts());
    assert_eq!(parts, "[Literal(\"123abc\"), Body]");
    assert!(scheme.preset, "the rest is the preset's");
}

#[test]
fn what_is_wrong_with_params_is_said() {
    let long = "a".repeat(257);
    each_says(&[
        (
            route(""),
            "`{param:app_key}` is signed, and the route has no such param",
        ),
        (
            route("params = { app_key = \"\" }\n"),
            "`route.params.app_key` is empty",
        ),
        (
            route(&format!("params = {{ app_key = \"{long}\" }}")),
            "is longer than 256 bytes",
        ),
        (
            route("params = { app_key = \"a\\n\" }"),
            "holds a control character, or a space at an end",
        ),
        (
            route("params = { app_key = \"env:APP_KEY\" }"),
            "a param is no secret",
        ),
        (
            route("params = { app_key = \"a\", shop = \"b\" }"),
            "`shop` is no param of this scheme",
        ),
        (
            route("params = { app_key = 1 }"),
            "must be a string, not an integer",
        ),
        (
            format!("{}params = {{ app_key = \"a\" }}\n", super::ROUTE),
            "the scheme signs no text of the route",
        ),
    ]);
}
