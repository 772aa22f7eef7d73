//! Which topics exist, with their ids, settings and partitions. Creation and removal go one after the other through the
//! topics' journal; everything else only looks names and ids up.

pub(crate) mod alteration;
pub(crate) mod config;
pub(crate) mod name;
pub(crate) mod registry;
pub(crate) mod upkeep;
