//! Alerts and dashboards speak of metrics that exist, with labels that they have.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use repository::read;

/// The documented metrics with their labels; `docs/metrics.md` is compared with what is exported end to end.
fn documented() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let page = read("docs/metrics.md")?;
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split(" | ").map(str::to_owned).collect::<Vec<_>>());
    let metric = |cells: Vec<String>| {
        let name = cells[0].trim_start_matches("| `").trim_end_matches(" †").trim_end_matches('`').to_owned();
        (name, cells[2].split(", ").map(str::to_owned).collect())
    };
    Ok(cells.map(metric).collect())
}

/// Metrics in a text, each with what stands in braces behind it.
fn used(text: &str) -> Vec<(String, String)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for prefix in ["tidewright_", "process_"] {
        for (at, _) in text.match_indices(prefix) {
            if text[..at].ends_with(is_part) {
                continue;
            }
            let rest = &text[at..];
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let selector = rest[end..].strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(s, _)| s);
            found.push((rest[..end].to_owned(), selector.to_owned()));
        }
    }
    found
}

#[test]
fn alerts_and_dashboards_use_metrics_that_exist() -> Result<()> {
    let documented = documented()?;
    for path in ["deploy/prometheus/tidewright.rules.yaml", "deploy/grafana/tidewright.json"] {
        let text = read(path)?;
        let used = used(&text);
        ensure!(used.len() > 5, "{path} names hardly any metric");
        for (name, selector) in used {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
            let labels = documented.get(base).or_else(|| documented.get(&name));
            let Some(labels) = labels else { anyhow::bail!("{path}: {name} is not in docs/metrics.md") };
            for label in selector.split(',').filter_map(|part| part.split_once('=')).map(|(label, _)| label.trim()) {
                // Prometheus gives these to every target.
                let known = labels.contains(label) || ["job", "instance"].contains(&label);
                ensure!(known, "{path}: {name} has no label {label}");
            }
        }
    }
    Ok(())
}
