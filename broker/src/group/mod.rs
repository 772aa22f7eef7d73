//! Consumer groups of the classic protocol: who is a member, which generation holds, what was assigned, which offsets are
//! committed. [`group::Group`] is a state machine without a clock or sockets; [`coordinator::Coordinator`] holds the groups
//! and keeps offsets; [`housekeeping`] lets their deadlines pass; `api::groups`, `api::group_admin` and `api::offsets`
//! translate requests for it.

mod administration;
mod admission;
pub(crate) mod coordinator;
pub(crate) mod description;
#[allow(clippy::module_inception, reason = "the module is about groups, and the file about one group")]
pub(crate) mod group;
pub(crate) mod housekeeping;
pub(crate) mod ledger;
pub(crate) mod machine;
pub(crate) mod member;
pub(crate) mod offsets;
mod usage;
