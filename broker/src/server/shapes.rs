//! The layout of every request that this broker takes, and in which versions it takes it. The tests hold these tables
//! against the codec, version by version.

use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::VersionRange;

pub(crate) enum Kind {
    Fixed(usize),
    /// A string, which may be null.
    Text,
    Bytes,
    Array(&'static Kind),
    Structs(&'static [Field]),
    /// A struct behind a byte that is 1 if it is there.
    Optional(&'static [Field]),
}

/// A field and the versions that have it.
pub(crate) struct Field {
    pub from: i16,
    pub to: i16,
    pub kind: Kind,
}

pub(crate) struct Shape {
    pub api: ApiKey,
    pub versions: VersionRange,
    /// The first version with compact lengths and tagged fields.
    pub flexible_from: i16,
    /// Tags below this are refused: the codec knows them and would decode them by their type and not by their stated size.
    pub refuses_known_tags: u32,
    pub fields: &'static [Field],
}

const fn in_versions(from: i16, to: i16, kind: Kind) -> Field {
    Field { from, to, kind }
}

const fn since(from: i16, kind: Kind) -> Field {
    in_versions(from, i16::MAX, kind)
}

const fn until(to: i16, kind: Kind) -> Field {
    in_versions(0, to, kind)
}

const fn field(kind: Kind) -> Field {
    since(0, kind)
}

const INT8: Kind = Kind::Fixed(1);
const BOOL: Kind = Kind::Fixed(1);
const INT16: Kind = Kind::Fixed(2);
const INT32: Kind = Kind::Fixed(4);
const INT64: Kind = Kind::Fixed(8);
const UUID: Kind = Kind::Fixed(16);
const TEXT: Kind = Kind::Text;
const NUMBERS: Kind = Kind::Array(&INT32);
const TEXTS: Kind = Kind::Array(&TEXT);

const fn shape(api: ApiKey, min: i16, max: i16, flexible_from: i16, fields: &'static [Field]) -> Shape {
    Shape { api, versions: VersionRange { min, max }, flexible_from, refuses_known_tags: 0, fields }
}

const PRODUCE: &[Field] = &[
    field(TEXT),
    field(INT16),
    field(INT32),
    field(Kind::Structs(&[
        until(12, TEXT),
        since(13, UUID),
        field(Kind::Structs(&[field(INT32), field(Kind::Bytes)])),
    ])),
];

const FETCH_PARTITION: &[Field] =
    &[field(INT32), since(9, INT32), field(INT64), since(12, INT32), since(5, INT64), field(INT32)];

const FETCH: &[Field] = &[
    until(14, INT32),
    field(INT32),
    field(INT32),
    field(INT32),
    field(INT8),
    since(7, INT32),
    since(7, INT32),
    field(Kind::Structs(&[until(12, TEXT), since(13, UUID), field(Kind::Structs(FETCH_PARTITION))])),
    since(7, Kind::Structs(&[until(12, TEXT), since(13, UUID), field(NUMBERS)])),
    since(11, TEXT),
];

const LIST_OFFSETS: &[Field] = &[
    field(INT32),
    since(2, INT8),
    field(Kind::Structs(&[field(TEXT), field(Kind::Structs(&[field(INT32), since(4, INT32), field(INT64)]))])),
    since(10, INT32),
];

const METADATA: &[Field] =
    &[field(Kind::Structs(&[since(10, UUID), field(TEXT)])), since(4, BOOL), in_versions(8, 10, BOOL), since(8, BOOL)];

const OFFSET_COMMIT: &[Field] = &[
    field(TEXT),
    field(INT32),
    field(TEXT),
    since(7, TEXT),
    until(4, INT64),
    field(Kind::Structs(&[
        field(TEXT),
        field(Kind::Structs(&[field(INT32), field(INT64), since(6, INT32), field(TEXT)])),
    ])),
];

const OFFSET_FETCH_TOPICS: Kind = Kind::Structs(&[field(TEXT), field(NUMBERS)]);
const OFFSET_FETCH: &[Field] = &[
    until(7, TEXT),
    until(7, OFFSET_FETCH_TOPICS),
    since(8, Kind::Structs(&[field(TEXT), since(9, TEXT), since(9, INT32), field(OFFSET_FETCH_TOPICS)])),
    since(7, BOOL),
];

const JOIN_GROUP: &[Field] = &[
    field(TEXT),
    field(INT32),
    since(1, INT32),
    field(TEXT),
    since(5, TEXT),
    field(TEXT),
    field(Kind::Structs(&[field(TEXT), field(Kind::Bytes)])),
    since(8, TEXT),
];

const SYNC_GROUP: &[Field] = &[
    field(TEXT),
    field(INT32),
    field(TEXT),
    since(3, TEXT),
    since(5, TEXT),
    since(5, TEXT),
    field(Kind::Structs(&[field(TEXT), field(Kind::Bytes)])),
];

const LEAVE_GROUP: &[Field] =
    &[field(TEXT), until(2, TEXT), since(3, Kind::Structs(&[field(TEXT), field(TEXT), since(5, TEXT)]))];

const CREATE_TOPICS: &[Field] = &[
    field(Kind::Structs(&[
        field(TEXT),
        field(INT32),
        field(INT16),
        field(Kind::Structs(&[field(INT32), field(NUMBERS)])),
        field(Kind::Structs(&[field(TEXT), field(TEXT)])),
    ])),
    field(INT32),
    field(BOOL),
];

const DELETE_TOPICS: &[Field] = &[since(6, Kind::Structs(&[field(TEXT), field(UUID)])), until(5, TEXTS), field(INT32)];

const DELETE_RECORDS: &[Field] =
    &[field(Kind::Structs(&[field(TEXT), field(Kind::Structs(&[field(INT32), field(INT64)]))])), field(INT32)];

const DESCRIBE_CONFIGS: &[Field] =
    &[field(Kind::Structs(&[field(INT8), field(TEXT), field(TEXTS)])), field(BOOL), since(3, BOOL)];

const ALTER_CONFIGS: &[Field] = &[
    field(Kind::Structs(&[field(INT8), field(TEXT), field(Kind::Structs(&[field(TEXT), field(TEXT)]))])),
    field(BOOL),
];

const EDIT_CONFIGS: &[Field] = &[
    field(Kind::Structs(&[field(INT8), field(TEXT), field(Kind::Structs(&[field(TEXT), field(INT8), field(TEXT)]))])),
    field(BOOL),
];

const CREATE_PARTITIONS: &[Field] = &[
    field(Kind::Structs(&[field(TEXT), field(INT32), field(Kind::Structs(&[field(NUMBERS)]))])),
    field(INT32),
    field(BOOL),
];

const LEADER_EPOCHS: &[Field] = &[
    since(3, INT32),
    field(Kind::Structs(&[field(TEXT), field(Kind::Structs(&[field(INT32), field(INT32), field(INT32)]))])),
];

const ACL_FILTER: &[Field] =
    &[field(INT8), field(TEXT), field(INT8), field(TEXT), field(TEXT), field(INT8), field(INT8)];

const TOPIC_INDEXES: Kind = Kind::Structs(&[field(TEXT), field(NUMBERS)]);

const OFFSET_DELETE: &[Field] =
    &[field(TEXT), field(Kind::Structs(&[field(TEXT), field(Kind::Structs(&[field(INT32)]))]))];

const DESCRIBE_TOPIC_PARTITIONS: &[Field] =
    &[field(Kind::Structs(&[field(TEXT)])), field(INT32), field(Kind::Optional(&[field(TEXT), field(INT32)]))];

const CONSUMER_GROUP_HEARTBEAT: &[Field] = &[
    field(TEXT),
    field(TEXT),
    field(INT32),
    field(TEXT),
    field(TEXT),
    field(INT32),
    field(TEXTS),
    since(1, TEXT),
    field(TEXT),
    field(Kind::Structs(&[field(UUID), field(NUMBERS)])),
];

/// In the order of their API keys. A version is here because its handler answers it fully.
pub(crate) const SHAPES: &[Shape] = &[
    shape(ApiKey::Produce, 3, 13, 9, PRODUCE),
    Shape { refuses_known_tags: 2, ..shape(ApiKey::Fetch, 4, 17, 12, FETCH) },
    shape(ApiKey::ListOffsets, 1, 10, 6, LIST_OFFSETS),
    shape(ApiKey::Metadata, 0, 13, 9, METADATA),
    shape(ApiKey::OffsetCommit, 2, 9, 8, OFFSET_COMMIT),
    shape(ApiKey::OffsetFetch, 1, 9, 6, OFFSET_FETCH),
    shape(ApiKey::FindCoordinator, 0, 6, 3, &[until(3, TEXT), since(1, INT8), since(4, TEXTS)]),
    shape(ApiKey::JoinGroup, 0, 9, 6, JOIN_GROUP),
    shape(ApiKey::Heartbeat, 0, 4, 4, &[field(TEXT), field(INT32), field(TEXT), since(3, TEXT)]),
    shape(ApiKey::LeaveGroup, 0, 5, 4, LEAVE_GROUP),
    shape(ApiKey::SyncGroup, 0, 5, 4, SYNC_GROUP),
    shape(ApiKey::DescribeGroups, 0, 6, 5, &[field(TEXTS), since(3, BOOL)]),
    shape(ApiKey::ListGroups, 0, 5, 3, &[since(4, TEXTS), since(5, TEXTS)]),
    shape(ApiKey::ApiVersions, 0, 4, 3, &[since(3, TEXT), since(3, TEXT)]),
    shape(ApiKey::CreateTopics, 2, 7, 5, CREATE_TOPICS),
    shape(ApiKey::DeleteTopics, 1, 6, 4, DELETE_TOPICS),
    shape(ApiKey::DeleteRecords, 0, 2, 2, DELETE_RECORDS),
    shape(ApiKey::InitProducerId, 0, 5, 2, &[field(TEXT), field(INT32), since(3, INT64), since(3, INT16)]),
    shape(ApiKey::OffsetForLeaderEpoch, 2, 4, 4, LEADER_EPOCHS),
    shape(ApiKey::DescribeAcls, 1, 3, 2, ACL_FILTER),
    shape(ApiKey::CreateAcls, 1, 3, 2, &[field(Kind::Structs(ACL_FILTER))]),
    shape(ApiKey::DeleteAcls, 1, 3, 2, &[field(Kind::Structs(ACL_FILTER))]),
    shape(ApiKey::DescribeConfigs, 1, 4, 4, DESCRIBE_CONFIGS),
    shape(ApiKey::AlterConfigs, 0, 2, 2, ALTER_CONFIGS),
    shape(ApiKey::DescribeLogDirs, 1, 4, 2, &[field(TOPIC_INDEXES)]),
    shape(ApiKey::CreatePartitions, 0, 3, 2, CREATE_PARTITIONS),
    shape(ApiKey::DeleteGroups, 0, 2, 2, &[field(TEXTS)]),
    shape(ApiKey::IncrementalAlterConfigs, 0, 1, 1, EDIT_CONFIGS),
    shape(ApiKey::ListPartitionReassignments, 0, 0, 0, &[field(INT32), field(TOPIC_INDEXES)]),
    shape(ApiKey::OffsetDelete, 0, 0, i16::MAX, OFFSET_DELETE),
    shape(ApiKey::DescribeCluster, 0, 2, 0, &[field(BOOL), since(1, INT8), since(2, BOOL)]),
    shape(ApiKey::ConsumerGroupHeartbeat, 0, 1, 0, CONSUMER_GROUP_HEARTBEAT),
    shape(ApiKey::ConsumerGroupDescribe, 0, 1, 0, &[field(TEXTS), field(BOOL)]),
    shape(ApiKey::DescribeTopicPartitions, 0, 0, 0, DESCRIBE_TOPIC_PARTITIONS),
];

pub(crate) fn find(api_key: i16) -> Option<&'static Shape> {
    SHAPES.iter().find(|shape| shape.api as i16 == api_key)
}
