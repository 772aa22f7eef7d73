//! How a workflow's state is shown to people: as JSON if it can be serialised, else as its debug text if it has one.
//!
//! The macro knows the state's type, so the compiler picks the best of three methods of one name by the number of
//! references that each needs.

use std::fmt::Debug;

use serde::Serialize;
use tidewright_schemas::Payload;

use crate::convert::to_payload;

/// A state to be shown.
pub struct Shown<'a, S>(pub &'a S);

/// The best way.
pub trait ShownBySerialize {
    /// The state as a value.
    fn show(&self) -> Option<Payload>;
}

/// The second best way.
pub trait ShownByDebug {
    /// The state as text.
    fn show(&self) -> Option<Payload>;
}

/// The last way: not at all.
pub trait Hidden {
    /// Nothing.
    fn show(&self) -> Option<Payload>;
}

impl<S: Serialize> ShownBySerialize for &&Shown<'_, S> {
    fn show(&self) -> Option<Payload> {
        to_payload(self.0).ok()
    }
}

impl<S: Debug> ShownByDebug for &Shown<'_, S> {
    fn show(&self) -> Option<Payload> {
        to_payload(&format!("{:#?}", self.0)).ok()
    }
}

impl<S> Hidden for Shown<'_, S> {
    fn show(&self) -> Option<Payload> {
        None
    }
}
