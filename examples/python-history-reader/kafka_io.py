"""Topics of a namespace, and reading them."""

import json

from kafka import KafkaConsumer, TopicPartition
from kafka.partitioner.default import murmur2


def topic(prefix, namespace, name):
    return f"{prefix}{namespace}.{name}"


def partition_of(workflow_id, partitions):
    """The partition of a workflow: as the Java clients' default partitioner has it."""
    return (murmur2(workflow_id.encode()) & 0x7FFFFFFF) % partitions


class Unreadable(Exception):
    """A topic that cannot be read."""


class Partition:
    """One partition, read from its beginning, without a consumer group: nothing is committed anywhere."""

    def __init__(self, brokers, topic_name, number):
        self._partition = TopicPartition(topic_name, number)
        self._consumer = KafkaConsumer(
            bootstrap_servers=brokers,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",  # an offset that is gone is an error, not a reason to start elsewhere
            allow_auto_create_topics=False,
        )
        known = self._consumer.partitions_for_topic(topic_name) or set()
        if number not in known:
            self._consumer.close()
            raise Unreadable(f"{brokers} has no topic {topic_name} with a partition {number}")
        self._consumer.assign([self._partition])
        self._consumer.seek_to_beginning(self._partition)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._consumer.close()

    def until_end(self):
        """The records up to where the partition ends now."""
        end = self._consumer.end_offsets([self._partition])[self._partition]
        # The position, not the last record, says when the end is reached: compaction leaves gaps.
        while self._consumer.position(self._partition) < end:
            for record in self._poll():
                if record.offset < end:
                    yield record

    def forever(self):
        """The records there are, then each one that comes."""
        while True:
            yield from self._poll()

    def _poll(self):
        return [record for records in self._consumer.poll(timeout_ms=500).values() for record in records]


def namespace_partitions(brokers, prefix, namespace, check):
    """How many partitions the namespace has: its record on the `cluster` topic says so, and never changes.

    The history topic may have more; what is beyond them holds nothing.
    """
    key = f"namespace/{namespace}".encode()
    with Partition(brokers, f"{prefix}cluster", 0) as cluster:
        for record in cluster.until_end():
            if record.key == key and record.value is not None:
                value = json.loads(record.value)
                check(value)
                return value["partitions"]  # the first record of a namespace stands
    raise Unreadable(f"the cluster at {brokers} has no namespace {namespace} under the prefix {prefix}")
