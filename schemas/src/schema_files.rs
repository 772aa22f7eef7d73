//! The JSON Schema files: one for each type that stands alone on a topic.

use schemars::{Schema, generate::SchemaSettings};

use crate::{
    ActivityTask, Beacon, ClusterRecord, Command, ControlMessage, HistoryRecord, QueryTask, Reply, WorkflowTask,
};

/// File name and content of each schema (JSON Schema draft 2020-12).
#[must_use]
pub fn all() -> Vec<(&'static str, String)> {
    vec![
        ("Command.json", render::<Command>()),
        ("HistoryRecord.json", render::<HistoryRecord>()),
        ("WorkflowTask.json", render::<WorkflowTask>()),
        ("QueryTask.json", render::<QueryTask>()),
        ("ActivityTask.json", render::<ActivityTask>()),
        ("ControlMessage.json", render::<ControlMessage>()),
        ("Reply.json", render::<Reply>()),
        ("ClusterRecord.json", render::<ClusterRecord>()),
        ("Beacon.json", render::<Beacon>()),
    ]
}

fn render<T: schemars::JsonSchema>() -> String {
    let schema: Schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    // A schema is plain JSON, which always serialises.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_files_are_current() {
        for (name, content) in super::all() {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("json").join(name);
            let on_disk = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(on_disk == content, "{name} is out of date; run `cargo run -p tidewright-schemas -- write`");
        }
    }
}
