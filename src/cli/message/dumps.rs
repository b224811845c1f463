//! Dumps of a whole exchange, turned back into the bytes that were sent: the traces of curl
//! (`--trace-ascii`, `--trace`), the debug output of wget, and texts in UTF-16.

/// The bytes that a dump shows; `None` if the text is no dump.
pub(super) fn undone(text: &[u8]) -> Option<Vec<u8>> {
    utf16(text).or_else(|| {
        let text = std::str::from_utf8(text).ok()?;
        trace(text).or_else(|| wget(text))
    })
}

/// The text of UTF-16 with its byte-order mark, as PowerShell's `>` writes it, in UTF-8.
fn utf16(text: &[u8]) -> Option<Vec<u8>> {
    let (rest, is_little) = match text {
        [0xFF, 0xFE, rest @ ..] => (rest, true),
        [0xFE, 0xFF, rest @ ..] => (rest, false),
        _ => return None,
    };
    let units = rest.chunks_exact(2).map(|pair| match pair {
        [a, b] if is_little => u16::from_le_bytes([*a, *b]),
        [a, b] => u16::from_be_bytes([*a, *b]),
        _ => 0,
    });
    let units: Vec<u16> = units.collect();
    Some(String::from_utf16(&units).ok()?.into_bytes())
}

/// The request in a trace of curl: the rows under `=> Send header` and `=> Send data`.
///
/// In `--trace-ascii` a row ends at a line break or after 64 characters, and the offsets say which;
/// all bytes that are not printable are dots, so such a body may be lost.
fn trace(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut is_sent = false;
    // The offset behind the last row.
    let mut end: usize = 0;
    for line in text.lines() {
        // `--trace-time` puts the time of day in front.
        let heading = line
            .find("=> Send ")
            .filter(|at| *at <= 18)
            .and_then(|at| line.get(at + 8..));
        if let Some(heading) = heading {
            is_sent = heading.starts_with("header") || heading.starts_with("data");
            end = 0;
            continue;
        }
        if line.contains("== Info:") || line.contains("<= Recv ") || line.contains("=> Send SSL") {
            is_sent = false;
        }
        if !is_sent {
            continue;
        }
        let Some((offset, row)) = line.split_once(": ").or_else(|| line.split_once(':')) else {
            continue;
        };
        let offset = usize::from_str_radix(offset, 16).ok()?;
        if offset == end + 2 {
            out.extend_from_slice(b"\r\n");
        }
        let bytes = hex_row(row).unwrap_or_else(|| row.as_bytes().to_vec());
        end = offset.checked_add(bytes.len())?;
        out.extend_from_slice(&bytes);
        // The blank line that ends the head is a row without text.
        if row.is_empty() {
            out.extend_from_slice(b"\r\n");
        }
    }
    (!out.is_empty()).then_some(out)
}

/// The bytes of a row of `--trace`: up to sixteen pairs of digits, padded to 48 places, and the
/// characters behind them.
fn hex_row(row: &str) -> Option<Vec<u8>> {
    let (digits, shown) = row.split_at_checked(48)?;
    let pairs: Vec<&str> = digits.split_ascii_whitespace().collect();
    let bytes = pairs
        .iter()
        .map(|pair| {
            (pair.len() == 2)
                .then(|| u8::from_str_radix(pair, 16).ok())
                .flatten()
        })
        .collect::<Option<Vec<u8>>>()?;
    (!bytes.is_empty() && shown.chars().count() == bytes.len()).then_some(bytes)
}

/// The request between the marks of `wget --debug`.
fn wget(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once("---request begin---")?;
    let (request, _) = rest.split_once("---request end---")?;
    Some(request.trim_start().as_bytes().to_vec())
}
