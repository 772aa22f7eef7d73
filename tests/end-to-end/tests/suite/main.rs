//! The whole system, end to end. Runs on the embedded broker, or on the Kafka at `TIDEWRIGHT_TEST_BROKERS`.

mod activities;
mod blocking;
mod by_hand;
mod cancellation_types;
mod cancelling;
mod deleting;
mod ending;
mod errors;
mod following;
mod garbage;
mod identity;
mod metrics;
mod operator;
mod orders;
mod presence;
mod queries;
mod races;
mod retries;
mod signals;
mod timeouts;
mod told_from_outside;
mod trouble;
mod user_code;
mod waiting;
mod workflow_model;
