//! The fields of a request, encoded as HTTP/2 has them: without Huffman's code and without the table
//! that both sides could keep (RFC 7541 6.2.2), so that they do not depend on the requests before.

/// Names in the table that everyone has (RFC 7541, appendix A), each with its place.
const NAMES: [(&str, u8); 5] = [
    ("host", 1), // `:authority`
    ("accept", 19),
    ("content-length", 28),
    ("content-type", 31),
    ("user-agent", 58),
];

/// The fields of a request of HTTP/1.1, a POST, as HTTP/2 has them.
pub(crate) fn encoded(head: &[u8]) -> Vec<u8> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let path = lines.next().and_then(|line| line.split(' ').nth(1));
    let mut out = vec![0x83, 0x87, 0x04]; // `:method: POST`, `:scheme: https`, `:path`
    push_text(&mut out, path.unwrap_or_default());
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name = name.to_ascii_lowercase();
        match NAMES.iter().find(|(known, _)| *known == name) {
            Some((_, place)) => push_number(&mut out, usize::from(*place), 15),
            None => {
                out.push(0);
                push_text(&mut out, &name);
            }
        }
        push_text(&mut out, value);
    }
    out
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    push_number(out, text.len(), 127);
    out.extend_from_slice(text.as_bytes());
}

/// A number whose first byte has room for less than `most` (RFC 7541 5.1).
fn push_number(out: &mut Vec<u8>, number: usize, most: u8) {
    let Some(mut rest) = number.checked_sub(usize::from(most)) else {
        out.push(number as u8);
        return;
    };
    out.push(most);
    while rest >= 128 {
        out.push(rest as u8 | 128);
        rest >>= 7;
    }
    out.push(rest as u8);
}
