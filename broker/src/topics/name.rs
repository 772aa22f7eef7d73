//! Which names a topic may have.

pub(crate) const NAME_BYTES_MAX: usize = 249;

/// Why a name cannot be a topic's, or `None` if it can.
pub(crate) fn fault(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("a topic's name must not be empty".to_owned());
    }
    if name == "." || name == ".." {
        return Some(format!("a topic must not be named '{name}'"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Some(format!("a topic's name has at most {NAME_BYTES_MAX} characters; this one has {}", name.len()));
    }
    let strange = name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-'))?;
    Some(format!("a topic's name holds ASCII letters, digits, '.', '_' and '-' only, and not {strange:?}"))
}

/// Kafka's metrics write '.' as '_', so two names that differ in nothing else collide.
pub(crate) fn collide(one: &str, other: &str) -> bool {
    one != other && one.len() == other.len() && one.replace('.', "_") == other.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_kafka_does() {
        for good in ["a", "tidewright.default.commands", "A-b_9", "...", &"x".repeat(249)] {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "ä", "a\0", &"x".repeat(250)] {
            assert!(fault(bad).is_some(), "{bad}");
        }
        assert!(collide("a.b_c", "a_b.c"));
        assert!(!collide("a.b", "a.b"));
    }
}
