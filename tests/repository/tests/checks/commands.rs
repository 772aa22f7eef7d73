//! The commands in documents exist.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use repository::{documents, files_with_extension, manifests, read, root};

#[test]
fn make_targets_in_documents_exist() -> Result<()> {
    let makefile = read("Makefile")?;
    let targets: BTreeSet<_> = makefile
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name)
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'))
        .collect();
    for (place, words) in commands_of("make")? {
        for target in words.iter().skip(1).filter(|word| !word.contains('=')) {
            ensure!(targets.contains(target.as_str()), "{place}: the Makefile has no target `{target}`");
        }
    }
    Ok(())
}

#[test]
fn scripts_in_documents_exist() -> Result<()> {
    for document in documents()? {
        for (line, command) in document.commands() {
            let program = command.split_whitespace().next().unwrap_or_default();
            let is_script = ["scripts/", ".ci/"].iter().any(|folder| program.starts_with(folder));
            let path = &document.file.path;
            ensure!(!is_script || root().join(program).is_file(), "{path}:{line}: there is no {program}");
        }
    }
    Ok(())
}

#[test]
fn packages_in_documents_exist() -> Result<()> {
    let manifests = manifests()?;
    for (place, words) in commands_of("cargo")? {
        let own = words.iter().take_while(|word| *word != "--");
        let packages = own.clone().zip(own.skip(1)).filter(|(flag, _)| *flag == "-p" || *flag == "--package");
        for (_, package) in packages {
            ensure!(manifests.contains_key(package), "{place}: there is no package `{package}`");
        }
    }
    Ok(())
}

/// `tidewright …`, and `cargo run -- …`, which is the same.
#[test]
fn commands_of_the_program_in_documents_exist() -> Result<()> {
    let sources: String = files_with_extension("rs")?
        .into_iter()
        .filter(|file| file.path.starts_with("cli/src/"))
        .map(|file| file.text)
        .collect();
    let commands = variants(&sources, "enum Command {")?;
    let of_workflow = variants(&sources, "enum WorkflowCommand {")?;
    for (place, words) in commands_of("tidewright")?.into_iter().chain(commands_of("cargo")?) {
        let Some(arguments) = arguments(&words) else { continue };
        let [command, rest @ ..] = arguments else { continue };
        ensure!(commands.contains(command), "{place}: tidewright has no command `{command}`");
        if let ("workflow", [command, ..]) = (command.as_str(), rest) {
            ensure!(of_workflow.contains(command), "{place}: tidewright workflow has no command `{command}`");
        }
        for flag in rest.iter().filter_map(|word| word.strip_prefix("--")).filter(|flag| !flag.is_empty()) {
            let field = format!("{}:", flag.replace('-', "_"));
            let is_known = sources.contains(&field) || sources.contains(&format!("long = \"{flag}\""));
            ensure!(is_known, "{place}: `{command}` has no option --{flag}");
        }
    }
    Ok(())
}

/// The words of the commands that begin with a program, and where they stand.
fn commands_of(program: &str) -> Result<Vec<(String, Vec<String>)>> {
    let mut found = Vec::new();
    for document in documents()? {
        for (line, command) in document.commands() {
            // What follows a pipe, a comment or a redirection is another matter.
            let words = command.split_whitespace().take_while(|word| !["|", "#", ">", "&&", "&"].contains(word));
            let words: Vec<_> = words.map(str::to_owned).collect();
            if words.first().is_some_and(|first| first == program) {
                found.push((format!("{}:{line}", document.file.path), words));
            }
        }
    }
    Ok(found)
}

/// What the program is given; none if something else is run.
fn arguments(words: &[String]) -> Option<&[String]> {
    let at = match words.first()?.as_str() {
        "tidewright" => 0,
        "cargo" if words.get(1)? == "run" && !words.contains(&"-p".to_owned()) => {
            words.iter().position(|w| w == "--")?
        }
        _ => return None,
    };
    Some(&words[at + 1..])
}

/// The variants of an enum as clap spells them.
fn variants(sources: &str, opening: &str) -> Result<BTreeSet<String>> {
    let (_, body) = sources.split_once(opening).with_context(|| format!("no `{opening}` in cli/src"))?;
    let (body, _) = body.split_once("\n}").with_context(|| format!("`{opening}` does not end"))?;
    let lines = body.lines().map(str::trim).filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    Ok(lines.filter_map(|line| line.split(['(', ',', ' ']).next()).map(kebab).collect())
}

fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    kebab
}
