//! A broker in a process of its own, to kill it and to weigh it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use conformance::cluster::{Cluster, embedded_at};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const DIRECTORY: &str = "CONFORMANCE_DIRECTORY";
const LISTEN: &str = "CONFORMANCE_LISTEN";

/// Not a test: the broker that `BrokerProcess` starts, in a process of its own.
#[tokio::test]
#[ignore = "started by other tests"]
async fn broker_process() -> Result<()> {
    let directory = std::env::var(DIRECTORY)?;
    let listen: Option<SocketAddr> = std::env::var(LISTEN).ok().map(|listen| listen.parse()).transpose()?;
    let (broker, cluster) = embedded_at(Path::new(&directory), listen).await?;
    println!("\nlistening {}", cluster.address);
    std::future::pending::<()>().await;
    drop(broker);
    Ok(())
}

/// A broker that can be killed.
pub struct BrokerProcess {
    child: Child,
    pub cluster: Cluster,
}

impl BrokerProcess {
    pub async fn start(directory: &Path, listen: Option<&str>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--exact", "process::broker_process", "--ignored", "--nocapture"]);
        command.env(DIRECTORY, directory).stdout(Stdio::piped()).kill_on_drop(true);
        if let Some(listen) = listen {
            command.env(LISTEN, listen);
        }
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        while let Some(line) = lines.next_line().await? {
            if let Some(address) = line.strip_prefix("listening ") {
                let cluster = Cluster { address: address.to_owned(), is_embedded: true };
                return Ok(Self { child, cluster });
            }
        }
        anyhow::bail!("the broker ended before it listened")
    }

    /// The signal that no process can handle.
    pub async fn kill(mut self) -> Result<String> {
        self.child.kill().await?;
        Ok(self.cluster.address)
    }

    /// The most memory that it ever held.
    pub fn peak_kib(&self) -> Result<u64> {
        let id = self.child.id().context("the broker has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).context("this test needs Linux")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse()?)
    }
}
