//! Worker processes that are killed, added and removed while their activities run.
//!
//! Runs on the embedded broker, or on the Kafka at `TIDEWRIGHT_TEST_BROKERS`.

mod crew;
mod full;
mod leaving;
mod lost;
mod moved;
mod offered;
mod poison;
