//! Durations in attributes: `30s`, `500ms`, `1h30m`.

use syn::LitStr;

/// The duration in milliseconds.
pub(crate) fn parse_ms(literal: &LitStr) -> syn::Result<u64> {
    let text = literal.value();
    milliseconds(&text).filter(|ms| *ms > 0).ok_or_else(|| {
        let problem = format!("`{text}` is no duration: write a number with `ms`, `s`, `m`, `h` or `d`, as in \"30s\"");
        syn::Error::new(literal.span(), problem)
    })
}

fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let unit_ms = match rest[digits..unit_end].trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit_ms)?)?;
        rest = &rest[unit_end..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn durations_are_read_and_nonsense_is_not() {
        assert_eq!(milliseconds("30s"), Some(30_000));
        assert_eq!(milliseconds("1h30m"), Some(5_400_000));
        assert_eq!(milliseconds("500 ms"), Some(500));
        assert_eq!(milliseconds("7d"), Some(604_800_000));
        for nonsense in ["30", "s", "1y", "-1s", "99999999999999999999s"] {
            assert_eq!(milliseconds(nonsense), None, "{nonsense}");
        }
    }
}
