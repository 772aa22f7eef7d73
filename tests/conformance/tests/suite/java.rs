//! Apache Kafka's own Java client, as the second, foreign client beside librdkafka: `java/Client.java`, on every broker.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use conformance::cluster::on_every_broker;
use tokio::process::Command;

/// Set where Java and the jars must be there, so that nothing is skipped in silence.
const REQUIRE: &str = "TIDEWRIGHT_REQUIRE_JAVA";
/// What the client is written for.
const JAVA_VERSION_MIN: u32 = 17;
/// The client gives up by itself long before; this is for one that hangs.
const PATIENCE: Duration = Duration::from_secs(900);

struct Java {
    program: PathBuf,
    jars: PathBuf,
}

impl Java {
    /// The same Java and the same jars that `scripts/kafka.sh` uses. Fails with what is missing.
    async fn find() -> Result<Self> {
        let home = env::var_os("KAFKA_JAVA_HOME").or_else(|| env::var_os("JAVA_HOME")).filter(|home| !home.is_empty());
        let program = home.map_or_else(|| "java".into(), |home| Path::new(&home).join("bin/java"));
        let version = Command::new(&program).arg("-version").stdin(Stdio::null()).output().await;
        let version = version.with_context(|| format!("there is no {}", program.display()))?;
        let version = String::from_utf8_lossy(&version.stderr).into_owned();
        let major = version.split('"').nth(1).and_then(|version| version.split('.').next()?.parse::<u32>().ok());
        ensure!(major.is_some_and(|major| major >= JAVA_VERSION_MIN), "Java {JAVA_VERSION_MIN} is needed: {version}");
        Ok(Self { program, jars: jars()? })
    }

    async fn run(&self, address: &str) -> Result<()> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("java/Client.java");
        let mut command = Command::new(&self.program);
        command.arg("-cp").arg(self.jars.join("*")).arg(source).arg(address).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await.context("the Java client hangs")??;
        if !output.status.success() {
            let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            bail!("the Java client failed:\n{said}{failed}");
        }
        Ok(())
    }
}

fn jars() -> Result<PathBuf> {
    let cache = env::var_os("KAFKA_CACHE").map(PathBuf::from).or_else(|| {
        let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let base = base.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cache")));
        base.map(|base| base.join("kafka-jars"))
    });
    let cache = cache.context("neither KAFKA_CACHE nor HOME is set")?;
    let entries = cache.read_dir().map_err(|_| anyhow::anyhow!("there are no jars in {}", cache.display()))?;
    let wanted = env::var_os("KAFKA_VERSION");
    let mut complete: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join(".complete").exists())
        .filter(|path| wanted.as_deref().is_none_or(|wanted| path.file_name() == Some(wanted)))
        .collect();
    complete.sort();
    complete.pop().with_context(|| format!("there are no jars in {}", cache.display()))
}

#[tokio::test]
async fn the_java_client_finds_nothing_to_complain_of() -> Result<()> {
    let java = match Java::find().await {
        Ok(java) => java,
        Err(missing) if env::var_os(REQUIRE).is_some() => return Err(missing.context(format!("{REQUIRE} is set"))),
        Err(missing) => {
            // Not `eprintln!`, which nobody sees of a test that passes.
            writeln!(
                std::io::stderr(),
                "SKIPPED the Java client: {missing:#}; `scripts/kafka.sh fetch` gets the jars"
            )?;
            return Ok(());
        }
    };
    on_every_broker(async |cluster| java.run(&cluster.address).await).await
}
