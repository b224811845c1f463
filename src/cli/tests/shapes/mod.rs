//! Deliveries broken as real life breaks them: every kind of damage (`kinds`) done to the deliveries
//! of every sender that it can be done to (`senders`). What `explain` says of each is compared with
//! what the kind allows: never another cause as confirmed, and a cause for nearly all.

mod bodies;
mod kinds;
mod nulls;
mod secrets;
mod senders;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::kinds::Kind;
use self::senders::Delivery;
use crate::config::presets;
use crate::explain::{Around, Case, Explanation, Finding, explain};

/// What `explain` says of a delivery.
#[derive(Clone, Debug)]
struct Said {
    /// The mistake, and whether a signature confirms it.
    cause: Option<(&'static str, bool)>,
    besides: Option<&'static str>,
    text: String,
}

fn said(delivery: &Delivery) -> Said {
    let schemes: Vec<_> = presets::all().iter().map(|preset| &preset.scheme).collect();
    let around = Around {
        presets: &schemes,
        routes: &[],
        is_unconfirmed: false,
    };
    let head = delivery.head();
    let (settings, secrets) = (delivery.settings(), delivery.secrets());
    let case = Case {
        scheme: &delivery.scheme,
        settings: &settings,
        secrets: &secrets,
        head: &head,
        body: &delivery.body,
        now: delivery.now(),
    };
    let named =
        |mistake: &crate::explain::Mistake| format!("{} Fix: {}", mistake.sentence, mistake.fix);
    match explain(&case, &around) {
        Explanation::Valid(_) => Said {
            cause: None,
            besides: None,
            text: "valid".to_owned(),
        },
        Explanation::Mistaken {
            finding: Finding { mistake, .. },
            besides,
            ..
        } => Said {
            cause: Some((mistake.name, true)),
            besides: besides.map(|also| also.name),
            text: named(&mistake),
        },
        Explanation::Suspected {
            mistake, besides, ..
        } => Said {
            cause: Some((mistake.name, false)),
            besides: besides.map(|also| also.name),
            text: named(&mistake),
        },
        Explanation::Unexplained { besides, .. } => Said {
            cause: None,
            besides: besides.as_ref().map(|also| also.name),
            text: besides.map_or_else(String::new, |also| also.sentence.to_string()),
        },
    }
}

/// A broken delivery of the table.
struct Shape {
    kind: &'static Kind,
    delivery: Delivery,
}

/// The table: every kind for every sender to which it can be done, as many as `each` says.
fn shapes(each: usize) -> Vec<Shape> {
    let senders = senders::all();
    let mut shapes = Vec::new();
    for (place, kind) in kinds::all().into_iter().enumerate() {
        // Another sender comes first for each kind, so that all senders have their turn.
        let turned = senders.iter().cycle().skip(place * 5 % senders.len());
        let fitting = turned.take(senders.len()).filter_map(|sender| {
            let mut delivery = sender.clone();
            (kind.spoil)(&mut delivery).map(|()| Shape { kind, delivery })
        });
        shapes.extend(fitting.take(each));
    }
    shapes
}

/// Judges all shapes on all cores.
fn judged(shapes: &[Shape]) -> Vec<Said> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(shape) = shapes.get(place) else {
                        break;
                    };
                    let result = said(&shape.delivery);
                    results.lock().unwrap().insert(place, result);
                }
            });
        }
    });
    results.into_inner().unwrap().into_values().collect()
}

#[test]
fn every_sender_s_delivery_is_valid_before_it_is_broken() {
    let wrong: Vec<_> = senders::all()
        .iter()
        .filter_map(|sender| {
            let found = said(sender);
            (found.text != "valid").then_some((sender.provider, found))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(senders::all().len() >= 15);
}

#[test]
fn three_hundred_broken_deliveries_get_their_cause_and_none_another_one() {
    let shapes = shapes(2);
    let judged = judged(&shapes);
    let mut unnamed = Vec::new();
    let mut mistaken = Vec::new();
    let mut matrix: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
    for (shape, said) in shapes.iter().zip(&judged) {
        let row = format!("{} / {}", shape.kind.name, shape.delivery.provider);
        let cause = said
            .cause
            .map(|(name, is_sure)| format!("{name}{}", if is_sure { "" } else { "?" }));
        let cell = cause.clone().unwrap_or_else(|| "-".to_owned());
        *matrix
            .entry(shape.kind.name)
            .or_default()
            .entry(cell)
            .or_default() += 1;
        let is_allowed = |name: &str| shape.kind.causes.contains(&name);
        match said.cause {
            // The verifier takes such a spelling.
            None if said.text == "valid" => {}
            None if said.besides.is_some_and(is_allowed) => {}
            None => unnamed.push(format!("{row}: {}", said.text)),
            Some((name, _)) if is_allowed(name) || said.besides.is_some_and(is_allowed) => {}
            Some(_) => mistaken.push(format!(
                "{row}: {}: {}",
                cause.unwrap_or_default(),
                said.text
            )),
        }
    }
    let table: Vec<_> = matrix
        .iter()
        .map(|(kind, cells)| format!("{kind}: {cells:?}"))
        .collect();
    let providers: BTreeSet<_> = shapes.iter().map(|shape| shape.delivery.provider).collect();
    println!(
        "{} shapes, {} providers\n{}",
        shapes.len(),
        providers.len(),
        table.join("\n")
    );
    assert!(
        mistaken.is_empty(),
        "{} mistaken: {mistaken:#?}",
        mistaken.len()
    );
    assert!(shapes.len() >= 300 && providers.len() >= 15);
    assert!(
        unnamed.len() * 20 <= shapes.len(),
        "{} of {} have no cause: {unnamed:#?}",
        unnamed.len(),
        shapes.len()
    );
}

#[test]
fn a_delivery_signed_with_another_secret_has_no_confirmed_cause() {
    let senders = senders::all();
    let signing: Vec<_> = senders
        .iter()
        .filter(|sender| sender.resign.is_some())
        .collect();
    let count = AtomicUsize::new(0);
    let mut shapes = Vec::new();
    for number in 0..100 {
        let sender = signing[number % signing.len()];
        let mut delivery = (*sender).clone();
        delivery.sign_with_another_secret(number);
        shapes.push(Shape {
            kind: kinds::all()[0],
            delivery,
        });
    }
    let wrong: Vec<_> = shapes
        .iter()
        .zip(judged(&shapes))
        .filter_map(|(shape, said)| {
            count.fetch_add(1, Ordering::Relaxed);
            let is_confirmed = said.cause.is_some_and(|(_, is_sure)| is_sure);
            (is_confirmed || said.text == "valid").then_some((shape.delivery.provider, said))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(count.into_inner(), 100);
}
