//! The engine's rules, told as what happens when.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

mod activities;
mod activity_retries;
mod activity_timeouts;
mod buffering;
mod cancelling;
mod carried;
mod closing;
mod confirming;
mod costs;
mod decisions;
mod deleting;
mod ending;
mod fitting;
mod forwarding;
mod handing_back;
mod heartbeats;
mod limits;
mod losing_workers;
mod poison;
mod querying;
mod races;
mod races_at_the_end;
mod random;
mod reading;
mod signals;
mod start_options;
mod starting;
mod timers;
mod tokens;
mod tombstones;
mod trouble;
mod workflow_tasks;
