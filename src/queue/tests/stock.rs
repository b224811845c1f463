//! Limits, counts and lists.

use super::*;

#[test]
fn room_is_counted_for_the_route_and_for_all() {
    let settings = Settings {
        max_bytes: 3000,
        max_deliveries: 3,
        ..Settings::default()
    };
    let mut bench = Bench::new(settings);
    let other = RouteNumber(8);
    let room = bench.queue.admit(ROUTE, 1000).unwrap();
    let second = bench.queue.admit(ROUTE, 2000).unwrap();
    assert_eq!(bench.queue.admit(ROUTE, 1).unwrap_err(), Full::Route);
    assert!(bench.queue.admit(other, 1 << 30).is_ok());
    drop(second);
    bench.add(1);
    drop(room);
    assert!(bench.queue.admit(ROUTE, 2000).is_ok());
    assert_eq!(bench.queue.admit(ROUTE, 2001).unwrap_err(), Full::Route);
    // Dead letters count too.
    bench.add(2);
    bench.lease();
    bench.end_with(1, 410);
    let room = bench.queue.admit(ROUTE, 0).unwrap();
    assert_eq!(bench.queue.admit(ROUTE, 0).unwrap_err(), Full::Route);
    assert_eq!(bench.queue.admit(other, u64::MAX).unwrap_err(), Full::All);
    drop(room);
    bench.queue.discard(Number(1), bench.now());
    assert!(bench.queue.admit(ROUTE, 2000).is_ok());
}

#[test]
fn deliveries_are_counted_by_state() {
    let mut bench = Bench::new(Settings::default());
    for number in 1..=6 {
        bench.add(number);
        bench.pass(1.0);
    }
    let received = |number| bench.listed(number).delivery.id.received();
    let [first, second, third] = [1, 2, 3].map(received);
    assert_eq!(bench.status().oldest, Some(first));
    bench.begin_all();
    bench.end_with(1, 410);
    bench.end_with(2, 500);
    bench.end_with(4, 200);
    let status = bench.status();
    let counts = Counts {
        waiting: 3,
        retrying: 1,
        dead: 1,
        held: 0,
        bytes: 5000,
    };
    assert_eq!((status.counts, status.in_flight), (counts, 3));
    assert_eq!(status.oldest, Some(second));
    bench.queue.discard(Number(2), bench.now());
    assert_eq!(bench.status().oldest, Some(third));
    bench.queue.retry(Number(1), bench.now());
    assert_eq!(bench.status().oldest, Some(first));
    for number in [1, 3, 5, 6] {
        bench.lease();
        bench.end_with(number, 200);
    }
    let status = bench.status();
    assert_eq!((status.counts, status.oldest), (Counts::default(), None));
}

#[test]
fn lists_are_filtered_and_come_in_pages() {
    let mut bench = Bench::new(Settings::default());
    let other = RouteNumber(8);
    for number in 1..=40 {
        let delivery = Delivery {
            route: if number % 4 == 0 { other } else { ROUTE },
            ..bench.fresh(number)
        };
        bench.queue.add(&delivery, bench.now());
        bench.pass(1.0);
    }
    for number in bench.begin_all() {
        bench.end_with(number, if number == 3 { 410 } else { 500 });
    }
    let now = bench.now();
    let numbers = |filter: Filter| {
        let page = bench.queue.list(&filter, None, 100, now);
        assert_eq!(page.next, None);
        let listed = page.deliveries.iter();
        listed
            .map(|listed| listed.delivery.number.0)
            .collect::<Vec<_>>()
    };
    let all = Filter::default();
    assert_eq!(numbers(all).len(), 40);
    let of_other = Filter {
        route: Some(other),
        ..all
    };
    assert_eq!(numbers(of_other).len(), 10);
    let dead = Filter {
        state: Some(State::Dead),
        ..all
    };
    assert_eq!(numbers(dead), [3]);
    let status = Filter {
        status: Some(500),
        route: Some(ROUTE),
        ..all
    };
    assert_eq!(numbers(status)[..3], [1, 2, 5]);
    let since = Filter {
        since: Some(UnixMillis(now.wall.0 - 2000)),
        ..all
    };
    assert_eq!(numbers(since), [39, 40]);
    let unknown = Filter {
        route: Some(RouteNumber(99)),
        ..all
    };
    assert_eq!(numbers(unknown), [0; 0]);
    // Pages.
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = bench.queue.list(&of_other, after, 3, now);
        assert!(page.deliveries.len() <= 3);
        found.extend(page.deliveries.iter().map(|of| of.delivery.number.0));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, (1..=10).map(|number| number * 4).collect::<Vec<_>>());
    let listed = bench.listed(17);
    assert_eq!(bench.queue.find(listed.delivery.id), Some(Number(17)));
    assert_eq!(bench.queue.find(DeliveryId(1)), None);
}

#[test]
fn one_call_looks_at_ten_thousand_deliveries_at_most() {
    let mut bench = Bench::new(Settings::default());
    for number in 1..=25_000 {
        bench.add(number);
    }
    let filter = Filter {
        state: Some(State::Dead),
        ..Filter::default()
    };
    let mut calls = 0;
    let mut after = None;
    loop {
        let page = bench.queue.list(&filter, after, 10, bench.now());
        calls += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(calls, 3);
}

#[test]
fn what_is_stored_reads_back() {
    let mut bench = Bench::new(Settings::default());
    for number in 1..=4 {
        let delivery = Delivery {
            account: (number % 2 == 0).then_some(Mark(number)),
            order: (number > 2).then_some(Mark(9)),
            ..bench.fresh(number)
        };
        bench.queue.add(&delivery, bench.now());
        assert_eq!(bench.listed(number).delivery, delivery);
        // Added once more, it changes nothing.
        bench.queue.add(&delivery, bench.now());
    }
    bench.begin_all();
    bench.end_with(1, 410);
    bench.end_with(2, 500);
    let stored = bench.stored();
    assert_eq!(stored.len(), 4);
    let next = bench.restart(0.0, Settings::default(), &stored);
    assert_eq!(next.stored(), stored);
}
