//! Orders at an upgrade (contract: Upgrade): the old process finishes what it has begun, for a while.

use super::*;

/// A gateway whose order is under way, its configuration, and the folder of its files.
fn under_way(
    stub: &Stub,
    ports: &Ports,
    upstream: &Upstream,
    dir: &Path,
) -> (Gateway, Config, PathBuf) {
    let folder = counted(dir, &stub.directory());
    let config = config_for(stub, ports, upstream, dir).extra("[state]\ndir = \"state\"");
    let gateway = Gateway::start(&config);
    let is_asked = || !stub.asked("/finalize").is_empty();
    assert!(eventually(LATE, is_asked), "{}", gateway.stderr());
    (gateway, config, folder)
}

#[test]
fn an_order_that_is_under_way_is_finished_before_the_upgrade() {
    let (upstream, ports) = (Upstream::start(), Ports::free());
    let dir = tempfile::tempdir().unwrap();
    let stub = Stub::start(Does::Holds);
    let (mut old, config, folder) = under_way(&stub, &ports, &upstream, dir.path());
    let new = std::thread::scope(|scope| {
        let starting = scope.spawn(|| old.successor(&config));
        assert!(old.says("the upgrade waits"), "{}", old.stderr());
        old.expect_serving();
        stub.issue();
        starting.join().expect("no panic")
    });
    assert!(new.stderr().contains("a certificate is being ordered"));
    // Its certificate is served at once.
    let shown = connect(ports.tls(), NAME, &["http/1.1"]).unwrap();
    assert_eq!(shown.certificate().names, [format!("DNSName({NAME})")]);
    assert!(old.stderr().contains("is in force; it counts until"));
    assert_eq!(
        old.wait_exit(LATE).and_then(|status| status.code()),
        Some(0)
    );
    assert_eq!(orders(&folder), 1);
}

#[test]
#[ignore = "takes half a minute"]
fn an_order_that_does_not_end_holds_an_upgrade_up_for_a_while_only() {
    let (upstream, ports) = (Upstream::start(), Ports::free());
    let dir = tempfile::tempdir().unwrap();
    let stub = Stub::start(Does::Holds);
    let (mut old, config, folder) = under_way(&stub, &ports, &upstream, dir.path());
    let new = old.successor(&config);
    assert!(old.stderr().contains("the upgrade waits no longer"));
    new.expect_serving();
    assert_eq!(
        old.wait_exit(LATE).and_then(|status| status.code()),
        Some(0)
    );
    assert_eq!(orders(&folder), 1);
}
