//! The examples do what they say. Runs on the embedded broker, or on the Kafka at `TIDEWRIGHT_TEST_BROKERS`.

mod expense_approval;
mod http_service;
mod incident_escalation;
mod order_saga;
mod provisioning;
mod slow_resource;
mod stories;
