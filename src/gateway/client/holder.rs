//! Who a client is where something is shared out: an IPv4 address, or an IPv6 network (contract:
//! Shares).
//!
//! Whoever has an IPv6 address mostly has 2^64 of them, so a client is its /64. Its /48, the most
//! that a site usually gets, has a share of its own, so that a site cannot multiply itself by
//! 65,536.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network whose share is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network {
    first: IpAddr,
    prefix: u8,
}

/// A client that holds shares, and the site to which it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The client: an IPv4 address or a /64.
    pub(crate) own: Network,
    /// The /48 of an IPv6 client; `None` for IPv4.
    pub(crate) site: Option<Network>,
}

impl Holder {
    /// The holder behind an address. All clients without an address are a single client.
    ///
    /// An IPv4 address that is written as IPv6 counts as IPv4: mapped (`::ffff:0:0/96`, RFC 4291),
    /// or translated (`64:ff9b::/96`, RFC 6052), where all of IPv4 would be a single /64.
    pub(crate) fn of(address: Option<IpAddr>) -> Self {
        let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        match address.to_canonical() {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => match address.segments() {
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                    Self::of_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
                }
                [a, b, c, d, ..] => Self {
                    own: Network {
                        first: Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into(),
                        prefix: 64,
                    },
                    site: Some(Network {
                        first: Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into(),
                        prefix: 48,
                    }),
                },
            },
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        Self {
            own: Network {
                first: address.into(),
                prefix: 32,
            },
            site: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Holder {
        Holder::of(Some(address.parse().unwrap()))
    }

    #[test]
    fn rx_22_a_client_is_an_ipv4_address_or_a_64_and_its_site_the_48() {
        // Two addresses, whether they are the same client, and whether they are of the same site.
        let rows = [
            ("192.0.2.1", "192.0.2.1", true, false),
            ("192.0.2.1", "192.0.2.2", false, false),
            ("192.0.2.1", "::ffff:192.0.2.1", true, false),
            ("192.0.2.1", "64:ff9b::192.0.2.1", true, false),
            ("64:ff9b::192.0.2.1", "64:ff9b::192.0.2.2", false, false),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true, true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false, true),
            ("2001:db8:1::1", "2001:db8:2::1", false, false),
            // 6to4: the /48 belongs to an IPv4 address, and all its networks to the same site.
            ("2002:c000:201:1::1", "2002:c000:201:2::1", false, true),
            ("2002:c000:201:1::1", "2002:c000:202:1::1", false, false),
        ];
        for (one, other, is_client, is_site) in rows {
            let (one_of, other_of) = (of(one), of(other));
            assert_eq!(one_of.own == other_of.own, is_client, "{one} and {other}");
            let same_site = one_of.site.is_some() && one_of.site == other_of.site;
            assert_eq!(same_site, is_site, "the site of {one} and {other}");
        }
        let first = of("2001:db8:1::1");
        assert_ne!(Some(first.own), first.site, "the first /64 is not its /48");
        assert_eq!(Holder::of(None), of("0.0.0.0"));
    }
}
