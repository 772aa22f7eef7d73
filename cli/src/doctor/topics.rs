//! Whether topics are as they must be.

use tidewright_log::{Admin, Severity as Harm, TopicInfo, TopicKind, TopicSpec};

use super::finding::{Finding, Report, Tools};

/// Looks at one topic that exists.
pub(super) async fn check(
    admin: &Admin,
    tools: &Tools,
    spec: &TopicSpec,
    info: &TopicInfo,
    brokers: usize,
    report: &mut Report,
) {
    let name = &spec.name;
    if !info.has_leaders {
        report.add(
            Finding::error("TW0815", format!("a partition of topic {name} has no leader"))
                .why("it can be neither read nor written: all brokers that have it are away")
                .fix(format!("start them again; {} shows which", tools.describe(name))),
        );
    }
    if info.id.is_none() {
        report.add(
            Finding::warning("TW0818", format!("the brokers do not tell the id of topic {name}"))
                .why("a topic that is deleted and made anew cannot be recognised: Kafka has ids since 2.8"),
        );
    }
    let before = report.findings.len();
    match admin.verify_topic(spec, info, brokers).await {
        Ok(differences) => {
            for difference in differences {
                report.add(finding(&difference, spec, tools));
            }
            unsafe_settings(admin, tools, spec, info, report).await;
        }
        // Which right is missing is told where rights are looked at.
        Err(error) => {
            report.add(Finding::warning("TW0818", format!("the settings of topic {name} cannot be seen: {error}")))
        }
    }
    if report.findings.len() == before {
        report.add(Finding::ok(format!("topic {name} is set as it must be")));
    }
}

fn finding(difference: &tidewright_log::Difference, spec: &TopicSpec, tools: &Tools) -> Finding {
    let topic = &difference.topic;
    let (setting, expected, found) = (&difference.setting, &difference.expected, &difference.found);
    let what = format!("topic {topic} has {setting}={found} instead of {expected}");
    let (code, fix) = match setting.as_str() {
        "partitions" => {
            let what_to_do = match difference.severity {
                Harm::Harmful => tools.partitions(topic, spec.partitions),
                Harm::Harmless => difference.fix.clone(),
            };
            ("TW0808", what_to_do)
        }
        "replication factor" => ("TW0814", difference.fix.clone()),
        "min.insync.replicas" => ("TW0814", tools.set_topic(topic, setting, expected)),
        _ => ("TW0807", tools.set_topic(topic, setting, expected)),
    };
    let finding = match difference.severity {
        Harm::Harmful => Finding::error(code, what),
        Harm::Harmless => Finding::warning(code, what),
    };
    finding.why(difference.consequence).fix(fix)
}

/// What matters on every cluster, however many brokers it has.
async fn unsafe_settings(admin: &Admin, tools: &Tools, spec: &TopicSpec, info: &TopicInfo, report: &mut Report) {
    let Ok(settings) = admin.topic_settings(&spec.name).await else { return };
    let name = &spec.name;
    let least: Option<u32> = settings.get("min.insync.replicas").and_then(|least| least.parse().ok());
    if let Some(least) = least.filter(|least| *least > info.replicas) {
        let replicas = info.replicas;
        report.add(
            Finding::error("TW0813", format!("topic {name} has min.insync.replicas={least} and {replicas} replicas"))
                .why("every write with acks=all is refused")
                .fix(tools.set_topic(name, "min.insync.replicas", &replicas.clamp(1, 2).to_string())),
        );
    }
    let setting = "unclean.leader.election.enable";
    let is_told = report.findings.iter().any(|finding| finding.what.contains(setting) && finding.what.contains(name));
    let keeps = matches!(spec.kind, TopicKind::Commands | TopicKind::History | TopicKind::Cluster);
    if keeps && !is_told && settings.get(setting).is_some_and(|value| value == "true") {
        report.add(
            Finding::error("TW0807", format!("topic {name} has {setting}=true instead of false"))
                .why("confirmed records may vanish when brokers fail, and the partition stops")
                .fix(tools.set_topic(name, setting, "false")),
        );
    }
}
