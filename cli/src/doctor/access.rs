//! Whether this principal may do what its role does: the brokers themselves say which operations they allow.

use std::collections::BTreeSet;

use tidewright_log::{Admin, Operation, TopicInfo, TopicSeen, TopicSpec};

use super::finding::{Finding, Report, Tools};
use super::needs::{GroupNeed, TopicNeed, consequence};

/// Whose rights are looked at, and how they are given.
pub(super) struct Access<'a> {
    pub(super) admin: &'a Admin,
    pub(super) tools: &'a Tools,
    pub(super) principal: &'a str,
}

impl Access<'_> {
    /// Looks at a topic; gives what is known of it if it exists.
    pub(super) async fn topic(&self, need: &TopicNeed, report: &mut Report) -> Option<TopicInfo> {
        let name = &need.spec.name;
        match self.admin.look_at_topic(name).await {
            Ok(TopicSeen::There { info, operations }) => {
                if let Some(operations) = operations {
                    self.missing(need.operations, &operations, "topic", name, report);
                }
                Some(info)
            }
            Ok(TopicSeen::Missing) => {
                self.not_there(need, report).await;
                None
            }
            Ok(seen) if seen.is_denied() => {
                self.missing(need.operations, &BTreeSet::new(), "topic", name, report);
                None
            }
            Ok(TopicSeen::Failed { message, .. }) => {
                report.add(Finding::error("TW0805", format!("topic {name} cannot be looked at: {message}")));
                None
            }
            Err(error) => {
                report.add(Finding::error("TW0805", format!("topic {name} cannot be looked at: {error}")));
                None
            }
        }
    }

    async fn not_there(&self, need: &TopicNeed, report: &mut Report) {
        let spec = &need.spec;
        let name = &spec.name;
        if !need.is_made {
            let what = format!("topic {name} does not exist yet");
            report.add(Finding::warning("TW0809", what).why("a node of the engine makes it; start one first"));
            return;
        }
        match self.admin.may_create(spec).await {
            Ok(true) => report.add(Finding::ok(format!(
                "topic {name} does not exist yet; it is created with {} partitions and {}",
                spec.partitions,
                settings_text(spec)
            ))),
            Ok(false) => report.add(
                Finding::error(
                    "TW0806",
                    format!("{} may not Create topic {name}, which does not exist yet", self.principal),
                )
                .why("topics are made by whoever needs them first; without it, create them by hand")
                .fix(self.tools.allow(self.principal, "Create", &format!("--topic {name}"))),
            ),
            Err(error) => report.add(Finding::warning(
                "TW0809",
                format!("topic {name} does not exist, and whether it may be created cannot be told: {error}"),
            )),
        }
    }

    /// Looks at a consumer group.
    pub(super) async fn group(&self, need: &GroupNeed, report: &mut Report) {
        match self.admin.group_operations(&need.group).await {
            Ok(Some(operations)) => self.missing(&[need.operation], &operations, "group", &need.group, report),
            // The broker has no such notion, and forbids nothing.
            Ok(None) => {}
            Err(error) => report.add(Finding::warning("TW0805", error.to_string())),
        }
    }

    fn missing(
        &self,
        needed: &[Operation],
        allowed: &BTreeSet<Operation>,
        kind: &str,
        name: &str,
        report: &mut Report,
    ) {
        let missing: Vec<_> = needed.iter().filter(|operation| !allowed.contains(operation)).collect();
        for operation in &missing {
            let verb = operation.as_str();
            report.add(
                Finding::error("TW0806", format!("{} may not {verb} on {kind} {name}", self.principal))
                    .why(consequence(**operation))
                    .fix(self.tools.allow(self.principal, verb, &format!("--{kind} {name}"))),
            );
        }
        if missing.is_empty() {
            report.add(Finding::ok(format!("{} may do what it needs on {kind} {name}", self.principal)));
        }
    }
}

fn settings_text(spec: &TopicSpec) -> String {
    let settings = spec.settings(1);
    settings.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}
