//! Consumer groups of the classic protocol: who is a member, which generation holds, what was assigned, which offsets are
//! committed. [`group::Group`] is a state machine without a clock or sockets; [`coordinator::Coordinator`] holds the groups,
//! lets their deadlines pass and keeps offsets; `api::groups` and `api::offsets` translate requests for it.

pub(crate) mod coordinator;
#[allow(clippy::module_inception, reason = "the module is about groups, and the file about one group")]
pub(crate) mod group;
pub(crate) mod machine;
pub(crate) mod member;
pub(crate) mod offsets;
