//! Whether a point lies on NIST curve P-256 (SP 800-186 3.2.1.3).
//!
//! The verifying library makes the same check, but only together with a signature. A key that can
//! verify nothing should be a problem of the configuration at load, not of every delivery. The
//! arithmetic is simple rather than fast, and its time depends on the point, which is public.
//! Nothing else uses it.

/// A number modulo p in words of 64 bits, the least significant first.
type Element = [u64; 4];

/// p = 2^256 - 2^224 + 2^192 + 2^96 - 1
const P: Element = [
    0xffff_ffff_ffff_ffff,
    0x0000_0000_ffff_ffff,
    0,
    0xffff_ffff_0000_0001,
];
/// The curve's b; its a is -3.
const B: Element = [
    0x3bce_3c3e_27d2_604b,
    0x651d_06b0_cc53_b0f6,
    0xb3eb_bd55_7698_86bc,
    0x5ac6_35d8_aa3a_93e7,
];

/// Whether the bytes are 0x04, x and y with both coordinates less than p and y^2 = x^3 - 3x + b.
pub(super) fn is_uncompressed_p256(bytes: &[u8; 65]) -> bool {
    let [4, coordinates @ ..] = bytes else {
        return false;
    };
    let (x, y) = coordinates.split_at(32);
    let (Some(x), Some(y)) = (element(x), element(y)) else {
        return false;
    };
    let right = add(multiply(subtract(multiply(x, x), [3, 0, 0, 0]), x), B);
    multiply(y, y) == right
}

/// The number of 32 big-endian bytes; `None` if it is not less than p.
fn element(bytes: &[u8]) -> Option<Element> {
    let mut number = [0; 4];
    for (word, part) in number.iter_mut().zip(bytes.rchunks_exact(8)) {
        *word = u64::from_be_bytes(part.try_into().ok()?);
    }
    is_less(&number, &P).then_some(number)
}

fn is_less(a: &Element, b: &Element) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

fn add(a: Element, b: Element) -> Element {
    let (sum, carry) = raw_sum(a, b);
    if carry || !is_less(&sum, &P) {
        raw_difference(sum, P).0
    } else {
        sum
    }
}

fn subtract(a: Element, b: Element) -> Element {
    let (difference, borrow) = raw_difference(a, b);
    if borrow {
        raw_sum(difference, P).0
    } else {
        difference
    }
}

/// The product, by doubling and adding from the highest bit of `a` down.
fn multiply(a: Element, b: Element) -> Element {
    let mut product = [0; 4];
    for word in a.iter().rev() {
        for bit in (0..64).rev() {
            product = add(product, product);
            if word >> bit & 1 == 1 {
                product = add(product, b);
            }
        }
    }
    product
}

/// The sum modulo 2^256, and whether it overflowed.
fn raw_sum(a: Element, b: Element) -> (Element, bool) {
    let (mut sum, mut carry) = ([0; 4], false);
    for (to, (a, b)) in sum.iter_mut().zip(a.iter().zip(b)) {
        let (word, over) = a.overflowing_add(b);
        let (word, over_again) = word.overflowing_add(u64::from(carry));
        (*to, carry) = (word, over || over_again);
    }
    (sum, carry)
}

/// The difference modulo 2^256, and whether it is negative.
fn raw_difference(a: Element, b: Element) -> (Element, bool) {
    let (mut difference, mut borrow) = ([0; 4], false);
    for (to, (a, b)) in difference.iter_mut().zip(a.iter().zip(b)) {
        let (word, under) = a.overflowing_sub(b);
        let (word, under_again) = word.overflowing_sub(u64::from(borrow));
        (*to, borrow) = (word, under || under_again);
    }
    (difference, borrow)
}
