//! Writes or checks `schemas/json/`.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("json");
    match std::env::args().nth(1).as_deref() {
        Some("write") => write(&directory),
        Some("check") => check(&directory),
        _ => {
            eprintln!("usage: cargo run -p tidewright-schemas -- write|check");
            ExitCode::from(2)
        }
    }
}

fn write(directory: &std::path::Path) -> ExitCode {
    let result = std::fs::create_dir_all(directory).and_then(|()| {
        tidewright_schemas::schema_files::all()
            .into_iter()
            .try_for_each(|(name, content)| std::fs::write(directory.join(name), content))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}

fn check(directory: &std::path::Path) -> ExitCode {
    let stale: Vec<_> = tidewright_schemas::schema_files::all()
        .into_iter()
        .filter(|(name, content)| std::fs::read_to_string(directory.join(name)).ok().as_ref() != Some(content))
        .map(|(name, _)| name)
        .collect();
    if stale.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("out of date: {}; run `cargo run -p tidewright-schemas -- write`", stale.join(", "));
    ExitCode::FAILURE
}
