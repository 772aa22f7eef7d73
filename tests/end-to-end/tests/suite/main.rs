//! The whole system, end to end. Runs on the embedded broker, or on the Kafka at `TIDEWRIGHT_TEST_BROKERS`.

mod blocking;
mod by_hand;
mod cancelling;
mod deleting;
mod following;
mod garbage;
mod identity;
mod metrics;
mod operator;
mod orders;
mod presence;
mod queries;
mod races;
mod told_from_outside;
mod trouble;
mod user_code;
mod workflow_model;
