//! The program `tidewright doctor` as a test calls it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use end_to_end::binaries;
use serde_json::Value;
use tokio::process::Command;

use crate::admin::Administrator;
use crate::kafka::variables;

/// How long an authorizer may take to learn of a new rule.
const PATIENCE: Duration = Duration::from_secs(60);

/// A doctor with its arguments.
pub struct Doctor {
    pub brokers: String,
    pub user: &'static str,
    pub prefix: String,
    pub arguments: Vec<String>,
}

/// What it found.
#[derive(Debug)]
pub struct Diagnosis {
    pub exit: Option<i32>,
    pub errors: Vec<Value>,
}

impl Diagnosis {
    /// The finding with this code whose sentence holds all these parts.
    pub fn find(&self, code: &str, parts: &[&str]) -> Option<&Value> {
        self.errors.iter().find(|finding| {
            let what = finding["what"].as_str().unwrap_or_default();
            finding["code"] == code && parts.iter().all(|part| what.contains(part))
        })
    }
}

impl Doctor {
    pub fn with(&self, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        let arguments = self.arguments.iter().cloned().chain(arguments).collect();
        Self { brokers: self.brokers.clone(), user: self.user, prefix: self.prefix.clone(), arguments }
    }

    pub async fn look(&self) -> Result<Diagnosis> {
        let output = Command::new(binaries::path("tidewright")?)
            .args(["doctor", "--output", "json", "--topic-prefix", &self.prefix])
            .args(&self.arguments)
            .envs(variables(&self.brokers, self.user))
            .env_remove("TIDEWRIGHT_CONFIG")
            .kill_on_drop(true)
            .output()
            .await?;
        let said = String::from_utf8_lossy(&output.stdout);
        let report: Value = serde_json::from_str(&said)
            .with_context(|| format!("{said}\n{}", String::from_utf8_lossy(&output.stderr)))?;
        let findings = report["findings"].as_array().context("no findings")?;
        let errors = findings.iter().filter(|finding| finding["severity"] == "error").cloned().collect();
        Ok(Diagnosis { exit: output.status.code(), errors })
    }

    /// Looks until it finds something, as what was broken takes a moment to be seen.
    pub async fn until_found(&self, code: &str, parts: &[&str]) -> Result<Value> {
        let began = Instant::now();
        loop {
            let diagnosis = self.look().await?;
            if let Some(found) = diagnosis.find(code, parts) {
                ensure!(diagnosis.exit == Some(1), "errors were found, but it ended with {:?}", diagnosis.exit);
                return Ok(found.clone());
            }
            if began.elapsed() > PATIENCE {
                bail!("{code} about {parts:?} is not found, but {:#?}", diagnosis.errors);
            }
        }
    }

    /// Carries out what it says until nothing is wrong.
    pub async fn until_well(&self, administrator: &mut Administrator) -> Result<()> {
        let began = Instant::now();
        loop {
            let diagnosis = self.look().await?;
            if diagnosis.errors.is_empty() {
                ensure!(diagnosis.exit == Some(0), "nothing is wrong, but it ended with {:?}", diagnosis.exit);
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                bail!("this stays wrong: {:#?}", diagnosis.errors);
            }
            self.carry_out_all(&diagnosis, administrator).await?;
        }
    }

    /// Carries out what it says.
    pub async fn carry_out_all(&self, diagnosis: &Diagnosis, administrator: &mut Administrator) -> Result<()> {
        for finding in &diagnosis.errors {
            let fix = finding["fix"].as_str().with_context(|| format!("no fix: {finding}"))?;
            administrator.carry_out(fix).await.with_context(|| format!("{finding}"))?;
        }
        Ok(())
    }
}
