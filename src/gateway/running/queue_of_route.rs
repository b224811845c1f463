//! The part of a route in the queue: its number, its order key, and its settings for the schedule
//! (contract: Queue).

use std::borrow::Cow;

use crate::config;
use crate::config::queue::{Mode, OrderBy};
use crate::notation::json::{Places, Slot};
use crate::queue::{RouteNumber, Settings};

/// The part of a route in the queue.
pub(crate) struct QueueOfRoute {
    /// Its number.
    pub(crate) number: RouteNumber,
    /// Whether it stores what it takes, or only delivers what it took before.
    pub(crate) accepts: bool,
    order: Option<Order>,
}

/// Where the order key of a delivery is.
enum Order {
    All,
    Account,
    Json(Box<(Places, Slot)>),
}

/// The longest order key that is read.
const LONGEST_KEY: usize = 1024;

impl QueueOfRoute {
    /// The part of this route, which has this number in the store.
    pub(crate) fn of(route: &config::Route, number: RouteNumber) -> Self {
        let order = route.queue.order_by.as_ref().map(|order| match order {
            OrderBy::All => Order::All,
            OrderBy::Account => Order::Account,
            OrderBy::Pointer(pointer) => {
                let mut places = Places::default();
                let slot = places.add(pointer);
                Order::Json(Box::new((places, slot)))
            }
        });
        Self {
            number,
            accepts: route.mode == Mode::Queue,
            order,
        }
    }

    /// The order key of a delivery of this account with this signed body; `None`: it has no order. A
    /// body in which a key on the way to the value is there twice has none either, since apps disagree
    /// about which one counts.
    pub(crate) fn order_key<'t>(
        &self,
        account: Option<&'t str>,
        body: &[u8],
    ) -> Option<Cow<'t, str>> {
        match self.order.as_ref()? {
            Order::All => Some(Cow::Borrowed("")),
            Order::Account => account.map(Cow::Borrowed),
            Order::Json(place) => {
                let (places, slot) = &**place;
                let values = places.scan(body).ok()?;
                values
                    .at(*slot)
                    .string_or_integer(LONGEST_KEY)
                    .map(Cow::Owned)
            }
        }
    }
}

/// The settings of a route for the schedule.
pub(crate) fn settings(route: &config::Route) -> Settings {
    let queue = &route.queue;
    Settings {
        retry: queue.retry.clone(),
        max_age: queue.max_age,
        dead_on: queue.dead_on.clone(),
        keep_dead: queue.keep_dead,
        concurrency: queue.concurrency,
        rate: queue.rate,
        max_bytes: queue.max_bytes,
        max_deliveries: queue.max_deliveries,
        is_ordered: queue.order_by.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notation::json::Pointer;

    #[test]
    fn a_body_with_a_key_on_the_way_twice_has_no_order() {
        let mut places = Places::default();
        let slot = places.add(&Pointer::parse("/order/id").unwrap());
        let own = QueueOfRoute {
            number: RouteNumber(1),
            accepts: true,
            order: Some(Order::Json(Box::new((places, slot)))),
        };
        for (body, expected) in [
            (r#"{"order":{"id":"a"}}"#, Some("a")),
            (r#"{"order":{"id":7}}"#, Some("7")),
            (
                r#"{"id":1,"id":2,"order":{"x":1,"x":2,"id":"a"}}"#,
                Some("a"),
            ),
            (r#"{"order":{"id":"a","id":"b"}}"#, None),
            (r#"{"order":{"id":"a","id":"a"}}"#, None),
            (r#"{"order":{"id":"a","\u0069d":"b"}}"#, None),
            (r#"{"order":{"id":"a","ID":"b"}}"#, None),
            (r#"{"order":{"id":"a"},"order":{"id":"b"}}"#, None),
            (r#"{"order":{"id":"a"},"Order":1}"#, None),
            (r#"{"order":{"id":null}}"#, None),
            ("{}", None),
        ] {
            let found = own.order_key(None, body.as_bytes());
            assert_eq!(found.as_deref(), expected, "{body}");
        }
    }
}
