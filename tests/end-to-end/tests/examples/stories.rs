//! Each example runs by itself, from one command to its end.

use anyhow::{Context as _, ensure};
use end_to_end::{binaries, processes};
use tokio::process::Command;

/// Examples that end by themselves, with something that they say.
const STORIES: &[(&str, &[&str])] = &[
    ("expense-approval", &["Waiting", "Approved { by: \"Carol\" }", "nobody answered in time"]),
    ("incident-escalation", &["on_duty: Some(\"Anna\")", "paged: [\"Anna\", \"Carol\"]"]),
    (
        "order-saga",
        &["delivered, confirmed", "compensations failed", "turned round, refunded, released", "called back"],
    ),
    ("provisioning", &["NotRunning", "CalledOff", "Terminated", "what is left there: nothing"]),
    ("slow-resource", &["polled by retry:     https://", "polled by heartbeat: https://"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_story_is_told_to_its_end() -> anyhow::Result<()> {
    binaries::build_packages(&STORIES.iter().map(|(name, _)| *name).collect::<Vec<_>>())?;
    for (name, says) in STORIES {
        let run = Command::new(binaries::path(name)?).env_remove("TIDEWRIGHT_BROKERS").kill_on_drop(true).output();
        let ended = tokio::time::timeout(processes::PROCESS_PATIENCE, run).await;
        let ended = ended.with_context(|| format!("{name} does not end"))??;
        let (said, errors) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        ensure!(ended.status.success(), "{name} ended with {}:\n{said}{errors}", ended.status);
        for wanted in *says {
            ensure!(said.contains(wanted), "{name} does not say `{wanted}`:\n{said}{errors}");
        }
    }
    Ok(())
}
