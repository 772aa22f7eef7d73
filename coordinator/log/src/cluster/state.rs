//! What the `cluster` topic says, as maps. Pure.

use std::collections::BTreeMap;

use tidewright_schemas::{ClusterRecord, NamespaceRecord, NodeRecord, PartitionRecord};

use crate::record::Received;

/// The content of the topic so far.
#[derive(Debug, Default)]
pub(super) struct State {
    namespaces: BTreeMap<String, NamespaceRecord>,
    nodes: BTreeMap<String, NodeRecord>,
    owners: BTreeMap<String, BTreeMap<u32, PartitionRecord>>,
}

/// What a record did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// Something is new.
    Changed,
    /// It says nothing new, or nothing that counts.
    Nothing,
    /// It differs from the first record of the namespace, which is to be written again: compaction would keep only the
    /// last one.
    PutRight(NamespaceRecord),
}

impl State {
    pub(super) fn namespace(&self, namespace: &str) -> Option<&NamespaceRecord> {
        self.namespaces.get(namespace)
    }

    pub(super) fn namespaces(&self) -> impl Iterator<Item = &NamespaceRecord> {
        self.namespaces.values()
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &NodeRecord> {
        self.nodes.values()
    }

    pub(super) fn owner(&self, namespace: &str, partition: u32) -> Option<&PartitionRecord> {
        self.owners.get(namespace)?.get(&partition)
    }

    pub(super) fn apply(&mut self, record: &Received) -> Applied {
        let Some(value) = record.value.as_deref() else {
            return self.remove(record.key.as_deref().unwrap_or_default());
        };
        match serde_json::from_slice(value) {
            Ok(ClusterRecord::NamespaceRecord(namespace)) => self.apply_namespace(namespace),
            Ok(ClusterRecord::NodeRecord(node)) => {
                let before = self.nodes.insert(node.node.clone(), node.clone());
                if before.as_ref() == Some(&node) { Applied::Nothing } else { Applied::Changed }
            }
            Ok(ClusterRecord::PartitionRecord(owner)) => self.apply_owner(owner),
            Err(error) => {
                tracing::debug!(record.offset, "a cluster record that this version does not know: {error}");
                Applied::Nothing
            }
        }
    }

    fn apply_namespace(&mut self, namespace: NamespaceRecord) -> Applied {
        match self.namespaces.get(&namespace.namespace) {
            None => {
                self.namespaces.insert(namespace.namespace.clone(), namespace);
                Applied::Changed
            }
            Some(first) if *first == namespace => Applied::Nothing,
            // Identity and shape are fixed; which keys are announced is not.
            Some(first) if first.incarnation == namespace.incarnation && first.partitions == namespace.partitions => {
                self.namespaces.insert(namespace.namespace.clone(), namespace);
                Applied::Changed
            }
            Some(first) => Applied::PutRight(first.clone()),
        }
    }

    fn apply_owner(&mut self, owner: PartitionRecord) -> Applied {
        let owners = self.owners.entry(owner.namespace.clone()).or_default();
        match owners.get(&owner.partition) {
            // A deposed owner that writes late.
            Some(known) if known.epoch_offset > owner.epoch_offset => Applied::Nothing,
            Some(known) if *known == owner => Applied::Nothing,
            _ => {
                owners.insert(owner.partition, owner);
                Applied::Changed
            }
        }
    }

    /// A tombstone. A namespace is never removed by one: its topics would stay.
    fn remove(&mut self, key: &[u8]) -> Applied {
        let Ok(key) = std::str::from_utf8(key) else { return Applied::Nothing };
        let removed = match key.split_once('/') {
            Some(("node", node)) => self.nodes.remove(node).is_some(),
            Some(("partition", rest)) => self.remove_owner(rest),
            _ => false,
        };
        if removed { Applied::Changed } else { Applied::Nothing }
    }

    fn remove_owner(&mut self, key: &str) -> bool {
        let Some((namespace, partition)) = key.rsplit_once('/') else { return false };
        let Ok(partition) = partition.parse::<u32>() else { return false };
        self.owners.get_mut(namespace).is_some_and(|owners| owners.remove(&partition).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(key: &str, value: Option<&ClusterRecord>) -> Received {
        Received {
            topic: "cluster".into(),
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
            key: Some(key.as_bytes().to_vec()),
            value: value.map(|value| serde_json::to_vec(value).unwrap()),
            headers: Vec::new(),
        }
    }

    fn apply(state: &mut State, record: impl Into<ClusterRecord>) -> Applied {
        let record = record.into();
        state.apply(&received(&record.key(), Some(&record)))
    }

    fn namespace(incarnation: &str) -> NamespaceRecord {
        NamespaceRecord {
            namespace: "default".to_owned(),
            incarnation: incarnation.to_owned(),
            partitions: 4,
            key_ids: Vec::new(),
        }
    }

    fn owner(node: &str, epoch_offset: u64) -> PartitionRecord {
        let http_url = format!("http://{node}");
        PartitionRecord { namespace: "default".to_owned(), partition: 3, node: node.to_owned(), http_url, epoch_offset }
    }

    #[test]
    fn the_first_record_of_a_namespace_stands() {
        let mut state = State::default();
        assert_eq!(apply(&mut state, namespace("first")), Applied::Changed);
        assert_eq!(apply(&mut state, namespace("second")), Applied::PutRight(namespace("first")));
        assert_eq!(state.namespace("default"), Some(&namespace("first")));
        assert_eq!(state.apply(&received("namespace/default", None)), Applied::Nothing);
    }

    #[test]
    fn a_deposed_owner_changes_nothing() {
        let mut state = State::default();
        apply(&mut state, owner("new", 20));
        assert_eq!(apply(&mut state, owner("old", 10)), Applied::Nothing);
        assert_eq!(state.owner("default", 3), Some(&owner("new", 20)));
        assert_eq!(state.apply(&received("partition/default/3", None)), Applied::Changed);
        assert_eq!(state.owner("default", 3), None);
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        let mut state = State::default();
        let mut odd = received("x", None);
        odd.value = Some(b"{\"type\":\"FromTheFuture\"}".to_vec());
        assert_eq!(state.apply(&odd), Applied::Nothing);
    }
}
