//! Connections: frames in, requests checked and decoded, answers out, one after the other on each connection.

pub(crate) mod budget;
pub(crate) mod connection;
pub(crate) mod cursor;
pub(crate) mod dispatch;
pub(crate) mod frame;
pub(crate) mod guard;
pub(crate) mod shapes;
