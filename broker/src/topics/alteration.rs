//! Changes of topics that exist: their settings and how many partitions they have. Like creation and removal they go one
//! after the other through the topics' journal.

use std::io;
use std::sync::Arc;

use super::config::TopicConfig;
use super::registry::{Entry, Topic, Topics};
use crate::sync;

/// One setting's change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit<'a> {
    Set(&'a str),
    /// Back to the default.
    Delete,
    /// Adds to a list what it does not hold yet.
    Append(&'a str),
    /// Takes from a list.
    Subtract(&'a str),
}

#[derive(Debug)]
pub(crate) enum AlterError<F> {
    Unknown,
    Refused(F),
    Io(io::Error),
}

impl Topics {
    /// Puts other settings in place, which hold for the next request; or only finds out whether that could be done.
    pub(crate) fn reconfigure<F>(
        &self,
        name: &str,
        validate_only: bool,
        change: impl FnOnce(&TopicConfig) -> Result<TopicConfig, F>,
    ) -> Result<(), AlterError<F>> {
        self.alter(name, |topic| {
            let config = change(&topic.config).map_err(AlterError::Refused)?;
            if validate_only || config == topic.config {
                return Ok(None);
            }
            let entry = Entry::Reconfigured { name: name.to_owned(), config: config.to_entry() };
            let partitions = topic.partitions.clone();
            Ok(Some((entry, Topic { name: name.to_owned(), id: topic.id, config, partitions })))
        })
    }

    /// Adds partitions until there are `count`, or only finds out whether that could be done.
    pub(crate) fn grow<F>(
        &self,
        name: &str,
        validate_only: bool,
        count: impl FnOnce(&Topic) -> Result<u32, F>,
        too_many: impl FnOnce(usize, usize) -> F,
    ) -> Result<(), AlterError<F>> {
        self.alter(name, |topic| {
            let count = count(topic).map_err(AlterError::Refused)?;
            let present = topic.partitions.len() as u32;
            if let Err((would_exist, max)) = self.has_room_for(count.saturating_sub(present)) {
                return Err(AlterError::Refused(too_many(would_exist, max)));
            }
            if validate_only {
                return Ok(None);
            }
            self.clear(name, present..count).map_err(AlterError::Io)?;
            let mut partitions = topic.partitions.clone();
            for index in present..count {
                partitions.push(self.new_partition(name, index).map_err(AlterError::Io)?);
            }
            let entry = Entry::Grown { name: name.to_owned(), partitions: count };
            Ok(Some((entry, Topic { name: name.to_owned(), id: topic.id, config: topic.config.clone(), partitions })))
        })
    }

    fn alter<F>(
        &self,
        name: &str,
        change: impl FnOnce(&Topic) -> Result<Option<(Entry, Topic)>, AlterError<F>>,
    ) -> Result<(), AlterError<F>> {
        let mut journal = sync::lock(&self.journal);
        let topic = self.by_name(name).ok_or(AlterError::Unknown)?;
        let Some((entry, altered)) = change(&topic)? else { return Ok(()) };
        journal.append(&[entry]).and_then(|()| journal.sync()).map_err(AlterError::Io)?;
        self.put(Arc::new(altered));
        self.bell().wake();
        self.rewrite_if_bloated(&mut journal).map_err(AlterError::Io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::context::LogContext;
    use crate::log::fsync::Fsync;

    fn context() -> LogContext {
        LogContext::new(Fsync::Os, 10)
    }

    fn config(settings: &[(&'static str, &'static str)]) -> TopicConfig {
        TopicConfig::new(settings.iter().copied()).unwrap()
    }

    fn set(topics: &Topics, name: &'static str, value: &'static str) {
        topics.reconfigure("a", false, |before| before.edited(&[(name, Edit::Set(value))])).unwrap();
    }

    #[test]
    fn alterations_survive_a_restart_and_a_rewrite() {
        let root = tempfile::tempdir().unwrap();
        let topics = Topics::open(root.path(), 100, context()).unwrap();
        let id = topics.create("a", 1, config(&[("retention.ms", "5")])).unwrap().id;
        set(&topics, "cleanup.policy", "compact");
        topics.grow("a", false, |_| Ok::<_, ()>(3), |_, _| ()).unwrap();
        set(&topics, "retention.ms", "7");
        let check = || {
            let topic = Topics::open(root.path(), 100, context()).unwrap().by_name("a").unwrap();
            assert_eq!((topic.id, topic.partitions.len()), (id, 3));
            assert_eq!(topic.config, config(&[("cleanup.policy", "compact"), ("retention.ms", "7")]));
        };
        check();
        sync::lock(&topics.journal).rewrite(&topics.snapshot()).unwrap();
        check();
    }

    #[test]
    fn what_is_only_validated_or_refused_changes_nothing() {
        let topics = Topics::in_memory(4, context());
        topics.create("a", 2, config(&[])).unwrap();
        topics.reconfigure("a", true, |_| Ok::<_, ()>(config(&[("retention.ms", "5")]))).unwrap();
        topics.grow("a", true, |_| Ok::<_, ()>(3), |_, _| ()).unwrap();
        let full = topics.grow("a", false, |_| Ok(5), |would_exist, max| (would_exist, max));
        assert!(matches!(full, Err(AlterError::Refused((5, 4)))));
        let unknown = topics.grow("b", false, |_| Ok::<_, ()>(5), |_, _| ());
        assert!(matches!(unknown, Err(AlterError::Unknown)));
        let topic = topics.by_name("a").unwrap();
        assert_eq!((topic.partitions.len(), &topic.config), (2, &config(&[])));
    }

    #[test]
    fn lists_are_edited_by_element() {
        let edited = |before: &str, edit| {
            config(&[]).edited(&[("cleanup.policy", Edit::Set(before))]).unwrap().edited(&[("cleanup.policy", edit)])
        };
        let policy = |config: Result<TopicConfig, String>| {
            config.map(|config| config.overrides().map(|(_, value)| value.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(policy(edited("delete", Edit::Append("compact"))), Ok(vec!["delete,compact".to_owned()]));
        assert_eq!(policy(edited("delete", Edit::Append("delete"))), Ok(vec!["delete".to_owned()]));
        assert_eq!(policy(edited("delete,compact", Edit::Subtract("delete"))), Ok(vec!["compact".to_owned()]));
        assert_eq!(policy(edited("compact", Edit::Delete)), Ok(Vec::new()));
        let from_default = config(&[]).edited(&[("cleanup.policy", Edit::Append("compact"))]);
        assert_eq!(policy(from_default), Ok(vec!["delete,compact".to_owned()]));
        assert!(config(&[]).edited(&[("retention.ms", Edit::Append("1"))]).is_err());
        assert!(config(&[]).edited(&[("no.such", Edit::Delete)]).is_err());
    }
}
