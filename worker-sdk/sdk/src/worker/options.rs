//! How a worker works.

use std::net::SocketAddr;
use std::time::Duration;

use tidewright_client::ConfigError;

/// How a worker works. [`Self::from_env`] reads the environment; every field can also be set by code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerOptions {
    /// How many activities run at the same time. Default: 100.
    pub max_concurrent_activities: usize,
    /// How many workflow tasks are worked on at the same time. Default: 100.
    pub max_concurrent_workflow_tasks: usize,
    /// How many runs are kept in memory between their tasks. Default: 1,000.
    pub max_cached_runs: usize,
    /// How long running activities have to end when the worker stops. Default: 10 s.
    pub graceful_shutdown_timeout: Duration,
    /// How long a task is kept that no slot is free for, before it is handed back so that a worker with room gets it; twice
    /// as long each time that it was handed back, up to 32 times. Default: 2 s.
    pub return_task_after: Duration,
    /// How long a workflow's code may keep its thread without an await before the worker's log tells of it (TW0904).
    /// Default: 1 s.
    pub deadlock_warning_after: Duration,
    /// How long it may do so before its workflow task is given up, which the engine then gives to a worker again. Code that is
    /// given up keeps its thread and its slot until it returns; a worker that has no other slot stops. Default: 10 s.
    pub deadlock_detection_timeout: Duration,
    /// How many partitions the task topics get if this worker is the first to need them: with the slots they set how
    /// far a queue can be spread, and a broker's work grows with them. Default: 4.
    pub task_topic_partitions: u32,
    /// Where `GET /metrics` answers in Prometheus' text form. Default: nowhere; what is measured goes through the `metrics`
    /// facade all the same, for a recorder of the application's own.
    pub metrics_listen: Option<SocketAddr>,
    /// Which build of the code this is, for people: `tidewright worker list` shows it. Default: none.
    pub build_id: Option<String>,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            max_concurrent_activities: 100,
            max_concurrent_workflow_tasks: 100,
            max_cached_runs: 1_000,
            graceful_shutdown_timeout: Duration::from_secs(10),
            return_task_after: Duration::from_secs(2),
            deadlock_warning_after: Duration::from_secs(1),
            deadlock_detection_timeout: Duration::from_secs(10),
            task_topic_partitions: 4,
            metrics_listen: None,
            build_id: None,
        }
    }
}

impl WorkerOptions {
    /// Reads `TIDEWRIGHT_MAX_CONCURRENT_ACTIVITIES`, `TIDEWRIGHT_MAX_CONCURRENT_WORKFLOW_TASKS`,
    /// `TIDEWRIGHT_MAX_CACHED_RUNS`, `TIDEWRIGHT_GRACEFUL_SHUTDOWN_TIMEOUT_MS`,
    /// `TIDEWRIGHT_RETURN_TASK_AFTER_MS`, `TIDEWRIGHT_DEADLOCK_WARNING_AFTER_MS`,
    /// `TIDEWRIGHT_DEADLOCK_DETECTION_TIMEOUT_MS`, `TIDEWRIGHT_TASK_TOPIC_PARTITIONS`,
    /// `TIDEWRIGHT_METRICS_LISTEN` (IP:PORT) and `TIDEWRIGHT_BUILD_ID`.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let number = |name: &str, least: u64, default: u64| match variable(name).filter(|value| !value.is_empty()) {
            None => Ok(default),
            Some(value) => value.parse().ok().filter(|number| *number >= least).ok_or_else(|| {
                let (name, problem) = (name.to_owned(), format!("not a number of at least {least}"));
                ConfigError::Variable { name, value, problem }
            }),
        };
        let count = |name: &str, least: u64, default: usize| {
            number(name, least, default as u64).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
        };
        let default = Self::default();
        let millis = |name: &str, least: u64, default: Duration| {
            let default_ms = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
            number(name, least, default_ms).map(Duration::from_millis)
        };
        let partitions = number("TIDEWRIGHT_TASK_TOPIC_PARTITIONS", 1, u64::from(default.task_topic_partitions))?;
        let metrics_listen = match variable("TIDEWRIGHT_METRICS_LISTEN").filter(|value| !value.is_empty()) {
            None => None,
            Some(value) => Some(value.parse().map_err(|_| ConfigError::Variable {
                name: "TIDEWRIGHT_METRICS_LISTEN".to_owned(),
                value,
                problem: "not an address such as 127.0.0.1:9464".to_owned(),
            })?),
        };
        Ok(Self {
            max_concurrent_activities: count(
                "TIDEWRIGHT_MAX_CONCURRENT_ACTIVITIES",
                1,
                default.max_concurrent_activities,
            )?,
            max_concurrent_workflow_tasks: count(
                "TIDEWRIGHT_MAX_CONCURRENT_WORKFLOW_TASKS",
                1,
                default.max_concurrent_workflow_tasks,
            )?,
            max_cached_runs: count("TIDEWRIGHT_MAX_CACHED_RUNS", 0, default.max_cached_runs)?,
            graceful_shutdown_timeout: millis(
                "TIDEWRIGHT_GRACEFUL_SHUTDOWN_TIMEOUT_MS",
                0,
                default.graceful_shutdown_timeout,
            )?,
            return_task_after: millis("TIDEWRIGHT_RETURN_TASK_AFTER_MS", 0, default.return_task_after)?,
            deadlock_warning_after: millis("TIDEWRIGHT_DEADLOCK_WARNING_AFTER_MS", 1, default.deadlock_warning_after)?,
            deadlock_detection_timeout: millis(
                "TIDEWRIGHT_DEADLOCK_DETECTION_TIMEOUT_MS",
                1,
                default.deadlock_detection_timeout,
            )?,
            task_topic_partitions: u32::try_from(partitions).unwrap_or(u32::MAX),
            metrics_listen,
            build_id: variable("TIDEWRIGHT_BUILD_ID").filter(|value| !value.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_and_nonsense_is_named() {
        let set = |name: &str| (name == "TIDEWRIGHT_MAX_CACHED_RUNS").then(|| "7".to_owned());
        let expected = WorkerOptions { max_cached_runs: 7, ..WorkerOptions::default() };
        assert_eq!(WorkerOptions::from_variables(set).unwrap(), expected);
        let wrong = |name: &str| (name == "TIDEWRIGHT_MAX_CONCURRENT_ACTIVITIES").then(|| "0".to_owned());
        let error = WorkerOptions::from_variables(wrong).unwrap_err().to_string();
        assert!(error.contains("TIDEWRIGHT_MAX_CONCURRENT_ACTIVITIES") && error.contains("`0`"), "{error}");
        let port_only = |name: &str| (name == "TIDEWRIGHT_METRICS_LISTEN").then(|| "9464".to_owned());
        let error = WorkerOptions::from_variables(port_only).unwrap_err().to_string();
        assert!(error.contains("127.0.0.1:9464"), "{error}");
    }
}
