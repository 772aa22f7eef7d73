//! The lifecycles that ARCHITECTURE.md shows are those that the code says it follows.

use anyhow::{Result, ensure};
use repository::read;

/// Where each lifecycle is decided.
const LIFECYCLES: [&str; 3] = ["workflow_task", "activity", "timer"];

#[test]
fn each_lifecycle_is_the_same_in_the_architecture_and_in_the_code() -> Result<()> {
    let architecture = read("ARCHITECTURE.md")?;
    for lifecycle in LIFECYCLES {
        let path = format!("coordinator/core/src/decide/{lifecycle}.rs");
        let code = read(&path)?;
        let table: Vec<_> = code.lines().filter_map(|line| line.strip_prefix("//! |")).collect();
        ensure!(table.len() > 3, "{path} has no table of its lifecycle");
        let table = format!("\n|{}\n\n", table.join("\n|"));
        ensure!(architecture.contains(&table), "ARCHITECTURE.md lacks the table of {path}:{table}");
    }
    Ok(())
}
