//! The HTTP API of a node: workflows of its namespace, health, readiness, metrics.
//!
//! Any node answers for any workflow: what another node owns is asked of that node, over at most one hop. Everything that
//! goes wrong is answered as `application/problem+json` with a stable code, whose page ([`error_page`]) every node serves
//! under `/errors/{code}`, too. Reads show committed state only; a start is answered once it is committed.
//!
//! The command line and tests call it: [`ApiServer::bind`] first, since the engine must know its own URL, then
//! [`ApiServer::serve`].

mod backend;
mod connections;
mod control;
mod describe;
mod list;
mod list_partition;
mod metrics_page;
mod observe;
mod openapi;
mod pages;
mod partition_verbs;
mod partitions;
mod probes;
mod problem;
mod proxy;
mod query;
mod request;
mod router;
mod server;
mod start;
#[cfg(test)]
mod tests;
mod workers;

pub use metrics_page::install as install_metrics;
pub use pages::{error_codes, error_page, error_title};
pub use server::{ApiError, ApiServer};
