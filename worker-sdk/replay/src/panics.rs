//! Turns a panic in user code into a value that says where it happened.
//!
//! The location is known only to the panic hook, so a hook is put in front of the one that is there, once per process;
//! it notes the location for panics inside [`catch`] and always calls the earlier hook.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// A panic in user code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic {
    /// What it said.
    pub message: String,
    /// `file:line:column`; empty if unknown.
    pub location: String,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.location.is_empty() { Ok(()) } else { write!(f, " (at {})", self.location) }
    }
}

thread_local! {
    static CATCHING: Cell<u32> = const { Cell::new(0) };
    static LOCATION: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs user code; a panic in it comes back as an error.
///
/// The caller gives up whatever `code` was changing when it panicked.
pub fn catch<R>(code: impl FnOnce() -> R) -> Result<R, Panic> {
    note_locations();
    CATCHING.set(CATCHING.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(code));
    CATCHING.set(CATCHING.get() - 1);
    outcome.map_err(|payload| {
        let panic = Panic { message: message_of(payload.as_ref()), location: LOCATION.take() };
        // The payload's own destructor is user code, too.
        if let Err(again) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
            std::mem::forget(again);
        }
        panic
    })
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic with a payload that is not text".to_owned()
    }
}

fn note_locations() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let earlier = take_hook();
        set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            if CATCHING.get() > 0 {
                LOCATION.set(info.location().map(ToString::to_string).unwrap_or_default());
            }
            earlier(info);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_tells_what_and_where() {
        let panic = catch(|| panic!("no {}", "luck")).unwrap_err();
        assert_eq!(panic.message, "no luck");
        assert!(panic.location.contains("panics.rs:"), "{panic}");
        assert_eq!(catch(|| 7), Ok(7));
    }
}
