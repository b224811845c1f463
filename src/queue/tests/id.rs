//! The ids of deliveries as they are written and read.

use crate::clock::UnixMillis;
use crate::queue::DeliveryId;

#[test]
fn an_id_is_a_uuid_of_version_7_and_reads_back() {
    let id = DeliveryId::new(UnixMillis(0x0190_1234_5678), [0xff; 10]);
    let text = id.to_string();
    assert_eq!(text, "01901234-5678-7fff-bfff-ffffffffffff");
    assert_eq!(DeliveryId::parse(&text), Some(id));
    assert_eq!(id.received(), UnixMillis(0x0190_1234_5678));
    for wrong in [
        "",
        "01901234-5678-7fff-bfff-fffffffffff",
        "01901234-5678-7fff-bfff-ffffffffffff0",
        "01901234-5678-7fff-bfff-FFFFFFFFFFFF",
        "01901234-5678-7fff-bfff_ffffffffffff",
        "019012345678-7fff-bfff-ffffffffffff--",
        "+1901234-5678-7fff-bfff-ffffffffffff",
    ] {
        assert_eq!(DeliveryId::parse(wrong), None, "{wrong}");
    }
}
