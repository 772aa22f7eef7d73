//! The Dockerfile against the program, the Makefile and the tree.

use anyhow::{Context as _, Result, ensure};

use crate::files::{check_pinned, check_shell, read, root};
use crate::program;

/// A stage of the build.
pub struct Stage {
    pub name: String,
    base: String,
    /// Instructions with their arguments.
    instructions: Vec<(String, String)>,
}

impl Stage {
    fn all<'a>(&'a self, instruction: &'a str) -> impl Iterator<Item = &'a str> {
        self.instructions.iter().filter(move |(name, _)| name == instruction).map(|(_, arguments)| arguments.as_str())
    }

    /// The values of an instruction in JSON form.
    fn list(&self, instruction: &str) -> Result<Vec<String>> {
        let Some(arguments) = self.all(instruction).last() else { return Ok(Vec::new()) };
        // A health check has options before its command.
        let at = arguments.find('[').with_context(|| format!("{instruction} is not in JSON form: {arguments}"))?;
        Ok(serde_json::from_str(&arguments[at..])?)
    }

    /// `NAME=value` of its `ENV`s.
    pub fn environment(&self) -> Vec<(&str, &str)> {
        self.all("ENV").flat_map(str::split_whitespace).filter_map(|pair| pair.split_once('=')).collect()
    }

    /// The ports that it exposes.
    pub fn ports(&self) -> Vec<&str> {
        self.all("EXPOSE").flat_map(str::split_whitespace).collect()
    }

    /// The directories that are volumes.
    pub fn volumes(&self) -> Vec<&str> {
        self.all("VOLUME").flat_map(str::split_whitespace).collect()
    }
}

/// The stages of the Dockerfile.
pub fn stages() -> Result<Vec<Stage>> {
    let text = read("Dockerfile")?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let mut stages: Vec<Stage> = Vec::new();
    for line in joined.lines().filter(|line| !line.trim().is_empty()) {
        let (instruction, arguments) =
            line.trim().split_once(' ').with_context(|| format!("not understood: {line}"))?;
        if instruction == "FROM" {
            let (base, name) =
                arguments.split_once(" AS ").with_context(|| format!("{line}: give the stage a name"))?;
            stages.push(Stage { name: name.to_owned(), base: base.to_owned(), instructions: Vec::new() });
        } else {
            let stage = stages.last_mut().context("the Dockerfile begins with FROM")?;
            stage.instructions.push((instruction.to_owned(), arguments.trim().to_owned()));
        }
    }
    Ok(stages)
}

fn stage(name: &str) -> Result<Stage> {
    stages()?.into_iter().find(|stage| stage.name == name).with_context(|| format!("there is no stage {name}"))
}

#[test]
fn every_stage_stands_on_an_earlier_one_or_on_a_pinned_image() -> Result<()> {
    let stages = stages()?;
    for (at, stage) in stages.iter().enumerate() {
        if !stages[..at].iter().any(|earlier| earlier.name == stage.base) {
            check_pinned(&stage.base)?;
        }
        for copy in stage.all("COPY") {
            let words: Vec<&str> = copy.split_whitespace().collect();
            match words.as_slice() {
                [from, _, _] if from.starts_with("--from=") => {
                    let from = from.trim_start_matches("--from=");
                    ensure!(stages[..at].iter().any(|earlier| earlier.name == from), "COPY {copy}: no stage {from}");
                }
                [source, _] => ensure!(root().join(source).exists(), "COPY {copy}: there is no {source}"),
                _ => anyhow::bail!("COPY {copy} is not understood"),
            }
        }
        for run in stage.all("RUN") {
            let commands = run.split_whitespace().filter(|word| !word.starts_with("--mount="));
            check_shell(&commands.collect::<Vec<_>>().join(" "))?;
        }
    }
    ensure!(stages.last().is_some_and(|last| last.name == "engine"), "the engine is what is built by default");
    Ok(())
}

#[test]
fn the_compiler_is_new_enough() -> Result<()> {
    let image = stage("build")?.base;
    let version = |text: &str| -> Option<(u32, u32)> {
        let mut parts = text.split(['.', '-']);
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    let has = image.strip_prefix("rust:").and_then(version).context("the build stands on no rust image")?;
    let manifest = read("Cargo.toml")?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).context("no rust-version")?;
    let needs = version(line.trim_matches('"')).context("rust-version is no version")?;
    ensure!(has >= needs, "{image} is older than the workspace's rust-version {line}");
    Ok(())
}

#[test]
fn the_images_run_the_programs_without_privileges() -> Result<()> {
    let user = stage("base")?.all("USER").last().map(str::to_owned).context("the images run as root")?;
    let ids: Vec<u32> = user.split(':').map(str::parse).collect::<Result<_, _>>().context("USER is no number")?;
    ensure!(ids.iter().all(|id| *id != 0), "the images run as root");
    for (name, package) in [("engine", "tidewright"), ("worker", "order-fulfilment")] {
        let stage = stage(name)?;
        let copied = stage.all("COPY").any(|copy| copy.ends_with(&format!("/bin/{package}")));
        ensure!(copied, "the image {name} lacks {package}");
        ensure!(stage.list("ENTRYPOINT")? == [package], "the image {name} runs something else than {package}");
    }
    Ok(())
}

#[test]
fn the_engines_image_is_set_up_as_the_program_understands_it() -> Result<()> {
    let engine = stage("engine")?;
    let command = engine.list("CMD")?;
    program::check_arguments(&command.iter().map(String::as_str).collect::<Vec<_>>())?;
    for (variable, value) in engine.environment() {
        program::check_variable("serve", variable)?;
        match variable {
            "TIDEWRIGHT_STATE_DIR" => ensure!(engine.volumes() == [value], "{value} is no volume"),
            "TIDEWRIGHT_HTTP_LISTEN" => {
                ensure!(
                    engine.ports().iter().any(|port| value.ends_with(&format!(":{port}"))),
                    "{value} is not exposed"
                );
            }
            _ => {}
        }
    }
    let check = engine.list("HEALTHCHECK")?;
    let [first, arguments @ ..] = check.as_slice() else { anyhow::bail!("there is no health check") };
    ensure!(first == "tidewright", "the health check runs {first}");
    program::check_arguments(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    // The health check asks the default address: the port is the one that is exposed.
    let port = engine.ports().first().map(|port| format!("http://127.0.0.1:{port}]")).context("no port is exposed")?;
    ensure!(program::help("health")?.contains(&port), "`tidewright health` asks another port by default");
    Ok(())
}

#[test]
fn what_is_built_before_is_not_sent_to_the_builder() -> Result<()> {
    let ignored = read(".dockerignore")?;
    let ignored: Vec<&str> = ignored.lines().collect();
    for path in read(".gitignore")?.lines().filter_map(|line| line.strip_prefix('/')) {
        let covered = ignored.iter().any(|line| path == *line || path.starts_with(&format!("{line}/")));
        ensure!(covered, ".dockerignore lacks {path}, which .gitignore has");
    }
    for needed in ["docs", "schemas", "Makefile", "LICENSE", "scripts"] {
        ensure!(!ignored.contains(&needed), ".dockerignore leaves out {needed}, which the build reads");
    }
    Ok(())
}
