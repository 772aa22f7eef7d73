//! What end-to-end tests share: a Kafka, an engine in this process, and words for what a test does with them.
//!
//! The Kafka is the embedded broker, or the one at `TIDEWRIGHT_TEST_BROKERS`; each test has topics of its own under a
//! random prefix, so tests share a Kafka without meeting.

pub mod binaries;
pub mod by_hand;
mod command_line;
mod kafka;
pub mod processes;
pub mod requests;
pub mod ways;
mod world;

pub use command_line::{CommandLine, Said};
pub use kafka::Kafka;
pub use world::{Running, Taken, World, eventually, in_time};
