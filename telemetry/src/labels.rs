//! Metric handles by label values: looked up without an allocation, made once, and bounded in number.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// Stands for every label value beyond the bound.
pub const OTHER: &str = "_other";
/// How many sets of label values one metric tells apart.
pub const LABEL_SETS_MAX: usize = 200;
/// A longer label value counts as [`OTHER`].
const VALUE_BYTES_MAX: usize = 200;

type Make<T> = Box<dyn Fn(&str, &str) -> T + Send + Sync>;
type Sets<T> = BTreeMap<Box<str>, BTreeMap<Box<str>, Arc<T>>>;

/// Handles for pairs of label values that users choose, for instance a workflow type and its task queue.
///
/// The first [`LABEL_SETS_MAX`] pairs have handles of their own; all others share one, whose values are [`OTHER`].
pub struct Labelled<T> {
    make: Make<T>,
    sets: RwLock<(usize, Sets<T>)>,
    other: OnceLock<Arc<T>>,
    sets_max: usize,
}

impl<T> Labelled<T> {
    /// `make` makes the handle of a pair.
    pub fn new(make: impl Fn(&str, &str) -> T + Send + Sync + 'static) -> Self {
        Self::bounded(LABEL_SETS_MAX, make)
    }

    fn bounded(sets_max: usize, make: impl Fn(&str, &str) -> T + Send + Sync + 'static) -> Self {
        Self { make: Box::new(make), sets: RwLock::default(), other: OnceLock::new(), sets_max }
    }

    /// The handle of a pair.
    #[must_use]
    pub fn get(&self, first: &str, second: &str) -> Arc<T> {
        let found = {
            let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
            sets.1.get(first).and_then(|of_first| of_first.get(second)).cloned()
        };
        found.unwrap_or_else(|| self.add(first, second))
    }

    fn add(&self, first: &str, second: &str) -> Arc<T> {
        if first.len() > VALUE_BYTES_MAX || second.len() > VALUE_BYTES_MAX {
            return self.other();
        }
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        let (count, sets) = &mut *sets;
        if let Some(handle) = sets.get(first).and_then(|of_first| of_first.get(second)) {
            return Arc::clone(handle);
        }
        if *count >= self.sets_max {
            return self.other();
        }
        *count += 1;
        let handle = Arc::new((self.make)(first, second));
        sets.entry(first.into()).or_default().insert(second.into(), Arc::clone(&handle));
        handle
    }

    fn other(&self) -> Arc<T> {
        Arc::clone(self.other.get_or_init(|| Arc::new((self.make)(OTHER, OTHER))))
    }
}

impl<T> std::fmt::Debug for Labelled<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Labelled").field("sets_max", &self.sets_max).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sets_max: usize) -> Labelled<String> {
        Labelled::bounded(sets_max, |first, second| format!("{first}/{second}"))
    }

    #[test]
    fn a_pair_has_one_handle() {
        let labelled = names(10);
        assert_eq!(*labelled.get("Order", "orders"), "Order/orders");
        assert!(Arc::ptr_eq(&labelled.get("Order", "orders"), &labelled.get("Order", "orders")));
        assert!(!Arc::ptr_eq(&labelled.get("Order", "orders"), &labelled.get("orders", "Order")));
    }

    #[test]
    fn what_is_beyond_the_bound_is_other() {
        let labelled = names(3);
        let made: Vec<String> = (0..1_000).map(|n| labelled.get(&format!("T{n}"), "q").to_string()).collect();
        assert_eq!(made[..3], ["T0/q", "T1/q", "T2/q"]);
        assert!(made[3..].iter().all(|name| name == "_other/_other"));
        assert_eq!(*labelled.get("T1", "q"), "T1/q");
        assert_eq!(labelled.sets.read().unwrap().1.len(), 3);
    }

    #[test]
    fn an_enormous_name_is_other() {
        assert_eq!(*names(3).get(&"x".repeat(VALUE_BYTES_MAX + 1), "q"), "_other/_other");
    }
}
