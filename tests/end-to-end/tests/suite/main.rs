//! The whole system, end to end. Runs on the embedded broker, or on the Kafka at `TIDEWRIGHT_TEST_BROKERS`.
//!
//! Where each part of the workflow model is proved, each value of each option by a test that names it:
//!
//! | part | files |
//! |---|---|
//! | identity: reuse and conflict policies, request ids, start delay | `identity` |
//! | ends: complete, fail, cancel, terminate, time out, delete | `ending`, `deleting` |
//! | activities: timeouts, retries, cancellation, queues, fire and forget, at most once | `timeouts`, `retries`, `cancellation_types`, `cancelling`, `activities` |
//! | waiting: select, join, conditions, scopes, cleaning up; timers | `waiting`, `workflow_model` |
//! | signals | `signals`, `told_from_outside` |
//! | queries | `queries`, `query_limits` |
//! | errors in Rust, over HTTP, on the command line | `errors`, `user_code`, `trouble` |
//! | two things at the same time, in both orders | `races` |
//! | workers: who is there, nights without any, tasks that take them down, code that blocks | `presence`, `night`, `poison`, `blocking`; those that are killed, added and removed: the tests `workers` and `kills` |
//! | what is only carried | `carried` |
//!
//! What goes in goes in over each way ([`end_to_end::ways`]).

mod activities;
mod blocking;
mod by_hand;
mod cancellation_types;
mod cancelling;
mod carried;
mod deleting;
mod ending;
mod errors;
mod following;
mod garbage;
mod identity;
mod metrics;
mod night;
mod operator;
mod orders;
mod poison;
mod presence;
mod queries;
mod query_limits;
mod races;
mod retries;
mod signals;
mod site;
mod timeouts;
mod told_from_outside;
mod trouble;
mod user_code;
mod waiting;
mod workflow_model;
