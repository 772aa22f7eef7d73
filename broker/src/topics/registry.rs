//! The topics by name and by id. A topic is immutable; a change puts a new one in its place over the same partitions.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::config::TopicConfig;
use super::name;
use crate::error::BrokerError;
use crate::log::bell::Bell;
use crate::log::context::LogContext;
use crate::log::files;
use crate::log::journal::Journal;
use crate::log::partition::Partition;
use crate::sync;

const JOURNAL: &str = "topics.journal";
/// They wait for the disk, not for a processor.
const STOPPING_THREADS: usize = 8;

pub(crate) struct Topic {
    pub name: String,
    pub id: Uuid,
    pub config: TopicConfig,
    pub partitions: Vec<Arc<Partition>>,
}

impl Topic {
    pub(crate) fn partition(&self, index: i32) -> Option<&Arc<Partition>> {
        usize::try_from(index).ok().and_then(|index| self.partitions.get(index))
    }
}

/// What the journal says of topics.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Entry {
    Created { name: String, id: [u8; 16], partitions: u32, config: Vec<(String, String)> },
    Removed { name: String, partitions: u32 },
    Reconfigured { name: String, config: Vec<(String, String)> },
    Grown { name: String, partitions: u32 },
}

impl Entry {
    fn name(&self) -> &str {
        match self {
            Self::Created { name, .. }
            | Self::Removed { name, .. }
            | Self::Reconfigured { name, .. }
            | Self::Grown { name, .. } => name,
        }
    }

    /// Takes a later entry about the same topic in: what comes out is what both say together.
    fn followed_by(mut self, later: Self) -> Self {
        match (&mut self, later) {
            (Self::Created { config, .. }, Self::Reconfigured { config: altered, .. }) => *config = altered,
            (Self::Created { partitions, .. }, Self::Grown { partitions: more, .. }) => *partitions = more,
            (_, later) => return later,
        }
        self
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error("topic '{0}' already exists")]
    Exists(String),
    #[error("{0}")]
    Name(String),
    #[error("{0} partitions would exist, where the broker's limit is {1}")]
    TooMany(usize, usize),
    #[error("cannot store the topic: {0}")]
    Io(#[from] io::Error),
}

pub(crate) struct Topics {
    root: Option<PathBuf>,
    partitions_max: usize,
    context: LogContext,
    known: RwLock<Known>,
    /// Held for the whole of a creation or removal, which is what puts them in order.
    pub(super) journal: Mutex<Journal<Entry>>,
}

#[derive(Default)]
struct Known {
    by_name: BTreeMap<String, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
}

impl Known {
    fn insert(&mut self, topic: Arc<Topic>) {
        self.by_id.insert(topic.id, topic.clone());
        self.by_name.insert(topic.name.clone(), topic);
    }

    fn partitions(&self) -> usize {
        self.by_name.values().map(|topic| topic.partitions.len()).sum()
    }
}

impl Topics {
    pub(crate) fn in_memory(partitions_max: usize, context: LogContext) -> Self {
        Self { root: None, partitions_max, context, known: RwLock::default(), journal: Mutex::new(Journal::none()) }
    }

    /// Opens every topic that the journal names, and finishes removals that were interrupted.
    pub(crate) fn open(root: &Path, partitions_max: usize, context: LogContext) -> Result<Self, BrokerError> {
        let (journal, entries) = Journal::<Entry>::open(&root.join(JOURNAL))?;
        let mut last: BTreeMap<String, Entry> = BTreeMap::new();
        for entry in entries {
            let name = entry.name().to_owned();
            let entry = match last.remove(&name) {
                Some(before) => before.followed_by(entry),
                None => entry,
            };
            last.insert(name, entry);
        }
        let mut known = Known::default();
        for entry in last.into_values() {
            match entry {
                Entry::Reconfigured { name, .. } | Entry::Grown { name, .. } => {
                    let reason = format!("it alters topic '{name}', which does not exist");
                    return Err(BrokerError::Damaged { path: root.join(JOURNAL), position: 0, reason });
                }
                Entry::Removed { name, partitions } => remove_leftovers(root, &name, 0..partitions)
                    .map_err(BrokerError::storage("remove what is left of a deleted topic in", root))?,
                Entry::Created { name, id, partitions, config } => {
                    let config =
                        TopicConfig::new(config.iter().map(|(name, value)| (name.as_str(), value.as_str())))
                            .map_err(|reason| BrokerError::Damaged { path: root.join(JOURNAL), position: 0, reason })?;
                    let open = |n| {
                        let directory = files::partition_directory(root, &name, n as i32);
                        Partition::open(directory, context.clone()).map(Arc::new)
                    };
                    let partitions = (0..partitions).map(open).collect::<Result<_, _>>()?;
                    known.insert(Arc::new(Topic { id: Uuid::from_bytes(id), config, partitions, name }));
                }
            }
        }
        Ok(Self {
            root: Some(root.to_path_buf()),
            partitions_max,
            context,
            known: RwLock::new(known),
            journal: Mutex::new(journal),
        })
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Topic>> {
        sync::read(&self.known).by_name.get(name).cloned()
    }

    pub(crate) fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        sync::read(&self.known).by_id.get(&id).cloned()
    }

    /// In the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        sync::read(&self.known).by_name.values().cloned().collect()
    }

    /// Whether `create` would succeed, as far as can be said without doing it.
    pub(crate) fn check(&self, name: &str, partitions: u32) -> Result<(), CreateError> {
        if let Some(fault) = name::fault(name) {
            return Err(CreateError::Name(fault));
        }
        {
            let known = sync::read(&self.known);
            if known.by_name.contains_key(name) {
                return Err(CreateError::Exists(name.to_owned()));
            }
            if let Some(other) = known.by_name.keys().find(|other| name::collide(name, other)) {
                let fault = format!("topic '{name}' collides with '{other}': '.' and '_' count as the same");
                return Err(CreateError::Name(fault));
            }
        }
        self.has_room_for(partitions).map_err(|(would_exist, max)| CreateError::TooMany(would_exist, max))
    }

    /// Fails with how many partitions there would be, and how many there may be.
    pub(super) fn has_room_for(&self, partitions: u32) -> Result<(), (usize, usize)> {
        let would_exist = sync::read(&self.known).partitions().saturating_add(partitions as usize);
        if would_exist > self.partitions_max { Err((would_exist, self.partitions_max)) } else { Ok(()) }
    }

    /// A partition of a topic that is being created or grows.
    pub(super) fn new_partition(&self, name: &str, index: u32) -> io::Result<Arc<Partition>> {
        let Some(root) = &self.root else { return Ok(Arc::new(Partition::in_memory(self.context.clone()))) };
        let directory = files::partition_directory(root, name, index as i32);
        Partition::open(directory, self.context.clone()).map(Arc::new).map_err(io::Error::other)
    }

    /// Removes what stands where these partitions are to be: it was never theirs.
    pub(super) fn clear(&self, name: &str, partitions: Range<u32>) -> io::Result<()> {
        self.root.as_ref().map_or(Ok(()), |root| remove_leftovers(root, name, partitions))
    }

    /// In place of the topic of this id, if there is one.
    pub(super) fn put(&self, topic: Arc<Topic>) {
        sync::write(&self.known).insert(topic);
    }

    pub(super) fn rewrite_if_bloated(&self, journal: &mut Journal<Entry>) -> io::Result<()> {
        let live = sync::read(&self.known).by_name.len();
        if journal.is_bloated(live) { journal.rewrite(&self.snapshot()) } else { Ok(()) }
    }

    pub(crate) fn create(&self, name: &str, partitions: u32, config: TopicConfig) -> Result<Arc<Topic>, CreateError> {
        let mut journal = sync::lock(&self.journal);
        self.check(name, partitions)?;
        self.clear(name, 0..partitions)?;
        let id = Uuid::new_v4();
        journal.append(&[Entry::Created {
            name: name.to_owned(),
            id: id.into_bytes(),
            partitions,
            config: config.to_entry(),
        }])?;
        journal.sync()?;
        let partitions = (0..partitions).map(|index| self.new_partition(name, index)).collect::<Result<_, _>>()?;
        let topic = Arc::new(Topic { name: name.to_owned(), id, config, partitions });
        self.put(topic.clone());
        Ok(topic)
    }

    /// Takes a topic away; false if there is no such topic any more. Its readers and writers find out at once.
    pub(crate) fn remove(&self, topic: &Topic) -> io::Result<bool> {
        let mut journal = sync::lock(&self.journal);
        if self.by_id(topic.id).is_none() {
            return Ok(false);
        }
        journal.append(&[Entry::Removed { name: topic.name.clone(), partitions: topic.partitions.len() as u32 }])?;
        journal.sync()?;
        {
            let mut known = sync::write(&self.known);
            known.by_name.remove(&topic.name);
            known.by_id.remove(&topic.id);
        }
        self.rewrite_if_bloated(&mut journal)?;
        topic.partitions.iter().try_for_each(|partition| partition.remove())?;
        Ok(true)
    }

    /// Wakes who deletes and compacts. To be rung when a topic's settings change.
    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.context.upkeep
    }

    /// Syncs every log and notes where it ends, once nobody appends any more.
    pub(crate) fn stop(&self) {
        let topics = self.all();
        let partitions: Vec<_> = topics.iter().flat_map(|topic| &topic.partitions).collect();
        std::thread::scope(|scope| {
            for some in partitions.chunks(partitions.len().div_ceil(STOPPING_THREADS).max(1)) {
                scope.spawn(move || some.iter().for_each(|partition| partition.stop()));
            }
        });
    }

    pub(super) fn snapshot(&self) -> Vec<Entry> {
        let entry = |topic: &Arc<Topic>| Entry::Created {
            name: topic.name.clone(),
            id: topic.id.into_bytes(),
            partitions: topic.partitions.len() as u32,
            config: topic.config.to_entry(),
        };
        self.all().iter().map(entry).collect()
    }
}

fn remove_leftovers(root: &Path, name: &str, mut partitions: Range<u32>) -> io::Result<()> {
    partitions.try_for_each(|n| files::remove_directory(&files::partition_directory(root, name, n as i32)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::fsync::Fsync;

    fn context() -> LogContext {
        LogContext::new(Fsync::Os, 10)
    }

    fn config() -> TopicConfig {
        TopicConfig::new([("retention.ms", "5")]).unwrap()
    }

    #[test]
    fn topics_survive_a_restart_with_their_ids_and_settings() {
        let root = tempfile::tempdir().unwrap();
        let topics = Topics::open(root.path(), 100, context()).unwrap();
        let id = topics.create("a", 3, config()).unwrap().id;
        let gone = topics.create("b", 1, config()).unwrap();
        assert!(topics.remove(&gone).unwrap());
        assert!(!topics.remove(&gone).unwrap());
        let topics = Topics::open(root.path(), 100, context()).unwrap();
        let topic = topics.by_id(id).unwrap();
        assert_eq!((topic.name.as_str(), topic.partitions.len()), ("a", 3));
        assert_eq!(topic.config, config());
        assert!(topics.by_name("b").is_none());
    }

    #[test]
    fn a_removal_that_was_interrupted_is_finished() {
        let root = tempfile::tempdir().unwrap();
        let topics = Topics::open(root.path(), 100, context()).unwrap();
        let topic = topics.create("a", 1, config()).unwrap();
        topics.remove(&topic).unwrap();
        let leftover = files::partition_directory(root.path(), "a", 0);
        std::fs::create_dir(&leftover).unwrap();
        Topics::open(root.path(), 100, context()).unwrap();
        assert!(!leftover.exists());
    }

    #[test]
    fn creation_is_refused_for_names_and_numbers() {
        let topics = Topics::in_memory(5, context());
        topics.create("a.b", 2, config()).unwrap();
        assert!(matches!(topics.create("a.b", 1, config()), Err(CreateError::Exists(_))));
        assert!(matches!(topics.create("a_b", 1, config()), Err(CreateError::Name(_))));
        assert!(matches!(topics.create("a b", 1, config()), Err(CreateError::Name(_))));
        assert!(matches!(topics.create("c", 4, config()), Err(CreateError::TooMany(6, 5))));
    }
}
