//! The code of `docs/workflows.md`: compiled here, run end to end in `tests/end-to-end`.

pub mod approval;
pub mod order;
pub mod provisioning;
pub mod waiting;
