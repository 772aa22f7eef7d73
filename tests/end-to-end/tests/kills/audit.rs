//! What ran, by the workers' own account, against what history says.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use tidewright_schemas::EventAttributes;

use crate::leaves::{ActivityKey, Leaves};
use crate::orders::Histories;

/// How old leave to run may be when an attempt begins (ADR 0007). A killed worker's tasks are delivered again much later.
const LEAVE_MS: u64 = 1_000;

/// One line that a worker wrote when an attempt began.
struct Start {
    attempt: u32,
    at_ms: u64,
    process: u32,
}

/// Attempts that began, by workflow and activity.
pub struct Audit {
    starts: BTreeMap<ActivityKey, Vec<Start>>,
}

impl Audit {
    /// Reads what the workers wrote.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).context("the audit log cannot be read")?;
        let mut starts: BTreeMap<_, Vec<Start>> = BTreeMap::new();
        for line in text.lines() {
            let fields: Vec<_> = line.split('\t').collect();
            let [workflow, _, event, attempt, phase, at_ms, process] = fields[..] else {
                anyhow::bail!("a line of the audit log is torn: {line}");
            };
            if phase == "start" {
                let start = Start { attempt: attempt.parse()?, at_ms: at_ms.parse()?, process: process.parse()? };
                starts.entry((workflow.to_owned(), event.parse()?)).or_default().push(start);
            }
        }
        Ok(Self { starts })
    }

    /// Every completed activity ran, and none began after its completion was recorded: but for what an earlier attempt's
    /// completion overtook, which is the first delivery of a later attempt, or one whose worker held leave to run. The log
    /// must have either before the completion, and neither may be old.
    pub fn check(&self, histories: &Histories, leaves: &Leaves) -> anyhow::Result<()> {
        let (mut completed, mut repeats, mut on_their_way) = (0, 0, 0);
        for (workflow, history) in histories {
            for event in history {
                let EventAttributes::ActivityTaskCompleted(done) = &event.attributes else { continue };
                completed += 1;
                let key = (workflow.clone(), done.scheduled_event_id);
                let starts = self.starts.get(&key).with_context(|| format!("{key:?} completed and never began"))?;
                repeats += starts.len() - 1;
                for start in starts.iter().filter(|start| start.at_ms > event.event_time_ms) {
                    let (attempt, late_ms) = (start.attempt, start.at_ms - event.event_time_ms);
                    let is_first = starts.iter().all(|it| it.attempt != attempt || it.at_ms >= start.at_ms);
                    ensure!(
                        leaves.was_given_before_completion(&key, attempt, start.process)
                            || is_first && leaves.was_sent_before_completion(&key, attempt),
                        "{key:?}, attempt {attempt}, began in process {} without leave, {late_ms} ms after its completion \
                         was recorded",
                        start.process
                    );
                    ensure!(
                        late_ms <= LEAVE_MS,
                        "{key:?}, attempt {attempt}, began with stale leave, {late_ms} ms after its completion was recorded"
                    );
                    on_their_way += 1;
                }
            }
        }
        println!(
            "{completed} activities completed, {repeats} attempts were cut short by kills or failed, and repeated; \
             {on_their_way} began after a completion that had overtaken them"
        );
        Ok(())
    }
}
