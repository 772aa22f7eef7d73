//! What the engine and the worker SDK share for being watched.
//!
//! * [`Labelled`]: metric handles by label values, bounded in number, so that names that users make up cannot fill memory;
//! * [`prometheus`]: the recorder behind the `metrics` facade, and `GET /metrics`;
//! * [`traces`]: export of spans over OTLP.
//!
//! Nothing here fails or holds up work: what cannot be recorded or exported is left out and counted.

mod labels;
#[cfg(feature = "prometheus")]
pub mod prometheus;
#[cfg(feature = "opentelemetry")]
pub mod traces;

pub use labels::{LABEL_SETS_MAX, Labelled, OTHER};
