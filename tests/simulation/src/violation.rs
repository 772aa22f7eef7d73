//! A rule that does not hold.

/// What was found, and the rule that it breaks.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{rule}: {what}")]
pub struct Violation {
    /// The invariant's name; most begin with the number of their rule.
    pub rule: &'static str,
    /// What was found.
    pub what: String,
}

pub(crate) type Checked<T = ()> = Result<T, Violation>;

pub(crate) fn violation(rule: &'static str, what: impl Into<String>) -> Violation {
    Violation { rule, what: what.into() }
}

/// Leaves with a violation unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $rule:literal, $($what:tt)*) => {
        if !$holds {
            return Err($crate::violation::violation($rule, format!($($what)*)));
        }
    };
}

pub(crate) use ensure;
