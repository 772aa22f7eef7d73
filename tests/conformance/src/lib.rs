//! What the suite needs to talk to a broker: which brokers there are, ready-made clients, and raw requests for what a client
//! library would never send.
//!
//! Every test runs against the embedded broker, in memory and on a directory, and against the broker that
//! `TIDEWRIGHT_TEST_BROKERS=host:port` names, if it is set. Topics and groups have names of their own, so that tests may
//! share a broker.

pub mod calls;
pub mod clients;
pub mod cluster;
pub mod groups;
pub mod wire;
