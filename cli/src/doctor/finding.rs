//! What the doctor finds, and how it is told.

use serde::Serialize;

use crate::output::clean;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    Ok,
    Warning,
    Error,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'static str>,
    /// What is so.
    pub(super) what: String,
    /// What follows from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    /// A command line, or what to change where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
}

impl Finding {
    pub(super) fn ok(what: impl Into<String>) -> Self {
        Self { severity: Severity::Ok, code: None, what: what.into(), why: None, fix: None }
    }

    pub(super) fn error(code: &'static str, what: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code: Some(code), ..Self::ok(what) }
    }

    pub(super) fn warning(code: &'static str, what: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, code: Some(code), ..Self::ok(what) }
    }

    pub(super) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    fn text(&self) -> String {
        let head = match (self.severity, self.code) {
            (Severity::Ok, _) => "ok".to_owned(),
            (Severity::Warning, code) => format!("warning[{}]", code.unwrap_or_default()),
            (Severity::Error, code) => format!("error[{}]", code.unwrap_or_default()),
        };
        let mut text = format!("{head}: {}\n", clean(&self.what));
        for (label, said) in [("why", &self.why), ("fix", &self.fix)] {
            if let Some(said) = said {
                text.push_str(&format!("  {label}: {}\n", clean(said)));
            }
        }
        text
    }
}

/// All that was found, in the order in which it was looked at.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) findings: Vec<Finding>,
}

impl Report {
    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub(super) fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// For people: what is fine first, so that what is not stands at the end.
    pub(super) fn text(&self) -> String {
        let mut sorted: Vec<_> = self.findings.iter().collect();
        sorted.sort_by_key(|finding| finding.severity);
        let mut text: String = sorted.into_iter().map(Finding::text).collect();
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        text.push_str(&format!("\n{errors} errors, {warnings} warnings\n"));
        text
    }
}

/// The command lines of Kafka's own tools, complete.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    pub(super) brokers: String,
    /// Whether the brokers ask who somebody is.
    pub(super) is_secured: bool,
}

impl Tools {
    fn line(&self, tool: &str, rest: &str) -> String {
        let credentials = if self.is_secured { " --command-config admin.properties" } else { "" };
        format!("{tool}.sh --bootstrap-server {}{credentials} {rest}", self.brokers)
    }

    pub(super) fn set_topic(&self, topic: &str, setting: &str, value: &str) -> String {
        self.line(
            "kafka-configs",
            &format!("--alter --entity-type topics --entity-name {topic} --add-config {setting}={value}"),
        )
    }

    pub(super) fn partitions(&self, topic: &str, count: u32) -> String {
        self.line("kafka-topics", &format!("--alter --topic {topic} --partitions {count}"))
    }

    pub(super) fn describe(&self, topic: &str) -> String {
        self.line("kafka-topics", &format!("--describe --topic {topic}"))
    }

    /// `resource` is like `--topic t` or `--group g`.
    pub(super) fn allow(&self, principal: &str, operation: &str, resource: &str) -> String {
        self.line("kafka-acls", &format!("--add --allow-principal {principal} --operation {operation} {resource}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_readable() {
        let tools = Tools { brokers: "a:1".to_owned(), is_secured: true };
        let mut report = Report::default();
        let fix = tools.allow("User:engine", "Write", "--topic tidewright.default.history");
        report.add(
            Finding::error("TW0806", "User:engine may not Write to topic tidewright.default.history")
                .why("no partition can be owned without it")
                .fix(fix),
        );
        report.add(Finding::ok("the brokers answer"));
        report.add(Finding::warning("TW0812", "the brokers create topics by themselves").fix(tools.set_topic(
            "t",
            "retention.ms",
            "-1",
        )));
        insta::assert_snapshot!(report.text());
        insta::assert_snapshot!("report as JSON", serde_json::to_string_pretty(&report).unwrap());
    }
}
