//! Every setting, declared once: the file's keys, the variables, the flags' help and `docs/configuration.md` come from
//! here.

use tidewright_log::KafkaConfig;
use tidewright_schemas::topics::Topics;

use super::kind::Kind;

/// A setting. Its variable is `TIDEWRIGHT_<KEY>`.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name in the file, and the id of the flag's argument.
    pub(crate) key: &'static str,
    /// Its flag, without the dashes.
    pub(crate) flag: &'static str,
    /// What the flag's help calls its value.
    pub(crate) value_name: &'static str,
    pub(crate) kind: Kind,
    /// Its value when nobody says anything; none if it is then left open.
    pub(crate) default: Option<&'static str>,
    /// One line for help and documentation.
    pub(crate) doc: &'static str,
}

impl Setting {
    pub(crate) fn variable(&self) -> String {
        format!("TIDEWRIGHT_{}", self.key.to_ascii_uppercase())
    }

    pub(crate) fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }
}

const PARTITIONS: Kind = Kind::Count { least: 1, most: 10_000 };
const MEMORY: Kind = Kind::Size { least: 1 << 20, most: 1 << 40 };

pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        key: "brokers",
        flag: "brokers",
        value_name: "LIST",
        kind: Kind::Text,
        default: Some(KafkaConfig::DEFAULT_BROKERS),
        doc: "The brokers, as host:port, several separated by commas",
    },
    Setting {
        key: "namespace",
        flag: "namespace",
        value_name: "NAMESPACE",
        kind: Kind::Text,
        default: Some(Topics::DEFAULT_NAMESPACE),
        doc: "The namespace",
    },
    Setting {
        key: "topic_prefix",
        flag: "topic-prefix",
        value_name: "PREFIX",
        kind: Kind::Text,
        default: Some(Topics::DEFAULT_PREFIX),
        doc: "What all topic names begin with; it ends in a dot",
    },
    Setting {
        key: "secret_file",
        flag: "secret-file",
        value_name: "FILE",
        kind: Kind::Text,
        default: None,
        doc: "A text file with at least 32 characters: the secret that every node of the cluster shares. A node needs one",
    },
    Setting {
        key: "state_dir",
        flag: "state-dir",
        value_name: "DIR",
        kind: Kind::Text,
        default: Some("tidewright-state"),
        doc: "Where the node keeps its state. It may be lost at any time, but then the next start takes longer",
    },
    Setting {
        key: "node",
        flag: "node",
        value_name: "ID",
        kind: Kind::Text,
        default: None,
        doc: "The node's id, unique in the cluster; one that stays with the state directory by default",
    },
    Setting {
        key: "http_listen",
        flag: "http-listen",
        value_name: "IP:PORT",
        kind: Kind::Address,
        default: Some("127.0.0.1:8233"),
        doc: "Where the HTTP API listens. It has no authentication: let only those near who may do everything",
    },
    Setting {
        key: "advertise_http",
        flag: "advertise-http",
        value_name: "URL",
        kind: Kind::Url,
        default: None,
        doc: "The URL under which workers and other nodes reach this node's HTTP API; http://IP:PORT by default",
    },
    Setting {
        key: "partitions",
        flag: "partitions",
        value_name: "N",
        kind: PARTITIONS,
        default: Some("4"),
        doc: "How many partitions the namespace gets if it is new: they bound how many nodes can share it, and never change",
    },
    Setting {
        key: "task_partitions",
        flag: "task-partitions",
        value_name: "N",
        kind: PARTITIONS,
        default: Some("4"),
        doc: "How many partitions a task queue's topics get if they are new: they bound how many workers can share it",
    },
    Setting {
        key: "session_timeout",
        flag: "session-timeout",
        value_name: "DURATION",
        kind: Kind::Duration { least_ms: 1_000, most_ms: 1_800_000 },
        default: Some("6s"),
        doc: "How long a node may be silent before others take over its partitions",
    },
    Setting {
        key: "worker_silence",
        flag: "worker-silence",
        value_name: "DURATION",
        kind: Kind::Duration { least_ms: 2_000, most_ms: 3_600_000 },
        default: Some("3s"),
        doc: "How long a worker may be silent while others speak before what it runs is tried elsewhere; workers speak every second",
    },
    Setting {
        key: "command_window",
        flag: "command-window",
        value_name: "DURATION",
        kind: Kind::Duration { least_ms: 1_000, most_ms: 365 * 86_400_000 },
        default: Some("1h"),
        doc: "How long a command is kept on its topic after all that follows from it is out",
    },
    Setting {
        key: "state_cache",
        flag: "state-cache",
        value_name: "SIZE",
        kind: MEMORY,
        default: Some("64MiB"),
        doc: "Memory for what is read from the state, shared by all partitions of the node",
    },
    Setting {
        key: "state_write_buffer",
        flag: "state-write-buffer",
        value_name: "SIZE",
        kind: MEMORY,
        default: Some("64MiB"),
        doc: "Memory for what is not yet written to the state's files, shared by all partitions of the node",
    },
    Setting {
        key: "http_url",
        flag: "address",
        value_name: "URL",
        kind: Kind::Url,
        default: Some("http://127.0.0.1:8233"),
        doc: "The node to ask: any of them answers for all workflows",
    },
    Setting {
        key: "log_format",
        flag: "log-format",
        value_name: "FORMAT",
        kind: Kind::Choice(&["text", "json"]),
        default: Some("text"),
        doc: "How log lines on stderr look",
    },
    Setting {
        key: "log",
        flag: "log",
        value_name: "FILTER",
        kind: Kind::Text,
        default: None,
        doc: "What is logged, for instance `info` or `tidewright_runtime=debug,warn`",
    },
];
